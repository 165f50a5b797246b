"""
Averages and running sums of few symbols, in parallel over the time of each: a block for each (symbol, set).

What these operators do to their state is affine in it, ``y' = b * y + a``, and two such bars in a row are another
such bar. So the bars of a series can be joined in any grouping, by all threads of a block at once. Sums are then
added up in another order than the CPU's: results differ from its by some 1e-16 of what is summed, and are NaN at the
same bars, unless an average itself overflows.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tradeutils.device import Device, DeviceArray
from tradeutils.errors import NotSupportedByBackend, UsageError
from tradeutils.indicators.cuda.handwritten import handwritten

__all__ = ["BLOCK", "SCANNED", "scan"]

BLOCK: Final = 256
"""Threads of a block, at most. Of 32 to 256 the most: a tile is then 2048 bars, and fewer tiles follow one another."""

_EXPONENTIAL, _WILDER, _SUM, _SIGNED = range(4)
_KINDS: Final = {
    "ema": _EXPONENTIAL,
    "smooth": _EXPONENTIAL,
    "rma": _WILDER,
    "cumulative": _SUM,
    "obv": _SIGNED,
}

SCANNED: Final = frozenset(_KINDS)
"""The names of the operators that :func:`scan` computes."""

_WARP: Final = 32
_MOST_SETS: Final = 65_535  # of a grid, in y


def scan(
    device: Device,
    operator: str,
    parameters: Sequence[tuple[float, ...]],
    mode: int,
    sources: Sequence[DeviceArray],
    target: DeviceArray,
    *,
    block: int = BLOCK,
    stream: Any = None,
) -> None:
    """
    Compute one operator for all symbols and sets; it is not waited for.

    Parameters
    ----------
    device : Device
    operator : str
        One of :data:`SCANNED`.
    parameters : sequence of tuple
        The operator's parameters, for each set.
    mode : int
        RESTART, PROPAGATE or HOLD, as in :mod:`tradeutils.indicators.cpu.compiling`.
    sources : sequence of device arrays
        The operator's inputs, (T, S), or (sets, T, S) where each set has its own; float64 or float32, of any strides.
    target : device array, shape (sets, K, S), K <= T
        Receives the last K rows; float64 or float32, of any strides.
    block : int
        Threads of a block: a multiple of 32, up to 256.
    stream
        From ``device.stream()``.

    Raises
    ------
    NotSupportedByBackend : an operator that is not affine.
    UsageError : shapes that do not fit one another, or another number of threads.
    """
    if operator not in _KINDS:
        raise NotSupportedByBackend(f"operator was {operator!r}; {', '.join(sorted(SCANNED))} can be scanned")
    if block not in range(_WARP, BLOCK + 1, _WARP):
        raise UsageError(f"block was {block!r}; write a multiple of {_WARP} up to {BLOCK}")
    sets, bars, symbols = len(parameters), sources[0].shape[-2], target.shape[2]
    shapes = {source.shape for source in sources} - {(bars, symbols), (sets, bars, symbols)}
    if shapes or len(target) != sets or target.shape[1] > bars:
        raise UsageError(
            f"sources were {[source.shape for source in sources]} and the target {target.shape} for {sets} sets; "
            "give (T, S) or (sets, T, S), and (sets, K, S) with K <= T"
        )
    if not target.size:
        return
    module = device.compile(handwritten())
    for first in range(0, sets, _MOST_SETS):
        some = slice(first, first + _MOST_SETS)
        own = [source[some] if source.ndim == 3 else source for source in sources]
        words = _words(device, operator, parameters[some], mode, own, target[some])
        table = device.upload(words, stream=stream)
        module.launch("tu_scan", (symbols, len(parameters[some]), 1), block, table, stream=stream)


def _words(
    device: Device,
    operator: str,
    parameters: Sequence[tuple[float, ...]],
    mode: int,
    sources: Sequence[DeviceArray],
    target: DeviceArray,
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the table of a launch, as the enumerations of ``kernels.cu`` have it."""
    bars = sources[0].shape[-2]
    words = [_KINDS[operator], mode, bars, bars - target.shape[1]]
    for array in (sources[0], sources[-1], target):
        words += _column(device, array)
    for one in parameters:
        words += struct.unpack("<3q", struct.pack("<3d", *_rule(operator, one)))
    return np.array(words, dtype=np.int64)


def _column(device: Device, array: DeviceArray) -> list[int]:
    """Return the words of an array: its address, items from set to set, bar to bar and symbol to symbol, its width."""
    strides = [stride // array.itemsize for stride in array.strides]
    return [device.address(array), *[0] * (3 - len(strides)), *strides, int(array.dtype == np.float32)]


def _rule(operator: str, parameters: tuple[float, ...]) -> tuple[float, float, float]:
    """Return how many bars seed an average, 1 / that, and its alpha, rounded as the CPU's kernels round them."""
    if operator == "smooth":
        alpha, seed = parameters
        return float(seed), 1.0 / seed, alpha
    if not parameters:
        return 1.0, 1.0, 1.0
    (period,) = parameters
    return float(period), 1.0 / period, 2.0 / (period + 1.0) if operator == "ema" else 1.0 / period
