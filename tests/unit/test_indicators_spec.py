"""Specs, parameters and what is made from the registry."""

import importlib
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

from tradeutils import indicators
from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators import REGISTRY, Indicators, parse
from tradeutils.indicators.spec import expand, parse_all
from tradeutils.indicators.stub import PATH, stub


@pytest.mark.parametrize(
    ("text", "name", "values", "keys"),
    [
        ("rsi:14", "rsi", (14,), ("rsi:14",)),
        ("rsi", "rsi", (14,), ("rsi",)),
        ("  ema : 20 ", "ema", (20,), ("ema : 20",)),
        ("macd:12,26,9", "macd", (12, 26, 9), tuple(f"macd:12,26,9.{o}" for o in ("macd", "signal", "histogram"))),
        ("macd:5", "macd", (5, 26, 9), ("macd:5.macd", "macd:5.signal", "macd:5.histogram")),
        ("bbands:20,2", "bbands", (20, 2.0), ("bbands:20,2.upper", "bbands:20,2.middle", "bbands:20,2.lower")),
        ("bbands:20, 2.5", "bbands", (20, 2.5), tuple(f"bbands:20, 2.5.{o}" for o in ("upper", "middle", "lower"))),
        ("bbands:20,1e1", "bbands", (20, 10.0), tuple(f"bbands:20,1e1.{o}" for o in ("upper", "middle", "lower"))),
        ("atr:+7", "atr", (7,), ("atr:+7",)),
    ],
)
def test_spec_reads_as_written(text, name, values, keys):
    """A spec names its indicator and parameters, fills in defaults, and keeps its own text as the key."""
    spec = parse(text)
    assert (spec.indicator.name, spec.values, spec.keys) == (name, values, keys)
    assert [type(v) for v in spec.values] == [type(p.default) for p in spec.indicator.parameters]


@pytest.mark.parametrize(
    ("text", "nearest"), [("rsii:14", "rsi"), ("RSI:14", "rsi"), ("bband", "bbands"), ("mcad", "macd")]
)
def test_misspelt_indicator_names_the_nearest(text, nearest):
    """An unknown name raises UnknownName, whose message offers the nearest name."""
    with pytest.raises(UnknownName, match=nearest) as caught:
        parse(text)
    assert nearest in caught.value.nearest


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rsi:1", "2 to 100000"),
        ("rsi:100001", "2 to 100000"),
        ("rsi:14.5", "whole number"),
        ("rsi:14.0", "whole number"),
        ("rsi:", "whole number"),
        ("rsi:1_4", "whole number"),
        ("rsi:\u0661\u0664", "whole number"),  # Arabic-Indic digits, which int() takes
        ("rsi:" + "9" * 5000, "whole number"),
        ("rsi:x", "whole number"),
        ("macd:12,,9", "slow was ''"),
        ("bbands:20,nan", "0.0 to 1000.0"),
        ("bbands:20,inf", "0.0 to 1000.0"),
        ("bbands:20,1e999", "0.0 to 1000.0"),
        ("bbands:20,-1", "0.0 to 1000.0"),
        ("bbands:20,two", "number"),
        ("rsi:14,9", r"rsi\(close, period=14\)"),
        ("macd:12,26,9,1", r"macd\(close, fast=12, slow=26, signal=9\)"),
    ],
)
def test_bad_parameter_says_what_to_write(text, part):
    """A value that does not fit raises UsageError with the range, and too many values with the signature."""
    with pytest.raises(UsageError, match=part):
        parse(text)


@pytest.mark.parametrize("text", [None, 14, b"rsi:14", ["rsi:14"]])
def test_spec_that_is_no_string_is_refused(text):
    """Anything but a string raises UsageError that shows how a spec looks."""
    with pytest.raises(UsageError, match='"rsi:14"'):
        parse(text)


