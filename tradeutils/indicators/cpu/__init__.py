"""Indicators on the CPU: numba kernels over panels in time-major order, on our own threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu import recursive, windows
from tradeutils.indicators.cpu.compiling import Kernel, cache_folder

__all__ = ["KERNELS", "Kernel", "cache_folder", "plan"]

KERNELS: Final[dict[str, Kernel]] = {
    kernel.function.__name__: kernel
    for kernel in (windows.sma, windows.bbands, recursive.ema, recursive.macd, recursive.rsi, recursive.atr)
}
"""Every kernel, by the name of its indicator."""

_Array = npt.NDArray[np.float64]

# The state of a block should stay in the second-level cache; columns narrower than a few cache lines waste reads.
_STATE_BYTES: Final = 1 << 20
_NARROWEST, _WIDEST, _LINE = 64, 4096, 8
# Part of a row is read slower than a whole one, as prefetching starts anew in every row: halves of 500 columns took
# 2.4 times as long one after the other as the whole, so two threads lost to one; from 1000 columns each they gain.
_WORTH_A_THREAD: Final = 1024


def plan(
    name: str, inputs: Sequence[_Array], outputs: Sequence[_Array], parameters: tuple[float, ...], parts: int
) -> list[Callable[[], None]]:
    """
    Return the tasks that compute one indicator from its first bar; they may run in any order, side by side.

    Parameters
    ----------
    name : str
        A key of ``KERNELS``.
    inputs : arrays, float64, shape (T, S), C-contiguous, read-only
    outputs : arrays, float64, shape (K, S), C-contiguous, 1 <= K <= T
        Receive the last K rows. None may share memory with an input or with another output.
    parameters : tuple of int or float
        Checked already.
    parts : int
        How many tasks there should be at least, where there are symbols enough. The result has the same bits on
        any number.
    """
    kernel = KERNELS[name]
    function = kernel.compiled(len(inputs), len(outputs), parameters)
    rows, symbols = inputs[0].shape
    first = rows - outputs[0].shape[0]
    width = _block_width(symbols, kernel.rows(*parameters), parts)

    def advance(low: int) -> None:
        high = min(low + width, symbols)
        state = kernel.state(high - low, parameters)
        function(*inputs, *outputs, state, 0, 0, first, low, high, *parameters)

    return [partial(advance, low) for low in range(0, symbols, width)]


def _block_width(symbols: int, rows: int, parts: int) -> int:
    """Return how many symbols to take at once: the state small, each part worth a thread, whole cache lines."""
    widest = min(_WIDEST, max(_NARROWEST, _STATE_BYTES // (8 * rows)))
    share = max(-(-symbols // parts), _WORTH_A_THREAD)
    return -(-min(widest, share, symbols) // _LINE) * _LINE
