"""Lines on the simulated venue, in its four dialects: what arrives, what is left, and what breaks."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tests.wires import Heard
from tradeutils import errors, sim
from tradeutils.budget import LocalBudget
from tradeutils.exchange.streams import line, pool, sockets
from tradeutils.exchange.streams.limits import LineLimits, Pace, line_limits
from tradeutils.exchange.streams.topics import Kind, Topic
from tradeutils.exchange.venues.venue import CcxtVenue
from tradeutils.settings import Account, Credentials, ExchangeSettings
from tradeutils.sim.feeds.faults import FeedFault

HOLDER = dataclasses.replace(
    sim.DEFAULT_ACCOUNT, balances={"BTC": "1", "USDT": "2000000"}, wallets={"swap": {"USDT": "100000"}}
)
DIALECTS = ("binance", "bybit", "okx", "kraken")
BTC, ETH, OTHER = "BTC/USDT", "ETH/USDT", "BNB/USDT"
SWAP = "BTC/USDT:USDT"
PUBLIC: tuple[Kind, ...] = ("ticker", "trades", "ohlcv", "book")


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let okx be dialled more than three times a second; a test of its own sees to that pace."""
    monkeypatch.setattr(pool, "line_limits", lambda name: dataclasses.replace(line_limits(name), dials=Pace(100, 1.0)))


@asynccontextmanager
async def _opened(
    dialect: str, *, account: bool = False, kind: str = "spot", **options: Any
) -> AsyncIterator[tuple[sim.SimulatedVenue, CcxtVenue]]:
    keys = Account(
        name="a",
        exchange=dialect,
        credentials=Credentials(
            key=HOLDER.key,
            secret=HOLDER.secret,
            password=HOLDER.passphrase if dialect == "okx" else None,
        ),
    )
    accounts = [HOLDER] if dialect == "binance" else [sim.DEFAULT_ACCOUNT]
    # A venue that tells what is new every 20 ms and lets us ask as fast as we can: these tests wait for both.
    quick = dataclasses.replace(sim.Limits.of(dialect), counter=10_000, decay=1000.0, endpoints=100.0)
    async with sim.SimulatedVenue(
        dialect, symbols=4, accounts=accounts, pulse=0.02, limits=quick, **options
    ) as simulated:
        venue = CcxtVenue(
            dialect,
            budget=LocalBudget,
            url=simulated.url,
            account=keys if account else None,
            settings=ExchangeSettings(options={"defaultType": kind}, rate_limit_ms=1),
        )
        try:
            yield simulated, venue
        finally:
            await venue.aclose()


def _topics(symbol: str) -> list[Topic]:
    return [Topic(kind, symbol, "1m" if kind == "ohlcv" else None) for kind in PUBLIC]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_public_topics_bring_what_rest_says_and_are_left_at_the_venue(dialect: str) -> None:
    """Tickers, trades, candles and books of two markets; the venue counts who follows what."""
    async with _opened(dialect) as (simulated, venue):
        simulated.clock.run(60)
        heard = Heard()
        topics = [*_topics(BTC), *_topics(ETH)]
        await venue.lines.place(topics, heard)
        await heard.until(lambda: all(len(heard.of(topic)) > 2 for topic in topics), limit=15)
        simulated.clock.freeze()
        await asyncio.sleep(0.1)
        assert not heard.failures
        rest = await venue.fetch_trades(BTC, since=None, limit=10)
        ids = [one["id"] for one in heard.of(Topic("trades", BTC))]
        assert len(ids) == len(set(ids))
        assert rest[-1].id in ids
        book = heard.of(Topic("book", BTC))[-1]
        asked = await venue.fetch_order_book(BTC, 5)
        assert [[price, amount] for price, amount, *_ in book["bids"][:5]] == asked.bids[:5].tolist()
        assert [[price, amount] for price, amount, *_ in book["asks"][:5]] == asked.asks[:5].tolist()
        assert simulated.feeds.connections == 4
        await venue.lines.leave(_topics(ETH), heard)
        if dialect != "kraken":  # its class of ccxt has no way to say so
            async with asyncio.timeout(5):
                while len(simulated.feeds.topics) > 4:  # noqa: ASYNC110 -- the venue's side has no event
                    await asyncio.sleep(0.02)
        await venue.lines.leave(_topics(BTC), heard)
        async with asyncio.timeout(5):
            while simulated.feeds.connections:  # noqa: ASYNC110 -- the venue's side has no event
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("dialect", "kind"), [*((one, "spot") for one in DIALECTS), ("binance", "swap"), ("bybit", "swap"), ("okx", "swap")]
)
async def test_an_account_hears_of_its_orders_and_balances(dialect: str, kind: str) -> None:
    """From the placing of an order to its end, with exact figures."""
    async with _opened(dialect, account=True, kind=kind) as (_, venue):
        heard = Heard()
        await venue.lines.place([Topic("orders"), Topic("balance")], heard)
        ccxt: Any = venue._connection.ccxt
        symbol = BTC if kind == "spot" else SWAP
        price = Decimal(str((await ccxt.fetch_ticker(symbol))["last"])).quantize(Decimal(1)) - 500
        order = await ccxt.create_order(symbol, "limit", "buy", Decimal("0.01"), price)
        await heard.until(lambda: heard.of(Topic("orders")), limit=10)
        await ccxt.cancel_order(order["id"], symbol)
        orders = Topic("orders")
        await heard.until(lambda: heard.of(orders) and heard.of(orders)[-1]["status"] == "canceled", limit=10)
        assert {one["id"] for one in heard.of(orders)} == {order["id"]}
        assert all(type(one["amount"]) is Decimal for one in heard.of(orders) if one["amount"] is not None)
        assert not heard.failures


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_bad_key_is_refused_with_its_name(dialect: str) -> None:
    """While it is placed, or at once afterwards."""
    async with _opened(dialect) as (simulated, _):
        credentials = Credentials(key="x" * 64, secret="eHh4eHh4eHg=", password="p" if dialect == "okx" else None)
        account = Account(name="a", exchange=dialect, credentials=credentials)
        settings = ExchangeSettings(rate_limit_ms=1)
        venue = CcxtVenue(dialect, budget=LocalBudget, url=simulated.url, account=account, settings=settings)
        heard = Heard()
        try:
            await venue.lines.place([Topic("orders")], heard)
            await heard.until(lambda: heard.failures)
            raise heard.failures[0][1]
        except errors.TradeutilsError as error:
            assert isinstance(error, errors.AuthenticationFailed), repr(error)  # noqa: PT017 -- raised or told
        finally:
            await venue.aclose()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["drop", "malformed"])