@pytest.mark.parametrize("text", ["", "  ", ":14"])
def test_spec_without_a_name_lists_the_names(text):
    """An empty name raises UnknownName with the names there are."""
    with pytest.raises(UnknownName, match="sma"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("rsi:5..8", ["rsi:5", "rsi:6", "rsi:7", "rsi:8"]),
        ("rsi:5..5", ["rsi:5"]),
        ("rsi:5..20..5", ["rsi:5", "rsi:10", "rsi:15", "rsi:20"]),
        ("rsi:5..19..5", ["rsi:5", "rsi:10", "rsi:15"]),
        ("rsi:5..6..100", ["rsi:5"]),
        ("  rsi : 5 .. 6 ", ["rsi:5", "rsi:6"]),
        ("macd:8..9,26,9", ["macd:8,26,9", "macd:9,26,9"]),
        ("macd:8..9", ["macd:8", "macd:9"]),
        ("macd:8..9, 26 ,3..6..3", ["macd:8,26,3", "macd:8,26,6", "macd:9,26,3", "macd:9,26,6"]),
        ("bbands:20,1.5..3..0.5", ["bbands:20,1.5", "bbands:20,2", "bbands:20,2.5", "bbands:20,3"]),
        ("bbands:20,0.1..0.3..0.1", ["bbands:20,0.1", "bbands:20,0.2", "bbands:20,0.3"]),
        ("bbands:20,0..1e1..5", ["bbands:20,0", "bbands:20,5", "bbands:20,10"]),
        ("bbands:20, 2.50", ["bbands:20, 2.50"]),
    ],
)
def test_range_stands_for_every_single_spec(text, texts):
    """Both ends count, ranges multiply, and the keys are those of the specs written alone."""
    assert [spec.text for spec in expand(text)] == texts
    assert expand(text) == [parse(one) for one in texts]


def test_ranges_and_single_specs_are_taken_once_each():
    """A spec that a range holds too is computed once; 46 periods are 46 specs, with the results of each."""
    assert [spec.text for spec in parse_all(["rsi:6", "rsi:5..7"])] == ["rsi:6", "rsi:5", "rsi:7"]
    assert len(parse_all(["rsi:5..50"])) == 46
    close = np.random.default_rng(1).normal(0, 1, 60).cumsum()
    swept = Indicators(close).compute(["rsi:5..8", "bbands:5,1..2..0.5"])
    assert list(swept)[:5] == ["rsi:5", "rsi:6", "rsi:7", "rsi:8", "bbands:5,1.upper"]
    for key, column in Indicators(close).compute(["rsi:7", "bbands:5,1.5"]).items():
        np.testing.assert_array_equal(swept[key], column)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rsi:50..5", r"backwards; write 5\.\.50$"),
        ("rsi:50..5..5", r"write 5\.\.50\.\.5$"),
        ("rsi:5..", r"5\.\.50\.\.5"),
        ("rsi:..", r"5\.\.50\.\.5"),
        ("rsi:..5", r"5\.\.50\.\.5"),
        ("rsi:5..50..", r"5\.\.50\.\.5"),
        ("rsi:5..50..5..5", r"5\.\.50\.\.5"),
        ("rsi:5...50", r"5\.\.50\.\.5"),
        ("bbands:20,1...3..0.1", r"1\.5\.\.3\.\.0\.5"),
        ("rsi:5..50..0", "whole number of at least 1"),
        ("rsi:5..50..-5", "whole number of at least 1"),
        ("rsi:5..50..0.5", "whole number of at least 1"),
        ("rsi:5..50..x", "whole number of at least 1"),
        ("bbands:20,1..2..0", "number above 0"),
        ("bbands:20,1..2..nan", "number above 0"),
        ("bbands:20,1..2", r"has no step; write 1\.\.2\.\.0\.5"),
        ("bbands:20,1..2000..1", "0.0 to 1000.0"),
        ("rsi:1..5", "2 to 100000"),
        ("rsi:5..x", "whole number"),
        ("rsi:5..50,9", r"rsi\(close, period=14\)"),
        ("rsi:2..10002", "10,001 indicators; write at most 10,000"),
        ("macd:2..101,2..101,2..3", "20,000 indicators"),
        ("bbands:20,0..1000..1e-999", r"1e\+1002 indicators"),
    ],
)
def test_bad_range_says_what_to_write(text, part):
    """Backwards, without an end or a step, out of range, or too many: a UsageError, before anything is expanded."""
    with pytest.raises(UsageError, match=part):
        expand(text)


def test_range_up_to_the_most_is_taken():
    """10,000 specs are."""
    assert len(expand("rsi:2..10001")) == 10_000


def test_range_where_one_spec_is_asked_for_says_where_to_write_it():
    """`parse` gives one spec."""
    with pytest.raises(UsageError, match=r"compute\(\['rsi:5\.\.50'\]\)"):
        parse("rsi:5..50")


