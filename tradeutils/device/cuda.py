"""NVIDIA GPUs through CuPy: the one file that imports it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final

import cupy
import numpy as np
import numpy.typing as npt

from tradeutils.device.copies import Rows, copied, rows_of
from tradeutils.device.device import THREADS_PER_PROCESSOR, DeviceArray, Module
from tradeutils.device.remedies import device_problem, driver_fault, lost, no_compiler, toolkit_of
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory, TradeutilsError, UsageError

__all__ = ["CudaDevice", "CudaModule", "find"]

_log = logging.getLogger("tradeutils.device")

# The CPU's bits: no fused multiply-add. CuPy adds -ftz=true, which touches float32 results below 1.2e-38 alone.
_OPTIONS: Final = ("--std=c++14", "--fmad=false")
_MODULES_KEPT: Final = 256  # programs differ by structure, not by parameters: more are a sign of generated ones
_STATIC_SHARED: Final = 48 * 1024  # bytes of shared memory that a kernel has without asking
_STAGED: Final = 1 << 20  # bytes: so few are copied by way of pinned memory of our own, and not waited for
_OUT_OF_MEMORY: Final = 2
# Faults after which every call of this process fails. 999 is "unknown" and comes with a context that is gone.
_STICKY: Final = frozenset({4, 214, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999})
_FAULTS: Final = (
    cupy.cuda.runtime.CUDARuntimeError,
    cupy.cuda.driver.CUDADriverError,
    cupy.cuda.memory.OutOfMemoryError,
    cupy.cuda.compiler.CompileException,
)


def find(package: str) -> tuple[tuple[CudaDevice, ...], list[str]]:
    """
    Return the devices that can compute, and why the others cannot.

    Parameters
    ----------
    package : str
        The installed package of CuPy, for the remedies.
    """
    runtime = cupy.cuda.runtime
    _load_compiler(package)
    try:
        number = runtime.runtimeGetVersion()
        toolkit = (number // 1000, number % 1000 // 10)
        count = runtime.getDeviceCount()
        listed = [runtime.getDeviceProperties(n) for n in range(count)]
        compiler = "NVRTC {}.{}".format(*cupy.cuda.nvrtc.getVersion())
    except runtime.CUDARuntimeError as error:
        return (), [driver_fault(error.status, None)]
    except RuntimeError as error:  # CuPy loads NVRTC here, and says so in a plain one
        return (), [no_compiler(package, error)]
    there, problems = [], []
    for n, told in enumerate(listed):
        name, capability = told["name"].decode(errors="replace"), (told["major"], told["minor"])
        problem = device_problem(n, name, capability, toolkit, told.get("computeMode", 0))
        if problem:
            problems.append(problem)
        else:
            processors, total = told["multiProcessorCount"], told["totalGlobalMem"]
            there.append(CudaDevice(n, name, processors, capability, total, compiler))
    return tuple(there), problems


def _load_compiler(package: str) -> None:
    """
    Load NVRTC 11 from its wheel, where that is installed: CuPy's packages for CUDA 11 look into the system only.

    A library that is loaded already is found by its name. Packages for later CUDA find their wheels themselves.
    """
    if toolkit_of(package) != 11:
        return
    try:
        files = importlib.metadata.files("nvidia-cuda-nvrtc-cu11") or []
    except importlib.metadata.PackageNotFoundError:
        return
    libraries = [file for file in files if file.name.startswith("libnvrtc") and ".so" in file.name]
    for file in sorted(libraries, key=lambda file: "builtins" not in file.name):  # what the other one needs comes first
        with contextlib.suppress(OSError):  # another system's: CuPy then says what is missing
            ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)


class CudaDevice:
    """
    One GPU; see `tradeutils.device.Device` for what each method promises.

    Parameters
    ----------
    number : int
        CUDA's, as ``CUDA_VISIBLE_DEVICES`` leaves it.
    name : str
        The driver's name of it.
    processors : int
        Multiprocessors.
    capability : tuple of int
        Compute capability.
    total_bytes : int
        Its memory.
    compiler : str
        What compiles for it.
    """

    def __init__(
        self,
        number: int,
        name: str,
        processors: int,
        capability: tuple[int, int],
        total_bytes: int,
        compiler: str,
    ) -> None:
        self.number = number
        self.name = name
        self.processors = processors
        self.fill = processors * THREADS_PER_PROCESSOR
        self.capability = f"{capability[0]}.{capability[1]}"
        self.total_bytes = total_bytes
        self.compiler = compiler
        self.xp: Any = cupy
        self._entered = threading.local()
        self._compiling = threading.Lock()
        self._modules: OrderedDict[tuple[str, tuple[str, ...]], CudaModule] = OrderedDict()
        self._sent: deque[tuple[Any, Any]] = deque()  # copies on their way: an event, and the pinned memory they read
        self._sending = threading.Lock()
        self._lost = ""

    def __repr__(self) -> str:
        return f"<CudaDevice {self.number}: {self.name}>"

    def __enter__(self) -> CudaDevice:
        if self._lost:
            raise BackendUnavailable(self._lost)
        # Not cupy.cuda.Device: one of its objects keeps one stack for all threads.
        before = cupy.cuda.runtime.getDevice()
        if before != self.number:
            try:
                cupy.cuda.runtime.setDevice(self.number)
            except cupy.cuda.runtime.CUDARuntimeError as error:
                raise self._told(error) from error
        self._stack.append(before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        before = self._stack.pop()
        if before != self.number:
            with contextlib.suppress(cupy.cuda.runtime.CUDARuntimeError):  # lost: what was raised inside says so
                cupy.cuda.runtime.setDevice(before)
        if isinstance(error, _FAULTS):
            raise self._told(error) from error

    @property
    def _stack(self) -> list[int]:
        """The devices that were current in this thread before each ``with`` that it is in."""
        if not hasattr(self._entered, "stack"):
            self._entered.stack = []
        stack: list[int] = self._entered.stack
        return stack

    def _told(self, error: BaseException) -> TradeutilsError:
        """Return an error of CuPy or the driver as ours."""
        status = getattr(error, "status", 0)
        said = " ".join(str(error).split())
        if isinstance(error, cupy.cuda.memory.OutOfMemoryError) or status == _OUT_OF_MEMORY:
            return self._out_of_memory(said)
        if status in _STICKY:
            if not self._lost:
                self._lost = lost(self.number, self.name, said)
                _log.error("%s", self._lost)
            return BackendUnavailable(self._lost)
        if isinstance(error, cupy.cuda.compiler.CompileException):
            return BackendUnavailable(f"NVRTC refused the kernels for {self.name}: {said[:400]}")
        return BackendUnavailable(f"GPU {self.number}, {self.name}, refused the call: {said}")

    def _out_of_memory(self, said: str) -> DeviceOutOfMemory:
        free = None
        with contextlib.suppress(*_FAULTS):
            free = cupy.cuda.runtime.memGetInfo()[0]
        there = "" if free is None else f"; {free:,} bytes of {self.total_bytes:,} are free"
        return DeviceOutOfMemory(f"GPU {self.number}, {self.name}: {said}{there}", free=free)

    def free_bytes(self) -> int:
        with self:
            free: int = cupy.cuda.runtime.memGetInfo()[0]
            kept: int = cupy.get_default_memory_pool().free_bytes()
            return free + kept

    def owns(self, value: object) -> bool:
        return isinstance(value, cupy.ndarray) and value.device.id == self.number

    def adopt(self, value: Any) -> DeviceArray:
        if isinstance(value, cupy.ndarray):
            return value
        with self:
            if hasattr(value, "__dlpack__"):
                return cupy.from_dlpack(value)
            return cupy.asarray(value)  # of what offers CUDA's interface this is a view

    def compile(self, source: str, options: tuple[str, ...] = ()) -> Module:
        key = (source, options)
        module = self._modules.get(key)
        if module is not None:
            return module
        with self._compiling:
            module = self._modules.get(key)
            if module is None:
                module = CudaModule(self, source, options)
                self._modules[key] = module
                while len(self._modules) > _MODULES_KEPT:
                    self._modules.popitem(last=False)
        return module

    def address(self, array: DeviceArray) -> int:
        return int(array.data.ptr)

    def upload(self, host: npt.NDArray[Any], out: DeviceArray | None = None, stream: Any = None) -> DeviceArray:
        host = np.asarray(host)
        if not host.dtype.isnative or host.dtype.kind not in "biuf":
            raise UsageError(f"the array had dtype {host.dtype}; a GPU takes native numbers, as float64")
        with self, _on(stream):
            if out is None:
                order = "F" if host.flags.f_contiguous and not host.flags.c_contiguous else "C"
                out = cupy.empty(host.shape, host.dtype, order=order)
            _check_alike(host, out)
            if host.size:
                self._send(host, out, at_once=stream is None or not _is_pinned(host))
        return out

    def _send(self, host: npt.NDArray[Any], out: DeviceArray, *, at_once: bool) -> None:
        """
        Queue a copy to the device; ``at_once``: the host's array may be written to, or freed, when this returns.

        An asynchronous copy out of pageable memory may read it after the call has returned: CUDA 11 documents a thread
        that does, and CUDA 12 promises nothing. So small arrays are copied from pinned memory of our own, which is kept
        until an event behind the copy has passed, and large ones are waited for.
        """
        rows = rows_of(host.shape, host.strides, out.strides, host.itemsize)
        own = staged = None
        if at_once and host.nbytes <= _STAGED:
            own = cupy.cuda.alloc_pinned_memory(host.nbytes)
            host = copied(host, own, "K" if rows else "C")
            rows = rows_of(host.shape, host.strides, out.strides, host.itemsize)
        elif rows is None:
            at_once, host = True, np.array(host, order="C")
            rows = rows_of(host.shape, host.strides, out.strides, host.itemsize)
        if rows is None:
            staged = cupy.empty(host.shape, host.dtype)
            rows = Rows(host.nbytes, 1, host.nbytes, host.nbytes)
        target = out if staged is None else staged
        _transfer(self.address(target), rows.second_pitch, host.ctypes.data, rows.first_pitch, rows, to_device=True)
        if own is not None:
            self._keep(own)
        elif at_once:
            cupy.cuda.get_current_stream().synchronize()
        if staged is not None:
            out[...] = staged

    def _keep(self, memory: Any) -> None:
        """Hold pinned memory until what the current stream was asked to do is done; let go what is done elsewhere."""
        event = cupy.cuda.Event(disable_timing=True)
        event.record(cupy.cuda.get_current_stream())
        with self._sending:
            self._sent.append((event, memory))
            while self._sent and self._sent[0][0].done:
                self._sent.popleft()

    def download(self, array: DeviceArray, out: npt.NDArray[Any] | None = None, stream: Any = None) -> npt.NDArray[Any]:
        with self, _on(stream):
            if out is None:
                order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
                out = np.empty(array.shape, array.dtype, order=order)  # type: ignore[call-overload]
            _check_alike(out, array)
            if not out.flags.writeable:
                raise UsageError("out is read-only; give an array that can be written to")
            if out.size:
                self._fetch(array, out)
                if stream is None:
                    cupy.cuda.get_current_stream().synchronize()
        return out

    def _fetch(self, array: DeviceArray, out: npt.NDArray[Any]) -> None:
        """Queue a copy to the host; one that no transfer can make is over when this returns."""
        rows = rows_of(out.shape, out.strides, array.strides, out.itemsize)
        if rows is None:
            array = cupy.ascontiguousarray(array)
            rows = rows_of(out.shape, out.strides, array.strides, out.itemsize)
        if rows is not None:
            address = self.address(array)
            _transfer(out.ctypes.data, rows.first_pitch, address, rows.second_pitch, rows, to_device=False)
            return
        staged = np.empty(out.shape, out.dtype)
        rows = Rows(out.nbytes, 1, out.nbytes, out.nbytes)
        _transfer(staged.ctypes.data, rows.width, self.address(array), rows.width, rows, to_device=False)
        cupy.cuda.get_current_stream().synchronize()
        out[...] = staged

    def stream(self) -> Any:
        with self:
            # A blocking one: what xp does on the default stream stays in order with it, and two of them overlap.
            return cupy.cuda.Stream()

    def synchronize(self, stream: Any = None) -> None:
        with self:
            if stream is None:
                cupy.cuda.runtime.deviceSynchronize()
            else:
                stream.synchronize()

    def pinned(self, shape: int | Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        wanted = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64))
        if not size:
            return np.empty(shape, wanted)
        with self:
            memory = cupy.cuda.alloc_pinned_memory(size * wanted.itemsize)
        return np.frombuffer(memory, wanted, size).reshape(shape)


class CudaModule:
    """
    Kernels that NVRTC compiled for one device; CuPy keeps what it made in ``~/.cupy/kernel_cache``.

    Parameters
    ----------
    device : CudaDevice
        Where they run.
    source : str
        CUDA C++14.
    options : tuple of str
        For NVRTC, after ours.
    """

    def __init__(self, device: CudaDevice, source: str, options: tuple[str, ...]) -> None:
        self._device = device
        self._kernels: dict[str, Any] = {}
        with device:
            self._module = cupy.RawModule(code=source, options=(*_OPTIONS, *options), backend="nvrtc")
            self._module.compile()

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
        if 0 in grid:
            return
        with self._device as device, _on(stream):
            if not device.owns(table) or table.dtype != np.int64 or not table.flags.c_contiguous:
                raise UsageError(f"the table of {name} must be int64, contiguous and on GPU {device.number}")
            kernel = self._kernels.get(name)
            if kernel is None:
                kernel = self._kernels[name] = self._module.get_function(name)
            if shared > _STATIC_SHARED and kernel.max_dynamic_shared_size_bytes < shared:
                kernel.max_dynamic_shared_size_bytes = shared
            kernel(grid, (block,), (table,), shared_mem=shared)


@contextlib.contextmanager
def _on(stream: Any) -> Iterator[None]:
    """Make a stream the current one of this thread; ``None`` leaves it as it is."""
    if stream is None:
        yield
    else:
        with stream:
            yield


def _is_pinned(host: npt.NDArray[Any]) -> bool:
    """Tell whether an array lies in memory that CUDA copies from by itself."""
    runtime = cupy.cuda.runtime
    try:
        return bool(runtime.pointerGetAttributes(host.ctypes.data).type == runtime.memoryTypeHost)
    except runtime.CUDARuntimeError:
        return False  # memory that CUDA has not heard of


def _check_alike(host: npt.NDArray[Any], array: DeviceArray) -> None:
    if tuple(host.shape) != tuple(array.shape) or host.dtype != array.dtype:
        raise UsageError(
            f"the host's array has {host.dtype} {host.shape} and the GPU's {array.dtype} {array.shape}; "
            "both must be of one type and shape"
        )


def _transfer(to: int, to_pitch: int, of: int, of_pitch: int, rows: Rows, *, to_device: bool) -> None:
    """Queue a copy on the current stream."""
    runtime = cupy.cuda.runtime
    kind = runtime.memcpyHostToDevice if to_device else runtime.memcpyDeviceToHost
    stream = cupy.cuda.get_current_stream().ptr
    if rows.contiguous:
        runtime.memcpyAsync(to, of, rows.width * rows.height, kind, stream)
    else:
        runtime.memcpy2DAsync(to, to_pitch, of, of_pitch, rows.width, rows.height, kind, stream)
