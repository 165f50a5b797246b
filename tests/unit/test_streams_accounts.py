"""Balances and orders out of private streams, and what REST says of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils.errors import NotSupportedByVenue, OrderNotFound, VenueUnavailable
from tradeutils.exchange.streams.assembling.accounts import BalanceAssembler
from tradeutils.exchange.streams.assembling.orders import OrderAssembler
from tradeutils.model.streaming import Missed

NOW = 1_706_659_200_000
WHERE: Any = {"venue": "made", "operation": "fetch"}


class Account:
    """REST of an account that a test sets as it likes."""

    def __init__(self) -> None:
        self.now = NOW
        self.assets: dict[str, tuple[str, str]] = {"USDT": ("100", "0")}
        self.orders: dict[str, tu.Order] = {}
        self.forgotten: set[str] = set()
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.lists = {"fetch_orders", "fetch_closed_orders"}

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error

    async def fetch_time(self) -> int:
        return self.now

    async def fetch_balance(self, wallet: str | None = None) -> tu.Balance:
        self._ask("fetch_balance")
        held = {
            asset: tu.AssetBalance(free=Decimal(free), used=Decimal(used), total=Decimal(free) + Decimal(used))
            for asset, (free, used) in self.assets.items()
        }
        return tu.Balance(venue="made", account="alice", time=self.now, assets=held, wallet="spot")

    async def fetch_open_orders(self, symbol: str | None = None) -> list[tu.Order]:
        self._ask("fetch_open_orders")
        return [one for one in self.orders.values() if one.status == "open" and symbol in (None, one.symbol)]

    async def fetch_order(self, id: str, symbol: str) -> tu.Order:  # noqa: A002
        self._ask(f"fetch_order {id}")
        if id in self.forgotten:
            raise OrderNotFound("no such order", **WHERE)
        return self.orders[id]

    async def _listed(self, name: str, symbol: str, since: int, *, closed: bool) -> list[tu.Order]:
        self._ask(name)
        if name not in self.lists:
            raise NotSupportedByVenue("no list", **WHERE)
        found = [one for one in self.orders.values() if one.symbol == symbol and (one.time or 0) >= since]
        return [one for one in found if one.status == "closed" or not closed]

    async def fetch_orders(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[tu.Order]:
        return await self._listed("fetch_orders", symbol, since, closed=False)

    async def fetch_closed_orders(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[tu.Order]:
        return await self._listed("fetch_closed_orders", symbol, since, closed=True)


def balance(**assets: tuple[str | None, str | None, str]) -> dict[str, Any]:
    """Return ccxt's dict of a balance: free, used and total of each asset."""
    entries = {
        asset: {"free": free and Decimal(free), "used": used and Decimal(used), "total": Decimal(total)}
        for asset, (free, used, total) in assets.items()
    }
    return {**entries, "total": {asset: entry["total"] for asset, entry in entries.items()}, "info": {}}


def totals(told: Any) -> dict[str, str]:
    """Return what the one balance that was told holds."""
    (one,) = told
    return {asset: str(held.total) for asset, held in one.items()}


async def test_a_balance_is_whole_though_the_stream_tells_what_changed() -> None:
    """REST tells the rest; an asset that is gone is absent."""
    assembler, account = BalanceAssembler("made"), Account()
    assert assembler.take(balance(BTC=("1", "0", "1")), None, NOW) == ()
    (told,) = await assembler.resume(account)
    assert (told.venue, told.account, told.wallet, told.time) == ("made", "alice", "spot", NOW)
    assert totals([told]) == {"USDT": "100", "BTC": "1"}
    assert assembler.take(balance(BTC=("1", "0", "1")), None, NOW) == ()
    assert totals(assembler.take(balance(BTC=("1", "0", "1"), USDT=("0", "0", "0")), None, NOW + 10)) == {"BTC": "1"}
    assert assembler.finish(told) is told
    assert assembler.conflation_key(told) is None


