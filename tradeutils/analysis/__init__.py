"""
What candles tell beyond indicators: `quality`, `trend`, `levels` and `patterns`, over Candles and Panel.

Every function is causal: what it says of a bar never changes when later bars come. Where a finding needs bars after
the one it is about (a swing high), it is reported at the bar that confirms it, and the delay is stated.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradeutils.analysis import levels, patterns, quality, trend

__all__ = ["levels", "patterns", "quality", "trend"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
