"""Panels out of the history: every candle in its row and column, NaN where there is none, whatever it lies in."""

from __future__ import annotations

import datetime as dt
import pathlib
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import Closed, HistoryCorrupt, UnknownName, UsageError
from tradeutils.history import History
from tradeutils.history import panels as panels_module

_T0 = 1_704_067_200_000  # 2024-01-01
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_FIELDS = ("open", "high", "low", "close", "volume")


def _candles(symbol: str, opens: object, *, timeframe: str = "1m", mark: float = 0.0) -> tu.Candles:
    """Return candles whose numbers tell their time and their field."""
    time = np.array(opens, dtype=np.int64)
    price = 100.0 + (time - _T0) / _MINUTE / 1000 + mark
    return tu.Candles(
        exchange="binance",
        symbol=symbol,
        timeframe=timeframe,
        time=time,
        open=price,
        high=price + 0.75,
        low=price - 0.75,
        close=price + 0.25,
        volume=price * 2,
    )


def _minutes(*bars: int) -> list[int]:
    return [_T0 + _MINUTE * bar for bar in bars]


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[History]:
    with History(tmp_path / "candles", seal_rows=64) as history:
        yield history


def _assert_is_of(panel: tu.Panel, history: History, timeframe: str = "1m") -> None:
    """Every candle that can be read is in its place, and all else is NaN."""
    frame = tu.timeframe.parse(timeframe)
    if len(panel):
        assert np.array_equal(panel.time, frame.range(int(panel.time[0]), frame.next(int(panel.time[-1]))))
    for column, symbol in enumerate(panel.symbols):
        found = history.read("binance", symbol, timeframe)
        if len(panel):
            found = found.between(int(panel.time[0]), frame.next(int(panel.time[-1])))
        rows = np.searchsorted(panel.time, found.time)
        for name in _FIELDS:
            expected = np.full(len(panel), np.nan)
            expected[rows] = getattr(found, name)
            assert np.array_equal(getattr(panel, name)[:, column], expected, equal_nan=True), (symbol, name)
    assert np.array_equal(panel.mask, np.isnan(panel.volume))
    assert panel.closed.all()
    assert panel.close.flags.c_contiguous
    assert not panel.close.flags.writeable


def test_candles_stand_in_their_rows_and_columns(history: History) -> None:
    """The grid is from the first candle of any to the last of any; what one lacks is NaN and masked."""
    history.write(_candles("A/USDT", _minutes(2, 3, 4, 8)))
    history.write(_candles("B/USDT", _minutes(0, 1, 2)))
    panel = history.panel("binance", ["A/USDT", "B/USDT"], "1m")
    assert panel.symbols == ("A/USDT", "B/USDT")
    assert panel.exchange == "binance"
    assert list(panel.time) == _minutes(*range(9))
    assert panel.mask[:, 0].tolist() == [True, True, False, False, False, True, True, True, False]
    assert panel.mask[:, 1].tolist() == [False, False, False] + [True] * 6
    assert panel.close[8, 0] == pytest.approx(100.258)
    _assert_is_of(panel, history)


def test_bounds_decide_the_rows(history: History) -> None:
    """Since is inclusive, until exclusive; there is a row for each bar between them, stored or not."""
    history.write(_candles("A/USDT", _minutes(5, 6, 7)))
    history.write(_candles("B/USDT", _minutes(100)))
    both = ["A/USDT", "B/USDT"]
    panel = history.panel("binance", both, "1m", _T0, _T0 + 10 * _MINUTE)
    assert list(panel.time) == _minutes(*range(10))
    assert panel.mask[:, 1].all()
    _assert_is_of(panel, history)
    assert list(history.panel("binance", both, "1m", since=_T0 + 6 * _MINUTE).time) == _minutes(*range(6, 101))
    assert list(history.panel("binance", both, "1m", until=_T0 + 7 * _MINUTE).time) == _minutes(5, 6)
    assert list(history.panel("binance", both, "1m", _T0 + 1, _T0 + 3 * _MINUTE + 1).time) == _minutes(1, 2, 3)
    aware = dt.datetime(2024, 1, 1, 0, 6, tzinfo=dt.UTC)
    assert list(history.panel("binance", ["A/USDT"], "1m", aware).time) == _minutes(6, 7)
    assert history.panel("binance", both, "1m", _T0 + _HOUR, _T0).shape == (0, 2)


