"""Indicators and analyses of candles on disk: the same numbers here, on threads, on processes and on a cluster."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import history_work as work
import numpy as np
import pytest
from clusters import dask_client  # noqa: F401  # fixture
from numpy.testing import assert_array_equal

import tradeutils as tu
from tradeutils import indicators
from tradeutils.analysis import levels, patterns, quality, trend
from tradeutils.errors import HistoryError, UnknownName, UsageError
from tradeutils.history import Selection
from tradeutils.indicators.threads import thread_count, threads_at_most
from tradeutils.model.stored import Stored

MINUTE = 60_000
START = 1_706_600_040_000  # 2024-01-30 07:34: the range goes over the end of a month
BARS = 3000
SYMBOLS = tuple(f"{name}/USDT" for name in "ABCDEFGHIJ")
SPECS = ["rsi:14", "ema:20", "macd:12,26,9", "bbands:20,2", "atr:14", "obv", "adx:14"]
KINDS = ("here", "threads", "processes", "cluster")


def _candles(symbol: str, number: int) -> tu.Candles:
    """Return a walk with holes; each symbol begins later than the one before."""
    random = np.random.default_rng(number)
    kept = np.sort(random.choice(BARS - 50 * number, BARS - 50 * number - 20, replace=False)) + 50 * number
    close = 100.0 * np.exp(np.cumsum(random.normal(0, 0.002, len(kept))))
    opened = close * np.exp(random.normal(0, 0.001, len(kept)))
    return tu.Candles(
        exchange="binance",
        symbol=symbol,
        timeframe="1m",
        time=START + kept * MINUTE,
        open=opened,
        high=np.maximum(opened, close) * 1.001,
        low=np.minimum(opened, close) * 0.999,
        close=close,
        volume=random.uniform(1, 100, len(kept)).round(3),
    )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tu.History]:
    """Return a history of ten symbols, of which half lie in journals yet."""
    with tu.History(tmp_path_factory.mktemp("candles")) as history:
        for number, symbol in enumerate(SYMBOLS):
            candles = _candles(symbol, number)
            history.write(candles[:2000])
            history.write(candles[2000:])
            if number % 2:
                history.seal()
        yield history


@pytest.fixture(scope="module")
def selection(history: tu.History) -> Selection:
    return history.select("binance", None, "1m")


@pytest.fixture(scope="module")
def panel(history: tu.History) -> tu.Panel:
    return history.panel("binance", SYMBOLS, "1m")


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Return a pool that starts its processes afresh."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(params=KINDS)
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return each kind of executor in turn."""
    if request.param == "here":
        yield None
    elif request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        yield request.getfixturevalue({"processes": "processes", "cluster": "dask_client"}[request.param])


def _assert_same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype
        assert found[key].tobytes() == array.tobytes(), key


# Indicators.


def test_indicators_are_those_of_the_panel_bit_for_bit(selection: Selection, panel: tu.Panel, executor: Any) -> None:
    """Wherever they are computed, and in whatever groups."""
    _assert_same(tu.Indicators(selection).compute(SPECS, executor=executor), tu.Indicators(panel).compute(SPECS))


def test_newest_rows_are_those_of_the_panel(selection: Selection, panel: tu.Panel, executor: Any) -> None:
    """Only they travel."""
    found = tu.Indicators(selection).compute(SPECS, tail=2, executor=executor)
    _assert_same(found, tu.Indicators(panel).compute(SPECS, tail=2))
    assert found["rsi:14"].shape == (2, 10)


def test_options_reach_the_workers(selection: Selection, panel: tu.Panel, processes: Executor) -> None:
    """What a missing bar does, whose definition, which dtype, how many threads."""
    options: dict[str, Any] = {"nan": "hold", "compat": "tradingview", "dtype": np.float32, "threads": 2}
    found = indicators.compute(selection, SPECS, executor=processes, **options)
    _assert_same(found, indicators.compute(panel, SPECS, **options))


def test_results_fill_arrays_that_are_given(selection: Selection, panel: tu.Panel) -> None:
    """As for data in memory, and only if they fit."""
    given = {"rsi:14": np.empty(panel.shape)}
    with ThreadPoolExecutor(2) as pool:
        found = tu.Indicators(selection).compute(["rsi:14", "sma:5"], out=given, executor=pool)
    assert found["rsi:14"] is given["rsi:14"]
    _assert_same(found, tu.Indicators(panel).compute(["rsi:14", "sma:5"]))
    with pytest.raises(UsageError, match=r"out for rsi:14 was float64 \(3, 10\)"):
        tu.Indicators(selection).compute(["rsi:14"], out={"rsi:14": np.empty((3, 10))})


