"""The benchmarks of a GPU run where there is none, on the stand-in, so that a machine with one meets no slips."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_benchmarks_run_on_the_stand_in(tmp_path: Path) -> None:
    """All of them, at a tiny size; each says what it was measured on."""
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed: the benchmarks cannot be run")
    kept = tmp_path / "gpu.json"
    words = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", f"--benchmark-json={kept}"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks/test_gpu.py", *words],
        cwd=ROOT,
        env={**ours, "TRADEUTILS_GPU": "stand-in"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout
    told = [one["extra_info"] for one in json.loads(kept.read_text())["benchmarks"]]
    assert len(told) >= 10
    assert all(one["device"] == "host stand-in 0" and one["driver"] for one in told)
    assert all(one["stats"]["median"] > 0 for one in json.loads(kept.read_text())["benchmarks"])
