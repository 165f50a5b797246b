"""
CuPy's interface, as far as ``tradeutils.device.cuda`` uses it, over the host's memory.

It moves bytes by address as CUDA does, keeps count of what is copied and which device is current, and fails on demand.
That the real CuPy has all these names is checked where it is installed.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

import tradeutils.device

TOLD = {"major": 7, "minor": 5, "multiProcessorCount": 40, "totalGlobalMem": 1 << 30, "computeMode": 0}


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"cudaError{status}: as told")


class CUDADriverError(CUDARuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):
    pass


class ndarray(np.ndarray[Any, Any]):  # noqa: N801  # CuPy's name
    """An array that knows its device, and is not the host's."""

    number = 0

    def __array_finalize__(self, made_from: Any) -> None:
        self.number = getattr(made_from, "number", 0)

    @property
    def data(self) -> Any:  # type: ignore[override]
        return types.SimpleNamespace(ptr=self.ctypes.data)

    @property
    def device(self) -> Any:  # type: ignore[override]
        return types.SimpleNamespace(id=self.number)


class Stream:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.ptr = id(self)

    def __enter__(self) -> Stream:
        self.cuda.streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.cuda.streams.pop()

    def synchronize(self) -> None:
        self.cuda.log.append(("synchronize", self.ptr))
        self.cuda.work()
        self.cuda.fail()


class Event:
    """Has passed when all copies have been made that waited when it was recorded."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.behind: list[Any] = []

    def record(self, stream: Stream) -> None:
        assert stream is self.cuda.get_current_stream()
        self.behind = list(self.cuda.waiting)

    @property
    def done(self) -> bool:
        return not any(copy in self.cuda.waiting for copy in self.behind)


class Pinned(bytearray):
    """Memory that is known to be pinned as long as it lives."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@dataclass
class FakeCuda:
    """What the driver would have: devices, streams, faults to come, and a log of transfers and launches."""

    devices: list[dict[str, Any]] = field(default_factory=lambda: [TOLD | {"name": b"Fake T4"}] * 2)
    fault: BaseException | None = None
    nvrtc: BaseException | None = None
    log: list[tuple[Any, ...]] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    late: bool = False
    """Whether copies wait until something is waited for, as they may."""
    waiting: list[tuple[Any, ...]] = field(default_factory=list)
    pinned: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    current: threading.local = field(default_factory=threading.local)

    def fail(self) -> None:
        """Raise the fault that was ordered, once."""
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault

    def get_device(self) -> int:
        return getattr(self.current, "number", 0)

    def set_device(self, number: int) -> None:
        self.fail()
        self.current.number = number

    def count(self) -> int:
        self.fail()
        return len(self.devices)

    def version(self) -> tuple[int, int]:
        if self.nvrtc is not None:
            raise self.nvrtc
        return 11, 8

    def get_current_stream(self) -> Stream:
        if not self.streams:
            self.streams.append(Stream(self))  # the default one
        return self.streams[-1]

    def copy(self, to: int, of: int, size: int, kind: str, stream: int) -> None:
        self.fail()
        self.log.append((kind, size, stream))
        self.move(to, of, size)

    def copy_rows(self, to: int, tp: int, of: int, op: int, width: int, height: int, kind: str, stream: int) -> None:
        assert min(tp, op) >= width
        self.log.append((kind, width * height, stream))
        for row in range(height):
            self.move(to + row * tp, of + row * op, width)

    def move(self, *copy: int) -> None:
        """Move bytes, now or when something is waited for."""
        self.waiting.append(copy)
        if not self.late:
            self.work()

    def work(self) -> None:
        """Make the copies that wait."""
        while self.waiting:
            ctypes.memmove(*self.waiting.pop(0))

    def alloc_pinned_memory(self, size: int) -> Pinned:
        made = Pinned(size + 512)
        self.pinned.add(made)
        return made

    def attributes(self, address: int) -> Any:
        """Return what CUDA knows of an address: 1, of pinned memory, or 0."""
        places = [(np.frombuffer(one, np.uint8).ctypes.data, len(one)) for one in self.pinned]
        return types.SimpleNamespace(type=int(any(first <= address < first + size for first, size in places)))

    def empty(self, shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
        self.fail()
        made = np.empty(shape, dtype, order=order).view(ndarray)  # type: ignore[call-overload]
        made.number = self.get_device()
        return made


class RawModule:
    """Kernels that note how they were started."""

    cuda: FakeCuda
    compiled: list[tuple[str, tuple[str, ...]]]

    def __init__(self, *, code: str, options: tuple[str, ...], backend: str) -> None:
        assert backend == "nvrtc"
        self.code, self.options = code, options

    def compile(self) -> None:
        self.cuda.fail()
        self.compiled.append((self.code, self.options))

    def get_function(self, name: str) -> Any:
        kernel = mock.Mock(max_dynamic_shared_size_bytes=49152)
        kernel.side_effect = lambda grid, block, arguments, shared_mem: (
            self.cuda.fail(),
            self.cuda.log.append((name, grid, block, shared_mem, self.cuda.get_current_stream().ptr)),
        )
        return kernel


def module_of(cuda: FakeCuda) -> types.ModuleType:
    """Return a module that can stand for ``cupy``."""
    made: Any = types.ModuleType("cupy")
    runtime = types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDevice=cuda.get_device,
        setDevice=cuda.set_device,
        getDeviceCount=cuda.count,
        getDeviceProperties=lambda n: cuda.devices[n],
        runtimeGetVersion=lambda: 11080,
        memGetInfo=lambda: (1 << 20, 1 << 30),
        memcpyAsync=cuda.copy,
        memcpy2DAsync=cuda.copy_rows,
        memcpyHostToDevice="up",
        memcpyDeviceToHost="down",
        deviceSynchronize=lambda: (cuda.log.append(("synchronize", cuda.get_device())), cuda.work()),
        pointerGetAttributes=cuda.attributes,
        memoryTypeHost=1,
    )
    made.cuda = types.SimpleNamespace(
        runtime=runtime,
        driver=types.SimpleNamespace(CUDADriverError=CUDADriverError),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        compiler=types.SimpleNamespace(CompileException=CompileException),
        nvrtc=types.SimpleNamespace(getVersion=cuda.version),
        Stream=lambda: Stream(cuda),
        get_current_stream=cuda.get_current_stream,
        Event=lambda disable_timing: Event(cuda),
        alloc_pinned_memory=cuda.alloc_pinned_memory,
    )
    made.ndarray, made.empty = ndarray, cuda.empty
    made.ascontiguousarray = lambda array: np.ascontiguousarray(array).view(ndarray)
    made.from_dlpack = lambda value: value.array.view(ndarray)
    made.asarray = lambda value: value.array
    made.get_default_memory_pool = lambda: types.SimpleNamespace(free_bytes=lambda: 1000)
    made.RawModule = type("RawModule", (RawModule,), {"cuda": cuda, "compiled": []})
    return made  # type: ignore[no-any-return]


@contextlib.contextmanager
def cuda_over_numpy(cuda: FakeCuda) -> Iterator[Any]:
    """Load ``tradeutils.device.cuda`` anew over a fake CuPy; the real one, where it is there, is left as it is."""
    place = f"{tradeutils.device.__path__[0]}/cuda.py"
    spec = importlib.util.spec_from_file_location("tradeutils.device.cuda", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, {"cupy": module_of(cuda), spec.name: module}):
        spec.loader.exec_module(module)
        yield module
