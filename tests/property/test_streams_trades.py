"""Laws of trades out of a stream: each told once, in order, and what REST no longer has told as missed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamed import Clock, Driver, MadeRest, Market, Message, RestFaults

import tradeutils as tu
from tradeutils.exchange.streams.assembling.trades import TradeAssembler
from tradeutils.model.streaming import Missed

START = 1_706_659_200_000  # 2024-01-31 00:00 UTC
LENGTH = 60_000
QUIET = 400_000
SEEDS = st.integers(0, 2**32).map(random.Random)


def made_trades(chance: random.Random, ids: str) -> list[tu.Trade]:
    """Return trades of a minute, many of them in one millisecond."""
    trades, time, number = list[tu.Trade](), START, chance.choice([1, 98, 10**15])
    while time < START + LENGTH:
        for at in range(chance.choice([1, 1, 2, 5])):
            number += 1 if ids == "counted" else chance.randrange(1, 4)
            name = {"counted": str(number), "numbers": str(number), "opaque": f"{chance.getrandbits(64):x}-"}.get(ids)
            price, amount = float(chance.randrange(1, 9)), float(number) if name is None else 1.0 + at
            trades.append(tu.Trade(symbol="A/B", id=name, time=time, price=price, amount=amount, side="buy"))
        time += chance.choice([1, 20, 300, 300, 900, 5_000])
    return trades


def raw(trade: tu.Trade) -> dict[str, Any]:
    """Return a trade as ccxt has it."""
    return {
        "id": trade.id, "timestamp": trade.time, "price": trade.price, "amount": trade.amount, "side": trade.side,
        "symbol": trade.symbol, "info": {},
    }  # fmt: skip


def made_feed(chance: random.Random, trades: list[tu.Trade], *, late: int, loses: bool) -> list[Message]:
    """Return messages of a few trades each, some twice, some late, some lost."""
    messages, at = list[Message](), 0
    while at < len(trades):
        size = chance.choice([1, 1, 2, 6])
        part = trades[at : at + size]
        at += size
        times = 0 if loses and at > 40 and chance.random() < 0.1 else chance.choice([1, 1, 2])
        messages += [
            Message(part[-1].time + chance.randrange(late + 1), [raw(trade) for trade in part]) for _ in range(times)
        ]
    return messages


def made_breaks(chance: random.Random) -> list[tuple[int, int]]:
    """Return spans without a connection."""
    moments = sorted({START + chance.randrange(1, LENGTH) for _ in range(chance.choice([0, 2, 4, 6]))})
    return list(zip(moments[::2], moments[1::2], strict=False))


def check(told: list[Any], truth: list[tu.Trade], *, ordered: bool) -> list[Missed]:
    """Prove that each trade from the first on was told once, in order, or lies in what was missed."""
    trades = [item for item in told if isinstance(item, tu.Trade)]
    missed = [item for item in told if isinstance(item, Missed)]
    assert max(Counter((one.time, one.id, one.amount) for one in trades).values(), default=1) == 1
    if ordered:
        assert all(before.time <= after.time for before, after in itertools.pairwise(trades))
    if not trades:
        return missed
    begin = truth.index(trades[0])
    if ordered:
        places = [truth.index(trade) for trade in trades]
        assert places == sorted(places)
    gone = [one for one in truth[begin:] if one not in trades]
    assert all(any(event.since <= one.time < event.until for event in missed) for one in gone)
    assert {*trades} <= {*truth} if ordered else all(one in truth for one in trades)
    return missed


@pytest.mark.parametrize("ids", ["counted", "numbers", "opaque", "none"])
@settings(max_examples=50)
@given(
    chance=SEEDS,
    faults=st.builds(
        RestFaults,
        latency=st.sampled_from([0, 30, 700, 5_000]),
        failures=st.integers(0, 4),
        lag=st.sampled_from([0, 0, 200, 900, 4_000]),
        page=st.sampled_from([100, 1000]),
    ),
)
def test_each_trade_is_told_once_and_in_order(chance: random.Random, faults: RestFaults, ids: str) -> None:
    """Through breaks and doubled messages, with REST late, failing and behind; none is missed."""
    trades = made_trades(chance, ids)
    clock = Clock(START)
    rest = MadeRest(Market(trades), clock, faults)
    driver: Driver[Any] = Driver(TradeAssembler("A/B"), rest, clock)
    feed = made_feed(chance, trades, late=0, loses=False)
    feed.append(Message(START + LENGTH + 10_000, [raw(trades[-1])]))
    missed = check(driver.run(feed, made_breaks(chance), START + LENGTH + QUIET), trades, ordered=True)
    assert missed == []
    assert rest.asked < 150
    assert driver.idle < 20


@settings(max_examples=50)
@given(chance=SEEDS, failures=st.integers(0, 3), lag=st.sampled_from([0, 900]), latency=st.sampled_from([0, 700]))
def test_counted_trades_are_told_in_order_though_messages_overtake_or_are_lost(
    chance: random.Random, failures: int, lag: int, latency: int
) -> None:
    """A number left out is a hole, which what comes late or REST fills."""
    trades = made_trades(chance, "counted")
    if len(trades) < 60:
        return
    clock = Clock(START)
    rest = MadeRest(Market(trades), clock, RestFaults(failures=failures, lag=lag, latency=latency))
    driver: Driver[Any] = Driver(TradeAssembler("A/B"), rest, clock)
    first, rest_of = trades[:20], trades[20:]
    feed = made_feed(chance, first, late=0, loses=False)
    feed += made_feed(chance, rest_of, late=chance.choice([0, 200, 2_000]), loses=chance.random() < 0.7)
    feed.append(Message(START + LENGTH + 10_000, [raw(trades[-1])]))
    breaks = [pair for pair in made_breaks(chance) if pair[0] > first[-1].time]  # once it is known that they count
    assert check(driver.run(feed, breaks, START + LENGTH + QUIET), trades, ordered=True) == []


@pytest.mark.parametrize("ids", ["counted", "opaque"])
@settings(max_examples=50)
@given(chance=SEEDS, kept=st.sampled_from([0, 1, 3, 20]), newest_only=st.booleans(), lag=st.sampled_from([0, 900]))
def test_what_rest_no_longer_has_is_told_as_missed(
    chance: random.Random, kept: int, newest_only: bool, lag: int, ids: str
) -> None:
    """Exactly that: all that is told as missed before a trade lies between it and the one before."""
    trades = made_trades(chance, ids)
    clock = Clock(START)
    faults = RestFaults(kept=None if newest_only else kept, newest_only=newest_only, page=max(kept, 1), lag=lag)
    driver: Driver[Any] = Driver(TradeAssembler("A/B"), MadeRest(Market(trades), clock, faults), clock)
    feed = made_feed(chance, trades, late=0, loses=False)
    feed.append(Message(START + LENGTH + 10_000, [raw(trades[-1])]))
    told = driver.run(feed, made_breaks(chance), START + LENGTH + 2 * QUIET)
    check(told, trades, ordered=ids == "counted")  # which of a millisecond comes first, only numbers tell
    moments = [item.time for item in told if isinstance(item, tu.Trade)]
    assert moments == sorted(moments)
    for before, event, after in zip(told, told[1:], told[2:], strict=False):
        if isinstance(event, Missed) and isinstance(before, tu.Trade) and isinstance(after, tu.Trade):
            assert before.time <= event.since < event.until <= after.time + 1
            assert trades.index(after) - trades.index(before) > 1 or ids == "opaque"


@given(chance=SEEDS)
def test_without_trades_over_rest_a_break_is_told_as_missed(chance: random.Random) -> None:
    """And what follows goes on at once."""
    trades = made_trades(chance, "opaque")
    clock = Clock(START)

    class NoRest(MadeRest):
        async def fetch_trades(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[tu.Trade]:
            raise tu.errors.NotSupportedByVenue("no trades", venue="made", operation="fetch_trades")

    driver: Driver[Any] = Driver(TradeAssembler("A/B"), NoRest(Market(trades), clock, RestFaults()), clock)
    breaks = made_breaks(chance)
    feed = made_feed(chance, trades, late=0, loses=False)
    feed.append(Message(START + LENGTH + 10_000, [raw(trades[-1])]))
    missed = check(driver.run(feed, breaks, START + LENGTH + 20_000), trades, ordered=True)
    assert len(missed) <= len(breaks)
    assert driver.assembler.due(clock.now) is None


def summed(trades: list[tu.Trade], ids: str) -> list[tu.Trade]:
    """Return the trades of each millisecond as one, under the last of their ids, or under an id of its own."""
    made = []
    for _, group in itertools.groupby(trades, key=lambda one: one.time):
        parts = list(group)
        name = parts[-1].id if ids == "last" else str(5 * 10**14 + len(made))
        amount = sum(one.amount for one in parts)
        made.append(tu.Trade(symbol="A/B", id=name, time=parts[0].time, price=1.0, amount=amount, side="buy"))
    return made


@pytest.mark.parametrize("ids", ["last", "own"])
@settings(max_examples=60)
@given(chance=SEEDS, lag=st.sampled_from([0, 0, 900]), latency=st.sampled_from([0, 30, 700]))
def test_nothing_is_told_twice_where_rest_and_stream_divide_trades_otherwise(
    chance: random.Random, lag: int, latency: int, ids: str
) -> None:
    """Okx sums up what it streams, under the last id; binance what it tells over REST, under ids of their own."""
    trades = made_trades(chance, "counted")
    together = summed(trades, ids)
    streamed, asked = (together, trades) if ids == "last" else (trades, together)
    clock = Clock(START)
    before = tu.Trade(symbol="A/B", id="0", time=START - 300, price=1.0, amount=1.0)  # markets are older than streams
    rest = MadeRest(Market([before, *asked]), clock, RestFaults(lag=lag, latency=latency))
    driver: Driver[Any] = Driver(TradeAssembler("A/B"), rest, clock)
    # All of a millisecond in one message, as it is one order that meets several.
    feed = [
        Message(time, [raw(one) for one in group])
        for time, group in itertools.groupby(streamed, key=lambda one: one.time)
        for group in [list(group)]
    ]
    last = tu.Trade(symbol="A/B", id="9" * 17, time=START + LENGTH + 10_000, price=1.0, amount=1.0)
    feed.append(Message(last.time, [raw(last)]))
    items = driver.run(feed, made_breaks(chance), START + LENGTH + QUIET)
    told = [item for item in items if isinstance(item, tu.Trade)]
    amounts: Counter[int] = Counter()
    for one in told:
        amounts[one.time] += one.amount  # type: ignore[assignment]
    truth: Counter[int] = Counter()
    for one in trades:
        truth[one.time] += one.amount  # type: ignore[assignment]
    begin = told[0].time
    assert {time: amount for time, amount in amounts.items() if time < START + LENGTH} == {
        time: amount for time, amount in truth.items() if begin <= time < START + LENGTH
    }