def test_methods_read_what_they_need(selection: Selection, panel: tu.Panel) -> None:
    """An indicator by its method, of one output and of several."""
    assert_array_equal(tu.Indicators(selection).rsi(7), tu.Indicators(panel).rsi(7))
    found, expected = tu.Indicators(selection).macd(5, 13, 4), tu.Indicators(panel).macd(5, 13, 4)
    assert type(found) is type(expected)
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


def test_no_specs_are_no_work(selection: Selection) -> None:
    """Nothing is read for nothing."""
    gone = dataclasses.replace(selection, path="/nowhere")
    assert tu.Indicators(gone).compute([]) == {}


def test_slips_are_told_before_anything_is_read(selection: Selection) -> None:
    """An unknown indicator, and a tail that is none."""
    gone = dataclasses.replace(selection, path="/nowhere")
    with pytest.raises(UnknownName, match="did you mean rsi"):
        tu.Indicators(gone).compute(["rsii:14"])
    with pytest.raises(UsageError, match="tail was -1"):
        tu.Indicators(gone).compute(["rsi:14"], tail=-1)


def test_executor_for_data_in_memory_is_refused(panel: tu.Panel) -> None:
    """The message names the way that works."""
    pool = ThreadPoolExecutor(1)
    calls: list[Callable[[], object]] = [
        lambda: tu.Indicators(panel).compute(["rsi:14"], executor=pool),
        lambda: indicators.compute(panel.close, ["rsi:14"], executor=pool),
        lambda: indicators.compute(panel.to_frame(), ["rsi:14"], executor=pool),
        lambda: trend.regime(panel, executor=pool),
        lambda: trend.regression(panel.close.tolist(), executor=pool),
        lambda: quality.check(panel, executor=pool),
        lambda: patterns.find(panel, executor=pool),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=r"give history\.select\("):
            call()


# Analyses.

ANALYSES: dict[str, Callable[..., Any]] = {
    "regime": functools.partial(trend.regime, emas=(5, 10, 20)),
    "volatility": functools.partial(trend.volatility_regime, lookback=50),
    "regression": trend.regression,
    "breakouts": functools.partial(trend.breakouts, volume=1.5),
    "divergence": trend.divergence,
    "swings": levels.swings,
    "zigzag": levels.zigzag,
    "levels": levels.support_resistance,
    "pivot points": functools.partial(levels.pivot_points, session="4h"),
    "profile": levels.volume_profile,
    "value areas": functools.partial(levels.value_areas, window=30),
}


def _leaves(value: Any) -> Iterator[Any]:
    """Yield what a result is made of."""
    if isinstance(value, tuple):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


@pytest.mark.parametrize("name", list(ANALYSES))
def test_analyses_are_those_of_the_panel(selection: Selection, panel: tu.Panel, name: str) -> None:
    """Joined in the order of the symbols, in the same kind of result."""
    with ThreadPoolExecutor(2) as pool:
        found = ANALYSES[name](selection, executor=pool)
    expected = ANALYSES[name](panel)
    assert type(found) is type(expected)
    ours, theirs = list(_leaves(found)), list(_leaves(expected))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert_array_equal(one, other)


def test_analyses_run_on_every_executor(selection: Selection, panel: tu.Panel, executor: Any) -> None:
    """With their options, by position and by name."""
    found = levels.swings(selection, 3, right=4, executor=executor)
    for one, other in zip(found, levels.swings(panel, 3, right=4), strict=True):
        assert_array_equal(one, other)


def test_patterns_are_those_of_the_panel(selection: Selection, panel: tu.Panel, executor: Any) -> None:
    """All 61, of the newest rows, and as hits."""
    found, expected = patterns.find(selection, tail=500, executor=executor), patterns.find(panel, tail=500)
    assert found == expected
    assert found.symbols == SYMBOLS
    assert list(found.rows()) == list(expected.rows())
    assert sum(found.counts().values()) > 100