async def test_a_broken_line_says_so_and_its_topics_can_be_placed_again(dialect: str, kind: str) -> None:
    """With a fresh instance of ccxt, on which everything arrives anew."""
    async with _opened(dialect) as (simulated, venue):
        simulated.clock.run(60)
        heard = Heard()
        topics = [Topic("trades", BTC), Topic("trades", ETH)]
        await venue.lines.place(topics, heard)
        await heard.until(lambda: heard.values)
        simulated.feed_faults.add(FeedFault(kind=kind, channel="trades", count=1))
        await heard.until(lambda: heard.failures, limit=10)
        assert isinstance(heard.failures[0][1], errors.StreamBroken)
        assert {*heard.failures[0][2]} == set(topics)
        before = len(heard.values)
        await venue.lines.place(topics, heard)
        await heard.until(lambda: len(heard.values) > before + 4, limit=10)
        assert len(heard.failures) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["spot", "swap"])
async def test_a_wrong_secret_is_refused_as_such(dialect: str, kind: str) -> None:
    """In whatever words and at whatever step; futures of binance's are opened with the key alone."""
    if (dialect, kind) in (("kraken", "swap"), ("binance", "swap")):
        return
    async with _opened(dialect) as (simulated, _):
        credentials = Credentials(
            key=HOLDER.key, secret="eHh4eHh4eHg=", password=HOLDER.passphrase if dialect == "okx" else None
        )
        account = Account(name="a", exchange=dialect, credentials=credentials)
        settings = ExchangeSettings(options={"defaultType": kind}, rate_limit_ms=1)
        venue = CcxtVenue(dialect, budget=LocalBudget, url=simulated.url, account=account, settings=settings)
        try:
            for topic in (Topic("orders"), Topic("balance")):
                with pytest.raises(errors.AuthenticationFailed):
                    await venue.lines.place([topic], Heard())
        finally:
            await venue.aclose()


def _delist(simulated: sim.SimulatedVenue) -> None:
    """Have the venue's websockets know ETH/USDT no longer, which REST has listed."""
    dialect: Any = simulated._feeds._dialect
    if simulated.name == "kraken":
        del dialect.markets[ETH]
    else:
        del dialect.names._all["ETH-USDT"]


