"""The cache of compiled kernels: where it lies, what makes it void, and how it mends itself."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import tradeutils
from tradeutils.indicators.cpu import compiling
from tradeutils.indicators.cpu.machine import load, store


class Installed:
    """A copy of the package whose own folder takes no cache, as in a read-only site-packages."""

    CODE = (
        "import logging, sys, numba\n"
        "logging.basicConfig(level='INFO', format='%(levelname)s %(message)s', stream=sys.stdout)\n"
        "from tradeutils import indicators\n"
        "print(indicators.sma([1.0, 2.0, 4.0], 2).tolist(), repr(numba.config.CACHE_DIR))\n"
    )

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = Path(tradeutils.__file__).parent
        shutil.copytree(package, folder / "tradeutils", ignore=shutil.ignore_patterns("__pycache__"))
        # A file where the folder should be keeps everyone out, root included.
        (folder / "tradeutils" / "indicators" / "cpu" / "__pycache__").touch()

    def run(self, **environment: str) -> str:
        """Compute one indicator in a new process; return what it logged and printed."""
        ours = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "COV")  # coverage would count the copy as missed
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        done = subprocess.run(
            [sys.executable, "-c", self.CODE],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(self.folder), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "[nan, 1.5, 3.0]" in done.stdout
        return done.stdout


@pytest.fixture(name="installed", scope="module")
def _installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("site-packages"))


def test_read_only_package_keeps_kernels_in_the_users_cache(installed, tmp_path):
    """Where the package folder takes no files, the user's cache folder does; the next process loads from it."""
    first = installed.run(HOME=str(tmp_path))
    folder = tmp_path / ".cache" / "tradeutils"
    assert first.count("INFO compiled the mean kernel in") == 1
    assert f"kept in {folder}" in first
    assert list(folder.glob("tradeutils-*/*/*.nbc"))
    assert "compiled" not in installed.run(HOME=str(tmp_path))


def test_nowhere_to_write_still_computes(installed, tmp_path):
    """Without any folder to write to, kernels are compiled in each process and the log says what to set."""
    (tmp_path / "file").touch()
    logged = installed.run(HOME=str(tmp_path / "file"))
    assert "not kept: no folder can be written, set NUMBA_CACHE_DIR" in logged


def test_users_numba_setting_is_used_and_kept(tmp_path, monkeypatch):
    """NUMBA_CACHE_DIR is where kernels go if it is set, and is left as it was."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    folder = compiling.cache_folder.__wrapped__("averages")
    assert folder is not None
    assert folder.parent == tmp_path
    monkeypatch.setattr(compiling, "cache_folder", lambda module: folder)
    compile_twice()
    setting = numba.config.CACHE_DIR
    assert setting == str(tmp_path)
    assert len(list(folder.glob("*/*twice*.nbc"))) == 1


def test_home_that_is_unknown_leaves_the_package_folder(monkeypatch):
    """Without NUMBA_CACHE_DIR, XDG_CACHE_HOME and a home, the only place is beside the kernels."""

    def unknown():
        raise RuntimeError("no home")

    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert list(compiling._bases()) == [Path(compiling.__file__).parent / "__pycache__"]
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert list(compiling._bases())[1] == Path("/somewhere/tradeutils")


def twice(address):
    """Serve as a kernel in the tests of the cache."""
    store(address, load(address) * 2.0)


def compile_twice():
    """Return the machine code of :func:`twice`, compiled or found."""
    return compiling.compiled(twice, "the twice kernel", 1, "machine")


def test_kernel_is_compiled_once_and_logged_once(tmp_path, monkeypatch, caplog):
    """Compiling says so on one line at INFO; loading what is kept says nothing."""
    monkeypatch.setattr(compiling, "cache_folder", lambda module: tmp_path)
    with caplog.at_level(logging.INFO, logger="tradeutils.indicators"):
        compile_twice()
        assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == ["compiled the twice kernel"]
        caplog.clear()
        compile_twice()
        assert caplog.records == []
        monkeypatch.setattr(compiling, "cache_folder", lambda module: None)
        compile_twice()
        assert "set NUMBA_CACHE_DIR" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"\x80damaged", None])
def test_damaged_cache_mends_itself(tmp_path, monkeypatch, caplog, damage):
    """With empty, foreign or unreadable files in the cache a kernel is compiled anew, and kept by the next process."""
    monkeypatch.setattr(compiling, "cache_folder", lambda module: tmp_path)
    compile_twice()
    (index,) = tmp_path.rglob("*.nbi")
    if damage is None:
        index.unlink()
        index.mkdir()
    else:
        index.write_bytes(damage)
    out = np.ones(1)
    compile_twice().ctypes(out.ctypes.data)
    assert out.tolist() == [2.0]
    assert "is damaged or full; compiling the twice kernel anew" in caplog.text
    if damage is not None:
        caplog.clear()
        for _ in range(2):
            compile_twice()
        assert "damaged" not in caplog.text


def test_cache_folder_is_named_for_the_sources(tmp_path, monkeypatch):
    """An edit of a file, or of one that it imports, makes its old machine code unreachable; that of others stays."""
    copy = tmp_path / "cpu"
    shutil.copytree(Path(compiling.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compiling, "__file__", str(copy / "compiling.py"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")

    def folders():
        return {name: compiling.cache_folder.__wrapped__(name) for name in ("averages", "elementwise", "driver")}

    before = folders()
    assert before == folders()
    assert before["averages"].parent == copy / "__pycache__"
    with (copy / "averages.py").open("a") as file:
        file.write("# another average")
    assert [name for name, folder in folders().items() if folder != before[name]] == ["averages"]
    with (copy / "steps.py").open("a") as file:
        file.write("# another step")
    assert [name for name, folder in folders().items() if folder != before[name]] == ["averages", "elementwise"]
    with (copy / "compiling.py").open("a") as file:
        file.write("# another option")
    assert all(folder != before[name] for name, folder in folders().items())
