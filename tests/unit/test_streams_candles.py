"""What makes a bar final, what REST is asked for, and how bars of several symbols are gathered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamed import Clock, MadeRest, Market, RestFaults

import tradeutils as tu
from tradeutils.exchange.streams.assembling.bars import BarGatherer
from tradeutils.exchange.streams.assembling.candles import CandleAssembler
from tradeutils.exchange.streams.assembling.finals import final_flags
from tradeutils.exchange.streams.assembling.from_trades import TradeCandleAssembler
from tradeutils.model.candles import one_candle
from tradeutils.model.streaming import Missed

START = 1_706_659_200_000  # 2024-01-31 00:00 UTC
MINUTE = 60_000
OKX = [str(START), "1", "2", "1", "2", "5", "5", "5", "1"]


def row(bar: int, volume: float = 1.0) -> list[Any]:
    """Return a row of the bar so many minutes after the start."""
    return [START + bar * MINUTE, 1.0, 2.0, 1.0, 2.0, volume]


def flag(bar: int, final: bool) -> dict[str, Any]:
    """Return a message of binance's for that bar."""
    return {"e": "kline", "k": {"t": START + bar * MINUTE, "x": final}}


class Bars(MadeRest):
    """REST that answers at once with the bars it is given, or raises."""

    def __init__(self, *bars: list[Any], error: Exception | None = None) -> None:
        super().__init__(Market([]), Clock(START), RestFaults())
        self.bars, self.error = list(bars), error

    async def fetch_ohlcv(self, symbol: str, timeframe: str = "1h", **asked: Any) -> tu.Candles:
        """Return them."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        rows = [bar for bar in self.bars if bar[0] >= asked["since"]]
        return tu.Candles.from_rows(rows, timeframe=timeframe, symbol=symbol)


def opens(told: Any) -> list[int]:
    """Return which bars were told, by their number."""
    return [(time - START) // MINUTE for candles in told for time in candles.time.tolist()]


@pytest.mark.parametrize(
    ("frame", "flags"),
    [
        ({"k": {"t": START, "x": True}}, {START: True}),
        ({"stream": "x", "data": {"k": {"t": START, "x": False}}}, {START: False}),
        ({"topic": "kline.1.X", "data": [{"start": START, "confirm": True}]}, {START: True}),
        ({"arg": {"channel": "candle1m"}, "data": [OKX]}, {START: True}),
        ({"arg": {}, "data": [[*OKX[:-1], "0"]]}, {START: False}),
        ({"channel": "spot.candlesticks", "result": {"t": str(START // 1000), "w": True}}, {START: True}),
        ({"channel": "ohlc", "data": [{"interval_begin": "2024-01-31T00:00:00Z", "volume": 1}]}, None),
        ({"k": {"t": None, "x": True}}, None),
        ({"k": {"t": START, "x": "yes"}}, None),
        ({"data": [{"start": START, "confirm": 1}]}, None),
        ({"data": [OKX[:7]]}, None),
        ({"data": []}, None),
        ({"result": {"w": True}}, None),
        ([1, 2], None),
        (None, None),
    ],
    ids=lambda value: "",
)
def test_the_venues_own_flag_is_read(frame: Any, flags: Any) -> None:
    """Of each layout that has one; what is no flag is none."""
    assert final_flags(frame) == flags


def test_a_flagged_bar_is_told_at_once() -> None:
    """And the one that forms is not."""
    assembler = CandleAssembler("made", "A/B", "1m")
    assert not assembler.take([row(0)], flag(0, final=False), START + 1000)
    (told,) = assembler.take([row(0, 3.0)], flag(0, final=True), START + MINUTE)
    assert told == tu.Candles.from_rows([row(0, 3.0)], exchange="made", symbol="A/B", timeframe="1m")
    assert not assembler.take([row(1)], flag(1, final=False), START + MINUTE)


async def test_a_slow_feed_closes_no_bar_by_the_clock() -> None:
    """What REST had not closed either is told by nobody."""
    assembler, rest = CandleAssembler("made", "A/B", "1m"), Bars(row(0, 1.0))
    assembler.take([row(0, 0.5)], None, START + 1000)
    for now in range(START + MINUTE, START + MINUTE + 9_000, 500):
        assert not await assembler.settle(rest, now)
    assert not await assembler.settle(rest, START + MINUTE + 11_000)
    rest.bars.append(row(1))
    (told,) = await assembler.settle(rest, START + MINUTE + 27_000)
    assert told.volume.tolist() == [1.0]
    assert rest.asked == 3


async def test_nothing_is_asked_where_nothing_was_missed() -> None:
    """A break within a bar costs no request: the next message says all of it."""
    assembler, rest = CandleAssembler("made", "A/B", "1m"), Bars()
    rest.clock.now += 30_000
    assert not await assembler.resume(rest)
    assembler.take([row(0)], flag(0, final=False), rest.clock.now)
    assembler.interrupted(rest.clock.now)
    assert not await assembler.resume(rest)
    assert rest.asked == 0
    assert opens(assembler.take([row(0, 2.0)], flag(0, final=True), START + MINUTE)) == [0]
    assert assembler.due(START + MINUTE) == 62.0


async def test_a_lost_flag_is_made_up_for_by_rest() -> None:
    """A later bar shows that something is missing, and the answer of a venue that is behind is not enough."""
    assembler, rest = CandleAssembler("made", "A/B", "1m"), Bars(row(0, 9.0))
    assembler.take([row(0)], flag(0, final=False), START + 1000)
    assert not assembler.take([row(1)], flag(1, final=False), START + MINUTE + 100)
    assert assembler.due(START + MINUTE + 100) == 0.5
    assert not await assembler.settle(rest, START + MINUTE + 600)
    rest.bars = (row(0, 9.0), row(1))
    (told,) = await assembler.settle(rest, START + MINUTE + 2_500)
    assert told.volume.tolist() == [9.0]


async def test_after_its_patience_a_bar_is_told_as_missed() -> None:
    """Later bars do not wait for ever for a venue that is down."""
    down = tu.errors.RateLimited("no", retry_after=20.0, venue="made", operation="fetch_ohlcv")
    assembler, rest = CandleAssembler("made", "A/B", "1m", since=START, patience=60_000), Bars(error=down)
    assembler.take([row(2)], flag(2, final=True), START + 3 * MINUTE)
    assert not await assembler.resume(rest)
    now, told = START + 3 * MINUTE, []
    while not told:
        wait = assembler.due(now)
        assert wait is not None
        now += round(wait * 1000)
        told = list(await assembler.settle(rest, now))
    assert isinstance(told[0], Missed)
    assert (told[0].since, told[0].until) == (START, START + 2 * MINUTE)
    assert opens(told[1:]) == [2]
    assert 60_000 <= now - START - 3 * MINUTE <= 90_000
    assert rest.asked <= 5


@pytest.mark.parametrize("first", [START + 2 * MINUTE, None], ids=["from then on", "nothing"])
async def test_what_rest_does_not_serve_is_told_as_missed(first: int | None) -> None:
    """Up to the first bar that it has, or else to the one that forms."""
    gone = tu.errors.RangeNotServed("gone", first=first, venue="made", operation="fetch_ohlcv")
    assembler, rest = CandleAssembler("made", "A/B", "1m", since=START), Bars(error=gone)
    rest.clock.now = START + 5 * MINUTE + 10
    (missed,) = await assembler.resume(rest)
    assert isinstance(missed, Missed)
    assert (missed.since, missed.until) == (START, first or START + 5 * MINUTE)


async def test_a_venue_without_candles_over_rest_is_believed_while_the_connection_lasts() -> None:
    """What it leaves out nobody traded; what a break took is missed."""
    none = tu.errors.NotSupportedByVenue("no", venue="made", operation="fetch_ohlcv")
    assembler, rest = CandleAssembler("made", "A/B", "1m"), Bars(error=none)
    assembler.take([row(0)], None, START + 1000)
    assert not await assembler.settle(rest, START + MINUTE + 2_000)
    assert assembler.due(START + MINUTE + 2_000) is None
    assembler.take([row(3)], None, START + 3 * MINUTE)
    assert opens(await assembler.settle(rest, START + 3 * MINUTE + 500)) == [0]
    assembler.take([row(4)], None, START + 4 * MINUTE)
    assert not await assembler.settle(rest, START + 4 * MINUTE + 400)
    assert opens(await assembler.settle(rest, START + 4 * MINUTE + 500)) == [3]
    assembler.interrupted(START + 5 * MINUTE)
    assembler.take([row(6)], None, START + 6 * MINUTE)
    (missed,) = await assembler.settle(rest, START + 6 * MINUTE + 500)
    assert (missed.since, missed.until) == (START + 4 * MINUTE, START + 6 * MINUTE)
    assert rest.asked == 1


def test_rows_of_another_timeframe_are_left_out() -> None:
    """ccxt mixes those of kraken where several are watched."""
    assembler = CandleAssembler("made", "A/B", "1m", closed_only=False)
    begin = {"interval_begin": "2024-01-31T00:00:00Z"}
    assert not assembler.take([row(0)], {"data": [{**begin, "interval": 5}]}, START)
    assert len(assembler.take([row(0)], {"data": [{**begin, "interval": 1}]}, START)) == 1


def test_rubbish_is_left_out() -> None:
    """Rows without a time or a price, and those of years to come."""
    assembler = CandleAssembler("made", "A/B", "1m", closed_only=False)
    rubbish = [[], [None, 1, 1, 1, 1, 1], [START, None, 1, 1, 1, 1], [START, float("nan"), 1, 1, 1, 1], ["x"] * 6, None]
    assert not assembler.take([*rubbish, row(100_000)], None, START)
    (told,) = assembler.take([[START, 1, 1, 1, 1, None]], None, START)
    assert np.isnan(told.volume[0])
    assert not told.closed[0]


def test_rows_of_bars_that_were_told_are_counted() -> None:
    """They change nothing."""
    assembler = CandleAssembler("made", "A/B", "1m")
    assembler.take([row(0)], flag(0, final=True), START + MINUTE - 1)
    assert not assembler.take([row(0, 7.0)], flag(0, final=True), START + MINUTE)
    assert assembler.late == 1


async def test_an_answer_that_is_cut_off_loses_nothing() -> None:
    """Whoever is cancelled asks again."""
    bars = Market(
        [tu.Trade(symbol="A/B", id="1", time=START + bar * MINUTE, price=1.0, amount=1.0) for bar in range(5)]
    )
    rest = MadeRest(bars, Clock(START + 4 * MINUTE + 10), RestFaults(latency=50))
    assembler = CandleAssembler("made", "A/B", "1m", since=START)
    asking: Any = assembler.resume(rest)
    assert asking.send(None) == 50
    asking.close()
    again: Any = assembler.settle(rest, START + 4 * MINUTE + 10)
    assert again.send(None) == 50
    with pytest.raises(StopIteration) as stop:
        again.send(None)
    assert opens(stop.value.value) == [0, 1, 2]
    assert assembler.conflation_key(stop.value.value[0]) == "A/B"
    assert assembler.finish(stop.value.value[0]) is stop.value.value[0]


@pytest.mark.parametrize("closed", [True, False])
def test_a_single_candle_is_as_any_other(closed: bool) -> None:
    """Equal in value, dtype and shape, and read-only."""
    made = one_candle("made", "A/B", "1m", (START, 1.0, 3.0, 0.5, 2.0, 9.0), closed)
    rows = tu.Candles.from_rows([(START, 1.0, 3.0, 0.5, 2.0, 9.0)], exchange="made", symbol="A/B", timeframe="1m")
    checked = rows.with_closed([closed])
    assert made == checked
    for name in ("time", "open", "high", "low", "close", "volume", "closed"):
        mine, other = getattr(made, name), getattr(checked, name)
        assert (mine.dtype, mine.shape, mine.flags.writeable) == (other.dtype, other.shape, False)
        assert mine.flags.c_contiguous
    assert tu.codec.loads(tu.codec.dumps(made)) == made


async def test_bars_of_trades_need_no_request_while_nothing_is_missed() -> None:
    """But the first, in which the stream began."""
    assembler, rest = TradeCandleAssembler("made", "A/B", "1m"), Bars(row(0, 4.0), row(1, 1.0))
    told: list[Any] = list(await assembler.resume(rest))
    for at, amount in ((30_000, 0.1), (MINUTE + 1, 0.1), (2 * MINUTE - 1, 0.2), (2 * MINUTE, 1.0)):
        trade = {"id": str(at), "timestamp": START + at, "price": 2.0, "amount": amount, "side": "buy"}
        told += assembler.take([trade], None, START + at)
        if at % MINUTE < 2:
            told += await assembler.settle(rest, START + at + 2_500)
    assert opens(told) == [0, 1]
    assert [candles.volume.tolist() for candles in told] == [[4.0], [0.3]]
    assert rest.asked == 1
    assert (assembler.late, assembler.conflation_key(told[0])) == (0, "A/B")
    assert assembler.finish(told[0]) is told[0]


def candles(symbol: str, *bars: int, closed: bool = True) -> tu.Candles:
    """Return closed candles of a symbol, whose close is the number of the bar."""
    rows = [[START + bar * MINUTE, 1, 1, 1, bar, 1] for bar in bars]
    return tu.Candles.from_rows(rows, symbol=symbol, timeframe="1m").with_closed([closed] * len(bars))


def test_bars_are_told_once_all_symbols_have_theirs() -> None:
    """In the order of the symbols."""
    gatherer = BarGatherer(["A", "B"])
    assert gatherer.put(candles("B", 0, 1), 0.0) == []
    assert gatherer.waits(0.5) == 1.5
    (first,) = gatherer.put(candles("A", 0), 0.5)
    assert (first.time, first.close.tolist()) == (START, [0.0, 0.0])
    assert not first.close.flags.writeable
    (second,) = gatherer.put(candles("A", 1), 0.6)
    assert (second.time, second.close.tolist()) == (START + MINUTE, [1.0, 1.0])
    assert gatherer.waits(0.6) is None


def test_a_symbol_without_a_bar_is_not_a_number_after_the_wait() -> None:
    """And what comes later is counted; a symbol that is further on is not waited for."""
    gatherer = BarGatherer(["A", "B"], wait=2.0)
    assert gatherer.put(candles("A", 0), 10.0) == []
    assert gatherer.due(11.9) == []
    (told,) = gatherer.due(12.0)
    np.testing.assert_array_equal(told.close, [0.0, np.nan])
    assert gatherer.put(candles("B", 0), 12.1) == []
    assert gatherer.late == 1
    gatherer.put(candles("B", 1, closed=False), 12.2)
    gatherer.put(candles("A", 1), 12.2)
    (ahead,) = gatherer.put(candles("B", 2), 12.3)
    np.testing.assert_array_equal(ahead.close, [1.0, np.nan])


def test_gathering_refuses_what_it_cannot_gather() -> None:
    """A message says what to write."""
    for symbols, wait in (([], 2.0), (["A", "A"], 2.0), (["A"], -1.0), (["A"], float("nan")), (["A"], True)):
        with pytest.raises(tu.errors.UsageError, match="was"):
            BarGatherer(symbols, wait=wait)
    with pytest.raises(tu.errors.UsageError, match="none of A"):
        BarGatherer(["A"]).put(candles("B", 0), 0.0)


async def test_what_a_connection_begins_with_counts_once_it_has_changed() -> None:
    """A venue's snapshot may be a moment old, and the last trade of its bar be in none of its messages."""
    assembler, rest = CandleAssembler("made", "A/B", "1m"), Bars(row(0, 3.0), row(1))
    rest.clock.now = START + 55_000
    await assembler.resume(rest)
    assert not assembler.take([row(0, 2.0)], None, START + 55_000)
    assert not assembler.take([row(1)], None, START + MINUTE)
    assert not await assembler.settle(rest, START + MINUTE + 400)
    (told,) = await assembler.settle(rest, START + MINUTE + 2_500)
    assert told.volume.tolist() == [3.0]
    assembler.take([row(1, 2.0)], None, START + MINUTE + 3_000)
    assembler.take([row(2)], None, START + 2 * MINUTE)
    (told,) = await assembler.settle(rest, START + 2 * MINUTE + 600)
    assert (told.volume.tolist(), rest.asked) == ([2.0], 1)


