"""Lines through the last bars, and how two series move together."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["angle", "covariance", "line", "standing"]


def _before(period: int) -> int:
    return period - 1


line: Final = Operator(__name__, "line", outputs=2, parameters=(int,), lookback=_before)
"""``line(x, period)``: mean of the last ``period`` values, and slope a bar of the least squares line through them."""
covariance: Final = Operator(__name__, "covariance", inputs=2, outputs=3, parameters=(int,), lookback=_before)
"""``covariance(x, y, period)``: covariance of the last ``period`` values, variance of ``x``, variance of ``y``."""
standing: Final = Operator(__name__, "standing", parameters=(int,), lookback=_before)
"""``standing(x, period)``: the newest value's distance from the mean of the last ``period``, in their standard
deviations (ddof 0); 0 where they do not move."""
angle: Final = Operator(__name__, "angle")
"""``angle(slope)``: of a line with this slope, in degrees."""
