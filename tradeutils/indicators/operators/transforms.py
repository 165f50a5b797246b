"""Transforms of a value's place in its range."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["fisher"]

# The smoothed place forgets by 0.67 a bar. The logarithm at the limit of 0.999 multiplies what is left by 500, and
# the half of the last transform kept at each bar adds up to 1 / (1 - 0.5 / 0.67) < 4 times that.
_AMPLIFIED: Final = 2000.0

fisher: Final = Operator(
    __name__, "fisher", memory=lambda tolerance: faded(0.33, tolerance / _AMPLIFIED), recursive=True
)
"""``fisher(place)``: Ehlers' transform of a place in a range, 0 at the bottom and 1 at the top."""
