"""The doctor on GPUs: what it says of those there are, and that it notices one that computes other numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from host_device import HostDevice

from tradeutils.cli import machine
from tradeutils.cli.doctor_gpu import look_at_gpus
from tradeutils.cli.findings import Finding
from tradeutils.device import using
from tradeutils.device.driver import Driver
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory, UsageError


class Wrong(HostDevice):
    """A device whose results are off by a millionth."""

    def download(self, array: Any, out: Any = None, stream: Any = None) -> Any:
        made = super().download(array, out, stream)
        return made * (1 + 1e-6) if made.dtype == np.float64 else made


class Unknown(HostDevice):
    """A device whose results are not known where they should be."""

    def download(self, array: Any, out: Any = None, stream: Any = None) -> Any:
        made = super().download(array, out, stream)
        made[-1:] = np.nan
        return made


class Refusing(HostDevice):
    """A device for which nothing compiles."""

    def compile(self, source: str, options: tuple[str, ...] = ()) -> Any:
        raise BackendUnavailable("NVRTC refused the kernels for old: unsupported architecture")


class Full(HostDevice):
    """A device whose memory others have."""

    def upload(self, host: Any, out: Any = None, stream: Any = None) -> Any:
        raise DeviceOutOfMemory("GPU 0: out of memory", free=0)

    def free_bytes(self) -> int:
        raise DeviceOutOfMemory("GPU 0: out of memory")


class Mistaken(HostDevice):
    """A device whose arrays are not what they should be."""

    def download(self, array: Any, out: Any = None, stream: Any = None) -> Any:
        raise UsageError("the host's array has another shape")


def findings_of(*there: HostDevice) -> dict[str, Finding]:
    """Return what the doctor says of devices, by name."""
    with using(there):
        return {found.name: found for found in look_at_gpus()}


def test_devices_that_compute_as_the_processor_are_well() -> None:
    """Each is described and tested."""
    found = findings_of(HostDevice(), HostDevice(number=1))
    assert list(found) == ["gpu", "gpu test", "gpu test 1"]
    assert {one.state for one in found.values()} == {"ok"}
    assert "host stand-in 0 (8.0 GiB, compute capability 0.0), host stand-in 1" in found["gpu"].found
    assert [one["number"] for one in found["gpu"].details["devices"]] == [0, 1]
    apart = found["gpu test"].details["apart"]
    assert {"rsi:14", "sma:20", "macd:12,26,9.signal"} <= apart.keys()
    assert max(apart.values()) <= 1e-12


@pytest.mark.parametrize(("device", "told"), [(Wrong(), "by 1.0e-06"), (Unknown(), "by inf")], ids=["off", "unknown"])
def test_device_that_computes_other_numbers_has_failed(device: HostDevice, told: str) -> None:
    """The one thing about a GPU that is a failure."""
    found = findings_of(device)["gpu test"]
    assert (found.state, told in found.found) == ("failed", True)
    assert "cpu" in found.remedy


def test_device_that_breaks_our_code_has_failed() -> None:
    """That is to be reported, not worked around."""
    found = findings_of(Mistaken())["gpu test"]
    assert (found.state, found.found) == ("failed", "the host's array has another shape")


def test_driver_and_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the driver tells its CUDA, else as nvidia-smi does."""
    card = machine.GPU("Tesla T4", 15360 * 2**20, "520.61.05", "11.8")
    monkeypatch.setattr(machine, "read_gpus", lambda: [card])
    monkeypatch.setattr("tradeutils.device.driver.read_driver", lambda: Driver((11, 8), 1))
    monkeypatch.setattr("tradeutils.device.found.installed_cupy", lambda: {"cupy-cuda11x": "13.6.0"})
    found = findings_of(HostDevice())["gpu"]
    assert "driver 520.61.05, CUDA up to 11.8, cupy-cuda11x 13.6.0" in found.found
    assert (found.details["cuda"], found.details["extra"]) == ("11.8", "gpu-cuda11x")
    monkeypatch.setattr("tradeutils.device.driver.read_driver", lambda: Driver(problem="no driver"))
    found = findings_of()["gpu"]
    assert found.found.startswith("Tesla T4 (15.0 GiB), driver 520.61.05, CUDA up to 11.8; none that can be used")
    assert (found.details["cuda"], found.details["extra"]) == (None, "gpu-cuda11x")


@pytest.mark.parametrize(
    ("device", "told"), [(Refusing(), "unsupported architecture"), (Full(), "out of memory")], ids=["old", "full"]
)
def test_device_that_cannot_be_tested_is_a_warning(device: HostDevice, told: str) -> None:
    """Its reason is told, and the processor is there."""
    found = findings_of(device)
    assert (found["gpu test"].state, told in found["gpu test"].found) == ("warning", True)
    assert 'backend="cpu"' in found["gpu test"].remedy


def test_machine_without_a_gpu_lacks_an_option() -> None:
    """Nothing is tested, and the remedy is the one that the error would tell."""
    found = findings_of()
    assert list(found) == ["gpu"]
    assert (found["gpu"].state, found["gpu"].remedy) == ("missing", "no device was put in place")
