"""From patterns to what must be computed for them, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tradeutils.indicators.candlesticks.bars import Score
from tradeutils.indicators.candlesticks.declaration import Pattern
from tradeutils.indicators.candlesticks.facts import MEANS, Code, Node, Sheet, Use

__all__ = ["Program", "make_program"]


@dataclass(frozen=True, eq=False)
class Program:
    """
    What is to be computed for some patterns.

    Parameters
    ----------
    nodes : list of Node
    order : list of int
        The nodes that are needed, each after what it is made of.
    outputs : list of list of (value, use)
        For each pattern its values and the facts that give them.
    """

    nodes: list[Node]
    order: list[int]
    outputs: list[list[tuple[int, Use]]]

    @property
    def halos(self) -> list[int]:
        """For each node, how many bars back it is looked at."""
        halos = [0] * len(self.nodes)
        for use in self._uses():
            halos[use.node] = max(halos[use.node], use.lag)
        for at in self.order:
            node = self.nodes[at]
            if node.code in MEANS:
                halos[node.uses[0].node] = max(halos[node.uses[0].node], node.number)
        return halos

    def _uses(self) -> Iterable[Use]:
        for at in self.order:
            yield from self.nodes[at].uses
        for scores in self.outputs:
            yield from (use for _, use in scores)

    @cached_property
    def reach(self) -> int:
        """How many bars before a value are needed for it."""
        reaches: dict[int, int] = {}
        for at in self.order:
            node = self.nodes[at]
            own = node.number if node.code in MEANS or node.code == Code.SEEN else 0
            reaches[at] = own + max((use.lag + reaches[use.node] for use in node.uses), default=0)
        return max((use.lag + reaches[use.node] for scores in self.outputs for _, use in scores), default=0)


def make_program(patterns: Sequence[tuple[Pattern, float | None]], scale: str) -> Program:
    """Return the program of patterns, each with its penetration."""
    sheet = Sheet(scale)
    outputs = []
    for pattern, penetration in patterns:
        before = pattern.bars - 1 if scale == "relative" else pattern.lookback
        known = sheet.seen(before)
        scores: list[Score] = [(value, fact & known) for value, fact in pattern.scores(sheet, penetration)]
        outputs.append([(value, fact.at) for value, fact in scores])
    return Program(sheet.nodes, _ordered(sheet.nodes, outputs), outputs)


def _ordered(nodes: Sequence[Node], outputs: Sequence[Sequence[tuple[int, Use]]]) -> list[int]:
    """
    Return the nodes that are needed in an order that keeps few of them at once.

    Facts are compared as soon as their amounts are there, as a fact takes a byte and an amount eight.
    """
    needed = {use.node for scores in outputs for _, use in scores}
    for at in reversed(range(len(nodes))):
        if at in needed:
            needed.update(use.node for use in nodes[at].uses)
    waiting: dict[int, list[int]] = {}
    for at in sorted(needed):
        for use in nodes[at].uses:
            waiting.setdefault(use.node, []).append(at)
    order: list[int] = []
    done: set[int] = set()

    def emit(at: int) -> None:
        if at in done:
            return
        for use in nodes[at].uses:
            emit(use.node)
        done.add(at)
        order.append(at)
        for later in waiting.get(at, ()):
            node = nodes[later]
            compares = node.is_fact and node.code < Code.AND
            if compares and all(use.node in done for use in node.uses):
                emit(later)

    for at in sorted(needed, key=lambda at: nodes[at].is_fact):
        if not nodes[at].is_fact:
            emit(at)
    for scores in outputs:
        for _, use in scores:
            emit(use.node)
    return order
