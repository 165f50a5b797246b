"""
What candlestick patterns are written in: amounts of prices, and facts about them, a number of bars ago.

An expression is a node of a sheet and how many bars ago it is looked at. Equal expressions become one node, whatever
the bar they are asked of: ``bars[2].white`` and ``bars[1].white`` are one comparison, computed once for each bar.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

__all__ = ["COLUMNS", "MEANS", "SCALES", "Amount", "Code", "Fact", "Node", "Product", "Sheet", "Use"]

COLUMNS: Final = ("open", "high", "low", "close")
"""The columns that patterns read."""

SCALES: Final = ("talib", "relative")
"""How the averages are taken that bodies, shadows and distances are judged by."""


class Code(IntEnum):
    """What is done at a node; the loop in ``cpu/candlesticks.py`` has a branch for each."""

    COLUMN = 0
    # Amounts, float64.
    SUBTRACT = 1
    ADD = 2
    DISTANCE = 3
    LARGER = 4
    SMALLER = 5
    SHIFT = 6  # a + factor * b
    MEAN = 7  # of the bars before
    MEAN_AT_HAND = 8  # of those that are there
    # Facts, one byte: 0 or 1.
    LESS = 9
    LESS_EQUAL = 10
    LESS_SCALED = 11  # a < factor * b
    LESS_EQUAL_SCALED = 12
    MORE_SCALED = 13
    MORE_EQUAL_SCALED = 14
    LESS_SHIFTED = 15  # a < b + factor * c
    LESS_EQUAL_SHIFTED = 16
    MORE_SHIFTED = 17
    MORE_EQUAL_SHIFTED = 18
    AND = 19
    OR = 20
    AND_NOT = 21
    SEEN = 22
    # What is made of facts: whole numbers in two bytes, and what is stored.
    SCORE = 23  # x * a + y * b
    ADD_SCORE = 24
    STORE = 25


MEANS: Final = frozenset({Code.MEAN, Code.MEAN_AT_HAND})
_FIRST_FACT: Final = Code.LESS


class Use(NamedTuple):
    """A node, looked at so many bars ago."""

    node: int
    lag: int


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that is computed for every bar: from other nodes, with a whole number and a factor."""

    code: Code
    uses: tuple[Use, ...] = ()
    number: int = 0
    factor: float = 0.0

    @property
    def is_fact(self) -> bool:
        """Whether it is a byte, and not a float."""
        return self.code >= _FIRST_FACT


@dataclass(slots=True)
class Sheet:
    """The nodes of some patterns; a node stands after those that it is made of."""

    scale: str
    nodes: list[Node] = field(default_factory=list)
    _known: dict[Node, int] = field(default_factory=dict)

    def use(self, code: Code, uses: Iterable[Use] = (), number: int = 0, factor: float = 0.0) -> Use:
        """Return the use of a node, as many bars ago as the latest of what it is made of."""
        given = tuple(uses)
        latest = min((use.lag for use in given), default=0)
        node = Node(code, tuple(Use(use.node, use.lag - latest) for use in given), number, factor)
        at = self._known.get(node)
        if at is None:
            at = self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return Use(at, latest)

    def column(self, name: str, lag: int) -> Amount:
        """Return a price of the bar ``lag`` bars ago."""
        return Amount(self, self.use(Code.COLUMN, number=COLUMNS.index(name))).ago(lag)

    def seen(self, count: int, lag: int = 0) -> Fact:
        """Return whether more than ``count`` bars, up to and with the bar ``lag`` bars ago, follow without a gap."""
        return Fact(self, Use(self.use(Code.SEEN, number=count).node, lag))

    def mean(self, amount: Amount, period: int, share: float, span: Amount) -> Amount:
        """
        Return the mean of an amount over the ``period`` bars before its bar.

        With ``scale="relative"`` over those of them that are there, and where none is, ``share`` of ``span`` instead.
        """
        at, lag = amount.at
        if self.scale == "talib":
            made = self.use(Code.MEAN, [Use(at, 0)], period)
        else:
            made = self.use(Code.MEAN_AT_HAND, [Use(at, 0), Use(span.at.node, 0)], period, share)
        return Amount(self, Use(made.node, lag))


