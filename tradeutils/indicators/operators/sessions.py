"""Sessions: days and weeks of a market that never closes."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["cumulative_within", "session"]

session: Final = Operator(__name__, "session", parameters=(float,))
"""``session(time, hours)``: the number of the session of ``hours`` that ``time`` (ms) lies in, counted from Monday
1970-01-05 00:00 UTC."""

cumulative_within: Final = Operator(
    __name__, "cumulative_within", inputs=2, memory=lambda tolerance: None, recursive=True
)
"""``cumulative_within(x, session)``: the sum of ``x`` since the value of ``session`` last changed."""
