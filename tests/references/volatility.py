"""
Volatility, from the textbooks: one symbol, plain loops, long double where sums are taken.

Sources: J. Bollinger, Bollinger on Bollinger Bands, 2001 (percent and width); C. W. Keltner, 1960, with the band of
L. B. Raschke (average true range); J. W. Wilder, 1978; M. Parkinson, J. Business 53, 1980; M. B. Garman, M. J. Klass,
J. Business 53, 1980; S. B. Achelis, Technical Analysis from A to Z, 2001 (Chaikin's volatility).
"""

import numpy as np
from references.runs import average, by_runs, later, wilder, windows


def _spread(window):
    """Return the standard deviation, ddof 0, about the exact mean."""
    return np.sqrt(((window - window.mean()) ** 2).mean())


@by_runs
def bbands_percent(close, period, deviations):
    """Return where close stands between the bands: 0 on the lower, 1 on the upper, 0.5 where they fall together."""
    mean, spread = windows(np.mean, close, period), windows(_spread, close, period)
    lower, width = mean - deviations * spread, 2 * deviations * spread
    still = width == 0
    return np.where(still, 0.5, (close - lower) / np.where(still, 1, width))


@by_runs
def bbands_width(close, period, deviations):
    """Return the distance of the bands over the middle; 0 where the middle is 0."""
    mean, spread = windows(np.mean, close, period), windows(_spread, close, period)
    return np.where(mean == 0, 0, 2 * deviations * spread / np.where(mean == 0, 1, mean))


def _true_range(high, low, close):
    """Return the true range; the first bar has no previous close and so none."""
    previous = later(close, 1)
    return np.maximum(np.maximum(high - low, np.abs(high - previous)), np.abs(low - previous))


trange = by_runs(_true_range)


@by_runs
def natr(high, low, close, period):
    """Return the average true range as a percentage of close; 0 where close is 0."""
    true_range = wilder(_true_range(high, low, close), period)
    return np.where((close == 0) & ~np.isnan(true_range), 0, 100 * true_range / np.where(close == 0, 1, close))


@by_runs
def atr_tradingview(high, low, close, period):
    """As TradingView's ``ta.atr``: the first true range is high - low."""
    true_range = _true_range(high, low, close)
    true_range[0] = high[0] - low[0]
    return wilder(true_range, period)


@by_runs
def keltner(high, low, close, period, atr_period, multiplier):
    """Return the EMA of the typical price, and average true ranges about it, both seeded before the first value."""
    first = max(period - 1, atr_period)  # the bar at which both can be known
    typical, ranges = (high + low + close) / np.longdouble(3), _true_range(high, low, close)
    typical[: first - period + 1], ranges[: first - atr_period + 1] = np.nan, np.nan
    middle, reach = average(typical, period), multiplier * wilder(ranges, atr_period)
    return middle + reach, middle + 0 * reach, middle - reach


@by_runs
def keltner_tradingview(high, low, close, period, atr_period, multiplier):
    """As TradingView draws it: EMA of close from the first bar; the first true range is high - low."""
    true_range = _true_range(high, low, close)
    true_range[0] = high[0] - low[0]
    middle = average(close, 1, np.longdouble(2) / (period + 1))
    reach = multiplier * wilder(true_range, atr_period)
    return middle + reach, middle + 0 * reach, middle - reach


def _yearly(value, bars_per_year):
    return value * np.sqrt(np.longdouble(bars_per_year)) if bars_per_year else value


@by_runs
def realized_volatility(close, period, bars_per_year):
    """Return the sample deviation (ddof 1) of the last ``period`` log returns, per bar or per year."""
    returns = np.log(np.asarray(close, np.longdouble)) - np.log(later(np.asarray(close, np.longdouble), 1))
    return _yearly(windows(lambda window: window.std(ddof=1), returns, period), bars_per_year)


@by_runs
def realized_volatility_tradingview(close, period, bars_per_year):
    """As TradingView's Historical Volatility: ddof 0, in per cent."""
    returns = np.log(np.asarray(close, np.longdouble)) - np.log(later(np.asarray(close, np.longdouble), 1))
    return 100 * _yearly(windows(_spread, returns, period), bars_per_year)


@by_runs
def parkinson(high, low, period, bars_per_year):
    """Return the root of the mean of ln(high / low) squared over 4 ln 2."""
    ranges = np.log(np.asarray(high, np.longdouble) / np.asarray(low, np.longdouble))
    return _yearly(windows(lambda window: np.sqrt((window**2).mean() / (4 * np.log(2))), ranges, period), bars_per_year)


@by_runs
def garman_klass(opened, high, low, close, period, bars_per_year):
    """Return the root of the mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2; a negative mean is 0."""
    opened, high, low, close = (np.asarray(column, np.longdouble) for column in (opened, high, low, close))
    two = np.longdouble(2)
    terms = np.log(high / low) ** 2 / 2 - (2 * np.log(two) - 1) * np.log(close / opened) ** 2
    return _yearly(windows(lambda window: np.sqrt(max(window.mean(), 0)), terms, period), bars_per_year)


def chaikin_volatility(high, low, period, change):
    """
    Return the change over ``change`` bars, in per cent, of the EMA of high - low; 0 from an average of 0.

    What it was ``change`` bars ago is what it was, whatever was missing since.
    """
    smooth = by_runs(average)(high - low, period)
    before = later(smooth, change)
    made = 100 * (smooth - before) / np.where(before == 0, 1, before)
    return np.where(~np.isnan(smooth) & (before == 0), 0, made)
