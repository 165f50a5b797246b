"""
Prices made of a bar, from the textbooks: one symbol, plain loops.

Sources: TA-Lib's price transforms; D. Valcu, Using the Heikin-Ashi Technique, Stocks & Commodities 22, 2004; J. Person,
A Complete Guide to Technical Trading Tactics, 2004 (floor traders' pivots).
"""

import numpy as np
from references.runs import by_runs, later


@by_runs
def avgprice(opened, high, low, close):
    """Return the mean of the four prices."""
    return (opened + high + low + close) / 4


@by_runs
def medprice(high, low):
    """Return the middle of the range."""
    return (high + low) / 2


@by_runs
def typprice(high, low, close):
    """Return the mean of high, low and close."""
    return (high + low + close) / 3


@by_runs
def wclprice(high, low, close):
    """Return the mean of high, low and twice close."""
    return (high + low + 2 * close) / 4


@by_runs
def heikin_ashi(opened, high, low, close):
    """Return open, high, low, close of the averaged bars; the first opens at the middle of its body."""
    made = np.empty((4, len(close)))
    for t in range(len(close)):
        last = (opened[t] + high[t] + low[t] + close[t]) / 4
        first = (opened[t] + close[t]) / 2 if t == 0 else (made[0, t - 1] + made[3, t - 1]) / 2
        made[:, t] = first, max(high[t], first, last), min(low[t], first, last), last
    return made


@by_runs
def pivots(high, low, close):
    """Return the floor traders' pivot of the bar before, and three resistances and supports."""
    high, low, close = (later(column, 1) for column in (high, low, close))
    pivot = (high + low + close) / 3
    return (
        pivot,
        2 * pivot - low,
        pivot + (high - low),
        high + 2 * (pivot - low),
        2 * pivot - high,
        pivot - (high - low),
        low - 2 * (high - pivot),
    )
