"""The CPU side: states and steps, threads, and the cache of compiled kernels."""

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
from tradeutils.indicators import operators as op
from tradeutils.indicators import threads as pool
from tradeutils.indicators.cpu import chunks, compiling
from tradeutils.indicators.cpu.machine import load, store
from tradeutils.indicators.expression import column
from tradeutils.indicators.warm import _below, compile_all

NAMES = ["sma", "ema", "bbands", "rsi", "macd", "atr", "adx", "stoch", "cci", "obv", "mfi", "supertrend"]


def panel(name, rows, symbols):
    """Return the inputs of an indicator: a random panel with gaps, flat stretches and an infinity, read-only."""
    random = np.random.default_rng(4)
    close = 100 + random.normal(0, 1, (rows, symbols)).cumsum(axis=0)
    close[random.random(close.shape) < 0.002] = np.nan
    close[10:30, 0] = 50.0
    close[rows // 2, symbols // 2] = np.inf
    volume = random.random(close.shape)
    columns = {"close": close, "high": close + 1, "low": close - random.random(close.shape), "volume": volume}
    made = [columns[one] for one in REGISTRY[name].inputs]
    for array in made:
        array.flags.writeable = False
    return made


def results_of(name, columns, **options):
    """Return the outputs of an indicator as a list."""
    made = getattr(indicators, name)(*columns, **options)
    return list(made) if isinstance(made, tuple) else [made]


def assert_same(made, want):
    """Compare outputs bit for bit, NaN being NaN."""
    for one, other in zip(made, want, strict=True):
        np.testing.assert_array_equal(one, other)


def program_of(*outputs, nan="restart"):
    """Return the program of expressions over the column x."""
    return cpu.program_of(outputs, ("x",), nan)


def test_shared_expressions_are_computed_once():
    """Equal expressions of several outputs become one instruction, and a repeated output a copy."""
    x = column("x")
    program = program_of(op.ema(x, 5), 2.0 * op.ema(x, 5) - op.ema(op.ema(x, 5), 5), op.ema(x, 5), x)
    names = [instruction.operator.name for instruction in program.instructions]
    assert sorted(names) == ["ema", "ema", "multiply", "subtract"]
    assert sorted(program.copies) == [2, 3]
    data = np.arange(40.0).reshape(-1, 1) ** 1.5
    made = [np.empty((40, 1)) for _ in range(4)]
    cpu.State(program, 1).feed([data], made)
    np.testing.assert_array_equal(made[0], indicators.ema(data, 5))
    np.testing.assert_array_equal(made[2], made[0])
    np.testing.assert_array_equal(made[1], indicators.dema(data, 5))
    np.testing.assert_array_equal(made[3], data)


def test_scratch_is_used_again():
    """A long chain of expressions needs two scratch columns, not one for each link."""
    node = column("x")
    for period in range(2, 30):
        node = op.ema(node, period)
    assert program_of(node).slots == 2


def test_deep_expressions_are_no_recursion():
    """An expression deeper than Python's stack makes a program."""
    node = column("x")
    for _ in range(3000):
        node = -node
    assert len(program_of(node).instructions) == 3000


@pytest.mark.parametrize("width", [1, 7, 64, 500, 513, 4097])
def test_any_number_of_symbols_in_any_tiles_gives_the_same_bits(width):
    """A state fed all bars, or a few at a time, of one symbol or thousands, ends the same and gives the same."""
    data = 100 + np.random.default_rng(1).normal(0, 1, (70, width)).cumsum(axis=0)
    program = program_of(op.mean(column("x"), 7), op.ema(op.highest(column("x"), 5), 4), 3.0 - column("x"))
    whole, parts = ([np.zeros(data.shape) for _ in range(3)] for _ in range(2))
    at_once, stepped = cpu.State(program, width), cpu.State(program, width)
    at_once.feed([data], whole)
    for start, stop in ((0, 1), (1, 2), (2, 40), (40, 70)):
        stepped.feed([data[start:stop]], [part[start:stop] for part in parts])
    assert_same(parts, whole)
    assert stepped.seen == at_once.seen == 70
    np.testing.assert_array_equal(stepped.memory, at_once.memory)
    np.testing.assert_array_equal(whole[0][:, -1], indicators.sma(data[:, -1].copy(), 7))


def test_state_put_back_goes_on_as_before():
    """What a state remembers, copied into a new one, continues the series to the bit."""
    data = 100 + np.random.default_rng(1).normal(0, 1, (60, 3)).cumsum(axis=0)
    program = program_of(op.deviation(column("x"), 5), op.rma(column("x"), 4))
    whole, rest = ([np.zeros(data.shape) for _ in range(2)] for _ in range(2))
    cpu.State(program, 3).feed([data], whole)
    before, after = cpu.State(program, 3), cpu.State(program, 3)
    before.feed([data[:33]], [part[:33] for part in rest])
    after.memory[:], after.seen = before.memory, before.seen
    after.feed([data[33:]], [part[33:] for part in rest])
    assert_same(rest, whole)


def test_state_rows_never_lie_a_page_apart():
    """The rows of a state of 512 symbols, which would evict one another, lie apart; others lie close."""
    program = program_of(op.mean(column("x"), 5))
    assert cpu.State(program, 512).memory.strides == (520 * 8, 8)
    assert cpu.State(program, 500).memory.strides == (504 * 8, 8)


LAYOUTS = {
    "time-major": lambda array: np.ascontiguousarray(array),
    "symbol-major": lambda array: np.ascontiguousarray(array.T).T,
    "every second row and column": lambda array: np.repeat(np.repeat(array, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "part of a row": lambda array: np.pad(array, ((0, 0), (3, 5)))[:, 3:-5],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(100, 70), (9, 3), (131, 1), (64, 64)])
def test_any_layout_of_the_data_gives_the_same_bits(name, layout, shape):
    """Columns and results of any strides hold what contiguous ones do."""
    columns = panel(name, *shape)
    want = results_of(name, columns)
    laid = [LAYOUTS[layout](column) for column in columns]
    assert_same(results_of(name, laid), want)
    out = tuple(LAYOUTS[layout](np.zeros(shape)) for _ in want)
    results_of(name, laid, out=out if len(out) > 1 else out[0])
    assert_same(out, want)


def test_symbol_major_data_give_symbol_major_results():
    """The view of (S, T) data gives results that are views of (S, T) memory; time-major data give time-major ones."""
    close = panel("rsi", 100, 70)[0]
    turned = np.ascontiguousarray(close.T).T
    for made in (indicators.rsi(turned, 14), indicators.compute(turned, ["rsi:14"])["rsi:14"]):
        assert made.flags.f_contiguous
    assert indicators.rsi(close, 14).flags.c_contiguous


@pytest.mark.parametrize("layout", LAYOUTS)
def test_single_precision_is_rounded_from_double(layout):
    """dtype=float32 gives the float64 result, rounded, in any layout, and takes an out of float32."""
    close = LAYOUTS[layout](panel("bbands", 100, 70)[0])
    want = indicators.bbands(close, 5, 2.0)
    made = indicators.bbands(close, 5, 2.0, dtype=np.float32)
    out = tuple(np.zeros(close.shape, np.float32) for _ in want)
    indicators.bbands(close, 5, 2.0, dtype="float32", out=out)
    for one, given, other in zip(made, out, want, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other.astype(np.float32))
        np.testing.assert_array_equal(given, one)
    tail = indicators.compute(close, ["bbands:5,2"], tail=3, dtype=np.float32)
    np.testing.assert_array_equal(tail["bbands:5,2.lower"], made.lower[-3:])


@pytest.mark.parametrize("bars", [2000, 5000, 20_011])
@pytest.mark.parametrize("name", NAMES)
def test_long_series_in_chunks_gives_the_bits_of_one_pass(name, bars):
    """One symbol, computed in chunks side by side, gives what it gives among many, which are computed in one pass."""
    columns = panel(name, bars, cpu._FEW + 1)
    want = results_of(name, columns)
    for symbols in (1, 3):
        assert_same(results_of(name, [column[:, :symbols] for column in columns]), [one[:, :symbols] for one in want])


def test_chunk_that_does_not_forget_is_run_again(monkeypatch):
    """Chunks begun too late to have forgotten that they began there are found out and run again."""
    data = 100 + np.random.default_rng(1).normal(0, 1, (5000, 1)).cumsum(axis=0)
    program = program_of(op.ema(column("x"), 50))
    want = indicators.ema(np.repeat(data, 9, axis=1), 50)[:, :1]
    lanes, made, states = chunks.Lanes(16, 304, 64), np.zeros(data.shape), []

    class Counted(cpu.State):
        def __init__(self, program, width, *rest, **options):
            states.append(width)
            super().__init__(program, width, *rest, **options)

    monkeypatch.setattr(chunks, "State", Counted)
    lanes.run(program, [data], [made])
    np.testing.assert_array_equal(made, want)
    assert states.count(1) > 10
    states.clear()
    chunks.Lanes(16, 200, 1800).run(program, [data], [made])
    np.testing.assert_array_equal(made, want)
    assert states == [16, 1]


def test_time_is_shared_out_to_threads_with_the_same_bits(monkeypatch):
    """A panel too narrow to share out by symbols is cut in time; a part that began wrongly is run again."""
    data = 100 + np.random.default_rng(1).normal(0, 1, (9000, 40)).cumsum(axis=0)
    want = results_of("macd", [data], threads=1)
    assert_same(results_of("macd", [data], threads=3), want)
    program = program_of(*indicators.REGISTRY["macd"].expressions((12, 26, 9), ("x",)))
    made = [np.zeros(data.shape) for _ in want]
    assert len(cpu.plan(program, [data], made, 2).tasks) == 2
    monkeypatch.setattr(cpu, "settling", lambda program: (40, 8))
    plan = cpu.plan(program, [data], made, 3)
    assert len(plan.tasks) == 3
    for task in reversed(plan.tasks):
        task()
    assert not np.array_equal(made[0], want[0], equal_nan=True)
    plan.finish()
    assert_same(made, want)


def test_what_never_forgets_is_not_cut():
    """Sums since the start are computed in one pass, as is what does not say how long it remembers."""
    x = column("x")
    assert chunks.settling(program_of(op.cumulative(x))) is None
    assert chunks.lanes_of(program_of(op.cumulative(x)), 1_000_000) is None
    assert chunks.settling(program_of(x + 1.0)) == (0, 8)
    early, cycle = chunks.settling(program_of(op.mean(op.mean(x, 10), 15)))
    assert (early, cycle) == (56, 120)
    assert chunks.lanes_of(program_of(op.mean(x, 1000)), 1500) is None


def test_blocks_cover_every_symbol_once():
    """Columns are cut into whole cache lines, wide enough to be worth a thread, with a small state."""
    for symbols in (1, 7, 64, 1023, 1024, 1025, 5000, 20_001):
        for rows in (0, 2, 43, 20_003):
            for parts in (1, 2, 7, 64):
                width = cpu._block_width(symbols, rows, parts, 1024)
                assert width % 8 == 0
                assert width * rows * 8 <= max(2 << 20, 64 * rows * 8)
                assert width >= min(symbols, 64)
    assert cpu._block_width(500, 2, 64, 1024) == 504
    assert cpu._block_width(500, 2, 2, 128) == 256
    assert cpu._block_width(5000, 2, 2, 1024) == 2504


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(100, 4100), (300, 300), (4000, 60)])
def test_any_number_of_threads_gives_the_same_bits(name, shape):
    """A panel that is shared out, by symbols or in time, gives the same on one thread and on several."""
    inputs = panel(name, *shape)
    alone = results_of(name, inputs, threads=1)
    for threads in (2, 5):
        assert_same(results_of(name, inputs, threads=threads), alone)


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


def test_everything_can_be_compiled_ahead():
    """compile_all compiles every kernel, in every mode it has, and tells how far it is."""
    told = []
    count = compile_all(lambda done, total: told.append((done, total)))
    assert told == [(done, count) for done in range(count + 1)]
    kernels = {
        cpu.kernel_of(node.operator)
        for indicator in REGISTRY.values()
        for node in indicator.expressions(indicator.bind())
        if node.operator.module
    }
    assert 20 < len(kernels) <= count
    for kernel in kernels:
        assert sorted(kernel._addresses) == ([0, 1, 2] if "mode" in kernel.takes else [0])


def test_kernels_and_operators_agree():
    """Each kernel takes a mode if its operator is recursive, and as many columns and parameters."""
    operators = {
        node.operator
        for indicator in REGISTRY.values()
        for compat in ("talib", "tradingview")
        for output in indicator.expressions(indicator.bind(), compat=compat)
        for node in _below(output)
        if node.operator.module
    }
    for operator in operators:
        kernel = cpu.kernel_of(operator)
        assert kernel.matrices == operator.inputs + operator.outputs, operator
        assert kernel.kinds == operator.parameters, operator
        assert ("mode" in kernel.takes) == operator.recursive, operator
