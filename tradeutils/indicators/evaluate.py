"""From checked parameters and columns to results: the road that functions, methods and ``compute`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from operator import index
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.errors import NotSupportedByBackend, UnknownName, UsageError
from tradeutils.indicators.arrays import Array, check_out, check_shapes
from tradeutils.indicators.expression import LEAD, Node
from tradeutils.indicators.memory import arena
from tradeutils.indicators.spec import REGISTRY, Indicator
from tradeutils.indicators.threads import building, run_all, thread_count

__all__ = ["DEFAULTS", "Options", "Request", "check_backend", "check_tail", "evaluate", "options_of"]

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
    if tail is None:
        return None
    if isinstance(tail, bool) or not hasattr(tail, "__index__") or tail < 0:
        raise UsageError(f"tail was {tail!r}; write how many of the last rows to return, or None for all")
    return index(tail)


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
_options: Final = lru_cache(maxsize=64)(Options)


def options_of(nan: str, compat: str, dtype: Any) -> Options:
    """Return ``Options(nan, compat, dtype)``; kept, as most calls ask for the same."""
    try:
        return _options(nan, compat, dtype)
    except TypeError:  # not hashable
        return Options(nan, compat, dtype)


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
    turned = first.ndim == 2 and first.flags.f_contiguous and not first.flags.c_contiguous
    wanted = tuple([(one.indicator, one.values, called) for one, called in zip(requests, names, strict=True)])
    asked = _asked(wanted, options.compat)
    if not out:
        made = [[_new(shape, options.dtype, turned) for _ in request.names] for request in requests]
        _fill(asked, columns, list(chain.from_iterable(made)), options.nan, count)
        return made
    check_out(out, shape, options.dtype)
    made = [
        [out[name] if name in out else _new(shape, options.dtype, turned) for name in request.names]
        for request in requests
    ]
    given = list(chain.from_iterable(made))
    targets = [_apart(array, columns) for array in given]
    _fill(asked, columns, targets, options.nan, count)
    for target, array in zip(targets, given, strict=True):
        if array is not target:
            array[...] = target
    return made


class _Asked(NamedTuple):
    """The expressions of all outputs that are asked for."""

    nodes: tuple[Node, ...]
    leads: tuple[tuple[int, int], ...]
    """Which outputs are moved back once they are computed, and by how many bars."""
    lookback: int
    """The longest."""


@lru_cache(maxsize=256)
def _asked(wanted: tuple[tuple[Indicator, tuple[float, ...], tuple[str, ...]], ...], compat: str) -> _Asked:
    """Return the expressions of indicators with their parameters and the names of their inputs; kept."""
    made = [node for one, values, inputs in wanted for node in one.expressions(values, inputs, compat)]
    leads = tuple((at, node.parameters[0]) for at, node in enumerate(made) if node.operator is LEAD)
    nodes = tuple(node.inputs[0] if node.operator is LEAD else node for node in made)
    return _Asked(nodes, leads, max(node.lookback for node in nodes))


def _new(shape: tuple[int, ...], dtype: np.dtype[Any], turned: bool) -> npt.NDArray[Any]:
    return arena.empty(shape[::-1], dtype).T if turned else arena.empty(shape, dtype)


def _move_back(target: npt.NDArray[Any], bars: int) -> None:
    """Move values ``bars`` rows back; the last rows, which would show what no bar has told yet, are unknown."""
    kept = max(len(target) - bars, 0)
    target[:kept] = target[len(target) - kept :]
    target[kept:] = np.nan


def _distinct(requests: Sequence[Request]) -> tuple[list[Array], list[tuple[str, ...]]]:
    """Return the columns that occur, each once, as (T, S), and for each request what its inputs are called."""
    if len(requests) == 1 and len(requests[0].columns) == 1:
        return [_matrix(requests[0].columns[0])], [("0",)]
    found: dict[Any, str] = {}
    known: dict[int, str] = {}  # by identity, which is quicker to ask for than an address
    columns: list[Array] = []
    names: list[tuple[str, ...]] = []
    for request in requests:
        check_shapes([*request.columns, requests[0].columns[0]], [*request.indicator.inputs, "the first input"])
        for column in request.columns:
            if id(column) not in known:
                key = (column.ctypes.data, column.shape, column.strides)
                if key not in found:
                    found[key] = str(len(columns))
                    columns.append(_matrix(column))
                known[id(column)] = found[key]
        names.append(tuple([known[id(column)] for column in request.columns]))
    return columns, names


def _matrix(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return column[:, np.newaxis] if column.ndim == 1 else column


def _fill(
    asked: _Asked,
    columns: Sequence[Array],
    targets: Sequence[npt.NDArray[Any]],
    nan: str,
    threads: int,
) -> None:
    """Compute what is asked for into ``targets``."""
    rows = len(columns[0])
    nodes, results = asked.nodes, targets
    if asked.lookback >= rows:
        early = [at for at, node in enumerate(nodes) if node.lookback < rows]
        for at in set(range(len(nodes))).difference(early):
            # Nothing is known yet; and no state is made for a period far beyond the data.
            targets[at].fill(np.nan)
        nodes, results = tuple([nodes[at] for at in early]), [targets[at] for at in early]
    if nodes and results[0].size:
        program = _cpu().program_of(nodes, _names(len(columns)), nan)
        work = columns[0].size * max(1, len(program.instructions))
        parts = max(1, min(threads, work // _ELEMENTS_A_THREAD))
        plan = _cpu().plan(program, columns, [_matrix(np.asarray(result)) for result in results], parts)
        run_all(plan.tasks, parts)
        plan.finish()
    for at, bars in asked.leads:
        _move_back(targets[at], bars)


@cache
def _names(columns: int) -> tuple[str, ...]:
    return tuple(map(str, range(columns)))


@cache
def _cpu() -> Any:
    """Return what computes, imported when that is first asked for: numba takes a quarter of a second."""
    with building:
        from tradeutils.indicators import cpu
    return cpu


def _apart(array: npt.NDArray[Any], columns: Sequence[Array]) -> npt.NDArray[Any]:
    """Return an array that can be filled in place, or a stand-in, copied over at the end."""
    if array.flags.aligned and not any(np.may_share_memory(array, column) for column in columns):
        return array
    return np.empty(array.shape, array.dtype)
