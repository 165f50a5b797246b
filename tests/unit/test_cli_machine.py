"""What is read of a machine."""

from __future__ import annotations

import pathlib

import pytest

from tradeutils.cli import machine
from tradeutils.cli.machine import GPU, Memory

MEMINFO = "MemTotal:       131072 kB\nMemFree:         1000 kB\nMemAvailable:    65536 kB\nHugePages_Total:       0\n"


@pytest.mark.parametrize(
    ("text", "share"),
    [("200000 100000\n", 2.0), ("50000 100000", 0.5), ("max 100000\n", None), ("", None), ("1 0", None)],
)
def test_container_share_is_its_quota_of_a_period(text: str, share: float | None) -> None:
    """A container without a limit has none."""
    assert machine.parse_cpu_share(text) == share


@pytest.mark.parametrize(
    ("meminfo", "limit", "used", "expected"),
    [
        (MEMINFO, "", "", Memory(128 * 2**20, 64 * 2**20)),
        (MEMINFO, "max\n", "123\n", Memory(128 * 2**20, 64 * 2**20)),
        (MEMINFO, str(32 * 2**20), str(8 * 2**20), Memory(32 * 2**20, 24 * 2**20)),
        (MEMINFO, str(120 * 2**20), str(8 * 2**20), Memory(120 * 2**20, 64 * 2**20)),
        (MEMINFO, str(1024 * 2**20), "0", Memory(128 * 2**20, 64 * 2**20)),
        ("", "", "", Memory(None, None)),
        ("", "1000", "1200", Memory(1000, 0)),
    ],
)
def test_memory_is_the_machine_s_or_the_container_s(meminfo: str, limit: str, used: str, expected: Memory) -> None:
    """The lesser of the two counts."""
    assert machine.parse_memory(meminfo, limit, used) == expected


def test_cards_are_read_from_what_nvidia_smi_prints() -> None:
    """A name may hold a comma; what is no line of a card is passed over."""
    printed = "Tesla T4, 15360, 520.61.05\nOdd, name, [N/A], 1\nNo devices were found\n"
    assert machine.parse_gpus(printed, "11.8") == [
        GPU("Tesla T4", 15360 * 2**20, "520.61.05", "11.8"),
        GPU("Odd, name", 0, "1", "11.8"),
    ]


@pytest.mark.parametrize(
    ("cuda", "extra"),
    [
        ("11.8", "gpu-cuda11x"), ("12.4", "gpu-cuda12x"), ("13.0", "gpu-cuda13x"), ("14.1", "gpu-cuda13x"),
        ("10.2", "gpu-cuda11x"), (None, "gpu-cuda12x"), ("new", "gpu-cuda12x"),
    ],
)  # fmt: skip
def test_extra_fits_the_driver(cuda: str | None, extra: str) -> None:
    """The newest one that the driver can run, among those there are."""
    assert machine.cuda_extra(cuda) == extra


def test_cards_are_asked_for_with_nvidia_smi(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name on the path is asked twice: for the cards, and for the CUDA version."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\nif [ $# -gt 0 ]; then echo "Tesla T4, 15360, 520.61.05"; else echo "| CUDA Version: 11.8  |"; fi\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert machine.read_gpus() == [GPU("Tesla T4", 15360 * 2**20, "520.61.05", "11.8")]


@pytest.mark.parametrize("body", ["exit 9", "printf '\\377\\376'"])
def test_driver_that_fails_is_no_card(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Neither an error nor bytes that are no text end the report."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert machine.read_gpus() == []


def test_program_that_cannot_be_run_is_no_card(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another machine's kind."""
    program = tmp_path / "nvidia-smi"
    program.write_bytes(b"\x00\x01\x02")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.read_gpus() == []


def test_machine_without_a_driver_has_no_card(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started where there is nothing to start."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.read_gpus() == []


def test_this_machine_has_a_processor_and_memory() -> None:
    """What the tests run on is seen: no more is usable than there is."""
    cpu, memory = machine.read_cpu(), machine.read_memory()
    assert cpu.model
    assert 0 < cpu.usable <= cpu.threads
    assert memory.total is None or 0 <= (memory.available or 0) <= memory.total


def test_versions_name_everything_that_is_required() -> None:
    """Each package that the library needs is here, with a version."""
    versions = machine.read_versions()
    assert {"python", "tradeutils", *machine.REQUIRED} <= versions.keys()
    assert all(versions.values())


def test_nothing_heavy_is_imported_to_look() -> None:
    """A module is found without being run: cupy would start the driver."""
    assert machine.has_module("json")
    assert not machine.has_module("no_such_module_anywhere")
