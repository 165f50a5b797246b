"""The CPU side: states and steps, threads, and the cache of compiled kernels."""

import inspect
import logging
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

import tradeutils
from tradeutils import indicators
from tradeutils.indicators import REGISTRY, cpu
from tradeutils.indicators import threads as pool
from tradeutils.indicators.cpu import compiling, recursive, steps, windows

PARAMETERS = {"sma": (5,), "ema": (5,), "bbands": (5, 2.0), "rsi": (5,), "macd": (3, 7, 4), "atr": (5,)}
NAMES = sorted(REGISTRY)


def panel(name, rows, symbols):
    """Return the inputs of a kernel: a random panel with gaps, flat stretches and an infinity, read-only."""
    random = np.random.default_rng(4)
    close = 100 + random.normal(0, 1, (rows, symbols)).cumsum(axis=0)
    close[random.random(close.shape) < 0.02] = np.nan
    close[10:30, 0] = 50.0
    close[rows // 2, symbols // 2] = np.inf
    columns = {"close": close, "high": close + 1, "low": close - random.random(close.shape)}
    made = [columns[column] for column in REGISTRY[name].inputs]
    for column in made:
        column.flags.writeable = False
    return made


def compiled(name):
    """Return a kernel, its machine code and its parameters."""
    kernel, indicator = cpu.KERNELS[name], REGISTRY[name]
    parameters = PARAMETERS[name]
    return kernel, kernel.compiled(len(indicator.inputs), len(indicator.outputs), parameters), parameters


def test_every_indicator_has_a_kernel_of_its_parameters():
    """The registry and the kernels name the same indicators, with the same inputs, outputs and parameters."""
    assert cpu.KERNELS.keys() == REGISTRY.keys()
    for name, indicator in REGISTRY.items():
        arguments = list(inspect.signature(cpu.KERNELS[name].function).parameters)
        at = arguments.index("state")
        assert at == len(indicator.inputs) + len(indicator.outputs)
        assert arguments[at + 1 : at + 6] == ["start", "seen", "first", "low", "high"]
        assert arguments[at + 6 :] == [parameter.name for parameter in indicator.parameters]


@pytest.mark.parametrize("name", NAMES)
def test_bar_by_bar_equals_the_batch_to_the_bit(name):
    """The kernel given one bar at a time, with its reach of earlier bars, leaves and gives what one call does."""
    kernel, function, parameters = compiled(name)
    inputs = panel(name, 90, 5)
    outputs = [np.zeros((90, 5)) for _ in REGISTRY[name].outputs]
    state = kernel.state(5, parameters)
    function(*inputs, *outputs, state, 0, 0, 0, 0, 5, *parameters)
    reach = kernel.reach(*parameters)
    stepped = kernel.state(5, parameters)
    for t in range(90):
        since = max(0, t - reach)
        row = [np.zeros((1, 5)) for _ in outputs]
        bars = [column[since : t + 1] for column in inputs]
        function(*bars, *row, stepped, t - since, t, t - since, 0, 5, *parameters)
        for output, latest in zip(outputs, row, strict=True):
            np.testing.assert_array_equal(latest[0], output[t])
    np.testing.assert_array_equal(stepped, state)


@pytest.mark.parametrize("name", NAMES)
def test_machine_code_equals_python_to_the_bit(name, monkeypatch):
    """Compiled and interpreted, a kernel gives the same bits: no fused or reordered arithmetic."""
    kernel, function, parameters = compiled(name)
    inputs = panel(name, 60, 11)
    outputs, plain = ([np.zeros((60, 11)) for _ in REGISTRY[name].outputs] for _ in range(2))
    function(*inputs, *outputs, kernel.state(11, parameters), 0, 0, 0, 0, 11, *parameters)
    for step, dispatcher in {step: getattr(steps, step) for step in steps.__all__}.items():
        for module in (steps, recursive, windows):
            if hasattr(module, step):
                monkeypatch.setattr(module, step, dispatcher.py_func)
    with np.errstate(all="ignore"):
        kernel.function(*inputs, *plain, kernel.state(11, parameters), 0, 0, 0, 0, 11, *parameters)
    for output, interpreted in zip(outputs, plain, strict=True):
        np.testing.assert_array_equal(output, interpreted)
        assert np.isfinite(output).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_negative_column_is_never_touched(name):
    """The guard that tells LLVM that columns are not negative does nothing else than return."""
    kernel, function, parameters = compiled(name)
    inputs = panel(name, 20, 3)
    for run in (function, kernel.function):
        outputs = [np.full((20, 3), 7.0) for _ in REGISTRY[name].outputs]
        run(*inputs, *outputs, kernel.state(3, parameters), 0, 0, 0, -1, 3, *parameters)
        assert all((output == 7.0).all() for output in outputs)


def test_state_rows_never_lie_a_page_apart():
    """A state of 512 symbols, whose rows would evict one another, gets spare columns; others none."""
    kernel = cpu.KERNELS["bbands"]
    assert kernel.state(512, (5, 2.0)).shape == (13, 520)
    assert kernel.state(500, (5, 2.0)).shape == (13, 500)


def test_blocks_cover_every_symbol_once():
    """Columns are cut into whole cache lines, wide enough to be worth a thread, with a small state."""
    for symbols in (1, 7, 64, 1023, 1024, 1025, 5000, 20_001):
        for rows in (2, 43, 20_003):
            for parts in (1, 2, 7, 64):
                width = cpu._block_width(symbols, rows, parts)
                assert width % 8 == 0
                assert width * rows * 8 <= max(2 << 20, 64 * rows * 8)
                assert width >= min(symbols, 64)
    assert cpu._block_width(500, 2, 64) == 504
    assert cpu._block_width(5000, 2, 2) == 2504


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_threads_gives_the_same_bits(name):
    """A panel wide enough to be split gives the same on one thread and on several."""
    inputs = panel(name, 100, 4100)
    made = [getattr(indicators, name)(*inputs, *PARAMETERS[name], threads=n) for n in (1, 2, 5)]
    for other in made[1:]:
        np.testing.assert_array_equal(np.asarray(other), np.asarray(made[0]))


def test_compute_of_many_specs_gives_the_same_bits_on_threads():
    """Specs that run side by side give what they give one after the other."""
    close = panel("rsi", 3000, 40)[0]
    specs = ["rsi:14", "ema:20", "sma:20", "macd", "bbands"]
    alone = indicators.compute(close, specs, threads=1)
    for key, array in indicators.compute(close, specs, threads=4).items():
        np.testing.assert_array_equal(array, alone[key])


def test_many_python_threads_at_once_get_their_own_results():
    """Calls from many threads, each splitting its work over the one pool, do not disturb one another."""
    panels = [100 + np.random.default_rng(seed).normal(0, 1, (120, 2100)).cumsum(axis=0) for seed in range(6)]
    want = [indicators.rsi(close, 14, threads=1) for close in panels]
    start = threading.Barrier(12)

    def call(k):
        start.wait()
        return [indicators.rsi(panels[k % 6], 14, threads=3) for _ in range(3)]

    with ThreadPoolExecutor(12) as callers:
        for k, results in enumerate(callers.map(call, range(12))):
            for result in results:
                np.testing.assert_array_equal(result, want[k % 6])


def test_tasks_run_once_each_and_a_failure_is_raised_after_all_have_ended():
    """run_all runs every task, and raises a failure only when no task is running any more."""
    done, running = [], []
    pool.run_all([lambda i=i: done.append(i) for i in range(50)], 4)
    assert sorted(done) == list(range(50))

    def slow():
        running.append(1)
        threading.Event().wait(0.05)
        running.pop()

    def fail():
        raise ZeroDivisionError

    for tasks in ([fail, slow, slow], [slow, fail, slow], [slow, slow, fail]):
        with pytest.raises(ZeroDivisionError):
            pool.run_all(tasks, 3)
        assert not running
    pool.run_all([], 4)


def test_caller_alone_does_the_work_when_the_pool_cannot():
    """When the pool takes no more work, as at interpreter exit, the caller runs every task itself."""
    shut = pool._Pool()
    shut.submit(lambda: None, 1)[0].result()
    shut._executor.shutdown()
    assert shut.submit(lambda: None, 3) == []
    code = (
        "import atexit, threading, numpy as np\n"
        "from tradeutils import indicators\n"
        "close = np.ones((100, 5000))\n"
        "indicators.sma(close, 2, threads=2)\n"
        "def late(): print(indicators.sma(close, 2, threads=2)[-1, -1])\n"
        "atexit.register(late)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("1.0", "")


def test_forked_child_computes():
    """A child forked after the pool was made has no threads of it and makes its own."""
    code = (
        "import os, numpy as np\n"
        "from tradeutils import indicators\n"
        "close = np.ones((100, 5000))\n"
        "indicators.sma(close, 2, threads=2)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if indicators.sma(close, 2, threads=2)[-1, -1] == 1.0 else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0"


def test_thread_count_follows_argument_setting_and_affinity(monkeypatch):
    """The argument wins over TRADEUTILS_THREADS, which wins over the cores the process may run on."""
    monkeypatch.setenv("TRADEUTILS_THREADS", "3")
    assert (pool.thread_count(5), pool.thread_count(None)) == (5, 3)
    monkeypatch.delenv("TRADEUTILS_THREADS")
    assert pool.thread_count(None) == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert pool.thread_count(None) == os.cpu_count()


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
    assert first.count("INFO compiled the sma kernel in") == 1
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
    folder = compiling.cache_folder.__wrapped__()
    assert folder is not None
    assert folder.parent == tmp_path
    monkeypatch.setattr(compiling, "cache_folder", lambda: folder)
    compiling._compile(twice, TWICE)
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


def twice(x, out):
    """Serve as a kernel in the tests of the cache."""
    for t in range(x.shape[0]):
        out[t, 0] = x[t, 0] * 2.0


TWICE = (numba.types.Array(numba.float64, 2, "C", readonly=True), numba.types.Array(numba.float64, 2, "C"))


def test_kernel_is_compiled_once_and_logged_once(tmp_path, monkeypatch, caplog):
    """Compiling says so on one line at INFO; loading what is kept says nothing."""
    monkeypatch.setattr(compiling, "cache_folder", lambda: tmp_path)
    with caplog.at_level(logging.INFO, logger="tradeutils.indicators"):
        compiling._compile(twice, TWICE)
        assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == ["compiled the twice kernel"]
        caplog.clear()
        compiling._compile(twice, TWICE)
        assert caplog.records == []
        monkeypatch.setattr(compiling, "cache_folder", lambda: None)
        compiling._compile(twice, TWICE)
        assert "set NUMBA_CACHE_DIR" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"\x80damaged", None])
def test_damaged_cache_mends_itself(tmp_path, monkeypatch, caplog, damage):
    """With empty, foreign or unreadable files in the cache a kernel is compiled anew, and kept by the next process."""
    monkeypatch.setattr(compiling, "cache_folder", lambda: tmp_path)
    compiling._compile(twice, TWICE)
    (index,) = tmp_path.rglob("*.nbi")
    if damage is None:
        index.unlink()
        index.mkdir()
    else:
        index.write_bytes(damage)
    out = np.zeros((2, 1))
    compiling._compile(twice, TWICE)(np.ones((2, 1)), out)
    assert (out == 2.0).all()
    assert "is damaged or full; compiling twice anew" in caplog.text
    if damage is not None:
        caplog.clear()
        for _ in range(2):
            compiling._compile(twice, TWICE)
        assert "damaged" not in caplog.text


def test_cache_folder_is_named_for_the_sources(tmp_path, monkeypatch):
    """The folder's name is a digest of every file of the package: an edited step makes old machine code unreachable."""
    copy = tmp_path / "cpu"
    shutil.copytree(Path(compiling.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compiling, "__file__", str(copy / "compiling.py"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    before = compiling.cache_folder.__wrapped__()
    assert before == compiling.cache_folder.__wrapped__()
    assert before.parent == copy / "__pycache__"
    with (copy / "steps.py").open("a") as file:
        file.write("# another step")
    assert compiling.cache_folder.__wrapped__() != before


def test_kernel_refuses_arrays_it_was_not_compiled_for():
    """A wrong dtype raises instead of compiling a second variant."""
    kernel, function, parameters = compiled("sma")
    close = np.ones((9, 2), dtype=np.float32)
    with pytest.raises(TypeError):
        function(close, np.ones((9, 2)), kernel.state(2, parameters), 0, 0, 0, 0, 2, *parameters)
