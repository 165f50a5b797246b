"""What a candlestick pattern is: its definition, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from tradeutils.indicators.candlesticks.bars import Bars, Score
from tradeutils.indicators.candlesticks.facts import Sheet

__all__ = ["Pattern", "pattern"]

_Definition = Callable[..., list[Score]]


@dataclass(frozen=True, eq=False)
class Pattern:
    """
    A candlestick pattern of TA-Lib.

    Parameters
    ----------
    name : str
        TA-Lib's, in lower case: ``"cdlhammer"``.
    title : str
        As people call it: ``"Hammer"``.
    bars : int
        How many bars it is made of; where the bar before is compared with, that too.
    bias : str
        What it is said to foretell: ``"bullish"``, ``"bearish"``, ``"both"`` (by its sign), or ``"neutral"``: the
        market hesitates, whatever the sign.
    says : str
        What it looks like and stands for.
    source : str
        Who describes it.
    lookback : int
        Bars before it that TA-Lib's averages need: with fewer its value is 0.
    penetration : float, optional
        How far the last close must reach into the first body, as a share of it; ``None`` where that does not matter.
    """

    name: str
    title: str
    bars: int
    bias: str
    says: str
    source: str
    lookback: int
    penetration: float | None
    define: _Definition = field(repr=False)

    @property
    def alias(self) -> str:
        """The name without ``cdl``: ``"hammer"``."""
        return self.name.removeprefix("cdl")

    def scores(self, sheet: Sheet, penetration: float | None = None) -> list[Score]:
        """Return its values and when it has them, as expressions of a sheet."""
        given = self.penetration if penetration is None else penetration
        bars = Bars(sheet)
        return self.define(bars) if self.penetration is None else self.define(bars, given)

    @cached_property
    def values(self) -> tuple[int, ...]:
        """The values other than 0 that it can have, rising."""
        return tuple(sorted({value for value, _ in self.scores(Sheet("talib"))}))


def pattern(
    title: str,
    *,
    bars: int,
    lookback: int,
    bias: str,
    says: str,
    source: str = "Morris",
    penetration: float | None = None,
    name: str | None = None,
) -> Callable[[_Definition], Pattern]:
    """Declare a pattern by the function that defines it, which bears its name (or ``name``) without ``cdl``."""

    def declare(define: _Definition) -> Pattern:
        called = f"cdl{name or define.__name__}"
        return Pattern(called, title, bars, bias, says, source, lookback, penetration, define)

    return declare
