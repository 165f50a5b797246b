"""Tasks of a history: groups that last long enough, results that stream back, errors and deaths that name symbols."""

from __future__ import annotations

import functools
import gc
import itertools
import logging
import multiprocessing
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import history_work as work
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import HistoryError, UsageError
from tradeutils.history.executors import check_function
from tradeutils.history.grouping import SHORTEST, Groups
from tradeutils.history.tasks import TRIES, each_group

SYMBOLS = tuple(f"C{number}" for number in range(40))


def _spawned(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _forked(workers: int) -> ProcessPoolExecutor:
    # Off a server: a child of a process with threads may be born with a lock held.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("forkserver"))


POOLS: dict[str, Callable[[int], Executor]] = {"threads": ThreadPoolExecutor, "spawn": _spawned, "forked": _forked}


@pytest.fixture(params=["here", *POOLS], scope="module")  # so that all tests of a kind share its processes
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    """Return each kind of executor in turn."""
    if request.param == "here":
        yield None
        return
    with POOLS[request.param](2) as pool:
        yield pool


def _pending(pool: ProcessPoolExecutor) -> int:
    return len(pool._pending_work_items)


# Grouping.


def _sizes(groups: Groups, seconds: float, workers: int = 2) -> list[int]:
    """Take all groups, each measured before the next."""
    sizes = []
    while symbols := groups.take(workers):
        sizes.append(len(symbols))
        groups.learn(len(symbols), seconds * len(symbols))
    return sizes


def test_quick_symbols_are_grouped_until_a_task_is_long_enough() -> None:
    """A millisecond each: once measured, a task takes 50 symbols or more, but for the last."""
    sizes = _sizes(Groups([str(n) for n in range(1000)]), 0.001)
    assert sum(sizes) == 1000
    grown = sizes[sizes.index(64) :] if 64 in sizes else sizes[4:]
    assert sizes[0] == 1
    assert all(size * 0.001 >= SHORTEST for size in grown[:-1])


def test_slow_symbols_are_tasks_of_their_own() -> None:
    """A symbol of a second needs no company."""
    assert _sizes(Groups(SYMBOLS), 1.0) == [1] * 40


def test_groups_grow_step_by_step() -> None:
    """However quick the first symbols were, the next group is no more than four times as large."""
    sizes = _sizes(Groups([str(n) for n in range(5000)]), 1e-6)
    assert all(after <= 4 * before for before, after in itertools.pairwise(sizes))
    assert max(sizes) > 1000


def test_last_groups_are_shared_among_the_workers() -> None:
    """With 12.5 ms each and eight workers the rest is dealt out, in tasks that are not too short."""
    groups = Groups([str(n) for n in range(64)])
    for _ in range(9):
        groups.learn(8, 8 * SHORTEST / 4)
    assert [len(groups.take(8)) for _ in range(3)] == [8, 7, 7]
    groups = Groups([str(n) for n in range(16)])
    groups.learn(8, 8 * SHORTEST / 4)
    assert len(groups.take(8)) == 4  # a share of two would last 25 ms


def test_one_slow_start_does_not_keep_groups_small() -> None:
    """The first task of a process imports, and may compile; the median of several does not mind."""
    groups = Groups([str(n) for n in range(1000)])
    groups.learn(1, 2.0)
    for _ in range(2):
        groups.learn(1, 0.001)
    assert len(groups.take(2)) == 4


def test_memory_bounds_a_group() -> None:
    """Never more symbols than fit, however quick they are, nor if more are asked for."""
    assert max(_sizes(Groups(SYMBOLS, most=3), 1e-6)) == 3
    assert max(_sizes(Groups(SYMBOLS, size=10, most=3), 1e-6)) == 3


def test_time_of_nothing_is_no_fault() -> None:
    """A clock that has not moved between two looks makes no group of all symbols, and divides nothing by zero."""
    groups = Groups(SYMBOLS)
    groups.learn(1, 0.0)
    assert len(groups.take(1)) == 4


@given(
    count=st.integers(0, 300),
    workers=st.integers(1, 70),
    most=st.none() | st.integers(1, 50),
    times=st.lists(st.floats(0, 100), min_size=1, max_size=20),
)
def test_groups_are_a_partition_whatever_is_measured(
    count: int, workers: int, most: int | None, times: list[float]
) -> None:
    """Every symbol is in one group, in order, and no group is empty or larger than allowed."""
    groups, told = Groups([str(n) for n in range(count)], most=most), itertools.cycle(times)
    found: list[str] = []
    while symbols := groups.take(workers):
        assert 1 <= len(symbols) <= (most or count)
        found += symbols
        groups.learn(len(symbols), next(told))
    assert found == [str(n) for n in range(count)]
    assert groups.left == 0


# Every executor.


def test_every_symbol_is_worked_on_once(executor: Executor | None) -> None:
    """Groups follow each other in the order of the symbols, whoever works."""
    found = list(each_group(work.lengths, SYMBOLS, executor=executor, group=7))
    assert sorted(found) == sorted((SYMBOLS[n : n + 7], work.lengths(SYMBOLS[n : n + 7])) for n in range(0, 40, 7))


def test_ordered_results_come_in_the_order_of_the_symbols(executor: Executor | None) -> None:
    """Though the first group is the slowest."""
    slow_first = work.Slow(0.001)
    found = [symbols for symbols, _ in each_group(slow_first, SYMBOLS, executor=executor, group=3, ordered=True)]
    assert tuple(itertools.chain.from_iterable(found)) == SYMBOLS


def test_measured_groups_cover_all_symbols(executor: Executor | None) -> None:
    """Without a size the groups are as they come, and nothing is left out or doubled."""
    found = [symbols for symbols, _ in each_group(work.lengths, SYMBOLS, executor=executor, ordered=True)]
    assert tuple(itertools.chain.from_iterable(found)) == SYMBOLS
    assert len(found) < len(SYMBOLS)


def test_no_symbols_are_no_work(executor: Executor | None) -> None:
    """Nothing is handed out, and nothing comes."""
    assert list(each_group(work.lengths, (), executor=executor)) == []


def test_error_names_its_symbols_and_keeps_its_class(executor: Executor | None) -> None:
    """What the function raised is what the caller catches; a note says where it was."""
    with pytest.raises(LookupError, match="nothing known of C21") as caught:
        list(each_group(work.Raising("C21"), SYMBOLS, executor=executor, group=2))
    assert caught.value.__notes__ == ["at C20, C21"]


def test_pool_of_the_caller_stays_open(executor: Executor | None) -> None:
    """It can be used again, after a run and after a failed one."""
    for name in ("C3", "none"):
        run = each_group(work.Raising(name), SYMBOLS, executor=executor, group=5)
        if name == "none":
            assert len(list(run)) == 8
        else:
            with pytest.raises(LookupError):
                list(run)


def test_long_lists_of_symbols_are_cut_in_messages() -> None:
    """Eight names, and how many more."""
    with pytest.raises(LookupError) as caught:
        list(each_group(work.Raising("C21"), SYMBOLS, group=30))
    assert caught.value.__notes__ == ["at C0, C1, C2, C3, C4, C5, C6, C7 and 22 more"]


def test_work_here_is_done_as_it_is_asked_for(tmp_path: pathlib.Path) -> None:
    """Without an executor nothing is computed ahead, and nothing at all before the first is asked for."""
    run = each_group(work.Marking(str(tmp_path), 0), SYMBOLS, group=1)
    assert list(tmp_path.iterdir()) == []
    next(run)
    assert [path.name for path in tmp_path.iterdir()] == ["C0"]


def test_work_runs_where_the_executor_is() -> None:
    """A pool of threads works in its own threads, two of them side by side."""
    with ThreadPoolExecutor(2) as pool:
        found = {told for _, told in each_group(work.where, SYMBOLS, executor=pool, group=1)}
    assert threading.get_ident() not in {thread for _, thread in found}


# Bounds and endings.


def test_no_more_is_handed_out_than_workers_can_take(tmp_path: pathlib.Path) -> None:
    """Two groups a worker are under way or done and not asked for; the rest waits for the caller."""
    with ThreadPoolExecutor(2) as pool:
        run = each_group(work.Marking(str(tmp_path), 0), SYMBOLS, executor=pool, group=1)
        next(run)
        time.sleep(0.2)
        assert len(list(tmp_path.iterdir())) <= 5
        assert len(list(run)) == 39


def test_ordered_results_do_not_pile_up_behind_a_slow_one(tmp_path: pathlib.Path) -> None:
    """While the first group is at work the others do not run to the end."""
    gate = threading.Event()

    def hold(symbols: tuple[str, ...]) -> int:
        (tmp_path / symbols[0]).touch()
        return gate.wait(10) if symbols == ("C0",) else 0

    with ThreadPoolExecutor(2) as pool:
        run = each_group(hold, SYMBOLS, executor=pool, group=1, ordered=True)
        first: list[Any] = []
        reader = threading.Thread(target=lambda: first.append(next(run)))
        reader.start()
        time.sleep(0.2)
        begun = len(list(tmp_path.iterdir()))
        gate.set()
        reader.join()
        assert first[0][0] == ("C0",)
        assert begun <= 4
        assert len(list(run)) == 39


@pytest.mark.parametrize("kind", ["forked", "threads"])
def test_leaving_early_cancels_what_is_queued(tmp_path: pathlib.Path, kind: str) -> None:
    """After a break nothing more is begun, and when it is over nothing is under way."""
    with POOLS[kind](2) as pool:
        for _ in each_group(work.Marking(str(tmp_path), 0.05), SYMBOLS, executor=pool, group=1):
            break
        gc.collect()
        begun = len(list(tmp_path.iterdir()))
        assert begun < 12
        time.sleep(0.2)
        assert len(list(tmp_path.iterdir())) == begun
        if isinstance(pool, ProcessPoolExecutor):
            deadline = time.monotonic() + 20
            while _pending(pool) and time.monotonic() < deadline:  # a thread of the pool drops what was cancelled
                time.sleep(0.01)
            assert _pending(pool) == 0


def test_an_error_cancels_the_rest(tmp_path: pathlib.Path) -> None:
    """The others do not go on behind the caller's back."""
    marking = work.Marking(str(tmp_path), 0.02)

    def mark_or_raise(symbols: tuple[str, ...]) -> int:
        return work.Raising("C1")(symbols) + marking(symbols)

    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(LookupError):
            list(each_group(mark_or_raise, SYMBOLS, executor=pool, group=1))
        begun = len(list(tmp_path.iterdir()))
        time.sleep(0.1)
        assert len(list(tmp_path.iterdir())) == begun < 8


def test_errors_of_the_caller_end_the_run(tmp_path: pathlib.Path) -> None:
    """What is thrown into it comes back out, once the rest is cancelled."""
    with ThreadPoolExecutor(2) as pool:
        run = each_group(work.Marking(str(tmp_path), 0.02), SYMBOLS, executor=pool, group=1)
        next(run)
        with pytest.raises(ZeroDivisionError):
            run.throw(ZeroDivisionError)
        begun = len(list(tmp_path.iterdir()))
        time.sleep(0.1)
        assert len(list(tmp_path.iterdir())) == begun < 8


# What is refused.


@pytest.mark.parametrize("group", [0, -1, 1.5, True, "3"])
def test_group_that_is_no_number_of_symbols_is_refused(group: Any) -> None:
    """Before anything is handed out."""
    with pytest.raises(UsageError, match="group was"):
        each_group(work.lengths, SYMBOLS, group=group)


class _LocalCluster:
    """Has what Dask's clusters have, which are no clients."""

    def get_client(self) -> None:
        """Return nothing."""


class _AsynchronousClient:
    """Has what a client has that answers with coroutines."""

    asynchronous = True

    def get_executor(self, **options: Any) -> None:
        """Return nothing."""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (4, "executor was int; give a ThreadPoolExecutor"),
        (_LocalCluster(), r"executor=Client\(cluster\)"),
        (_AsynchronousClient(), "without asynchronous=True"),
        (ThreadPoolExecutor, r"the class ThreadPoolExecutor; make one: executor=ThreadPoolExecutor\("),
        (_AsynchronousClient, "the class _AsynchronousClient"),
    ],
    ids=["number", "cluster", "asynchronous", "class-of-a-pool", "class-of-a-client"],
)
def test_what_is_no_executor_is_refused(given: Any, said: str) -> None:
    """The message says what to give."""
    with pytest.raises(UsageError, match=said):
        each_group(work.lengths, SYMBOLS, executor=given)


