"""Plain functions: cases worked by hand, kinds of input, ``out``, and the edges."""

import decimal

import numpy as np
import pytest

from tradeutils import indicators
from tradeutils.errors import SettingsError, UsageError
from tradeutils.indicators import REGISTRY, evaluate
from tradeutils.indicators.arrays import as_prices

NAN, INF = np.nan, np.inf
NAMES = sorted(REGISTRY)


def columns_of(name, close):
    """Return the columns an indicator needs, around ``close``; where it is missing, all but the time are."""
    close = np.asarray(close, dtype=float)
    bar = np.arange(float(len(close))).reshape(-1, *[1] * (close.ndim - 1))
    made = {
        "time": np.full(close.shape, 1.7e12) + 60_000 * bar,
        "open": close * 1.001,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": np.abs(close) * (2 + np.sin(bar)),
        "other": close * (2 + np.cos(bar)),
    }
    return [made[column] for column in REGISTRY[name].inputs]


def results_of(name, close, *parameters, **options):
    """Return the outputs of an indicator as a tuple, whether one or several."""
    made = getattr(indicators, name)(*columns_of(name, close), *parameters, **options)
    return made if isinstance(made, tuple) else (made,)


def test_atr_takes_the_largest_even_where_high_is_below_low():
    """On a malformed bar the true range is the largest of TA-Lib's three distances."""
    made = indicators.atr([2, 1], [1, 2], [1.5, 1.5], 1)
    np.testing.assert_array_equal(made, [NAN, 0.5])


def test_period_one_returns_the_price():
    """An average over one bar is the bar: SMA to the bit, EMA to the rounding of TA-Lib's step."""
    prices = np.array([1e-9, 3.1, 1e12, 2.0])
    np.testing.assert_array_equal(indicators.sma(prices, 1), prices)
    np.testing.assert_allclose(indicators.ema(prices, 1), prices, rtol=1e-15)


def test_atr_of_period_one_is_the_true_range():
    """Wilder's average over one bar is the bar's true range, to the bit, also after a huge one."""
    high, low, close = np.array([2.0, 1e9, 1.25, 1.5]), np.array([1.0, 1.0, 1.0, 1.25]), np.array([1.5, 1.0, 1.25, 1.5])
    np.testing.assert_array_equal(indicators.atr(high, low, close, 1), [NAN, 1e9 - 1, 0.25, 0.25])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (0, 3), (1, 3), (5, 0), (0, 0), (5, 3)])
def test_empty_and_short_input_gives_the_first_rows(name, shape):
    """No rows, one bar, fewer than the lookback, no symbols: what a long series gives first, without a warning."""
    close = 100 + np.sin(np.arange(300.0)).reshape(-1, *[1] * (len(shape) - 1)) * np.ones((300, *shape[1:]))
    long, short = columns_of(name, close), [column[: shape[0]] for column in columns_of(name, close)]
    whole, made = (getattr(indicators, name)(*columns) for columns in (long, short))
    for output, want in zip(*(one if isinstance(one, tuple) else (one,) for one in (made, whole)), strict=True):
        assert output.shape == shape
        np.testing.assert_array_equal(output, want[: shape[0]])


def test_period_far_beyond_the_data_makes_no_state():
    """The longest period on a short panel returns at once, without the gigabytes its state would take."""
    assert np.isnan(indicators.bbands(np.ones((10, 5000)), 100_000, 2.0).upper).all()


@pytest.mark.parametrize("name", NAMES)
def test_all_missing_input_gives_nan(name):
    """A symbol without a single price has no values, and leaves its neighbours theirs."""
    close = np.column_stack([np.full(120, NAN), 100 + np.sin(np.arange(120.0))])
    for output, alone in zip(results_of(name, close), results_of(name, close[:, 1]), strict=True):
        assert np.isnan(output[:, 0]).all()
        np.testing.assert_array_equal(output[:, 1], alone)


def test_constant_prices_have_defined_results():
    """Of a constant: means are it, bands lie on it, RSI is 0 as in TA-Lib, MACD 0 to rounding, ATR 0."""
    flat = np.full(100, 0.1)
    np.testing.assert_array_equal(indicators.sma(flat, 20)[19:], 0.1)
    np.testing.assert_allclose(indicators.ema(flat, 20)[19:], 0.1, rtol=1e-15)
    for band in indicators.bbands(flat, 20, 2.0):
        np.testing.assert_array_equal(band[19:], 0.1)
    np.testing.assert_array_equal(indicators.rsi(flat, 14)[14:], 0.0)
    np.testing.assert_array_equal(indicators.atr(flat, flat, flat, 14)[14:], 0.0)
    for output in indicators.macd(flat):
        np.testing.assert_allclose(output[33:], 0.0, atol=1e-16)


