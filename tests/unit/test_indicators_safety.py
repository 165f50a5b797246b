"""What may happen around a computation: foreign memory, forks, many threads compiling, signals, calls that repeat."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

from tradeutils import indicators
from tradeutils.errors import UsageError
from tradeutils.indicators import REGISTRY, cpu
from tradeutils.indicators import operators as op
from tradeutils.indicators import threads as pool
from tradeutils.indicators.cpu import chunks, compiling, tables
from tradeutils.indicators.cpu.driver import BARS, SEEN
from tradeutils.indicators.evaluate import check_tail, options_of
from tradeutils.indicators.expression import column
from tradeutils.indicators.memory import Arena


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system to guard pages")
def test_nothing_beyond_an_array_is_read_or_written():
    """Beside every column, result and scratch lies memory that ends the process if touched, in any layout."""
    script = Path(__file__).parents[1] / "guard_pages.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 3 * len(REGISTRY)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_waits_while_a_kernel_is_compiled():
    """A child forked while another thread compiles could never compile; so the fork waits for that thread."""
    code = (
        "import os, threading, time\n"
        "from tradeutils import indicators\n"
        "from tradeutils.indicators import threads\n"
        "held = threading.Event()\n"
        "def compile():\n"
        "    with threads.building:\n"
        "        held.set()\n"
        "        time.sleep(0.3)\n"
        "threading.Thread(target=compile).start()\n"
        "held.wait()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if indicators.sma([1.0, 3.0], 2)[1] == 2.0 else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0"


def test_one_thread_compiles_at_a_time(monkeypatch):
    """Where numba keeps what it compiles is one setting for the process: two at once would lose it to one another."""
    running, most = [], []

    def slow(*given):
        running.append(given)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    monkeypatch.setattr(compiling, "_compiled", slow)
    setting = numba.config.CACHE_DIR
    threads = [threading.Thread(target=compiling.compiled, args=(None, "", 1, str(k))) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]
    assert setting == numba.config.CACHE_DIR


def test_what_nobody_began_is_dropped_when_a_task_fails():
    """After a failure the tasks that no thread has begun are not begun any more."""
    begun = []

    def fail():
        raise ZeroDivisionError

    def slow():
        begun.append(1)
        time.sleep(0.02)

    with pytest.raises(ZeroDivisionError):
        pool.run_all([fail, *[slow] * 500], 2)
    assert len(begun) < 500


def test_arena_waits_for_nobody():
    """Whoever interrupts a thread that holds the arena, as a signal's handler does, gets fresh memory at once."""
    arena = Arena(1 << 24)
    place = arena.empty((500, 200), np.dtype(float)).ctypes.data
    with arena._lock:
        assert arena.empty((500, 200), np.dtype(float)).ctypes.data != place
    assert arena.empty((500, 200), np.dtype(float)).size == 100_000


def test_what_was_taken_once_is_not_taken_for_its_equal():
    """True and 5.0 are equal to whole numbers but are none, also after a call with these; -0.0 is 0.0."""
    close = np.arange(1.0, 30.0)
    for period, refused in ((1, True), (5, 5.0)):
        assert indicators.sma(close, period).shape == indicators.sma(close, period=period).shape
        with pytest.raises(UsageError, match="whole number"):
            indicators.sma(close, refused)
        with pytest.raises(UsageError, match="whole number"):
            indicators.sma(close, period=refused)
    with pytest.raises(UsageError, match=r"period was \[5\]"):
        indicators.sma(close, [5])
    for zero in (-0.0, 0.0, 0):
        (value,) = REGISTRY["bbands"].bind([5, zero])[1:]
        assert str(value) == "0.0"


@pytest.mark.parametrize("deviations", ["2", b"2", np.True_, True, None, "nan", np.nan])
def test_a_number_is_written_as_a_number(deviations):
    """Text that reads as a number, and a truth value, are slips."""
    with pytest.raises(UsageError, match="deviations was"):
        indicators.bbands(np.arange(30.0), 5, deviations)


def test_whole_numbers_of_numpy_are_whole_numbers():
    """Counts may come out of arrays."""
    close = np.arange(30.0)
    count = np.array([2])[0]
    assert check_tail(count) == 2
    assert indicators.compute(close, ["sma:5"], tail=count)["sma:5"].shape == (2,)
    np.testing.assert_array_equal(indicators.sma(close, count, threads=count), indicators.sma(close, 2))


