"""Fused programs on the stand-in give the bits of the CPU: the arithmetic is the same, translated."""

import dataclasses
import functools
import importlib
import math
import struct

import numpy as np
import pandas as pd
import pytest
from host_device import HostDevice
from panels import walk

from tradeutils.errors import UsageError
from tradeutils.indicators import REGISTRY
from tradeutils.indicators.cpu import MODES, State, program_of
from tradeutils.indicators.cpu.chunks import settling
from tradeutils.indicators.cuda.source import KERNEL, source_of
from tradeutils.indicators.cuda.table import Launch, layout_of, structure_of
from tradeutils.indicators.expression import LEAD, column, constant
from tradeutils.indicators.operators import ema, highest, lag, mean, smooth

INPUTS = ("time", "open", "high", "low", "close", "volume", "other")

INEXACT = {"exponential", "angle", "gaussian"}
"""Operators that call exp or atan, which no two mathematical libraries round alike; all others give the CPU's bits."""
TOLERANCE = 1e-12

# One indicator may pass through many operators; what is not exact spreads to all that is made of it.
ODD = {2: 3, 3: 2, 5: 7, 7: 1, 9: 4, 10: 13, 12: 5, 13: 17, 14: 21, 20: 6, 21: 8, 25: 29, 26: 11, 28: 31, 30: 33}


def value_of(parameter, odd):
    """Return the default of a parameter, or one that is odd: another period, a window of one bar, a share."""
    default = parameter.default
    if not odd or parameter.switch or parameter.name == "lookahead":
        return default
    if parameter.whole:
        return int(min(max(ODD.get(default, default), parameter.lowest), parameter.highest))
    return min(max(default * 0.75, parameter.lowest), parameter.highest)


def parameters_of(indicator, odd=False):
    """Return the parameters of an indicator: its defaults, or others that it takes."""
    made = tuple(value_of(parameter, odd) for parameter in indicator.parameters)
    try:
        indicator.expressions(made, indicator.inputs, "talib")
    except UsageError:
        return tuple(parameter.default for parameter in indicator.parameters)
    return made


@functools.cache
def outputs_of(compat, odd):
    """Return (indicator, output) and the node of each: of all indicators, or of those TradingView defines otherwise."""
    found = {}
    for name, indicator in REGISTRY.items():
        if compat == "talib" or indicator.tradingview is not None:
            nodes = indicator.expressions(parameters_of(indicator, odd), indicator.inputs, compat)
            for output, node in zip(indicator.outputs, nodes, strict=True):
                found[name, output] = node.inputs[0] if node.operator is LEAD else node
    return found


def program_for(compat="talib", nan="restart", odd=False):
    """Return one program of all that ``outputs_of`` has."""
    return program_of(tuple(outputs_of(compat, odd).values()), INPUTS, nan)


def is_exact(node):
    """Say whether nothing a value is made of calls exp or atan."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += one.inputs
    return all(one.operator.name not in INEXACT for one in seen)


def columns_of(panel):
    """Return the columns of a panel in the order of INPUTS, (T, S)."""
    return [np.ascontiguousarray(panel[name]) for name in INPUTS]


def on_the_cpu(program, columns, *, state=None, dtype=np.float64):
    """Return what the CPU makes, (results, T, S), in one pass."""
    bars, symbols = columns[0].shape
    made = np.full((program.results, bars, symbols), -1.0, dtype)
    (state or State(program, symbols)).feed(columns, list(made))
    return made


class Run:
    """A launch on the stand-in, with every array that it needs; what it does not write stays 7."""

    def __init__(self, device, programs, columns, *, chunks=1, length=None, dtype=np.float64, block=64, **fields):
        self.device, self.programs = device, programs
        bars, symbols = columns[0].shape
        layout = layout_of(programs[0], programs)
        first, kept = fields.get("first", 0), fields.get("kept", 0)
        length = length or bars - first
        shape = (len(programs), programs[0].results, bars - kept, symbols)
        with device:
            columns = [device.upload(column) for column in columns]
            self.results = device.xp.full(shape, 7.0, dtype=dtype)
            snapshot = layout.snapshot_shape(chunks, symbols)
            self.begun, self.ended = (device.xp.full(snapshot, 7.0) for _ in range(2))
            workspace = device.xp.full(layout.workspace_bytes(chunks, symbols) // 8, 9.0)
            if "resumed" in fields:
                resumed = device.upload(np.ascontiguousarray(fields["resumed"]))
                fields["resumed"] = device.address(resumed)
            size = self.results.itemsize
            launch = Launch(
                layout=layout,
                symbols=symbols,
                chunks=chunks,
                length=length,
                bars=fields.pop("bars", bars),
                begun=device.address(self.begun),
                ended=device.address(self.ended),
                workspace=device.address(workspace),
                inputs=[(device.address(one), *(stride // one.itemsize for stride in one.strides)) for one in columns],
                results=[
                    (device.address(one), self.results.strides[0] // size, *(stride // size for stride in one.strides))
                    for one in self.results[0]
                ],
                **fields,
            )
            single = columns[0].dtype == np.float32
            module = device.compile(source_of(programs[0], single, dtype == np.float32))
            module.launch(KERNEL, launch.grid(block), block, device.upload(launch.words()))

    def made(self, number=0):
        """Return the results of a set, with those that are copies as the CPU's ``want`` is to have them: left out."""
        return self.device.download(self.results)[number]


