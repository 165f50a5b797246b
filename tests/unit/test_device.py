"""Devices: what is told where there is none, how bytes are laid out, and that faults of CUDA come out as ours."""

from __future__ import annotations

import ast
import contextlib
import gc
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy_as_cupy import (
    TOLD,
    CompileException,
    CUDADriverError,
    CUDARuntimeError,
    FakeCuda,
    OutOfMemoryError,
    cuda_over_numpy,
)

import tradeutils.device
from tradeutils.device import (
    as_device_array,
    default_device,
    device_of,
    devices,
    found,
    is_device_array,
    remedies,
    using,
    why_none,
)
from tradeutils.device.copies import rows_of
from tradeutils.device.driver import Driver, read_driver
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory, UsageError

# What is told


@pytest.mark.parametrize(
    ("cuda", "extra"),
    [
        ((10, 2), "gpu-cuda11x"),
        ((11, 2), "gpu-cuda11x"),
        ((11, 8), "gpu-cuda11x"),
        ((12, 0), "gpu-cuda12x"),
        ((13, 1), "gpu-cuda13x"),
        ((14, 0), "gpu-cuda13x"),
        (None, "gpu-cuda12x"),
    ],
)
def test_extra_is_the_newest_that_the_driver_can_run(cuda: tuple[int, int] | None, extra: str) -> None:
    """Drivers run what is older than they are."""
    assert remedies.extra_for(cuda) == extra


@pytest.mark.parametrize(
    ("package", "toolkit"),
    [("cupy-cuda11x", 11), ("cupy-cuda118", 11), ("cupy-cuda13x", 13), ("cupy", None), ("cupy-rocm-5-0", None)],
)
def test_package_of_cupy_tells_its_toolkit(package: str, toolkit: int | None) -> None:
    """By its name; a build from source does not tell."""
    assert remedies.toolkit_of(package) == toolkit


@pytest.mark.parametrize(
    ("installed", "cuda", "parts"),
    [
        ({}, (11, 8), ["CuPy is not installed", 'pip install "tradeutils[gpu-cuda11x]"']),
        ({}, None, ["CuPy is not installed", "gpu-cuda12x"]),
        ({"cupy-cuda11x": "13.6.0"}, (10, 2), ["CUDA 10.2", "11.2 at least", "driver 460.27 or newer"]),
        (
            {"cupy-cuda12x": "13.6.0", "cupy-cuda11x": "13.6.0"},
            (12, 4),
            ["cupy-cuda11x and cupy-cuda12x", "pip uninstall -y cupy-cuda11x cupy-cuda12x", "gpu-cuda12x"],
        ),
        (
            {"cupy-cuda12x": "13.6.0"},
            (11, 2),
            ["supports CUDA 11.2 and cupy-cuda12x needs 12.0", "gpu-cuda11x", "driver 525.60 or newer"],
        ),
        ({"cupy-cuda13x": "14.0.0"}, (12, 9), ["needs 13.0", "gpu-cuda12x", "580.65"]),
        ({"cupy-rocm-5-0": "13.0.0"}, (12, 4), ["AMD", "pip uninstall -y cupy-rocm-5-0"]),
    ],
)
def test_cupy_that_cannot_be_used_is_told_with_its_remedy(
    installed: dict[str, str], cuda: tuple[int, int] | None, parts: list[str]
) -> None:
    """In one line each."""
    told = remedies.cupy_problem(installed, cuda)
    assert "\n" not in told
    for part in parts:
        assert part in told


@pytest.mark.parametrize(
    ("installed", "cuda"),
    [
        ({"cupy-cuda11x": "13.6.0"}, (11, 2)),
        ({"cupy-cuda11x": "13.6.0"}, (13, 0)),
        ({"cupy-cuda12x": "13.6.0"}, (12, 0)),
        ({"cupy": "13.6.0"}, (11, 2)),
        ({"cupy-cuda12x": "13.6.0"}, None),
    ],
)
def test_cupy_that_fits_the_driver_is_no_problem(installed: dict[str, str], cuda: tuple[int, int] | None) -> None:
    """Newer drivers run older toolkits, and within a major version older ones newer toolkits."""
    assert remedies.cupy_problem(installed, cuda) == ""


