"""Market tables as bytes, and what of them is kept."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import ccxt.async_support
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils import codec
from tradeutils.errors import CodecError, DataError
from tradeutils.exchange.venues import listing as listings
from tradeutils.exchange.venues.listing import Listing, pack, parts_of, unpack, words_of
from tradeutils.model import Market


def market(entry: Mapping[str, Any]) -> Market:
    """Return a market of ours; what else it has does not matter here."""
    return Market(symbol=entry["symbol"], id=entry["id"], base="B", quote="Q")


def listed(entry: Mapping[str, Any] | None = None, **parts: Any) -> Listing:
    """Return a table of one market."""
    one = {"symbol": "B/Q", "id": "BQ", "precision": {"amount": Decimal("0.10")}, "limits": {}, **(entry or {})}
    empty: dict[str, Any] = {"currencies": {}, "baseCurrencies": {}, "quoteCurrencies": {}, "options": {}}
    return Listing.of({"markets": {"B/Q": one}, "ids": {"BQ": ["B/Q"]}, **empty, **parts}, 12.5, market)


figures = st.decimals(allow_nan=False) | st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
values = st.recursive(
    figures | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def typed(value: Any) -> Any:
    """Return a value with the types of all that is in it, and the text of its Decimals: 1.0 is not 1.00."""
    if isinstance(value, dict):
        return [(name, typed(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return type(value), str(value)


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name not in ("symbol", "id")), values, max_size=6))
def test_what_is_kept_comes_back_as_it_was(entry: dict[str, Any]) -> None:
    """Values, types and digits, at any depth; or nothing is kept at all."""
    told = listed({**entry, "precision": {}, "limits": {}}, options={"tiers": {"x": (1, Decimal("1.0"))}})
    try:
        data = pack(told)
    except CodecError:
        return  # an int that JSON does not hold
    back = unpack(data, market)
    assert typed(back.parts["markets"]) == typed(told.parts["markets"])
    assert back.parts["options"] == told.parts["options"]
    assert (back.markets, back.time) == (told.markets, told.time)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), (1, 2), {1, 2}, b"x", {3: "key"}, 2**70, type("Text", (str,), {})("x"), "\ud800"],
)
def test_what_json_would_change_is_refused(value: Any) -> None:
    """The table then serves this process alone."""
    for entry in ({"odd": value}, {"odd": [value]}, {"odd": {"deep": [{"er": value}]}}):
        with pytest.raises(CodecError):
            pack(listed(entry))


def test_a_table_with_figures_everywhere_is_refused() -> None:
    """Reading it would look in each place of each market."""
    with pytest.raises(CodecError, match="places"):
        pack(listed({f"figure{i}": Decimal(i) for i in range(2000)}))


def envelope(**changes: Any) -> bytes:
    """Return a packed table of which something was changed."""
    content = codec.loads(zlib.decompress(pack(listed())))
    return zlib.compress(codec.dumps({**content, **changes}), 1)


@pytest.mark.parametrize(
    "data",
    [
        None,
        "text",
        b"",
        b"\x1f\x8b" + b"\0" * 30,
        zlib.compress(b"{}"),
        zlib.compress(codec.dumps([1])),
        envelope(tables=b"{"),
        envelope(tables=b"[]"),
        envelope(tables=b'{"markets":{"B/Q":{"symbol":"B/Q","id":"BQ"}}}'),
        envelope(tables=3),
        envelope(ids=[1]),
        envelope(ids={"BQ": 3}),
        envelope(options=None),
        envelope(notes={"markets": [["symbol", "x"], 3]}),
        envelope(notes={"other": []}),
        envelope(time="x"),
        envelope(tables=b'{"markets":{},"currencies":{},"baseCurrencies":{},"quoteCurrencies":{}}'),
        envelope(
            tables=b'{"markets":{"A/Q":{"symbol":"B/Q","id":"BQ","precision":{},"limits":{}}},'
            b'"currencies":{},"baseCurrencies":{},"quoteCurrencies":{}}'
        ),
        envelope(
            tables=b'{"markets":{"B/Q":{"symbol":"B/Q","id":"BQ","precision":{"amount":"\\u007fx"},"limits":{}}},'
            b'"currencies":{},"baseCurrencies":{},"quoteCurrencies":{}}'
        ),
    ],
)
def test_what_is_no_table_is_one_error(data: Any) -> None:
    """Whatever lies in the cache."""
    with pytest.raises(DataError, match="no market table"):
        unpack(data, market)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_is_one_error_or_none(junk: bytes, at: int) -> None:
    """Bytes overwritten anywhere."""
    data = pack(listed())
    with contextlib.suppress(DataError):
        unpack(data[:at] + junk + data[at + len(junk) :], market)


def test_a_small_cause_has_no_large_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of zeros that would become gigabytes is unpacked up to the limit only."""
    monkeypatch.setattr(listings, "_MAX_BYTES", 2**20)
    with pytest.raises(DataError):
        unpack(zlib.compress(b"[" + b"0," * 2**23 + b"0]"), market)


def test_an_instance_takes_what_another_has_loaded() -> None:
    """The same objects, its ids without those of markets that are not there, and what loading left in the options."""
    left = {"marketsByAltname": {"X": 1}}
    told = listed(ids={"BQ": ["B/Q"], "gone": ["A/Q"]}, currencies={"B": {"id": "b"}, "N": {}}, options=left)
    one = ccxt.async_support.kraken()
    told.give(one)
    assert one.markets is told.parts["markets"]
    assert one.markets_by_id == {"BQ": [one.markets["B/Q"]]}
    assert one.market("B/Q") is one.markets["B/Q"]
    assert (one.symbols, one.codes, one.currencies_by_id) == (["B/Q"], ["B", "N"], {"b": {"id": "b"}})
    assert one.options["marketsByAltname"] is left["marketsByAltname"]


def test_of_the_options_only_what_is_read_later_is_kept() -> None:
    """And of ``info`` what the class names, in markets, currencies and networks; a list is kept whole."""
    one = ccxt.async_support.kraken()
    info = {"id": "XBT", "never named": 1}
    entry = {"symbol": "B/Q", "id": "BQ", "spot": True, "precision": {}, "limits": {}, "info": info, "base": "B"}
    one.set_markets([entry], {"B": {"code": "B", "id": "b", "info": [1], "networks": {"N": {"info": info}}}})
    before = dict(one.options)
    one.options |= {"marketsByAltname": {"XBT": entry}, "never named": entry}
    parts = parts_of(one, before, info=False)
    assert parts["markets"]["B/Q"]["info"] == {"id": "XBT"}
    assert parts["currencies"]["B"]["info"] == [1]
    assert parts["currencies"]["B"]["networks"]["N"]["info"] == {"id": "XBT"}
    assert list(parts["options"]) == ["marketsByAltname"]
    assert parts["options"]["marketsByAltname"]["XBT"]["info"] == {"id": "XBT"}
    assert parts_of(one, before, info=True)["markets"]["B/Q"]["info"] == info


def test_words_are_those_of_the_code_that_makes_no_markets() -> None:
    """Nested functions and tuples of names too; ccxt's second names of a method make no difference."""

    class Venue:
        def parse_market(self) -> str:
            return "dropped"

        def fetch_markets_of_spot(self) -> str:
            return "dropped as well"

        def parse_market_leverage_tiers(self) -> Any:
            return lambda: [word for word in ("kept", "also") if word in {"too", "set"}]

        parseMarket = parse_market  # noqa: N815  # as ccxt does

    words = words_of(Venue)
    assert {"kept", "also", "too", "set"} <= words
    assert not words & {"dropped", "dropped as well"}