async def test_a_snapshot_that_comes_after_newer_rows_closes_no_bar() -> None:
    """It is of a bar that was over before the connection began."""
    assembler, rest = CandleAssembler("made", "A/B", "1m", since=START), Bars(row(0, 3.0), row(1))
    assembler.take([row(1)], None, START + MINUTE + 100)
    assembler.take([row(0, 2.0)], None, START + MINUTE + 400)
    (told,) = await assembler.settle(rest, START + MINUTE + 2_500)
    assert told.volume.tolist() == [3.0]


async def test_an_answer_a_minute_behind_closes_no_bar_with_half_its_volume() -> None:
    """Where the stream does not say the same, its newest bar is believed later than a cache can be behind."""
    assembler, rest = CandleAssembler("made", "A/B", "1m", since=START), Bars(row(0, 2.0))
    rest.clock.now = START + MINUTE + 20_000  # the connection was away when the bar ended
    assert not await assembler.resume(rest)
    rest.bars = [row(0, 3.0)]
    assert not await assembler.settle(rest, START + MINUTE + 69_000)
    (told,) = await assembler.settle(rest, START + MINUTE + 70_000)
    assert told.volume.tolist() == [3.0]


async def test_a_bar_without_trades_is_told_soon_where_the_stream_was_there_all_the_time() -> None:
    """Both say that nobody traded."""
    assembler, rest = CandleAssembler("made", "A/B", "1m", since=START), Bars(row(0, 0.0))
    rest.clock.now = START - 1
    await assembler.resume(rest)
    assert assembler.due(START) == 62.0
    assert not await assembler.settle(rest, START + MINUTE + 2_000)
    assert opens(await assembler.settle(rest, START + MINUTE + 10_000)) == [0]


async def test_after_a_break_a_quiet_market_is_not_asked_for_later_than_others() -> None:
    """How long nobody traded before says nothing of what was missed."""
    assembler, rest = CandleAssembler("made", "A/B", "1m", since=START), Bars()
    now = START + MINUTE
    for _ in range(8):
        now += round((assembler.due(now) or 0.0) * 1000)
        await assembler.settle(rest, now)
    assert (assembler.due(now) or 0.0) > 900
    assembler.interrupted(now)
    rest.clock.now = now
    await assembler.resume(rest)
    assert assembler.due(now) == 8.0
