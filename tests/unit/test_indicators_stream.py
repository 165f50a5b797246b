"""Streams: what they take, refuse, keep and give back."""

import copy
import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time as clock
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from panels import walk

from tradeutils import codec
from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.indicators import REGISTRY, Stream, compute, correl
from tradeutils.model import Bars, Panel

SPECS = ["sma:5", "ema:5", "rsi:4", "atr:3", "bbands:5,2", "macd:3,6,4", "vwap"]
SYMBOLS = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
MINUTE = 60_000
START = 1_700_000_040_000
BARS = 40
FIELDS = ("open", "high", "low", "close", "volume")


@pytest.fixture(name="panel")
def _panel():
    """Return a panel of minutes with missing bars."""
    prices = walk(BARS, 3, moves=0.01, missing=0.05)
    return Panel(
        symbols=SYMBOLS,
        timeframe="1m",
        time=START + MINUTE * np.arange(BARS),
        **{field: prices[field] for field in FIELDS},
    )


def bar_of(panel, row):
    """Return a row of a panel as a bar."""
    return {"time": int(panel.time[row]), **{field: getattr(panel, field)[row] for field in FIELDS}}


def fed(panel, stop=BARS, **options):
    """Return a stream that was fed the first rows of a panel, one by one."""
    stream = Stream(SPECS, panel.symbols, panel.timeframe, **options)
    for row in range(stop):
        stream.update(bar_of(panel, row))
    return stream


def assert_last(values, panel, specs=SPECS):
    """Fail unless these are the values of the batch at the last row."""
    want = compute(panel, specs, tail=1)
    assert list(values) == list(want)
    for key, row in values.items():
        np.testing.assert_array_equal(row, want[key][0])


def contents(stream):
    """Return everything that a stream knows, as bytes."""
    return codec.dumps(stream.snapshot())


def test_every_bar_has_the_values_and_the_keys_of_the_batch(panel):
    """Row by row what ``compute`` gives for the panel, under its keys."""
    stream, want = Stream(SPECS, SYMBOLS), compute(panel, SPECS)
    for row in range(BARS):
        values = stream.update(bar_of(panel, row))
        assert list(values) == list(want)
        for key, value in values.items():
            np.testing.assert_array_equal(value, want[key][row])
    assert stream.time == panel.time[-1]


FORMS = {
    "read-only": lambda column: column,
    "writable": np.array,
    "strided": lambda column: np.repeat(column, 3)[::3],
    "backwards": lambda column: column[::-1].copy()[::-1],
    "a list": list,
    "a Series": pd.Series,
    "big-endian": lambda column: column.astype(">f8"),
    "objects": lambda column: column.astype(object),
    "masked": lambda column: np.ma.array(np.where(np.isnan(column), 7.0, column), mask=np.isnan(column)),
}


@pytest.mark.parametrize("form", FORMS)
def test_columns_of_any_kind_have_the_same_values(panel, form):
    """Only the first two are what compiled code takes as it is."""
    stream = Stream(SPECS, SYMBOLS)
    for row in range(BARS):
        bar = bar_of(panel, row)
        given = {key: FORMS[form](value) if key != "time" else value for key, value in bar.items()}
        peeked, values = stream.peek(given), stream.update(given)
        for key, value in values.items():
            np.testing.assert_array_equal(peeked[key], value)
    assert_last(values, panel)


def test_one_bar_of_another_kind_does_not_make_all_that_follow_slow(panel):
    """Compiled code is asked again once a bar came that is of its kind, and not while there is none."""
    stream = fed(panel, 10)
    for row in (10, 11):
        stream.update(
            {key: FORMS["strided"](value) if key != "time" else value for key, value in bar_of(panel, row).items()}
        )
        assert stream._plain == ()
    for row in range(12, BARS):
        values = stream.update(bar_of(panel, row))
        assert stream._plain
    assert_last(values, panel)


