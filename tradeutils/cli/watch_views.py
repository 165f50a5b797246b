"""What is watched, as a person or a program reads it: a live table, a line an update, or JSON."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from tradeutils.cli.endings import one_line
from tradeutils.cli.printing import number_text, show_text, utc

if TYPE_CHECKING:
    from rich.table import Table

    from tradeutils.model import Ticker
    from tradeutils.model.streaming import StreamEvent

__all__ = ["JsonView", "LineView", "TableView", "View", "Watched", "WatchedStream", "drawn_table", "view_for"]

_PRICE_DIGITS: Final = 10
_FIGURE_DIGITS: Final = 5
_LARGE: Final = 10_000
_PERCENT: Final = 100.0
_LONG_AGO_S: Final = 120.0
_TIME_WIDTH: Final = 19
_FIGURE_WIDTH: Final = 12

# The first to go where the terminal is narrow stands last; what is left says what a bot must know.
_COLUMNS: Final = ("symbol", ">price", ">change", ">spread", ">volume", ">age", "state")
_SPARED: Final = ("volume", "spread", "change")
_MARGIN: Final = 3
_STATES: Final = {"live": "green", "rest": "yellow", "stale": "red", "closed": "red"}


class WatchedStream(Protocol):
    """What is shown of a stream, and what it yields."""

    def __aiter__(self) -> AsyncIterator[Ticker | StreamEvent]: ...
    @property
    def age(self) -> float | None: ...
    @property
    def state(self) -> str: ...
    @property
    def reconnects(self) -> int: ...


@dataclass(slots=True)
class Watched:
    """
    One market on the screen.

    Attributes
    ----------
    symbol : str
    stream : WatchedStream
        Whose age and state are shown.
    ticker : Ticker or None
        The newest.
    moved : int
        1 or -1: up or down, when the price last changed; 0: it has not yet.
    reason : str
        Why it is stale: ``"silent"`` ...
    updates : int
        Tickers so far.
    """

    symbol: str
    stream: WatchedStream
    ticker: Ticker | None = None
    moved: int = 0
    reason: str = ""
    updates: int = 0

    def take(self, ticker: Ticker) -> None:
        """Keep a new ticker."""
        before = None if self.ticker is None else self.ticker.last
        if before is not None and ticker.last is not None and ticker.last != before:
            self.moved = 1 if ticker.last > before else -1
        self.ticker = ticker
        self.reason = ""
        self.updates += 1

    @property
    def reconnects(self) -> int:
        """How often its stream was opened anew."""
        return self.stream.reconnects

    @property
    def age(self) -> float | None:
        """Seconds since the last data; ``None`` where there was none yet."""
        age = self.stream.age
        return age if self.ticker is not None and age is not None and math.isfinite(age) else None

    def state(self) -> str:
        """Return the state in words: ``"live"``, ``"stale: silent"``."""
        state = self.stream.state
        return f"{state}: {self.reason}" if self.reason and state in {"stale", "connecting"} else state


class View(Protocol):
    """Where updates go."""

    def open(self) -> AbstractContextManager[None]:
        """Show it, until it is left."""
        ...

    def updated(self, watched: Watched) -> None:
        """Take a ticker."""
        ...

    def happened(self, watched: Watched, event: StreamEvent) -> None:
        """Take what a stream says of itself."""
        ...

    def refresh(self) -> None:
        """Show what time alone changes."""
        ...


def view_for(title: str, watched: Sequence[Watched], *, as_json: bool) -> View:
    """Return the view for where stdout goes: a table needs a terminal that can move its cursor."""
    if as_json:
        return JsonView()
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        if not console.is_dumb_terminal:
            return TableView(title, watched, console)
    return LineView(watched)


class JsonView:
    """One object a line, of the same keys each time; an event has no figures, which would be old ones."""

    def open(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def updated(self, watched: Watched) -> None:
        ticker = watched.ticker
        if ticker is not None:
            self._write(watched, "ticker", ticker.time, ticker)

    def happened(self, watched: Watched, event: StreamEvent) -> None:
        self._write(watched, type(event).__name__.lower(), event.time, None)

    def refresh(self) -> None:
        """Nothing: time alone says nothing new."""

    def _write(self, watched: Watched, what: str, time: int | None, ticker: Ticker | None) -> None:
        import orjson

        figures = {
            name: None if ticker is None else getattr(ticker, name)
            for name in ("last", "bid", "ask", "spread", "percentage", "base_volume", "quote_volume")
        }
        age = watched.age
        told = {
            "what": what,
            "symbol": watched.symbol,
            "time": time,
            **figures,
            "age": None if age is None else round(age, 3),
            "state": watched.stream.state,
            "reason": watched.reason or None,
        }
        show_text(orjson.dumps(told).decode() + "\n")  # show_json lays out for a person, over many lines


class LineView:
    """A line an update, in columns that stay where they are: for a pipe, a log, a reader of the screen."""

    def __init__(self, watched: Sequence[Watched]) -> None:
        self._name = max((len(one_line(one.symbol)) for one in watched), default=0)

    def open(self) -> AbstractContextManager[None]:
        headings = [name.lstrip(">") for name in _COLUMNS]
        show_text(self._set("time (UTC)", headings))
        return contextlib.nullcontext()

    def updated(self, watched: Watched) -> None:
        time = None if watched.ticker is None else watched.ticker.time
        show_text(self._set("-" if time is None else _clock(time), _cells(watched)))

    def happened(self, watched: Watched, event: StreamEvent) -> None:
        show_text(self._set(_clock(event.time), _cells(watched)))

    def refresh(self) -> None:
        """Nothing: a line is written once."""

    def _set(self, time: str, cells: Sequence[str]) -> str:
        symbol, *figures, state = map(one_line, cells)
        figures = [text.rjust(_FIGURE_WIDTH) for text in figures]
        return "  ".join([time.ljust(_TIME_WIDTH), symbol.ljust(self._name), *figures, state]) + "\n"


class TableView:
    """A table that stays where it is and is drawn anew; its last state stays on the screen."""

    def __init__(self, title: str, watched: Sequence[Watched], console: Any) -> None:
        self._title = title
        self._watched = watched
        self._console = console
        self._live: Any = None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        from rich.live import Live

        # Drawn by us: rich would do it in a thread of its own, which reads streams that belong to the loop.
        with Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        ) as self._live:
            self.refresh()
            try:
                yield
            finally:
                self.refresh()

    def updated(self, watched: Watched) -> None:
        """Nothing: it is seen with the next refresh, however many come before."""

    def happened(self, watched: Watched, event: StreamEvent) -> None:
        """Nothing, as with `updated`."""

    def refresh(self) -> None:
        table = drawn_table(self._title, self._watched, width=self._console.width)
        self._live.update(table, refresh=True)


def drawn_table(title: str, watched: Sequence[Watched], *, width: int) -> Table:
    """
    Return the table, with as many columns as fit whole: a number that is cut is another number.

    Colour repeats what words and arrows say; ``NO_COLOR`` takes it away.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = [[one_line(cell) for cell in _cells(one)] for one in watched]
    names = [name.lstrip(">") for name in _COLUMNS]
    kept = _fitting(names, rows, width)
    updates, reconnects = (sum(getattr(one, name) for one in watched) for name in ("updates", "reconnects"))
    caption = f"updates: {updates:,}, reconnects: {reconnects:,}; Ctrl-C ends"
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", title=Text(title),
        caption=Text(caption), title_justify="left", caption_justify="left", title_style="", caption_style="dim",
    )  # fmt: skip
    for number in kept:
        is_number = _COLUMNS[number].startswith(">")
        table.add_column(
            Text(names[number]), justify="right" if is_number else "left", overflow="fold", no_wrap=is_number
        )
    for one, row in zip(watched, rows, strict=True):
        change = None if one.ticker is None else one.ticker.percentage
        styles = {
            "price": _colour(one.moved),
            "change": _colour(change or 0.0),
            "state": _STATES.get(one.stream.state, ""),
        }
        table.add_row(*(Text(row[number], style=styles.get(names[number], "")) for number in kept))
    return table