async def test_an_old_entry_does_not_undo_a_newer_one() -> None:
    """ccxt hands out all that the stream has ever told, with each message."""
    assembler, account = BalanceAssembler("made"), Account()
    await assembler.resume(account)
    assembler.take(balance(BTC=("1", "0", "1")), None, NOW)
    account.assets, account.now = {"BTC": ("2", "0")}, NOW + 60_000
    assert totals(await assembler.settle(account, account.now)) == {"BTC": "2"}
    told = assembler.take(balance(BTC=("1", "0", "1"), ETH=("3", "0", "3")), None, NOW + 61_000)
    assert totals(told) == {"BTC": "2", "ETH": "3"}


async def test_an_answer_that_is_behind_does_not_undo_what_was_told() -> None:
    """The stream is believed for some seconds; later REST is."""
    assembler, account = BalanceAssembler("made"), Account()
    await assembler.resume(account)
    assert totals(assembler.take(balance(USDT=("50", "0", "50")), None, NOW + 59_000)) == {"USDT": "50"}
    account.now = NOW + 60_000
    assert not await assembler.resume(account)
    account.now = NOW + 120_000
    assert totals(await assembler.settle(account, account.now)) == {"USDT": "100"}
    assert assembler.silent == 1


async def test_a_quiet_balance_is_compared_with_rest() -> None:
    """Once a minute, and not while messages come."""
    assembler, account = BalanceAssembler("made", audit=60_000), Account()
    assert assembler.due(NOW) is None
    await assembler.resume(account)
    assert assembler.due(NOW) == 60.0
    assembler.take(balance(BTC=("1", "0", "1")), None, NOW + 30_000)
    assert assembler.due(NOW + 60_000) == 30.0
    assert not await assembler.settle(account, NOW + 60_000)
    account.assets["BTC"], account.now = ("1", "0"), NOW + 90_000
    assert not await assembler.settle(account, account.now)
    assert (assembler.silent, account.asked) == (0, ["fetch_balance"] * 2)


async def test_totals_alone_are_not_told() -> None:
    """Kraken's stream does not say what is held for orders: REST does."""
    assembler, account = BalanceAssembler("made"), Account()
    await assembler.resume(account)
    account.assets = {"USDT": ("60", "20")}
    assert assembler.take(balance(USDT=(None, None, "80")), None, NOW) == ()
    assert assembler.due(NOW) == 0.3
    (told,) = await assembler.settle(account, NOW + 300)
    assert (told["USDT"].free, told["USDT"].used) == (Decimal(60), Decimal(20))
    account.assets, account.now = {"USDT": ("50", "30")}, NOW + 5_300  # it was behind
    assert assembler.due(NOW + 300) == 4.7
    (told,) = await assembler.settle(account, account.now)
    assert told["USDT"].used == Decimal(30)
    assert (assembler.due(account.now), assembler.silent) == (60.0, 0)


async def test_a_balance_that_cannot_be_read_is_asked_for() -> None:
    """It is never taken for nothing."""
    assembler, account = BalanceAssembler("made"), Account()
    await assembler.resume(account)
    assert assembler.take({"total": {"BTC": "?"}, "BTC": {"free": "?", "used": "0", "total": "?"}}, None, NOW) == ()
    assert assembler.take("nothing", None, NOW) == ()
    account.assets["BTC"] = ("7", "0")
    assert totals(await assembler.settle(account, NOW + 300)) == {"USDT": "100", "BTC": "7"}


async def test_after_a_break_nothing_is_told_until_rest_has_answered() -> None:
    """What changed meanwhile is told once."""
    assembler, account = BalanceAssembler("made"), Account()
    await assembler.resume(account)
    assembler.interrupted(NOW + 1_000)
    assert assembler.take(balance(BTC=("1", "0", "1")), None, NOW + 2_000) == ()
    account.assets, account.now, account.error = {"USDT": ("5", "0")}, NOW + 2_000, VenueUnavailable("down", **WHERE)
    assert not await assembler.resume(account)
    assert assembler.due(NOW + 2_000) == 0.5
    account.error = None
    assert totals(await assembler.settle(account, NOW + 3_000)) == {"USDT": "5", "BTC": "1"}
    account.assets, account.now = {"USDT": ("4", "0")}, NOW + 7_000  # it was behind
    assert assembler.due(NOW + 2_000) == 5.0
    assert totals(await assembler.settle(account, NOW + 7_000)) == {"USDT": "4"}
    assert assembler.silent == 0


