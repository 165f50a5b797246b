"""Arrays that already lie on a device: CuPy's, and those of any library that offers DLPack or CUDA's interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from tradeutils.device.device import COMPUTED, Device, DeviceArray
from tradeutils.device.found import default_device, devices, placed
from tradeutils.errors import TradeutilsError, UsageError

__all__ = ["as_device_array", "device_of", "is_device_array"]

_CUDA_KINDS: Final = (2, 13)  # DLPack's kDLCUDA and kDLCUDAManaged
_REFUSALS: Final = (BufferError, TypeError, ValueError, RuntimeError, AttributeError)
"""What libraries raise where an array cannot be shared: it takes part in a gradient, or has a type of their own."""


def is_device_array(value: object) -> bool:
    """
    Tell whether a value is an array in the memory of a device; nothing is copied, and no device is searched for.

    True of CuPy's arrays, of what has ``__cuda_array_interface__``, and of what tells by ``__dlpack_device__`` that it
    is CUDA's. Where `using` has put a stand-in in place, of that one's arrays.
    """
    if any(device.owns(value) for device in placed()):
        return True
    if isinstance(value, np.ndarray | np.generic | str | bytes | int | float | list | tuple | dict):
        return False
    told = _told_device(value)
    return told[0] in _CUDA_KINDS if told is not None else _has_interface(value)


def device_of(value: Any) -> Device:
    """
    Return the device on which an array lies.

    Raises
    ------
    BackendUnavailable : no device can be used.
    UsageError : the array is on none of those found.
    """
    default_device()  # says why there is none
    there = devices()
    made = value if any(device.owns(value) for device in there) else _adopted(value, there[0], "the array")
    for device in there:
        if device.owns(made):
            return device
    raise UsageError(f"the array lies on none of {_named(there)}; copy it to one of them first")


def as_device_array(value: Any, device: Device, *, name: str = "the array", writable: bool = False) -> DeviceArray:
    """
    Return an array that lies on a device as one of ``device.xp``; nothing is copied.

    Parameters
    ----------
    value : array
        Float64 or float32 on ``device``: CuPy's, or one with ``__dlpack__`` or ``__cuda_array_interface__``. Of any
        strides that are whole elements.
    device : Device
        Where it must lie.
    name : str
        What it is, for messages: ``"close"``.
    writable : bool
        It is to be written to: refuse it where its owner has marked it read-only.

    Raises
    ------
    UsageError : not on this device, of another type, read-only where it must not be, or not to be shared.
    """
    if device.owns(value):
        made = value
    else:
        _check_place(value, device, name)
        if writable:
            _check_writable(value, name)
        made = _adopted(value, device, name)
        if not device.owns(made):
            raise UsageError(_elsewhere(name, device, "another GPU"))
    if str(made.dtype) not in COMPUTED:
        raise UsageError(
            f"{name} has dtype {made.dtype} on {device.name}; kernels take {' or '.join(COMPUTED)}: "
            f'write {name if name.isidentifier() else "x"}.astype("float64")'
        )
    if any(stride % made.itemsize for stride in made.strides):
        raise UsageError(f"{name} has strides of {made.strides} bytes, which are no whole elements; copy it first")
    if writable and isinstance(made, np.ndarray) and not made.flags.writeable:
        raise UsageError(f"{name} is read-only; give an array that can be written to")
    return made


def _check_place(value: Any, device: Device, name: str) -> None:
    """Refuse what is not in the memory of CUDA, or tells that it is on another device; before anything is taken."""
    if not is_device_array(value):
        raise UsageError(
            f"{name} is a {type(value).__name__} in the host's memory and {device.name} was to read it: "
            "Panel.to_device() or cupy.asarray() put data on the GPU"
        )
    told = _told_device(value)
    if told is not None and told[1] != device.number:
        raise UsageError(_elsewhere(name, device, f"GPU {told[1]}"))


def _elsewhere(name: str, device: Device, where: str) -> str:
    return (
        f"{name} is on {where} and the rest on GPU {device.number}; copy it first: "
        f"with cupy.cuda.Device({device.number}): cupy.array(...)"
    )


def _check_writable(value: Any, name: str) -> None:
    """Refuse what its owner has marked read-only; CuPy's arrays have no such mark, so it would be lost."""
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
    except _REFUSALS:
        return  # what cannot be shared is refused where it is taken
    if isinstance(interface, dict) and interface.get("data", (0, False))[1]:
        raise UsageError(f"{name} is read-only; give an array that can be written to")


def _adopted(value: Any, device: Device, name: str) -> DeviceArray:
    try:
        return device.adopt(value)
    except TradeutilsError:
        raise  # the device's own faults, of which some are RuntimeErrors too
    except _REFUSALS as error:
        raise UsageError(f"{name}, a {type(value).__name__}, cannot be shared with the GPU's code: {error}") from error


def _told_device(value: Any) -> tuple[int, int] | None:
    """Return DLPack's kind and number of the device of an array; ``None`` where it does not tell."""
    ask = getattr(value, "__dlpack_device__", None)
    if ask is None or isinstance(value, type):
        return None
    try:
        kind, number = ask()
        return int(kind), int(number)
    except _REFUSALS:
        return None  # a column of strings, say


def _has_interface(value: Any) -> bool:
    """Tell whether a value offers ``__cuda_array_interface__``; a property that refuses offers nothing."""
    try:
        return not isinstance(value, type) and hasattr(value, "__cuda_array_interface__")
    except _REFUSALS:
        return False


def _named(there: Iterable[Device]) -> str:
    return ", ".join(f"GPU {device.number} ({device.name})" for device in there)
