"""
Binance's replies as gocryptotrader recorded them from 2019 on, through ccxt into our values.

A hundred and more replies of spot, linear and inverse markets: candles, tickers, books, trades, funding, open
interest, and an account's balance and orders. Some were shortened or corrected by hand, as ccxt is given them here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from ccxt_truth import Witness, assert_agree, assert_markets, assert_plausible, witness
from recorded import ReplayedVenue, Reply, at_leisure, read_routes, replayed

import tradeutils as tu
from tradeutils import errors

pytestmark = pytest.mark.recordings

ALICE = tu.Account(name="alice", exchange="binance", credentials=tu.Credentials(key="key", secret="secret"))
LISTS = ("/api/v3/exchangeInfo", "/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo")
# Markets of which there are replies, and that the shortened lists leave out: as others, but for these keys.
UNLISTED: dict[str, dict[str, Any]] = {
    "/api/v3/exchangeInfo": {"symbol": "DOGEUSDT", "baseAsset": "DOGE", "quoteAsset": "USDT"},
    "/dapi/v1/exchangeInfo": {
        "symbol": "BTCUSD_201225", "contractType": "CURRENT_QUARTER", "deliveryDate": 1608883200000,
    },
}  # fmt: skip

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """A call of ours, and the call of ccxt's that has the same answer."""

    method: str
    args: tuple[Any, ...] = ()
    more: Mapping[str, Any] | None = None


Asks = Callable[[str, Query, Any], Question]


def _candles(method: str) -> Asks:
    def ask(symbol: str, query: Query, data: Any) -> Question:
        return Question(method, (symbol, query["interval"]), {"since": data[0][0], "until": data[-1][0] + 1})

    return ask


def _of_market(method: str) -> Asks:
    return lambda symbol, _query, _data: Question(method, (symbol,))


def _book(symbol: str, query: Query, _data: Any) -> Question:
    return Question("fetch_order_book", (symbol,), {"limit": int(query["limit"])})


def _past(method: str, key: str, *timeframe: str) -> Asks:
    def ask(symbol: str, query: Query, data: Any) -> Question:
        args = (symbol, *(query[name] for name in timeframe))
        return Question(method, args, {"since": data[0][key], "until": data[-1][key] + 1})

    return ask


def _tickers(symbol: str, query: Query, _data: Any) -> Question:
    if "symbols" in query:
        return Question("fetch_tickers", (["BTC/USDT", "ETH/USDT"],))
    return Question("fetch_ticker", (symbol,)) if symbol else Question("fetch_tickers")


def _funding(symbol: str, _query: Query, _data: Any) -> Question:
    return Question("fetch_funding_rate", (symbol,)) if symbol else Question("fetch_funding_rates")


def _open_orders(symbol: str, _query: Query, _data: Any) -> Question:
    return Question("fetch_open_orders", (symbol,)) if symbol else Question("fetch_open_orders", (), {"type": "spot"})


def _order(method: str) -> Asks:
    return lambda symbol, query, _data: Question(method, (query["orderId"], symbol))


CALLED: Mapping[str, Asks] = {
    "GET /api/v3/klines": _candles("fetch_ohlcv"),
    "GET /fapi/v1/klines": _candles("fetch_ohlcv"),
    "GET /dapi/v1/klines": _candles("fetch_ohlcv"),
    "GET /dapi/v1/indexPriceKlines": _candles("fetch_index_ohlcv"),
    "GET /dapi/v1/markPriceKlines": _candles("fetch_mark_ohlcv"),
    "GET /api/v3/depth": _book,
    "GET /fapi/v1/depth": _book,
    "GET /dapi/v1/depth": _book,
    "GET /api/v3/aggTrades": _of_market("fetch_trades"),
    "GET /fapi/v1/aggTrades": _of_market("fetch_trades"),
    "GET /dapi/v1/aggTrades": _of_market("fetch_trades"),
    "GET /api/v3/trades": _of_market("fetch_trades"),
    "GET /fapi/v1/trades": _of_market("fetch_trades"),
    "GET /dapi/v1/trades": _of_market("fetch_trades"),
    "GET /api/v3/historicalTrades": _of_market("fetch_trades"),
    "GET /dapi/v1/historicalTrades": _of_market("fetch_trades"),
    "GET /api/v3/ticker/24hr": _tickers,
    "GET /fapi/v1/ticker/24hr": _tickers,
    "GET /dapi/v1/ticker/24hr": _tickers,
    "GET /fapi/v1/premiumIndex": _funding,
    "GET /dapi/v1/premiumIndex": _funding,
    "GET /fapi/v1/fundingRate": _past("fetch_funding_rate_history", "fundingTime"),
    "GET /dapi/v1/fundingRate": _past("fetch_funding_rate_history", "fundingTime"),
    "GET /fapi/v1/openInterest": _of_market("fetch_open_interest"),
    "GET /dapi/v1/openInterest": _of_market("fetch_open_interest"),
    "GET /futures/data/openInterestHist": _past("fetch_open_interest_history", "timestamp", "period"),
    "GET /api/v3/account": lambda _symbol, _query, _data: Question("fetch_balance"),
    "GET /api/v3/allOrders": _of_market("fetch_orders"),
    "GET /api/v3/openOrders": _open_orders,
    "GET /api/v3/order": _order("fetch_order"),
    "DELETE /api/v3/order": _order("cancel_order"),
}
"""What of ours, and of ccxt's, asks for each of the recorded replies."""

