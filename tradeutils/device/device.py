"""What a computing device is to this library: one contract, for a GPU and for the stand-in that tests run on."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Protocol, TypeAlias

import numpy.typing as npt

__all__ = ["COMPUTED", "THREADS_PER_PROCESSOR", "Device", "DeviceArray", "Module"]

DeviceArray: TypeAlias = Any
"""An array in a device's memory: of ``device.xp``, and not to be mixed with arrays of the host."""

COMPUTED: Final = ("float64", "float32")
"""The types of data that kernels read and write."""

THREADS_PER_PROCESSOR: Final = 1024
"""Resident threads that keep one multiprocessor busy; it holds 1024 (sm_75) to 2048 (sm_80, sm_90)."""


class Module(Protocol):
    """Compiled kernels of one source, on one device."""

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: int,
        table: DeviceArray,
        *,
        shared: int = 0,
        stream: Any = None,
    ) -> None:
        """
        Start a kernel; it is not waited for.

        Parameters
        ----------
        name : str
            The kernel, ``extern "C"``; its one parameter is ``const long long* table``.
        grid : tuple of int
            Blocks in x, y and z; a grid with a 0 starts nothing.
        block : int
            Threads of a block, 1 to 1024.
        table : int64 device array, shape (N,)
            Contiguous, on this device. It must live until the kernel has ended: what is freed on the stream it was
            made on may be used again by later work of that stream only.
        shared : int
            Bytes of dynamic shared memory of a block.
        stream
            From ``device.stream()``; ``None``: the current one.

        Raises
        ------
        DeviceOutOfMemory, BackendUnavailable : as for `Device`.
        """
        ...


class Device(Protocol):
    """
    A device that holds arrays and runs kernels.

    ``with device:`` makes it the current one of this thread, so that ``device.xp`` makes its arrays there. What the
    array module raises inside comes out as an error of ours: out of memory as `DeviceOutOfMemory`, and all else that
    the driver refuses as `BackendUnavailable`. Methods may be called from any thread and need no ``with``.

    Attributes
    ----------
    number : int
        Which device, from 0.
    name : str
        ``"Tesla T4"``.
    processors : int
        Multiprocessors.
    fill : int
        Threads that keep it busy: ``processors * 1024``.
    capability : str
        Compute capability, ``"7.5"``.
    total_bytes : int
        Memory of the device.
    compiler : str
        What compiles its kernels: ``"NVRTC 11.8"``.
    xp : module
        The array module: cupy; for the stand-in one that behaves as numpy.
    """

    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def processors(self) -> int: ...
    @property
    def fill(self) -> int: ...
    @property
    def capability(self) -> str: ...
    @property
    def total_bytes(self) -> int: ...
    @property
    def compiler(self) -> str: ...
    @property
    def xp(self) -> Any: ...

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def free_bytes(self) -> int:
        """Return the bytes that can still be had: the driver's free memory and what the array module keeps unused."""
        ...

    def owns(self, value: object) -> bool:
        """Tell whether a value is an array of ``xp`` in this device's memory."""
        ...

    def adopt(self, value: Any) -> DeviceArray:
        """
        Return an ``xp`` array over the memory of another library's array, without a copy.

        ``value`` offers ``__dlpack__`` or ``__cuda_array_interface__``. The array may lie on another device of the
        same kind: ``owns`` tells. `tradeutils.device.as_device_array` is what to call.
        """
        ...

    def compile(self, source: str, options: tuple[str, ...] = ()) -> Module:
        """
        Return the compiled kernels of a CUDA C++14 source.

        Kept by source and options; of several threads that ask for one, one compiles. Multiplications and additions
        are not fused, so that results are those of the CPU.

        Raises
        ------
        BackendUnavailable : the compiler is missing, or refuses the source for this device.
        """
        ...

    def address(self, array: DeviceArray) -> int:
        """Return the address of an array's first element."""
        ...

    def upload(self, host: npt.NDArray[Any], out: DeviceArray | None = None, stream: Any = None) -> DeviceArray:
        """
        Copy an array of the host to the device.

        Parameters
        ----------
        host : array
            Of any strides. With a stream, what lies in pinned memory is read later: leave it alone until the stream
            has been synchronised. All else has been read on return, and may be written to, or freed.
        out : device array, optional
            Where to; of the same shape and dtype, rows of any stride. Default: a new array of the same order.

        Returns
        -------
        The array on the device.
        """
        ...

    def download(self, array: DeviceArray, out: npt.NDArray[Any] | None = None, stream: Any = None) -> npt.NDArray[Any]:
        """
        Copy an array of the device to the host.

        Parameters
        ----------
        array : device array
            Of any strides; rows that are contiguous travel as they are.
        out : array, optional
            Where to; of the same shape and dtype, rows of any stride. Default: a new array of the same order.
        stream
            With one, the values are there once it has been synchronised; without, on return.
        """
        ...

    def stream(self) -> Any:
        """
        Return a new stream: work on it runs beside that of other streams, and in order with the default stream.

        ``None`` for the stand-in, which does one thing at a time.
        """
        ...

    def synchronize(self, stream: Any = None) -> None:
        """Wait for a stream, or for all work of the device. Faults of kernels are raised here at the latest."""
        ...

    def pinned(self, shape: int | Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array of the host that is copied without a detour; its values are not set. Costly: keep it."""
        ...