def test_executor_that_is_shut_down_is_refused() -> None:
    """Not by a bare RuntimeError."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(UsageError, match="give one that is not shut down"):
        list(each_group(work.lengths, SYMBOLS, executor=pool))


def test_function_that_other_processes_cannot_import_is_refused() -> None:
    """A lambda, a function inside another, a partial of one, a method of a local class: each says what to write."""

    def local(symbols: object) -> None: ...

    class Local:
        def method(self, symbols: object) -> None: ...

        def __call__(self, symbols: object) -> None: ...

    with _spawned(1) as pool:
        for function in (lambda _: 0, local, functools.partial(functools.partial(local)), Local().method, Local()):
            with pytest.raises(UsageError, match="write it with def at the top of a module"):
                check_function(function, pool)
        for good in (work.lengths, work.Slow(1.0), functools.partial(work.widest_range, field="open"), len, str.upper):
            check_function(good, pool)
    with ThreadPoolExecutor(1) as threads:
        check_function(local, threads)
    check_function(local, None)


def test_function_that_cannot_be_called_is_refused() -> None:
    """A name of one, for instance."""
    with pytest.raises(UsageError, match="function was 'rsi'"):
        check_function("rsi", None)  # type: ignore[arg-type]


def test_function_typed_in_by_hand_cannot_go_to_fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is started afresh has no file to import it from; a forked one has it already."""
    monkeypatch.delattr("__main__.__file__", raising=False)  # a test process of xdist has none
    typed = type("Typed", (), {"__call__": lambda self, symbols: 0, "__module__": "__main__"})()
    forking = multiprocessing.get_context("fork")  # nothing is submitted, so nothing is forked
    with _spawned(1) as spawned, ProcessPoolExecutor(1, mp_context=forking) as forked:
        with pytest.raises(UsageError, match="typed in by hand"):
            check_function(typed, spawned)
        check_function(typed, forked)