def order(number: int, status: str = "open", filled: str = "0", **changed: Any) -> tu.Order:
    """Return an order as REST has it."""
    values = {
        "symbol": "A/B", "id": str(number), "type": "limit", "side": "buy", "status": status, "price": Decimal(2),
        "amount": Decimal(4), "filled": Decimal(filled), "time": NOW + number,
    }  # fmt: skip
    return tu.Order(**{**values, **changed})


def raw(number: int, status: str = "open", filled: str = "0", **changed: Any) -> dict[str, Any]:
    """Return the same as ccxt has it."""
    values = {
        "symbol": "A/B", "id": str(number), "type": "limit", "side": "buy", "status": status, "price": Decimal(2),
        "amount": Decimal(4), "filled": Decimal(filled), "timestamp": NOW + number,
    }  # fmt: skip
    return {**values, **changed}


async def test_each_state_of_an_order_is_told_once() -> None:
    """As `fetch_order` has it; one that says less than is known is counted."""
    assembler = OrderAssembler()
    assert assembler.take([raw(1)], None, NOW) == [order(1)]
    assert assembler.take([raw(1)], None, NOW) == []
    assert assembler.take([raw(1, filled="3")], None, NOW) == [order(1, filled="3")]
    assert assembler.take([raw(1, filled="1")], None, NOW) == []
    assert assembler.take([raw(1, "closed", "4", price=None)], None, NOW) == [order(1, "closed", "4")]
    assert assembler.take([raw(1, filled="4")], None, NOW) == []
    assert assembler.late == 2
    assert assembler.take([raw(2, id=None)], None, NOW) == []
    assert assembler.take(None, None, NOW) == []
    assert assembler.conflation_key(order(1)) == "1"
    assert assembler.finish(item := order(1)) is item


def test_an_older_message_is_known_by_the_venues_stamp() -> None:
    """A price that was changed back would be no sign of it."""
    assembler = OrderAssembler()
    assembler.take([raw(1, price=Decimal(3), lastUpdateTimestamp=NOW + 2)], None, NOW)
    assert assembler.take([raw(1, price=Decimal(2), lastUpdateTimestamp=NOW + 1)], None, NOW) == []
    assert len(assembler.take([raw(1, price=Decimal(2), lastUpdateTimestamp=NOW + 3)], None, NOW)) == 1


def test_orders_of_another_market_are_left_out() -> None:
    """Venues tell of all markets at once."""
    assembler = OrderAssembler("A/B")
    assert assembler.take([raw(1, symbol="C/D"), raw(2)], None, NOW) == [order(2)]


async def test_orders_from_before_are_learned_and_not_told() -> None:
    """Those placed while the stream was being opened are."""
    assembler, account = OrderAssembler("A/B", since=NOW + 5), Account()
    account.orders = {"1": order(1), "7": order(7), "8": order(8, "closed", "4")}
    account.now = NOW + 100
    assert await assembler.resume(account) == [order(7), order(8, "closed", "4")]
    assert assembler.take([raw(1)], None, NOW + 100) == []
    assert assembler.due(NOW + 100) == 5.0
    account.now = NOW + 5_100
    assert await assembler.settle(account, account.now) == []
    assert assembler.due(account.now) == 60.0


async def test_after_a_break_every_order_is_told_as_the_venue_has_it() -> None:
    """Filled, canceled, placed, and placed and filled at once."""
    assembler, account = OrderAssembler("A/B"), Account()
    assert await assembler.resume(account) == []
    assembler.take([raw(1), raw(2), raw(3)], None, NOW)
    assembler.interrupted(NOW + 1)
    account.now = NOW + 60
    states = [order(1, filled="1"), order(2, "closed", "4"), order(3, "canceled"), order(50), order(51, "closed", "4")]
    account.orders = {one.id: one for one in states if one.id is not None}
    told = await assembler.resume(account)
    assert sorted(told, key=lambda one: one.time) == states
    assert account.asked[1:] == ["fetch_open_orders", "fetch_order 2", "fetch_order 3", "fetch_orders"]
    assert await assembler.resume(account) == []