def _fitting(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the numbers of the columns that fit beside one another."""
    sizes = [max(map(len, cells)) + _MARGIN for cells in zip(names, *rows, strict=True)]
    kept = list(range(len(names)))
    for spared in _SPARED:
        if sum(sizes[number] for number in kept) - _MARGIN <= width:
            break
        kept.remove(names.index(spared))
    return kept


def _colour(change: float) -> str:
    return "green" if change > 0 else "red" if change < 0 else ""


def _cells(watched: Watched) -> list[str]:
    """Return the cells of a market, in the order of the columns; ``-`` where nothing is known."""
    ticker, age = watched.ticker, watched.age
    if ticker is None:
        return [watched.symbol, "-", "-", "-", "-", "-", watched.state()]
    change = ticker.percentage
    spread = ticker.spread
    return [
        watched.symbol,
        f"{number_text(ticker.last, digits=_PRICE_DIGITS)} {_arrow(watched.moved)}".rstrip(),
        "-" if change is None or math.isnan(change) else f"{change:+.2f} %",
        "-" if spread is None or math.isnan(spread) else f"{_PERCENT * spread:.4f} %",
        _volume(ticker.base_volume),
        "-" if age is None else f"{age:.1f} s" if age < _LONG_AGO_S else f"{age / 60:.0f} min",
        watched.state(),
    ]


def _arrow(moved: int) -> str:
    """Return an arrow, or a word where the terminal's encoding has none."""
    arrow, word = {1: ("↑", "up"), -1: ("↓", "down")}.get(moved, ("", ""))
    try:
        arrow.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return word
    return arrow


def _volume(volume: float | None) -> str:
    """Return a volume, rounded behind the point only."""
    if volume is None or not math.isfinite(volume):
        return "-"
    return f"{volume:,.0f}" if volume >= _LARGE else number_text(volume, digits=_FIGURE_DIGITS)


def _clock(time: int) -> str:
    return utc(time // 1000 * 1000)