# Executors that are nobody's pool.


class _Told(Executor):
    """Does each task at once and tells how it ended; breaks, or loses the future, at those that it is told to."""

    def __init__(self, broken: int = 0, lost: int = 0) -> None:
        self.broken, self.lost, self.submitted = broken, lost, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it, or not."""
        self.submitted += 1
        future: Future[Any] = Future()
        if self.submitted <= self.lost:
            future.cancel()
            future.set_running_or_notify_cancel()
        elif self.submitted <= self.broken:
            future.set_exception(BrokenExecutor("its worker is gone"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_any_executor_will_do() -> None:
    """What has ``submit`` and gives futures is enough."""
    told = _Told()
    assert len(list(each_group(work.lengths, SYMBOLS, executor=told, group=10))) == 4
    assert told.submitted == 4


def test_futures_that_were_lost_are_handed_out_again() -> None:
    """A cluster that forgets a task cancels its future, though nobody here has."""
    told = _Told(lost=2)
    found = list(each_group(work.lengths, SYMBOLS, executor=told, group=10, ordered=True))
    assert [symbols[0] for symbols, _ in found] == ["C0", "C10", "C20", "C30"]


def test_broken_executor_of_an_unknown_kind_is_replaced_by_this_process(caplog: pytest.LogCaptureFixture) -> None:
    """What it did not do is done here, on one thread, and the log says so."""
    before = threading.active_count()
    with caplog.at_level(logging.WARNING, "tradeutils.history"):
        found = list(each_group(work.where, SYMBOLS, executor=_Told(broken=1), group=10))
    assert len(found) == 4
    assert "_Told broke (its worker is gone): the rest runs in this process" in caplog.text
    assert threading.active_count() == before


def test_pool_that_is_shut_down_meanwhile_ends_the_run() -> None:
    """Who shuts it down means it: what was cancelled is not done elsewhere."""
    with ThreadPoolExecutor(1) as pool:
        run = each_group(work.Slow(0.05), SYMBOLS, executor=pool, group=1)
        next(run)
        pool.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(UsageError, match="give one that is not shut down"):
            list(run)


def test_broken_pool_that_cannot_be_copied_is_replaced_by_this_process(caplog: pytest.LogCaptureFixture) -> None:
    """What a pool was made of is known by names that a future Python may not have."""
    with _forked(1) as pool:
        assert pool.submit(os._exit, 1).exception() is not None
        del pool._initializer
        with caplog.at_level(logging.WARNING, "tradeutils.history"):
            found = list(each_group(work.where, SYMBOLS, executor=pool, group=10))
    assert {pid for _, (pid, _) in found} == {os.getpid()}
    assert "the rest runs in this process" in caplog.text


class _Forgetful:
    """Stands for a cluster whose every task is lost."""

    def __init__(self) -> None:
        self.executor = _Told(lost=10**6)

    def get_executor(self, **options: Any) -> Executor:
        """Return the one executor."""
        return self.executor


def test_work_that_is_lost_each_time_ends_in_an_error_that_names_it() -> None:
    """Three tries, no more; and no other executor is made in the place of a cluster."""
    cluster = _Forgetful()
    with pytest.raises(HistoryError, match=f"workers died {TRIES} times at C0, C1"):
        list(each_group(work.lengths, SYMBOLS[:2], executor=cluster, group=2))
    assert cluster.executor.submitted == TRIES
