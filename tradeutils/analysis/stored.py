"""Analyses of candles on disk: groups of symbols are read and analysed where an executor runs them, then joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, cast

import numpy as np

from tradeutils.indicators.stored import refuse_executor, stored_of
from tradeutils.model.stored import Executors

__all__ = ["over_stored", "side_by_side"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def side_by_side(parts: Sequence[Any]) -> Any:
    """
    Join what an analysis returned for panels of some symbols each, in the order of the symbols.

    Arrays have the symbols on their last axis and go side by side; a tuple of other things has one for each symbol, so
    they follow each other; tuples of arrays, named or not, are joined field by field. What is the same for all
    symbols, as the ``delay``, is kept as it is.
    """
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts, axis=-1)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(side_by_side, zip(*parts, strict=True)))
    if isinstance(first, tuple) and all(isinstance(one, np.ndarray) for one in first):
        return tuple(map(side_by_side, zip(*parts, strict=True)))
    return tuple(one for part in parts for one in part) if isinstance(first, tuple) else first


@dataclass(frozen=True, slots=True)
class _Part:
    """What a worker does with the candles of its symbols: a call of a function that every process can import."""

    function: Callable[..., Any]
    given: tuple[Any, ...]
    options: Mapping[str, Any]

    def __call__(self, data: Any) -> Any:
        return self.function(data, *self.given, **self.options)


def over_stored(
    *, join: Callable[[Sequence[Any]], Any] = side_by_side, whole: Literal["panel", "candles"] = "panel"
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """
    Let a function whose first parameter is ``data``, and which declares ``executor``, take candles on disk.

    Of data in memory the function itself is called, and an executor refused. Of candles on disk it is called for each
    group of symbols where the executor runs it, with the same options, and the results are joined.

    Parameters
    ----------
    join : callable
        Makes one result of those of the groups, in the order of the symbols.
    whole : str
        Whether the function gets a ``"panel"`` of each group, or the ``"candles"`` of each symbol.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        plain = cast(Callable[..., _R], function)

        @wraps(function)
        def taking(data: Any, *given: Any, executor: Executors | None = None, **options: Any) -> _R:
            stored = None if isinstance(data, Mapping | list) else stored_of(data)
            if stored is None:
                refuse_executor(executor, type(data).__name__)
                return plain(data, *given, **options)
            work = _Part(taking, given, options)
            found = stored.map(work, executor=executor, whole=whole, ordered=True)
            return cast(_R, join([result for _, result in found]))

        return cast(Callable[_P, _R], taking)

    return decorate
