"""Lines on the simulated venue, in its four dialects: what arrives, what is left, and what breaks."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.wires import Heard
from tradeutils import errors, sim
from tradeutils.budget import LocalBudget
from tradeutils.exchange.streams.topics import Kind, Topic
from tradeutils.exchange.venue import CcxtVenue
from tradeutils.settings import Account, Credentials, ExchangeSettings
from tradeutils.sim.feeds.faults import FeedFault

HOLDER = dataclasses.replace(
    sim.DEFAULT_ACCOUNT, balances={"BTC": "1", "USDT": "2000000"}, wallets={"swap": {"USDT": "100000"}}
)
DIALECTS = ("binance", "bybit", "okx", "kraken")
BTC, ETH = "BTC/USDT", "ETH/USDT"
SWAP = "BTC/USDT:USDT"
PUBLIC: tuple[Kind, ...] = ("ticker", "trades", "ohlcv", "book")


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
    async with sim.SimulatedVenue(dialect, symbols=4, accounts=accounts, **options) as simulated:
        venue = CcxtVenue(
            dialect,
            budget=LocalBudget,
            url=simulated.url,
            account=keys if account else None,
            settings=ExchangeSettings(options={"defaultType": kind}),
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
        await asyncio.sleep(0.4)
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
        venue = CcxtVenue(dialect, budget=LocalBudget, url=simulated.url, account=account)
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


async def test_a_refused_connection_is_unavailable() -> None:
    """And once the venue takes connections again, the next is made."""
    async with _opened("binance") as (simulated, venue):
        simulated.feed_faults.add(FeedFault(kind="refuse", count=1))
        with pytest.raises(errors.VenueUnavailable, match="503"):
            await venue.lines.place([Topic("trades", BTC)], Heard())
        await venue.lines.place([Topic("trades", BTC)], Heard())


@pytest.mark.parametrize("dialect", ["binance", "okx"])  # ccxt's other classes do not look
async def test_a_lost_difference_of_a_book_ends_that_book(dialect: str) -> None:
    """Where the venue numbers them; placed again it starts from a snapshot."""
    async with _opened(dialect) as (simulated, venue):
        simulated.clock.run(60)
        heard = Heard()
        topic = Topic("book", BTC)
        await venue.lines.place([topic], heard)
        await heard.until(lambda: len(heard.values) > 3, limit=10)
        simulated.feed_faults.add(FeedFault(kind="lose", channel="book", count=1))
        await heard.until(lambda: heard.failures, limit=10)
        assert heard.failures[0][2] == [topic]
        before = len(heard.values)
        await venue.lines.place([topic], heard)
        await heard.until(lambda: len(heard.values) > before + 2, limit=10)
