"""
Compiling kernels: on first use, each into machine code of one uniform signature, kept on disk between processes.

numba's own cache is keyed by the file that holds a function and misses a change in a step that the function calls
from another file. So what is kept of a file lies in a folder named for its content and that of every file of this
package that it imports.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, Final, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu.machine import arguments_of, kept_of
from tradeutils.indicators.threads import building
from tradeutils.logs import get_logger

__all__ = [
    "HOLD",
    "MODES",
    "PROPAGATE",
    "RESTART",
    "Kernel",
    "Matrix",
    "cache_folder",
    "compiled",
    "dispatcher",
    "kernel",
    "sources",
    "step",
]

logger: Final = get_logger("indicators")

Matrix = npt.NDArray[np.float64]
"""What a kernel reads and writes: (rows, at least ``width``), C-contiguous."""

RESTART, PROPAGATE, HOLD = 0, 1, 2
MODES: Final = {"restart": RESTART, "propagate": PROPAGATE, "hold": HOLD}
"""What a recursive kernel does at a missing bar, by the name in ``nan=``."""

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Division by zero is NaN or infinity as in numpy; no fast-math (see steps.py); no parallel=True, whose workqueue
# aborts the process when two Python threads call at once (numba 10565). Without the run-time's reference counts,
# which cost 20 ns a call for arrays that own nothing.
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_FEW_ROWS: Final = 16  # of a state that may be kept in registers
_IMPORTED: Final = re.compile(rb"^from tradeutils\.indicators\.cpu\.(\w+) import", re.MULTILINE)


def step(function: _Function) -> _Function:
    """Make a scalar step that kernels may call; it is inlined."""
    made: _Function = numba.njit(forceinline=True, **_OPTIONS)(function)
    return made


def kernel(
    *,
    rows: Callable[..., int] = lambda *parameters: 0,
    fill: float = 0.0,
    counts: int | None = None,
    cycle: Callable[..., int] | None = None,
) -> Callable[[Callable[..., None]], Kernel]:
    """
    Declare a kernel: the function of an operator's name, in the file of ``cpu/`` that bears its file's name.

    Parameters
    ----------
    rows : callable
        From the operator's parameters to the number of state rows it keeps for each symbol.
    fill : float
        What the state holds before the first bar.
    counts : int, optional
        How many of the first rows of the state are counts of good bars, of which nothing beyond the operator's
        lookback and a few bars matters. Declare it (0 where there is none) for a kernel that takes no ``seen`` and
        whose state fades: a long series is then computed in chunks side by side.
    cycle : callable, optional
        From the operator's parameters to the period of what depends on ``seen``. Declare it for a kernel whose state
        is that of the last two periods, for the same reason.

    Notes
    -----
    The kernel is ``f(*inputs, *outputs, state, seen, width, mode, *parameters)``; ``state``, ``seen`` and ``mode`` are
    left out where they are not needed. Inputs and outputs are (n, at least width) matrices of the same n bars, oldest
    first; ``seen`` bars of the series came before them. The columns ``[0, width)`` count; those beyond are not to be
    touched. ``state`` (rows, at least width) is left as the next bar needs it: all bars at once, or one at a time,
    give the same bits. A kernel reads nothing but these rows and its state. ``mode`` is RESTART, PROPAGATE or HOLD,
    known when the kernel is compiled. Parameters are annotated ``int`` or ``float``.
    """

    def declare(function: Callable[..., None]) -> Kernel:
        return Kernel(function, rows, fill, counts, cycle)

    return declare


class Kernel:
    """The kernel of one operator, compiled for each mode when that is first asked for. Made by :func:`kernel`."""

    def __init__(
        self,
        function: Callable[..., None],
        rows: Callable[..., int],
        fill: float,
        counts: int | None,
        cycle: Callable[..., int] | None,
    ) -> None:
        self.function = function
        self.rows = rows
        self.fill = fill
        self.counts = counts
        self.cycle = cycle
        names = list(inspect.signature(function).parameters)
        at = names.index("width")
        self.takes = tuple(name for name in ("state", "seen", "mode") if name in names)
        self.matrices = at - len({"state", "seen"} & set(names))
        annotations = inspect.get_annotations(function)
        named = names[at + 1 + ("mode" in names) :]
        self.kinds = tuple({"int": int, "float": float}[str(annotations[name])] for name in named)
        self._addresses: dict[int, tuple[int, Any]] = {}

    @property
    def name(self) -> str:
        """The operator's name."""
        return self.function.__name__

    def address(self, mode: int = RESTART) -> int:
        """
        Return the address of machine code for this mode; safe from any thread.

        Takes a fraction of a second the first time on a machine, which is logged, and milliseconds once it is on disk.
        """
        mode = mode if "mode" in self.takes else RESTART
        found = self._addresses.get(mode)
        if found is None:
            with building:
                found = self._addresses.get(mode)
                if found is None:
                    found = self._addresses[mode] = self._compile(mode)
        return found[0]

    @functools.cached_property
    def _few(self) -> int:
        """How many rows of state there are, where they are few whatever the parameters; else 0."""
        counts = {self.rows(*(kind(number) for kind in self.kinds)) for number in (1, 1000)}
        return max(counts) if len(counts) == 1 and max(counts) <= _FEW_ROWS else 0

    def rows_of(self, parameters: tuple[float, ...]) -> int:
        """Return the state rows for each symbol; ``TypeError`` where their number is not what its code was made for."""
        count = self.rows(*parameters)
        if self._few and count != self._few:
            raise TypeError(f"{self.name} has {count} rows with {parameters} and {self._few} with others: give it one")
        return count

    def _compile(self, mode: int) -> tuple[int, Any]:
        suffix = "" if mode == RESTART else f"_{next(name for name, number in MODES.items() if number == mode)}"
        few = self._few
        values: dict[str, Any] = {
            "_kernel": numba.njit(forceinline=True, **_OPTIONS)(self.function),
            "_arguments": arguments_of(self.matrices, self.takes, self.kinds, mode),
        }
        if few:
            values["_one"] = arguments_of(self.matrices, self.takes, self.kinds, mode, few)
            values["_kept"] = kept_of(self.matrices, few)
            values["_STATE"] = self.matrices
        # numba keeps what a function's globals were when it was compiled; the folder's name changes with them.
        module = self.function.__module__.rpartition(".")[2]
        code = (_entry_of_few if few else _entry).__code__
        entry = FunctionType(code, {**globals(), **values}, "_entry")
        entry.__qualname__ = f"{module}.{self.name}{suffix}"
        entry.__module__ = __name__
        made = compiled(entry, f"the {self.name}{suffix} kernel", 3, module)
        return made.address, made


