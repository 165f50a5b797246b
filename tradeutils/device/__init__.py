"""
Devices: what runs kernels and holds arrays beside the processor.

CuPy is imported in ``cuda.py`` alone, on first use of a GPU. ``devices()`` finds what can be used, ``why_none()``
says in one line why there is nothing, and ``using(...)`` puts a stand-in in their place.
"""

from tradeutils.device.arrays import as_device_array, device_of, is_device_array
from tradeutils.device.device import COMPUTED, THREADS_PER_PROCESSOR, Device, DeviceArray, Module
from tradeutils.device.found import default_device, devices, using, why_none

__all__ = [
    "COMPUTED",
    "THREADS_PER_PROCESSOR",
    "Device",
    "DeviceArray",
    "Module",
    "as_device_array",
    "default_device",
    "device_of",
    "devices",
    "is_device_array",
    "using",
    "why_none",
]