def test_specs_that_are_no_list_are_refused():
    """None, or a number, says what to write."""
    for specs in (None, 14):
        with pytest.raises(UsageError, match="give a list"):
            indicators.compute(np.arange(30.0), specs)


def test_out_that_is_one_number_many_times_is_refused():
    """A broadcast array has no memory for each item."""
    many = np.lib.stride_tricks.as_strided(np.zeros(1), (30,), (0,))
    with pytest.raises(UsageError, match="out for sma stands for all its items with one"):
        indicators.sma(np.arange(30.0), 5, out=many)


def test_options_that_cannot_be_kept_are_read_anew():
    """What has no hash is refused as anything else that is no mode or dtype."""
    assert options_of("hold", "talib", float) is options_of("hold", "talib", float)
    with pytest.raises(ValueError, match="nan was"):
        options_of(["hold"], "talib", float)
    with pytest.raises(UsageError, match="dtype was"):
        options_of("hold", "talib", [1])


def test_tables_are_laid_out_once_for_series_of_about_a_length():
    """Calls on a growing series, at any address and with any bars seen, differ in the bases of one table."""
    program = cpu.program_of((op.mean(column("x"), 3),), ("x",))
    tables.layout_of.cache_clear()
    made = []
    for bars in (300, 301, 400):
        state = cpu.State(program, 1, bars)
        state.seen = 7 * bars
        data = np.random.default_rng(bars).random((bars, 1))
        made.append(state._table([data], [np.empty((bars, 1))]))
        assert (made[-1][BARS], made[-1][SEEN]) == (bars, 7 * bars)
        assert data.ctypes.data in made[-1]
    assert tables.layout_of.cache_info().misses == 1


def test_chunks_of_a_long_series_spread_over_the_cache():
    """Chunks begin an odd number of cache lines apart, where the period allows it at little cost."""
    x = column("x")
    for bars in (1_000_000, 1_003_000, 2_000_008):
        for period in (14, 20):
            lanes = chunks.lanes_of(cpu.program_of((op.mean(x, period),), ("x",)), bars)
            assert lanes.length // 8 % 2 == 1
            assert 0 <= bars - lanes.bars < bars // 50
    few = chunks.lanes_of(cpu.program_of((op.mean(x, 1000),), ("x",)), 200_000)
    assert few.length % 1000 == 0
    assert 200_000 - few.bars < 1000 * few.lanes + 8


@pytest.mark.parametrize("nan", ["restart", "propagate", "hold"])
def test_a_single_symbol_remembers_what_it_would_among_others(nan):
    """One symbol, whose state is kept in registers while its bars are read, gives and leaves the bits of many."""
    x = column("x")
    nodes = (op.ema(x, 5), op.rma(op.cumulative(x), 3), op.smooth(x, 0.3, 2), op.mean(op.ema(x, 2), 4))
    data = np.random.default_rng(6).normal(100, 1, (200, 9))
    data[[3, 50, 51], 4] = np.nan
    program = cpu.program_of(nodes, ("x",), nan)
    many, one = cpu.State(program, 9), cpu.State(program, 1)
    want = [np.empty(data.shape) for _ in nodes]
    many.feed([data], want)
    for begin, end in ((0, 1), (1, 40), (40, 41), (41, 200)):
        made = [np.empty((end - begin, 1)) for _ in nodes]
        one.feed([data[begin:end, 4:5]], made)
        for output, whole in zip(made, want, strict=True):
            np.testing.assert_array_equal(output, whole[begin:end, 4:5])
    np.testing.assert_array_equal(one.memory, many.memory[:, 4:5])


def test_kernel_whose_state_has_now_few_rows_and_now_others_is_refused():
    """Machine code for a single symbol holds a copy of a state of few rows, which all must be."""

    def pair(x: compiling.Matrix, out: compiling.Matrix, state: compiling.Matrix, width: int, period: int) -> None:
        """Serve as a kernel."""

    odd = compiling.kernel(rows=lambda period: 3 if period == 7 else 2)(pair)
    assert odd.rows_of((5,)) == 2
    with pytest.raises(TypeError, match="pair has 3 rows"):
        odd.rows_of((7,))
    assert compiling.kernel(rows=lambda period: period)(pair).rows_of((7,)) == 7
