"""
From the figures in ``results/`` to their page in the documentation; run it after the suites.

A benchmark's ``group`` is the task, and ``benchmark.extra_info["who"]`` who did it: ``"tradeutils"``, or a peer's name.
Without it the name of the test stands for who. Other entries of ``extra_info`` are printed beside the figure.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
OURS = "tradeutils"
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def page(text: str, results: Sequence[pathlib.Path]) -> str:
    """Return the page with the figures of these files between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    sections = [section(file.stem, json.loads(file.read_text(encoding="utf-8"))) for file in results]
    return f"{before}{BEGIN}\n" + ("\n\n".join(sections) or "No figures have been recorded yet.") + f"\n{END}{after}"


def section(name: str, result: Mapping[str, Any]) -> str:
    """Return one suite: the machine, and a table for each task."""
    host = result["machine_info"]
    versions = ", ".join(f"{package} {version}" for package, version in host["packages"].items())
    lines = [
        f"## {name.replace('_', ' ').capitalize()}",
        "",
        f"{host['cpu']}, {host['cores']} cores, {host['memory_gib']} GiB; {host['system']}; Python {host['python']}; "
        f"{versions}. Measured {result['datetime'][:10]}.",
        "",
        "| task | who | median | times ours | |",
        "|---|---|---:|---:|---|",
    ]
    return "\n".join([*lines, *rows(result["benchmarks"]), *means(result["benchmarks"])])


def rows(benchmarks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a row for each benchmark, ours first in each task."""
    tasks = sorted(benchmarks, key=lambda one: (one["group"] or "", who(one) != OURS))
    for task, members in itertools.groupby(tasks, key=lambda one: one["group"] or ""):
        listed = list(members)
        ours = next((one["stats"]["median"] for one in listed if who(one) == OURS), None)
        for number, one in enumerate(listed):
            median = one["stats"]["median"]
            times = f"{median / ours:.3g}" if ours and who(one) != OURS else ""
            extra = ", ".join(f"{key} {value}" for key, value in one["extra_info"].items() if key != "who")
            yield f"| {task if number == 0 else ''} | {who(one)} | {duration(median)} | {times} | {extra} |"


def means(benchmarks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each peer that did more than one of our tasks."""
    ours = {one["group"]: one["stats"]["median"] for one in benchmarks if who(one) == OURS}
    for peer in dict.fromkeys(who(one) for one in benchmarks if who(one) != OURS):
        shared = [one for one in benchmarks if who(one) == peer and one["group"] in ours]
        times = [one["stats"]["median"] / ours[one["group"]] for one in shared]
        if len(times) > 1:
            mean = statistics.geometric_mean(times)
            yield f"\n{peer} takes {mean:.3g} times as long as we do, the geometric mean of {len(times)} tasks."


def who(benchmark: Mapping[str, Any]) -> str:
    """Return who did the task."""
    return str(benchmark["extra_info"].get("who") or benchmark["name"])


def duration(seconds: float) -> str:
    """Return a duration in the unit that suits it, to three digits."""
    scale, unit = next(((scale, unit) for scale, unit in _UNITS if seconds >= scale), _UNITS[-1])
    return f"{seconds / scale:.3g} {unit}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), sorted(RESULTS.glob("*.json"))), encoding="utf-8")