def test_rsi_reaches_its_ends_exactly():
    """Only rises give exactly 100 and only falls exactly 0, never a digit beyond."""
    rises = np.cumsum(np.random.default_rng(1).random(5000)) + 1
    np.testing.assert_array_equal(indicators.rsi(rises, 14)[14:], 100.0)
    np.testing.assert_array_equal(indicators.rsi(-rises, 14)[14:], 0.0)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_bar_of_atr_is_missing_if_any_of_its_prices_is(column):
    """One missing high, low or close restarts the average."""
    prices = columns_of("atr", 100 + np.random.default_rng(3).normal(0, 1, 60).cumsum())
    prices[column] = prices[column].copy()
    prices[column][20] = NAN
    made = indicators.atr(*prices, 5)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(made)), [*range(5), *range(20, 26)])


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_array_reads_as_its_numbers(name):
    """Lists, ints, float32, other byte orders, Decimals, transposed, strided and unaligned views give the same."""
    close = np.random.default_rng(5).integers(50, 150, (60, 3))
    want = results_of(name, close)
    raw = np.zeros(close.size * 8 + 1, dtype=np.uint8)[1:]
    unaligned = raw.view(np.float64).reshape(close.shape)
    unaligned[:] = close
    strided = np.zeros((120, 6))
    strided[::2, ::2] = close
    function = getattr(indicators, name)
    columns = columns_of(name, close)
    for kind in (
        close.tolist(),
        close.astype(np.int32),
        close.astype(np.uint8),
        close.astype(np.float32),
        close.astype(">f8"),
        close.astype(np.longdouble),
        close.astype(object),
        np.array([[decimal.Decimal(int(price)) for price in row] for row in close]),
        np.asfortranarray(close.astype(float)),
        np.ascontiguousarray(close.T.astype(float)).T,
        strided[::2, ::2],
        unaligned,
        np.ma.masked_array(close),
    ):
        given = zip(REGISTRY[name].inputs, columns, strict=True)
        made = function(*(kind if label == "close" else column for label, column in given))
        for output, expected in zip(made if isinstance(made, tuple) else (made,), want, strict=True):
            np.testing.assert_array_equal(output, expected)


