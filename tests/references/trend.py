"""
Trend, from the textbooks and TradingView's manual: one symbol, plain loops, long doubles.

Sources: G. Hosoda, Ichimoku Kinko Hyo, 1969; E. W. Dreiss (choppiness index); D. Dorsey, Stocks & Commodities 10:6,
1992 (mass index); S. B. Achelis, Technical Analysis from A to Z, 2001 (detrended price); TradingView's
manual, ``ta.sar`` (after J. W. Wilder, 1978).
"""

import numpy as np
from references.averages import LONG, sma, windowed
from references.momentum import divided, ema_from_first
from references.runs import by_runs, later


def earlier(values, bars):
    """Return what will stand ``bars`` later: values seen before their time."""
    return later(values[::-1], bars)[::-1]


def true_range(high, low, close):
    """Return the true range; the first bar has none."""
    high, low = np.asarray(high, LONG), np.asarray(low, LONG)
    previous = later(close, 1)
    return np.maximum(np.maximum(high - low, abs(high - previous)), abs(low - previous))


def middle_of_range(high, low, period):
    """Return the middle between the highest high and the lowest low."""
    return (windowed(high, period, np.max) + windowed(low, period, np.min)) / 2


def _ichimoku(high, low, close, lengths, ahead, behind, lookahead):
    tenkan, kijun, wide = (middle_of_range(high, low, period) for period in lengths)
    past = later(np.asarray(close, LONG), behind)
    chikou = earlier(np.where(np.isnan(past), np.nan, close), behind) if lookahead else close - past
    return tenkan, kijun, later((tenkan + kijun) / 2, ahead), later(wide, ahead), chikou


@by_runs
def ichimoku(high, low, close, tenkan, kijun, senkou, displacement, lookahead):
    """Return tenkan, kijun, the spans of ``displacement`` bars ago, and close less close then."""
    return _ichimoku(high, low, close, (tenkan, kijun, senkou), displacement, displacement, lookahead)


@by_runs
def ichimoku_tradingview(high, low, close, tenkan, kijun, senkou, displacement, lookahead):
    """TradingView counts the bar itself: everything is displaced by a bar less."""
    return _ichimoku(high, low, close, (tenkan, kijun, senkou), displacement - 1, displacement - 1, lookahead)


@by_runs
def dpo(close, period, lookahead):
    """Return the price of ``period // 2 + 1`` bars ago less the average, at the bar of that price if looking ahead."""
    back = period // 2 + 1
    made = later(np.asarray(close, LONG), back) - sma(close, period)
    return earlier(made, back) if lookahead else made


@by_runs
def dpo_tradingview(close, period, lookahead):
    """Return price less the average of so many bars ago, or, if looking ahead, that of as many bars later."""
    back, average = period // 2 + 1, sma(close, period)
    return np.asarray(close, LONG) - (earlier(average, back) if lookahead else later(average, back))


def _chop(high, low, moves, period):
    covered = windowed(high, period, np.max) - windowed(low, period, np.min)
    way = divided(windowed(moves, period, np.sum), covered, otherwise=period)
    return 100 * np.log(way) / np.log(LONG(period))


@by_runs
def chop(high, low, close, period):
    """Return the way travelled over the range covered, logarithms to the base of ``period``, in per cent."""
    return _chop(high, low, true_range(high, low, close), period)


@by_runs
def chop_tradingview(high, low, close, period):
    """The first bar has a range as well."""
    moves = true_range(high, low, close)
    moves[:1] = high[:1] - low[:1]
    return _chop(high, low, moves, period)


@by_runs
def massi_tradingview(high, low, fast, slow):
    """Return the sum of the ratios of the average range to its own average, both begun with their first value."""
    once = ema_from_first(np.asarray(high, LONG) - np.asarray(low, LONG), fast)
    return windowed(divided(once, ema_from_first(once, fast), otherwise=1), slow, np.sum)


class Parabola:
    """TradingView's ``ta.sar``, a bar at a time; the first direction is TA-Lib's, as there is no close to ask."""

    def __init__(self, high, low, acceleration, maximum):
        self.step, self.maximum = acceleration, maximum
        falling = low[0] - low[1]
        self.rising = not (falling > 0 and high[1] - high[0] < falling)
        self.extreme = high[1] if self.rising else low[1]
        self.stop = low[0] if self.rising else high[0]
        self.speed = acceleration

    def advance(self, t, high, low):
        """Return the stop of bar ``t``."""
        turned = t == 1
        self.stop = self.stop + self.speed * (self.extreme - self.stop)
        if self.stop > low[t] if self.rising else self.stop < high[t]:
            turned, self.rising, self.speed = True, not self.rising, self.step
            self.stop = min(low[t], self.extreme) if self.rising else max(high[t], self.extreme)
            self.extreme = high[t] if self.rising else low[t]
        if not turned and (high[t] > self.extreme if self.rising else low[t] < self.extreme):
            self.extreme = high[t] if self.rising else low[t]
            self.speed = min(self.speed + self.step, self.maximum)
        before = range(max(t - 2, 0), t)
        if self.rising:
            self.stop = min(self.stop, *(low[i] for i in before))
        else:
            self.stop = max(self.stop, *(high[i] for i in before))
        return self.stop


@by_runs
def sar_tradingview(high, low, acceleration, maximum):
    """Return the stop of every bar but the first."""
    made = np.full(len(high), np.nan)
    if len(high) > 1:
        parabola = Parabola(high, low, acceleration, maximum)
        for t in range(1, len(high)):
            made[t] = parabola.advance(t, high, low)
    return made