OTHERWISE = {
    "GET /api/v3/trades": {"fetchTradesMethod": "publicGetTrades"},
    "GET /fapi/v1/trades": {"fetchTradesMethod": "fapiPublicGetTrades"},
    "GET /dapi/v1/trades": {"fetchTradesMethod": "dapiPublicGetTrades"},
    "GET /api/v3/historicalTrades": {"fetchTradesMethod": "publicGetHistoricalTrades"},
    "GET /dapi/v1/historicalTrades": {"fetchTradesMethod": "dapiPublicGetHistoricalTrades"},
    "GET /fapi/v1/ticker/24hr": {"defaultType": "swap", "defaultSubType": "linear"},
    "GET /dapi/v1/ticker/24hr": {"defaultType": "swap", "defaultSubType": "inverse"},
    "GET /dapi/v1/premiumIndex": {"defaultSubType": "inverse"},
}
"""ccxt's options that make it ask there."""

_OTHER_USE = "neither ours nor ccxt's methods behind ours ask there: "
NOT_CALLED = {
    "GET /api/v3/avgPrice": _OTHER_USE + "an average price",
    "GET /api/v3/ticker/bookTicker": _OTHER_USE + "bids and asks come with the tickers, or as a book",
    "GET /fapi/v1/ticker/bookTicker": _OTHER_USE + "bids and asks come as a book",
    "GET /dapi/v1/ticker/bookTicker": _OTHER_USE + "bids and asks come as a book",
    "GET /api/v3/ticker/price": _OTHER_USE + "prices come with the tickers",
    "GET /fapi/v1/ticker/price": _OTHER_USE + "prices come with the tickers",
    "GET /dapi/v1/ticker/price": _OTHER_USE + "prices come with the tickers",
    "GET /dapi/v1/continuousKlines": _OTHER_USE + "candles of a pair, whatever its contract",
    "GET /fapi/v1/fundingInfo": _OTHER_USE + "intervals of funding",
    "GET /dapi/v1/fundingInfo": _OTHER_USE + "intervals of funding",
    "GET /fapi/v1/indexInfo": _OTHER_USE + "what an index is made of",
    "GET /futures/data/basis": _OTHER_USE + "statistics",
    "GET /futures/data/globalLongShortAccountRatio": _OTHER_USE + "statistics",
    "GET /futures/data/takerBuySellVol": _OTHER_USE + "statistics",
    "GET /futures/data/takerlongshortRatio": _OTHER_USE + "statistics",
    "GET /futures/data/topLongShortAccountRatio": _OTHER_USE + "statistics",
    "GET /futures/data/topLongShortPositionRatio": _OTHER_USE + "statistics",
    "GET /sapi/v1/capital/config/getall": _OTHER_USE + "what can be deposited",
    "GET /sapi/v1/capital/deposit/address": _OTHER_USE + "deposits",
    "POST /sapi/v1/capital/withdraw/apply": _OTHER_USE + "withdrawals",
    "GET /wapi/v3/depositAddress.html": "an interface that the venue has ended",
    "POST /wapi/v3/withdraw.html": "an interface that the venue has ended",
    "GET /wapi/v3/withdrawHistory.html": "an interface that the venue has ended",
    "POST /api/v3/order": "the reply was recorded as null",
    "POST /api/v3/order/test": "the reply was recorded as null, and nothing of ours asks there",
    "POST /api/v3/userDataStream": "websocket streams",
    "PUT /api/v3/userDataStream": "websocket streams",
}
"""Replies that are not replayed, and why."""

NOT_ASKED = {
    ("GET /dapi/v1/premiumIndex", "pair"): "ccxt asks by symbol, or for all",
    ("DELETE /api/v3/order", "origClientOrderId"): "with two ids at once",
}
"""Single replies to questions that ccxt does not put so, by a parameter of theirs."""

