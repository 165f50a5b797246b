"""Every value that is kept comes back as it was; what JSON can hold is stored as JSON; the rest is named."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import json
import math
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest
from equality import same

from tradeutils import codec
from tradeutils.errors import CodecError, DataError
from tradeutils.model import (
    AssetBalance,
    Balance,
    Bars,
    Candles,
    Gap,
    Market,
    Order,
    OrderBook,
    Panel,
    Ticker,
    Trade,
)

AMSTERDAM = zoneinfo.ZoneInfo("Europe/Amsterdam")
HOUR = dt.timedelta(hours=1)
NAIVE = dt.datetime(2026, 1, 2)  # noqa: DTZ001  # those without a zone are kept as well
FIELDS = ("open", "high", "low", "close", "volume")
NOTHING: Any = {name: np.empty((0, 0)) for name in FIELDS}
ROWS = [[60_000 * i, 1.0 + i, 2.0 + i, 0.5, 1.5, 10.0] for i in range(13)]
CANDLES = Candles.from_rows(ROWS, timeframe="1m", exchange="binance", symbol="BTC/USDT", now=60_000 * 13 - 1)
BOOK = OrderBook(symbol="BTC/USDT", bids=[[2.0, 1.0]], asks=[[3.0, 1.0], [4.0, 5.0]], time=5, sequence=9)  # type: ignore[arg-type]
MARKET = Market(symbol="BTC/USDT", id="BTCUSDT", base="BTC", quote="USDT", amount_step=Decimal("0.00001000"))
BALANCE = Balance(venue="binance", account=None, time=7, assets={"BTC": AssetBalance(total=Decimal("1.10"))})


class Point(NamedTuple):
    """A subclass of tuple, as users have them."""

    x: int


class Colour(enum.IntEnum):
    """A subclass of int."""

    RED = 1


class Unknown:
    """A class of the user's own."""


SCALARS: list[Any] = [
    None, True, False, 0, -1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**80, -(3**900),
    0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 1 + 2j, complex(math.nan, -0.0),
    "", "é", "\x00", "\U0001f600", "\ud800", 'a"b\\', "null", "[", b"", b"\x00\xff", b"x" * 5000, bytearray(b"ab"),
    bytearray(300), Decimal("0.1000"), Decimal("1E-18"), Decimal("-0"), Decimal("NaN"), Decimal("sNaN7"),
    Decimal("-Infinity"), Decimal("1E+999999"), Decimal("0E-999999"),
]  # fmt: skip
TIMES: list[Any] = [
    dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC), NAIVE, dt.datetime(1, 1, 1, tzinfo=dt.UTC),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999, dt.UTC), NAIVE.replace(tzinfo=AMSTERDAM),
    dt.datetime(2026, 10, 25, 2, 30, tzinfo=AMSTERDAM, fold=1), NAIVE.replace(fold=1),
    dt.datetime(2026, 1, 2, tzinfo=dt.timezone(-HOUR)), dt.datetime(2026, 1, 2, tzinfo=dt.timezone(HOUR, "CET")),
    dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(seconds=1, microseconds=5))),
    dt.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC")), dt.date(2026, 1, 2), dt.time(1, 2, 3, 4),
    dt.time(1, 2, tzinfo=dt.UTC, fold=1), dt.timedelta(days=-3, microseconds=1), dt.timedelta.max, dt.UTC, AMSTERDAM,
    dt.timezone(HOUR),
]  # fmt: skip
CONTAINERS: list[Any] = [
    [], {}, (), set(), frozenset(), (1,), (1, "a"), {1, 2}, frozenset({1, (2, 3)}), [[], {}, ()], {1: "a", (2, 3): "b"},
    {None: 1}, {1.5: 1, math.inf: 2}, {True: 1, "True": 2}, {b"k": Decimal(1)}, {Decimal("1.0"): 1}, {"\ud800": 1},
    {"": 0}, {"a": [Decimal("1.2"), None, {"b": b"x"}]}, [Decimal(1), None, Decimal("2.50")], {"a": Decimal(1)},
    {"a": Decimal(1), "b": None}, [1, 2.5, math.nan], [1.0, math.inf], {"a": {"b": (1, 2)}}, {"a": 2**64},
    {"a": 1, "b": [1, {"c": "null [ null"}]}, [None, "null"], {"x": math.nan, "y": "null", "z": None}, [["["], ("[",)],
    ["\udfff", 2**70], ["decimal", "0.1"], {"decimal": "0.1"}, [0, 1], [1, [2]], {"tuple": [1]},
    [["tuple", [1, [2]]], Decimal(1)],
    {"a": ["record", "Ticker", ["symbol"], ["x"]], "b": b""}, {"p": [True, False, None, -1, 1e300]},
]  # fmt: skip
NUMPY: list[Any] = [
    np.float32(1.5), np.float64(math.nan), np.int64(7), np.uint64(2**64 - 1), np.int8(-1), np.bool_(True),
    np.float16(2), np.complex128(1j), np.datetime64("2026-01-01", "ms"), np.datetime64("NaT"),
    np.timedelta64(5, "D"), np.str_(""), np.str_("é\x00"), np.bytes_(b"a\x00"), {"a": np.float64(1.0)},
    [np.int64(1), 1],
]  # fmt: skip
MODEL: list[Any] = [
    CANDLES, CANDLES[:0], CANDLES[::3], Candles.from_rows(ROWS[:8], timeframe="1h"), Panel.from_candles([CANDLES]),
    Panel(symbols=(), timeframe="1d", time=np.empty(0, np.int64), **NOTHING),
    Bars(time=5, **dict.fromkeys(FIELDS, np.arange(3.0))), BOOK, MARKET, BALANCE, Gap(1, 2, 3), Ticker(symbol="A"),
    Balance(venue="x", account="a", time=None), Ticker(symbol="A", last=math.nan, time=3),
    Trade(symbol="A", id=None, time=1, price=1.0, amount=2.0),
    Order(symbol="A", price=Decimal("1.50"), post_only=False), (Gap(1, 2, 3), Gap(4, 5, 6)),
    [Ticker(symbol="A", last=1.0), Ticker(symbol="B", last=None)], {"A": MARKET, "B": MARKET},
    {"A": Ticker(symbol="A"), "B": MARKET}, [Trade(symbol="A", id="\ud800", time=2**70, price=math.inf, amount=-0.0)],
    {"x": [CANDLES, {"y": CANDLES}], "z": (BALANCE, BOOK)}, {1: MARKET}, [Order(symbol="A"), None],
]  # fmt: skip


