"""The stand-in for a GPU refuses what a GPU would, so that tests on it mean something."""

from __future__ import annotations

import threading

import host_device
import numpy as np
import pytest
from host_device import HostArray, HostDevice

from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory

SOURCE = """
#include "host_shim.h"
TU_BARRIERS(turned)
extern "C" __global__ void turned(const long long* table) {
    double* shared = tu_shared<double>();
    double* data = (double*)table[0] + blockIdx.x * blockDim.x;
    shared[threadIdx.x] = data[threadIdx.x];
    __syncthreads();
    data[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}
TU_BARRIERS(summed)
extern "C" __global__ void summed(const long long* table) {
    double value = ((double*)table[0])[threadIdx.x];
    for (int by = 16; by > 0; by /= 2) value += __shfl_down_sync(0xffffffffu, value, by);
    const double up = __shfl_up_sync(0xffffffffu, (double)threadIdx.x, 1u);
    const double across = __shfl_xor_sync(0xffffffffu, up, 1);
    const unsigned even = __ballot_sync(0xffffffffu, threadIdx.x % 2 == 0);
    const double first = __shfl_sync(0xffffffffu, value, 0);
    ((double*)table[0])[threadIdx.x] = threadIdx.x ? across : first + even + __syncthreads_count(0) * 0;
    if (threadIdx.x) __syncthreads_count(1);
}
TU_BARRIERS(stuck)
extern "C" __global__ void stuck(const long long* table) {
    if (threadIdx.x % 2) __syncthreads(); else __syncwarp();
    __syncthreads();
}
extern "C" __global__ void unmarked(const long long* table) { __syncthreads(); }
extern "C" __global__ void counted(const long long* table) {
    atomicAdd((long long*)table[0], (long long)(NUMBER + gridDim.x * 0 + threadIdx.x));
}
"""


@pytest.fixture(scope="module", name="kernels")
def _kernels():
    """Return a device and some kernels."""
    device = HostDevice()
    return device, device.compile(SOURCE, ("--std=c++14", "-DNUMBER=3"))


def launched(kernels, name, values, grid=(1, 1, 1), block=32, **options):
    """Return values after a kernel has been at them."""
    device, module = kernels
    with device:
        data = device.upload(np.array(values))
        module.launch(name, grid, block, device.upload(np.array([device.address(data)])), **options)
        return device.download(data)


def test_threads_of_a_block_meet_at_a_barrier(kernels):
    """All threads have written to shared memory before one reads it; each block has its own."""
    made = launched(kernels, "turned", np.arange(12.0), (3, 1, 1), 4, shared=4 * 8)
    assert made.tolist() == [3.0, 2.0, 1.0, 0.0, 7.0, 6.0, 5.0, 4.0, 11.0, 10.0, 9.0, 8.0]


def test_threads_of_a_warp_exchange_values(kernels):
    """Shuffles and votes give every lane what CUDA gives it."""
    made = launched(kernels, "summed", np.ones(32))
    assert made[0] == 32 + 0x55555555
    assert made[1:6].tolist() == [0.0, 2.0, 1.0, 4.0, 3.0]


def test_barriers_that_not_all_threads_reach_are_told(kernels):
    """A kernel that would hang on a GPU fails here."""
    with pytest.raises(AssertionError, match="different barriers"):
        launched(kernels, "stuck", np.ones(1))


def test_a_kernel_with_barriers_is_to_be_marked(kernels):
    """Threads that run one after the other cannot meet: the kernel has to say that it has barriers."""
    with pytest.raises(AssertionError, match=r"TU_BARRIERS\(unmarked\)"):
        launched(kernels, "unmarked", np.ones(1))