async def test_what_a_venue_cannot_tell_of_a_break_is_told_as_missed() -> None:
    """An order that it has forgotten, a list that it has not, and markets of which nothing is known."""
    assembler, account = OrderAssembler(), Account()
    await assembler.resume(account)
    assembler.take([raw(1)], None, NOW)
    assembler.interrupted(NOW + 10)
    account.now, account.forgotten, account.lists = NOW + 10_000, {"1"}, set()
    told = await assembler.resume(account)
    assert [(event.symbol, event.since, event.until) for event in told if isinstance(event, Missed)] == [
        ("A/B", NOW, NOW + 10_000),
        (None, NOW, NOW + 10_000),
    ]
    assembler.take([raw(2)], None, NOW + 10_000)
    assembler.interrupted(NOW + 10_001)
    account.orders, account.now = {"2": order(2)}, NOW + 20_000
    assert [event.symbol for event in await assembler.resume(account)] == ["A/B", None]


async def test_filled_orders_are_looked_for_where_no_list_has_all() -> None:
    """Kraken lists open and closed orders apart; others those that were filled, so that more may have been missed."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.interrupted(NOW)
    account.now, account.lists = NOW + 60, {"fetch_closed_orders"}
    account.orders = {"50": order(50, "closed", "4")}
    told = await assembler.resume(account)
    assert told[0] == order(50, "closed", "4")
    assert [(one.symbol, one.since, one.until) for one in told[1:]] == [("A/B", NOW, NOW + 60)]


async def test_a_quiet_stream_of_orders_is_compared_with_rest() -> None:
    """What it should have told is told, and counted."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.take([raw(1)], None, NOW + 10_000)
    assert assembler.due(NOW + 60_000) == 10.0
    assert await assembler.settle(account, NOW + 60_000) == ()
    account.orders, account.now = {"1": order(1)}, NOW + 70_000
    assert await assembler.settle(account, account.now) == []
    assert assembler.silent == 0
    account.orders, account.now = {"1": order(1, "closed", "4")}, NOW + 140_000
    assert await assembler.settle(account, account.now) == [order(1, "closed", "4")]
    assert assembler.silent == 1


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
async def test_what_was_learned_before_an_error_is_not_lost(failing: int) -> None:
    """Nor told twice; the rest is asked for again."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.take([raw(1), raw(2)], None, NOW)
    assembler.interrupted(NOW + 1)
    states = [order(1, "closed", "4"), order(2, "canceled"), order(50), order(51, "closed", "4")]
    account.orders, account.now = {str(one.id): one for one in states}, NOW + 60
    ask: Callable[[str], None] = account._ask
    count = 0

    def refuse(what: str) -> None:
        nonlocal count
        count += 1
        ask(what)
        if count == failing:
            raise VenueUnavailable("down", **WHERE)

    account._ask = refuse  # type: ignore[method-assign]
    told = list(await assembler.resume(account))
    assert assembler.due(NOW + 60) == 0.5
    told += await assembler.settle(account, NOW + 600)
    assert sorted(told, key=lambda one: one.time) == states
    account.now = NOW + 5_060
    assert not await assembler.settle(account, account.now)
    assert assembler.due(account.now) == 60.0
    assert assembler.silent == 0


async def test_while_the_connection_is_gone_rest_is_asked_and_the_break_stays_open() -> None:
    """What happens after that question is looked for when it is back."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.interrupted(NOW + 1)
    account.now = NOW + 60_000
    assert await assembler.settle(account, account.now) == []
    account.orders, account.now = {"70": order(70, "closed", "4", time=NOW + 70_000)}, NOW + 80_000
    assert await assembler.resume(account) == [account.orders["70"]]