def test_masked_values_and_none_are_missing():
    """A masked bar is a missing bar, of any dtype, not the number under the mask; so is None."""
    np.testing.assert_array_equal(indicators.sma([0, 1, None, 3, 4, 5], 2), [NAN, 0.5, NAN, NAN, 3.5, 4.5])
    masked = np.ma.masked_array(np.arange(6), mask=[0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(indicators.sma(masked, 2), [NAN, 0.5, NAN, NAN, 3.5, 4.5])


def test_a_long_double_beyond_float64_is_missing():
    """What overflows on the way to float64 is an infinity, and so missing, without a warning."""
    wide = np.array([1, 2, 3, 4], dtype=np.longdouble)
    wide[1] = np.longdouble("1e4000")
    np.testing.assert_array_equal(indicators.sma(wide, 2), [NAN, NAN, NAN, 3.5])


@pytest.mark.parametrize(
    ("close", "part"),
    [
        (1.0, r"shape \(\)"),
        (np.ones((2, 2, 2)), r"shape \(2, 2, 2\)"),
        ([[1.0, 2.0], [3.0]], "cannot be read as numbers"),
        (["a", "b"], "give numbers"),
        (["1", "2"], "give numbers"),
        ([True, False], "give numbers"),
        ([1j, 2j], "give numbers"),
        (np.array(["2024-01-01"], dtype="M8[ms]"), "give numbers"),
        ([10**400, 1], "cannot be read as numbers"),
        ("rsi", "give numbers"),
        ({"close": 1}, "cannot be read as numbers"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(close, part):
    """Anything that is not numbers in one or two dimensions raises UsageError that names the input."""
    with pytest.raises(UsageError, match=part) as caught:
        indicators.rsi(close)
    assert "close" in str(caught.value)


def test_inputs_of_several_shapes_are_refused():
    """High, low and close of different shapes raise UsageError with both shapes."""
    with pytest.raises(UsageError, match=r"low had shape \(3,\) and high \(4,\)"):
        indicators.atr(np.ones(4), np.ones(3), np.ones(4))
    with pytest.raises(UsageError, match=r"\(4, 1\)"):
        indicators.atr(np.ones(4), np.ones(4), np.ones((4, 1)))


def test_too_few_inputs_show_the_signature():
    """A call without all columns says which and in what order."""
    with pytest.raises(UsageError, match=r"atr\(high, low, close, period=14\)"):
        indicators.atr(np.ones(4))


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_never_written_to(name):
    """Read-only inputs work, and writable ones keep every bit, missing values included."""
    close = 100 + np.random.default_rng(2).normal(0, 1, (80, 4)).cumsum(axis=0)
    close[10, 1], close[50, 2] = NAN, INF
    columns = columns_of(name, close)
    before = [column.copy() for column in columns]
    getattr(indicators, name)(*columns)
    for column, copy in zip(columns, before, strict=True):
        np.testing.assert_array_equal(column, copy)
        assert column.flags.writeable
        column.flags.writeable = False
    getattr(indicators, name)(*columns)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["plain", "fortran", "strided", "unaligned"])
def test_out_is_filled_and_returned(name, layout):
    """Arrays given as ``out`` are returned themselves, filled, in any layout."""
    close = 100 + np.random.default_rng(2).normal(0, 1, (80, 4)).cumsum(axis=0)
    want = results_of(name, close)

    def made():
        if layout == "plain":
            return np.zeros(close.shape)
        if layout == "fortran":
            return np.zeros(close.shape, order="F")
        if layout == "strided":
            return np.zeros((160, 8))[::2, ::2]
        return np.zeros(close.size * 8 + 1, dtype=np.uint8)[1:].view(np.float64).reshape(close.shape)

    out = [made() for _ in want]
    got = results_of(name, close, out=out if len(out) > 1 else out[0])
    for array, result, expected in zip(out, got, want, strict=True):
        assert result is array
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("shift", [0, 1])
def test_out_may_be_the_input_itself(shift):
    """With ``out`` over the input, wholly or in part, the result is that of a copy."""
    close = 100 + np.random.default_rng(2).normal(0, 1, 81).cumsum()
    for name in ("sma", "rsi", "ema"):
        buffer = close.copy()
        given = buffer[: len(buffer) - shift]
        out = buffer[shift:]
        want = getattr(indicators, name)(given.copy(), 5)
        np.testing.assert_array_equal(getattr(indicators, name)(given, 5, out=out), want)


def test_out_that_does_not_fit_is_refused():
    """A wrong type, dtype, shape, count, a read-only array, or two that overlap raise UsageError."""
    close = np.ones(50)
    read_only = np.zeros(50)
    read_only.flags.writeable = False
    for out, part in (
        ([0.0] * 50, "list"),
        (np.zeros(49), r"\(49,\)"),
        (np.zeros((50, 1)), r"\(50, 1\)"),
        (np.zeros(50, dtype=np.float32), "float32"),
        (np.zeros(50, dtype=">f8"), ">f8"),
        (read_only, "read-only"),
        (3, "int"),
    ):
        with pytest.raises(UsageError, match=part):
            indicators.sma(close, out=out)
    shared = np.zeros((3, 50))
    for given, part in (
        (shared, "give 3 arrays"),
        ([shared[0]] * 2, "give 3 arrays"),
        ([shared[0]] * 3, "share memory"),
    ):
        with pytest.raises(UsageError, match=part):
            indicators.macd(close, out=given)
    made = indicators.macd(np.arange(50.0), out=(shared[0], shared[1], shared[2]))
    assert made.signal is not None
    np.testing.assert_array_equal(shared[1], made.signal)


def test_out_may_be_a_file_in_memory(tmp_path):
    """A memmap is filled like any array."""
    out = np.memmap(tmp_path / "sma.bin", dtype=np.float64, mode="w+", shape=(50, 2))
    assert indicators.sma(np.ones((50, 2)), 5, out=out) is out
    np.testing.assert_array_equal(np.fromfile(tmp_path / "sma.bin").reshape(50, 2)[4:], 1.0)


def test_out_of_interleaved_columns_is_filled():
    """Columns of one array as ``out`` lie between one another and yet share no memory."""
    table = np.zeros((50, 3))
    made = indicators.bbands(np.arange(50.0), 5, 2.0, out=tuple(table[:, i] for i in range(3)))
    np.testing.assert_array_equal(table[:, 1], made.middle)
    assert (table[4:, 0] > table[4:, 1]).all()


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_threads_must_be_a_whole_number_from_one(threads):
    """Any other count raises UsageError, however short the data."""
    with pytest.raises(UsageError, match="whole number from 1"):
        indicators.sma([1.0], threads=threads)


def test_setting_for_threads_is_read_at_each_call(monkeypatch):
    """TRADEUTILS_THREADS is checked and used when set, and an explicit count wins."""
    monkeypatch.setenv("TRADEUTILS_THREADS", "two")
    with pytest.raises(SettingsError, match="TRADEUTILS_THREADS was 'two'"):
        indicators.sma([1.0, 2.0], 1)
    np.testing.assert_array_equal(indicators.sma([1.0, 2.0], 1, threads=1), [1, 2])
    monkeypatch.setenv("TRADEUTILS_THREADS", " 2 ")
    np.testing.assert_array_equal(indicators.sma([1.0, 2.0], 1), [1, 2])


def test_tail_must_be_a_count():
    """check_tail lets None and counts through and refuses the rest."""
    assert [evaluate.check_tail(tail) for tail in (None, 0, 3)] == [None, 0, 3]
    for tail in (-1, 1.0, True, "1"):
        with pytest.raises(UsageError, match="tail"):
            evaluate.check_tail(tail)


def test_float64_is_not_copied():
    """An array that is float64 already is read where it lies."""
    close = np.ones((4, 2))
    assert as_prices(close, "close") is close
