"""What users hand in, made into what kernels take; and what kernels fill, checked or made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.device import Device, as_device_array, device_of, is_device_array
from tradeutils.errors import UsageError

__all__ = ["Array", "as_columns", "as_prices", "check_axes", "check_out", "check_shapes", "repeated", "spread_out"]

Array: TypeAlias = npt.NDArray[np.float64]
"""Prices or results, float64: (T,) for one symbol, (T, S) for many, oldest bar first."""


def as_prices(values: Any, name: str) -> Array:
    """
    Return array-like ``values`` as float64, (T,) or (T, S), without a copy where they are that already.

    Raises
    ------
    UsageError : not numbers, ragged, or neither 1-D nor 2-D.
    """
    prices = values if type(values) is np.ndarray and values.dtype == np.float64 else _converted(values, name)
    if not prices.flags.aligned:
        prices = prices.copy()
    check_axes(prices, name)
    return prices


def check_axes(prices: Any, name: str) -> None:
    """Raise ``UsageError`` for an array that is neither 1-D nor 2-D."""
    if prices.ndim not in (1, 2):
        raise UsageError(f"{name} had shape {prices.shape}; give (T,) for one symbol or (T, S) for many")


def _converted(values: Any, name: str) -> Array:
    try:
        masked = isinstance(values, np.ma.MaskedArray)
        array = np.asarray(values.astype(np.float64).filled(np.nan) if masked else values)
        if array.dtype.kind not in "iufO" and array.size:
            raise UsageError(f"{name} held {array.dtype}; give numbers")
        with np.errstate(over="ignore"):  # a long double beyond float64 is an infinity, and so a missing value
            return array.astype(np.float64, copy=False)
    except UsageError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{name} cannot be read as numbers ({error}); give an array (T,) or (T, S)") from error


def as_columns(given: Sequence[Any], names: Sequence[str]) -> tuple[list[Array], Device | None]:
    """
    Return inputs as :func:`as_prices` does, or as arrays of the device that the last lies on; and that device.

    Raises
    ------
    UsageError : as :func:`as_prices`; some on a device and others not, or on another.
    """
    last = given[-1]
    if type(last) is np.ndarray or not is_device_array(last):
        for values, name in zip(given, names, strict=True):
            # Some libraries' arrays would travel to the host without a word.
            if type(values) is not np.ndarray and is_device_array(values):
                raise UsageError(f"{name} lies on a device and {names[-1]} does not; bring all to one place")
        return [as_prices(values, name) for values, name in zip(given, names, strict=True)], None
    device = device_of(last)
    columns = [as_device_array(values, device, name=name) for values, name in zip(given, names, strict=True)]
    for column, name in zip(columns, names, strict=True):
        check_axes(column, name)
    return columns, device


def repeated(time: Array, like: Array, device: Device | None = None) -> Array:
    """Return times (T,) once for each symbol of ``like`` (T, S), without a copy; as they are for (T,)."""
    if time.ndim == 1 and like.ndim == 2 and len(time) == len(like):
        if device is None:
            return np.broadcast_to(time[:, np.newaxis], like.shape)
        with device:
            made: Array = device.xp.broadcast_to(time[:, np.newaxis], like.shape)
            return made
    return time


def check_shapes(columns: Sequence[Array], names: Sequence[str]) -> None:
    """Raise ``UsageError`` unless all columns have one shape."""
    for column, name in zip(columns, names, strict=True):
        if column.shape != columns[0].shape:
            raise UsageError(
                f"{name} had shape {column.shape} and {names[0]} {columns[0].shape}; give columns of one shape"
            )


def spread_out(out: Any, outputs: tuple[str, ...]) -> list[Any]:
    """Return what the user gave to be filled, one item for each output; too many or too few raise ``UsageError``."""
    several = len(outputs) > 1
    given = list(out) if several and isinstance(out, tuple | list) else [out]
    if len(given) != len(outputs):
        raise UsageError(f"out was {type(out).__name__}; give {len(outputs)} arrays, for {', '.join(outputs)}")
    return given


def check_out(given: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """
    Check arrays to be filled, by the names of what they are for.

    Raises
    ------
    UsageError : of another dtype, not writable, of another shape, broadcast, or two that share memory.
    """
    for name, array in given.items():
        if type(array) is not np.ndarray and is_device_array(array):
            raise UsageError(
                f"out for {name} lies on a device, and the data in the memory of the host; give an array of numpy"
            )
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
            what = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise UsageError(f"out for {name} was {what}; give a {dtype} array of shape {shape}")
        if not array.flags.writeable:
            raise UsageError(f"out for {name} is read-only; give an array that can be written to")
        if any(step == 0 and length > 1 for step, length in zip(array.strides, array.shape, strict=True)):
            raise UsageError(f"out for {name} stands for all its items with one; give an array with memory of its own")
    for one, other in combinations(given.values(), 2):
        if np.shares_memory(one, other):
            raise UsageError("two arrays of out share memory; give each output its own")
