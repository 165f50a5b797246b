"""From checked parameters and columns to results: the road that functions, methods and ``compute`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import chain
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators.arrays import Array, check_out
from tradeutils.indicators.asked import Asked, Request, asked_of, distinct, matrix, move_back
from tradeutils.indicators.memory import arena
from tradeutils.indicators.threads import building, run_all, thread_count

if TYPE_CHECKING:
    from tradeutils.device import Device

__all__ = ["BACKENDS", "DEFAULTS", "Options", "Request", "check_backend", "check_tail", "evaluate", "options_of"]

# Elements times kernels. Less work than this, about 0.3 ms, is not worth waking a thread for: 20 to 50 us, and more
# where the other core is busy.
_ELEMENTS_A_THREAD: Final = 1_000_000

NAN_MODES: Final = ("restart", "propagate", "hold")
COMPATS: Final = ("talib", "tradingview")
BACKENDS: Final = ("auto", "cpu", "cuda")
_GPU_NAMES: Final = ("gpu", "GPU", "cupy", "nvidia")


def check_backend(backend: str) -> str:
    """
    Return the name of a backend, once it is known that it can compute.

    Raises
    ------
    UnknownName : no such backend.
    BackendUnavailable : ``"cuda"`` where no GPU can be used; says why, and what to do.
    """
    if backend in _GPU_NAMES:  # "gpu" looks more like "cpu" than like what it means
        raise UnknownName("backend", backend, ("cuda",), where="tradeutils, for GPUs,")
    if backend not in BACKENDS:
        raise UnknownName("backend", backend, BACKENDS)
    if backend == "cuda":
        _gpu().default_device()
    return backend


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


def evaluate(
    requests: Sequence[Request],
    options: Options = DEFAULTS,
    *,
    tail: int | None = None,
    out: Mapping[str, Any] = MappingProxyType({}),
    threads: int | None = None,
    backend: str = "cpu",
    device: Device | None = None,
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
        Of the CPU. Default: TRADEUTILS_THREADS, else all cores.
    backend : str
        Where columns of the host are computed: ``"cpu"``, ``"cuda"``, or ``"auto"``, the faster.
    device : Device, optional
        Where the columns lie, if they are not the host's: they are computed there, and the results lie there.

    Returns
    -------
    For each request, an array for each output, of the shape of its columns but for ``tail``. They are symbol-major,
    (S, T) turned round, if the first column is.
    """
    count = thread_count(threads)
    if not requests:
        return []
    if device is not None:
        made: list[list[npt.NDArray[Any]]] = _gpu().evaluate_on(device, requests, options, tail=tail, out=out)
        return made
    columns, names = distinct(requests, _address)
    first = requests[0].columns[0]
    rows = len(first)
    shape = (rows if tail is None else min(tail, rows), *first.shape[1:])
    turned = first.ndim == 2 and first.flags.f_contiguous and not first.flags.c_contiguous
    wanted = tuple([(one.indicator, one.values, called) for one, called in zip(requests, names, strict=True)])
    asked = asked_of(wanted, options.compat)
    if not out:
        made = [[_new(shape, options.dtype, turned) for _ in request.names] for request in requests]
        _fill(asked, columns, list(chain.from_iterable(made)), options.nan, count, backend)
        return made
    check_out(out, shape, options.dtype)
    made = [
        [out[name] if name in out else _new(shape, options.dtype, turned) for name in request.names]
        for request in requests
    ]
    given = list(chain.from_iterable(made))
    targets = [_apart(array, columns) for array in given]
    _fill(asked, columns, targets, options.nan, count, backend)
    for target, array in zip(targets, given, strict=True):
        if array is not target:
            array[...] = target
    return made


def _address(array: Array) -> int:
    return array.ctypes.data


def _new(shape: tuple[int, ...], dtype: np.dtype[Any], turned: bool) -> npt.NDArray[Any]:
    return arena.empty(shape[::-1], dtype).T if turned else arena.empty(shape, dtype)


def _fill(
    asked: Asked,
    columns: Sequence[Array],
    targets: Sequence[npt.NDArray[Any]],
    nan: str,
    threads: int,
    backend: str,
) -> None:
    """Compute what is asked for into ``targets``."""
    rows = len(columns[0])
    known: Sequence[int] = range(len(targets))
    if asked.lookback >= rows:
        known = asked.known(rows)
        for at in set(range(len(targets))).difference(known):
            # Nothing is known yet; and no state is made for a period far beyond the data.
            targets[at].fill(np.nan)
    if known and targets[known[0]].size:
        if backend == "cpu":
            _on_cpu(asked, known, columns, targets, nan, threads)
        else:
            on_cpu = partial(_on_cpu, asked, known, columns, targets, nan, threads)
            _gpu().fill(backend, asked, known, columns, targets, nan, threads, on_cpu)
    for at, bars in asked.leads:
        move_back(targets[at], bars)


def _on_cpu(
    asked: Asked,
    known: Sequence[int],
    columns: Sequence[Array],
    targets: Sequence[npt.NDArray[Any]],
    nan: str,
    threads: int,
) -> None:
    """Compute the outputs that have values."""
    whole = len(known) == len(targets)
    nodes = asked.nodes if whole else tuple([asked.nodes[at] for at in known])
    results = targets if whole else [targets[at] for at in known]
    program = _cpu().program_of(nodes, _names(len(columns)), nan)
    work = columns[0].size * max(1, len(program.instructions))
    parts = max(1, min(threads, work // _ELEMENTS_A_THREAD))
    plan = _cpu().plan(program, columns, [matrix(np.asarray(result)) for result in results], parts)
    run_all(plan.tasks, parts)
    plan.finish()


@cache
def _names(columns: int) -> tuple[str, ...]:
    return tuple(map(str, range(columns)))


@cache
def _cpu() -> Any:
    """Return what computes, imported when that is first asked for: numba takes a quarter of a second."""
    with building:
        from tradeutils.indicators import cpu
    return cpu


@cache
def _gpu() -> Any:
    """Return what computes on devices, imported when that is first asked for."""
    with building:
        from tradeutils.indicators.cuda import road
    return road


def _apart(array: npt.NDArray[Any], columns: Sequence[Array]) -> npt.NDArray[Any]:
    """Return an array that can be filled in place, or a stand-in, copied over at the end."""
    if array.flags.aligned and not any(np.may_share_memory(array, column) for column in columns):
        return array
    return np.empty(array.shape, array.dtype)
