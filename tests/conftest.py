"""What all tests share: the recordings and where they are found, and real servers."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tradeutils.logs import redaction

hypothesis.settings.register_profile(
    "untimed",
    deadline=None,  # a busy machine is no fault of the code, nor is a run of unlucky draws
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
)
hypothesis.settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Programs that tests start run without coverage's tracer: what they run is run in this process as well.
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))  # what tests share is imported by its plain name

from servers import _valkey_session, own_valkey, proxy, valkey, valkey_with  # noqa: E402, F401  # fixtures


def _recordings_folder() -> pathlib.Path | None:
    """Find the recordings: ``TRADEUTILS_DATA``, else ``shared/data`` beside the project."""
    named = os.environ.get("TRADEUTILS_DATA")
    candidates = [pathlib.Path(named)] if named else []
    candidates.append(pathlib.Path(__file__).resolve().parents[2] / "shared" / "data")
    return next((folder for folder in candidates if (folder / "PROVENANCE.md").is_file()), None)


@pytest.fixture(scope="session")
def recordings() -> pathlib.Path:
    """Return the folder of real recordings; skip where it is absent."""
    folder = _recordings_folder()
    if folder is None:
        pytest.skip("no recordings: neither TRADEUTILS_DATA nor ../shared/data is a folder with PROVENANCE.md")
    return folder


@pytest.fixture(autouse=True)
def _own_secrets() -> Iterator[None]:
    """Let each test protect secrets of its own: they stay for the life of a process, and would mask others' texts."""
    known = dict(redaction._known)
    yield
    for form in redaction._known.keys() - known.keys():
        del redaction._known[form]
        redaction._by_head[form[: redaction.MIN_LENGTH]].pop(form, None)


_died: list[str] = []  # the worker processes that ended amid their tests


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Note a worker process that has died: the rest of its tests were not run."""
    if error:
        _died.append(f"{node.gateway.id}: {error}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run whose worker died end as one that broke off, not as one of which a test failed."""
    if _died:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
