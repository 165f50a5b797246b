"""Averages whose pace follows the market."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["adaptive", "pace"]

pace: Final = Operator(__name__, "pace", parameters=(int, float, float), lookback=lambda period, slow, fast: period)
"""``pace(x, period, slow, fast)``: (ER * (fast - slow) + slow)^2. ER, Kaufman's efficiency ratio, is the distance from
``x`` of ``period`` bars ago over the sum of the distances from bar to bar; 1 where nothing has moved."""

adaptive: Final = Operator(
    __name__,
    "adaptive",
    inputs=2,
    parameters=(float,),
    memory=lambda slowest, tolerance: faded(slowest, tolerance),
    recursive=True,
)
"""``adaptive(x, rate, slowest)``: y += rate * (x - y), begun from the ``x`` of the bar before the first known rate.

``slowest`` is the least the rate can be: it says how long the past is remembered at worst, and nothing else."""