def test_quality_is_judged_symbol_by_symbol(history: tu.History, selection: Selection, executor: Any) -> None:
    """One report of all, with the findings that each has by itself."""
    limits = quality.Limits(frozen_bars=2)
    report = quality.check(selection, limits=limits, executor=executor)
    alone = [quality.check(history.read("binance", symbol, "1m"), limits=limits) for symbol in SYMBOLS]
    assert report.symbols == SYMBOLS
    assert report.findings == tuple(finding for one in alone for finding in one.findings)
    assert report.rows == sum(one.rows for one in alone)
    assert (report.since, report.until) == (min(o.since for o in alone), max(o.until for o in alone))  # type: ignore[type-var]
    assert (report.exchange, report.timeframe) == ("binance", "1m")
    assert {finding.symbol for finding in report.findings if finding.kind == "gap"} == set(SYMBOLS)


def test_quality_of_an_empty_range_is_clean(history: tu.History) -> None:
    """No rows, no times, no findings."""
    nothing = history.select("binance", SYMBOLS[:2], "1m", START - 10 * MINUTE, START - 5 * MINUTE)
    report = quality.check(nothing)
    assert (report.clean, report.rows, report.since, report.until) == (True, 0, None, None)


# Functions of one's own.


def test_own_functions_get_panels_of_all_bars(selection: Selection, panel: tu.Panel, executor: Any) -> None:
    """Each group has every row, though a symbol begins later; options go by partial."""
    shapes = list(selection.map(work.panel_shape, executor=executor, group=3, ordered=True))
    assert shapes == [(SYMBOLS[n : n + 3], (BARS, min(3, 10 - n))) for n in range(0, 10, 3)]
    widest = functools.partial(work.widest_range, field="open", scale=2.0)
    found = [widths for _, widths in selection.map(widest, executor=executor, ordered=True)]
    assert_array_equal(np.concatenate(found), work.widest_range(panel, "open", scale=2.0))


def test_own_functions_get_candles_one_symbol_at_a_time(
    history: tu.History, selection: Selection, executor: Any
) -> None:
    """A task takes several symbols, and each result comes with its own."""
    found = list(selection.map(work.rows_of, executor=executor, whole="candles", group=4, ordered=True))
    assert found == [((symbol,), (symbol, len(history.read("binance", symbol, "1m")))) for symbol in SYMBOLS]


def test_candles_may_be_left_early(selection: Selection) -> None:
    """In the middle of a task's symbols: the rest is cancelled."""
    seen: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        noting = selection.map(lambda candles: seen.append(candles.symbol), executor=pool, whole="candles", group=2)
        next(noting)
        noting.close()  # type: ignore[attr-defined]
        begun = len(seen)
        pool.submit(int).result()  # whatever was queued before is over
        assert len(seen) == begun < len(SYMBOLS)


def test_error_of_a_function_names_its_symbols(selection: Selection, executor: Any) -> None:
    """It keeps its class."""
    with pytest.raises(ValueError, match="C is not wanted") as caught:
        list(selection.map(work.no_panel, executor=executor, group=3))
    assert caught.value.__notes__ == ["at A/USDT, B/USDT, C/USDT"]


def test_workers_compute_on_one_thread_each(selection: Selection, executor: Any) -> None:
    """They share the cores; who computes here has them all."""
    found = [told for _, told in selection.map(work.threads_of, executor=executor, group=1)]
    assert {threads for _, threads in found} == {thread_count(None) if executor is None else 1}
    if isinstance(executor, ThreadPoolExecutor) or executor is None:
        assert {process for process, _ in found} == {os.getpid()}
    else:
        assert os.getpid() not in {process for process, _ in found}