AT_ITS_TIME = {"GET /futures/data/openInterestHist"}
"""Where only the newest month is kept: the venue's clock is set back to when it answered last."""


def _is_rows(data: Any) -> bool:
    return bool(data) and not (isinstance(data, dict) and "code" in data)


@pytest.fixture(scope="module", name="routes")
def _routes(recordings: pathlib.Path) -> dict[str, list[tuple[Reply, dict[str, str]]]]:
    """Return all recorded replies, by method and path."""
    found: dict[str, list[tuple[Reply, dict[str, str]]]] = {}
    for reply, query in read_routes(recordings / "gocryptotrader" / "binance_http.json.gz"):
        found.setdefault(f"{reply.method} {reply.path}", []).append((reply, query))
    return found


@contextlib.asynccontextmanager
async def _served(
    routes: Mapping[str, list[tuple[Reply, dict[str, str]]]],
    options: Mapping[str, Any] | None = None,
    now: int | None = None,
) -> AsyncIterator[tuple[ReplayedVenue, tu.Exchange, Witness]]:
    """Serve the lists of markets; open ours and ccxt's there. ``now``: the venue's time, ms UTC."""
    lists = []
    for path in LISTS:
        body = json.loads(routes[f"GET {path}"][0][0].body)  # type: ignore[arg-type]
        if path in UNLISTED:
            body["symbols"].append({**body["symbols"][0], **UNLISTED[path]})
        lists.append(Reply(path, json.dumps(body)))
    async with replayed(*lists) as venue:
        venue.behind = 0 if now is None else venue.now() - now
        venue.replies += [
            Reply(path, lambda: json.dumps({"serverTime": venue.now()}))
            for path in ("/api/v3/time", "/fapi/v1/time", "/dapi/v1/time")
        ]
        async with (
            at_leisure("binance", venue.url, account=ALICE, options=options) as exchange,
            witness("binance", venue.url, account=ALICE, options=options) as ccxts,
        ):
            await exchange.load_markets()
            await ccxts.says("load_markets")
            yield venue, exchange, ccxts


def _symbol(ccxts: Witness, route: str, query: Query) -> str:
    """Return ccxt's symbol of the market that a query is about; none: ``""``."""
    name = query.get("symbol") or (f"{query['pair']}_PERP" if "indexPriceKlines" in route else "")
    if "contractType" in query:
        name = "BTCUSD_201225"
    if not name:
        return ""
    spot = "/api/v3/" in route
    return next(str(one["symbol"]) for one in ccxts.floats.markets_by_id[name] if one["spot"] is spot)


async def _theirs(ccxts: Witness, question: Question, rows: int) -> tuple[Any, Any]:
    """Return what ccxt makes of the reply to a question of ours."""
    more = dict(question.more or {})
    args = [*question.args, *([more["limit"]] if "limit" in more else [])]
    if question.method.endswith("ohlcv"):
        args += [None, rows]
    elif question.method == "fetch_funding_rate_history":
        args.append(more["since"])
    elif question.method == "fetch_open_interest_history":
        args += [more["since"], None, {"until": more["until"] - 1}]
    return await ccxts.says(question.method, *args)


def _usable(routes: Mapping[str, Any], route: str) -> Iterator[tuple[Reply, dict[str, str], Any]]:
    for reply, query in routes[route]:
        data = json.loads(reply.body)
        if _is_rows(data) and not any((route, name) in NOT_ASKED for name in query):
            yield reply, query, data


REFUSED: dict[str, tuple[str, tuple[int, type[errors.VenueError]]]] = {
    "GET /fapi/v1/ticker/24hr": ("fetch_ticker", (-1121, errors.BadSymbol)),
    "GET /dapi/v1/klines": ("fetch_ohlcv", (-4088, errors.RequestRefused)),
    "GET /dapi/v1/historicalTrades": ("fetch_trades", (-2014, errors.AuthenticationFailed)),
}
"""Recorded refusals: by which call, with which number, and what they are to us."""

ANSWERED = {route: asks for route, asks in CALLED.items() if route != "GET /dapi/v1/historicalTrades"}