def test_bars_and_mappings_of_other_kinds_are_read(panel):
    """``Bars``, and anything that is a mapping."""
    stream = fed(panel, BARS - 2)
    stream.update(Bars(**bar_of(panel, BARS - 2)))
    values = stream.update(MappingProxyType(bar_of(panel, BARS - 1)))
    assert_last(values, panel)


def test_columns_that_no_spec_reads_may_be_left_out(panel):
    """An average of closes needs closes."""
    stream = Stream(["sma:3"], SYMBOLS)
    for row in range(BARS):
        values = stream.update({"time": int(panel.time[row]), "close": panel.close[row]})
    assert_last(values, panel, ["sma:3"])


def test_specs_that_are_the_same_indicator_each_have_their_values(panel):
    """One computation, two keys."""
    specs = ["rsi", "rsi:14", "sma:1", "sma:5"]
    stream = Stream(specs, SYMBOLS)
    for row in range(BARS):
        values = stream.update(bar_of(panel, row))
    assert_last(values, panel, specs)


@pytest.mark.parametrize("kind", [np.int64, lambda time: dt.datetime.fromtimestamp(time / 1000, dt.UTC)])
def test_time_may_be_a_number_of_numpy_or_an_aware_datetime(panel, kind):
    """As everywhere."""
    stream = fed(panel, BARS - 1)
    bar = bar_of(panel, BARS - 1)
    assert_last(stream.update({**bar, "time": kind(bar["time"])}), panel)


def test_values_that_are_kept_never_change(panel):
    """Neither those of updates nor of peeks, nor a part of one that outlives it."""
    stream = Stream(SPECS, SYMBOLS)
    kept, copies = [], []
    for row in range(BARS):
        for values in (stream.peek(bar_of(panel, row)), stream.update(bar_of(panel, row)), stream.values()):
            part = {key: value[1:] for key, value in values.items()} if row % 3 else values
            kept.append(part)
            copies.append({key: value.copy() for key, value in part.items()})
    for part, copied in zip(kept, copies, strict=True):
        for key, value in part.items():
            np.testing.assert_array_equal(value, copied[key])
            assert not value.flags.writeable


def test_values_may_be_dropped_from_the_dict(panel):
    """The dict is the caller's own."""
    stream = fed(panel, 5)
    stream.update(bar_of(panel, 5)).clear()
    assert len(stream.values()) == len(stream.update(bar_of(panel, 6))) == 11


def test_before_the_first_bar_nothing_is_known():
    """All NaN, and no time."""
    stream = Stream(["sma:2"], SYMBOLS)
    assert stream.time is None
    assert np.isnan(stream.values()["sma:2"]).all()
    assert repr(stream) == "<Stream 1m: 1 specs x 3 symbols, no bar yet>"