@pytest.mark.parametrize("dialect", ["okx", "kraken"])  # which answer for each market of a request by itself
@pytest.mark.parametrize("kind", ["trades", "ohlcv", "book"])
async def test_a_market_that_the_venue_refuses_is_an_error_and_costs_nobody_else_anything(
    dialect: str, kind: Kind
) -> None:
    """Asked for again it is refused again; ccxt's classes would wait for it for ever, or end all that is there."""
    async with _opened(dialect) as (simulated, venue):
        simulated.clock.run(60)
        await venue.load_markets()
        _delist(simulated)
        frame = "1m" if kind == "ohlcv" else None
        btc, bad, other = (Topic(kind, one, frame) for one in (BTC, ETH, OTHER))
        heard = Heard()
        await venue.lines.place([btc], heard)
        for topics in ([other, bad], [bad], [bad]):
            with pytest.raises((errors.RequestRefused, errors.BadSymbol)):
                await venue.lines.place(topics, heard)
        await venue.lines.place([other], heard)
        before = len(heard.of(btc))
        await heard.until(lambda: heard.of(other) and len(heard.of(btc)) > before, limit=10)
        assert not heard.failures
        async with asyncio.timeout(5):
            while simulated.feeds.connections > len(venue.lines.lines):  # noqa: ASYNC110 -- the venue has no event
                await asyncio.sleep(0.02)
        assert all(one.topics for one in venue.lines.lines)


async def test_candles_of_one_market_in_two_timeframes_are_kept_apart() -> None:
    """Kraken takes one interval a market and connection, and ccxt's class has one hash for all."""
    async with _opened("kraken") as (simulated, venue):
        simulated.clock.run(60)
        heard = Heard()
        topics = [Topic("ohlcv", BTC, "1m"), Topic("ohlcv", BTC, "5m")]
        await venue.lines.place(topics, heard)
        await heard.until(lambda: all(len(heard.of(topic)) > 3 for topic in topics), limit=10)
        for topic, step in zip(topics, (60_000, 300_000), strict=True):
            assert {row[0] % step for row in heard.of(topic)} == {0}
            assert len({row[0] for row in heard.of(topic)}) > 3


@pytest.mark.parametrize("dialect", ["bybit", "okx"])
@pytest.mark.parametrize("depth", [None, 1])
async def test_a_book_is_left_in_the_depth_in_which_it_was_asked_for(dialect: str, depth: int | None) -> None:
    """And can be placed on the same connection again; ccxt leaves another depth unless it is told."""
    async with _opened(dialect, kind="swap") as (simulated, venue):
        simulated.clock.run(60)
        heard = Heard()
        one, two = (Topic("book", f"{base}/USDT:USDT", depth=depth) for base in ("BTC", "ETH"))
        await venue.lines.place([one, two], heard)
        await heard.until(lambda: heard.of(one) and heard.of(two), limit=10)
        await venue.lines.leave([two], heard)
        assert len(simulated.feeds.topics) == 1
        before = len(heard.of(two))
        await venue.lines.place([two], heard)
        await heard.until(lambda: len(heard.of(two)) > before, limit=10)
        assert simulated.feeds.connections == 1


async def test_a_token_that_has_ended_is_replaced_on_a_fresh_connection() -> None:
    """The topic can be placed again at once, and what was there goes on."""
    async with _opened("kraken", account=True) as (simulated, venue):
        heard = Heard()
        await venue.lines.place([Topic("orders")], heard)
        keys: Any = simulated._feeds._dialect.keys  # type: ignore[attr-defined]
        keys._tokens.clear()
        simulated._feeds._pulse.connections[0].session._token = ""  # type: ignore[attr-defined]
        with pytest.raises(errors.StreamBroken, match="Invalid session"):
            await venue.lines.place([Topic("balance")], heard)
        assert not heard.failures
        await venue.lines.place([Topic("balance")], heard)
        await heard.until(lambda: heard.of(Topic("balance")), limit=10)


@pytest.mark.parametrize(
    ("dialect", "frame"),
    [
        ("okx", {"event": "error", "code": "60011", "msg": "Please log in", "connId": "1"}),
        ("bybit", {"success": False, "ret_msg": "Request not authorized", "op": "subscribe", "conn_id": "1"}),
    ],
    ids=["okx", "bybit"],
)
async def test_a_login_that_has_expired_is_made_anew(dialect: str, frame: dict[str, Any]) -> None:
    """What was confirmed once may pass: a fresh connection logs in, and tells whether the keys are good."""
    async with _opened(dialect, account=True) as (_, venue):
        heard = Heard()
        await venue.lines.place([Topic("orders")], heard)
        first = venue.lines.lines[0]
        for socket in list(first._sockets.values()):
            if socket.is_open:
                socket._take(frame)
        await heard.until(lambda: heard.failures)
        _, error, topics = heard.failures[0]
        assert isinstance(error, errors.StreamBroken)
        assert topics == [Topic("orders")]
        await venue.lines.place([Topic("orders")], heard)
        assert venue.lines.lines[0] is not first


