"""Lists of markets and order books of ten venues, as they were recorded from 2021 on, through ccxt into our values."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from ccxt_truth import assert_agree, assert_markets, assert_plausible, witness
from recorded import ReplayedVenue, Reply, at_leisure, read_calls, replayed

import tradeutils as tu

pytestmark = pytest.mark.recordings

_SPOT = {"fetchMarkets": {"types": ["spot"]}}


@dataclass(frozen=True, slots=True)
class Recording:
    """
    What is replayed of one venue.

    Attributes
    ----------
    venue : str
        ccxt's id.
    markets : mapping
        How many of each kind there must be: as many as rows were recorded, save on kraken.
    made : sequence of Reply
        What ccxt asks for besides, and nobody recorded: lists with nothing in them, save where a comment says more.
    options : mapping
        ccxt's, so that it asks for no other kinds.
    moved : mapping
        Paths that have another number now, with the reply as it was.
    private : bool
        Whether its books are for accounts only.
    """

    venue: str
    markets: Mapping[str, int]
    made: Sequence[Reply] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    private: bool = False


def _json(path: str, body: Any) -> Reply:
    return Reply(path, json.dumps(body))


# The currencies of whose instruments there is a recording in the present shape; the rest of an entry ccxt wants to see.
_DERIBIT_CURRENCIES = [
    {
        "currency": name, "currency_long": name, "coin_type": name, "fee_precision": 4, "withdrawal_fee": 0.0,
        "min_confirmations": 1, "min_withdrawal_fee": 0.0,
    }
    for name in ("SOL", "USDC")
]  # fmt: skip

# Kraken's list has 304 rows. Eleven are dark pools, and four pairs are there of the old and of the new REP: ccxt gives
# each of these fifteen the symbol of another.
RECORDED = {
    "BINANCE": Recording("binance", {"spot": 1695}, options=_SPOT),
    "BINANCE_FUTURES": Recording("binanceusdm", {"swap": 120, "future": 2}),
    "COINBASE": Recording("coinbaseexchange", {"spot": 162}, [_json("/currencies", [])]),
    "DERIBIT": Recording(
        "deribit",
        {"option": 172, "future": 4, "swap": 17},
        [_json("/api/v2/public/get_currencies", {"jsonrpc": "2.0", "result": _DERIBIT_CURRENCIES})],
        {"fetchMarkets": {"fetchAllMarkets": False}},
    ),
    "GATEIO": Recording(
        "gate",
        {"spot": 1458},
        [_json("/api/v4/spot/currencies", []), _json("/api/v4/margin/currency_pairs", [])],
        _SPOT,
    ),
    "HUOBI": Recording(
        "htx",
        {"spot": 938},
        [_json("/v2/reference/currencies", {"code": 200, "data": []})],
        {"fetchMarkets": {"types": {"spot": True, "linear": False, "inverse": False}}},
    ),
    "KRAKEN": Recording("kraken", {"spot": 289}, [_json("/0/public/Assets", {"error": [], "result": {}})]),
    "KUCOIN": Recording(
        "kucoin",
        {"spot": 634},
        [
            _json("/api/ua/v1/account/mode", {"code": "200000", "data": {"selfAccountMode": "CLASSIC"}}),
            _json("/api/v3/currencies", {"code": "200000", "data": []}),
            _json("/api/v1/market/allTickers", {"code": "200000", "data": {"ticker": []}}),
            _json("/api/v1/isolated/symbols", {"code": "200000", "data": []}),
            _json("/api/v1/hf/accounts/opened", {"code": "200000", "data": True}),
            _json("/api/v3/margin/symbols", {"code": "200000", "data": {"items": []}}),
        ],
        _SPOT,
        {"/api/v1/symbols": "/api/v2/symbols"},
        private=True,
    ),
    "OKX": Recording("okx", {"spot": 513, "swap": 166, "future": 104, "option": 696}),
}

OLD = {
    ("BITGET", "/api/spot/v1/public/products"): "ccxt asks /api/v2/spot/public/symbols, whose keys are others",
    ("BITGET", "/api/mix/v1/market/contracts"): "ccxt asks /api/v2/mix/market/contracts, whose keys are others",
    ("BYBIT", "/v2/public/symbols"): "ccxt asks /v5/market/instruments-info, whose keys are others",
    ("DERIBIT", "/api/v2/public/get_instruments BTC"): "of 2021, without counter_currency, from which symbols are made",
    ("DERIBIT", "/api/v2/public/get_instruments ETH"): "of 2021, without counter_currency, from which symbols are made",
    ("GATEIO", "/api/v4/spot/order_book"): "ten books of 2021, without current, their time: ccxt takes none without it",
}
"""What was recorded of interfaces that are no longer what ccxt speaks, and why that is so."""

BOOKS = {"BINANCE": 4, "BINANCE_FUTURES": 4, "KUCOIN": 9}
"""How many books were recorded."""

ALICE = tu.Credentials(key="k", secret="c2VjcmV0", password="p")  # nobody checks them here


def _recorded(recordings: pathlib.Path, name: str) -> list[Reply]:
    """Return all that was recorded of a venue."""
    files = sorted((recordings / "cryptofeed").glob(f"{name}.0*"))
    files += sorted((recordings / "cryptofeed").glob(f"{name}.http.*"))
    return [reply for file in files for reply in read_calls(file)]


def _about(reply: Reply) -> str:
    return " ".join([reply.path, *(value for name, value in reply.about.items() if name == "currency")])


@contextlib.asynccontextmanager
async def _served(recordings: pathlib.Path, name: str) -> AsyncIterator[tuple[ReplayedVenue, tu.Exchange]]:
    """Serve what was recorded of a venue, and open ours on it."""
    spec = RECORDED[name]
    replies = [
        Reply(spec.moved.get(one.path, one.path), one.body, one.about)
        for one in _recorded(recordings, name)
        if (name, _about(one)) not in OLD
    ]
    account = tu.Account(name="alice", exchange=spec.venue, credentials=ALICE) if spec.private else None
    async with (
        replayed(*replies, *spec.made) as venue,
        at_leisure(spec.venue, venue.url, options=spec.options, account=account) as exchange,
    ):
        yield venue, exchange


@pytest.mark.parametrize("name", RECORDED)
async def test_recorded_markets_are_what_ccxt_says(recordings: pathlib.Path, name: str) -> None:
    """Every market of the list, every figure of it, digit by digit; none is lost."""
    spec = RECORDED[name]
    async with (
        _served(recordings, name) as (venue, exchange),
        witness(spec.venue, venue.url, options=spec.options) as ccxts,
    ):
        markets = await exchange.load_markets()
        assert Counter(market.type for market in markets.values()) == spec.markets
        await ccxts.says("load_markets")
        assert_markets(markets, ccxts.floats, ccxts.texts)
        assert all(market.id and market.base and market.quote for market in markets.values())


@pytest.mark.parametrize("name", BOOKS)
async def test_recorded_books_are_what_ccxt_says(recordings: pathlib.Path, name: str) -> None:
    """Every level of both sides, in order, and none more or less than was recorded."""
    spec = RECORDED[name]
    books = [one for one in _recorded(recordings, name) if "symbol" in one.about]
    assert len(books) == BOOKS[name]
    account = tu.Account(name="alice", exchange=spec.venue, credentials=ALICE) if spec.private else None
    async with (
        _served(recordings, name) as (venue, exchange),
        witness(spec.venue, venue.url, options=spec.options, account=account) as ccxts,
    ):
        by_id = {market.id: symbol for symbol, market in (await exchange.load_markets()).items()}
        for book in books:
            symbol = by_id[book.about["symbol"]]
            ours = await exchange.fetch_order_book(symbol)
            theirs = await ccxts.floats.fetch_order_book(symbol)
            assert_agree(ours, theirs, None)
            assert_plausible(ours)
            body = json.loads(book.body)  # type: ignore[arg-type]
            rows = body.get("data", body)
            assert (len(ours.bids), len(ours.asks)) == (len(rows["bids"]), len(rows["asks"]))


def test_every_recording_is_replayed_or_told_why_not(recordings: pathlib.Path) -> None:
    """Each venue's file and each of its paths is in one of the tables here, and nothing else is."""
    names = {file.name.partition(".")[0] for file in (recordings / "cryptofeed").glob("*.0*")}
    assert names == {*RECORDED, *(name for name, _ in OLD)}
    untold = {(name, _about(one)) for name in names - {*RECORDED} for one in _recorded(recordings, name)}
    assert untold == {one for one in OLD if one[0] not in RECORDED}
    told = {(name, _about(one)) for name in RECORDED for one in _recorded(recordings, name)}
    assert {one for one in OLD if one[0] in RECORDED} <= told
    with_books = {name for name, path in told - {*OLD} if path.endswith(("depth", "level2", "order_book"))}
    assert with_books == {*BOOKS}


@pytest.mark.parametrize(("name", "path"), [one for one in OLD if one[0] not in RECORDED])
async def test_ccxt_no_longer_asks_what_was_recorded_of_the_old_interfaces(name: str, path: str) -> None:
    """A release of ccxt that does has to be replayed."""
    venue = {"BITGET": "bitget", "BYBIT": "bybit"}[name]
    async with replayed() as server:
        with pytest.raises(tu.errors.VenueError):
            async with at_leisure(venue, server.url) as exchange:
                await exchange.load_markets()
        assert server.asked
        assert not any(f" {path}?" in one or f" {path} " in one for one in server.asked)
        server.unmatched.clear()


async def test_ccxt_does_not_read_gates_books_of_2021(recordings: pathlib.Path) -> None:
    """A release of ccxt that does has to be compared."""
    books = [one for one in _recorded(recordings, "GATEIO") if one.path == "/api/v4/spot/order_book"]
    assert len(books) == 10
    async with _served(recordings, "GATEIO") as (venue, exchange):
        with venue.also(*books), pytest.raises(tu.errors.VenueError, match="missing timestamp"):
            await exchange.fetch_order_book("HAI/ETH")
