"""From checked parameters and columns to results: the road that functions, methods and ``compute`` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from tradeutils.errors import NotSupportedByBackend, UnknownName, UsageError
from tradeutils.indicators.arrays import Array, check_out, kernel_inputs
from tradeutils.indicators.spec import REGISTRY, Indicator
from tradeutils.indicators.threads import run_all, thread_count

__all__ = ["Request", "check_backend", "check_tail", "evaluate"]

# Less work than this takes less time than waking a thread (20 to 50 us).
_ELEMENTS_A_THREAD: Final = 100_000


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
            f'backend was "cuda", which has no indicators in this version; "cpu" has {", ".join(sorted(REGISTRY))}'
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
class Request:
    """
    One indicator to compute.

    Parameters
    ----------
    indicator, values
        As ``Spec`` holds them.
    columns : sequence of float64 arrays (T,) or (T, S)
        The indicator's inputs, of one shape. Never written to.
    """

    indicator: Indicator
    values: tuple[float, ...]
    columns: Sequence[Array]


def evaluate(
    requests: Sequence[Request], *, tail: int | None = None, out: Any = None, threads: int | None = None
) -> list[list[Array]]:
    """
    Compute indicators, side by side where threads allow.

    Parameters
    ----------
    requests : sequence of Request
    tail : int, optional
        Return only this many of the last rows.
    out : array, or sequence of arrays
        For a single request: filled and returned; of the shape of the result.
    threads : int, optional
        Default: TRADEUTILS_THREADS, else all cores.

    Returns
    -------
    For each request, a float64 array for each output, of the shape of its columns but for ``tail``.
    """
    inputs = [kernel_inputs(request.columns, request.indicator.inputs) for request in requests]
    work = sum(arrays[0].size for arrays in inputs)
    count = max(1, min(thread_count(threads), work // _ELEMENTS_A_THREAD))
    parts = -(-count // max(1, len(requests)))
    tasks: list[Callable[[], None]] = []
    results = []
    for request, arrays in zip(requests, inputs, strict=True):
        rows = len(arrays[0])
        shape = (rows if tail is None else min(tail, rows), *request.columns[0].shape[1:])
        given = None if out is None else check_out(out, request.indicator.outputs, shape)
        targets = (
            [np.empty(shape) for _ in request.indicator.outputs] if given is None else _fit(given, request.columns)
        )
        tasks += _plan(request, arrays, targets, parts)
        results.append((given, targets))
    run_all(tasks, count)
    return [targets if given is None else _handed_back(given, targets) for given, targets in results]


def _plan(request: Request, inputs: list[Array], targets: list[Array], parts: int) -> list[Callable[[], None]]:
    """Return the tasks that fill ``targets``."""
    rows, symbols = inputs[0].shape
    kept = len(targets[0])
    if rows <= request.indicator.lookback(*request.values) or kept == 0 or symbols == 0:
        # Nothing is known yet; and no state is made for a period far beyond the data.
        return [partial(target.fill, np.nan) for target in targets]
    from tradeutils.indicators import cpu

    outputs = [np.asarray(target).reshape(kept, symbols) for target in targets]  # a memmap is of another type
    return cpu.plan(request.indicator.name, inputs, outputs, request.values, parts)


def _fit(given: list[Array], columns: Sequence[Array]) -> list[Array]:
    """Return each array that a kernel can fill in place, and a stand-in, copied over at the end, for the others."""
    return [
        array
        if array.flags.c_contiguous
        and array.flags.aligned
        and not any(np.may_share_memory(array, column) for column in columns)
        else np.empty(array.shape)
        for array in given
    ]


def _handed_back(given: list[Array], targets: list[Array]) -> list[Array]:
    for array, target in zip(given, targets, strict=True):
        if array is not target:
            array[...] = target
    return given
