"""A stream has the bits of the batch, for every indicator, whatever happens to a live market meanwhile."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import BARS, CASES, compute, inputs_of, panels, parameters_of

from tradeutils import codec
from tradeutils.errors import DataError
from tradeutils.indicators import REGISTRY, Stream, cpu

HOUR = 3_600_000
START = 464_000 * HOUR
EVENTS = ["peek", "restore", "join", "join with a past", "leave", "correct", "put in", "come late", "skip"]
MODES = st.sampled_from(["restart", "propagate", "hold"])
every_case = pytest.mark.parametrize(("name", "compat"), CASES)


def assert_same_bits(made, want):
    """Fail unless all numbers have the same bits, NaN standing for NaN."""
    made, want = np.asarray(made), np.asarray(want)
    assert made.shape == want.shape
    np.testing.assert_array_equal(np.isnan(made), np.isnan(want))
    np.testing.assert_array_equal(np.nan_to_num(made).view(np.int64), np.nan_to_num(want).view(np.int64))


class Market:
    """A stream, and beside it the panel of all bars that it should know."""

    def __init__(self, data, name, compat):
        self.name, self.data = name, data
        self.panel = data.draw(panels(symbols=6))
        self.parameters = data.draw(parameters_of(name))
        self.options = {"nan": data.draw(MODES), "compat": compat}
        self.fields = [field for field in REGISTRY[name].inputs if field != "time"]
        self.keep = data.draw(st.integers(1, 9))
        self.step = data.draw(st.sampled_from([HOUR, 2 * HOUR]))
        self.spec = REGISTRY[name].label(self.parameters)
        self.columns = data.draw(st.lists(st.integers(0, 5), unique=True, max_size=4))
        symbols = [str(column) for column in self.columns]
        self.stream = Stream([self.spec], symbols, "1h", late="replay", keep=self.keep, **self.options)
        self.times = []
        self.known = {field: np.empty((0, len(self.columns))) for field in self.fields}
        self.correctable = 0
        self.made = []  # of the last bars, not yet compared: one batch of all takes half the time of one for each

    def bar(self, row):
        """Return the fields of a row of the panel, for the symbols that are there."""
        return {field: self.panel[field][row, self.columns] for field in self.fields}

    def expected(self, times=None, known=None):
        """Return what the batch gives at the last bar."""
        times, known = times or self.times, known or self.known
        shape = len(times), len(self.columns)
        panel = {**known, "time": np.broadcast_to(np.array(times, dtype=float)[:, np.newaxis], shape)}
        return compute(self.name, panel, self.parameters, **self.options)

    def check(self, values):
        """Compare what the stream says with the batch."""
        assert_same_bits(np.stack(list(values.values())), self.expected()[:, -1])

    def check_made(self):
        """Compare what the stream said at the last bars with the batch."""
        if self.made:
            assert_same_bits(np.stack(self.made, axis=1), self.expected()[:, -len(self.made) :])
            self.made = []

    def with_bar(self, at, time, bar, *, instead):
        """Return times and columns with a bar put in, or put instead of another."""
        times = [*self.times[:at], time, *self.times[at + instead :]]
        known = {
            field: np.vstack([self.known[field][:at], bar[field], self.known[field][at + instead :]])
            for field in self.fields
        }
        return times, known

    def update(self, row):
        """Feed the next bar."""
        time = START + self.step * row
        values = self.stream.update({"time": time, **self.bar(row)})
        self.times, self.known = self.with_bar(len(self.times), time, self.bar(row), instead=0)
        self.correctable += 1
        self.made.append(np.stack(list(values.values())))

    def peek(self, row):
        """A forming bar has the values of one that closed, and leaves no trace."""
        for other in (row, self.draw_row()):
            time = self.times[-1] + HOUR if self.times else START
            made = self.stream.peek({"time": time, **self.bar(other)})
            assert_same_bits(
                np.stack(list(made.values())),
                self.expected(*self.with_bar(len(self.times), time, self.bar(other), instead=0))[:, -1],
            )

    def restore(self, row):
        """Another process goes on."""
        self.stream = Stream.restore(codec.loads(codec.dumps(self.stream.snapshot())), specs=[self.spec])

    def join(self, row, past=0):
        """A symbol is listed, or begins to be followed."""
        new = next(column for column in range(6) if column not in self.columns)
        past = min(past, len(self.times))
        rows = [self.draw_row() for _ in range(past)]
        columns = {field: np.full(len(self.times), np.nan) for field in self.fields}
        for field in self.fields:
            columns[field][len(self.times) - past :] = self.panel[field][rows, new]
        history = {field: column[len(self.times) - past :, np.newaxis] for field, column in columns.items()}
        if past:
            self.stream.add([str(new)], {"time": np.array(self.times[len(self.times) - past :]), **history})
        else:
            self.stream.add([str(new)])
        self.columns = [*self.columns, new]
        self.known = {field: np.column_stack([self.known[field], columns[field]]) for field in self.fields}
        self.correctable = 0
        if past:
            self.check(self.stream.values())

    def leave(self, row):
        """A symbol goes; what others make of their bars is the same."""
        if self.columns:
            at = self.data.draw(st.integers(0, len(self.columns) - 1))
            self.stream.remove([str(self.columns[at])])
            del self.columns[at]
            self.known = {field: np.delete(column, at, axis=1) for field, column in self.known.items()}
            self.correctable = 0

    def correct(self, row, *, instead=1, back=None):
        """A bar is other than was said, or had been left out."""
        window = min(self.correctable, self.keep)
        if not window:
            return
        at = len(self.times) - (back or self.data.draw(st.integers(1, window)))
        time, bar = self.times[at] - (0 if instead else HOUR), self.bar(self.draw_row())
        if time in self.times and not instead:
            return
        values = self.stream.update({"time": time, **bar})
        self.times, self.known = self.with_bar(at, time, bar, instead=instead)
        self.correctable += 1 - instead
        self.check(values)

    def come_late(self, row):
        """A bar that is too old changes nothing."""
        if len(self.times) > self.keep:
            before = codec.dumps(self.stream.snapshot())
            with pytest.raises(DataError, match="came late"):
                self.stream.update({"time": self.times[-self.keep - 1], **self.bar(row)})
            assert codec.dumps(self.stream.snapshot()) == before

    def draw_row(self):
        return self.data.draw(st.integers(0, BARS - 1))

    def happen(self, event, row):
        """Let something happen before the bar of a row."""
        self.check_made()
        if event == "join with a past":
            if len(self.columns) < 6 and self.times:
                self.join(row, self.data.draw(st.integers(1, 12)))
        elif event == "join":
            if len(self.columns) < 6:
                self.join(row)
        elif event == "put in":
            self.correct(row, instead=0)
        elif event != "skip":
            getattr(self, event.replace(" ", "_"))(row)


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=5)
def test_stream_has_the_bits_of_the_batch_whatever_happens(name, compat, data):
    """Gaps, joins, leaves, peeks, restarts, corrections, bars put in, bars that come too late."""
    market = Market(data, name, compat)
    begun = data.draw(st.integers(0, BARS // 2))
    if begun:
        times = START + market.step * np.arange(begun)
        columns = {field: market.panel[field][:begun][:, market.columns] for field in market.fields}
        values = market.stream.warm({"time": times, **columns})
        market.times, market.known, market.correctable = times.tolist(), columns, min(begun, market.keep)
        market.check(values)
    plan = {}
    for row, event in data.draw(st.lists(st.tuples(st.integers(begun, BARS - 1), st.sampled_from(EVENTS)), max_size=8)):
        plan.setdefault(row, []).append(event)
    for row in range(begun, BARS):
        for event in plan.get(row, []):
            market.happen(event, row)
        if "skip" not in plan.get(row, []):
            market.update(row)
    market.check_made()
    market.peek(BARS - 1)  # when most windows are full, whatever was drawn
    market.check(market.stream.values())


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=3)
def test_state_has_nothing_hidden(name, compat, data):
    """What a state remembers and the number of bars, put into another, give the same bits."""
    panel, parameters = data.draw(panels(symbols=3)), data.draw(parameters_of(name))
    nodes = REGISTRY[name].expressions(parameters, compat=compat)
    program = cpu.program_of(nodes, REGISTRY[name].inputs, data.draw(MODES))
    cut = data.draw(st.integers(0, BARS - 1))
    one, other = cpu.State(program, 3), cpu.State(program, 3)
    one.feed(inputs_of(name, panel, slice(cut)), [np.empty((cut, 3)) for _ in nodes])
    other.memory[:], other.seen = one.memory, one.seen
    made = [[np.empty((BARS - cut, 3)) for _ in nodes] for _ in range(2)]
    for state, results in zip((one, other), made, strict=True):
        state.feed(inputs_of(name, panel, slice(cut, None)), results)
    assert_same_bits(made[0], made[1])


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=3)
def test_state_that_begins_later_is_one_of_missing_bars(name, compat, data):
    """A new state gives at any count of bars what one gives that was fed so many missing ones."""
    panel, parameters = data.draw(panels(symbols=3)), data.draw(parameters_of(name))
    nodes = REGISTRY[name].expressions(parameters, compat=compat)
    program = cpu.program_of(nodes, REGISTRY[name].inputs, data.draw(MODES))
    count = data.draw(st.integers(1, 200))
    missing = [np.full((count, 3), START if field == "time" else np.nan) for field in REGISTRY[name].inputs]
    fed, new = cpu.State(program, 3), cpu.State(program, 3)
    fed.feed(missing, [np.empty((count, 3)) for _ in nodes])
    new.seen = count
    made = [[np.empty((BARS, 3)) for _ in nodes] for _ in range(2)]
    for state, results in zip((fed, new), made, strict=True):
        state.feed(inputs_of(name, panel), results)
    assert_same_bits(made[0], made[1])
