"""Workers that die at work: what they had is done again, or the symbols at which they die are named."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import Any

import history_work as work
import numpy as np
import pytest
from clusters import dask_client  # noqa: F401  # fixture

import tradeutils as tu
from tradeutils.errors import HistoryError
from tradeutils.history import Selection
from tradeutils.history.tasks import each_group

# Before Python 3.13 the thread of a pool may fail itself where a process dies while the pool starts another.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

SYMBOLS = tuple(f"C{number}" for number in range(24))
STARTS = ("forkserver", "spawn")  # a fork of a process with threads may be born with a lock held


def _pool(start: str, workers: int = 2) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(start))


def _warm_pool(start: str) -> ProcessPoolExecutor:
    """Return a pool that has a process; the server that forks them may just be on its way out, and then comes anew."""
    for _ in range(50):
        pool = _pool(start)
        try:
            pool.submit(os.getpid).result()
        except ConnectionError:
            time.sleep(0.1)
        else:
            return pool
    raise AssertionError("no process could be started")


def _all_of(found: list[tuple[tuple[str, ...], Any]]) -> tuple[str, ...]:
    """Return every symbol that came back, in order; one that came twice is there twice."""
    return tuple(sorted(itertools.chain.from_iterable(symbols for symbols, _ in found), key=SYMBOLS.index))


@pytest.mark.parametrize("start", STARTS)
def test_killed_process_of_a_pool_costs_no_result(
    tmp_path: pathlib.Path, start: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGKILL in the middle of a task: a fresh pool does what was unfinished, each symbol comes back once."""
    with _pool(start) as pool, caplog.at_level(logging.WARNING, "tradeutils.history"):
        found = list(each_group(work.Dying(str(tmp_path), "C7", 1), SYMBOLS, executor=pool, group=2))
    assert _all_of(found) == SYMBOLS
    assert all(list(symbols) == result for symbols, result in found)
    assert len(list(tmp_path.iterdir())) == 1
    assert "done again by a fresh pool" in caplog.text


def test_two_deaths_in_a_row_cost_no_result(tmp_path: pathlib.Path) -> None:
    """The third try is made alone, and goes well; the others run side by side again after it."""
    with _pool("forkserver") as pool:
        found = list(each_group(work.Dying(str(tmp_path), "C7", 2), SYMBOLS, executor=pool, group=2, ordered=True))
    assert tuple(itertools.chain.from_iterable(symbols for symbols, _ in found)) == SYMBOLS


def test_symbols_that_kill_every_worker_are_named_and_no_others(tmp_path: pathlib.Path) -> None:
    """The last try is made alone, so those that died with it are not blamed; nothing is left running."""
    with _pool("forkserver") as pool, pytest.raises(HistoryError, match=r"workers died 3 times at C6, C7 \(") as caught:
        list(each_group(work.Dying(str(tmp_path), "C7", 100), SYMBOLS, executor=pool, group=2))
    assert caught.value.__cause__ is not None
    assert len(list(tmp_path.iterdir())) == 3
    assert multiprocessing.active_children() == []


def test_error_that_pickle_cannot_read_back_is_not_taken_for_a_death() -> None:
    """It breaks the pool as a death does; the message says what it was, and no word of memory."""
    with (
        _pool("forkserver") as pool,
        pytest.raises(HistoryError, match=r"came back .* for C7 .*made_of_two\(\)") as caught,
    ):
        list(each_group(work.RaisingWhatCannotCome("C7"), SYMBOLS, executor=pool, group=1))
    assert "memory" not in str(caught.value)
    assert "missing 1 required positional argument: 'of')" in str(caught.value)
    assert multiprocessing.active_children() == []


def test_worker_killed_from_outside_costs_no_result() -> None:
    """As the kernel does where memory runs out, at a moment of its own."""
    with _pool("spawn") as pool:
        run = each_group(work.where, SYMBOLS, executor=pool, group=1, ordered=True)
        (first,), (victim, _) = next(run)
        os.kill(victim, signal.SIGKILL)
        found = list(run)
    assert (first, *_all_of(found)) == SYMBOLS


def test_pool_that_was_broken_before_is_replaced(tmp_path: pathlib.Path) -> None:
    """It refuses every task, and the fresh one has its size and its way to start."""
    with _pool("forkserver", workers=1) as pool:
        broken = pool.submit(os.kill, 0, 0) and pool.submit(os._exit, 1)
        assert broken.exception() is not None
        found = list(each_group(work.where, SYMBOLS, executor=pool, group=4))
    assert _all_of(found) == SYMBOLS
    assert len({pid for _, (pid, _) in found}) == 1
    assert os.getpid() not in {pid for _, (pid, _) in found}


