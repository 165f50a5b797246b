"""The laws of candles and panels: nothing is lost in slicing, resampling and aligning."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tradeutils import timeframe as tf
from tradeutils.errors import DataError
from tradeutils.model import Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS

MINUTE = 60_000
START = 1_704_067_200_000  # 2024-01-01, a Monday
prices = st.floats(1e-9, 1e9)
bars = st.integers(0, 5_000)


@st.composite
def candles(draw: st.DrawFn, unknown: bool = False, off_grid: bool = False) -> Candles:
    """Up to 60 candles of one minute within four days of 2024, with gaps."""
    late = draw(st.integers(0, MINUTE - 1)) if off_grid else 0
    time = np.array(sorted(draw(st.sets(bars, max_size=60))), np.int64) * MINUTE + START + late
    cells = prices | st.just(math.nan) if unknown else prices
    columns = draw(hnp.arrays(np.float64, (5, len(time)), elements=cells))
    closed = draw(hnp.arrays(np.bool_, len(time)))
    return Candles(timeframe="1m", time=time, closed=closed, **dict(zip(PRICE_FIELDS, columns, strict=True)))


coarser = st.sampled_from(["2m", "5m", "7m", "1h", "4h", "1d", "3d", "1w", "1M", "1y"])


@given(candles(), coarser)
@settings(deadline=None)
def test_resampling_loses_nothing(one: Candles, name: str) -> None:
    """Every candle is in one bar: volumes add up, extremes stay, first open and last close are where they were."""
    made, frame = one.resample(name), tf.parse(name)
    assert made.volume.sum() == pytest.approx(one.volume.sum())
    assert made.time.tolist() == sorted({frame.floor(time) for time in one.time.tolist()})
    for row, opened in enumerate(made.time.tolist()):
        inside = one.between(opened, frame.shift(opened))
        assert made.open[row] == inside.open[0]
        assert made.close[row] == inside.close[-1]
        assert made.high[row] == inside.high.max()
        assert made.low[row] == inside.low.min()
        over = row < len(made) - 1 or one.time[-1] + MINUTE >= frame.shift(opened)
        assert made.closed[row] == (over and inside.closed.all())


@given(candles(unknown=True, off_grid=True))
@settings(deadline=None)
def test_resampling_in_steps_is_resampling_at_once(one: Candles) -> None:
    """Minutes to hours to days is minutes to days, but for the rounding of sums."""
    at_once, in_steps = one.resample("1d"), one.resample("4h").resample("1d")
    for name in ("time", "open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(at_once, name), getattr(in_steps, name))
    np.testing.assert_allclose(at_once.volume, in_steps.volume)


@given(candles(), coarser)
@settings(deadline=None)
def test_whole_bars_are_some_of_all_bars(one: Candles, name: str) -> None:
    """Without the partial ones at most the first and the last bar are gone; of closed candles the rest are closed."""
    made, whole = one.resample(name), one.resample(name, partial=False)
    assert set(whole.time.tolist()) <= set(made.time.tolist())
    assert len(made) - len(whole) <= 2
    if len(whole):
        assert whole == made.between(int(whole.time[0]), int(whole.time[-1]) + 1)
        assert whole.closed[-1] or not one.closed.all()


@given(candles(off_grid=True))
@settings(deadline=None)
def test_gaps_and_candles_fill_the_time(one: Candles) -> None:
    """Candles and missing bars together are as many as there are minutes from the first to the last."""
    missing = sum(gap.bars for gap in one.gaps())
    if len(one):
        assert len(one) + missing == (one.time[-1] - one.time[0]) // MINUTE + 1
    for gap in one.gaps():
        assert gap.bars > 0
        assert gap.until - gap.since == gap.bars * MINUTE
        assert len(one.between(gap.since, gap.until)) == 0


@given(candles(), bars, bars)
@settings(deadline=None)
def test_spans_split_candles_without_loss(one: Candles, first: int, second: int) -> None:
    """Before, between and after are all of them, each once."""
    since, until = sorted((START + first * MINUTE, START + second * MINUTE))
    parts = one.between(until=since), one.between(since, until), one.between(since=until)
    assert np.concatenate([part.time for part in parts]).tolist() == one.time.tolist()


@given(candles(unknown=True), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_rows_in_any_order_give_the_same_candles(one: Candles, random: object) -> None:
    """Shuffled and doubled rows are sorted out."""
    rows = np.column_stack([one.time, *(getattr(one, name) for name in PRICE_FIELDS)]).tolist()
    shuffled = rows + rows
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    made = Candles.from_rows(shuffled, timeframe="1m")
    assert made == Candles(timeframe="1m", time=one.time, **{name: getattr(one, name) for name in PRICE_FIELDS})


@given(st.lists(st.integers(-(2**62), 2**62), max_size=10))
def test_candles_exist_only_with_times_that_rise(times: list[int]) -> None:
    """Any other order is refused."""
    columns = {name: np.zeros(len(times)) for name in PRICE_FIELDS}
    rises = all(a < b for a, b in itertools.pairwise(times))
    if rises:
        assert Candles(timeframe="1m", time=np.array(times, np.int64), **columns).time.tolist() == times
    else:
        with pytest.raises(DataError, match="not after row"):
            Candles(timeframe="1m", time=np.array(times, np.int64), **columns)


@given(st.lists(candles(), min_size=1, max_size=5))
@settings(deadline=None)
def test_panel_gives_back_the_candles_it_was_made_of(several: list[Candles]) -> None:
    """Every symbol's candles come out as they went in, and no row is without a candle."""
    named = {f"S{i}": one for i, one in enumerate(several)}
    panel = Panel.from_candles(named)
    for symbol, one in named.items():
        read = panel[symbol]
        assert read.time.tolist() == one.time.tolist()
        assert all(np.array_equal(getattr(read, name), getattr(one, name)) for name in PRICE_FIELDS)
    assert not panel.mask.all(axis=1).any()
    for row, time in enumerate(panel.time.tolist()):
        flags = [one.closed[one.time == time] for one in several]
        assert panel.closed[row] == np.concatenate(flags).all()


@given(st.lists(candles(), min_size=1, max_size=3))
@settings(deadline=None)
def test_panel_appended_bar_by_bar_is_the_panel(several: list[Candles]) -> None:
    """Following a market gives what fetching it at once gives."""
    whole = Panel.from_candles({f"S{i}": one.only_closed() for i, one in enumerate(several)})[:8]
    grown = whole[:0]
    for row in range(len(whole)):
        grown = grown.append({"time": whole.time[row], **{name: getattr(whole, name)[row] for name in PRICE_FIELDS}})
    assert grown == whole
