"""Laws of orders and balances out of private streams: in the end all is known as the venue has it."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamed import Clock, Driver, Message, RestFaults, passing

import tradeutils as tu
from tradeutils.errors import OrderNotFound, VenueUnavailable
from tradeutils.exchange.streams.assembling.accounts import BalanceAssembler
from tradeutils.exchange.streams.assembling.orders import OrderAssembler
from tradeutils.model.streaming import Missed

START = 1_706_659_200_000
LENGTH = 60_000
QUIET = 150_000  # two audits and more
SYMBOLS = ("A/B", "C/D")
SEEDS = st.integers(0, 2**32).map(random.Random)
FAULTS = st.builds(
    RestFaults,
    latency=st.sampled_from([0, 30, 700, 5_000]),
    failures=st.integers(0, 4),
    lag=st.sampled_from([0, 0, 900, 4_000]),
)


@dataclasses.dataclass(frozen=True)
class Change:
    """What becomes of an order at a moment."""

    at: int
    order: tu.Order


def made_changes(chance: random.Random) -> list[Change]:
    """Return the lives of some orders: placed before or after the start, filled in parts, ended or not."""
    changes = []
    for number in range(chance.randrange(1, 12)):
        at = START + chance.randrange(-20_000, LENGTH)
        order = tu.Order(
            symbol=chance.choice(SYMBOLS), id=f"o{number}", type="limit", side="buy", status="open", time=at,
            price=Decimal(9), amount=Decimal(4), filled=Decimal(0), remaining=Decimal(4),
        )  # fmt: skip
        changes.append(Change(at, order))
        for _ in range(chance.randrange(4)):
            at += chance.choice([1, 40, 700, 9_000])
            filled = min(Decimal(4), (order.filled or Decimal(0)) + chance.randrange(1, 3))
            status = "closed" if filled == 4 else "open"
            if status == "open" and chance.random() < 0.3:
                filled, status = order.filled or Decimal(0), "canceled"
            order = dataclasses.replace(order, status=status, filled=filled, remaining=4 - filled)
            changes.append(Change(at, order))
            if status != "open":
                break
    return sorted(changes, key=lambda change: change.at)


class OrderRest:
    """REST of an account with a known past."""

    def __init__(self, changes: Sequence[Change], clock: Clock, faults: RestFaults) -> None:
        self.changes, self.clock, self.faults = changes, clock, faults
        self.asked = 0

    async def fetch_time(self) -> int:
        """Return what is believed to be the time."""
        return self.clock.believed

    async def _known(self) -> dict[str, tu.Order]:
        self.asked += 1
        seen = self.clock.now - self.faults.lag
        await passing(self.faults.latency)
        if self.faults.failures:
            self.faults.failures -= 1
            raise VenueUnavailable("down", venue="made", operation="fetch")
        return {change.order.id or "": change.order for change in self.changes if change.at <= seen}

    async def fetch_open_orders(self, symbol: str | None = None) -> list[tu.Order]:
        """Return what is open."""
        return [one for one in (await self._known()).values() if one.status == "open" and symbol in (None, one.symbol)]

    async def fetch_order(self, id: str, symbol: str) -> tu.Order:  # noqa: A002
        """Return one."""
        found = (await self._known()).get(id)
        if found is None:
            raise OrderNotFound("no such order", venue="made", operation="fetch_order")
        assert found.symbol == symbol
        return found

    async def fetch_orders(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[tu.Order]:
        """Return those of a market."""
        return [one for one in (await self._known()).values() if one.symbol == symbol and (one.time or 0) >= since]


def raw(change: Change, *, short: bool) -> dict[str, Any]:
    """Return a change as ccxt tells it; ``short``: with what has changed alone, as kraken does."""
    order = change.order
    told = {"id": order.id, "status": order.status, "filled": order.filled, "lastUpdateTimestamp": change.at}
    if short and change.at > (order.time or 0):
        return {**told, "filled": order.filled if order.status == "open" else None}
    return told | {
        "symbol": order.symbol, "type": order.type, "side": order.side, "price": order.price, "amount": order.amount,
        "remaining": order.remaining, "timestamp": order.time,
    }  # fmt: skip


def made_breaks(chance: random.Random) -> list[tuple[int, ...]]:
    """Return spans without a connection; some are noticed at their end only."""
    moments = sorted({START + chance.randrange(1, LENGTH + 20_000) for _ in range(chance.choice([0, 2, 4, 6]))})
    pairs = list(zip(moments[::2], moments[1::2], strict=False))
    return [(*pair, pair[1] - 1) if chance.random() < 0.2 and pair[1] - pair[0] < 40_000 else pair for pair in pairs]


def check_course(told: Sequence[Any]) -> dict[str, tu.Order]:
    """Prove that nothing goes back and nothing is told twice; return the last state of each order."""
    last: dict[str, tu.Order] = {}
    for order in told:
        if isinstance(order, tu.Order):
            before = last.get(order.id or "")
            if before is not None:
                assert before != order
                assert before.status == "open"
                assert (order.filled or 0) >= (before.filled or 0)
            last[order.id or ""] = order
    return last


@pytest.mark.parametrize("short", [False, True], ids=["whole", "short"])
@settings(max_examples=100)
@given(chance=SEEDS, faults=FAULTS, patient=st.booleans(), symbol=st.sampled_from([None, "A/B"]))
def test_in_the_end_each_order_is_known_as_the_venue_has_it(
    chance: random.Random, faults: RestFaults, patient: bool, symbol: str | None, short: bool
) -> None:
    """Through breaks, doubled, late and overtaken messages, with REST late, failing and behind; never a step back."""
    changes = made_changes(chance)
    clock = Clock(START)
    rest = OrderRest(changes, clock, faults)
    late = chance.choice([0, 0, 300])
    messages = [
        Message(change.at + chance.randrange(late + 1), [raw(change, short=short)], None, change.at)
        for change in changes
        for _ in range(chance.choice([1, 1, 2]))
        if change.at >= START
    ]
    driver: Driver[Any] = Driver(OrderAssembler(symbol), rest, clock, patient=patient)
    breaks = made_breaks(chance)
    told = driver.run(sorted(messages, key=lambda one: one.at), breaks, START + LENGTH + QUIET)
    last = check_course(told)
    truth = {change.order.id or "": change.order for change in changes}
    missed = [item for item in told if isinstance(item, Missed)]
    assert symbol is None or not missed
    changed = {change.order.id for change in changes if change.at >= START}
    for name, order in truth.items():
        if symbol not in (None, order.symbol):
            assert name not in last
        elif name in last:
            assert last[name] == order
        elif name in changed and (order.time or 0) >= START:  # of those from before what REST says first is learned
            assert any(item.since <= change.at < item.until for item in missed for change in changes)
            assert order.status != "open"
    assert rest.asked < 250


@settings(max_examples=100)
@given(chance=SEEDS, faults=FAULTS, patient=st.booleans(), partial=st.booleans())
def test_in_the_end_a_balance_is_as_the_venue_has_it(
    chance: random.Random, faults: RestFaults, patient: bool, partial: bool
) -> None:
    """The same of balances, where the stream tells what has changed, or of that the totals alone."""
    clock = Clock(START)
    held: dict[str, Decimal] = {"USDT": Decimal(100)}
    states, messages = [(START - 1, dict(held))], []
    for at in sorted(chance.randrange(START, START + LENGTH) for _ in range(chance.randrange(1, 12))):
        asset = chance.choice(["USDT", "BTC", "ETH"])
        held[asset] = Decimal(chance.randrange(9))
        states.append((at, dict(held)))
        free, used = (None, None) if partial else (held[asset], Decimal(0))
        entry = {"free": free, "used": used, "total": held[asset]}
        messages += [Message(at, {asset: entry, "total": {asset: held[asset]}, "info": {}})] * chance.choice([1, 2])

    class BalanceRest(OrderRest):
        async def fetch_balance(self, wallet: str | None = None) -> tu.Balance:
            seen = self.clock.now - self.faults.lag
            await self._known()
            state = [state for at, state in states if at <= seen][-1:] or [{}]
            assets = {
                name: tu.AssetBalance(free=total, used=Decimal(0), total=total)
                for name, total in state[0].items()
                if total
            }
            return tu.Balance(venue="made", account="a", time=self.clock.now, assets=assets, wallet="spot")

    driver: Driver[Any] = Driver(BalanceAssembler("made"), BalanceRest([], clock, faults), clock, patient=patient)
    told = driver.run(messages, made_breaks(chance), START + LENGTH + QUIET)
    last = {name: one.total for name, one in told[-1].assets.items()}
    assert last == {name: total for name, total in held.items() if total}
    for before, after in itertools.pairwise(told):
        assert dict(before.assets) != dict(after.assets)
