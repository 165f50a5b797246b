"""
A stand-in for a CUDA device: the same ``.cu`` built by a host's compiler, arrays of numpy that are kept apart.

What a GPU would refuse it refuses: arrays of host and device in one expression, arrays of two devices, arrays made
while another device is current, a launch with a table that is not on the device. What travels is counted.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory

__all__ = ["HostArray", "HostDevice", "compiler"]

HERE = Path(__file__).resolve().parent
FLAGS = ("-x", "c++", "-std=c++14", "-ffp-contract=off", "-fPIC", "-shared", "-w", "-DTU_HOST", f"-I{HERE}")
SHARED_MOST = 48 * 1024
"""Bytes of shared memory that every device gives a block."""

_current = threading.local()
_launching = threading.Lock()  # a library is one for all devices of the process, and holds the places of its threads
_launching = threading.Lock()  # what the shim knows of a launch it keeps in variables of the library


def _entered() -> list[HostDevice]:
    """Return the devices that this thread has made current, the innermost last."""
    if not hasattr(_current, "devices"):
        _current.devices = []
    entered: list[HostDevice] = _current.devices
    return entered


class HostArray(np.ndarray[Any, Any]):
    """An array in a stand-in's memory. It does not mix with arrays of the host, nor of another device."""

    device: HostDevice | None = None

    def __array_finalize__(self, origin: Any) -> None:
        self.device = getattr(origin, "device", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        device = _owner((*inputs, *(out or ()), options.get("where")))
        if out is not None:
            options["out"] = tuple(_bare(one) for one in out)
        made = getattr(ufunc, method)(*(_bare(one) for one in inputs), **{k: _bare(v) for k, v in options.items()})
        return out[0] if out is not None and len(out) == 1 else _owned(made, device)

    def __array_function__(self, function: Any, kinds: Any, given: Any, options: Any) -> Any:
        return _applied(function, given, options)

    def __setitem__(self, at: Any, value: Any) -> None:
        _owner((self, value))
        super().__setitem__(at, value)

    def get(self) -> np.ndarray[Any, Any]:
        """Return a copy on the host, as CuPy's arrays do."""
        assert self.device is not None
        return self.device.download(self)


def _bare(value: Any) -> Any:
    """Return what numpy is to compute with."""
    if isinstance(value, HostArray):
        return value.view(np.ndarray)
    if isinstance(value, tuple | list) and any(isinstance(one, HostArray) for one in value):
        return type(value)(_bare(one) for one in value)
    return value


def _flat(values: Any) -> Any:
    for value in values:
        if isinstance(value, tuple | list):
            yield from _flat(value)
        else:
            yield value


def _owner(values: Any) -> HostDevice | None:
    """Return the device of the arrays among values; ``TypeError`` where host and device, or two devices, are mixed."""
    arrays = [value for value in _flat(values) if isinstance(value, np.ndarray)]
    owners = {id(one.device): one.device for one in arrays if isinstance(one, HostArray)}
    if len(owners) > 1:
        raise TypeError("arrays of two devices in one expression")
    if owners and any(not isinstance(one, HostArray) and one.ndim for one in arrays):
        raise TypeError("an array of the host and one of the device in one expression; upload or download it first")
    return next(iter(owners.values()), None)


def _owned(made: Any, device: HostDevice | None) -> Any:
    """Return a result as an array of the device."""
    if isinstance(made, tuple):
        return tuple(_owned(one, device) for one in made)
    if not isinstance(made, np.ndarray | np.generic) or device is None:
        return made
    array = np.asarray(made).view(HostArray)
    array.device = device
    return array


def _applied(function: Any, given: Any, options: Any) -> Any:
    device = _owner((*given, *options.values()))
    out = options.get("out")
    made = function(*(_bare(one) for one in given), **{k: _bare(v) for k, v in options.items()})
    return out if isinstance(out, HostArray) else _owned(made, device)


class HostModule:
    """The array module of a stand-in: numpy, but what it makes lies on the current device."""

    ndarray = HostArray
    _MAKING = frozenset(("empty", "zeros", "ones", "full", "arange", "linspace", "eye"))
    _TAKING = frozenset(("asarray", "array", "ascontiguousarray", "asfortranarray"))
    _ALIKE = frozenset(("empty_like", "zeros_like", "ones_like", "full_like"))

    def __init__(self, home: HostDevice) -> None:
        self._home = home
        self.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=self._strided))

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if not callable(found) or isinstance(found, type):
            return found
        if name in self._MAKING or name in self._TAKING or name in self._ALIKE:
            return functools.partial(self._made, found, name in self._TAKING)
        return functools.partial(self._called, found)

    @staticmethod
    def _strided(array: Any, *given: Any, **options: Any) -> Any:
        return _owned(np.lib.stride_tricks.as_strided(_bare(array), *given, **options), array.device)

    def _called(self, function: Any, *given: Any, **options: Any) -> Any:
        if any(isinstance(one, np.ndarray) and not isinstance(one, HostArray) for one in _flat(given)):
            raise TypeError(f"{function.__name__} of the device was given an array of the host; upload it first")
        return _applied(function, given, options)

    def _made(self, function: Any, takes: bool, *given: Any, **options: Any) -> Any:
        device = self._here()
        if takes and isinstance(given[0], HostArray):
            made = function(_bare(given[0]), *given[1:], **options)
            if np.may_share_memory(made, _bare(given[0])):
                return _owned(made, given[0].device)
        else:
            made = function(*(_bare(one) for one in given), **options)
            if takes and isinstance(given[0], np.ndarray):
                made = made.copy() if made is given[0] or np.may_share_memory(made, given[0]) else made
                device._count(up=made.nbytes)
        return device._kept(made)

    def _here(self) -> HostDevice:
        entered = _entered()
        if not entered and self._home.number:
            raise AssertionError(
                f"an array was made on device 0 where device {self._home.number} was meant: with device:"
            )
        return entered[-1] if entered else self._home