def test_threads_that_are_asked_for_are_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is for what does not say how many."""
    monkeypatch.setenv("TRADEUTILS_THREADS", "6")
    with threads_at_most(4):
        assert (thread_count(None), thread_count(9)) == (4, 9)
        monkeypatch.setenv("TRADEUTILS_THREADS", "2")
        assert thread_count(None) == 2
    monkeypatch.setenv("TRADEUTILS_THREADS", "6")
    assert thread_count(None) == 6


def test_lambda_goes_to_threads_and_not_to_processes(selection: Selection, processes: Executor) -> None:
    """The refusal says what to write; it comes before anything is read."""
    with ThreadPoolExecutor(2) as pool:
        assert len(list(selection.map(lambda panel: panel.shape, executor=pool, group=5))) == 2
    with pytest.raises(UsageError, match=r"functools\.partial\(function, period=14\)"):
        selection.map(lambda panel: panel.shape, executor=processes)


def test_what_is_asked_wrong_is_refused_at_once(selection: Selection) -> None:
    """Before the first result is asked for."""
    with pytest.raises(UnknownName, match="whole was 'frame'"):
        selection.map(work.panel_shape, whole="frame")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="group was 0"):
        selection.map(work.panel_shape, group=0)
    with pytest.raises(UsageError, match="executor was str"):
        selection.map(work.panel_shape, executor="dask")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="function was None"):
        selection.map(None)  # type: ignore[arg-type]


# Selections.

RANGES: dict[str, dict[str, Any]] = {
    "all": {},
    "since": {"since": START + 1000 * MINUTE + 1},
    "until": {"until": START + 1000 * MINUTE + 1},
    "both": {"since": START - 5 * MINUTE, "until": START + (BARS + 5) * MINUTE},
    "limit": {"limit": 77},
    "limit until": {"limit": 77, "until": START + 2000 * MINUTE},
    "nothing": {"since": START + 2 * BARS * MINUTE},
}


@pytest.mark.parametrize("name", list(RANGES))
def test_selection_is_the_panel_of_the_same_range(history: tu.History, name: str) -> None:
    """Its shape is known before it is read, and its candles are those that ``read`` returns."""
    selection = history.select("binance", SYMBOLS[:3], "1m", **RANGES[name])
    expected = history.panel("binance", SYMBOLS[:3], "1m", **RANGES[name])
    assert selection.panel() == expected
    assert selection.shape == expected.shape
    for symbol, candles in zip(SYMBOLS, selection.candles(), strict=False):
        assert candles == history.read("binance", symbol, "1m", selection.since, selection.until)


def test_selection_of_all_symbols_takes_those_of_the_timeframe(tmp_path: pathlib.Path) -> None:
    """Not those of another timeframe or exchange."""
    with tu.History(tmp_path) as history:
        candles = _candles("A/USDT", 1)
        history.write(candles)
        history.write(_candles("B/USDT", 2).resample("1h"))
        history.write(dataclasses.replace(candles, exchange="okx", symbol="C/USDT"))
        assert history.select("binance", None, "1m").symbols == ("A/USDT",)
        with pytest.raises(UsageError, match=r"there is no kraken 1m in .*; backfill it"):
            history.select("kraken", None, "1m")


def test_unknown_symbol_is_told_when_it_is_selected(history: tu.History) -> None:
    """With the nearest that is stored; no task has to fail for it."""
    with pytest.raises(UnknownName, match=r"symbol was 'AUSDT'; did you mean A/USDT"):
        history.select("binance", ["AUSDT"], "1m")
    for given in ([], "A/USDT", ["A/USDT", "A/USDT"]):
        with pytest.raises(UsageError, match="symbols"):
            history.select("binance", given, "1m")


def test_candles_that_come_later_are_in_no_task(tmp_path: pathlib.Path) -> None:
    """The range is settled when the selection is made."""
    candles = _candles("A/USDT", 1)
    with tu.History(tmp_path) as history:
        history.write(candles[:100])
        selection = history.select("binance", None, "1m")
        history.write(candles[100:])
        assert selection.panel().time[-1] == candles.time[99]
        assert tu.Indicators(selection).sma(3).shape == selection.shape


def test_selection_is_small_and_says_what_it_is(selection: Selection) -> None:
    """It stands for any number of candles, in a line; indicators know it by its shape, not by its class."""
    assert isinstance(selection, Stored)
    said = repr(selection)
    assert said.startswith("<Selection binance 1m: 10 symbols, 2024-01-30T07:34:00.000 .. 2024-02-01T09:34:00.000, in ")
    assert len(multiprocessing.reduction.ForkingPickler.dumps(selection)) < 1000
    assert not isinstance(np.empty((3, 3)), Stored)


def test_history_that_is_not_there_is_told_with_the_machine(
    tmp_path: pathlib.Path,
    dask_client: Any,  # noqa: F811
) -> None:
    """A worker that does not see the folder says so, and where it is."""
    with tu.History(tmp_path / "candles") as history:
        history.write(_candles("A/USDT", 1))
        selection = history.select("binance", None, "1m")
    shutil.rmtree(tmp_path / "candles")
    with pytest.raises(HistoryError, match=r"candles is not there on .*; every worker must see"):
        tu.Indicators(selection).compute(["rsi:14"], executor=dask_client)


def test_any_function_goes_to_a_cluster(selection: Selection, dask_client: Any) -> None:  # noqa: F811
    """Dask sends functions whole, so one that is typed in by hand will do."""
    found = list(selection.map(lambda panel: len(panel.symbols), executor=dask_client, group=5))
    assert sorted(found) == [(SYMBOLS[:5], 5), (SYMBOLS[5:], 5)]
