"""
Every example in the README and the documentation runs.

The blocks of a page run from top to bottom in one namespace, as a reader who follows it would: Python as typed into
``python -m asyncio``, lines with ``$ tradeutils`` as typed into a shell, TOML as settings. What a block prints is
compared with the ``text`` block that follows it (``...`` stands for anything). The pages speak of a simulated venue
on port 8080 and a Redis on 6379; here both are real and on free ports. A block under ``<!-- not run: reason -->`` is
compiled only.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import doctest
import importlib
import importlib.util
import inspect
import io
import os
import pkgutil
import re
import shlex
import socket
import subprocess
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import tradeutils
from tradeutils import logs

ROOT = Path(__file__).resolve().parents[2]
# Those that lead in come first: they speak of an account on which nobody has traded, and how-to pages trade.
_DOCS = sorted((ROOT / "docs").rglob("*.md"), key=lambda page: (len(page.parts), page))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *_DOCS]
DOCUMENTED_VENUE = "http://127.0.0.1:8080"
DOCUMENTED_REDIS = "redis://localhost:6379/0"

_FENCE = re.compile(r"(?ms)^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^(?P=indent)```$")
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it begins on, and why it is not run, if so."""

    language: str
    code: str
    line: int
    not_run: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        marker = _NOT_RUN.search(text, 0, match.start())
        code = re.sub(f"(?m)^{match['indent']}", "", match["code"])
        line = text.count("\n", 0, match.start()) + 2
        found.append(Block(match["language"], code, line, marker["reason"] if marker else None))
    return found


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the simulated venue as the pages say to, on a free port; return its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("venue")
    command = [sys.executable, "-m", "tradeutils.cli", "sim", "--venue", "binance", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=_environment(), stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_answers(port, process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    raise AssertionError(f"the simulated venue did not answer within 30 s: {log.read_text()}")


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TRADEUTILS_")}
    return {**ours, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100"}


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.language in {"python", "console"} for b in blocks_of(p))], ids=page_name
)
def test_examples_of_the_page_run(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who types what the page says gets what the page says."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    blocks = [_with_real_addresses(block, request) for block in blocks_of(page)]
    namespace: dict[str, object] = {"__name__": "__main__", "__builtins__": builtins}
    with asyncio.Runner() as runner:
        try:
            for block, following in zip(blocks, [*blocks[1:], None], strict=True):
                run = _RUNNERS.get(block.language)
                printed = "" if run is None else run(block, page, namespace, runner.run)
                if run and block.not_run is None and following is not None and following.language == "text":
                    _compare(printed, following, page)
        except BaseException:
            # What the page did not come to close would be reported instead of what went wrong.
            _close_all(namespace.values(), runner.run)
            raise
        finally:
            logs.reset()


def _close_all(opened: Iterable[object], run: Callable[..., object]) -> None:
    for one in opened:
        with contextlib.suppress(Exception):
            if hasattr(one, "aclose"):
                run(one.aclose())
            elif type(one).__module__ == "tradeutils.sync":
                one.close()


def _with_real_addresses(block: Block, request: pytest.FixtureRequest) -> Block:
    code = block.code
    if block.not_run is None and block.language != "text":
        if DOCUMENTED_VENUE in code:
            code = code.replace(DOCUMENTED_VENUE, request.getfixturevalue("venue"))
        if DOCUMENTED_REDIS in code:
            code = code.replace(DOCUMENTED_REDIS, request.getfixturevalue("valkey").url)
    return Block(block.language, code, block.line, block.not_run)


def _run_python(block: Block, page: Path, namespace: dict[str, object], run: Callable[..., object]) -> str:
    tree = ast.parse(block.code, f"{page_name(page)}, block on line {block.line}")
    ast.increment_lineno(tree, block.line - 1)
    code = compile(tree, page_name(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if block.not_run is not None:
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        made = types.FunctionType(code, namespace)()
        if inspect.iscoroutine(made):
            run(made)
    return printed.getvalue()


def _run_console(block: Block, page: Path, namespace: dict[str, object], run: Callable[..., object]) -> str:
    printed = ""
    for command in re.findall(r"(?m)^\$ tradeutils (.+)$", block.code) if block.not_run is None else ():
        ours = [sys.executable, "-m", "tradeutils.cli", *shlex.split(command, comments=True)]
        ran = subprocess.run(ours, env=_environment(), capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, f"{page_name(page)}: $ tradeutils {command}\n{ran.stdout}{ran.stderr}"
        printed += ran.stdout
    return printed


def _read_settings(block: Block, page: Path, namespace: dict[str, object], run: Callable[..., object]) -> str:
    file = Path(f"settings-{block.line}.toml")
    file.write_text(block.code, encoding="utf-8")
    tradeutils.Settings.load(file)
    return ""


_RUNNERS = {"python": _run_python, "console": _run_console, "toml": _read_settings}


def _compare(printed: str, expected: Block, page: Path) -> None:
    same = doctest.OutputChecker().check_output(
        expected.code.rstrip() + "\n", printed.rstrip() + "\n", doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    where = f"{page_name(page)}, line {expected.line}"
    assert same, f"{where} says:\n{expected.code}\nbut the example printed:\n{printed}"


def test_blocks_that_are_not_run_say_why() -> None:
    """A marker without a fenced block right under it would silently mark nothing."""
    for page in PAGES:
        markers = page.read_text(encoding="utf-8").count("<!-- not run:")
        assert markers == sum(block.not_run is not None for block in blocks_of(page)), page_name(page)


def test_commands_of_the_readme_are_the_ones_that_set_up_everything() -> None:
    """The two commands that need nothing but Python and pip stand at the top."""
    first = next(block for block in blocks_of(ROOT / "README.md"))
    assert first.code.splitlines() == [
        "python3 -m pip install nox && python3 -m nox -s demo",
        "python3 -m pip install nox && python3 -m nox -s tests",
    ]


def test_links_of_the_pages_outside_the_site_lead_somewhere() -> None:
    """mkdocs checks the links below ``docs/``; nothing else checks those of the README and its companions."""
    dead = []
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            dead += [] if (page.parent / target).exists() else [f"{page.name}: {target}"]
    assert dead == []


def test_figures_on_the_page_are_those_that_were_measured() -> None:
    """The page of benchmarks is written from ``benchmarks/results``, not by hand."""
    spec = importlib.util.spec_from_file_location("report", ROOT / "benchmarks" / "report.py")
    assert spec is not None
    assert spec.loader is not None
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    text = report.PAGE.read_text(encoding="utf-8")
    assert report.page(text, sorted(report.RESULTS.glob("*.json"))) == text


MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tradeutils.__path__, "tradeutils.")
    if not module.name.endswith("__main__") and ".cuda" not in module.name
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    """What ``help`` shows after ``>>>`` gives what it says."""
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