@pytest.mark.parametrize("value", [*SCALARS, *TIMES, *CONTAINERS, *NUMPY, *MODEL], ids=lambda value: repr(value)[:40])
def test_value_comes_back_as_it_was(value: Any) -> None:
    """Type and value survive, down to the sign of zero, the digits of a Decimal and the fold of a datetime."""
    assert same(codec.loads(codec.dumps(value)), value)


@pytest.mark.parametrize("value", [*SCALARS, *TIMES, *NUMPY, *MODEL], ids=lambda value: repr(value)[:40])
def test_value_comes_back_from_deep_inside(value: Any) -> None:
    """A value is kept as well within others of any kind."""
    nested = {"a": [value, (value, {"b": value})], "c": [1, 2.0, None, "x"], (1, "k"): value}
    assert same(codec.loads(codec.dumps(nested)), nested)


ARRAYS: list[np.ndarray[Any, Any]] = [
    np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(3, 4).T, np.arange(24).reshape(2, 3, 4)[:, ::2, ::-1],
    np.array([], dtype="int64"), np.empty((0, 3)), np.empty((3, 0), order="F"), np.array(1.5), np.array([True, False]),
    np.array([math.nan, -0.0, math.inf]), np.arange(5, dtype=">i4"), np.arange(5, dtype="u2"), np.ones(2, "f2"),
    np.array([1j], "c8"), np.array(["2026-01-01", "NaT"], dtype="M8[ms]"), np.array([1, 2], dtype="m8[us]"),
    np.array(["a", "é\U0001f600"]), np.array([b"ab", b"c\x00d"]), np.array(["x"], dtype=">U3"),
    np.array([1, "a", None, Decimal("1.0")], dtype=object), np.array([[(1,)], [[2]]], dtype=object).reshape(2, 1),
    np.array(Decimal(1), dtype=object), np.broadcast_to(np.arange(3.0), (4, 3)), np.arange(100_000.0),
    np.array(["1970", "NaT"], dtype="M8[25s]"), np.asfortranarray(np.arange(20_000.0).reshape(100, 200)),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype} {array.shape}")
