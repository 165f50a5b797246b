"""
Volume, from the textbooks: one symbol, plain loops, long double where sums are taken.

Sources: S. B. Achelis, Technical Analysis from A to Z, 2001 (accumulation/distribution, Chaikin's oscillator and money
flow, price volume trend, negative and positive volume index after N. Fosback); A. Elder, Trading for a Living, 1993
(force index); S. A. Berkowitz, D. E. Logue, E. A. Noser, J. Finance 43, 1988 (volume-weighted average price).
"""

import numpy as np
from references.runs import average, by_runs, later, windows

DAY = 86_400_000
MONDAY = 4 * DAY  # 1970-01-05


def _flow(high, low, close, volume):
    """Return the money flow volume: volume times where close stands in the bar's range, -1 to 1; 0 without a range."""
    high, low, close, volume = (np.asarray(column, np.longdouble) for column in (high, low, close, volume))
    spread = high - low
    return np.where(spread > 0, ((close - low) - (high - close)) / np.where(spread > 0, spread, 1), 0) * volume


@by_runs
def ad(high, low, close, volume):
    """Return the sum of the money flow volumes so far."""
    return np.cumsum(_flow(high, low, close, volume))


@by_runs
def adosc(high, low, close, volume, fast, slow):
    """Return a fast EMA less a slow EMA of the line, begun with its first value, shown once the longer is full."""
    line = np.cumsum(_flow(high, low, close, volume))
    made = average(line, 1, np.longdouble(2) / (fast + 1)) - average(line, 1, np.longdouble(2) / (slow + 1))
    made[: max(fast, slow) - 1] = np.nan
    return made


@by_runs
def adosc_tradingview(high, low, close, volume, fast, slow):
    """As TradingView's Chaikin Oscillator: the same, shown from the first bar on."""
    line = np.cumsum(_flow(high, low, close, volume))
    return average(line, 1, np.longdouble(2) / (fast + 1)) - average(line, 1, np.longdouble(2) / (slow + 1))


@by_runs
def obv_tradingview(close, volume):
    """As TradingView's ``ta.obv``: the volumes of rises less those of falls, from 0."""
    moves = np.sign(close - later(close, 1))
    moves[0] = 0
    return np.cumsum(moves * np.asarray(volume, np.longdouble))


@by_runs
def cmf(high, low, close, volume, period):
    """Return the sum of the money flow volumes over the sum of the volumes; 0 where there was no volume."""
    flow, total = windows(np.sum, _flow(high, low, close, volume), period), windows(np.sum, volume, period)
    return np.where(total == 0, 0, flow / np.where(total == 0, 1, total))


@by_runs
def efi(close, volume, period):
    """Return the EMA of the change of close times volume."""
    return average((close - later(close, 1)) * np.asarray(volume, np.longdouble), period)


@by_runs
def pvt(close, volume):
    """Return the sum of volume times the relative change of close; a change from 0 counts nothing."""
    before = later(np.asarray(close, np.longdouble), 1)
    moves = np.where(before == 0, 0, (close - before) / np.where(before == 0, 1, before)) * volume
    moves[0] = 0
    return np.cumsum(moves)


def _index(close, volume, counts):
    made = np.full(len(close), 1000, np.longdouble)
    level = made[0]
    for t in range(1, len(close)):
        if counts(volume[t], volume[t - 1]) and close[t - 1] != 0:
            level *= np.longdouble(close[t]) / np.longdouble(close[t - 1])
        made[t] = level
    return made


@by_runs
def nvi(close, volume):
    """Return 1000 compounded by the changes of close on bars whose volume fell."""
    return _index(close, volume, lambda now, before: now < before)


@by_runs
def pvi(close, volume):
    """Return 1000 compounded by the changes of close on bars whose volume rose."""
    return _index(close, volume, lambda now, before: now > before)


@by_runs
def nvi_tradingview(close, volume):
    """As TradingView's ``ta.nvi``: from 1."""
    return _index(close, volume, lambda now, before: now < before) / 1000


@by_runs
def pvi_tradingview(close, volume):
    """As TradingView's ``ta.pvi``: from 1."""
    return _index(close, volume, lambda now, before: now > before) / 1000


@by_runs
def rvol(volume, period):
    """Return volume over the mean of the ``period`` volumes before it; 0 where these were all 0."""
    before = later(windows(np.mean, volume, period), 1)
    return np.where(before == 0, 0, volume / np.where(before == 0, 1, before))


@by_runs
def vwap(high, low, close, volume):
    """Return the mean of the typical prices so far, weighted by volume; the typical price while there is none."""
    typical = (np.asarray(high, np.longdouble) + low + close) / 3
    worth, total = np.cumsum(typical * volume), np.cumsum(np.asarray(volume, np.longdouble))
    return np.where(total == 0, typical, worth / np.where(total == 0, 1, total))


@by_runs
def session_vwap(time, high, low, close, volume, hours):
    """As above, begun anew with every session of ``hours``, counted from Monday 1970-01-05 00:00 UTC."""
    session = np.floor((time - MONDAY) / (hours * 3_600_000))
    made = np.full(len(close), np.nan, np.longdouble)
    for one in np.unique(session):
        at = session == one
        made[at] = vwap(high[at], low[at], close[at], volume[at])
    return made
