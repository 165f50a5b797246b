"""From checked parameters and columns to results: the road that functions, methods and ``compute`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import NotSupportedByBackend, UnknownName, UsageError
from tradeutils.indicators.arrays import Array, check_out, check_shapes
from tradeutils.indicators.expression import LEAD, Node
from tradeutils.indicators.memory import arena
from tradeutils.indicators.spec import REGISTRY, Indicator
from tradeutils.indicators.threads import run_all, thread_count

__all__ = ["DEFAULTS", "Options", "Request", "check_backend", "check_tail", "evaluate"]

# Elements times kernels. Less work than this, about 0.3 ms, is not worth waking a thread for: 20 to 50 us, and more
# where the other core is busy.
_ELEMENTS_A_THREAD: Final = 1_000_000

NAN_MODES: Final = ("restart", "propagate", "hold")
COMPATS: Final = ("talib", "tradingview")


def check_backend(backend: str) -> str:
    """
    Return the backend to compute on; ``"auto"`` is the CPU.

    Raises
    ------
    UnknownName : no such backend.
    NotSupportedByBackend : ``"cuda"``, which this version does not have.
    """
    if backend == "cuda":
        raise NotSupportedByBackend(
            f'backend was "cuda", which has no indicators in this version; "cpu" has all {len(REGISTRY)}'
        )
    if backend not in ("auto", "cpu"):
        raise UnknownName("backend", backend, ("auto", "cpu", "cuda"))
    return "cpu"


def check_tail(tail: int | None) -> int | None:
    """Return ``tail``; anything but ``None`` or a whole number of at least 0 raises ``UsageError``."""
    if tail is not None and (isinstance(tail, bool) or not isinstance(tail, int) or tail < 0):
        raise UsageError(f"tail was {tail!r}; write how many of the last rows to return, or None for all")
    return tail


@dataclass(frozen=True, slots=True)
class Options:
    """
    How to compute.

    Parameters
    ----------
    nan : str
        What recursive indicators do at a missing bar inside a series: ``"restart"``, ``"propagate"`` or ``"hold"``.
    compat : str
        Whose definition, where they differ: ``"talib"`` or ``"tradingview"``.
    dtype : dtype
        Of the results: float64, or float32 of what is computed in float64.

    Raises
    ------
    UnknownName : no such mode or definition.
    UsageError : another dtype.
    """

    nan: str = "restart"
    compat: str = "talib"
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        if self.nan not in NAN_MODES:
            raise UnknownName("nan", self.nan, NAN_MODES)
        if self.compat not in COMPATS:
            raise UnknownName("compat", self.compat, COMPATS)
        try:
            dtype = np.dtype(self.dtype)
        except TypeError:
            dtype = np.dtype(object)
        if dtype not in (np.float64, np.float32):
            raise UsageError(f"dtype was {self.dtype!r}; write float64 or float32")
        object.__setattr__(self, "dtype", dtype)


DEFAULTS: Final = Options()


@dataclass(frozen=True, slots=True)
class Request:
    """
    One indicator to compute.

    Parameters
    ----------
    indicator, values
        As ``Spec`` holds them.
    columns : sequence of float64 arrays (T,) or (T, S)
        The indicator's inputs, of one shape. Never written to.
    names : tuple of str
        What its outputs are called in ``out`` and in messages.
    """

    indicator: Indicator
    values: tuple[float, ...]
    columns: Sequence[Array]
    names: tuple[str, ...]


def evaluate(
    requests: Sequence[Request],
    options: Options = DEFAULTS,
    *,
    tail: int | None = None,
    out: Mapping[str, Any] = MappingProxyType({}),
    threads: int | None = None,
) -> list[list[npt.NDArray[Any]]]:
    """
    Compute indicators in one pass over the data; what they share is computed once.

    Parameters
    ----------
    requests : sequence of Request
        All of columns of one shape.
    options : Options
    tail : int, optional
        Return only this many of the last rows.
    out : mapping of str to array
        Results to fill, by :attr:`Request.names`; for the others memory is found.
    threads : int, optional
        Default: TRADEUTILS_THREADS, else all cores.

    Returns
    -------
    For each request, an array for each output, of the shape of its columns but for ``tail``. They are symbol-major,
    (S, T) turned round, if the first column is.
    """
    count = thread_count(threads)
    if not requests:
        return []
    columns, names = _distinct(requests)
    first = requests[0].columns[0]
    rows = len(first)
    shape = (rows if tail is None else min(tail, rows), *first.shape[1:])
    check_out(out, shape, options.dtype)
    turned = first.ndim == 2 and first.flags.f_contiguous and not first.flags.c_contiguous
    asked: list[Node] = []
    made: list[list[npt.NDArray[Any]]] = []
    for request, inputs in zip(requests, names, strict=True):
        asked += _expressions(request.indicator, request.values, inputs, options.compat)
        made.append([out[name] if name in out else _new(shape, options.dtype, turned) for name in request.names])
    given = list(chain.from_iterable(made))
    targets = [_apart(array, columns) for array in given] if out else given
    _fill(tuple(map(_causal, asked)), columns, targets, options.nan, count)
    for node, target, array in zip(asked, targets, given, strict=True):
        if node.operator is LEAD:
            _move_back(target, node.parameters[0])
        if array is not target:
            array[...] = target
    return made


@lru_cache(maxsize=1024)
def _expressions(
    indicator: Indicator, values: tuple[float, ...], inputs: tuple[str, ...], compat: str
) -> tuple[Node, ...]:
    return indicator.expressions(values, inputs, compat)


def _new(shape: tuple[int, ...], dtype: np.dtype[Any], turned: bool) -> npt.NDArray[Any]:
    return arena.empty(shape[::-1], dtype).T if turned else arena.empty(shape, dtype)


def _causal(node: Node) -> Node:
    return node.inputs[0] if node.operator is LEAD else node


def _move_back(target: npt.NDArray[Any], bars: int) -> None:
    """Move values ``bars`` rows back; the last rows, which would show what no bar has told yet, are unknown."""
    kept = max(len(target) - bars, 0)
    target[:kept] = target[len(target) - kept :]
    target[kept:] = np.nan


def _distinct(requests: Sequence[Request]) -> tuple[list[Array], list[tuple[str, ...]]]:
    """Return the columns that occur, each once, as (T, S), and for each request what its inputs are called."""
    found: dict[Any, str] = {}
    columns: list[Array] = []
    names: list[tuple[str, ...]] = []
    for request in requests:
        check_shapes([*request.columns, requests[0].columns[0]], [*request.indicator.inputs, "the first input"])
        called: list[str] = []
        for column in request.columns:
            key = (column.ctypes.data, column.shape, column.strides)
            if key not in found:
                found[key] = str(len(columns))
                columns.append(column)
            called.append(found[key])
        names.append(tuple(called))
    return [_matrix(column) for column in columns], names


def _matrix(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return column[:, np.newaxis] if column.ndim == 1 else column


def _fill(
    asked: tuple[Node, ...],
    columns: Sequence[Array],
    targets: Sequence[npt.NDArray[Any]],
    nan: str,
    threads: int,
) -> None:
    """Compute expressions into ``targets``."""
    rows, symbols = columns[0].shape
    late = [node.lookback >= rows for node in asked]
    for target, unknown in zip(targets, late, strict=True):
        if unknown:
            # Nothing is known yet; and no state is made for a period far beyond the data.
            target.fill(np.nan)
    nodes = tuple(node for node, unknown in zip(asked, late, strict=True) if not unknown)
    results = [_matrix(np.asarray(target)) for target, unknown in zip(targets, late, strict=True) if not unknown]
    if not nodes or len(results[0]) == 0 or symbols == 0:
        return
    from tradeutils.indicators import cpu

    program = cpu.program_of(nodes, tuple(map(str, range(len(columns)))), nan)
    work = rows * symbols * max(1, len(program.instructions))
    parts = max(1, min(threads, work // _ELEMENTS_A_THREAD))
    plan = cpu.plan(program, columns, results, parts)
    run_all(plan.tasks, parts)
    plan.finish()


def _apart(array: npt.NDArray[Any], columns: Sequence[Array]) -> npt.NDArray[Any]:
    """Return an array that can be filled in place, or a stand-in, copied over at the end."""
    if array.flags.aligned and not any(np.may_share_memory(array, column) for column in columns):
        return array
    return np.empty(array.shape, array.dtype)
