"""How an array of the host and one of a device are laid out side by side, for a copy in one transfer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Rows", "copied", "rows_of"]


@dataclass(frozen=True, slots=True)
class Rows:
    """``height`` rows of ``width`` bytes; row i begins ``i * pitch`` bytes after the first, on each side."""

    width: int
    height: int
    first_pitch: int
    second_pitch: int

    @property
    def contiguous(self) -> bool:
        """Tell whether both sides are one run of bytes."""
        return self.height == 1 or (self.first_pitch == self.width == self.second_pitch)


def rows_of(shape: Sequence[int], first: Sequence[int], second: Sequence[int], itemsize: int) -> Rows | None:
    """
    Return two arrays of one shape as rows of bytes; ``None`` where they are not laid out alike or in more than rows.

    Parameters
    ----------
    shape : sequence of int
        Of both; nothing in it is 0.
    first, second : sequence of int
        Their strides in bytes.
    itemsize : int
        Bytes of an element.
    """
    axes = [(n, a, b) for n, a, b in zip(shape, first, second, strict=True) if n > 1]
    axes.sort(key=lambda axis: axis[1:])  # the fastest axis first: F order is C order of the transposed
    width = itemsize
    while axes and axes[0][1:] == (width, width):
        width *= axes.pop(0)[0]
    if not axes:
        return Rows(width, 1, width, width)
    height, pitches = axes[0][0], axes[0][1:]
    for n, a, b in axes[1:]:
        if (a, b) != (pitches[0] * height, pitches[1] * height):
            return None
        height *= n
    if min(pitches) < width:
        return None  # turned round, repeated or interleaved
    return Rows(width, height, *pitches)


def copied(host: npt.NDArray[Any], memory: Any, order: Literal["C", "K"]) -> npt.NDArray[Any]:
    """Return a copy of an array that lies in one piece at the beginning of some memory."""
    strides = np.empty_like(host, order=order, subok=False).strides
    made: npt.NDArray[Any] = np.ndarray(host.shape, host.dtype, memory, strides=strides)
    np.copyto(made, host)
    return made
