"""What is asked for: indicators with their parameters and columns, and the expressions of all their outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tradeutils.indicators.arrays import Array, check_shapes
from tradeutils.indicators.expression import LEAD, Node
from tradeutils.indicators.spec import Indicator

__all__ = ["Asked", "Request", "asked_of", "distinct", "matrix", "move_back"]


@dataclass(frozen=True, slots=True)
class Request:
    """
    One indicator to compute.

    Parameters
    ----------
    indicator, values
        As ``Spec`` holds them.
    columns : sequence of arrays (T,) or (T, S)
        The indicator's inputs, of one shape: float64; on a device, float64 or float32. Never written to.
    names : tuple of str
        What its outputs are called in ``out`` and in messages.
    """

    indicator: Indicator
    values: tuple[float, ...]
    columns: Sequence[Array]
    names: tuple[str, ...]


class Asked(NamedTuple):
    """The expressions of all outputs that are asked for."""

    nodes: tuple[Node, ...]
    leads: tuple[tuple[int, int], ...]
    """Which outputs are moved back once they are computed, and by how many bars."""
    lookback: int
    """The longest."""
    owners: tuple[int, ...]
    """For each output the number of its request."""

    def known(self, rows: int) -> list[int]:
        """Return the outputs that have a value within so many rows."""
        return [at for at, node in enumerate(self.nodes) if node.lookback < rows]


@lru_cache(maxsize=256)
def asked_of(wanted: tuple[tuple[Indicator, tuple[float, ...], tuple[str, ...]], ...], compat: str) -> Asked:
    """Return the expressions of indicators with their parameters and the names of their inputs; kept."""
    made, owners = list[Node](), list[int]()
    for number, (one, values, inputs) in enumerate(wanted):
        own = one.expressions(values, inputs, compat)
        made += own
        owners += [number] * len(own)
    leads = tuple((at, node.parameters[0]) for at, node in enumerate(made) if node.operator is LEAD)
    nodes = tuple(node.inputs[0] if node.operator is LEAD else node for node in made)
    return Asked(nodes, leads, max(node.lookback for node in nodes), tuple(owners))


def move_back(target: Any, bars: int) -> None:
    """Move values ``bars`` rows back; the last rows, which would show what no bar has told yet, are unknown."""
    kept = max(len(target) - bars, 0)
    target[:kept] = target[len(target) - kept :].copy()  # a device copies in any order
    target[kept:] = np.nan


def distinct(
    requests: Sequence[Request], address: Callable[[Any], int]
) -> tuple[list[Array], tuple[tuple[str, ...], ...]]:
    """
    Return the columns that occur, each once, as (T, S), and for each request what its inputs are called.

    ``address`` tells where the memory of a column begins.
    """
    if len(requests) == 1 and len(requests[0].columns) == 1:
        return [matrix(requests[0].columns[0])], (("0",),)
    found: dict[Any, str] = {}
    known: dict[int, str] = {}  # by identity, which is quicker to ask for than an address
    columns: list[Array] = []
    names: list[tuple[str, ...]] = []
    for request in requests:
        check_shapes([*request.columns, requests[0].columns[0]], [*request.indicator.inputs, "the first input"])
        for column in request.columns:
            if id(column) not in known:
                key = (address(column), column.shape, column.strides, column.dtype)
                if key not in found:
                    found[key] = str(len(columns))
                    columns.append(matrix(column))
                known[id(column)] = found[key]
        names.append(tuple([known[id(column)] for column in request.columns]))
    return columns, tuple(names)


def matrix(column: Any) -> Any:
    """Return a column (T,) as (T, 1), and one (T, S) as it is."""
    return column[:, np.newaxis] if column.ndim == 1 else column
