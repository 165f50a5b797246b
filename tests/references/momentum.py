"""
Momentum, from the textbooks and TradingView's manual: one symbol, plain loops, long doubles.

Sources: W. Blau, Momentum, Direction and Divergence, 1995 (TSI); M. Pring, Stocks & Commodities 10:10, 1992 (KST);
J. F. Ehlers, Stocks & Commodities 20:11, 2002 (Fisher transform); A. Elder, Trading for a Living, 1993 (bull and bear
power). The functions named ``_tradingview`` follow the scripts that TradingView publishes for its own indicators.
"""

import numpy as np
from references.averages import LONG, ema, recursive, rma, sma, windowed
from references.runs import by_runs, later


def divided(above, below, otherwise=0):
    """Return ``above / below``, ``otherwise`` where ``below`` is exactly zero, NaN where either is unknown."""
    unknown = np.isnan(above) | np.isnan(below)
    made = np.where(below == 0, LONG(otherwise), above / np.where(below == 0, LONG(1), below))
    return np.where(unknown, np.nan, made)


def together(*outputs):
    """Return outputs that begin together: each NaN where any is."""
    unknown = np.logical_or.reduce([np.isnan(output) for output in outputs])
    return tuple(np.where(unknown, np.nan, output) for output in outputs)


def change(values, bars=1):
    """Return what values have gained in ``bars``."""
    values = np.asarray(values, LONG)
    return values - later(values, bars)


def change_in_percent(values, bars):
    """Return the gain in ``bars``, in per cent of what values were; 0 from 0."""
    values = np.asarray(values, LONG)
    return 100 * divided(values - later(values, bars), later(values, bars))


def ema_from_first(values, period):
    """TradingView's ``ta.ema``: the first value is the seed."""
    return ema(values, period, seed=1)


def middle_of(high, low):
    """Return the middle of each bar, to the float64 that an indicator is given as well."""
    return ((high + low) / 2).astype(LONG)


@by_runs
def tsi_tradingview(close, first, second):
    """Return twice smoothed moves in per cent of twice smoothed sizes of moves, averages begun with a first value."""
    moves = change(close)
    moved, way = (ema_from_first(ema_from_first(one, first), second) for one in (moves, abs(moves)))
    return 100 * divided(moved, way)


@by_runs
def trix_tradingview(close, period):
    """Return 10000 times the change of the logarithm of the price, smoothed three times from the first value."""
    smoothed = np.log(np.asarray(close, LONG))
    for _ in range(3):
        smoothed = ema_from_first(smoothed, period)
    return 10_000 * change(smoothed)


@by_runs
def cmo_tradingview(close, period):
    """Return rises less falls in per cent of rises and falls: plain sums, as T. Chande has it."""
    moves = change(close)
    rises, falls = (windowed(np.maximum(one, 0), period, np.sum) for one in (moves, -moves))
    return 100 * divided(rises - falls, rises + falls)


def strength_of(close, period):
    """Return Wilder's RSI; 0 where nothing has moved."""
    moves = change(close)
    rises, falls = (rma(np.maximum(one, 0), period) for one in (moves, -moves))
    return 100 * divided(rises, rises + falls)


@by_runs
def stochrsi_tradingview(close, period, fastk, fastd):
    """Return where RSI stands in its range, smoothed, and smoothed again."""
    strength = strength_of(close, period)
    high, low = windowed(strength, fastk, np.max), windowed(strength, fastk, np.min)
    k = sma(100 * divided(strength - low, high - low), fastd)
    return together(k, sma(k, fastd))


@by_runs
def apo_tradingview(close, fast, slow):
    """Return the difference of two averages that begin with the first price."""
    return ema_from_first(close, min(fast, slow)) - ema_from_first(close, max(fast, slow))


@by_runs
def ppo_tradingview(close, fast, slow):
    """Return that difference in per cent of the slow average."""
    fast, slow = ema_from_first(close, min(fast, slow)), ema_from_first(close, max(fast, slow))
    return 100 * divided(fast - slow, slow)


@by_runs
def macd_tradingview(close, fast, slow, signal):
    """Return that difference, its average begun with its first value, and the difference of the two."""
    line = ema_from_first(close, min(fast, slow)) - ema_from_first(close, max(fast, slow))
    smooth = ema_from_first(line, signal)
    return line, smooth, line - smooth


@by_runs
def kst(close, *parameters):
    """Return four smoothed rates of change weighted 1 to 4, and the mean of that."""
    changes, means, signal = parameters[:4], parameters[4:8], parameters[8]
    line = sum(
        weight * sma(change_in_percent(close, bars), period)
        for weight, bars, period in zip((1, 2, 3, 4), changes, means, strict=True)
    )
    return line, sma(line, signal)


@by_runs
def fisher(high, low, period):
    """Return Ehlers' transform as TradingView limits it, and what it was a bar before."""
    middle = middle_of(high, low)
    top, bottom = windowed(middle, period, np.max), windowed(middle, period, np.min)
    place = divided(middle - bottom, top - bottom, otherwise=0.5)
    value = transform = LONG(0)
    made = np.full(len(middle), np.nan, LONG)
    for t in range(period - 1, len(middle)):
        value = LONG("0.66") * (place[t] - LONG("0.5")) + LONG("0.67") * value
        value = LONG("0.999") if value > LONG("0.99") else LONG("-0.999") if value < LONG("-0.99") else value
        transform = np.log((1 + value) / (1 - value)) / 2 + transform / 2
        made[t] = transform
    return made, later(made, 1)


@by_runs
def eri_tradingview(high, low, close, period):
    """The average begins with the first close."""
    average = recursive(close, LONG(2) / (period + 1), 1)
    return together(np.asarray(high, LONG) - average, np.asarray(low, LONG) - average)
