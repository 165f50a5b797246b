"""The CPU side: states and steps, threads, and the cache of compiled kernels."""

import ctypes
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tradeutils import indicators
from tradeutils.indicators import REGISTRY, cpu
from tradeutils.indicators import operators as op
from tradeutils.indicators import threads as pool
from tradeutils.indicators.cpu import candlesticks, chunks, compiling, driver, levels, profiles, zigzag
from tradeutils.indicators.expression import column
from tradeutils.indicators.operators import windows
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
                width = cpu._block_width(symbols, rows, parts)
                assert width % 8 == 0
                assert width * rows * 8 <= max(2 << 20, 64 * rows * 8)
                assert width >= min(symbols, 64)
    assert cpu._block_width(500, 2, 64) == 504
    assert cpu._block_width(5000, 2, 2) == 2504


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


def test_everything_can_be_compiled_ahead():
    """compile_all compiles every kernel, in every mode it has, and every search, and tells how far it is."""
    searches = [module.search for module in (candlesticks, levels, profiles, zigzag)]
    for search in searches:
        search.cache_clear()
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
    assert all(search.cache_info().currsize == 1 for search in searches)


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


def view(address, *shape, kind=np.float64):
    """Return the memory at an address as an array, as compiled code sees it."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_char * max(size, 1)).from_address(address), kind, int(np.prod(shape))).reshape(shape)


def turned(source, source_step, target, target_step, soon, soon_step):
    """Transpose 8 x 8 as the instructions of :func:`machine.turn` do."""
    lines = [view(source + k * source_step, 8).copy() for k in range(8)]
    for j in range(8):
        view(target + j * target_step, 8)[:] = [line[j] for line in lines]


def put(address, value, kind=np.float64):
    """Write one number at an address."""
    view(address, 1, kind=kind)[0] = value


@pytest.fixture(name="interpreted")
def _interpreted(monkeypatch):
    """Have the loop over tiles run as Python: its steps, and memory and calls at bare addresses."""
    kernels = {}

    def called(address, table, rows, width):
        kernel = kernels[address]
        slots = view(table, 2 * kernel.matrices + 3 + len(kernel.kinds), kind=np.int64)
        matrices = [
            np.lib.stride_tricks.as_strided(view(int(slots[2 * k]), 1), (rows, width), (8 * int(slots[2 * k + 1]), 8))
            for k in range(kernel.matrices)
        ]
        kernel.function(*matrices, width)  # those of this test take neither state nor mode

    for name in ("_gather", "_scatter"):
        monkeypatch.setattr(driver, name, getattr(driver, name).py_func)
    stands_in = {
        "words": lambda address, length: view(int(address), int(length), kind=np.int64),
        "matrix": lambda address, rows, length: view(int(address), int(rows), int(length)),
        "load": lambda address: view(int(address), 1)[0],
        "store": lambda address, value: put(int(address), value),
        "store_single": lambda address, value: put(int(address), value, np.float32),
        "turn": lambda *given: turned(*map(int, given)),
        "call": lambda address, table, rows, width: called(int(address), int(table), int(rows), int(width)),
    }
    for name, stand_in in stands_in.items():
        monkeypatch.setattr(driver, name, stand_in)
    return kernels


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kept", [70, 45, 1])
def test_loop_over_tiles_is_the_same_interpreted(interpreted, layout, dtype, kept):
    """Gathering, moving, calling and storing, run as Python, fill results as the compiled loop does."""
    data = LAYOUTS[layout](np.random.default_rng(2).normal(0, 1, (70, 21)))
    program = program_of(-(2.0 + column("x")), column("x"), -(2.0 + column("x")))
    for instruction, address in zip(program.instructions, program.addresses, strict=True):
        interpreted[address] = instruction.kernel
    want, made = ([LAYOUTS[layout](np.zeros((kept, 21), dtype)) for _ in range(3)] for _ in range(2))
    cpu.State(program, 21).feed([data], want)
    state = cpu.State(program, 21, 32)  # tiles of 32 bars
    table = state._table([data], made)
    driver._drive(table.ctypes.data)
    assert_same(made, want)
    np.testing.assert_array_equal(want[0], (-(2.0 + data[-kept:])).astype(dtype))
    assert table[driver.SEEN] == 70


@pytest.mark.parametrize("mode", [compiling.RESTART, compiling.PROPAGATE, compiling.HOLD])
def test_machine_code_made_anew_is_that_which_is_kept(tmp_path, monkeypatch, mode):
    """What an empty cache makes gives the bits of what a full one holds, in every mode."""
    data = panel("bbands", 200, 30)[0]
    x = column("x")
    nodes = (op.smooth(x, 0.1, 3), *windows.bands(x, 5, 2.0), op.together(x, op.ema(x, 9)))
    nan = next(name for name, number in compiling.MODES.items() if number == mode)
    want, made = ([np.zeros(data.shape, order="F") for _ in nodes] for _ in range(2))
    cpu.State(program_of(*nodes, nan=nan), 30).feed([data], want)
    monkeypatch.setattr(compiling, "cache_folder", lambda module: tmp_path)
    program = cpu.make_program(nodes, ("x",), mode)
    for instruction in program.instructions:
        monkeypatch.setattr(instruction.kernel, "_addresses", {})
    monkeypatch.setattr(driver, "drive", driver.drive.__wrapped__)
    cpu.State(program, 30).feed([data], made)
    assert_same(made, want)
    assert len(list(tmp_path.rglob("*.nbc"))) >= 5