def test_leaving_early_after_a_death_leaves_no_process(tmp_path: pathlib.Path) -> None:
    """The fresh pool is ours to end."""
    before = threading.active_count()
    with _pool("forkserver") as pool:
        for symbols, _ in each_group(work.Dying(str(tmp_path), "C0", 1), SYMBOLS, executor=pool, group=1, ordered=True):
            assert symbols == ("C0",)
            break
        assert list(tmp_path.iterdir())
    assert multiprocessing.active_children() == []
    assert threading.active_count() == before


_UNGUARDED = """
import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from history_work import lengths
from tradeutils.history import Selection
from tradeutils.history.tasks import each_group

pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
print(list(each_group(lengths, ("A",), executor=pool)))
"""


def test_script_that_starts_itself_in_every_process_is_told_why(tmp_path: pathlib.Path) -> None:
    """A script without the guard breaks every pool: the run ends, and the message names the guard."""
    script = tmp_path / "script.py"
    script.write_text(_UNGUARDED, encoding="utf-8")
    tests = pathlib.Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert 'a script that starts processes without if __name__ == "__main__":' in done.stderr


@pytest.fixture
def selection(tmp_path: pathlib.Path) -> Selection:
    """Return candles on disk of all symbols, a day of minutes each."""
    with tu.History(tmp_path / "candles") as history:
        for number, symbol in enumerate(SYMBOLS):
            close, time = 100.0 + np.arange(1440) % (7 + number), 1_704_067_200_000 + np.arange(1440) * 60_000
            columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": np.ones(1440)}
            history.write(tu.Candles(exchange="binance", symbol=symbol, timeframe="1m", time=time, **columns))
        return history.select("binance", SYMBOLS, "1m")


@pytest.mark.parametrize("start", STARTS)
def test_killed_process_costs_no_column(tmp_path: pathlib.Path, selection: Selection, start: str) -> None:
    """A reader of candles dies in the middle: what it read is read again, and nothing in the store has changed."""
    with _pool(start) as pool:
        dying = work.DyingAt(str(tmp_path / "died"), "C9")
        found = list(selection.map(dying, executor=pool, group=3, ordered=True))
        assert found == [(SYMBOLS[n : n + 3], (1440, 3)) for n in range(0, 24, 3)]
    assert (tmp_path / "died").exists()


def test_indicators_of_a_pool_that_lost_a_process_are_the_same(selection: Selection) -> None:
    """The pool was broken before the first task; the numbers are those of the panel."""
    with _pool("spawn") as pool:
        pool.submit(os.getpid).result()
        os.kill(next(iter(pool._processes)), signal.SIGKILL)
        told = tu.Indicators(selection).compute(["rsi:14"], executor=pool)["rsi:14"]
    assert told.tobytes() == tu.Indicators(selection.panel()).rsi(14).tobytes()


@pytest.mark.parametrize("start", STARTS)
def test_pool_that_breaks_as_it_is_handed_a_task_can_be_shut_down(start: str) -> None:
    """A process that it starts then is not among those which it ends, and would wait for ever."""
    for _ in range(8):
        pool = _warm_pool(start)
        os.kill(next(iter(pool._processes)), signal.SIGKILL)
        assert _all_of(list(each_group(work.lengths, SYMBOLS[:2], executor=pool, group=1))) == SYMBOLS[:2]
        ending = threading.Thread(target=pool.shutdown, daemon=True)
        ending.start()
        ending.join(60)
        assert not ending.is_alive()


