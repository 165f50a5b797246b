"""
Rolling statistics by their definitions: each window anew, in long doubles, means taken out first.

Each takes series (T,) without gaps and returns long doubles, NaN before the first value.
"""

import numpy as np
from references.averages import LONG, unknown, windowed


def fitted(window):
    """Return value at the oldest bar and slope of the least squares line through a window."""
    at = np.arange(len(window), dtype=LONG) - LONG(len(window) - 1) / 2
    slope = (at * (window - window.mean())).sum() / (at * at).sum()
    return window.mean() + slope * at[0], slope


def linearreg(values, period):
    """Value of the line at the newest bar."""
    return windowed(values, period, lambda window: fitted(window)[0] + fitted(window)[1] * (period - 1))


def linearreg_intercept(values, period):
    """Value of the line at the oldest bar."""
    return windowed(values, period, lambda window: fitted(window)[0])


def linearreg_slope(values, period):
    """Rise of the line from bar to bar."""
    return windowed(values, period, lambda window: fitted(window)[1])


def linearreg_angle(values, period):
    """Angle of the line in degrees, one price unit a bar being 45."""
    return windowed(values, period, lambda window: np.degrees(np.arctan(fitted(window)[1])))


def tsf(values, period):
    """Value of the line one bar ahead."""
    return windowed(values, period, lambda window: fitted(window)[0] + fitted(window)[1] * period)


def var(values, period):
    """Mean of the squared distances from the mean (ddof 0)."""
    return windowed(values, period, lambda window: ((window - window.mean()) ** 2).mean())


def stddev(values, period, deviations):
    """Square root of the variance, times ``deviations``."""
    return LONG(deviations) * np.sqrt(var(values, period))


def zscore(values, period):
    """Distance of the newest value from the mean, in standard deviations; 0 where the window does not move."""

    def formula(window):
        window = window - window[0]  # exact: long doubles hold the difference of any two near prices
        deviation = np.sqrt(((window - window.mean()) ** 2).mean())
        return (window[-1] - window.mean()) / deviation if window.min() < window.max() else LONG(0)

    return windowed(values, period, formula)


def paired(first, second, period, formula):
    """Return ``formula`` of both windows, means taken out."""
    first, second, made = np.asarray(first, LONG), np.asarray(second, LONG), unknown(first)
    for t in range(int(np.isnan(first).sum()) + period - 1, len(first)):
        x, y = first[t - period + 1 : t + 1], second[t - period + 1 : t + 1]
        made[t] = formula(x - x.mean(), y - y.mean()) if x.min() < x.max() and y.min() < y.max() else 0
    return made


def correl(first, second, period):
    """Pearson's r; 0 where either does not move."""
    return paired(first, second, period, lambda x, y: (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def beta(first, second, period):
    """Slope of the returns of ``second`` on those of ``first``; 0 where ``first`` does not move."""
    returns = []
    for values in (first, second):
        values = np.asarray(values, LONG)
        returns.append(np.concatenate([[np.nan], np.diff(values) / values[:-1]]))
    return paired(*returns, period, lambda x, y: (x * y).sum() / (x * x).sum())


def percentrank(values, period, *, ties=False):
    """Percent of the ``period`` bars before that lie below the bar; ``ties``: below or at it."""

    def formula(window):
        below = window[:-1] <= window[-1] if ties else window[:-1] < window[-1]
        return LONG(100) * below.sum() / period

    return windowed(values, period + 1, formula)


def percentile(values, period, percent):
    """Smallest value of the window that at least ``percent`` of it lie at or below (nearest rank)."""
    rank = max(1, int(np.ceil(LONG(percent) / 100 * period)))
    return windowed(values, period, lambda window: np.sort(window)[rank - 1])


def rolling_median(values, period):
    """Middle value of the window, or the mean of the middle two."""
    return windowed(values, period, np.median)
