"""Missing bars: a reference is the formula of a series without gaps, applied to each run of good bars."""

import functools

import numpy as np


def by_runs(formula):
    """
    Make a formula on complete (T,) columns one that takes gaps.

    ``formula(*columns, *parameters)`` returns an array, or several, of the columns' length; which arguments are columns
    is told by their type. A bar with a missing value in any column is NaN in every output, and what follows is a new
    series.
    """

    @functools.wraps(formula)
    def applied(*arguments):
        columns = [np.asarray(one, dtype=float) for one in arguments if np.ndim(one) == 1]
        parameters = [one for one in arguments if np.ndim(one) == 0]
        good = np.logical_and.reduce([np.isfinite(column) for column in columns])
        edges = np.flatnonzero(np.diff(np.r_[False, good, False].astype(int)))
        whole = None
        for low, high in edges.reshape(-1, 2):
            made = np.asarray(formula(*(column[low:high] for column in columns), *parameters), dtype=float)
            if whole is None:
                whole = np.full((*made.shape[:-1], len(good)), np.nan)
            whole[..., low:high] = made
        return whole

    return applied


def later(values, bars):
    """Return values moved ``bars`` later, NaN before."""
    values = np.asarray(values)
    return np.concatenate([np.full(min(bars, len(values)), np.nan, values.dtype), values[: max(len(values) - bars, 0)]])


def windows(function, values, period):
    """Return ``function`` of the last ``period`` values at each bar, NaN where one of them is."""
    values = np.asarray(values, dtype=np.longdouble)
    made = np.full(len(values), np.nan, np.longdouble)
    for t in range(period - 1, len(values)):
        window = values[t - period + 1 : t + 1]
        if not np.isnan(window).any():
            made[t] = function(window)
    return made


def average(values, period, alpha=None):
    """Return the exponential average (alpha = 2 / (period + 1) unless said) seeded with a mean of ``period`` values."""
    values = np.asarray(values, dtype=np.longdouble)
    alpha = np.longdouble(2) / (period + 1) if alpha is None else np.longdouble(alpha)
    made = np.full(len(values), np.nan, np.longdouble)
    first = int(np.isnan(values).sum())  # only leading ones: a run has no gaps
    at = first + period - 1
    if at < len(values):
        made[at] = values[first : at + 1].mean()
        for t in range(at + 1, len(values)):
            made[t] = made[t - 1] + alpha * (values[t] - made[t - 1])
    return made


def wilder(values, period):
    """Return Wilder's average, seeded with the mean of the first ``period`` values."""
    return average(values, period, np.longdouble(1) / period)