class HostKernels:
    """The kernels of one source, built for the host."""

    def __init__(self, library: Path, device: HostDevice) -> None:
        self._library = ctypes.CDLL(str(library))
        self._device = device

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: int,
        table: Any,
        *,
        shared: int = 0,
        stream: Any = None,
    ) -> None:
        """Run a kernel to its end; stop the test where its threads wait for one another in vain."""
        if not self._device.owns(table) or table.dtype != np.int64 or not table.flags.c_contiguous:
            raise TypeError("the table of a launch is a contiguous int64 array on the device")
        if not 1 <= block <= 1024 or shared > SHARED_MOST or not all(0 <= size < 2**31 for size in grid):
            raise BackendUnavailable(f"CUDA refuses a grid of {grid} blocks of {block} threads and {shared} bytes")
        if any(size > 65535 for size in grid[1:]):
            raise BackendUnavailable(f"CUDA refuses a grid of {grid} blocks: only the first number may pass 65535")
        kernel = getattr(self._library, name)
        barriers = self._has_barriers(name)
        self._device.launches.append(name)
        with _launching:
            failed = self._library.tu_host_launch(
                ctypes.cast(kernel, ctypes.c_void_p),
                (ctypes.c_uint * 3)(*grid),
                ctypes.c_uint(block),
                ctypes.c_void_p(table.ctypes.data),
                ctypes.c_size_t(shared),
                ctypes.c_int(barriers),
            )
        if failed == 1:
            raise AssertionError(f"threads of {name} wait for one another at different barriers")
        if failed:
            raise AssertionError(f"{name} has a barrier or a shuffle; write TU_BARRIERS({name}) before it")

    def _has_barriers(self, name: str) -> bool:
        try:
            ctypes.c_int.in_dll(self._library, f"tu_barriers_{name}")
        except ValueError:
            return False
        return True