@pytest.mark.parametrize(
    ("line", "numpy", "fits"),
    [
        ("numpy<2.6,>=1.22", "2.4.6", True),
        ("numpy<2.6,>=1.22", "2.6.0", False),
        ("numpy<2.6,>=1.22", "2.6.0rc1", False),
        ("numpy (<2.6,>=1.22)", "1.21.6", False),
        ("numpy>=2.0,<=2.6", "2.6", True),
        ("numpy>1.22,!=2.1.*", "2.1.0", True),
        ('numpy<1; extra == "all"', "2.4.6", True),
        ("numpydoc<1", "2.4.6", True),
        ("fastrlock>=0.5", "2.4.6", True),
        ("numpy<2.6", "unknown", True),
    ],
)
def test_numpy_out_of_cupy_s_range_is_told(line: str, numpy: str, fits: bool) -> None:
    """As the package's own requirements have it."""
    told = remedies.numpy_problem("cupy-cuda11x", ["fastrlock>=0.5", line], numpy)
    assert (told == "") == fits
    assert fits or ("pip install" in told and numpy in told)


@pytest.mark.parametrize(
    ("status", "visible", "part"),
    [
        (100, None, "--gpus all"),
        (100, "", "CUDA_VISIBLE_DEVICES was ''"),
        (100, "7" * 900, "unset it"),
        (101, "9", "CUDA_VISIBLE_DEVICES"),
        (3, None, "forked"),
        (34, None, "stub"),
        (35, None, "tradeutils doctor"),
        (803, None, "reboot"),
        (999, None, "CUDA error 999"),
    ],
)
def test_driver_s_status_is_told_with_its_remedy(status: int, visible: str | None, part: str) -> None:
    """Known ones say what to do; an unknown one says its number."""
    told = remedies.driver_fault(status, visible)
    assert part in told
    assert "\n" not in told
    assert len(told) < 250


@pytest.mark.parametrize(
    ("capability", "toolkit", "mode", "part"),
    [
        ((3, 7), (11, 8), 0, "compute capability 3.7"),
        ((3, 7), (13, 0), 0, 'backend="cpu"'),
        ((7, 0), (13, 0), 0, "gpu-cuda12x"),
        ((7, 5), (11, 8), 2, "--compute-mode=DEFAULT"),
        ((7, 5), (13, 0), 0, ""),
        ((12, 0), (11, 8), 0, ""),
        ((5, 0), (12, 9), 0, ""),
    ],
)
def test_device_that_is_too_old_or_closed_is_told(
    capability: tuple[int, int], toolkit: tuple[int, int], mode: int, part: str
) -> None:
    """Before the compiler refuses it."""
    told = remedies.device_problem(0, "Tesla K80", capability, toolkit, mode)
    assert part in told if part else told == ""


def test_import_that_fails_is_told_in_one_line() -> None:
    """CuPy's own message fills a page."""
    error = ImportError("=====\nFailed to import CuPy.\n" * 40)
    error.__cause__ = ImportError("libcublas.so.11: cannot open shared object file")
    told = remedies.import_problem("cupy-cuda11x", error, (11, 8))
    assert "libcublas.so.11" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("package", "part"),
    [("cupy-cuda11x", "nvidia-cuda-nvrtc-cu11"), ("cupy-cuda12x", "cupy-cuda12x[ctk]"), ("cupy", "CUDA_PATH")],
)
def test_missing_compiler_is_told(package: str, part: str) -> None:
    """The kernels are compiled on the machine that runs them."""
    told = remedies.no_compiler(package, RuntimeError("CuPy failed to load libnvrtc.so"))
    assert part in told
    assert "libnvrtc.so" in told


# The driver