def test_array_comes_back_as_it_was(array: np.ndarray[Any, Any]) -> None:
    """Dtype with its byte order, shape and every bit survive, whatever the strides were."""
    read = codec.loads(codec.dumps(array))
    assert same(read, array)
    assert read.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous
    assert same(codec.loads(codec.dumps({"a": [array, (array,)]})), {"a": [array, (array,)]})


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_arrays_are_read_only_views_of_the_data(kind: type) -> None:
    """No number is copied on the way back: the array lies in the data, aligned to 64 bytes from its start."""
    data = kind(codec.dumps({"a": np.arange(10.0), "b": CANDLES, "t": np.arange(7, dtype="i2")}))
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    read = codec.loads(data)
    for array in (read["a"], read["b"].close, read["b"].time, read["t"]):
        assert not array.flags.writeable
        assert np.shares_memory(array, np.frombuffer(data, np.uint8))
        assert (array.__array_interface__["data"][0] - start) % 64 == 0


def test_data_at_an_odd_address_gives_aligned_arrays() -> None:
    """A view that starts at an odd byte is copied rather than handed to kernels that expect alignment."""
    shifted = memoryview(b"x" + codec.dumps(np.arange(10.0)))[1:]
    read = codec.loads(shifted)
    assert read.flags.aligned
    assert same(read, np.arange(10.0))


@pytest.mark.parametrize("value", [None, True, 5, -2.5, "é", [], {}, [1, [2, {"a": None}]], {"a": {"b": [1.5, "x"]}}])
def test_plain_values_are_stored_as_plain_json(value: Any) -> None:
    """Other programs read what is JSON: it has no head and no tags."""
    assert codec.dumps(value) == orjson.dumps(value)


def test_large_plain_values_are_stored_as_plain_json() -> None:
    """The quick proofs that a value is plain hold for nulls, lists, and text that looks like either."""
    tickers = {f"S{i}": {"last": i / 7, "bid": None, "info": {"raw": ["null", "[", i]}} for i in range(2000)}
    for value in (tickers, list(tickers.values()), {k: {"last": 1.0} for k in tickers}, [[1, 2.5]] * 5000):
        assert codec.dumps(value) == orjson.dumps(value)


@pytest.mark.parametrize("odd", [math.nan, math.inf, (1, 2), (), 2**64, b"", Decimal(1)], ids=repr)
@pytest.mark.parametrize("records", [3, 2000])
def test_one_odd_value_among_many_is_kept(odd: Any, records: int) -> None:
    """What orjson would write as null or as a list is found among any number of plain values."""
    value = {f"S{i}": {"last": i / 7, "bid": None, "note": "null ["} for i in range(records)}
    value["S1"]["last"] = odd
    assert same(codec.loads(codec.dumps(value)), value)
    lists = [[i, 0.5, None] for i in range(records)]
    lists[1][2] = odd
    assert same(codec.loads(codec.dumps(lists)), lists)


def test_tagged_values_can_be_read_by_eye() -> None:
    """Money in a cache is found with redis-cli: the text after the head is JSON."""
    assert b'{"price":["decimal","0.10"],"legs":["tuple",[1,["a","b"]]]}' in codec.dumps(
        {"price": Decimal("0.10"), "legs": ("a", "b")}
    )


def test_json_of_others_is_read() -> None:
    """A value written by another program with spaces and line ends is read."""
    assert codec.loads(json.dumps({"a": [1, 2.5, None]}, indent=2).encode()) == {"a": [1, 2.5, None]}