def test_parameters_bind_by_position_and_by_name():
    """Values reach their parameters either way, as int or float, NumPy's included."""
    bands = REGISTRY["bbands"]
    assert bands.bind((10,), {"deviations": 3}) == (10, 3.0)
    assert bands.bind((np.int64(10), np.float32(1.5))) == (10, 1.5)
    assert isinstance(bands.bind((np.int64(10),))[0], int)


@pytest.mark.parametrize(
    ("given", "named", "error", "part"),
    [
        ((14, 15), {}, UsageError, "takes 1 parameters and 2"),
        ((14,), {"period": 15}, UsageError, "twice"),
        ((), {"perod": 14}, UnknownName, "period"),
        ((), {"close": 14}, UnknownName, "period"),
        ((14.0,), {}, UsageError, "whole number"),
        ((True,), {}, UsageError, "whole number"),
        (("14",), {}, UsageError, "whole number"),
        ((None,), {}, UsageError, "whole number"),
        ((0,), {}, UsageError, "2 to 100000"),
    ],
)
def test_call_with_wrong_parameters_is_refused(given, named, error, part):
    """A wrong value, count or name raises an error of ours that says what is right."""
    with pytest.raises(error, match=part):
        REGISTRY["rsi"].bind(given, named)


@pytest.mark.parametrize("value", ["many", None, float("nan"), True, 1j, 10**400])
def test_decimal_parameter_refuses_what_is_no_number_in_range(value):
    """A parameter that takes decimals refuses text, nothing, NaN, flags, complex and huge numbers."""
    with pytest.raises(UsageError, match=r"0\.0 to 1000\.0"):
        REGISTRY["bbands"].bind((20, value))


def test_label_is_a_spec_of_the_same_parameters():
    """The label of bound parameters parses back to them."""
    for indicator in REGISTRY.values():
        spec = parse(indicator.label(indicator.bind()))
        assert (spec.indicator, spec.values) == (indicator, indicator.bind())
    assert REGISTRY["bbands"].label((20, 2.0)) == "bbands:20,2"
    assert REGISTRY["bbands"].label((20, 2.25)) == "bbands:20,2.25"


@pytest.mark.parametrize(
    ("text", "lookback"),
    [
        ("sma:30", 29),
        ("ema:1", 0),
        ("rsi:14", 14),
        ("macd:12,26,9", 33),
        ("macd:26,12,9", 33),
        ("bbands:20", 19),
        ("atr:14", 14),
    ],
)
def test_lookback_counts_the_bars_before_the_first_value(text, lookback):
    """The lookback is TA-Lib's."""
    assert parse(text).lookback == lookback


def test_stub_is_what_the_registry_says():
    """generated.pyi is up to date; `python -m tradeutils.indicators.stub` writes it anew."""
    assert PATH.read_text(encoding="utf-8") == stub()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_function_and_method_tell_their_signature_and_document(name):
    """help() shows parameters with defaults, ranges and the source, on functions and methods alike."""
    indicator = REGISTRY[name]
    function, method = getattr(indicators, name), getattr(indicators.Indicators, name)
    arguments = inspect.signature(function).parameters
    options = ["out", "threads", "nan", "compat", "dtype"]
    assert list(arguments) == [*indicator.inputs, *(p.name for p in indicator.parameters), *options]
    assert list(inspect.signature(method).parameters) == ["self", *(p.name for p in indicator.parameters)]
    ranges = [f"{parameter.lowest} to {parameter.highest}" for parameter in indicator.parameters]
    for parameter in indicator.parameters:
        assert arguments[parameter.name].default == parameter.default
    for made in (function, method):
        assert made.__name__ == name
        assert indicator.title in made.__doc__
        assert indicator.source in made.__doc__
        assert all(one in made.__doc__ for one in ranges)
    assert name in indicators.__all__


def test_results_of_several_outputs_travel_between_processes():
    """A result tuple pickles by name, is subscripted in annotations and unpacks in TA-Lib's order."""
    made = indicators.macd(np.arange(40.0))
    again = pickle.loads(pickle.dumps(made))  # noqa: S301  # our own bytes
    assert type(again) is indicators.Macd
    assert again._fields == ("macd", "signal", "histogram")
    np.testing.assert_array_equal(again.signal, made.signal)
    assert indicators.Bbands[float].__origin__ is indicators.Bbands
    module = importlib.import_module(indicators.Macd.__module__)
    assert module.Macd is indicators.Macd


def test_import_leaves_numba_and_pandas_out():
    """Importing the package, its registry and its classes loads neither numba nor pandas."""
    code = "import sys, tradeutils.indicators; print([m for m in ('numba', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
