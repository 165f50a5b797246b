"""Relative changes of prices."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["log_return"]

log_return: Final = Operator(__name__, "log_return", inputs=2)
"""``log_return(now, before)``: ln(now / before); unknown unless both are above 0."""
