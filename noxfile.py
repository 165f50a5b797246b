"""
What a developer and the CI run: ``nox -s NAME``; ``nox --list`` names them all.

Each session makes its own environment under ``.nox/`` with the Python that runs nox (>= 3.11), from the package
index that pip is set up for. Nothing is written outside this folder and no step needs root.
"""

from __future__ import annotations

import email
import hashlib
import json
import os
import pathlib
import shutil
import sys
import zipfile

import nox
from packaging.requirements import Requirement  # nox itself needs it

ROOT = pathlib.Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"  # an install into what is already there takes seconds
nox.options.sessions = ["tests", "lint", "types", "layers", "docs", "package"]
nox.options.error_on_missing_interpreters = True

COVERAGE_FLOOR = 90  # percent of lines and branches
# Run without it: its tracer makes the laws half as slow again (84 and 131 s), and slow processes die elsewhere.
UNCOVERED = ("tests/faults", "tests/property")

# Of 20,000 tests over real sockets, servers and killed processes, one may wait too long on a machine of two busy cores.
# So few may fail in the whole run, if they then pass so many times alone: what fails of itself 1 time in 5 is caught
# 9 times in 10, and each is named.
FORGIVEN, TRIALS = 2, 10

# As errors, the benchmark plugin's warnings would hide why a suite measured nothing; and some take many minutes.
MEASURING = ("-o", "filterwarnings=default", "-o", "faulthandler_timeout=0")


def group(*names: str) -> list[str]:
    """Return the requirements of dependency groups; pip itself reads groups only since 25.1."""
    return list(nox.project.dependency_groups(PYPROJECT, *names))


def folder(session: nox.Session, name: str) -> pathlib.Path:
    """Return an empty folder in the session's environment."""
    made = pathlib.Path(session.virtualenv.location).resolve() / name
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    return made


def numba_cache(session: nox.Session) -> dict[str, str]:
    """Compiled kernels stay in the session's environment, so that a second run need not compile."""
    return {"NUMBA_CACHE_DIR": str(pathlib.Path(session.virtualenv.location).resolve() / "numba-cache")}


