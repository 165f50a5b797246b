"""Levels of prices in plain Python, one symbol at a time, as the docstrings say them."""

from __future__ import annotations

import math
from fractions import Fraction


def finite(*values):
    return all(math.isfinite(value) for value in values)


def swings(high, low, left, right):
    """Return for each bar the rows of the swing high and low it confirms, -1 for none, by looking at all neighbours."""
    found = []
    for t in range(len(high)):
        at, ends = t - right, []
        for values, sign in ((high, 1), (low, -1)):
            window = values[max(at - left, 0) : t + 1]
            whole = at - left >= 0 and finite(*window)
            before, after = values[max(at - left, 0) : max(at, 0)], values[at + 1 : t + 1]
            ends.append(
                at
                if whole
                and all(sign * values[at] >= sign * one for one in before)
                and all(sign * values[at] > sign * one for one in after)
                else -1
            )
        found.append(tuple(ends))
    return found


def zigzag(high, low, distance):
    """
    Return for each bar the rows of the swing high and low it confirms, -1 for none.

    ``distance(price, t)`` is how far a bar must turn, NaN where that is unknown. Each bar asks anew which bars the
    present leg is made of and where its end is.
    """
    found, kind, since = [], None, -1  # the leg begins after the row ``since``; the last swing was of this kind
    good = []
    for t in range(len(high)):
        found.append((-1, -1))
        if not finite(high[t], low[t], distance(1.0, t)):
            continue
        good.append(t)
        leg = [u for u in good if u > since]
        top = min(leg, key=lambda u: (-high[u], u))
        bottom = min(leg, key=lambda u: (low[u], u))
        falls = kind != "high" and top != t and low[t] <= high[top] - distance(high[top], t)
        rises = kind != "low" and bottom != t and high[t] >= low[bottom] + distance(low[bottom], t)
        if falls and rises:
            falls, rises = top < bottom, bottom < top
        if falls:
            found[-1], kind, since = (top, -1), "high", top
        elif rises:
            found[-1], kind, since = (-1, bottom), "low", bottom
    return found


def levels(high, low, close, confirmed, width, lookback, flips):
    """
    Return the nearest levels at each bar, and the list of levels that is left.

    ``confirmed`` holds for each bar the rows of the pivots it confirms; ``width(price, t)`` is the tolerance.
    """
    alive, lines = [], []
    for t in range(len(close)):
        kept = []
        for level in alive:
            if t - level["pivots"][-1] > lookback:
                continue
            if math.isfinite(close[t]):
                beyond = level["price"] - close[t] if level["kind"] == "support" else close[t] - level["price"]
                if beyond > width(level["price"], t):
                    level["breaks"] += 1
                    level["kind"] = "resistance" if level["kind"] == "support" else "support"
                    if level["breaks"] > flips:
                        continue
            kept.append(level)
        alive = kept
        for at, values, kind in zip(confirmed[t], (high, low), ("resistance", "support"), strict=True):
            if at < 0 or not math.isfinite(width(1.0, t)):
                continue
            price = values[at]
            near = [one for one in alive if abs(one["price"] - price) <= width(price, t)]
            if near:
                nearest = min(near, key=lambda one: abs(one["price"] - price))
                nearest["pivots"].append(at)
                nearest["prices"].append(price)
                nearest["price"] += (price - nearest["price"]) / len(nearest["prices"])
            else:
                alive.append({"price": price, "prices": [price], "pivots": [at], "kind": kind, "breaks": 0})
        ends = []
        for kind, choose in (("support", max), ("resistance", min)):
            own = [one for one in alive if one["kind"] == kind]
            nearest = choose(own, key=lambda one: one["price"], default={"price": math.nan, "pivots": []})
            ends.append((nearest["price"], len(nearest["pivots"])))
        (below, below_touches), (above, above_touches) = ends
        lines.append((below, above, below_touches, above_touches))
    return lines, alive


def profile(rows, bins):
    """Return the exact volume in each bin and the ends of the range, of rows (high, low, volume); ``None`` of none."""
    traded = [tuple(map(Fraction, row)) for row in rows if finite(*row) and row[2] > 0 and row[0] >= row[1]]
    if not traded:
        return None
    bottom, top = min(row[1] for row in traded), max(row[0] for row in traded)
    size = (top - bottom) / bins
    made = [Fraction(0)] * bins
    for high, low, volume in traded:
        if high == low:
            place = min(int((low - bottom) / size), bins - 1) if size else 0
            made[place] += volume
            continue
        for k in range(bins):
            inside = min(high, bottom + (k + 1) * size) - max(low, bottom + k * size)
            made[k] += max(inside, 0) / (high - low) * volume
    return made, bottom, top


def value_area(volume, share):
    """Return the bins of the point of control and of the ends of the value area."""
    middle = (len(volume) - 1) / 2
    control = min(range(len(volume)), key=lambda k: (-volume[k], abs(k - middle), k))
    low = high = control
    held, total = volume[control], 0.0
    for one in volume:
        total += one
    while held < share * total and high - low + 1 < len(volume):
        up = volume[high + 1] if high + 1 < len(volume) else -1
        down = volume[low - 1] if low else -1
        if up >= down:
            high += 1
        else:
            low -= 1
        held += max(up, down)
    return control, low, high


def pivot_points(rows, sessions, method):
    """Return (pivot, resistances, supports) at each bar of rows (high, low, close), by the session of each."""
    order = list(dict.fromkeys(one for one in sessions if one is not None))
    made = []
    for own in sessions:
        earlier = order[: order.index(own)] if own is not None else []
        before = None
        for session in earlier:
            bars = [row for row, its in zip(rows, sessions, strict=True) if its == session and finite(*row)]
            if bars and session != "not whole":
                before = max(bar[0] for bar in bars), min(bar[1] for bar in bars), bars[-1][2]
        made.append(None if before is None else _points(*before, method))
    return made


def _points(high, low, close, method):
    pivot, span = (high + low + close) / 3, high - low
    if method == "floor":
        return (
            pivot,
            (2 * pivot - low, pivot + span, high + 2 * (pivot - low)),
            (2 * pivot - high, pivot - span, low - 2 * (high - pivot)),
        )
    if method == "fibonacci":
        steps, middle = [0.382 * span, 0.618 * span, span], pivot
    else:
        steps, middle = [1.1 * span / part for part in (12, 6, 4, 2)], close
    return pivot, tuple(middle + step for step in steps), tuple(middle - step for step in steps)
