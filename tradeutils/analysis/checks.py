"""Checks of what callers ask an analysis for."""

from __future__ import annotations

import sys
from operator import index
from typing import Any, Final

import numpy as np

from tradeutils.errors import UsageError

__all__ = ["LONGEST", "bars", "number", "whole"]

LONGEST: Final = 100_000
"""Bars that may be asked for at most, as for the windows of indicators."""


def bars(name: str, value: Any, lowest: int = 1) -> int:
    """Return a whole number of bars; any other, or one below ``lowest`` or above LONGEST, raises ``UsageError``."""
    return whole(name, value, lowest, LONGEST, "a whole number of bars")


def whole(name: str, value: Any, lowest: int, highest: int, what: str = "a whole number") -> int:
    """Return a whole number within ``[lowest, highest]``; any other raises ``UsageError``, which asks for ``what``."""
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__") or not lowest <= index(value) <= highest:
        raise UsageError(f"{name} was {value!r:.40}; write {what} from {lowest} to {highest}")
    return index(value)


def number(name: str, value: Any, lowest: float, highest: float = sys.float_info.max) -> float:
    """Return a finite number within ``[lowest, highest]``; any other raises ``UsageError``."""
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, int | float) or isinstance(plain, bool) or not lowest <= plain <= highest:
        upto = "" if highest == sys.float_info.max else f" to {highest:g}"
        raise UsageError(f"{name} was {value!r:.40}; write a number from {lowest:g}{upto}")
    return float(plain)
