"""The program of several specs over columns that go by their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from tradeutils.errors import UsageError
from tradeutils.indicators.evaluate import Options
from tradeutils.indicators.expression import LEAD, Node
from tradeutils.indicators.spec import Spec
from tradeutils.indicators.threads import building

__all__ = ["cpu", "live_program"]

_COLUMNS: Final = ("time", "open", "high", "low", "close", "volume", "other")


def live_program(specs: Sequence[Spec], options: Options) -> Any:
    """Return the program of some specs; one that shows what no bar has told yet raises ``UsageError``."""
    if not specs:
        raise UsageError('specs was empty; name an indicator at least, as in ["rsi:14"]')
    nodes: list[Node] = []
    for spec in specs:
        made = spec.indicator.expressions(spec.values, compat=options.compat)
        for key, node in zip(spec.keys, made, strict=True):
            if node.operator is LEAD:
                raise UsageError(f"{key} shows at a bar what comes {node.parameters[0]} bars later; write lookahead=0")
        nodes += made
    needed = {name for spec in specs for name in spec.indicator.inputs}
    inputs = tuple(name for name in _COLUMNS if name in needed)
    return cpu().program_of(tuple(nodes), inputs, options.nan)


@cache
def cpu() -> Any:
    """Return what computes, imported when a stream is made: numba takes a quarter of a second."""
    with building:
        from tradeutils.indicators import cpu as room
    return room