@pytest.mark.parametrize("route", ANSWERED)
async def test_recorded_replies_are_what_ccxt_says(routes: Mapping[str, Any], route: str) -> None:
    """Every value of every row, each as often as it takes for the columns to be learnt, proved and used."""
    newest = [data[-1]["timestamp"] for _, _, data in _usable(routes, route)] if route in AT_ITS_TIME else []
    replayed_count = 0
    async with _served(routes, OTHERWISE.get(route), max(newest, default=None)) as (venue, exchange, ccxts):
        for reply, query, data in _usable(routes, route):
            question = CALLED[route](_symbol(ccxts, route, query), query, data)
            with venue.also(Reply(reply.path, reply.body, reply.about, reply.method)):
                theirs = await _theirs(ccxts, question, len(data))
                for _ in range(4 if question.method in ("fetch_ohlcv", "fetch_tickers") else 1):
                    ours = await getattr(exchange, question.method)(*question.args, **(question.more or {}))
                    if question.method == "cancel_order":  # ccxt gives the id of the cancel
                        assert ours.client_id == data["origClientOrderId"]
                        ours = dataclasses.replace(ours, client_id=data["clientOrderId"])
                    assert_agree(ours, *theirs)
                    assert_plausible(ours)
                    assert _count(ours) == _expected_count(data, question, ccxts)
            replayed_count += 1
        assert replayed_count == sum(1 for _ in _usable(routes, route)) > 0
        if "klines" in route:
            assert exchange._venue._candles._proved  # type: ignore[attr-defined]
        if "24hr" in route:
            assert exchange._venue._tickers._trusted is True  # type: ignore[attr-defined]


def _count(ours: Any) -> int:
    if isinstance(ours, tu.OrderBook):
        return len(ours.bids) + len(ours.asks)
    return len(ours) if isinstance(ours, (list, dict, tu.Candles)) else 1


def _expected_count(data: Any, question: Question, ccxts: Witness) -> int:
    if isinstance(data, dict):
        return len(data["bids"]) + len(data["asks"]) if "bids" in data else 1
    if question.method != "fetch_orders":
        return len(data)
    # One of the replies is of another market than was asked for: ccxt leaves such orders out.
    return sum(ccxts.floats.safe_symbol(row["symbol"]) == question.args[0] for row in data)


@pytest.mark.parametrize("route", REFUSED)
async def test_recorded_refusals_have_their_class(routes: Mapping[str, Any], route: str) -> None:
    """The venue's own numbers, read as of spot, linear or inverse markets."""
    method, (code, wanted) = REFUSED[route]
    refusals = [(reply, query) for reply, query in routes[route] if f'"code": {code}' in reply.body]
    assert refusals
    async with _served(routes, OTHERWISE.get(route)) as (venue, exchange, _):
        symbol = "BTC/USDT:USDT" if "/fapi/" in route else "BTC/USD:BTC"
        for reply, _query in refusals:
            with venue.also(Reply(reply.path, reply.body, status=400)), pytest.raises(wanted) as caught:
                await getattr(exchange, method)(symbol)
            assert type(caught.value) is wanted
            assert str(code) in str(caught.value.__cause__)


def test_every_reply_of_a_called_path_is_replayed_or_told_why_not(routes: Mapping[str, Any]) -> None:
    """What was recorded as null is counted; every refusal and every question put otherwise is in a table."""
    nulls = sum(json.loads(reply.body) is None for route in CALLED for reply, _ in routes[route])
    refused = {route for route in CALLED for reply, _ in routes[route] if '"code": -' in reply.body}
    otherwise = {(route, name) for route in CALLED for _, query in routes[route] for name in query} & {*NOT_ASKED}
    assert (nulls, refused, otherwise) == (4, {*REFUSED}, {*NOT_ASKED})


async def test_recorded_time_is_the_venues(routes: Mapping[str, Any]) -> None:
    """ccxt's class for the futures alone asks them for the time."""
    (reply, _), *_ = routes["GET /fapi/v1/time"]
    told = json.loads(reply.body)["serverTime"]
    async with replayed(reply) as venue:
        venue.behind = venue.now() - told
        async with at_leisure("binanceusdm", venue.url) as exchange:
            assert abs(await exchange.fetch_time() - told) < 10_000


async def test_recorded_markets_are_what_ccxt_says(routes: Mapping[str, Any]) -> None:
    """Spot, linear and inverse: every figure, digit by digit."""
    async with _served(routes) as (_, exchange, ccxts):
        markets = await exchange.load_markets()
        assert len(markets) == 25 + 25 + 25 + len(UNLISTED)
        assert_markets(markets, ccxts.floats, ccxts.texts)


def test_every_recorded_reply_is_replayed_or_told_why_not(routes: Mapping[str, Any]) -> None:
    """The tables here name all paths of the recording and no others."""
    lists = {f"GET {path}" for path in LISTS} | {"GET /fapi/v1/time"}
    assert set(routes) == {*CALLED, *NOT_CALLED, *lists}
    assert not {*CALLED} & {*NOT_CALLED}