def _kernel(*arguments: Any) -> None:
    """Stand in for a kernel in :func:`_entry`."""


def _arguments(table: int, rows: int, width: int) -> tuple[Any, ...]:
    """Stand in for the arguments of a kernel in :func:`_entry`."""
    return (table, rows, width)


def _entry(table: int, rows: int, width: int) -> None:
    """Call a kernel with what its part of a program's table says; every kernel is compiled inside a copy of this."""
    _kernel(*_arguments(table, rows, width))


_STATE: int = 0
"""Stands in for the place of the state among the arguments in :func:`_entry_of_few`."""


def _one(table: int, rows: int, width: int) -> tuple[Any, ...]:
    """Stand in for the arguments of a kernel for one symbol in :func:`_entry_of_few`."""
    return (table, rows, width)


def _kept(table: int, copy: Any) -> None:
    """Stand in for what puts a state back in :func:`_entry_of_few`."""


def _entry_of_few(table: int, rows: int, width: int) -> None:
    """As :func:`_entry`, for a kernel with few rows of state: those of a single symbol are kept in registers."""
    if width == 1:
        single = _one(table, rows, width)
        _kernel(*single)
        _kept(table, single[_STATE])
    else:
        _kernel(*_arguments(table, rows, width))


def compiled(function: Callable[..., None], what: str, words: int, module: str) -> Any:
    """
    Return machine code of a function that takes so many int64: numba's ``CFunc``, with ``address`` and ``ctypes``.

    ``what`` names it in the log; it is made of what ``cpu/<module>.py`` holds and imports.
    """
    signature = numba.void(*[numba.int64] * words)
    with building:  # numba's setting is one for the process
        return _compiled(function, what, lambda cache: numba.cfunc(signature, cache=cache, **_OPTIONS), module)


def dispatcher(function: Callable[..., Any], what: str, signatures: list[Any], module: str) -> Any:
    """Return a function to be called from Python with arrays, that keeps the GIL; the rest as for :func:`compiled`."""
    options = {**_OPTIONS, "nogil": False}
    with building:
        return _compiled(function, what, lambda cache: numba.njit(signatures, cache=cache, **options), module)


def _compiled(function: Callable[..., Any], what: str, make: Callable[[bool], Any], module: str) -> Any:
    folder = cache_folder(module)
    began = time.perf_counter()
    kept = "not kept: no folder can be written, set NUMBA_CACHE_DIR"
    made = None
    if folder is not None:
        kept = f"kept in {folder}"
        try:
            with _numba_cache(folder):
                made = make(True)(function)
        except Exception:  # damaged files raise what unpickling them raises; a fault of the kernel is raised below
            logger.warning("the kernel cache %s is damaged or full; compiling %s anew", folder, what, exc_info=True)
            _forget(folder, function.__qualname__)
            kept = "not kept this time"
    if made is None:
        made = make(False)(function)
    if not (made.cache_hits if hasattr(made, "cache_hits") else made.stats.cache_hits):
        logger.info("compiled %s in %.1f s (%s)", what, time.perf_counter() - began, kept)
    return made


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
def cache_folder(module: str) -> Path | None:
    """
    Return the folder that what is compiled of ``cpu/<module>.py`` is kept in, ``None`` where none can be written.

    NUMBA_CACHE_DIR where it is set, else ``__pycache__`` beside the kernels, else the user's cache folder
    (XDG_CACHE_HOME or ``~/.cache``). Not a temporary folder: what is kept is executed, and others could write there.
    """
    digest = hashlib.sha256()
    for source in sources(module):
        digest.update(source)
    for base in _bases():
        folder = base / f"tradeutils-{digest.hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def sources(module: str) -> list[bytes]:
    """Return the source of a file of this package and of those it imports, and this one's."""
    found: dict[str, bytes] = {}
    waiting = [module, "compiling"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = (Path(__file__).parent / f"{name}.py").read_bytes()
            waiting += [match.decode() for match in _IMPORTED.findall(found[name])]
    return [found[name] for name in sorted(found)]


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