def test_limit_takes_the_newest_rows_of_all(history: History) -> None:
    """Counted back from the newest candle of any symbol, never before since, nor before the first of all."""
    history.write(_candles("A/USDT", _minutes(*range(50))))
    history.write(_candles("B/USDT", _minutes(*range(40), 59)))
    both = ["A/USDT", "B/USDT"]
    panel = history.panel("binance", both, "1m", limit=12)
    assert list(panel.time) == _minutes(*range(48, 60))
    _assert_is_of(panel, history)
    assert list(history.panel("binance", both, "1m", limit=3, until=_T0 + 45 * _MINUTE).time) == _minutes(42, 43, 44)
    assert list(history.panel("binance", both, "1m", _T0 + 55 * _MINUTE, limit=30).time) == _minutes(*range(55, 60))
    assert list(history.panel("binance", ["A/USDT"], "1m", limit=1).time) == _minutes(49)
    assert list(history.panel("binance", both, "1m", limit=10_000).time) == _minutes(*range(60))
    assert len(history.panel("binance", both, "1m", _T0 - 5 * _MINUTE, limit=10_000)) == 65


def test_a_symbol_with_nothing_in_the_range_is_all_nan(history: History) -> None:
    """It is no error: it was listed later. Where no symbol has anything there are no rows but those asked for."""
    history.write(_candles("A/USDT", _minutes(0, 1)))
    panel = history.panel("binance", ["A/USDT"], "1m", _T0 + _DAY, _T0 + _DAY + 3 * _MINUTE)
    assert panel.shape == (3, 1)
    assert panel.mask.all()
    assert len(history.panel("binance", ["A/USDT"], "1m", since=_T0 + _DAY)) == 0
    assert len(history.panel("binance", ["A/USDT"], "1m", until=_T0)) == 0
    assert len(history.panel("binance", ["A/USDT"], "1m", _T0 + _DAY, limit=5)) == 0


@pytest.mark.parametrize("threads", [1, 2, 7, None])
@pytest.mark.parametrize("hot", [None, True, 40_000])
def test_rows_come_from_files_and_journal_alike(
    history: History, tmp_path: pathlib.Path, hot: int | bool | None, threads: int | None
) -> None:
    """Over the turn of a month, sealed and not, rewritten, with gaps: as many threads and as hot as one likes."""
    turn = _T0 + 31 * _DAY
    gone = np.random.default_rng(3).random(2_000) < 0.1
    for number in range(5):
        opens = np.arange(turn - 1_000 * _MINUTE, turn + 1_000 * _MINUTE, _MINUTE)
        history.write(_candles(f"S{number}/USDT", opens[~gone] if number % 2 else opens, mark=number))
        history.write(_candles(f"S{number}/USDT", opens[-30:] + 20 * _MINUTE, mark=number + 0.5))  # in the journal
        history.write(_candles(f"S{number}/USDT", opens[500:520], mark=number + 0.5))
    names = [f"S{number}/USDT" for number in (3, 0, 4, 1, 2)]
    with History(tmp_path / "candles", read_only=True, hot=hot) as reader:
        for bounds in ((None, None), (turn - 20 * _MINUTE, turn + 20 * _MINUTE), (turn - _DAY, turn + 2 * _DAY)):
            for _ in range(2):
                _assert_is_of(reader.panel("binance", names, "1m", *bounds, threads=threads), history)
        _assert_is_of(reader.panel("binance", names, "1m", limit=1_500, threads=threads), history)


def test_a_hot_panel_sees_what_was_written_since(history: History, tmp_path: pathlib.Path) -> None:
    """By this process or another: kept files are told from those that replaced them."""
    with History(tmp_path / "candles", hot=True, seal_rows=64) as hot:
        history.write(_candles("A/USDT", _minutes(*range(200))))
        before = hot.panel("binance", ["A/USDT"], "1m")
        history.write(_candles("A/USDT", _minutes(*range(200)), mark=5.0))
        history.write(_candles("A/USDT", _minutes(200)))
        after = hot.panel("binance", ["A/USDT"], "1m")
        assert (len(before), len(after)) == (200, 201)
        assert np.allclose(after.close[:200, 0] - before.close[:, 0], 5.0)
        _assert_is_of(after, history)


def test_calendar_months_are_a_grid_too(history: History) -> None:
    """Rows of different lengths."""
    months = [int(np.datetime64(text, "ms").astype(np.int64)) for text in ("2024-01", "2024-02", "2024-04")]
    history.write(_candles("A/USDT", months, timeframe="1M"))
    panel = history.panel("binance", ["A/USDT"], "1M")
    assert len(panel) == 4
    assert panel.mask[:, 0].tolist() == [False, False, True, False]
    _assert_is_of(panel, history, "1M")


def test_a_panel_that_was_written_comes_back(history: History) -> None:
    """In and out is the same."""
    panel = tu.Panel.from_candles([_candles(name, _minutes(*range(9))) for name in ("A/USDT", "B/USDT")])
    history.write(panel)
    assert history.panel("binance", panel.symbols, "1m") == panel