DRIVER = """
#include <stdlib.h>
static int told(const char* name) { const char* value = getenv(name); return value ? atoi(value) : 0; }
int cuDriverGetVersion(int* version) { *version = told("FAKE_CUDA"); return 0; }
int cuInit(unsigned flags) { return told("FAKE_INIT"); }
int cuDeviceGetCount(int* count) { *count = told("FAKE_COUNT"); return 0; }
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build a library that answers as a driver does."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to build a driver with")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(DRIVER)
    made = folder / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, folder / "driver.c"], check=True, timeout=60)
    return str(made)


@pytest.mark.parametrize(
    ("told", "expected", "part"),
    [
        ({"FAKE_CUDA": "11080", "FAKE_COUNT": "2"}, ((11, 8), 2), ""),
        ({"FAKE_CUDA": "12040", "FAKE_COUNT": "0"}, ((12, 4), 0), "finds no GPU"),
        ({"FAKE_CUDA": "12040", "FAKE_COUNT": "0", "CUDA_VISIBLE_DEVICES": "-1"}, ((12, 4), 0), "was '-1'"),
        ({"FAKE_CUDA": "11020", "FAKE_INIT": "803"}, ((11, 2), 0), "reboot"),
        ({"FAKE_CUDA": "13000", "FAKE_INIT": "100"}, ((13, 0), 0), "finds no GPU"),
    ],
)
def test_driver_is_asked_without_cupy(
    driver: str, told: dict[str, str], expected: tuple[Any, int], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which CUDA it runs, whether it starts, and how many devices it shows."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    answer = read_driver(driver)
    assert (answer.cuda, answer.devices) == expected
    assert part in answer.problem if part else answer.problem == ""


def test_missing_driver_is_told(tmp_path: pathlib.Path) -> None:
    """As is a file of that name that is no driver."""
    broken = tmp_path / "libcuda.so.1"
    broken.write_bytes(b"\x7fELF")
    for library in ("libnot-there.so.1", str(broken)):
        answer = read_driver(library)
        assert answer.cuda is None
        assert library in answer.problem
    assert "--gpus all" in remedies.no_driver("libcuda.so.1", kernel_part=True)


# The search


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the search begin anew, on a machine whose driver runs CUDA 11.8 and whose one CuPy is for 11."""
    monkeypatch.setattr(found, "_kept", [])
    monkeypatch.setattr(found, "_placed", {})
    monkeypatch.setattr(found, "read_driver", lambda: Driver((11, 8), 1))
    monkeypatch.setattr(found, "installed_cupy", lambda: {"tradeutils": "0"})  # with real metadata


@pytest.fixture
def cuda() -> FakeCuda:
    """Return what a driver with two devices would have."""
    return FakeCuda()


@pytest.fixture
def over_numpy(cuda: FakeCuda) -> Iterator[Any]:
    """Return ``tradeutils.device.cuda`` over the host's memory."""
    with cuda_over_numpy(cuda) as module:
        yield module


@pytest.mark.usefixtures("fresh")
def test_devices_are_searched_once_and_kept(over_numpy: Any, cuda: FakeCuda) -> None:
    """Until another process asks, to which CUDA is lost."""
    there = devices()
    assert [one.number for one in there] == [0, 1]
    assert why_none() == ""
    assert default_device() is there[0]
    cuda.devices = []
    assert devices() is there
    kept = found._kept[0]
    found._kept[0] = found._Found(kept.devices, "", os.getpid() + 1)
    assert devices() == ()
    assert "forked" in why_none()