async def test_a_change_that_names_no_market_is_looked_up() -> None:
    """Kraken says no more than which order it was; ccxt makes an order of it, with what was filled as its amount."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.take([raw(1), raw(2), raw(7, symbol="C/D")], None, NOW)
    account.orders = {"1": order(1, "canceled", "1"), "2": order(2)}
    short = {"symbol": None, "amount": Decimal(1)}
    assert assembler.take([raw(1, "canceled", **short), raw(7, "canceled", **short)], None, NOW + 1_000) == []
    assert assembler.due(NOW + 1_000) == 0.0
    account.now = NOW + 1_000
    assert await assembler.settle(account, account.now) == [order(1, "canceled", "1")]
    partial = raw(3, info={"cum_qty": 1, "order_id": "3"}, amount=Decimal(1))
    assert assembler.take([partial], None, NOW + 2_000) == []
    account.orders["3"], account.now = order(3, filled="1"), NOW + 2_000
    assert await assembler.settle(account, account.now) == [account.orders["3"]]
    assert assembler.take([raw(1, "canceled", **short)], None, NOW + 3_000) == []
    assert (assembler.late, assembler.silent) == (1, 0)


async def test_a_change_is_looked_up_until_rest_knows_it() -> None:
    """It may be behind by some seconds."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.take([raw(1)], None, NOW)
    account.orders, account.now = {"1": order(1)}, NOW + 1_000
    assembler.take([raw(1, "canceled", symbol=None)], None, NOW + 1_000)
    assert await assembler.settle(account, NOW + 1_000) == []
    assert assembler.due(NOW + 1_000) == 1.0
    account.orders["1"], account.now = order(1, "canceled"), NOW + 2_000
    assert await assembler.settle(account, NOW + 2_000) == [order(1, "canceled")]
    assert assembler.silent == 0


async def test_what_rest_did_not_have_yet_after_a_break_is_told_seconds_later() -> None:
    """An order that ended a moment before the stream came back; the stream is not taken for dead."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.take([raw(1)], None, NOW)
    assembler.interrupted(NOW + 1_000)
    account.orders, account.now = {"1": order(1)}, NOW + 2_000
    assert await assembler.resume(account) == []
    account.orders = {"1": order(1, "closed", "4"), "9": order(9, "canceled", time=NOW + 1_500)}
    account.now = NOW + 7_000
    assert assembler.due(NOW + 2_000) == 5.0
    assert await assembler.settle(account, account.now) == list(account.orders.values())
    assert assembler.silent == 0


async def test_what_the_stream_tells_while_rest_is_asked_is_not_undone() -> None:
    """An order that has ended is not told as open after that, however late the answer."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.interrupted(NOW + 1)
    account.orders, account.now = {"50": order(50)}, NOW + 60
    ask = account._ask

    def tell_meanwhile(what: str) -> None:
        ask(what)
        if what == "fetch_orders":
            told.extend(assembler.take([raw(50, "closed", "4")], None, NOW + 61))

    told: list[Any] = []
    account._ask = tell_meanwhile  # type: ignore[method-assign]
    told += await assembler.resume(account)
    assert told == [order(50, "closed", "4")]


async def test_a_break_that_is_noticed_late_began_with_the_last_message() -> None:
    """A dead connection is quiet for a while before anybody knows."""
    assembler, account = OrderAssembler("A/B"), Account()
    await assembler.resume(account)
    assembler.take([raw(1)], None, NOW)
    account.orders = {"1": order(1), "9": order(9, "canceled", time=NOW + 1_500)}
    assembler.interrupted(NOW + 30_000)
    account.now = NOW + 30_001
    assert await assembler.resume(account) == [account.orders["9"]]


def test_orders_that_are_over_are_forgotten_in_the_end() -> None:
    """The newest two thousand are kept, to know late messages by."""
    assembler = OrderAssembler()
    assembler.take([raw(number, "closed", "4") for number in range(3_000)], None, NOW)
    assert assembler.take([raw(2_999)], None, NOW) == []
    assert assembler.take([raw(0)], None, NOW) == [order(0)]
