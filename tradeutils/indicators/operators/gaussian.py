"""Averages with weights in the shape of a bell."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["gaussian"]

gaussian: Final = Operator(
    __name__,
    "gaussian",
    parameters=(int, float, float),
    lookback=lambda period, offset, sigma: period - 1,
)
"""``gaussian(x, period, offset, sigma)``: the mean of the last ``period`` values with weights that fall off on both
sides of place ``offset * (period - 1)`` (0 the oldest) over ``period / sigma`` bars. Takes time in proportion to
``period``."""
