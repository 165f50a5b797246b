"""Laws of candles out of a stream: told once each, in order, as the venue has them, whatever became of the messages."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streamed import Bar, Clock, Driver, MadeRest, Market, Message, RestFaults

import tradeutils as tu
from tradeutils.exchange.streams.assembling.candles import CandleAssembler
from tradeutils.exchange.streams.assembling.from_trades import TradeCandleAssembler
from tradeutils.model.streaming import Missed
from tradeutils.timeframe import Timeframe, parse

START = 1_706_659_200_000  # 2024-01-31 00:00 UTC
BARS = 8
QUIET = 120_000  # after which all must have been told
COLUMNS = ("time", "open", "high", "low", "close", "volume")
SEEDS = st.integers(0, 2**32).map(random.Random)
FAULTS = st.builds(
    RestFaults,
    latency=st.sampled_from([0, 30, 700, 5_000]),
    failures=st.integers(0, 4),
    lag=st.sampled_from([0, 0, 900, 4_000, 62_000]),  # the last: by more than a bar
)
SKEWS = st.sampled_from([0, 0, -1_500, 1_500, -20_000])  # a machine that was suspended believes that it is earlier


class ForgettingTrades(MadeRest):
    """REST that keeps all candles, and only the newest trades."""

    kept_trades: int | None = None

    async def fetch_trades(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[tu.Trade]:
        """Return a page of what is kept."""
        told = await super().fetch_trades(symbol, since=since, limit=limit)
        return told if self.kept_trades is None else told[-self.kept_trades :]


def raw_trade(trade: tu.Trade) -> dict[str, Any]:
    """Return a trade as ccxt has it."""
    return {"id": trade.id, "timestamp": trade.time, "price": trade.price, "amount": trade.amount, "side": trade.side}


def made_market(chance: random.Random, frame: Timeframe, *, flat: bool, busy: float) -> Market:
    """Return a market whose trades crowd where bars begin and end, and which leaves some bars without any."""
    trades, opened = list[tu.Trade](), frame.floor(START)
    for _ in range(BARS):
        after = frame.shift(opened)
        offsets = [
            0,
            1,
            150,
            400,
            (after - opened) // 2,
            after - opened - 300,
            after - opened - 120,
            after - opened - 1,
        ]
        offsets += [chance.randrange(after - opened) for _ in range(2)]
        for offset in sorted(chance.sample(offsets, chance.randrange(1, 8)) if chance.random() < busy else []):
            if 0 <= offset < after - opened:
                price, amount = float(chance.randrange(1, 20)), chance.randrange(1, 9) / 8
                trades.append(
                    tu.Trade(symbol="A/B", id=str(len(trades)), time=opened + offset, price=price, amount=amount)
                )
        opened = after
    return Market(trades, frame, flat)


def made_feed(
    chance: random.Random,
    market: Market,
    end: int,
    *,
    flagged: bool,
    loses: bool,
    late: tuple[int, int],
    begun: Iterable[int] = (),
) -> list[Message]:
    """
    Return what a kline channel sends: a state after each trade, others now and then, where flagged a last one.

    And, when a connection has ``begun``, a state of a moment before.
    """
    frame, told = market.frame, list[tuple[int, bool, Bar]]()
    for now in sorted({trade.time for trade in market.trades} | {chance.randrange(START, end) for _ in range(5)}):
        bars = market.bars(now)
        newest = max(bars, default=-1)
        if newest == frame.floor(now):
            told.append((now, False, bars[newest]))
    if flagged:
        told += [(frame.shift(key), True, bar) for key, bar in market.bars(end).items() if frame.shift(key) <= end]
    messages = []
    for at, final, bar in sorted(told, key=lambda one: (one[0], not one[1])):
        times = 0 if loses and chance.random() < 0.2 else chance.choice([1, 1, 1, 2])
        frame_sent = {"k": {"t": bar[0], "x": final}} if flagged else None
        messages += [Message(at + chance.randint(*late), [list(bar)], frame_sent, at) for _ in range(times)]
    for at in begun:
        seen = at - chance.choice([0, 0, 300, 2_000])
        bars = market.bars(seen)
        rows = [list(bars[key]) for key in sorted(bars)[-chance.choice([1, 1, 3]) :]]
        newest = max(bars, default=0)
        flags = {"k": {"t": newest, "x": frame.shift(newest) <= seen}} if rows and flagged else None
        messages += (
            [Message(at + chance.choice([0, 0, 400]), rows[-1:] if flagged else rows, flags, at)] if rows else []
        )
    return messages


def made_breaks(chance: random.Random, begin: int, end: int, faults: RestFaults) -> list[tuple[int, ...]]:
    """
    Return spans without a connection, in order, some of them where a bar ends.

    Some are noticed at the end only; not where REST is so far behind that it bears a dead stream out.
    """
    edges = [START + bar * 60_000 + chance.choice([-400, -1, 0, 1, 300]) for bar in range(BARS)]
    moments = sorted(
        {chance.choice([*edges, chance.randrange(begin, end)]) for _ in range(chance.choice([0, 2, 4, 6]))}
    )
    pairs = [pair for pair in zip(moments[::2], moments[1::2], strict=False) if pair[0] > begin]
    unseen = 0.0 if faults.lag > 10_000 else 0.2
    return [(*pair, pair[1] - 1) if chance.random() < unseen and pair[1] - pair[0] < 40_000 else pair for pair in pairs]


def check(told: list[Any], market: Market, since: int, end: int) -> list[tuple[int, int]]:
    """Prove that what was told is true, in order, and all there is from ``since`` on but for what was missed."""
    rows: list[Any] = []
    missed: list[tuple[int, int]] = []
    for item in told:
        if isinstance(item, Missed):
            assert item.until > item.since >= (rows[-1][0] + 1 if rows else since)
            missed.append((item.since, item.until))
        else:
            assert item.closed.all()
            rows += zip(*(getattr(item, name).tolist() for name in COLUMNS), strict=True)
            assert not missed or item.time[0] >= missed[-1][1]
    assert all(before[0] < after[0] for before, after in itertools.pairwise(rows))
    all_bars = market.bars(end)
    assert all(all_bars[row[0]] == row for row in rows)
    truth = [key for key in sorted(all_bars) if key >= since and market.frame.shift(key) <= end - QUIET]
    gone = {key for key in truth for start, stop in missed if start <= key < stop}
    assert [row[0] for row in rows if market.frame.shift(row[0]) <= end - QUIET] == [k for k in truth if k not in gone]
    return missed


@pytest.mark.parametrize("late", [(0, 0), (0, 400), (10_000, 10_000)], ids=["prompt", "overtaken", "slow"])
@pytest.mark.parametrize("flagged", [True, False], ids=["flagged", "unflagged"])
@settings(max_examples=50)
@given(
    chance=SEEDS, faults=FAULTS, skew=SKEWS, flat=st.booleans(), patient=st.booleans(),
    since=st.sampled_from([None, 0, 2]),
)  # fmt: skip
def test_each_closed_bar_is_told_once_and_in_order(
    chance: random.Random,
    faults: RestFaults,
    skew: int,
    flat: bool,
    patient: bool,
    since: int | None,
    flagged: bool,
    late: tuple[int, int],
) -> None:
    """
    Through breaks, doubled, late, overtaken and (of flagged bars) lost messages, and REST that is late too.

    Whatever a connection begins with, whether or not a break ends what was asked, and with a clock that is wrong.
    """
    market = made_market(chance, parse("1m"), flat=flat, busy=chance.choice([0.3, 0.8, 1.0]))
    end = START + BARS * 60_000 + 2 * QUIET
    clock = Clock(START + chance.randrange(3 * 60_000), skew)
    begin = clock.now
    breaks = made_breaks(chance, begin, START + BARS * 60_000 + 30_000, faults)
    begun = [begin, *(one[1] for one in breaks)]
    loses = flagged and chance.random() < 0.5
    messages = made_feed(chance, market, end, flagged=flagged, loses=loses, late=late, begun=begun)
    if late[0]:
        faults.lag = min(faults.lag, 4_000)  # both would be wrong in the same way
    first = parse("1m").floor(clock.believed) if since is None else START + since * 60_000
    rest = MadeRest(market, clock, faults)
    driver: Driver[Any] = Driver(
        CandleAssembler("made", "A/B", "1m", since=None if since is None else first), rest, clock, patient=patient
    )
    assert check(driver.run(messages, breaks, end), market, first, end) == []
    assert rest.asked < 150
    assert driver.idle < 20


@settings(max_examples=50)
@example(
    chance=random.Random(405), faults=RestFaults(latency=0, failures=3, lag=62_000), flat=True, patient=False, kept=None
)
@given(chance=SEEDS, faults=FAULTS, flat=st.booleans(), patient=st.booleans(), kept=st.sampled_from([None, None, 3]))
def test_bars_made_of_trades_are_those_of_the_venue(
    chance: random.Random, faults: RestFaults, flat: bool, patient: bool, kept: int | None
) -> None:
    """Each once and in order, where the venue streams no candles, and whatever trades were missed."""
    market = made_market(chance, parse("1m"), flat=flat, busy=chance.choice([0.3, 0.8, 1.0]))
    end = START + BARS * 60_000 + 2 * QUIET
    clock = Clock(START + chance.randrange(3 * 60_000))
    begin = clock.now
    breaks = made_breaks(chance, begin, START + BARS * 60_000 + 30_000, faults)
    rest = ForgettingTrades(market, clock, faults)
    rest.kept_trades = kept
    messages = [
        Message(trade.time, [raw_trade(trade)]) for trade in market.trades for _ in range(chance.choice([1, 2]))
    ]
    driver: Driver[Any] = Driver(TradeCandleAssembler("made", "A/B", "1m"), rest, clock, patient=patient)
    assert check(driver.run(messages, breaks, end), market, parse("1m").floor(begin), end) == []
    assert rest.asked < 200


@settings(max_examples=50)
@given(chance=SEEDS, faults=FAULTS, kept=st.sampled_from([1, 2, 4]), flagged=st.booleans())
def test_what_rest_no_longer_has_is_told_as_missed(
    chance: random.Random, faults: RestFaults, kept: int, flagged: bool
) -> None:
    """Exactly that: bars that REST still had, or that came whole, are told."""
    market = made_market(chance, parse("1m"), flat=chance.random() < 0.5, busy=0.9)
    end = START + BARS * 60_000 + 2 * QUIET
    messages = made_feed(chance, market, end, flagged=flagged, loses=False, late=(0, 0))
    clock = Clock(START + chance.randrange(3 * 60_000))
    breaks = made_breaks(chance, clock.now, START + BARS * 60_000, faults)
    faults.kept, faults.failures = kept, 0
    rest = MadeRest(market, clock, faults)
    driver: Driver[Any] = Driver(CandleAssembler("made", "A/B", "1m", since=START), rest, clock)
    for since, until in check(driver.run(messages, breaks, end), market, START, end):
        assert all(edge == parse("1m").floor(edge) for edge in (since, until))


@pytest.mark.parametrize("frame", ["1s", "5m", "4h", "1d", "1w", "1M", "3M"])
@settings(max_examples=10)
@given(chance=SEEDS, flagged=st.booleans(), flat=st.booleans())
def test_bars_of_every_length_are_told_once(chance: random.Random, flagged: bool, flat: bool, frame: str) -> None:
    """Months differ in length, and weeks begin on Monday."""
    length = parse(frame)
    market = made_market(chance, length, flat=flat, busy=0.8)
    first, end = length.floor(START), length.shift(length.floor(START), BARS)
    spans = [chance.randrange(first, end) for _ in range(4)]
    breaks = [(min(spans[:2]), max(spans[:2]))] if spans[0] != spans[1] else []
    clock = Clock(first)
    rest = MadeRest(market, clock, RestFaults(latency=40))
    driver: Driver[Any] = Driver(CandleAssembler("made", "A/B", frame), rest, clock)
    messages = made_feed(chance, market, end, flagged=flagged, loses=False, late=(0, 0))
    told = driver.run(messages, breaks, end + 2 * QUIET)
    rows = [row for candles in told for row in candles.time.tolist()]
    truth = sorted(market.bars(end))
    assert rows[: len(truth) - 1] == truth[:-1]
    assert len(rows) >= len([key for key in truth if length.shift(key) + QUIET <= end + 2 * QUIET and key < end])


@settings(max_examples=50)
@given(chance=SEEDS, flagged=st.booleans(), faults=FAULTS)
def test_forming_bars_come_after_all_before_them_were_told(
    chance: random.Random, flagged: bool, faults: RestFaults
) -> None:
    """And never once they have been told as closed; without them the closed ones are the same."""
    market = made_market(chance, parse("1m"), flat=True, busy=0.8)
    end = START + BARS * 60_000 + 2 * QUIET
    messages = made_feed(chance, market, end, flagged=flagged, loses=False, late=(0, 300))
    clock = Clock(START + chance.randrange(3 * 60_000))
    begin = clock.now
    breaks = made_breaks(chance, begin, START + BARS * 60_000, faults)
    assembler = CandleAssembler("made", "A/B", "1m", closed_only=False)
    driver: Driver[Any] = Driver(assembler, MadeRest(market, clock, faults), clock)
    told = driver.run(messages, breaks, end)
    newest = parse("1m").floor(begin) - 1
    for candles in told:
        assert candles.time[0] > newest
        newest = int(candles.time[-1]) if candles.closed.all() else newest
    check([candles for candles in told if candles.closed.all()], market, parse("1m").floor(begin), end)