def test_options_define_and_a_source_is_compiled_once(kernels):
    """``-D`` reaches the compiler; the same source again, from any thread, is what was compiled before."""
    device, module = kernels
    assert launched(kernels, "counted", np.zeros(1, np.int64), (2, 1, 1), 4).tolist() == [2 * (4 * 3 + 6)]
    before, found = device.compiled, []
    threads = [threading.Thread(target=lambda: found.append(device.compile(SOURCE, ("-DNUMBER=3",)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, device.compiled) == ([module] * 3, before)


def test_a_source_that_does_not_compile_is_told():
    """What the compiler says is in the error."""
    with pytest.raises(BackendUnavailable, match="nonsense"):
        HostDevice().compile("nonsense")


@pytest.mark.parametrize(
    ("grid", "block", "shared"),
    [((1, 1, 1), 0, 0), ((1, 1, 1), 1025, 0), ((1, 65536, 1), 1, 0), ((1 << 31, 1, 1), 1, 0), ((1, 1, 1), 1, 1 << 16)],
)
def test_a_launch_that_cuda_refuses_is_refused(kernels, grid, block, shared):
    """Limits of grids, blocks and shared memory are those of CUDA."""
    with pytest.raises(BackendUnavailable, match="CUDA refuses"):
        launched(kernels, "counted", np.zeros(1, np.int64), grid, block, shared=shared)


def test_a_grid_without_blocks_starts_nothing(kernels):
    """A zero in a grid is no fault."""
    assert launched(kernels, "counted", np.zeros(1, np.int64), (0, 1, 1)).tolist() == [0]


def test_a_table_of_the_host_is_refused(kernels):
    """A kernel cannot read the host's memory, nor a table of other numbers."""
    device, module = kernels
    with pytest.raises(TypeError, match="table"):
        module.launch("counted", (1, 1, 1), 1, np.zeros(1, np.int64))
    with pytest.raises(TypeError, match="table"):
        module.launch("counted", (1, 1, 1), 1, device.upload(np.zeros(1)))


def test_arrays_of_host_and_device_do_not_mix():
    """Every way of computing with one of each raises; a scalar may join."""
    device = HostDevice()
    xp, host = device.xp, np.ones(3)
    array = xp.ones(3)
    for mixed in (
        lambda: array + host,
        lambda: xp.minimum(array, host),
        lambda: xp.where(array > 0.0, array, host),
        lambda: np.copyto(host, array),
        lambda: xp.copyto(array, host),
        lambda: xp.isnan(host),
        lambda: np.add(array, 1.0, out=host),
        lambda: array.__setitem__(slice(None), host),
        lambda: device.address(host),
        lambda: device.download(host),
        lambda: device.upload(array),
        lambda: device.download(array, array),
    ):
        with pytest.raises(TypeError):
            mixed()
    assert device.download(array + np.float64(2.0)).tolist() == [3.0, 3.0, 3.0]


def test_arrays_of_two_devices_do_not_mix():
    """Nor do arrays of two GPUs; each is made on the device that is current."""
    first, second = HostDevice(), HostDevice(1)
    one = first.xp.zeros(2)
    with second:
        other = first.xp.zeros(2)
    assert (first.owns(one), first.owns(other), second.owns(other)) == (True, False, True)
    with pytest.raises(TypeError, match="two devices"):
        one + other
    with pytest.raises(AssertionError, match="with device"):
        second.xp.zeros(2)


def test_what_is_computed_on_a_device_stays_there():
    """Views, results and what is taken from them are the device's; scalars of it are arrays without an axis."""
    device = HostDevice()
    xp = device.xp
    array = xp.arange(12.0).reshape(3, 4)
    out = xp.empty((3, 4))
    for made in (
        array[1:, ::2],
        array.T,
        array * 2.0,
        xp.add(array, 1.0, out=out),
        xp.asarray(array),
        xp.asarray(array, dtype=xp.float32),
        xp.ascontiguousarray(array.T),
        xp.asarray([1.0]),
        xp.asarray(np.ones(2)),
        xp.empty_like(array),
        xp.any(array > 3.0),
        xp.concatenate([array, array]),
        array.view(np.int64),
        xp.lib.stride_tricks.as_strided(array, (2, 2), (8, 8)),
        *xp.divmod(array, 2.0),
    ):
        assert device.owns(made)
    assert device.owns(xp.sum(array, out=xp.empty(())))
    assert xp.float64 is np.float64
    assert isinstance(array, xp.ndarray)
    assert array.get().tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert not isinstance(array.get(), HostArray)


def test_what_travels_is_counted_and_keeps_its_order():
    """Bytes go up and down by upload, download and ``asarray`` alone; symbol-major stays symbol-major."""
    device = HostDevice()
    turned = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    array = device.upload(turned)
    assert array.flags.f_contiguous
    target = np.zeros((2, 6))[:, ::2]
    assert device.download(array, target) is target
    assert target.tolist() == turned.tolist()
    assert device.upload(turned, out=device.xp.empty((2, 3))).tolist() == turned.tolist()
    assert (device.bytes_up, device.bytes_down) == (96, 48)
    device.xp.asarray(turned)
    assert device.bytes_up == 144
    with pytest.raises(ValueError, match="were to be copied"):
        device.upload(turned, out=device.xp.empty((3, 2)))
    pinned = device.pinned((2, 2), np.float64)
    assert (pinned.shape, device.owns(pinned), device.stream(), device.synchronize()) == ((2, 2), False, None, None)


def test_memory_that_is_used_up_is_told_and_comes_back():
    """What is made counts as long as it lives."""
    device = HostDevice(memory=1000)
    array = device.xp.empty(100)
    assert device.free_bytes() == 200
    with pytest.raises(DeviceOutOfMemory, match="248 bytes were needed and 200 are free") as told:
        device.upload(np.zeros(31))
    assert (told.value.needed, told.value.free) == (248, 200)
    view = array[::2]
    del array
    assert device.free_bytes() == 200
    del view
    assert device.free_bytes() == 1000


def test_memory_of_others_is_adopted_without_a_copy():
    """What describes its memory as CUDA arrays do is used where it lies."""
    own = np.arange(4.0)

    class Foreign:
        __cuda_array_interface__ = own.__array_interface__

    device = HostDevice()
    adopted = device.adopt(Foreign())
    adopted += 1.0
    assert device.owns(adopted)
    assert own.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert repr(device) == "HostDevice(0)"


def test_without_a_compiler_tests_are_skipped_with_the_reason(monkeypatch):
    """Where no compiler is found the reason is printed."""
    host_device.compiler.cache_clear()
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(pytest.skip.Exception, match="no C\\+\\+ compiler"):
        host_device.compiler()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert host_device.compiler()[1:] == ("-m", "ziglang", "c++")
    host_device.compiler.cache_clear()
