"""Orders out of private streams that break while the account trades, in four dialects of the simulated venue."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Final

import pytest

import tradeutils as tu
from tradeutils.model.streaming import Missed, StreamEvent
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import Limits, SimulatedAccount, serve

SYMBOL: Final = "BTC/USDT"
KEY: Final = "alice-key-0001"
SECRET: Final = "YWxpY2Utc2VjcmV0LTAwMDE="
ALICE: Final = SimulatedAccount(
    name="alice", key=KEY, secret=SECRET, passphrase="pass",
    balances={"USDT": Decimal(1_000_000), "BTC": Decimal(5)},
)  # fmt: skip
LOW: Final = Decimal(20_000)  # at which nothing is bought


async def known(last: dict[str | None, tu.Order], wanted: dict[str | None, str]) -> None:
    """Wait until the last state that was told of each order is the one that is due."""
    async with asyncio.timeout(12):
        while {name: one.status for name, one in last.items() if name in wanted} != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("symbol", [SYMBOL, None], ids=["one market", "all"])
@pytest.mark.parametrize("name", ["binance", "bybit", "okx", "kraken"])
async def test_what_became_of_orders_during_a_break_is_told(name: str, symbol: str | None) -> None:
    """Placed, canceled, filled, and placed and ended at once, while the connection is away; each as REST has it."""
    credentials = tu.Credentials(key=KEY, secret=SECRET, password="pass")
    account = tu.Account(name="alice", exchange=name, credentials=credentials)
    settings = ExchangeSettings(rate_limit_ms=1)
    # Kraken's own would make the test wait for the counter of an account.
    unlimited = tu.LocalBudget([tu.Window("counter", 10**9, 60, scope="account")] if name == "kraken" else None)
    with serve(name, symbols=4, pulse=0.05, seed=3, accounts=[ALICE], limits=Limits.none()) as venue:
        async with (
            asyncio.timeout(40),
            tu.Exchange(name, url=venue.url, account=account, settings=settings, budget=unlimited) as exchange,
            exchange.watch_orders(symbol) as orders,
        ):
            last: dict[str | None, tu.Order] = {}
            course: list[tu.Order] = []
            missed: list[Missed] = []

            async def read() -> None:
                async for order in orders:
                    if isinstance(order, Missed):
                        missed.append(order)
                    elif not isinstance(order, StreamEvent):
                        last[order.id] = order
                        course.append(order)

            async def place(price: Decimal = LOW, kind: str = "limit") -> str:
                given = () if kind == "market" else (price,)
                placed: tu.Order = await exchange.create_order(SYMBOL, kind, "buy", Decimal("0.01"), *given)
                assert placed.id is not None
                return placed.id

            reading = asyncio.create_task(read())
            while orders.state != "live":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            stays, goes = await place(), await place()
            await known(last, {stays: "open", goes: "open"})
            venue.feed_faults.add("refuse", count=3, status=503)
            venue.feed_faults.add("drop", channel="orders", count=1)
            unseen = await place()  # strikes the connection
            await exchange.cancel_order(goes, SYMBOL)
            bought = await place(kind="market")
            fleeting = await place()
            await exchange.cancel_order(fleeting, SYMBOL)
            venue.feed_faults.clear()
            wanted: dict[str | None, str] = {
                stays: "open",
                goes: "canceled",
                unseen: "open",
                bought: "closed",
                fleeting: "canceled",
            }
            if name in ("bybit", "okx"):  # which list what was filled, and nothing else
                del wanted[fleeting]
            await known(last, wanted)
            if name in ("bybit", "okx"):
                # The simulated venue's orders are stamped to the second.
                began = (await exchange.fetch_order(fleeting, SYMBOL)).time or 0
                assert any(one.symbol == SYMBOL and one.since - 1_000 <= began < one.until for one in missed)
            else:
                assert [one.symbol for one in missed] == [None] * (symbol is None)
            await exchange.cancel_order(stays, SYMBOL)
            await known(last, {**wanted, stays: "canceled"})
            for found in wanted:
                told, asked = last[found], await exchange.fetch_order(found, SYMBOL)
                assert (told.symbol, told.status, told.amount, told.filled or 0) == (
                    asked.symbol, asked.status, asked.amount, asked.filled or 0,
                )  # fmt: skip
            ended = {"closed", "canceled"}
            assert sum(order.status in ended for order in course) == len({one.id for one in course}) - 1
            assert orders.reconnects >= 1
            reading.cancel()