@pytest.mark.usefixtures("fresh")
def test_without_a_device_the_reason_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with the remedy, and the same at every call."""
    monkeypatch.setattr(found, "installed_cupy", dict)
    assert devices() == ()
    assert why_none() == 'CuPy is not installed: pip install "tradeutils[gpu-cuda11x]"'
    with pytest.raises(BackendUnavailable, match="CuPy is not installed"):
        default_device()


@pytest.mark.usefixtures("fresh")
def test_cupy_that_fails_to_import_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A broken installation is no crash of a program that would run on the processor."""
    (tmp_path / "cupy.py").write_text("raise AttributeError('module numpy has no attribute bool8')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "cupy" or name == "tradeutils.device.cuda"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(tradeutils.device, "cuda", raising=False)
    assert devices() == ()
    assert "bool8" in why_none()


@pytest.mark.usefixtures("fresh")
def test_driver_without_a_device_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is looked at."""
    monkeypatch.setattr(found, "read_driver", lambda: Driver((12, 4), 0, "the driver finds no GPU"))
    assert why_none() == "the driver finds no GPU"


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("fault", "nvrtc", "part"),
    [
        (CUDARuntimeError(35), None, "older than CuPy's toolkit"),
        (CUDARuntimeError(803), None, "reboot"),
        (None, RuntimeError("CuPy failed to load libnvrtc.so.11.2"), "finds no NVRTC"),
    ],
)
def test_what_cuda_refuses_at_the_start_is_a_reason(
    over_numpy: Any, cuda: FakeCuda, fault: BaseException | None, nvrtc: BaseException | None, part: str
) -> None:
    """CuPy itself raises in ``is_available``."""
    cuda.fault, cuda.nvrtc = fault, nvrtc
    assert devices() == ()
    assert part in why_none()


@pytest.mark.usefixtures("fresh")
def test_devices_that_can_compute_are_used_beside_those_that_cannot(
    over_numpy: Any, cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are named in the log."""
    cuda.devices = [TOLD | {"name": b"Tesla K40", "major": 3}, TOLD | {"name": b"Tesla T4"}]
    (there,) = devices()
    assert (there.number, there.name, there.capability, there.fill) == (1, "Tesla T4", "7.5", 40 * 1024)
    assert (there.compiler, there.total_bytes) == ("NVRTC 11.8", 1 << 30)
    assert "Tesla K40" in caplog.text


def test_looking_for_devices_imports_nothing_without_a_driver() -> None:
    """``backend="auto"`` costs nothing where there is no GPU."""
    code = (
        "from tradeutils.device import found, driver, why_none; found.read_driver = lambda: "
        "driver.Driver(problem='none'); assert why_none() == 'none'; import sys; print('cupy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# Stand-ins and arrays


class Shared:
    """An array of another library: tells its device, and is shared or refuses."""

    def __init__(self, array: Any, kind: int = 2, number: int = 0, error: BaseException | None = None) -> None:
        self.array, self.told, self.error = array, (kind, number), error

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.told

    def __dlpack__(self, **_: object) -> Any:
        raise NotImplementedError


class Interface:
    """An array that has CUDA's interface alone."""

    def __init__(self, array: Any, *, read_only: bool = False) -> None:
        self.array = array
        self.__cuda_array_interface__ = {"data": (array.ctypes.data, read_only)}


class Refusing:
    """An array that takes part in a gradient, as torch has them."""

    @property
    def __cuda_array_interface__(self) -> Any:
        raise RuntimeError("call detach() first")


@pytest.fixture
def pair(over_numpy: Any) -> Iterator[tuple[Any, Any]]:
    """Put two devices over the host's memory in place."""
    there, problems = over_numpy.find("cupy-cuda12x")
    assert problems == []
    with using(there):
        yield there


def test_stand_ins_take_the_place_of_what_was_found(pair: tuple[Any, Any]) -> None:
    """In this order, for all threads, and only until the block ends."""
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(devices()))
    thread.start()
    thread.join()
    assert seen == [pair]
    with using([]):
        assert devices() == ()
        assert why_none()
        with using(pair[1:]):
            with using([]):
                assert devices() == ()
            assert default_device() is pair[1]
    assert default_device() is pair[0]


@pytest.mark.parametrize("value", [np.zeros(3), [1.0], 1.0, "cuda", None, np.float64(1), object, Shared])
def test_values_of_the_host_are_no_device_arrays(value: object) -> None:
    """And looking costs no search for devices."""
    assert not is_device_array(value)


def test_arrays_on_a_device_are_known_by_what_they_tell(pair: tuple[Any, Any]) -> None:
    """CuPy's own, DLPack's on CUDA, and CUDA's interface; what refuses to tell is none."""
    ours = pair[0].upload(np.zeros(3))
    assert is_device_array(ours)
    assert is_device_array(Shared(ours))
    assert is_device_array(Interface(ours))
    assert not is_device_array(Shared(ours, kind=1))
    assert not is_device_array(Refusing())


def test_arrays_are_taken_without_a_copy(pair: tuple[Any, Any]) -> None:
    """Whoever made them, with any strides."""
    ours = pair[0].upload(np.arange(12.0).reshape(3, 4))
    for value in (ours, Shared(ours), Interface(ours), ours.T, ours[:, ::2], ours[::-1]):
        taken = as_device_array(value, pair[0])
        assert np.shares_memory(np.asarray(taken), np.asarray(ours))
    assert device_of(ours) is pair[0]
    assert device_of(Shared(pair[1].upload(np.zeros(2)), number=1)) is pair[1]


def test_array_that_cannot_be_read_is_refused_with_the_reason(pair: tuple[Any, Any]) -> None:
    """Another device, another type, the host's memory, one that will not be shared: each with what to write."""
    here, there = pair
    ours = here.upload(np.zeros(3))
    cases: list[tuple[Any, str]] = [
        (there.upload(np.zeros(3)), r"close is on .*GPU 0.*cupy.cuda.Device\(0\)"),
        (Shared(ours, number=1), "close is on GPU 1 and the rest on GPU 0"),
        (here.upload(np.zeros(3, np.int64)), r'int64.*float64 or float32.*close.astype\("float64"\)'),
        (here.upload(np.zeros(3, np.float16)), "float16"),
        (np.zeros(3), "host's memory"),
        (Shared(ours, kind=1), "host's memory"),
    ]
    for value, message in cases:
        with pytest.raises(UsageError, match=message):
            as_device_array(value, here, name="close")
    strange = np.lib.stride_tricks.as_strided(here.upload(np.zeros(3)), (2,), (9,), subok=True)
    with pytest.raises(UsageError, match="no whole elements"):
        as_device_array(strange, here)


def test_array_that_refuses_to_be_shared_says_why(pair: tuple[Any, Any], over_numpy: Any) -> None:
    """A tensor that takes part in a gradient, say."""
    refusing = Shared(types.SimpleNamespace(), kind=2)
    with pytest.raises(UsageError, match="a Shared, cannot be shared"):
        as_device_array(refusing, pair[0])
    with pytest.raises(UsageError, match="cannot be shared"):
        device_of(refusing)


def test_fault_of_the_device_is_not_taken_for_one_of_the_array(pair: tuple[Any, Any], cuda: FakeCuda) -> None:
    """A GPU that was lost is said to be lost, whatever is given to it."""
    ours = pair[0].upload(np.zeros(3))
    cuda.fault = CUDARuntimeError(700)
    with pytest.raises(BackendUnavailable):
        pair[0].upload(np.zeros(3))
    for ask in (lambda: as_device_array(Shared(ours), pair[0]), lambda: device_of(Shared(ours))):
        with pytest.raises(BackendUnavailable, match="restart the process"):
            ask()


def test_result_is_not_written_into_a_read_only_array(pair: tuple[Any, Any]) -> None:
    """CuPy has no such mark and would lose it."""
    ours = pair[0].upload(np.zeros(3))
    assert as_device_array(Interface(ours, read_only=True), pair[0]) is ours
    with pytest.raises(UsageError, match="read-only"):
        as_device_array(Interface(ours, read_only=True), pair[0], writable=True)
    ours.flags.writeable = False
    with pytest.raises(UsageError, match="read-only"):
        as_device_array(ours, pair[0], writable=True)


def test_array_on_no_device_that_was_found_is_refused(pair: tuple[Any, Any]) -> None:
    """And without any device the reason is told."""
    far = pair[1].upload(np.zeros(2))
    with using(pair[:1]), pytest.raises(UsageError, match="lies on none of GPU 0"):
        device_of(far)
    with using([]), pytest.raises(BackendUnavailable):
        device_of(far)


# Copies


@st.composite
def layouts(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draw two arrays of one shape, each sliced, turned and transposed in its own way."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=0, max_size=3)))

    def one() -> np.ndarray[Any, Any]:
        axes = draw(st.permutations(range(len(shape))))
        steps = [draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in shape]
        extra = [draw(st.sampled_from([0, 0, 0, 1])) for _ in shape]
        held = np.zeros([shape[axis] * abs(steps[axis]) + extra[axis] for axis in axes], np.float32)
        turned = held.transpose(np.argsort(axes)) if shape else held
        return turned[(*(slice(None, None, step) for step in steps), ...)][(*(slice(0, n) for n in shape), ...)]

    return one(), one()


@hypothesis.given(layouts())
def test_rows_of_bytes_are_the_whole_array(arrays: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    """Copying them row by row copies every element to its place, whatever the layouts; else no rows are told."""
    first, second = arrays
    first[...] = np.arange(1, first.size + 1).reshape(first.shape)
    rows = rows_of(first.shape, first.strides, second.strides, first.itemsize)
    if rows is None:
        return
    assert rows.width * rows.height == first.nbytes
    cuda = FakeCuda()
    places = (second.ctypes.data, rows.second_pitch, first.ctypes.data, rows.first_pitch)
    cuda.copy_rows(*places, rows.width, rows.height, "up", 0)
    np.testing.assert_array_equal(second, first)


def test_rows_are_found_where_a_transfer_can_make_them() -> None:
    """Whole arrays in either order, and rows of a larger one; not two orders at once, and nothing turned round."""
    plain = np.zeros((4, 6))
    wide = np.zeros((4, 9))[:, :6]
    assert rows_of(plain.shape, plain.strides, plain.strides, 8) == rows_of((24,), (8,), (8,), 8)
    told = rows_of(plain.shape, plain.strides, wide.strides, 8)
    assert told is not None
    assert (told.width, told.height, told.first_pitch, told.second_pitch) == (48, 4, 48, 72)
    assert not told.contiguous
    fortran = np.asfortranarray(plain)
    assert rows_of(plain.shape, fortran.strides, fortran.strides, 8) is not None
    assert rows_of(plain.shape, plain.strides, fortran.strides, 8) is None
    assert rows_of(plain.shape, plain[::-1].strides, plain.strides, 8) is None
    assert rows_of((4, 6), (0, 8), (48, 8), 8) is None


# The GPU, over the host's memory

SHAPES = [
    lambda a: a,
    lambda a: np.asfortranarray(a),
    lambda a: a[:, ::2],
    lambda a: a[::-1],
    lambda a: a[1:3, 1:4],
    lambda a: a[:0],
    lambda a: a[0, 0],
]


@pytest.mark.parametrize("size", [(6, 8), (200, 90)], ids=["small", "large"])
@pytest.mark.parametrize("layout", range(len(SHAPES)))
@pytest.mark.parametrize("with_stream", [False, True])
def test_arrays_come_back_as_they_went(
    pair: tuple[Any, Any], layout: int, size: tuple[int, int], with_stream: bool
) -> None:
    """Of every layout on both sides, with and without a stream, into what is given and into new memory."""
    device = pair[1]
    host = SHAPES[layout](np.random.default_rng(3).normal(size=size))
    stream = device.stream() if with_stream else None
    there = device.upload(host, stream=stream)
    assert device.owns(there)
    back = device.download(there, stream=stream)
    device.synchronize(stream)
    np.testing.assert_array_equal(back, host)
    for target in (np.full(host.shape, -1.0), np.full((*host.shape, 2), -1.0)[..., 0], np.full(host.T.shape, -1.0).T):
        np.testing.assert_array_equal(device.download(there, target, stream), host)
        with device:
            room = device.xp.empty(target.shape)
        np.testing.assert_array_equal(np.asarray(device.upload(host, room.T.copy().T, stream)), host)


def test_order_of_arrays_is_kept(pair: tuple[Any, Any]) -> None:
    """Fortran's stays Fortran's, so that one transfer does."""
    there = pair[0].upload(np.asfortranarray(np.zeros((3, 4))))
    assert there.flags.f_contiguous
    assert pair[0].download(there).flags.f_contiguous


def test_upload_without_a_stream_may_be_overwritten_on_return(pair: tuple[Any, Any], cuda: FakeCuda) -> None:
    """Large ones are waited for; small ones are staged, so that tables of launches do not stop the device."""
    pair[0].upload(np.zeros(200_000))
    assert cuda.log[-1][0] == "synchronize"
    pair[0].upload(np.zeros(100))
    assert cuda.log[-1][0] == "up"
    pair[0].upload(pair[0].pinned(200_000, np.float64), stream=pair[0].stream())
    assert cuda.log[-1][0] == "up"


@pytest.mark.parametrize("layout", range(5))
@pytest.mark.parametrize("with_stream", [False, True])
@pytest.mark.parametrize("size", [(6, 8), (500, 300)], ids=["small", "large"])
def test_pageable_memory_is_not_read_after_the_upload(
    pair: tuple[Any, Any], cuda: FakeCuda, layout: int, with_stream: bool, size: tuple[int, int]
) -> None:
    """Though CUDA may make an asynchronous copy at any later time: what is staged for it is kept until then."""
    device, cuda.late = pair[0], True
    host = SHAPES[layout](np.random.default_rng(3).normal(size=size))
    want = host.copy()
    there = device.upload(host, stream=device.stream() if with_stream else None)
    host[...] = -1.0
    np.testing.assert_array_equal(device.download(there), want)


def test_pinned_memory_is_read_later_where_a_stream_is_given(pair: tuple[Any, Any], cuda: FakeCuda) -> None:
    """As the one who gave the stream will wait for it; without one it is as any other memory."""
    device, cuda.late = pair[0], True
    host = device.pinned((4,), np.float64)
    host[...] = 1.0
    there = device.upload(host, stream=device.stream())
    host[...] = 2.0
    assert (device.download(there) == 2.0).all()
    there = device.upload(host)
    host[...] = 3.0
    assert (device.download(there) == 2.0).all()


def test_what_is_staged_is_let_go_once_it_was_copied(pair: tuple[Any, Any], cuda: FakeCuda) -> None:
    """Not before, and at the next upload at the latest."""
    device, cuda.late = pair[0], True
    for _ in range(5):
        device.upload(np.zeros(10))
    assert len(cuda.pinned) == 5
    device.synchronize()
    device.upload(np.zeros(10))
    gc.collect()
    assert len(cuda.pinned) == 1


def test_copies_that_cannot_be_made_are_refused(pair: tuple[Any, Any]) -> None:
    """Other shapes, other types, objects, foreign byte order, and results that may not be written to."""
    device = pair[0]
    there = device.upload(np.zeros((2, 3)))
    closed = np.zeros((2, 3))
    closed.flags.writeable = False
    wrong: list[Any] = [
        lambda: device.upload(np.zeros((3, 2)), there),
        lambda: device.upload(np.zeros((2, 3), np.float32), there),
        lambda: device.upload(np.array(["a"], dtype=object)),
        lambda: device.upload(np.zeros(3, ">f8")),
        lambda: device.download(there, np.zeros((2, 2))),
        lambda: device.download(there, closed),
    ]
    for call in wrong:
        with pytest.raises(UsageError):
            call()


def test_device_is_current_inside_its_block_alone(pair: tuple[Any, Any], cuda: FakeCuda) -> None:
    """Blocks nest, in each thread by itself, and an error ends them too."""
    with pair[1]:
        assert cuda.get_device() == 1
        with pair[0]:
            assert cuda.get_device() == 0
            assert pair[1].xp.empty(1).device.id == 0
        assert cuda.get_device() == 1
        with pytest.raises(KeyError), pair[0]:
            raise KeyError
        assert cuda.get_device() == 1
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(cuda.get_device()))
        thread.start()
        thread.join()
        assert seen == [0]
    assert cuda.get_device() == 0


def test_kernels_are_compiled_once_and_without_fusing(pair: tuple[Any, Any]) -> None:
    """Of many threads that ask for one source, one compiles."""
    device, made = pair[0], []
    threads = [threading.Thread(target=lambda: made.append(device.compile("source"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(module) for module in made}) == 1
    assert device.xp.RawModule.compiled == [("source", ("--std=c++14", "--fmad=false"))]
    assert device.compile("source", ("-DX=1",)) is not made[0]
    assert device.xp.RawModule.compiled[-1][1][-1] == "-DX=1"


def test_programs_beyond_the_limit_are_forgotten(pair: tuple[Any, Any], over_numpy: Any) -> None:
    """The oldest first, so that a program that makes sources for ever does not fill the memory."""
    device = pair[0]
    first = device.compile("0")
    for number in range(1, over_numpy._MODULES_KEPT + 1):
        device.compile(str(number))
    assert device.compile("0") is not first
    assert len(device._modules) == over_numpy._MODULES_KEPT


def test_kernel_is_started_with_its_table(pair: tuple[Any, Any], cuda: FakeCuda) -> None:
    """On the stream given, with as much shared memory as asked for; a grid of nothing starts nothing."""
    device = pair[0]
    module = device.compile("source")
    table = device.upload(np.arange(4))
    stream = device.stream()
    module.launch("tu_a", (2, 3, 1), 128, table, stream=stream)
    assert cuda.log[-1] == ("tu_a", (2, 3, 1), (128,), 0, stream.ptr)
    module.launch("tu_a", (1, 1, 1), 32, table, shared=60_000)
    assert cuda.log[-1][3] == 60_000
    assert module._kernels["tu_a"].max_dynamic_shared_size_bytes == 60_000
    before = len(cuda.log)
    module.launch("tu_a", (0, 1, 1), 32, table)
    assert len(cuda.log) == before
    for wrong in (pair[1].upload(np.arange(4)), device.upload(np.arange(4.0)), table[::2]):
        with pytest.raises(UsageError, match="must be int64"):
            module.launch("tu_a", (1, 1, 1), 32, wrong)


@pytest.mark.parametrize("fault", [OutOfMemoryError("allocating 5 bytes"), CUDARuntimeError(2), CUDADriverError(2)])
def test_memory_that_runs_out_is_our_error(pair: tuple[Any, Any], cuda: FakeCuda, fault: BaseException) -> None:
    """Also where the array module was asked directly; the device is well afterwards."""
    cuda.fault = fault
    with pytest.raises(DeviceOutOfMemory, match="1,048,576 bytes of 1,073,741,824 are free") as raised, pair[0]:
        pair[0].xp.empty(1000)
    assert raised.value.free == 1 << 20
    assert isinstance(raised.value, MemoryError)
    assert raised.value.__cause__ is fault
    assert pair[0].upload(np.zeros(2)).shape == (2,)


def test_device_that_was_lost_is_said_once_and_stays_lost(
    pair: tuple[Any, Any], cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    """After an illegal address every call of CUDA fails; ours says what to do."""
    cuda.fault = CUDARuntimeError(700)
    with pytest.raises(BackendUnavailable, match="restart the process"):
        pair[0].upload(np.zeros(2))
    for call in (pair[0].free_bytes, pair[0].synchronize, lambda: pair[0].compile("x")):
        with pytest.raises(BackendUnavailable, match="restart the process"):
            call()
    assert caplog.text.count("restart the process") == 1
    assert pair[1].free_bytes() == (1 << 20) + 1000


def test_what_the_driver_refuses_is_our_error(pair: tuple[Any, Any], cuda: FakeCuda) -> None:
    """A launch that is wrong, a device that cannot be made current, a source that does not compile."""
    device = pair[0]
    module, table = device.compile("source"), device.upload(np.arange(2))
    cuda.fault = CUDADriverError(1)
    with pytest.raises(BackendUnavailable, match="refused the call: cudaError1"):
        module.launch("tu_a", (1, 1, 1), 32, table)
    cuda.fault = CompileException("kern.cu(3): error: identifier undefined\n" * 99)
    with pytest.raises(BackendUnavailable, match="NVRTC refused the kernels") as raised:
        device.compile("other")
    assert len(str(raised.value)) < 500
    cuda.fault = CUDARuntimeError(46)
    with pytest.raises(BackendUnavailable, match="cudaError46"), pair[1]:
        raise AssertionError


def test_pinned_memory_has_the_shape_asked_for(pair: tuple[Any, Any]) -> None:
    """Of nothing, too."""
    made = pair[0].pinned((3, 4), np.float32)
    made[...] = 1
    assert (made.shape, made.dtype, pair[0].pinned((0, 5), "f8").shape) == ((3, 4), np.float32, (0, 5))
    assert pair[0].pinned(3, "i8").shape == (3,)


def test_compiler_of_a_wheel_is_loaded_for_cuda_11(over_numpy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy's packages for CUDA 11 look for it in the system alone; what it needs itself comes first."""
    loaded: list[str] = []
    monkeypatch.setattr(over_numpy.ctypes, "CDLL", lambda path, mode: loaded.append(pathlib.Path(path).name))
    files = ["nvidia/lib/libnvrtc.so.11.2", "nvidia/lib/libnvrtc-builtins.so.11.8", "nvidia/include/nvrtc.h"]
    paths = [types.SimpleNamespace(name=pathlib.Path(file).name, locate=lambda file=file: file) for file in files]
    monkeypatch.setattr(over_numpy.importlib.metadata, "files", lambda _: paths)
    over_numpy.find("cupy-cuda12x")
    assert loaded == []
    over_numpy.find("cupy-cuda11x")
    assert loaded == ["libnvrtc-builtins.so.11.8", "libnvrtc.so.11.2"]


# The real CuPy, where it is installed; no GPU is needed


@pytest.fixture
def cupy() -> Any:
    """Return CuPy, or skip."""
    if not found.installed_cupy():
        pytest.skip("CuPy is not installed")
    with contextlib.suppress(ImportError):
        import cupy

        return cupy
    pytest.skip("CuPy cannot be imported")


def test_every_name_of_cupy_that_is_used_exists(cupy: Any) -> None:
    """What the stand-in of these tests offers is what CuPy has."""
    source = pathlib.Path(tradeutils.device.__path__[0], "cuda.py").read_text(encoding="utf-8")
    used = {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    used |= {name.replace("runtime.", "cupy.cuda.runtime.", 1) for name in used if name.startswith("runtime.")}
    names = sorted(name for name in used if name.startswith("cupy.") and name.replace(".", "").isidentifier())
    assert len(names) > 20
    for name in names:
        held = cupy
        for part in name.split(".")[1:]:
            held = getattr(held, part)


def test_errors_of_the_real_cupy_come_out_as_ours(cupy: Any) -> None:
    """Their classes carry the status that is read."""
    from tradeutils.device import cuda

    device = cuda.CudaDevice(0, "Tesla T4", 40, (7, 5), 1 << 34, "NVRTC 11.8")
    assert isinstance(device._told(cupy.cuda.memory.OutOfMemoryError(5, 6, 7)), DeviceOutOfMemory)
    assert isinstance(device._told(cupy.cuda.runtime.CUDARuntimeError(2)), DeviceOutOfMemory)
    assert "cudaErrorInvalidValue" in str(device._told(cupy.cuda.runtime.CUDARuntimeError(1)))
    assert "restart the process" in str(device._told(cupy.cuda.runtime.CUDARuntimeError(700)))
    compiling = cupy.cuda.compiler.CompileException("kern.cu(1): error", "source", "name", ())
    assert "NVRTC refused" in str(cuda.CudaDevice(0, "T4", 1, (7, 5), 1, "")._told(compiling))


def test_real_cupy_without_a_driver_is_a_reason(cupy: Any) -> None:
    """Where CuPy is installed on a machine without a GPU."""
    if read_driver().devices:
        pytest.skip("this machine has a GPU")
    from tradeutils.device import cuda

    name = next(iter(found.installed_cupy()))
    there, problems = cuda.find(name)
    assert there == ()
    assert len(problems) == 1
    device = cuda.CudaDevice(0, "none", 1, (7, 5), 1, "")
    with pytest.raises((BackendUnavailable, cupy.cuda.runtime.CUDARuntimeError)):
        device.compile('extern "C" __global__ void f(const long long* table) {}')