REFUSED: list[tuple[Any, str]] = [
    ({"a": [1, 2, 3, len]}, 'value["a"][3] was builtin_function_or_method'),
    ({"a": Unknown()}, 'value["a"] was test_codec.Unknown'),
    ([uuid.UUID(int=0)], "value[0] was uuid.UUID"),
    ({"a": {"b": uuid.UUID(int=0), "c": None}}, 'value["a"]["b"] was uuid.UUID'),
    ([Point(1)], "value[0] was test_codec.Point: it would come back as a plain tuple"),
    ({"c": Colour.RED}, 'value["c"] was test_codec.Colour: it would come back as a plain int'),
    (collections.OrderedDict(a=1), "value was collections.OrderedDict: it would come back as a plain dict"),
    ({(1, Unknown): 2}, "[1] was type"),
    ({1, frozenset([len])}, "member"),
    ((1, [Ticker(symbol=Unknown())]), "value[1][0].symbol was"),  # type: ignore[arg-type]
    (Balance(venue="a", account=None, time=1, assets={"X": len}), 'value.assets["X"] was'),  # type: ignore[dict-item]
    (np.array([1, len], dtype=object), "value.ravel()[1] was"),
    (np.zeros(2, dtype=[("a", "f8")]), "dtype [('a', '<f8')] is not kept"),
    ([np.longdouble(1)], "value[0] was numpy.longdouble"),
    (np.ma.array([1]), "it would come back as a plain ndarray"),
    (memoryview(b"a"), "value was memoryview"),
    (dt.datetime(2026, 1, 1, tzinfo=type("Zone", (dt.tzinfo,), {})()), "is not kept; use zoneinfo"),
    (dt.time(1, tzinfo=type("Zone", (dt.tzinfo,), {})()), "is not kept; use zoneinfo"),
    (dt.timezone(HOUR, "\ud800"), "JSON cannot hold it"),
    ({"a": Ticker(symbol="A", time="now")}, "Ticker.time holds str; it takes int or NoneType"),  # type: ignore[arg-type]
    ([Order(symbol="A", price=1.5)], "Order.price holds float; it takes Decimal or NoneType"),  # type: ignore[arg-type]
    (Balance(venue="a", account=None, time=1, assets={"X": 1}), "something else than AssetBalance"),  # type: ignore[dict-item]
    (Balance(venue="a", account=None, time=1, assets={1: AssetBalance()}), "a key that is not str"),  # type: ignore[dict-item]
    (Candles.from_rows([], timeframe="1m", symbol=5), "Candles takes str"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=lambda part: part[:40] if isinstance(part, str) else "")
def test_what_is_not_kept_is_named_with_its_place(value: Any, message: str) -> None:
    """The message names the type and the path to it, so that one line of the caller is to change."""
    with pytest.raises(CodecError) as caught:
        codec.dumps(value)
    assert message in str(caught.value).replace(f"{__name__}.", "test_codec.")


def test_value_that_contains_itself_is_refused() -> None:
    """A cycle ends in an error that says where it closes, not in a crash."""
    value: dict[str, Any] = {"a": [1, {}]}
    value["a"][1]["b"] = value
    with pytest.raises(CodecError, match=r'value\["a"\]\[1\]\["b"\] is the dict that contains it'):
        codec.dumps(value)
    tuples: list[Any] = [b""]
    tuples.append((tuples, tuples))
    with pytest.raises(CodecError, match="is the list that contains it"):
        codec.dumps(tuples)


@pytest.mark.parametrize(("shell", "depth"), [("list", 254), ("tuple", 64), ("dict", 64), ("key", 64), ("array", 64)])
def test_nesting_is_kept_to_its_limit_and_refused_beyond(shell: str, depth: int) -> None:
    """Up to the stated depth a value comes back; one level more and the message says what the limit is."""
    wraps: dict[str, Any] = {
        "list": lambda v: [v],
        "tuple": lambda v: (v,),
        "dict": lambda v: {1: v},
        "key": lambda v: frozenset([v]),
        "array": lambda v: np.array([v, None], dtype=object),
    }
    value: Any = "core"
    for _ in range(depth):
        value = wraps[shell](value)
    assert same(codec.loads(codec.dumps(value)), value)
    with pytest.raises(CodecError, match="nested more than 64 deep"):
        codec.dumps([wraps[shell](wraps[shell](value)), b""])


def test_errors_are_data_errors() -> None:
    """Who catches DataError catches what a cache may hold."""
    assert issubclass(CodecError, DataError)


def test_many_of_one_kind_are_written_as_columns() -> None:
    """1000 tickers name their fields once, and leave out those that none of them has."""
    tickers = {f"S{i}/USDT": Ticker(symbol=f"S{i}/USDT", last=float(i)) for i in range(1000)}
    data = codec.dumps(tickers)
    assert data.count(b"Ticker") == 1
    assert data.count(b"quote_volume") == 0
    assert codec.loads(data) == tickers


def test_numbers_of_numpy_are_kept_in_fields() -> None:
    """What comes out of arrays is as good as Python's own where a field takes a number, a flag or text."""
    tickers = [Ticker(symbol=np.str_("A"), time=np.int64(i), last=np.float64(i), bid=i) for i in range(3)]  # type: ignore[arg-type]
    assert same(codec.loads(codec.dumps(tickers)), tickers)
    order = Order(symbol="A", post_only=np.bool_(True))  # type: ignore[arg-type]
    assert same(codec.loads(codec.dumps([order, {"a": order}])), [order, {"a": order}])


def test_decoded_records_are_frozen_and_whole() -> None:
    """Records rebuilt from columns are as any others: hashable, immutable, with defaults in fields left out."""
    first, second = codec.loads(codec.dumps([MARKET, MARKET]))
    assert hash(first) == hash(second) == hash(MARKET)
    assert first.linear is None
    with pytest.raises(AttributeError):
        first.symbol = "other"
    assert isinstance(codec.loads(codec.dumps(BALANCE)).assets["BTC"], AssetBalance)
