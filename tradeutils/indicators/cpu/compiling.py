"""
Compiling the kernels: on first use, for one signature each, kept on disk between processes.

numba's own cache is keyed by the file that holds a kernel and misses a change in a step that the kernel calls
from another file. So the cache lies in a folder named for the content of every file of this package.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from tradeutils.logs import get_logger

__all__ = ["Kernel", "cache_folder", "kernel", "step"]

logger: Final = get_logger("indicators")

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Division by zero is NaN or infinity as in numpy; no fast-math (see steps.py); no parallel=True, whose workqueue
# aborts the process when two Python threads call at once (numba 10565).
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy"}
_lock: Final = threading.RLock()
_PAGE, _LINE = 512, 8  # float64 in 4096 bytes and in a cache line


def step(function: _Function) -> _Function:
    """Make a scalar step that kernels may call."""
    compiled: _Function = numba.njit(**_OPTIONS)(function)
    return compiled


def kernel(
    *, rows: Callable[..., int], fill: float, reach: Callable[..., int] = lambda *parameters: 0
) -> Callable[[Callable[..., None]], Kernel]:
    """
    Declare a kernel.

    Parameters
    ----------
    rows : callable
        From the indicator's parameters to the number of state rows it keeps for each symbol.
    fill : float
        What the state holds before the first bar.
    reach : callable
        From the indicator's parameters to the number of bars it reads back from the bar it is at.

    Notes
    -----
    The kernel is ``f(*inputs, *outputs, state, start, seen, first, low, high, *parameters)``. Inputs are read-only
    (T, S) arrays, oldest bar first. It advances the columns ``[low, high)`` by the rows ``[start, T)``; ``seen`` bars
    of the series came before row ``start``, and the last ``reach`` of them must stand in the rows before it.
    ``state`` (rows, at least high - low) is left as the next bar needs it, so all bars at once, or one at a time,
    give the same bits. Row ``t`` goes to row ``max(t - first, 0)`` of the outputs: rows before ``first`` all fall on
    row 0, where the next one overwrites them, so a tail costs no memory traffic.

    Each kernel begins with a test of ``low`` that never holds: it tells LLVM that no column index is negative,
    without which it does not vectorise (EMA 2.4 ns an element, not 0.4). Rows sliced to ``[low, high)`` first
    vectorise as well, but their reference counts cost 20 ns a bar, which is most of the time on one symbol.
    """

    def declare(function: Callable[..., None]) -> Kernel:
        return Kernel(function, rows, fill, reach)

    return declare


class Kernel:
    """The kernel of one indicator, compiled when it is first asked for. Made by :func:`kernel`."""

    def __init__(
        self, function: Callable[..., None], rows: Callable[..., int], fill: float, reach: Callable[..., int]
    ) -> None:
        self.function = function
        self.rows = rows
        self.fill = fill
        self.reach = reach
        self._compiled: Callable[..., None] | None = None

    def state(self, width: int, parameters: tuple[float, ...]) -> npt.NDArray[np.float64]:
        """Return the state of at least ``width`` symbols before their first bar, float64 (rows, width or more)."""
        # Rows that lie a multiple of 4096 bytes apart evict one another and stall loads behind stores: up to 15 %.
        spare = _LINE if width % _PAGE == 0 else 0
        return np.full((self.rows(*parameters), width + spare), self.fill)

    def compiled(self, inputs: int, outputs: int, parameters: tuple[float, ...]) -> Callable[..., None]:
        """
        Return machine code for this many input and output arrays; safe from any thread.

        Takes about a second the first time on a machine, which is logged, and milliseconds once it is on disk.
        """
        if self._compiled is None:
            with _lock:
                if self._compiled is None:
                    self._compiled = _compile(self.function, _signature(inputs, outputs, parameters))
        return self._compiled


def _signature(inputs: int, outputs: int, parameters: tuple[float, ...]) -> tuple[Any, ...]:
    read = numba.types.Array(numba.float64, 2, "C", readonly=True)
    written = numba.types.Array(numba.float64, 2, "C")
    kinds = tuple(numba.int64 if isinstance(value, int) else numba.float64 for value in parameters)
    return (read,) * inputs + (written,) * (outputs + 1) + (numba.int64,) * 5 + kinds


def _compile(function: Callable[..., None], signature: tuple[Any, ...]) -> Callable[..., None]:
    folder, name = cache_folder(), function.__name__
    began = time.perf_counter()
    kept = "not kept: no folder can be written, set NUMBA_CACHE_DIR"
    dispatcher = None
    if folder is not None:
        kept = f"kept in {folder}"
        try:
            with _numba_cache(folder):
                dispatcher = numba.njit(cache=True, **_OPTIONS)(function)
            dispatcher.compile(signature)
        except Exception:  # damaged files raise whatever unpickling them raises; a fault of the kernel is raised below
            logger.warning("the kernel cache %s is damaged or full; compiling %s anew", folder, name, exc_info=True)
            _forget(folder, name)
            kept, dispatcher = "not kept this time", None
    if dispatcher is None:
        dispatcher = numba.njit(**_OPTIONS)(function)
        dispatcher.compile(signature)
    if dispatcher.stats.cache_misses:
        logger.info("compiled the %s kernel in %.1f s (%s)", name, time.perf_counter() - began, kept)
    # A caller's slip in a dtype must fail, not compile a second variant.
    dispatcher.disable_compile()
    machine_code: Callable[..., None] = dispatcher
    return machine_code


@contextmanager
def _numba_cache(folder: Path) -> Iterator[None]:
    """Have numba choose ``folder`` for the functions declared inside; its setting is then put back."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def _forget(folder: Path, name: str) -> None:
    """Remove what is kept of one kernel, so that the next process keeps it anew."""
    for file in folder.glob(f"*/*.{name}-*"):
        try:
            file.unlink()
        except OSError:
            logger.debug("could not remove %s", file)


@functools.cache
def cache_folder() -> Path | None:
    """
    Return the folder that compiled kernels are kept in, ``None`` where none can be written.

    NUMBA_CACHE_DIR where it is set, else ``__pycache__`` beside the kernels, else the user's cache folder
    (XDG_CACHE_HOME or ``~/.cache``). Not a temporary folder: what is kept is executed, and others could write there.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    for base in _bases():
        folder = base / f"tradeutils-{digest.hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def _bases() -> Iterator[Path]:
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR)
        return
    yield Path(__file__).parent / "__pycache__"
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        yield (Path(named) if named else Path.home() / ".cache") / "tradeutils"
    except RuntimeError:  # no home folder
        return