def test_an_unknown_symbol_is_named_with_the_nearest(history: History) -> None:
    """Before anything is read."""
    history.write(_candles("BTC/USDT", _minutes(0)))
    with pytest.raises(UnknownName, match="BTC/USDT"):
        history.panel("binance", ["BTC/USDT", "BTC/USD"], "1m")
    with pytest.raises(UnknownName):
        history.panel("kraken", ["BTC/USDT"], "1m")
    with pytest.raises(UnknownName, match="1m"):
        history.panel("binance", ["BTC/USDT"], "5m")


def test_wrong_calls_are_refused(history: History) -> None:
    """With what to write instead."""
    history.write(_candles("A/USDT", _minutes(0)))
    for symbols, said in (
        ("A/USDT", "give a list"),
        (7, "give a list"),
        ([], "one symbol at least"),
        (["A/USDT", "A/USDT"], "more than once"),
        ([None], "symbol was None"),
        ([["A/USDT"]], "symbol was"),
    ):
        with pytest.raises(UsageError, match=said):
            history.panel("binance", symbols, "1m")  # type: ignore[arg-type]
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(UsageError, match="limit was"):
            history.panel("binance", ["A/USDT"], "1m", limit=wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="threads was"):
            history.panel("binance", ["A/USDT"], "1m", threads=wrong)  # type: ignore[arg-type]
    history.close()
    with pytest.raises(Closed):
        history.panel("binance", ["A/USDT"], "1m")


def test_an_absurd_panel_is_refused_with_its_size(history: History) -> None:
    """Before anything is allocated for it; the same of an iterator's symbols, which are taken once."""
    history.write(_candles("A/USDT", _minutes(0), timeframe="1s"))
    history.write(_candles("A/USDT", [_T0], timeframe="1M"))
    with pytest.raises(UsageError, match=r"60,000,000,000 bars x 1 symbols, 2\.\d+ TiB"):
        history.panel("binance", iter(["A/USDT"]), "1s", since=-30 * 10**12, until=30 * 10**12)
    for timeframe in ("1s", "1M"):
        with pytest.raises(UsageError, match="TiB"):
            history.panel("binance", ["A/USDT"], timeframe, limit=2**40)
        assert len(history.panel("binance", ["A/USDT"], timeframe, _T0, limit=2**40)) == 1


def test_a_damaged_file_is_named_and_nothing_is_left_out(history: History) -> None:
    """From whichever thread met it; the other symbols are not handed out without it."""
    for number in range(6):
        history.write(_candles(f"S{number}/USDT", _minutes(*range(200))))
    path = next((history.path / "exchange=binance").rglob("symbol=S4*/*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    before = threading.active_count()
    with pytest.raises(HistoryCorrupt, match=r"S4.*parquet"):
        history.panel("binance", [f"S{number}/USDT" for number in range(6)], "1m", threads=3)
    assert threading.active_count() == before
    assert history.panel("binance", ["S3/USDT"], "1m").shape == (200, 1)


def test_rows_off_the_grid_are_left_out() -> None:
    """Files of a broken clock: the panel has no row for them, and what is on the grid stays."""
    rows = panels_module.Rows.of(_candles("A/USDT", [*_minutes(0, 1), _T0 + 100_000, *_minutes(3)]))
    grid = np.array(_minutes(*range(6)), dtype=np.int64)
    fields = {name: np.empty((6, 2)) for name in _FIELDS}
    panels_module._scatter([rows, panels_module.Rows.empty()], grid, fields, 1)
    assert np.isnan(fields["close"][:, 1]).tolist() == [False, False, True, False, True, True]
    only_off = panels_module.Rows.of(_candles("A/USDT", [_T0 + 1]))
    panels_module._scatter([only_off], grid, fields, 0)
    assert np.isnan(fields["close"][:, 0]).all()


def test_panels_are_right_beside_a_writer(history: History, tmp_path: pathlib.Path) -> None:
    """While another thread appends and seals: what was acknowledged before the call is there, in order, once."""
    acknowledged = [0]
    stop = threading.Event()

    def write() -> None:
        for bar in range(1_500):
            if stop.is_set():
                return
            history.write(_candles("A/USDT", _minutes(bar)))
            acknowledged[0] = bar + 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with History(tmp_path / "candles", hot=10**6) as reader:
            while not acknowledged[0]:
                stop.wait(0.001)
            for _ in range(40):
                known = acknowledged[0]
                panel = reader.panel("binance", ["A/USDT"], "1m", since=_T0)
                assert len(panel) >= known
                assert not panel.mask.any()
                assert np.array_equal(panel.close[:, 0], _candles("A/USDT", panel.time).close)
    finally:
        stop.set()
        thread.join()