class HostDevice:
    """
    The stand-in; it has everything of :class:`tradeutils.device.Device`.

    Parameters
    ----------
    number : int
    memory : int
        Bytes of its memory; what is made through ``xp`` and ``upload`` counts while it lives.
    processors : int
    optimised : bool
        Whether kernels are compiled with -O2; a program of all indicators then takes half a minute, and else seconds.

    Attributes
    ----------
    bytes_up, bytes_down : int
        What was uploaded and downloaded.
    launches : list of str
        The kernels that were launched.
    compiled : int
        How many different sources were compiled.
    """

    def __init__(self, number: int = 0, memory: int = 1 << 33, processors: int = 2, *, optimised: bool = True) -> None:
        self.number = number
        self.name = f"host stand-in {number}"
        self.processors = processors
        self.fill = processors * 1024
        self.capability = "0.0"
        self.total_bytes = memory
        self.compiler = "the host's"
        self.xp = HostModule(self)
        self.bytes_up = self.bytes_down = self.compiled = 0
        self.launches: list[str] = []
        self._level = "-O2" if optimised else "-O0"
        self._used = 0
        self._modules: dict[Any, HostKernels] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> HostDevice:
        _entered().append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _entered().pop()

    def __repr__(self) -> str:
        return f"HostDevice({self.number})"

    def free_bytes(self) -> int:
        """Return what is left of its memory."""
        return self.total_bytes - self._used

    def owns(self, value: object) -> bool:
        """Tell its own arrays."""
        return isinstance(value, HostArray) and value.device is self

    def adopt(self, value: Any) -> Any:
        """Return an array over memory that ``__cuda_array_interface__`` describes, which here is the host's."""
        interface = value.__cuda_array_interface__
        holder = SimpleNamespace(__array_interface__={**interface, "version": 3}, owner=value)
        return _owned(np.asarray(holder), self)

    def compile(self, source: str, options: tuple[str, ...] = ()) -> HostKernels:
        """Build a source, once for each; kept on disk between test runs."""
        defined = (self._level, *(option for option in options if option.startswith("-D")))
        with self._lock:
            if (source, defined) not in self._modules:
                self._modules[source, defined] = HostKernels(_built(source, defined), self)
                self.compiled += 1
            return self._modules[source, defined]

    def address(self, array: Any) -> int:
        """Return where an array of this device begins."""
        if not self.owns(array):
            raise TypeError(f"the address of a {type(array).__name__} was asked for, which is not on {self.name}")
        return int(array.ctypes.data)

    def upload(self, host: np.ndarray[Any, Any], out: Any = None, stream: Any = None) -> Any:
        """Copy to the device."""
        if isinstance(host, HostArray) or not isinstance(host, np.ndarray):
            raise TypeError(f"upload was given a {type(host).__name__}; it takes an array of the host")
        self._count(up=host.nbytes)
        if out is None:
            return self._kept(host.copy(order="K"))
        self._check(out, host)
        np.copyto(_bare(out), host)
        return out

    def download(self, array: Any, out: np.ndarray[Any, Any] | None = None, stream: Any = None) -> np.ndarray[Any, Any]:
        """Copy to the host."""
        if out is not None and isinstance(out, HostArray):
            raise TypeError("download was given an array of the device to fill")
        self._check(array, array if out is None else out)
        self._count(down=array.nbytes)
        if out is None:
            return np.array(_bare(array), order="K")
        np.copyto(out, _bare(array))
        return out

    def stream(self) -> None:
        """Return ``None``: one thing is done at a time."""

    def synchronize(self, stream: Any = None) -> None:
        """Do nothing: a launch has ended when it returns."""

    def pinned(self, shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
        """Return an array of the host, of values that mean nothing."""
        made = np.empty(shape, dtype)
        made.view(np.uint8 if made.ndim else made.dtype)[...] = 0xA5
        return made

    def _count(self, up: int = 0, down: int = 0) -> None:
        with self._lock:
            self.bytes_up += up
            self.bytes_down += down

    def _check(self, array: Any, like: np.ndarray[Any, Any]) -> None:
        if not self.owns(array):
            raise TypeError(f"a {type(array).__name__} that is not on {self.name} was to be copied")
        if array.shape != like.shape or array.dtype != like.dtype:
            raise ValueError(f"{like.dtype} {like.shape} and {array.dtype} {array.shape} were to be copied")

    def _kept(self, made: Any) -> Any:
        """Count an array that was made as long as it lives."""
        made = np.asarray(made)
        if made.nbytes > self.free_bytes():
            raise DeviceOutOfMemory(
                f"{made.nbytes} bytes were needed and {self.free_bytes()} are free on {self.name}",
                needed=made.nbytes,
                free=self.free_bytes(),
            )
        with self._lock:
            self._used += made.nbytes
        array = _owned(made, self)
        weakref.finalize(array.base if array.base is not None else array, self._free, made.nbytes)
        return array

    def _free(self, size: int) -> None:
        with self._lock:
            self._used -= size


@functools.cache
def compiler() -> tuple[str, ...]:
    """Return the command of a C++ compiler; where there is none, the test is skipped."""
    for name in ("g++", "c++", "clang++"):
        found = shutil.which(name)
        if found:
            return (found,)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "c++")
    pytest.skip("no C++ compiler: neither g++, c++ nor clang++, and no ziglang package")


def _folder() -> Path:
    """Return where what is built is kept: beside the cache of pytest, else for this session alone."""
    own = HERE.parent / ".pytest_cache" / "host_device"
    try:
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=own):
            return own
    except OSError:
        return _temporary()


@functools.cache
def _temporary() -> Path:
    made = tempfile.TemporaryDirectory(prefix="tradeutils-host-device-")
    weakref.finalize(_temporary, made.cleanup)
    return Path(made.name)


def _built(source: str, defined: tuple[str, ...]) -> Path:
    """Return the library that a source becomes."""
    shim = (HERE / "host_shim.h").read_bytes()
    command = compiler()
    known = repr((command, FLAGS, defined)).encode() + shim + source.encode()
    target = _folder() / f"{hashlib.sha256(known).hexdigest()[:32]}.so"
    if not target.exists():
        own = target.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        text = own.with_suffix(".cu")
        text.write_text(source, encoding="utf-8")
        done = subprocess.run(
            [*command, *FLAGS, *defined, str(text), "-o", str(own)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        text.unlink()
        if done.returncode:
            raise BackendUnavailable(f"the compiler refused a source:\n{done.stderr[:4000]}")
        own.replace(target)
    return target
