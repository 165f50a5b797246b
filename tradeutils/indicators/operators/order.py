"""Operators on the order of the last values: which is the middle one, how many lie below."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["ranked", "share_below"]

ranked: Final = Operator(__name__, "ranked", parameters=(int, int, int), lookback=lambda period, low, high: period - 1)
"""``ranked(x, period, low, high)``: the mean of the values ``low`` and ``high``, counted from 0, of the last ``period``
in order of size. Takes time in proportion to ``period``."""
share_below: Final = Operator(__name__, "share_below", parameters=(int, int), lookback=lambda period, ties: period)
"""``share_below(x, period, ties)``: how many of the ``period`` values before are smaller, as a share of 1; with
``ties`` 1, smaller or equal. Takes time in proportion to ``period``."""