@dataclass(frozen=True, slots=True)
class Amount:
    """A price, or an amount of the unit of prices."""

    sheet: Sheet
    at: Use

    def ago(self, lag: int) -> Amount:
        """Return it so many more bars ago."""
        return Amount(self.sheet, Use(self.at.node, self.at.lag + lag))

    def _with(self, code: Code, other: Amount, factor: float = 0.0) -> Amount:
        return Amount(self.sheet, self.sheet.use(code, [self.at, other.at], factor=factor))

    def __mul__(self, factor: float) -> Product:
        return Product(self, factor)

    def __add__(self, by: Product) -> Shifted:
        return Shifted(self, by)

    def __sub__(self, by: Product) -> Shifted:
        return Shifted(self, Product(by.amount, -by.factor))  # exactly: a sign costs no bits

    def minus(self, other: Amount) -> Amount:
        """Return the difference."""
        return self._with(Code.SUBTRACT, other)

    def plus(self, other: Amount) -> Amount:
        """Return the sum."""
        return self._with(Code.ADD, other)

    def moved(self, by: Product) -> Amount:
        """Return the sum with a product as an amount of its own, which can be added to again."""
        return self._with(Code.SHIFT, by.amount, by.factor)

    def distance(self, other: Amount) -> Amount:
        """Return how far two amounts are apart."""
        return self._with(Code.DISTANCE, other)

    def larger(self, other: Amount) -> Amount:
        """Return the larger of two."""
        return self._with(Code.LARGER, other)

    def smaller(self, other: Amount) -> Amount:
        """Return the smaller of two."""
        return self._with(Code.SMALLER, other)

    def __lt__(self, other: Amount | Product | Shifted) -> Fact:
        return self._compare(other, Code.LESS)

    def __le__(self, other: Amount | Product | Shifted) -> Fact:
        return self._compare(other, Code.LESS_EQUAL)

    def __gt__(self, other: Amount | Product | Shifted) -> Fact:
        return other < self if isinstance(other, Amount) else self._compare(other, Code.LESS, more=True)

    def __ge__(self, other: Amount | Product | Shifted) -> Fact:
        return other <= self if isinstance(other, Amount) else self._compare(other, Code.LESS_EQUAL, more=True)

    def _compare(self, other: Amount | Product | Shifted, plain: Code, *, more: bool = False) -> Fact:
        """Compare with the kind of code that fits: those of a kind follow on one another."""
        if isinstance(other, Amount):
            return Fact(self.sheet, self.sheet.use(plain, [self.at, other.at]))
        kind = plain - Code.LESS + (2 if more else 0)
        if isinstance(other, Product):
            code, uses, factor = Code(Code.LESS_SCALED + kind), [self.at, other.amount.at], other.factor
        else:
            code, factor = Code(Code.LESS_SHIFTED + kind), other.by.factor
            uses = [self.at, other.base.at, other.by.amount.at]
        return Fact(self.sheet, self.sheet.use(code, uses, factor=factor))

    def near(self, other: Amount, reach: Product) -> Fact:
        """Return whether it is at most ``reach`` away from the other, on either side."""
        return (self <= other + reach) & (self >= other - reach)


@dataclass(frozen=True, slots=True)
class Product:
    """An amount times a factor: what a comparison takes without storing it."""

    amount: Amount
    factor: float


@dataclass(frozen=True, slots=True)
class Shifted:
    """An amount and a product added to it: what a comparison takes without storing it."""

    base: Amount
    by: Product


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is so or is not, at a bar."""

    sheet: Sheet
    at: Use

    def ago(self, lag: int) -> Fact:
        """Return whether it was so that many more bars ago."""
        return Fact(self.sheet, Use(self.at.node, self.at.lag + lag))

    def _with(self, code: Code, other: Fact) -> Fact:
        pair = [self.at, other.at]
        return Fact(self.sheet, self.sheet.use(code, pair if code == Code.AND_NOT else sorted(pair)))

    def __and__(self, other: Fact) -> Fact:
        return self._with(Code.AND, other)

    def __or__(self, other: Fact) -> Fact:
        return self._with(Code.OR, other)

    def without(self, other: Fact) -> Fact:
        """Return whether it is so and the other is not."""
        return self._with(Code.AND_NOT, other)
