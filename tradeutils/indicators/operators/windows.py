"""Operators on the last bars: sums, means, deviations, and values some bars ago."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Node, Operator

__all__ = ["bands", "change", "deviation", "lag", "mean", "mean_deviation", "spread", "total", "weighted"]


def _before(period: int) -> int:
    return period - 1


lag: Final = Operator(__name__, "lag", parameters=(int,), lookback=lambda bars: bars)
"""``lag(x, bars)``: the value ``bars`` ago, whatever was missing since; ``bars`` from 0."""
total: Final = Operator(__name__, "total", parameters=(int,), lookback=_before)
"""``total(x, period)``: the sum of the last ``period`` values."""
mean: Final = Operator(__name__, "mean", parameters=(int,), lookback=_before)
"""``mean(x, period)``: the mean of the last ``period`` values."""
deviation: Final = Operator(__name__, "deviation", parameters=(int,), lookback=_before)
"""``deviation(x, period)``: the standard deviation (ddof 0) of the last ``period`` values."""
weighted: Final = Operator(__name__, "weighted", parameters=(int,), lookback=_before)
"""``weighted(x, period)``: the mean with weights 1, 2 .. period, the newest value the heaviest."""
spread: Final = Operator(__name__, "spread", outputs=2, parameters=(int,), lookback=_before)
"""``spread(x, period)``: the mean of the last ``period`` values, and their mean distance from it."""

bands: Final = Operator(
    __name__, "bands", outputs=3, parameters=(int, float), lookback=lambda period, deviations: period - 1
)
"""``bands(x, period, deviations)``: the mean plus so many deviations, the mean, the mean less so many."""


def change(x: Node, bars: int) -> Node:
    """Return ``x`` less what it was ``bars`` ago."""
    earlier: Node = lag(x, bars)
    return x - earlier


def mean_deviation(x: Node, period: int) -> Node:
    """Return the mean distance of the last ``period`` values from their mean."""
    made: tuple[Node, Node] = spread(x, period)
    return made[1]
