"""``Stream``: indicators of a live market, one bar of all symbols at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import index, is_
from typing import Any, Final

import numpy as np

from tradeutils import codec
from tradeutils import timeframe as _timeframe
from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.indicators.arrays import Array
from tradeutils.indicators.evaluate import Options
from tradeutils.indicators.intake import Intake, history_of, names_of, off_grid
from tradeutils.indicators.position import Position
from tradeutils.indicators.programs import cpu, live_program
from tradeutils.indicators.replays import Replays
from tradeutils.indicators.snapshot import Kept, Mark, Saved, refused
from tradeutils.indicators.spec import parse_all
from tradeutils.model import Bars, Candles, Panel
from tradeutils.timeframe import Instant, Timeframe, to_ms

__all__ = ["LATE", "Stream"]

LATE: Final = ("error", "ignore", "replay")
"""What may be done with a bar that comes after a later one, or again."""

_MOST_KEPT: Final = 1_000_000


class Stream:
    """
    Indicators of a live market: each bar advances all symbols and all indicators, and costs the same however long
    the market has run.

    The values have the bits of the last row of :func:`compute` over a panel of all bars so far.

    Parameters
    ----------
    specs : iterable of str
        ``"rsi:14"``, ``"macd:12,26,9"``: as for :func:`compute`. None that looks ahead.
    symbols : iterable of str
        The columns of every bar, in order; none twice. There may be none yet.
    timeframe : str
        The length of a bar, ``"1m"``.
    nan, compat : str
        As for :class:`Indicators`: what averages do at a missing bar, and whose definition is meant.
    late : str
        What to do with a bar that is not after the last: ``"error"`` raises ``DataError``; ``"ignore"`` counts it in
        :attr:`ignored` and changes nothing; ``"replay"`` puts it in its place, instead of a bar of that time if there
        was one, and runs the bars since then again. That costs an update a copy of the bar, and a copy of the state
        every ``keep`` bars.
    keep : int
        How many of the last bars can be replaced with ``late="replay"``; an older one raises ``DataError``. Bars from
        before symbols joined or left cannot.

    Raises
    ------
    UsageError : no specs, a spec that looks ahead, a parameter out of its range, a symbol twice; ``keep`` is not from 1
        to 1,000,000.
    UnknownName : no such indicator, timeframe, ``nan``, ``compat`` or ``late``.

    Notes
    -----
    Values come as read-only float64 arrays (S,) that never change: an array that anybody holds is not written to again.
    Safe from many threads, which wait for one another. What a call would change it changes whole or, where it raises,
    not at all. A signal handler that interrupts one may ask for values and take a snapshot; what would change the
    stream, or peek, raises ``UsageError`` there. Memory, for each symbol: 8 bytes for each number that is remembered,
    two to five for an average, one or two for each bar of a window; with ``late="replay"`` three times that, and the
    bars. The first stream on a machine compiles its kernels (seconds, logged at INFO on ``tradeutils.indicators``);
    later processes load them.

    Examples
    --------
    >>> import numpy as np
    >>> stream = Stream(["sma:2"], ["BTC/USDT", "ETH/USDT"])
    >>> stream.update({"time": 0, "close": np.array([1.0, 10.0])})
    {'sma:2': array([nan, nan])}
    >>> stream.peek({"time": 60_000, "close": np.array([2.0, 30.0])})
    {'sma:2': array([ 1.5, 20. ])}
    >>> stream.update({"time": 60_000, "close": np.array([3.0, 30.0])})
    {'sma:2': array([ 2., 20.])}
    """

    def __init__(
        self,
        specs: Iterable[str],
        symbols: Iterable[str],
        timeframe: str | Timeframe = "1m",
        *,
        nan: str = "restart",
        compat: str = "talib",
        late: str = "error",
        keep: int = 16,
    ) -> None:
        self._specs = parse_all(specs)
        self._options = Options(nan, compat)
        self._timeframe = _timeframe.parse(timeframe)
        if late not in LATE:
            raise UnknownName("late", late, LATE)
        if isinstance(keep, bool) or not hasattr(keep, "__index__") or not 1 <= keep <= _MOST_KEPT:
            raise UsageError(f"keep was {keep!r}; write how many of the last bars can be corrected, 1 to {_MOST_KEPT}")
        self._late, self._keep = late, index(keep)
        names = names_of(symbols)
        program = live_program(self._specs, self._options)
        self._keys = [key for spec in self._specs for key in spec.keys]
        self._fields = tuple(name for name in program.inputs if name != "time")
        self._intake = Intake(self._fields, cpu().driver.COLUMNS)
        self._items = self._intake.items
        self._fed = cpu().driver.FED
        self._fast: tuple[type, ...] = (int, *[np.ndarray] * cpu().driver.COLUMNS)
        self._plain = self._fast
        self._lock = threading.RLock()  # a signal that takes a snapshot may come in the middle of a call
        # As Condition asks: 40 ns, where a note of who is inside would outlive an interrupt.
        self._inside: Callable[[], bool] = self._lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
        self._ignored = 0
        live = cpu().Live(program, len(names), self._timeframe.ms or 0)
        self._at = self._position(names, live, np.full((program.results, len(names)), np.nan))

    @property
    def specs(self) -> tuple[str, ...]:
        """The specs, as they were written."""
        return tuple(spec.text for spec in self._specs)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The columns of a bar, in order."""
        return self._at.symbols

    @property
    def timeframe(self) -> str:
        """The length of a bar."""
        return self._timeframe.name

    @property
    def time(self) -> int | None:
        """When the last bar opened, ms UTC; ``None`` before the first."""
        return self._at.live.time

    @property
    def ignored(self) -> int:
        """How many late bars were ignored."""
        return self._ignored

    def __repr__(self) -> str:
        last = "no bar yet" if self.time is None else f"last bar {self.time}"
        return f"<Stream {self.timeframe}: {len(self._specs)} specs x {len(self.symbols)} symbols, {last}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).restore, (self.snapshot(),)

    def values(self) -> dict[str, Array]:
        """Return the values of the last bar, as :meth:`update` did; all NaN before the first."""
        with self._lock:
            return self._values()

    def update(self, bars: Bars | Mapping[str, Any]) -> dict[str, Array]:
        """
        Take a bar that has closed, and return the values of all indicators at it.

        Parameters
        ----------
        bars : mapping or Bars
            ``time``, when it opened (int ms UTC or aware datetime), and for each column that a spec reads an array
            (S,), NaN where a symbol has no bar. Other entries are not read. float64 arrays in one piece are fastest.

        Returns
        -------
        dict of str to read-only float64 array, shape (S,)
            By the keys of :func:`compute`. Of the last bar: where an older one was corrected or ignored, too.

        Raises
        ------
        UsageError : a column is lacking, is not numbers, or has not one for each symbol; the time has no time zone.
        DataError : no bar of the timeframe opens then; or the bar is late, and is not to be, or cannot be, replayed.

        Notes
        -----
        Bars may be skipped: rows that are not there are not invented, here as in a panel, and what looks bars back
        looks back over the gap.
        """
        if self._inside():
            raise _interrupting()
        with self._lock:
            at = self._at
            block = at.blocks.take()
            try:
                given = self._items(bars) if type(bars) is dict else self._intake.read(bars)
                # Compiled code would not see the mask of a masked array: it is given what is an array and no more.
                fed = tuple(map(type, given)) == self._plain and at.advance(*given, block.array) == self._fed
            except (KeyError, TypeError, OverflowError) as error:
                given, fed = self._intake.read(bars), self._refused(error)
            if not fed:
                return self._take(given)
            at.array = block.array
            if at.replays is not None:
                at.replays.add()
            return block.values.copy()

    def peek(self, bars: Bars | Mapping[str, Any]) -> dict[str, Array]:
        """
        Return the values as if a bar that is still forming closed now; nothing changes.

        Parameters, results and errors are those of :meth:`update`, but for a bar that is not after the last: it has
        closed, and raises ``DataError`` whatever ``late`` says. Costs an update and a copy of the state, 4 us where an
        update takes 4, and more than that where the state is larger than the caches.
        """
        if self._inside():
            raise _interrupting()
        with self._lock:
            at = self._at
            given = self._intake.read(bars)
            live, block = at.shadow(), at.blocks.take()
            try:
                fed = tuple(map(type, given)) == self._plain and live.advance(*given, block.array) == self._fed
            except (TypeError, OverflowError) as error:
                fed = self._refused(error)
            if fed:
                return block.values.copy()
            time = self._checked(given[0])
            last = at.live.time
            if last is not None and time <= last:
                raise DataError(f"a forming bar was of {time}, and the last that closed of {last}; peek at a later one")
            return at.peek(time, self._intake.arrays(given[1:], len(at.symbols))).values.copy()

    def warm(self, history: Panel | Candles | Mapping[str, Any]) -> dict[str, Array]:
        """
        Take many bars that have closed, and return the values at the last.

        May be called again with the bars that follow. Costs what :func:`compute` with ``tail=1`` does.

        Parameters
        ----------
        history : Panel, Candles or mapping
            Bars after the last, oldest first. A panel holds a column for each symbol of the stream, in any order, NaN
            where it has no bar; other symbols are not read. A mapping holds ``time`` (T,) and columns (T, S).

        Raises
        ------
        UsageError : another kind of data or timeframe; a symbol or column is lacking.
        DataError : bars that are not after the last, off the grid, or still forming.
        """
        if self._inside():
            raise _interrupting()
        with self._lock:
            at = self._at
            read = history_of(history, at.symbols, self._fields, self._timeframe)
            if not len(read):
                return self._values()
            last = at.live.time
            if last is not None and read.times[0] <= last:
                raise DataError(
                    f"the history begins at {read.times[0]}, and the last bar was of {last}; give the bars after it "
                    f"(panel.between({last + 1}))"
                )
            live, made = at.live.taking(range(len(at.symbols))), np.empty(at.array.shape)
            replays = None
            start = max(len(read) - (0 if at.replays is None else self._keep), 0)
            for times, columns in read.pieces(0, start):
                live.feed(times, columns, made)
            if at.replays is not None:
                replays = Replays(self._keep, live) if start else at.replays.on(live)
                for times, columns in read.pieces(start, len(read)):
                    replays.feed(times, columns, made)
            self._at = Position(self._keys, at.symbols, live, made, replays)
            return self._values()

    def add(self, symbols: Iterable[str], history: Panel | Candles | Mapping[str, Any] | None = None) -> None:
        """
        Let symbols join: they become the last columns of each bar.

        Parameters
        ----------
        symbols : iterable of str
        history : Panel, Candles or mapping, optional
            Their bars so far, as for :meth:`warm`; the last is of the time of the stream's last bar. Without it they
            had no bar before.

        Raises
        ------
        UsageError : a symbol is there already, or is named twice; a history of another kind, or before the first bar.
        DataError : a history that does not end with the stream's last bar.

        Notes
        -----
        From here on their values have the bits of a panel in which they were there all along, with the rows of the
        history just before now, and NaN before those. Takes a copy of the state.
        """
        if self._inside():
            raise _interrupting()
        with self._lock:
            at, names = self._at, names_of(symbols)
            there = set(at.symbols)
            twice = [name for name in names if name in there]
            if twice:
                raise UsageError(f"{', '.join(twice[:8])} is in the stream already; add the others")
            count = len(at.symbols)
            live = at.live.taking([*range(count), *[-1] * len(names)])
            values = np.full((len(self._keys), live.width), np.nan)
            values[:, :count] = at.latest()
            if history is not None:
                live.memory[:, count:] = self._past(names, history, values[:, count:])
            self._at = self._position(at.symbols + names, live, values)

    def remove(self, symbols: Iterable[str]) -> None:
        """Let symbols leave: the others close up, in order. Who joins again later has no past. Raises `UnknownName`."""
        if self._inside():
            raise _interrupting()
        with self._lock:
            at, names = self._at, names_of(symbols)
            gone = set(names)
            for name in gone.difference(at.symbols):
                raise UnknownName("symbol", name, at.symbols, where="the stream")
            left = [place for place, symbol in enumerate(at.symbols) if symbol not in gone]
            symbols_left = tuple(at.symbols[place] for place in left)
            values = np.ascontiguousarray(at.latest()[:, left])
            self._at = self._position(symbols_left, at.live.taking(left), values)

    def snapshot(self) -> dict[str, Any]:
        """
        Return all that the stream knows, for :meth:`restore`.

        A dict of text, numbers and arrays: ``codec.dumps`` makes bytes of it, a cache keeps it. Costs a copy of the
        state.
        """
        with self._lock:
            at = self._at
            return Saved(
                **at.live.mark()._asdict(),
                arithmetic=cpu().arithmetic_of(at.live.program),
                timeframe=self.timeframe,
                nan=self._options.nan,
                compat=self._options.compat,
                late=self._late,
                keep=self._keep,
                specs=list(self.specs),
                symbols=list(at.symbols),
                ignored=self._ignored,
                values=np.array(at.latest()),
                kept=None if at.replays is None else at.replays.kept(),
            ).written()

    @classmethod
    def restore(cls, data: Mapping[str, Any] | bytes, *, specs: Iterable[str] | None = None) -> Stream:
        """
        Return a stream that goes on, to the bit, where another stood.

        Parameters
        ----------
        data : mapping or bytes
            What :meth:`snapshot` returned, or the bytes of ``codec.dumps`` of it.
        specs : iterable of str, optional
            What the stream should compute; a snapshot of others is refused.

        Raises
        ------
        DataError : no snapshot, a damaged one, one of other specs, or one of a version that computes differently.
        """
        if isinstance(data, bytes | bytearray | memoryview):
            data = codec.loads(data)
        saved = Saved.read(data)
        if specs is not None and saved.specs != [spec.text for spec in parse_all(specs)]:
            raise DataError(f"the snapshot is of {', '.join(saved.specs)}; warm a new stream of the specs asked for")
        try:
            return cls._restored(saved)
        except UsageError as error:
            raise refused(f"the snapshot is of nothing that can be ({error})") from error

    @classmethod
    def _restored(cls, saved: Saved) -> Stream:
        parsed = parse_all(saved.specs)
        program = live_program(parsed, Options(saved.nan, saved.compat))
        if saved.arithmetic != cpu().arithmetic_of(program):
            raise DataError("the snapshot is of a version of tradeutils that computes differently; warm from history")
        symbols, rows, results = len(saved.symbols), program.rows, program.results
        shapes = saved.memory.shape, saved.values.shape
        if shapes != ((rows, symbols), (results, symbols)) or (saved.time is None) != (saved.seen == 0):
            raise refused(f"the snapshot has arrays of {shapes} for {symbols} symbols and {saved.seen} bars")
        stream = cls(
            saved.specs,
            saved.symbols,
            saved.timeframe,
            nan=saved.nan,
            compat=saved.compat,
            late=saved.late,
            keep=saved.keep,
        )
        if saved.time is not None and stream._timeframe.floor(saved.time) != saved.time:
            raise refused(f"the snapshot is of a time that cannot be ({off_grid(saved.time, stream._timeframe)})")
        live = stream._at.live
        live.return_to(Mark(saved.seen, saved.time, saved.memory))
        stream._ignored = saved.ignored
        stream._at = stream._position(stream.symbols, live, np.array(saved.values), saved.kept)
        return stream

    def _position(self, symbols: tuple[str, ...], live: Any, values: Array, kept: Kept | None = None) -> Position:
        """Return a position from which no bar can be corrected, or those that were kept."""
        replays = None
        if self._late == "replay":
            replays = Replays(self._keep, live) if kept is None else Replays.of(kept, self._keep, live)
        return Position(self._keys, symbols, live, values, replays)

    def _refused(self, error: Exception) -> bool:
        """Say no, and from now on at once where the arrays were of another kind: numba thinks 0.1 ms about them."""
        if isinstance(error, TypeError):
            self._plain = ()
        return False

    def _values(self) -> dict[str, Array]:
        return dict(zip(self._keys, self._at.latest(), strict=True))

    def _checked(self, given: Instant) -> int:
        """Return the time of a bar; one at which no bar opens raises ``DataError``."""
        last = self._at.live.time
        if type(given) is int and last is not None and given == self._timeframe.shift(last):
            return given  # a market of 1970 goes on, though its times look like seconds
        time = to_ms(given)
        if self._timeframe.floor(time) != time:
            raise DataError(off_grid(time, self._timeframe))
        return time

    def _take(self, given: Sequence[Any]) -> dict[str, Array]:
        """Take a bar of any kind of arrays, or one that was not expected."""
        time = self._checked(given[0])
        columns = self._intake.arrays(given[1:], len(self.symbols))
        if all(map(is_, columns, given[1:])):
            self._plain = self._fast  # one bar of another kind does not make all that follow slow
        last = self._at.live.time
        if last is None or time > last:
            return self._at.feed(time, columns).values.copy()
        if self._late == "ignore":
            self._ignored += 1
            return self._values()
        if self._at.replays is None:
            raise DataError(
                f"a bar was of {time}, and the last of {last}: it came late or again, and was not taken; ask for "
                'late="ignore" or late="replay" if that is to be expected'
            )
        self._at = self._corrected(time, columns, self._at.replays)
        return self._values()

    def _corrected(self, time: int, columns: Sequence[Array], replays: Replays) -> Position:
        at = self._at
        row = {"time": np.full(len(at.symbols), float(time)), **dict(zip(self._fields, columns, strict=False))}
        bar, made = np.stack([row[name] for name in at.live.program.inputs]), np.empty(at.array.shape)
        kept = replays.corrected(time, bar, made)
        return Position(self._keys, at.symbols, kept.live, made, kept)

    def _past(self, names: tuple[str, ...], history: Any, latest: Array) -> Array:
        """Return what is remembered of a history that ends with the last bar, and fill in its last values."""
        read = history_of(history, names, self._fields, self._timeframe)
        ends, stood = (int(read.times[-1]) if len(read) else None), self._at.live
        if stood.time is None:
            raise UsageError("the stream has seen no bar; let the symbols join without a history, and warm all of them")
        if ends != stood.time:
            raise DataError(
                f"the history ends at {ends}, and the stream's last bar was of {stood.time}; give all up to that"
            )
        live = cpu().Live(stood.program, len(names), self._timeframe.ms or 0)
        live.begin(stood.seen - len(read))
        for times, columns in read.pieces(0, len(read)):
            live.feed(times, columns, latest)
        memory: Array = live.memory
        return memory


def _interrupting() -> UsageError:
    """Return the error for a call that came in the middle of another of the same thread."""
    return UsageError(
        "the stream was called in the middle of a call, by a signal handler or by the bars themselves; there it gives "
        "values() and snapshot() only: note what is to be done, and do it after the call"
    )