@functools.cache
def plain():
    """Return a device on which programs of all indicators are compiled in seconds."""
    return HostDevice(optimised=False)


def bits(array):
    return array.view(np.int32 if array.dtype == np.float32 else np.int64)


def same_bits(a, b):
    """Say which items are the same to the bit, or both NaN."""
    return (bits(a) == bits(b)) | (np.isnan(a) & np.isnan(b))


def assert_same(program, want, got, labels, exact=None):
    """Hold every result that a kernel writes to the CPU's."""
    for k, label in enumerate(labels):
        if k in program.copies:
            continue
        if exact is None or exact[k]:
            assert same_bits(want[k], got[k]).all(), label
        else:
            np.testing.assert_allclose(got[k], want[k], rtol=TOLERANCE, atol=0.0, err_msg=str(label))


def panel_of(bars, symbols, **drawn):
    """Return a panel with gaps, runs of NaN, infinities, bars without a trade and flat stretches."""
    panel = walk(bars, symbols, traded=False, **{"flat": 0.2, "moves": 0.02, "missing": 0.01, "leading": 20, **drawn})
    random = np.random.default_rng(bars + symbols)
    for name in INPUTS[1:]:
        panel[name][random.random((bars, symbols)) < 0.002] = math.inf
        panel[name][bars // 2 : bars // 2 + 3, symbols // 2] = math.nan
    return panel


COMPILED = [
    ("talib", "restart", False),
    ("talib", "hold", False),
    ("talib", "propagate", False),
    ("tradingview", "restart", False),
    ("tradingview", "hold", True),
    ("tradingview", "propagate", True),
    ("talib", "restart", True),
]


@pytest.mark.parametrize(("compat", "nan", "odd"), COMPILED)
def test_every_indicator_gives_the_bits_of_the_cpu(compat, nan, odd):
    """All indicators in one launch, on panels of many shapes, are what the CPU makes: to the bit, but for exp, atan."""
    outputs = outputs_of(compat, odd)
    program = program_for(compat, nan, odd)
    exact = [is_exact(node) for node in outputs.values()]
    for bars, symbols, drawn in [
        (260, 5, {}),
        (130, 33, {"moves": 1e-6, "size": 1e-8, "leading": 3}),
        (220, 1, {"size": 1e5, "flat": 0.9, "missing": 0.0, "leading": 0}),
        (1, 3, {"leading": 0}),
        (9, 2, {"missing": 0.1, "leading": 0}),
    ]:
        columns = columns_of(panel_of(bars, symbols, **drawn))
        made = Run(plain(), [program], columns).made()
        assert (made != 7.0).all(axis=(1, 2)).sum() == program.results - len(program.copies)
        assert_same(program, on_the_cpu(program, columns), made, outputs, exact)


@pytest.mark.recordings
def test_recorded_markets_give_the_bits_of_the_cpu(recordings):
    """All indicators of ten recorded markets of unequal length are what the CPU makes."""
    files = sorted((recordings / "freqtrade_gpl3").glob("*_BTC-5m.feather"))
    panel = {name: np.full((1500, len(files)), np.nan) for name in INPUTS}
    for at, file in enumerate(files):
        frame = pd.read_feather(file).iloc[-1500 + 50 * at :]
        for name in INPUTS[1:6]:
            panel[name][1500 - len(frame) :, at] = frame[name]
    panel["time"][:] = 3e5 * np.arange(1500)[:, np.newaxis]
    panel["other"] = panel["close"][:, ::-1]
    outputs, program, columns = outputs_of("talib", False), program_for(), columns_of(panel)
    exact = [is_exact(node) for node in outputs.values()]
    assert_same(program, on_the_cpu(program, columns), Run(plain(), [program], columns).made(), outputs, exact)


def test_most_indicators_call_nothing_that_libraries_round_apart():
    """Only indicators made of exp or atan may differ from the CPU in a last digit."""
    inexact = {name for (name, _), node in outputs_of("talib", False).items() if not is_exact(node)}
    assert inexact == {"alma", "linearreg_angle"}


def met(run, program):
    """Say which rows of which chunks begin with the state that the chunk before them ends with."""
    limits = layout_of(program).limits[:, 0, np.newaxis, np.newaxis]
    begun, ended = (run.device.download(one)[:, 0] for one in (run.begun, run.ended))
    return same_bits(np.minimum(begun[:, 1:], limits), np.minimum(ended[:, :-1], limits))


def test_chunks_of_time_that_begin_early_give_the_bits_of_one_pass():
    """Where the bars that a chunk runs early are those that its program needs to settle, states meet and bits agree."""
    settled = {key: settling(program_of((node,), INPUTS)) for key, node in outputs_of("talib", False).items()}
    chosen = [key for key, found in settled.items() if found is not None and found[0] <= 1000]
    assert len(chosen) > 100
    program = program_of(tuple(outputs_of("talib", False)[key] for key in chosen), INPUTS)
    columns = columns_of(panel_of(2500, 2, missing=0.0, leading=5))
    want = on_the_cpu(program, columns)
    for length, chunks in ((700, 4), (834, 3)):  # of no cycle: each lane counts its own bars
        run = Run(plain(), [program], columns, chunks=chunks, length=length, early=1000)
        assert met(run, program).all()
        assert_same(program, want, run.made(), chosen, [is_exact(outputs_of("talib", False)[key]) for key in chosen])
    assert not met(Run(plain(), [program], columns, chunks=4, length=700, early=8), program).all()


def test_lanes_beyond_the_bars_do_nothing():
    """Chunks that begin where the bars have ended store nothing, and end as they began."""
    program = program_of((mean(column("close"), 4), ema(column("close"), 3)), ("close",))
    columns = [panel_of(30, 3)["close"]]
    run = Run(plain(), [program], columns, chunks=6, length=10, early=0)
    alone = [on_the_cpu(program, [columns[0][at : at + 10]]) for at in (0, 10, 20)]
    assert same_bits(np.concatenate(alone, axis=1)[1], run.made()[1]).all()
    begun, ended = (run.device.download(one)[:, 0, 3:] for one in (run.begun, run.ended))
    assert same_bits(begun, ended).all()


def test_a_chunk_begins_where_it_is_told_and_stores_what_is_its_own():
    """Rows before the first kept one, and bars that are run early, are not stored; those before the first not read."""
    close = column("close")
    program = program_of((mean(close, 5), close * 2.0), ("close",))
    columns = [np.arange(40.0).reshape(20, 2)]
    columns[0][:3] = math.nan  # never read: it would make all that follows restart
    run = Run(plain(), [program], columns, first=3, chunks=4, length=5, early=4, kept=12, seen=3)
    want = on_the_cpu(program, columns)
    assert same_bits(want[:, 12:], run.made()).all()
    assert not (plain().download(run.ended) == 7.0).any()


def test_sets_of_parameters_in_one_launch_give_what_each_gives_alone():
    """Several periods, each with as many rows of state as it needs, are one launch over symbols and sets."""
    close = column("close")

    def made_with(period, alpha, value):
        nodes = (mean(close, period), smooth(close, alpha, period), highest(close, period) + constant(value))
        return program_of((*nodes, lag(ema(close, period), 2)), ("close",))

    programs = [
        made_with(period, 0.3 / period, value) for period, value in ((1, 0.5), (5, -0.0), (30, 1e300), (2, 3.0))
    ]
    assert len({structure_of(program) for program in programs}) == 1
    columns = [panel_of(90, 7)["close"]]
    run = Run(plain(), programs, columns)
    assert plain().launches[-1] == KERNEL
    for number, program in enumerate(programs):
        state = State(program, 7)
        assert same_bits(on_the_cpu(program, columns, state=state), run.made(number)).all()
        ended = plain().download(run.ended)[:, number, 0]
        assert same_bits(state.memory, ended[: program.rows]).all()
        assert not ended[program.rows :].any()


@pytest.mark.parametrize("nan", sorted(MODES))
def test_a_state_that_is_resumed_goes_on_as_one_pass(nan):
    """What is fed after what was fed before, from the state that it left, is what one pass makes: a bar is appended."""
    program = program_for(nan=nan)
    columns = columns_of(panel_of(150, 3))
    want = on_the_cpu(program, columns)
    state = State(program, 3)
    state.feed([column[:97] for column in columns], [np.empty((0, 3)) for _ in range(program.results)])
    before = Run(plain(), [program], [column[:97] for column in columns])
    ended = plain().download(before.ended)
    exact = [is_exact(node) for node in outputs_of("talib", False).values()]
    assert_same(program, want[:, :97], before.made(), outputs_of("talib", False), exact)
    for start, stop in ((97, 98), (98, 150)):
        part = Run(plain(), [program], [column[start:stop] for column in columns], seen=start, resumed=ended)
        assert_same(program, want[:, start:stop], part.made(), outputs_of("talib", False), exact)
        assert not same_bits(ended, plain().download(part.ended)).all()
        ended = plain().download(part.ended)


def test_single_precision_is_the_rounding_of_what_is_computed_in_double():
    """Float32 inputs are widened, everything is computed in float64, and results are rounded once."""
    outputs = outputs_of("tradingview", False)
    program = program_for("tradingview")
    singles = [column.astype(np.float32) for column in columns_of(panel_of(200, 4, size=100.0))]
    exact = [is_exact(node) for node in outputs.values()]
    doubles = [column.astype(np.float64) for column in singles]
    want = on_the_cpu(program, doubles, dtype=np.float32)
    assert_same(program, want, Run(plain(), [program], singles, dtype=np.float32).made(), outputs, exact)
    want = on_the_cpu(program, doubles)
    assert_same(program, want, Run(plain(), [program], singles).made(), outputs, exact)


def test_columns_of_any_strides_are_read():
    """Symbol-major columns, and columns that run backwards, are read where they are."""
    program = program_of((mean(column("a"), 3) + column("b"),), ("a", "b"))
    made = panel_of(50, 6)
    device = plain()
    with device:
        a = device.upload(np.asfortranarray(made["close"]))
        b = device.upload(made["open"])[::-1, ::2][:, :3]
        results = device.xp.full((50, 3), 7.0)
        workspace = device.xp.empty(100)
        layout = layout_of(program)
        launch = Launch(
            layout=layout,
            symbols=3,
            bars=50,
            length=50,
            workspace=device.address(workspace),
            inputs=[(device.address(one), *(stride // 8 for stride in one.strides)) for one in (a, b)],
            results=[(device.address(results), 0, 3, 1)],
        )
        device.compile(source_of(program)).launch(KERNEL, launch.grid(128), 128, device.upload(launch.words()))
        want = on_the_cpu(program, [made["close"][:, :3], made["open"][::-1, ::2][:, :3]])
        assert same_bits(device.download(results), want[0]).all()


def test_the_source_depends_on_structure_alone():
    """Other periods, constants and names of inputs need no new compilation; another mode or wiring does."""

    def source(period, value, name="close", nan="restart"):
        return source_of(program_of((ema(column(name), period) + constant(value),), (name,), nan))

    assert source(5, 1.0) == source(50, -3.5) == source(7, 0.1, "open")
    assert source(5, 1.0) != source(5, 1.0, nan="hold")
    assert source(5, 1.0) != source_of(program_of((ema(column("close"), 5) - constant(1.0),), ("close",)))
    program = program_of((ema(column("close"), 5),), ("close",))
    assert len({source_of(program, *single) for single in ((False, False), (False, True), (True, False))}) == 3


def test_a_launch_refuses_what_does_not_fit_its_program():
    """Sets of another structure, arrays that are too few and parameters past 32 bits are told, not run."""
    close = column("close")
    program = program_of((ema(close, 5),), ("close",))
    with pytest.raises(UsageError, match="different structure"):
        layout_of(program, [program, program_of((mean(close, 5),), ("close",))])
    launch = Launch(layout=layout_of(program), symbols=1, bars=1, length=1, inputs=[], results=[(0, 0, 0, 0)])
    with pytest.raises(UsageError, match="0 inputs and 1 results"):
        launch.words()
    with pytest.raises(UsageError, match="was 3000000000"):
        layout_of(program_of((ema(close, 3_000_000_000),), ("close",)))
    with pytest.raises(UsageError, match="lanes"):
        dataclasses.replace(launch, symbols=1 << 31, inputs=[(0, 0, 0)]).words()


def test_a_table_holds_addresses_and_strides_beyond_32_bits():
    """Panels of more than 2 ** 31 items are addressed in 64 bits."""
    program = program_of((ema(column("close"), 5),), ("close",))
    far, wide = 1 << 45, 1 << 33
    launch = Launch(
        layout=layout_of(program),
        symbols=5,
        bars=wide,
        length=wide,
        inputs=[(far, wide, 1)],
        results=[(far + 8, wide + 1, wide + 2, 1)],
    )
    words = launch.words().tolist()
    assert {far, far + 8, wide, wide + 1, wide + 2} <= set(words)
    assert struct.pack("<q", words[-1]) == struct.pack("<q", 5)


def test_numpy_rounds_as_the_kernels_floor():
    """The session of a time is made with floor of a float, which no integer overflows."""
    sessions = importlib.import_module("tradeutils.indicators.operators.sessions")
    program = program_of((sessions.session(column("time"), 24.0),), ("time",))
    columns = [np.array([[0.0, 1e300], [-1e18, 1.7e12], [math.nan, math.inf]])]
    assert same_bits(on_the_cpu(program, columns), Run(plain(), [program], columns).made()).all()
