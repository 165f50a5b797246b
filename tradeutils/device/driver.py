"""The NVIDIA driver, asked directly: whether it is there, which CUDA it can run, and whether it sees a device."""

from __future__ import annotations

import ctypes
import os
import pathlib
import sys
from dataclasses import dataclass
from typing import Final

from tradeutils.device.remedies import driver_fault, no_driver

__all__ = ["LIBRARY", "Driver", "read_driver"]

LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
"""The driver's library, as the system's loader finds it."""

_KERNEL_PART: Final = pathlib.Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Driver:
    """
    What the driver said.

    Attributes
    ----------
    cuda : tuple of int or None
        The newest CUDA that it can run, ``(11, 8)``; ``None`` where there is no driver.
    devices : int
        GPUs that this process may use.
    problem : str
        Why none can be used, in one line with the remedy; empty where there is one.
    """

    cuda: tuple[int, int] | None = None
    devices: int = 0
    problem: str = ""


def read_driver(library: str = LIBRARY) -> Driver:
    """
    Ask the driver; CuPy is not needed and not imported.

    Parameters
    ----------
    library : str
        The file to load.

    Notes
    -----
    Starts the driver in this process (``cuInit``): some 100 ms where there is a GPU. Takes no memory of a device.
    """
    try:
        loaded = ctypes.CDLL(library)
        ask_version, start, count = loaded.cuDriverGetVersion, loaded.cuInit, loaded.cuDeviceGetCount
    except (OSError, AttributeError):
        return Driver(problem=no_driver(library, kernel_part=_KERNEL_PART.exists()))
    number = ctypes.c_int()
    status = ask_version(ctypes.byref(number))
    cuda = (number.value // 1000, number.value % 1000 // 10) if status == 0 else None
    status = status or start(0)
    found = ctypes.c_int()
    status = status or count(ctypes.byref(found))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if status or not found.value:
        return Driver(cuda, 0, driver_fault(status or 100, visible))
    return Driver(cuda, found.value)