async def test_a_ping_does_not_wait_for_messages_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a connection that is told much would count as dead."""
    monkeypatch.setattr(sockets, "_PING_S", 0.05)
    monkeypatch.setattr(sockets, "_SILENT_S", 0.3)
    monkeypatch.setattr(line, "_LEAVING_S", 0.05)
    monkeypatch.setattr(pool, "line_limits", lambda _: LineLimits(messages=Pace(1, 60.0)))
    async with _opened("bybit") as (_, venue):
        heard = Heard()
        await venue.lines.place([Topic("ticker", BTC)], heard)
        waiting = asyncio.create_task(venue.lines.place([Topic("ticker", ETH)], heard))
        await asyncio.sleep(0.6)
        assert not heard.failures
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_connection_that_was_sent_as_much_as_it_takes_is_given_nothing_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Okx counts requests by the hour and connection; what is there stays there."""
    monkeypatch.setattr(pool, "line_limits", lambda _: LineLimits(requests=1))
    async with _opened("okx") as (simulated, venue):
        heard = Heard()
        await venue.lines.place([Topic("trades", BTC)], heard)
        await venue.lines.place([Topic("trades", ETH)], heard)
        assert [len(line.topics) for line in venue.lines.lines] == [1, 1]
        assert simulated.feeds.connections == 2


async def test_all_who_share_a_budget_share_the_dials_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever exchanges they belong to."""
    monkeypatch.setattr(pool, "line_limits", lambda _: LineLimits(dials=Pace(2, 0.6)))
    async with _opened("okx") as (simulated, _):
        budget = LocalBudget()
        venues = [CcxtVenue("okx", budget=lambda: budget, url=simulated.url) for _ in range(3)]
        try:
            await asyncio.gather(*(venue.load_markets() for venue in venues))
            began = time.monotonic()
            await asyncio.gather(*(venue.lines.place([Topic("trades", BTC)], Heard()) for venue in venues))
            assert time.monotonic() - began >= 0.6
            assert simulated.feeds.connections == 3
        finally:
            await asyncio.gather(*(venue.aclose() for venue in venues))


async def test_long_candles_of_okx_open_when_those_over_rest_do() -> None:
    """Its class would stream those of Hong Kong's days."""
    async with sim.SimulatedVenue("okx", symbols=2) as simulated:
        simulated.clock.run(60)
        async with tu.Exchange("okx", url=simulated.url, budget=LocalBudget()) as exchange:
            for frame in ("6h", "1d", "1w", "1M"):
                rest = await exchange.fetch_ohlcv(BTC, frame, limit=1, closed_only=False)
                async with exchange.watch_ohlcv(BTC, frame, closed_only=False) as stream, asyncio.timeout(5):
                    candles = await anext(stream)
                assert isinstance(candles, tu.Candles)
                assert candles.time[-1] == rest.time[-1]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_who_is_cancelled_at_any_moment_leaves_nothing_behind(dialect: str) -> None:
    """Neither a connection, nor a line that goes on to log in for nobody."""
    async with _opened(dialect, account=True) as (simulated, venue):
        await venue.load_markets()
        topics = [Topic("book", BTC), Topic("ohlcv", BTC, "1m"), Topic("orders"), Topic("balance")]
        for turns in (0, 1, 5, 9, 13, 17, 21, 25, 30, 40):
            heard = Heard()
            placing = asyncio.create_task(venue.lines.place(topics, heard))
            for _ in range(turns):
                await asyncio.sleep(0)
            placing.cancel()
            if await asyncio.gather(placing, return_exceptions=True) == [None]:
                await venue.lines.leave(topics, heard)
            async with asyncio.timeout(5):
                while simulated.feeds.connections or venue.lines.lines:  # noqa: ASYNC110 -- the venue has no event
                    await asyncio.sleep(0.005)
            assert not heard.failures


async def test_a_refused_connection_is_unavailable() -> None:
    """And once the venue takes connections again, the next is made."""
    async with _opened("binance") as (simulated, venue):
        simulated.feed_faults.add(FeedFault(kind="refuse", count=1))
        with pytest.raises(errors.VenueUnavailable, match="503"):
            await venue.lines.place([Topic("trades", BTC)], Heard())
        await venue.lines.place([Topic("trades", BTC)], Heard())


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_lost_difference_of_a_book_ends_that_book(dialect: str) -> None:
    """Where the venue numbers them; placed again it starts from a snapshot."""
    async with _opened(dialect) as (simulated, venue):
        simulated.clock.run(60)
        heard = Heard()
        topic = Topic("book", BTC)
        await venue.lines.place([topic], heard)
        await heard.until(lambda: len(heard.values) > 3, limit=10)
        # Kraken's checksum is of ten levels: of those below them, one that is lost is no fault until it is among them.
        often = {"every": 0.3} if dialect == "kraken" else {"count": 1}
        simulated.feed_faults.add(FeedFault(kind="lose", channel="book", **often))
        await heard.until(lambda: heard.failures, limit=10)
        assert heard.failures[0][2] == [topic]
        simulated.feed_faults.clear()
        before = len(heard.values)
        await venue.lines.place([topic], heard)
        await heard.until(lambda: len(heard.values) > before + 2, limit=10)
