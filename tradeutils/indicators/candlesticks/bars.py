"""The bars of a pattern: their parts, and what counts as long, short, near or equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_
from typing import Final, NamedTuple

from tradeutils.indicators.candlesticks.facts import Amount, Fact, Product, Sheet

__all__ = ["Bar", "Bars", "Score", "every", "gap_down", "gap_up", "signed"]

Score = tuple[int, Fact]
"""A value, and when the pattern has it. Of the scores of a pattern at most one holds at a bar."""


class _Setting(NamedTuple):
    """What an amount is judged by: ``factor`` times the mean of a part of the ``period`` bars before."""

    part: str
    period: int
    factor: float


# TA-Lib's default settings. The mean of both shadows is halved, so that it is that of one.
_BODY: Final = _Setting("body", 10, 1.0)
_DOJI: Final = _Setting("span", 10, 0.1)
_TINY_SHADOW: Final = _Setting("span", 10, 0.1)
_SHADOW: Final = _Setting("shadows", 10, 0.5)
_NEAR: Final = _Setting("span", 5, 0.2)
_FAR: Final = _Setting("span", 5, 0.6)
_EQUAL: Final = _Setting("span", 5, 0.05)
_VERY_LONG_SHADOW: Final = 2.0
"""Times the body of the bar itself."""

_STANDS_IN: Final = {"body": 0.5, "shadows": 0.5, "span": 1.0}
"""The mean of a part where there is no bar before, as a share of the bar's own range (``scale="relative"``)."""


@dataclass(frozen=True)
class Bars:
    """The bars that a pattern looks at: ``bars[0]`` the newest, ``bars[1]`` the one before."""

    sheet: Sheet

    def __getitem__(self, lag: int) -> Bar:
        return Bar(self, lag)


@dataclass(frozen=True)
class Bar:
    """One bar, ``lag`` bars ago."""

    bars: Bars
    lag: int

    def _column(self, name: str) -> Amount:
        return self.bars.sheet.column(name, self.lag)

    @cached_property
    def open(self) -> Amount:
        """Its first price."""
        return self._column("open")

    @cached_property
    def high(self) -> Amount:
        """Its highest price."""
        return self._column("high")

    @cached_property
    def low(self) -> Amount:
        """Its lowest price."""
        return self._column("low")

    @cached_property
    def close(self) -> Amount:
        """Its last price."""
        return self._column("close")

    @cached_property
    def top(self) -> Amount:
        """The upper end of the body."""
        return self.close.larger(self.open)

    @cached_property
    def bottom(self) -> Amount:
        """The lower end of the body."""
        return self.close.smaller(self.open)

    @cached_property
    def body(self) -> Amount:
        """From open to close."""
        return self.close.distance(self.open)

    @cached_property
    def span(self) -> Amount:
        """From low to high."""
        return self.high.minus(self.low)

    @cached_property
    def upper(self) -> Amount:
        """The upper shadow."""
        return self.high.minus(self.top)

    @cached_property
    def lower(self) -> Amount:
        """The lower shadow."""
        return self.bottom.minus(self.low)

    @cached_property
    def shadows(self) -> Amount:
        """Both shadows."""
        return self.upper.plus(self.lower)

    @cached_property
    def white(self) -> Fact:
        """Whether it closed at or above its open."""
        return self.open <= self.close

    @cached_property
    def black(self) -> Fact:
        """Whether it closed below its open."""
        return self.close < self.open

    def _usual(self, setting: _Setting) -> Product:
        part: Amount = getattr(self, setting.part)
        mean = self.bars.sheet.mean(part, setting.period, _STANDS_IN[setting.part], self.span)
        return mean * setting.factor

    @property
    def long(self) -> Fact:
        """Whether the body is longer than usual."""
        return self.body > self._usual(_BODY)

    @property
    def short(self) -> Fact:
        """Whether the body is shorter than usual."""
        return self.body < self._usual(_BODY)

    @property
    def not_long(self) -> Fact:
        """Whether the body is at most as long as usual."""
        return self.body <= self._usual(_BODY)

    @property
    def doji(self) -> Fact:
        """Whether open and close are nearly the same."""
        return self.body <= self._usual(_DOJI)

    def body_at_most_doji_of(self, other: Bar) -> Fact:
        """Whether open and close are nearly the same, by the measure of another bar."""
        return self.body <= other._usual(_DOJI)

    @property
    def no_upper(self) -> Fact:
        """Whether there is hardly an upper shadow."""
        return self.upper < self._usual(_TINY_SHADOW)

    @property
    def no_lower(self) -> Fact:
        """Whether there is hardly a lower shadow."""
        return self.lower < self._usual(_TINY_SHADOW)

    @property
    def has_upper(self) -> Fact:
        """Whether there is an upper shadow to speak of."""
        return self.upper > self._usual(_TINY_SHADOW)

    @property
    def has_lower(self) -> Fact:
        """Whether there is a lower shadow to speak of."""
        return self.lower > self._usual(_TINY_SHADOW)

    @property
    def short_upper(self) -> Fact:
        """Whether the upper shadow is shorter than shadows usually are."""
        return self.upper < self._usual(_SHADOW)

    @property
    def long_for_usual_upper(self) -> Fact:
        """Whether the upper shadow is longer than shadows usually are."""
        return self.upper > self._usual(_SHADOW)

    @property
    def short_lower(self) -> Fact:
        """Whether the lower shadow is shorter than shadows usually are."""
        return self.lower < self._usual(_SHADOW)

    @property
    def long_upper(self) -> Fact:
        """Whether the upper shadow is longer than the body."""
        return self.upper > self.body

    @property
    def long_lower(self) -> Fact:
        """Whether the lower shadow is longer than the body."""
        return self.lower > self.body

    @property
    def very_long_upper(self) -> Fact:
        """Whether the upper shadow is longer than two bodies."""
        return self.upper > self.body * _VERY_LONG_SHADOW

    @property
    def very_long_lower(self) -> Fact:
        """Whether the lower shadow is longer than two bodies."""
        return self.lower > self.body * _VERY_LONG_SHADOW

    @property
    def near(self) -> Product:
        """The distance within which prices are near one another."""
        return self._usual(_NEAR)

    @property
    def far(self) -> Product:
        """The distance from which lengths are far from one another."""
        return self._usual(_FAR)

    @property
    def equal(self) -> Product:
        """The distance within which prices count as equal."""
        return self._usual(_EQUAL)


def every(facts: Iterable[Fact]) -> Fact:
    """Return whether all facts hold."""
    return reduce(and_, facts)


def gap_up(bar: Bar, before: Bar) -> Fact:
    """Return whether the body of one bar lies above that of another."""
    return bar.bottom > before.top


def gap_down(bar: Bar, before: Bar) -> Fact:
    """Return whether the body of one bar lies below that of another."""
    return bar.top < before.bottom


def signed(fact: Fact, by: Bar) -> list[Score]:
    """Return 100 where the fact holds and the bar is white, -100 where it is black."""
    return [(100, fact & by.white), (-100, fact & by.black)]