@nox.session
def demo(session: nox.Session) -> None:
    """Show what the library does, on a simulated venue: no network, no server, no key."""
    session.install(".")
    session.run("tradeutils", "demo", *session.posargs, env=numba_cache(session))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests and measure what they cover; arguments go to pytest, which then runs in one process."""
    session.install("-e", ".", *group("test"))
    env = {**numba_cache(session), "COVERAGE_FILE": str(folder(session, "coverage") / "data")}
    pytest = ("-m", "pytest", "-o", f"cache_dir={folder(session, 'pytest')}")
    if session.posargs:
        session.run("python", *pytest, *session.posargs, env=env)
        return
    # Much of it is waiting: three processes keep two cores busy.
    # A file stays in one process: its fixtures, servers above all, are made once.
    # A process that dies ends its tests: pytest-xdist waits for ever for the file of one that it has replaced.
    spread = ("--numprocesses=3", "--dist=loadfile", "--max-worker-restart=0")
    # Coverage cannot follow machine code. The kernels are counted where test_indicators_cpu.py runs them as Python
    # and proves that the machine code gives the same bits.
    folders = sorted({f"tests/{file.parent.name}" for file in ROOT.glob("tests/*/test_*.py")})
    covered = [name for name in folders if name not in UNCOVERED]
    # 0: all passed; 1: some failed. Whatever else (a process died, nothing could be collected) ends the session.
    session.run("coverage", "run", *pytest, *spread, *covered, env=env, success_codes=[0, 1])
    session.run("python", *pytest, *spread, *UNCOVERED, env=env, success_codes=[0, 1])
    failed = last_failed(session)
    if len(failed) > FORGIVEN:
        session.error(f"{len(failed)} tests failed: {', '.join(failed)}")
    if failed:
        session.warn(f"failed beside others, so each must pass {TRIALS} times alone: {', '.join(failed)}")
    for _ in range(TRIALS if failed else 0):
        session.run("python", "-m", "pytest", "-p", "no:cacheprovider", *failed, env=env)
    session.run("coverage", "combine", "--quiet", env=env)
    session.run("coverage", "report", f"--fail-under={COVERAGE_FLOOR}", env=env)


def last_failed(session: nox.Session) -> list[str]:
    """Return the tests that failed in the run that kept its cache in the session's folder ``pytest``."""
    kept = pathlib.Path(session.virtualenv.location).resolve() / "pytest/v/cache/lastfailed"
    return sorted(json.loads(kept.read_text())) if kept.exists() else []


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code's style and layout."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, of a user's program against it, and of this file."""
    session.install("-e", ".", *group("types"))
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports point down only."""
    session.install(*group("lint"))
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into ``site/``; a dead link or an unknown name fails."""
    session.install("-e", ".", *group("docs"))  # its tables are made from the code
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # the theme's advertisement of its successor
    session.run("mkdocs", "build", "--strict", "--quiet", env=quiet)


@nox.session
def package(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel from an index into a clean environment, and use it."""
    session.install(*group("package"))
    index, clean = folder(session, "index"), folder(session, "clean")
    session.run("python", "-m", "build", "--outdir", str(index / "tradeutils"))  # the wheel is built from the sdist
    wheel = write_index(index)
    session.run(sys.executable, "-m", "virtualenv", "--quiet", str(clean), external=True)
    programs = clean / ("Scripts" if os.name == "nt" else "bin")
    python = str(programs / "python")
    install = (python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check")
    # What we depend on comes from where pip gets packages on this machine. Our own wheel must come from our index
    # and nowhere else, or this would test whatever else goes by our name.
    session.run(*install, *requirements(wheel), external=True)
    alone = ("--isolated", "--no-deps", "--index-url", f"{index.as_uri()}/", f"tradeutils=={version(wheel)}")
    session.run(*install, *alone, external=True, env={"PIP_CONFIG_FILE": os.devnull})
    with session.chdir(clean):  # where the sources cannot be imported by chance
        session.run(python, "-m", "pip", "check", external=True)
        session.run(python, "-c", "import tradeutils as tu; [getattr(tu, name) for name in tu.__all__]", external=True)
        shown = session.run(str(programs / "tradeutils"), "--version", silent=True, external=True)
    if version(wheel) not in str(shown):
        session.error(f"tradeutils --version printed {shown!r}; the wheel is {wheel.name}")
    session.log(f"{wheel.name}: installed from {index.as_uri()}, imported and run")


def write_index(index: pathlib.Path) -> pathlib.Path:
    """Write the pages of a PEP 503 index over ``index/tradeutils/`` and return the wheel in it."""
    files = sorted((index / "tradeutils").iterdir())
    links = [
        f'<a href="{file.name}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}">{file.name}</a>'
        for file in files
    ]
    page = "<!DOCTYPE html><html><body>{}</body></html>\n"
    (index / "tradeutils" / "index.html").write_text(page.format("<br>".join(links)), encoding="utf-8")
    (index / "index.html").write_text(page.format('<a href="tradeutils/">tradeutils</a>'), encoding="utf-8")
    return next(file for file in files if file.suffix == ".whl")


def version(wheel: pathlib.Path) -> str:
    """Return the version in a wheel's name."""
    return wheel.name.split("-")[1]


def requirements(wheel: pathlib.Path) -> list[str]:
    """Return what a plain install of the wheel needs: its requirements without those of its extras."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    needed = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    return [str(one) for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]


def fitting_gpu_extra(session: nox.Session) -> str:
    """Return the extra whose CuPy fits the driver of this machine; else a line that says what is missing."""
    code = (
        "from tradeutils.device.driver import read_driver; from tradeutils.device.remedies import extra_for; "
        "driver = read_driver(); print(driver.problem or extra_for(driver.cuda))"
    )
    return str(session.run("python", "-c", code, silent=True)).strip()


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the tests that need an NVIDIA GPU, with the CuPy that fits its driver; skipped where there is none."""
    session.install("-e", ".", *group("test"))
    extra = fitting_gpu_extra(session)
    if not extra.startswith("gpu-cuda"):
        session.skip(extra)
    session.install("-e", f".[{extra}]")
    session.run("pytest", "-m", "gpu", *(session.posargs or ["tests/gpu"]), env=numba_cache(session))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """
    Measure us and our peers in one run, keep the figures, and write their page.

    ``nox -s benchmarks -- codec cache`` runs these suites alone, ``-- --gpu`` that of the GPU; other arguments go to
    pytest.
    """
    session.install("-e", ".", *group("benchmarks", "stores"))
    named = ["gpu" if argument == "--gpu" else argument for argument in session.posargs]
    named, options = [one for one in named if not one.startswith("-")], [one for one in named if one.startswith("-")]
    if "gpu" in named and (extra := fitting_gpu_extra(session)).startswith("gpu-cuda"):
        session.install("-e", f".[{extra}]")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    for suite in named or sorted(path.stem.removeprefix("test_") for path in results.parent.glob("test_*.py")):
        told = (*MEASURING, f"--benchmark-json={results / suite}.json")
        session.run("pytest", f"benchmarks/test_{suite}.py", *told, *options, env=numba_cache(session))
    session.run("python", "benchmarks/report.py")


@nox.session
def soak(session: nox.Session) -> None:
    """
    Let fleets of processes ask a simulated venue for minutes on end, kill writers of a history 200 times, break streams
    every 5 s, and a cache's server every 10 s.

    ``nox -s soak -- history`` runs that alone; other arguments go to pytest.
    """
    session.install("-e", ".", *group("benchmarks"))
    named = [argument for argument in session.posargs if not argument.startswith("-")]
    options = [argument for argument in session.posargs if argument.startswith("-")]
    suites = [f"benchmarks/soak_{suite}.py" for suite in named or ("budget", "cache", "history", "streams")]
    session.run("pytest", *suites, "-s", *MEASURING, *options, env=numba_cache(session))