@pytest.mark.parametrize(
    "error",
    [OSError("handle is closed"), EOFError("unexpected EOF"), ValueError("bad value(s) in fds_to_keep")],
    ids=lambda error: type(error).__name__,
)
def test_pool_that_breaks_while_it_starts_a_process_is_replaced(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It has then closed what that process would be given; an error of a sound pool is the caller's to see."""
    with _pool("forkserver", workers=1) as pool:
        sound = pool.submit(os.getpid).result()
        assert sound

        def close(*_: object) -> None:
            raise error

        monkeypatch.setattr(pool, "submit", close)
        with pytest.raises(type(error), match=re.escape(str(error))):
            list(each_group(work.lengths, SYMBOLS, executor=pool, group=6))
        monkeypatch.undo()
        assert pool.submit(os._exit, 1).exception() is not None
        monkeypatch.setattr(pool, "_processes", {})  # as if none had died yet
        monkeypatch.setattr(pool, "submit", close)
        assert _all_of(list(each_group(work.lengths, SYMBOLS, executor=pool, group=6))) == SYMBOLS


def test_forking_server_that_is_on_its_way_out_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It died where another pool broke amid a start, and refuses all until the next start has found it gone."""
    monkeypatch.setattr("tradeutils.history.executors._PAUSE", 0.05)
    with _pool("forkserver", workers=1) as pool:

        def refuse(*_: object) -> None:
            raise ConnectionRefusedError("Connection refused")

        monkeypatch.setattr(pool, "submit", refuse)
        assert _all_of(list(each_group(work.lengths, SYMBOLS, executor=pool, group=6))) == SYMBOLS


def test_task_that_a_replaced_pool_forgot_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next task was refused, so that there is a fresh pool by now; the first would be waited for for ever."""
    monkeypatch.setattr("tradeutils.history.tasks._SILENCE", 0.05)
    forgotten: list[Future[None]] = []

    def forget(*_: object) -> Future[None]:
        if forgotten:
            raise BrokenExecutor("a process has died")
        forgotten.append(Future())
        return forgotten[-1]

    with _pool("forkserver", workers=2) as pool:
        monkeypatch.setattr(pool, "submit", forget)
        assert _all_of(list(each_group(work.lengths, SYMBOLS, executor=pool, group=6))) == SYMBOLS
    assert forgotten


def test_task_that_a_breaking_pool_forgot_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took the task after it had told all others that it is broken, and tells nobody else."""
    monkeypatch.setattr("tradeutils.history.tasks._SILENCE", 0.05)
    forgotten: list[Future[None]] = []

    def forget(*_: object) -> Future[None]:
        forgotten.append(Future())
        return forgotten[-1]

    with _pool("forkserver", workers=1) as pool:
        assert pool.submit(os._exit, 1).exception() is not None
        monkeypatch.setattr(pool, "_processes", {})  # as if none had died yet
        monkeypatch.setattr(pool, "submit", forget)
        assert _all_of(list(each_group(work.lengths, SYMBOLS, executor=pool, group=6))) == SYMBOLS
    assert forgotten


def test_killed_worker_of_a_cluster_costs_no_column(
    tmp_path: pathlib.Path,
    selection: Selection,
    dask_client: Any,  # noqa: F811
) -> None:
    """The same on a cluster."""
    dying = work.DyingAt(str(tmp_path / "died"), "C9")
    found = list(selection.map(dying, executor=dask_client, group=3, ordered=True))
    assert found == [(SYMBOLS[n : n + 3], (1440, 3)) for n in range(0, 24, 3)]
    assert (tmp_path / "died").exists()


def test_killed_worker_of_a_cluster_costs_no_result(tmp_path: pathlib.Path, dask_client: Any) -> None:  # noqa: F811
    """The task is handed out again, and the cluster starts another worker."""
    found = list(each_group(work.Dying(str(tmp_path), "C7", 1), SYMBOLS, executor=dask_client, group=2))
    assert _all_of(found) == SYMBOLS
    assert len(list(tmp_path.iterdir())) == 1


def test_symbols_that_kill_every_worker_of_a_cluster_are_named(tmp_path: pathlib.Path, dask_client: Any) -> None:  # noqa: F811
    """Three tries, then an error; the cluster goes on."""
    with pytest.raises(HistoryError, match=r"workers died 3 times at C6, C7 \("):
        list(each_group(work.Dying(str(tmp_path), "C7", 100), SYMBOLS, executor=dask_client, group=2))
    found = list(each_group(work.lengths, SYMBOLS, executor=dask_client, group=12))
    assert _all_of(found) == SYMBOLS


def test_error_on_a_cluster_names_its_symbols(dask_client: Any) -> None:  # noqa: F811
    """It has the class it was raised with."""
    with pytest.raises(LookupError, match="nothing known of C5") as caught:
        list(each_group(work.Raising("C5"), SYMBOLS, executor=dask_client, group=1))
    assert caught.value.__notes__ == ["at C5"]


def test_leaving_a_cluster_early_cancels_what_is_queued(tmp_path: pathlib.Path, dask_client: Any) -> None:  # noqa: F811
    """The scheduler forgets the rest."""
    for _ in each_group(work.Marking(str(tmp_path), 0.05), SYMBOLS, executor=dask_client, group=1):
        break
    assert len(list(tmp_path.iterdir())) < 8
    assert dask_client.futures == {}


def test_client_that_is_closed_meanwhile_ends_the_run(dask_client: Any) -> None:  # noqa: F811
    """It does not wait for ever, and says what to do; another client of the cluster works on."""
    import distributed

    with distributed.Client(dask_client.cluster.scheduler_address, set_as_default=False) as other:
        run = each_group(work.Slow(0.02), SYMBOLS, executor=other, group=1)
        next(run)
        other.close()
        with pytest.raises(HistoryError, match="connection to the cluster was closed"):
            list(run)
    assert len(list(each_group(work.lengths, SYMBOLS, executor=dask_client, group=12))) == 2
