"""Arrays as a dtype, a shape and their bytes; and back, as views, from a list of allowed dtypes."""

from __future__ import annotations

import functools
import math
import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import CodecError

__all__ = ["DTYPE", "kept_dtype", "pack", "scalar", "unpack"]

DTYPE: Final = re.compile(
    r"[<>|](b1|[iu][1248]|f[248]|c8|c16|[SU][1-9][0-9]{0,8}|[mM]8(\[[0-9]{0,9}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?)"
)
"""What an array may be made of: numbers, flags, times and fixed-width text, in either byte order."""

_LARGEST_AXIS: Final = 2**48
_LAST_CODE_POINT: Final = 0x10FFFF


@functools.lru_cache(maxsize=256)
def kept_dtype(dtype: np.dtype[Any]) -> bool:
    """Tell whether arrays of ``dtype`` are kept."""
    return dtype.names is None and DTYPE.fullmatch(dtype.str) is not None


def pack(array: npt.NDArray[Any]) -> tuple[str, list[int], str, memoryview]:
    """Return dtype, shape, order ("C" or "F") and bytes of an array; copied only if it is not contiguous."""
    if array.flags.c_contiguous or not array.flags.f_contiguous:
        return array.dtype.str, list(array.shape), "C", np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return array.dtype.str, list(array.shape), "F", array.T.reshape(-1).view(np.uint8).data


def unpack(dtype_text: str, shape: list[int], order: str, raw: memoryview) -> npt.NDArray[Any]:
    """
    Return the array that `pack` took apart, as a read-only view of ``raw`` (a copy where that is not aligned).

    Raises
    ------
    CodecError : a dtype that is not allowed, a shape that does not fit the bytes, or bytes that are no such values.
    """
    dtype = _dtype(dtype_text)
    if any(type(n) is not int or not 0 <= n < _LARGEST_AXIS for n in shape) or order not in ("C", "F"):
        raise CodecError(f"an array has shape {shape!r:.60} and order {order!r:.20}")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise CodecError(f"an array of {dtype} and shape {shape} cannot have {len(raw)} bytes")
    flat = np.frombuffer(raw, dtype) if len(raw) else np.empty(0, dtype)
    if not flat.flags.aligned:
        flat = flat.copy()
    if dtype.kind in "bU":
        _check_values(flat)
    array = flat.reshape(shape) if order == "C" else flat.reshape(shape[::-1]).T
    array.flags.writeable = False
    return array


def scalar(dtype_text: str, raw: bytes) -> np.generic:
    """Return the numpy scalar of these bytes."""
    made: np.generic = unpack(dtype_text, [1], "C", memoryview(raw))[0]
    return made


@functools.lru_cache(maxsize=256)
def _dtype(text: str) -> np.dtype[Any]:
    if not isinstance(text, str) or DTYPE.fullmatch(text) is None:
        raise CodecError(f"an array has dtype {text!r:.40}, which is not among those that are read")
    return np.dtype(text)


def _check_values(flat: npt.NDArray[Any]) -> None:
    """Refuse what numpy would choke on later: flags that are neither 0 nor 1, characters beyond Unicode."""
    if flat.dtype.kind == "b":
        fits = flat.view(np.uint8).max(initial=0) <= 1
    else:
        codes = flat.view(np.dtype("u4").newbyteorder(flat.dtype.byteorder))
        fits = codes.max(initial=0) <= _LAST_CODE_POINT
    if not fits:
        raise CodecError(f"the bytes of an array are no values of {flat.dtype}")
