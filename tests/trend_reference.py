"""Trend, regimes, divergences and breakouts as their descriptions say: one symbol, plain loops, bar by bar."""

import math
from fractions import Fraction
from itertools import pairwise


def known(values):
    """Return a list of floats with None for what is missing."""
    return [float(value) if math.isfinite(value) else None for value in values]


def pivots(values, left, right, sign=1):
    """Return the row of the pivot that each bar confirms, or -1; ``sign`` -1 for lows."""
    values, found = known(values), []
    for bar in range(len(values)):
        at = bar - right
        window = values[max(at - left, 0) : bar + 1]
        if at < left or None in window:
            found.append(-1)
            continue
        middle = sign * values[at]
        before = all(sign * value <= middle for value in window[:left])
        after = all(sign * value < middle for value in window[left + 1 :])
        found.append(at if before and after else -1)
    return found


def line(values):
    """Return value at the end, slope, R2 and squared standard error of the line through all values, in fractions."""
    count = len(values)
    exact = [Fraction(value) for value in values]
    mean, middle = sum(exact) / count, Fraction(count - 1, 2)
    spread = sum((place - middle) ** 2 for place in range(count))
    slope = sum((place - middle) * value for place, value in enumerate(exact)) / spread
    total = sum((value - mean) ** 2 for value in exact)
    left = sum((value - mean - slope * (place - middle)) ** 2 for place, value in enumerate(exact))
    return mean + slope * middle, slope, 1 - left / total if total else Fraction(0), left / (count - 2)


def regimes(adx, averages, enter, leave, hold=False):
    """Return the regime at each bar, from ADX and averages, fastest first: -1, 0, 1, None where unknown."""
    state, found = 0, []
    for strength, *stack in zip(known(adx), *map(known, averages), strict=True):
        if strength is None or None in stack:
            state = state if hold else 0
            found.append(None)
            continue
        pairs = list(pairwise(stack))
        way = all(a > b for a, b in pairs) - all(a < b for a, b in pairs)
        if strength < leave or way == -state:
            state = 0
        if strength >= enter and way:
            state = way
        found.append(state)
    return found


def ranks(values, lookback):
    """Return the rank of each value among those before it in per cent, equal ones counted half."""
    values, found = known(values), []
    for bar, value in enumerate(values):
        window = values[max(bar - lookback, 0) : bar]
        if bar < lookback or value is None or None in window:
            found.append(None)
            continue
        below = sum(other < value for other in window) + sum(other == value for other in window) / 2
        found.append(100 * below / lookback)
    return found


def divergences(price, oscillator, left, right, within, sign):
    """Return (code, first pivot, second pivot) at each bar; ``sign`` 1 for highs, -1 for lows."""
    beside, last, found = known(oscillator), None, []
    for at in pivots(price, left, right, sign):
        made = (0, -1, -1)
        if at >= 0:
            if last is not None and at - last <= within and None not in (beside[last], beside[at]):
                further = sign * (price[at] - price[last])
                other = sign * (beside[at] - beside[last])
                if further > 0 > other:
                    made = (1, last, at)
                elif further < 0 < other:
                    made = (2, last, at)
            last = at
        found.append(made)
    return found


def breakouts(high, low, close, period, reach, volume_ratio, wanted, fail_within):
    """
    Return (code, failed, row of what failed) at each bar.

    ``reach`` is how far beyond the range a close must be at each bar, ``volume_ratio`` the volume against its mean.
    """
    high, low, close = known(high), known(low), known(close)
    reach, volume_ratio = known(reach), known(volume_ratio)
    open_up, open_down, found = None, None, []
    for bar, price in enumerate(close):
        code, failed, origin = 0, 0, -1
        if open_up and bar - open_up[0] <= fail_within and price is not None and price < open_up[1]:
            failed, origin, open_up = 1, open_up[0], None
        if open_down and bar - open_down[0] <= fail_within and price is not None and price > open_down[1]:
            assert not failed
            failed, origin, open_down = -1, open_down[0], None
        highs, lows = high[max(bar - period, 0) : bar], low[max(bar - period, 0) : bar]
        ready = bar >= period and None not in (price, reach[bar])
        if wanted is not None:
            ready = ready and volume_ratio[bar] is not None and volume_ratio[bar] >= wanted
        if ready and None not in highs and price > max(highs) + reach[bar]:
            code, open_up = 1, (bar, max(highs))
        if ready and None not in lows and price < min(lows) - reach[bar]:
            code, open_down = -1, (bar, min(lows))
        found.append((code, failed, origin))
    return found