REFUSED_BARS = {
    "lacked close": lambda bar: {key: value for key, value in bar.items() if key != "close"},
    "lacked time": lambda bar: {key: value for key, value in bar.items() if key != "time"},
    "close had shape": lambda bar: {**bar, "close": bar["close"][:2]},
    "low had shape": lambda bar: {**bar, "low": np.ones((1, 3))},
    "close was 1.5; give an array of 3": lambda bar: {**bar, "close": 1.5},
    "close held <U1; give numbers": lambda bar: {**bar, "close": ["a", "b", "c"]},
    "without a time zone": lambda bar: {**bar, "time": dt.datetime(2024, 1, 1)},  # noqa: DTZ001
    "time was 1.5": lambda bar: {**bar, "time": 1.5},
    "time was True": lambda bar: {**bar, "time": True},
    "looks like seconds": lambda bar: {**bar, "time": bar["time"] // 1000},
    "thousand years off": lambda bar: {**bar, "time": 10**30},
    "over a thousand years": lambda bar: {**bar, "time": -(1 << 63)},
    "bars was list": lambda bar: [bar],
    "where no 1m bar opens; one opens at": lambda bar: {**bar, "time": bar["time"] + 1},
    "it came late or again": lambda bar: {**bar, "time": bar["time"] - MINUTE},
}


@pytest.mark.parametrize("text", REFUSED_BARS)
@pytest.mark.parametrize("method", ["update", "peek"])
def test_refused_bar_changes_nothing(panel, method, text):
    """All or nothing: after an error the stream stands where it stood, and goes on."""
    stream = fed(panel, BARS - 1)
    before = contents(stream)
    said = "peek at a later one" if method == "peek" and "late" in text else text
    with pytest.raises((UsageError, DataError), match=said):
        getattr(stream, method)(REFUSED_BARS[text](bar_of(panel, BARS - 1)))
    assert contents(stream) == before
    assert_last(stream.update(bar_of(panel, BARS - 1)), panel)


def test_bars_without_a_column_that_is_read_are_refused(panel):
    """``Bars`` have no second series."""
    with pytest.raises(UsageError, match="bars lacked other"):
        Stream(["beta:5"], SYMBOLS).update(Bars(**bar_of(panel, 0)))


def test_second_series_is_read_from_a_mapping(panel):
    """Indicators of two series have both in the bar."""
    stream = Stream(["correl:5"], SYMBOLS)
    for row in range(BARS):
        values = stream.update({**bar_of(panel, row), "other": panel.open[row]})
    np.testing.assert_array_equal(values["correl:5"], correl(panel.close, panel.open, 5)[-1])


def test_skipped_bar_is_not_invented(panel):
    """What looks bars back looks back over the gap, as in a panel without the row."""
    kept = np.delete(np.arange(BARS), [7, 8, 30])
    rows = Panel(symbols=SYMBOLS, timeframe="1m", time=panel.time[kept], **{f: getattr(panel, f)[kept] for f in FIELDS})
    assert_last(fed(rows, len(kept)).values(), rows)


def test_months_differ_in_length_and_are_bars_all_the_same():
    """No next bar can be expected; each is checked."""
    stream = Stream(["sma:2"], ["BTC/USDT"], "1M")
    for month in (1, 2, 3):
        values = stream.update({"time": dt.datetime(2024, month, 1, tzinfo=dt.UTC), "close": np.array([float(month)])})
    assert values["sma:2"] == [2.5]
    with pytest.raises(DataError, match="no 1M bar opens"):
        stream.update({"time": dt.datetime(2024, 4, 2, tzinfo=dt.UTC), "close": np.array([4.0])})
    with pytest.raises(DataError, match="late"):
        stream.update({"time": dt.datetime(2024, 3, 1, tzinfo=dt.UTC), "close": np.array([4.0])})


def test_late_bar_is_ignored_and_counted(panel):
    """late="ignore" leaves all as it was and says how often."""
    stream = fed(panel, 20, late="ignore")
    before = stream.values()
    for row in (19, 3):
        values = stream.update(bar_of(panel, row))
        for key, value in values.items():
            np.testing.assert_array_equal(value, before[key])
    assert stream.ignored == 2
    assert Stream.restore(stream.snapshot()).ignored == 2
    for row in range(20, BARS):
        values = stream.update(bar_of(panel, row))
    assert_last(values, panel)


@pytest.mark.parametrize("restored", [False, True])
def test_correction_that_an_interrupt_made_impossible_is_refused(panel, restored):
    """A bar that was taken but not kept leaves a hole in what could be run again."""
    stream = fed(panel, 20, late="replay")
    block = stream._at.blocks.take()
    stream._at.advance(*stream._items(bar_of(panel, 20)), block.array)  # as if a signal came right after
    assert_last(stream.values(), panel[:21])
    if restored:
        stream = Stream.restore(stream.snapshot())
    with pytest.raises(DataError, match="no bars can be corrected"):
        stream.update(bar_of(panel, 19))
    for row in range(21, BARS):
        stream.update(bar_of(panel, row))
    assert_last(stream.update(bar_of(panel, BARS - 1)), panel)


INTERRUPTED = """
import signal
import numpy as np
from tradeutils.indicators import Stream, compute

armed, interrupts, bars = False, 0, 2000

def interrupt(*given):
    global armed, interrupts
    if armed:
        armed, interrupts = False, interrupts + 1
        raise InterruptedError

close = 100 + np.random.default_rng(1).normal(size=(bars, 3)).cumsum(axis=0)
specs = ["sma:5", "rsi:4", "macd:3,6,4"]
want = compute(close, specs, tail=1)
signal.signal(signal.SIGALRM, interrupt)
for late in ("error", "replay"):
    stream, row, interrupts = Stream(specs, ["A", "B", "C"], late=late, keep=3), 0, 0
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.00013)
    while row < bars:
        try:
            armed = True
            stream.update({"time": 60_000 * row, "close": close[row]})
            armed = False
        except InterruptedError:
            pass
        row = 0 if stream.time is None else stream.time // 60_000 + 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    for one in (stream, Stream.restore(stream.snapshot())):
        for key, value in one.values().items():
            np.testing.assert_array_equal(value, want[key][0])
    assert interrupts > 0
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_interrupted_stream_knows_its_last_bar():
    """Whatever a signal interrupts, a bar has been taken, and is the last, or it has not."""
    # In a process of its own: what measures coverage does not survive being interrupted.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
@pytest.mark.parametrize("late", ["error", "replay"])
def test_signal_handler_may_take_a_snapshot_in_the_middle_of_a_call(late):
    """A bot that is told to stop saves its stream, wherever that finds it; what was interrupted goes on."""
    close = 100 + np.random.default_rng(1).normal(size=(2000, 3)).cumsum(axis=0)
    specs, kept = ["sma:5", "rsi:4", "macd:3,6,4"], []
    stream = Stream(specs, SYMBOLS, late=late, keep=3)

    def handler(*given):
        kept.append((stream.snapshot(), stream.values()))
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        for row in range(len(close)):
            values = stream.update({"time": MINUTE * row, "close": close[row]})
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # first: the handler sets the timer, and with none it would kill
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    want = compute(close, specs)
    for key, value in values.items():
        np.testing.assert_array_equal(value, want[key][-1])
    assert kept
    for snapshot, held in kept[:: max(len(kept) // 20, 1)]:
        at = len(close) if snapshot["time"] is None else snapshot["time"] // MINUTE
        for key, value in Stream.restore(snapshot).values().items():
            np.testing.assert_array_equal(value, held[key])
            np.testing.assert_array_equal(value, want[key][at] if at < len(close) else np.full(3, np.nan))


class Asking(dict):
    """A bar that calls the stream when it is read."""

    def __init__(self, bar, ask):
        super().__init__(bar)
        self.ask = ask

    def __getitem__(self, key):
        self.ask()
        return super().__getitem__(key)


@pytest.mark.parametrize("method", ["update", "peek"])
def test_call_in_the_middle_of_a_call_is_refused_if_it_could_change_something(panel, method):
    """Neither a wait without end nor half of two changes: an error, and the first call goes on."""
    stream, refused = fed(panel, BARS - 1), 0
    later = {**bar_of(panel, BARS - 1), "time": int(panel.time[-1]) + MINUTE}
    calls = [
        lambda: stream.update(later),
        lambda: stream.peek(later),
        lambda: stream.warm({"time": [later["time"]], **{field: np.ones((1, 3)) for field in FIELDS}}),
        lambda: stream.add(["X/Y"]),
        lambda: stream.remove(["BTC/USDT"]),
    ]

    def ask():
        nonlocal refused
        for call in calls:
            with pytest.raises(UsageError, match="in the middle of a call"):
                call()
            refused += 1
        assert Stream.restore(stream.snapshot()).symbols == stream.symbols

    values = getattr(stream, method)(Asking(bar_of(panel, BARS - 1), ask))
    assert refused
    assert_last(values, panel)
    assert_last(stream.update(bar_of(panel, BARS - 1)) if method == "peek" else stream.values(), panel)


def test_threads_take_turns(panel):
    """Threads that peek, take snapshots and ask for values while bars come disturb nothing."""
    prices = walk(60, 3, moves=0.01)
    stream = Stream(SPECS, SYMBOLS, late="replay")
    done, failures = threading.Event(), []

    def disturb(call):
        while not done.is_set():
            try:
                call()
            except Exception as error:  # noqa: BLE001  # shown below
                failures.append(error)

    later = {"time": START + MINUTE * 10_000, **{field: prices[field][0] for field in FIELDS}}
    calls = [lambda: stream.peek(later), lambda: Stream.restore(stream.snapshot()), stream.values]
    threads = [threading.Thread(target=disturb, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for row in range(60):
        stream.update({"time": START + MINUTE * row, **{field: prices[field][row] for field in FIELDS}})
        clock.sleep(0.0001)
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    whole = Panel(
        symbols=SYMBOLS,
        timeframe="1m",
        time=START + MINUTE * np.arange(60),
        **{field: prices[field] for field in FIELDS},
    )
    assert_last(stream.values(), whole)


WRONG = {
    "specs was the string": lambda: Stream("rsi:14", SYMBOLS),
    "specs was empty": lambda: Stream([], SYMBOLS),
    "did you mean rsi": lambda: Stream(["rsii:14"], SYMBOLS),
    "ichimoku:9,26,52,26,1.chikou shows at a bar what comes 26 bars later": lambda: Stream(
        ["ichimoku:9,26,52,26,1"], SYMBOLS
    ),
    "symbols was 'BTC/USDT'": lambda: Stream(["rsi:14"], "BTC/USDT"),
    "more than once": lambda: Stream(["rsi:14"], ["A", "B", "A"]),
    "a symbol was 7": lambda: Stream(["rsi:14"], ["A", 7]),
    "timeframe was '7x'": lambda: Stream(["rsi:14"], SYMBOLS, "7x"),
    "nan was 'drop'": lambda: Stream(["rsi:14"], SYMBOLS, nan="drop"),
    "compat was 'mt4'": lambda: Stream(["rsi:14"], SYMBOLS, compat="mt4"),
    "late was 'drop'": lambda: Stream(["rsi:14"], SYMBOLS, late="drop"),
    "keep was 0": lambda: Stream(["rsi:14"], SYMBOLS, keep=0),
    "keep was True": lambda: Stream(["rsi:14"], SYMBOLS, keep=True),
    "keep was 1000001": lambda: Stream(["rsi:14"], SYMBOLS, keep=1_000_001),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_stream_is_refused_and_says_why(text):
    """The value, and what to write instead."""
    with pytest.raises(UsageError, match=text):
        WRONG[text]()


def test_warm_in_pieces_is_warm_at_once(panel):
    """History comes page by page, and bars go on where it ends."""
    stream = Stream(SPECS, SYMBOLS)
    for rows in (slice(0, 0), slice(0, 13), slice(13, 14), slice(14, 30)):
        stream.warm(panel[rows])
    for row in range(30, BARS):
        values = stream.update(bar_of(panel, row))
    assert_last(values, panel)
    assert_last(Stream(SPECS, SYMBOLS, late="replay").warm(panel), panel)


@pytest.mark.parametrize("sizes", [[5] * 8, [3, 37], [30, 1, 1, 1, 1, 6], [1] * 40])
def test_bars_of_history_can_be_corrected_too(panel, sizes):
    """The last ``keep`` bars can, in however many pieces they came; none before."""
    stream, at = Stream(SPECS, SYMBOLS, late="replay", keep=6), 0
    wrong = of(panel, close=np.where(np.arange(BARS)[:, np.newaxis] < BARS - 6, panel.close, 1.0))
    for size in sizes:
        stream.warm(wrong[at : at + size])
        at += size
    with pytest.raises(DataError, match="came late"):
        stream.update(bar_of(panel, BARS - 7))
    for row in range(BARS - 6, BARS):
        values = stream.update(bar_of(panel, row))
    assert_last(values, panel)
    assert len(stream.snapshot()["kept"]["times"]) < 18


def test_panel_may_hold_its_symbols_in_any_order_and_others_too():
    """Columns go by their names; more rows than are turned at once."""
    prices = walk(1100, 3, moves=0.01, missing=0.01)
    columns = {field: prices[field] for field in FIELDS}
    panel = Panel(symbols=["X/Y", *SYMBOLS[:2]], timeframe="1m", time=START + MINUTE * np.arange(1100), **columns)
    own = Panel(
        symbols=["ETH/USDT", "BTC/USDT"],
        timeframe="1m",
        time=panel.time,
        **{field: column[:, [2, 1]] for field, column in columns.items()},
    )
    assert_last(Stream(SPECS, own.symbols).warm(panel), own)


def test_candles_warm_a_stream_of_one_symbol(panel):
    """The candles that are there: missing rows are not invented."""
    candles = panel["ETH/USDT"]
    values = Stream(SPECS, ["ETH/USDT"]).warm(candles)
    assert_last(values, Panel.from_candles([candles]))


def of(panel, **changes):
    """Return a panel with some of its parts replaced."""
    parts = {field: getattr(panel, field) for field in ("symbols", "timeframe", "time", *FIELDS, "closed")}
    return Panel(**{**parts, **changes})


COLUMNS = {"time": START + MINUTE * np.arange(BARS, BARS + 2), "close": np.ones((2, 3))}
REFUSED_HISTORIES = {
    "history was list": lambda panel: [panel],
    "was of 5m bars and the stream is of 1m": lambda panel: of(panel, timeframe="5m"),
    "has no ETH/USDT": lambda panel: of(panel, symbols=["BTC/USDT", "X/Y", "SOL/USDT"]),
    f"the row of {START + MINUTE * 39} is still forming": lambda panel: of(panel, closed=np.arange(BARS) < 39),
    "no 1m bar opens": lambda panel: of(panel, time=panel.time + 7),
    "begins at 1700000040000, and the last bar was of": lambda panel: panel,
    "history lacked close": lambda panel: {"time": COLUMNS["time"]},
    "do not rise": lambda panel: {**COLUMNS, "time": COLUMNS["time"][::-1]},
    "close had shape": lambda panel: {**COLUMNS, "close": np.ones((2, 2))},
    "time was 5": lambda panel: {**COLUMNS, "time": 5},
    "looks like seconds": lambda panel: {**COLUMNS, "time": COLUMNS["time"] // 1000},
    "without a time zone": lambda panel: {**COLUMNS, "time": [dt.datetime(2024, 1, 1)]},  # noqa: DTZ001
}


@pytest.mark.parametrize("text", REFUSED_HISTORIES)
def test_refused_history_changes_nothing(panel, text):
    """Neither as the past of the stream nor as that of a symbol."""
    stream = Stream(["sma:2"], SYMBOLS)
    stream.update(bar_of(panel, 0))
    before = contents(stream)
    with pytest.raises((UsageError, DataError), match=text):
        stream.warm(REFUSED_HISTORIES[text](panel))
    assert contents(stream) == before


def test_history_without_a_second_series_is_refused(panel):
    """A panel holds one series."""
    with pytest.raises(UsageError, match="reads other"):
        Stream(["beta:5"], SYMBOLS).warm(panel)


def test_times_of_a_history_may_be_datetimes():
    """A list of aware datetimes is as good as milliseconds."""
    moments = [dt.datetime(2024, 1, 1, 0, minute, tzinfo=dt.UTC) for minute in (0, 1)]
    values = Stream(["sma:2"], ["A"]).warm({"time": moments, "close": np.array([[1.0], [2.0]])})
    assert values["sma:2"] == [1.5]


def test_symbols_join_and_leave(panel):
    """The columns of a bar are what ``symbols`` says, and the others' values are not touched."""
    stream = Stream(["sma:2"], [])
    assert stream.update({"time": START, "close": np.empty(0)})["sma:2"].shape == (0,)
    stream.add(["A", "B"])
    stream.update({"time": START + MINUTE, "close": np.array([1.0, 10.0])})
    stream.add(["C"], {"time": [START, START + MINUTE], "close": np.array([[2.0], [4.0]])})
    assert stream.symbols == ("A", "B", "C")
    np.testing.assert_array_equal(stream.values()["sma:2"], [np.nan, np.nan, 3.0])
    stream.remove(["A"])
    np.testing.assert_array_equal(stream.values()["sma:2"], [np.nan, 3.0])
    values = stream.update({"time": START + 2 * MINUTE, "close": np.array([20.0, 6.0])})
    np.testing.assert_array_equal(values["sma:2"], [15.0, 5.0])
    stream.remove(["C", "B"])
    assert stream.symbols == ()


def test_past_of_a_symbol_that_does_not_fit_is_refused(panel):
    """It ends with the stream's last bar, and there is one."""
    stream = Stream(["sma:2"], ["A"])
    with pytest.raises(UsageError, match="has seen no bar"):
        stream.add(["B"], {"time": [START], "close": np.ones((1, 1))})
    stream.update({"time": START, "close": np.ones(1)})
    before = contents(stream)
    for times in ([START - MINUTE], [START, START + MINUTE], []):
        with pytest.raises(DataError, match="and the stream's last bar was of"):
            stream.add(["B"], {"time": times, "close": np.ones((len(times), 1))})
    with pytest.raises(UsageError, match="A is in the stream already"):
        stream.add(["B", "A"])
    with pytest.raises(UnknownName, match="symbol was 'C'"):
        stream.remove(["A", "C"])
    assert contents(stream) == before


def test_snapshot_goes_on_through_bytes_and_copies(panel):
    """Of bytes, of the dict, and by the protocol of copies and pickles."""
    stream = fed(panel, 25, nan="hold", late="replay", keep=4)
    for other in (
        Stream.restore(codec.dumps(stream.snapshot())),
        Stream.restore(stream.snapshot(), specs=SPECS),
        copy.deepcopy(stream),
    ):
        assert (other.symbols, other.specs, other.timeframe, other.time) == (
            stream.symbols,
            stream.specs,
            "1m",
            stream.time,
        )
        assert contents(other) == contents(stream)
        other.update(bar_of(panel, 25))
        assert contents(other) != contents(stream)
    for row in range(25, BARS):
        stream.update(bar_of(panel, row))
    want = compute(panel, SPECS, tail=1, nan="hold")
    for key, value in stream.values().items():
        np.testing.assert_array_equal(value, want[key][0])


ELSEWHERE = """
import sys
import numpy as np
from tradeutils import codec
from tradeutils.indicators import Stream

stream = Stream.restore(sys.stdin.buffer.read())
names = ("open", "high", "low", "close", "volume", "other")
stream.update({"time": stream.time + 60_000, **{name: np.arange(10.0, 13.0) + at for at, name in enumerate(names)}})
sys.stdout.buffer.write(codec.dumps(stream.snapshot()))
"""


def test_snapshot_goes_on_in_another_process():
    """Of every indicator, where strings and functions have other hashes and lie elsewhere."""
    prices, names = walk(30, 3, moves=0.01), (*FIELDS, "other")
    specs = [
        one.label(tuple(0 if parameter.name == "lookahead" else parameter.default for parameter in one.parameters))
        for one in REGISTRY.values()
    ]
    stream = Stream(specs, SYMBOLS)
    for row in range(30):
        stream.update({"time": START + MINUTE * row, **{name: prices[name][row] for name in names}})
    command, other = [sys.executable, "-c", ELSEWHERE], {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, input=contents(stream), env=other, capture_output=True, check=False, timeout=60)
    assert done.stderr == b""
    bar = {name: np.arange(10.0, 13.0) + at for at, name in enumerate(names)}
    stream.update({"time": stream.time + MINUTE, **bar})
    assert done.stdout == contents(stream)


def test_snapshot_is_not_changed_by_what_follows(panel):
    """It is a copy, and a restored stream takes none of it for its own."""
    stream = fed(panel, 25, late="replay", keep=4)
    snapshot = stream.snapshot()
    before = codec.dumps(snapshot)
    other = Stream.restore(snapshot)
    for one in (stream, other):
        for row in range(25, BARS):
            one.update(bar_of(panel, row))
        one.update(bar_of(panel, BARS - 3))
    assert codec.dumps(snapshot) == before


def changed(snapshot, **changes):
    """Return a snapshot with entries replaced; those of ``kept`` are named ``kept_...``."""
    kept = {name.removeprefix("kept_"): value for name, value in changes.items() if name.startswith("kept_")}
    own = {name: value for name, value in changes.items() if not name.startswith("kept_")}
    return {**snapshot, "kept": {**snapshot["kept"], **kept} if kept else snapshot["kept"], **own}


DAMAGE = [
    {"kind": "another"},
    {"format": 2},
    {"arithmetic": "0" * 32},
    {"arithmetic": 5},
    {"specs": ["sma:7"]},
    {"specs": ["unheard_of:1"]},
    {"specs": []},
    {"specs": "sma:5"},
    {"symbols": ["A", "B", 7]},
    {"symbols": ["A", "A", "B"]},
    {"symbols": ["A", "B"]},
    {"symbols": []},
    {"timeframe": "7x"},
    {"timeframe": "1h"},
    {"nan": "hold"},
    {"nan": "drop"},
    {"late": "never"},
    {"keep": 0},
    {"keep": True},
    {"keep": 1 << 40},
    {"seen": -1},
    {"seen": 0},
    {"seen": 1 << 70},
    {"seen": 24},
    {"ignored": None},
    {"time": None},
    {"time": START + 7},
    {"time": "now"},
    {"memory": np.zeros((3, 3))},
    {"memory": np.zeros(3)},
    {"memory": [[1.0]]},
    {"memory": None},
    {"values": np.zeros((2, 3))},
    {"values": np.zeros((11, 3), dtype=np.float32)},
    {"kept": 5},
    {"kept_seen": 3},
    {"kept_time": None},
    {"kept_time": START + 24 * MINUTE},
    {"kept_memory": np.zeros((1, 1))},
    {"kept_times": np.arange(5)},
    {"kept_times": None},
    {"kept_bars": np.zeros((1, 1, 1))},
    {"kept_bars": np.zeros(1)},
]


@pytest.mark.parametrize("changes", DAMAGE, ids=str)
def test_damaged_snapshot_is_refused(panel, changes):
    """Whatever the bytes in a cache say, there is a ``DataError`` or a stream that can be."""
    snapshot = fed(panel, 25, late="replay", keep=4).snapshot()
    Stream.restore(snapshot)
    with pytest.raises(DataError):
        Stream.restore(changed(snapshot, **changes))


@pytest.mark.parametrize("data", [{}, 5, None, "text", b"{}", {"kind": "tradeutils.indicators.Stream"}])
def test_what_is_no_snapshot_is_refused(data):
    """Anything may lie under a key."""
    with pytest.raises(DataError):
        Stream.restore(data)


def test_snapshot_of_other_specs_is_refused(panel):
    """A bot whose specs have changed warms anew, and hears so."""
    snapshot = fed(panel, 3).snapshot()
    with pytest.raises(DataError, match="the snapshot is of sma:5, ema:5"):
        Stream.restore(snapshot, specs=["sma:5"])


def test_snapshot_without_bars_restores(panel):
    """A bot may stop before its first bar."""
    stream = Stream.restore(Stream(SPECS, SYMBOLS, late="replay").snapshot())
    for row in range(BARS):
        values = stream.update(bar_of(panel, row))
    assert_last(values, panel)
