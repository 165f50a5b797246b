"""
Moving averages written as their authors define them: one loop, long doubles, nothing shared with the library.

Each takes one series (T,) without gaps and returns long doubles, NaN before the first value.
"""

import numpy as np

LONG = np.longdouble


def unknown(values):
    """Return a result of the length of a series in which nothing is known yet."""
    return np.full(len(values), np.nan, LONG)


def windowed(values, period, formula):
    """Return ``formula`` of every window of ``period`` bars, oldest bar first."""
    values, made = np.asarray(values, LONG), unknown(values)
    first = int(np.isnan(values).sum())  # what a formula is applied to may itself begin late
    for t in range(first + period - 1, len(values)):
        made[t] = formula(values[t - period + 1 : t + 1])
    return made


def sma(values, period):
    """Mean of the window."""
    return windowed(values, period, lambda window: window.sum() / period)


def wma(values, period):
    """Weights 1 .. period, the newest bar the heaviest."""
    weights = np.arange(1, period + 1, dtype=LONG)
    return windowed(values, period, lambda window: (weights * window).sum() / weights.sum())


def recursive(values, alpha, seed):
    """Return y += alpha * (x - y), begun with the mean of the first ``seed`` values."""
    values, made = np.asarray(values, LONG), unknown(values)
    first = int(np.isnan(values).sum()) + seed - 1
    if first >= len(values):
        return made
    made[first] = values[first - seed + 1 : first + 1].sum() / seed
    for t in range(first + 1, len(values)):
        made[t] = made[t - 1] + alpha * (values[t] - made[t - 1])
    return made


def ema(values, period, seed=None):
    """alpha = 2 / (period + 1), seeded with the mean of the first ``period`` values unless told otherwise."""
    return recursive(values, LONG(2) / (period + 1), seed or period)


def rma(values, period):
    """Wilder's: alpha = 1 / period (New Concepts in Technical Trading Systems, 1978)."""
    return recursive(values, LONG(1) / period, period)


def dema(values, period, seed=None):
    """2 * EMA - EMA(EMA) (P. Mulloy, Stocks & Commodities 12:1, 1994)."""
    once = ema(values, period, seed)
    return 2 * once - ema(once, period, seed)


def tema(values, period, seed=None):
    """3 * EMA - 3 * EMA(EMA) + EMA(EMA(EMA)) (P. Mulloy, Stocks & Commodities 12:2, 1994)."""
    once = ema(values, period, seed)
    twice = ema(once, period, seed)
    return 3 * once - 3 * twice + ema(twice, period, seed)


def t3(values, period, vfactor, seed=None):
    """
    Third to sixth EMA of EMAs, weighted by the powers of (1 + v) - v * EMA (T. Tillson, Stocks & Commodities, 1998).

    Three generalised DEMAs in a row, written out as TA-Lib does: every EMA is seeded on the one before it.
    """
    v, made, chain = LONG(vfactor), values, []
    for _ in range(6):
        made = ema(made, period, seed)
        chain.append(made)
    weights = ((1 + v) ** 3, -3 * (1 + v) ** 2 * v, 3 * (1 + v) * v**2, -(v**3))
    return sum(weight * average for weight, average in zip(weights, chain[2:], strict=True))


def trima(values, period):
    """Weights 1, 2, .. up to the middle of the window and down again."""
    weights = np.minimum(np.arange(1, period + 1), np.arange(period, 0, -1)).astype(LONG)
    return windowed(values, period, lambda window: (weights * window).sum() / weights.sum())


def hma(values, period):
    """WMA(2 * WMA(n / 2) - WMA(n), sqrt(n)), both lengths rounded down (A. Hull, 2005)."""
    return wma(2 * wma(values, max(period // 2, 1)) - wma(values, period), int(np.sqrt(period)))


def zlema(values, period):
    """EMA of 2 * x - x[lag], lag = (period - 1) / 2 rounded down (J. Ehlers and R. Way, 2010)."""
    lag, values = (period - 1) // 2, np.asarray(values, LONG)
    nearer = unknown(values)
    nearer[lag:] = 2 * values[lag:] - values[: len(values) - lag]
    return ema(nearer, period)


def kama(values, period):
    """Steps of (ER * (2/3 - 2/31) + 2/31)^2 towards the price; ER = distance / path (P. Kaufman, 1995)."""
    values, made = np.asarray(values, LONG), unknown(values)
    for t in range(period, len(values)):
        path = np.abs(np.diff(values[t - period : t + 1])).sum()
        efficiency = abs(values[t] - values[t - period]) / path if path else LONG(1)
        step = (efficiency * (LONG(2) / 3 - LONG(2) / 31) + LONG(2) / 31) ** 2
        before = values[t - 1] if t == period else made[t - 1]
        made[t] = before + step * (values[t] - before)
    return made


def alma(values, period, offset, sigma):
    """Gaussian weights about offset * (period - 1), of width period / sigma (A. Legoux and D. Kouzis-Loukas, 2009)."""
    at = np.arange(period, dtype=LONG)
    weights = np.exp(-((at - LONG(offset) * (period - 1)) ** 2) / (2 * (period / LONG(sigma)) ** 2))
    return windowed(values, period, lambda window: (weights * window).sum() / weights.sum())


def vwma(values, volumes, period):
    """Mean of the window, each price weighted by its volume."""
    values, volumes, made = np.asarray(values, LONG), np.asarray(volumes, LONG), unknown(values)
    for t in range(period - 1, len(values)):
        window = slice(t - period + 1, t + 1)
        if volumes[window].sum():
            made[t] = (values[window] * volumes[window]).sum() / volumes[window].sum()
    return made


def midpoint(values, period):
    """Middle between the highest and the lowest value of the window."""
    return windowed(values, period, lambda window: (window.max() + window.min()) / 2)


def midprice(high, low, period):
    """Middle between the highest high and the lowest low of the window."""
    tops, bottoms = windowed(high, period, np.max), windowed(low, period, np.min)
    return (tops + bottoms) / 2
