"""What is watched, as it is shown: the table, lines and JSON, on made values."""

from __future__ import annotations

import io
import json
import math
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from rich.console import Console

from tradeutils.cli.watch_views import JsonView, LineView, TableView, Watched, drawn_table, view_for
from tradeutils.model import Ticker
from tradeutils.model.streaming import Missed, Stale, StreamEvent

NOON = 1_706_702_400_000  # 2024-01-31 12:00


@dataclass
class MadeStream:
    """A stream of which only what is shown is made."""

    age: float | None = 0.25
    state: str = "live"
    reconnects: int = 0

    def __aiter__(self) -> AsyncIterator[Ticker | StreamEvent]:
        raise NotImplementedError


def made_ticker(symbol: str = "BTC/USDT", last: float | None = 67_000.5, time: int | None = NOON) -> Ticker:
    return Ticker(
        symbol=symbol, time=time, last=last, bid=67_000.0, ask=67_001.0, percentage=-1.234, base_volume=12_345.678,
        quote_volume=8e8,
    )  # fmt: skip


def watched(symbol: str = "BTC/USDT", *tickers: Ticker, **stream: float | str | None) -> Watched:
    one = Watched(symbol, MadeStream(**stream))  # type: ignore[arg-type]
    for ticker in tickers:
        one.take(ticker)
    return one


def drawn(*rows: Watched, width: int = 100) -> list[str]:
    """Return the lines of a table as a terminal without colour shows them."""
    console = Console(file=io.StringIO(), width=width, no_color=True)
    with console.capture() as captured:
        console.print(drawn_table("binance, tickers", rows, width=width))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_table_says_everything_in_words() -> None:
    """Price and where it went, change, spread, volume, age and state, readable without a colour."""
    moved = watched("BTC/USDT", made_ticker(last=67_000.0), made_ticker())
    quiet = watched("ETH/USDT", made_ticker("ETH/USDT"), age=400.0, state="stale", reconnects=3)
    quiet.reason = "silent"
    lines = drawn(moved, quiet, watched("SOL/USDT", age=None, state="connecting"))
    assert lines[0] == "binance, tickers"
    assert lines[1].split() == ["symbol", "price", "change", "spread", "volume", "age", "state"]
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines[3:]]
    assert cells[0] == ["BTC/USDT", "67000.5 ↑", "-1.23 %", "0.0015 %", "12,346", "0.2 s", "live"]
    assert cells[1] == ["ETH/USDT", "67000.5", "-1.23 %", "0.0015 %", "12,346", "7 min", "stale: silent"]
    assert cells[2] == ["SOL/USDT", "-", "-", "-", "-", "-", "connecting"]
    assert lines[-1] == "updates: 3, reconnects: 3; Ctrl-C ends"


def test_arrow_follows_the_last_change() -> None:
    """An update with the same price leaves it; one without a price too."""
    one = watched("BTC/USDT", made_ticker(last=2.0), made_ticker(last=1.0), made_ticker(last=1.0))
    assert (one.moved, one.updates) == (-1, 3)
    one.take(made_ticker(last=None))
    one.take(made_ticker(last=3.0))
    assert one.moved == -1  # nobody knows from where
    one.take(made_ticker(last=4.0))
    assert one.moved == 1


def test_data_that_comes_again_ends_the_reason() -> None:
    """Why it was stale is no longer said."""
    one = watched("BTC/USDT", made_ticker(), state="stale")
    one.reason = "disconnected"
    assert one.state() == "stale: disconnected"
    one.take(made_ticker())
    one.stream.state = "live"  # type: ignore[misc]
    assert one.state() == "live"


@pytest.mark.parametrize(
    ("width", "gone"),
    [(64, set()), (63, {"volume"}), (54, {"volume", "spread"}), (34, {"volume", "spread", "change"})],
)
def test_narrow_terminal_loses_columns_and_no_digits(width: int, gone: set[str]) -> None:
    """Price, age and state stay, whole."""
    text = "\n".join(drawn(watched("BTC/USDT", made_ticker()), width=width))
    shown = {name for name in ("volume", "spread", "change") if name in text}
    assert {"volume", "spread", "change"} - shown == gone
    assert re.search(r"BTC/USDT +67000\.5 .* 0\.2 s +live", text)


@pytest.mark.parametrize("figure", [None, math.nan])
def test_what_is_not_known_is_a_dash(figure: float | None) -> None:
    """Venues leave out figures, and Python has numbers that are none."""
    ticker = Ticker(symbol="X/Y", last=figure, bid=figure, ask=figure, percentage=figure, base_volume=figure)
    line = drawn(watched("X/Y", ticker, age=math.inf))[3]
    assert line.split() == ["X/Y", "-", "-", "-", "-", "-", "live"]


def test_names_of_a_venue_cannot_move_the_cursor() -> None:
    """Control characters and markup are shown, not sent."""
    text = "\n".join(drawn(watched("\x1b[2J/[red]X", made_ticker())))
    assert "\\x1b[2J/[red]X" in text
    assert "\x1b[2J" not in text


def test_arrow_is_a_word_where_the_terminal_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of plain ASCII."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    one = watched("BTC/USDT", made_ticker(last=1.0), made_ticker(last=2.0))
    assert "2 up" in "\n".join(drawn(one))


def test_lines_stay_in_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """A heading, a line an update, and one when data stops; nothing when only time passes."""
    rows = [watched("BTC/USDT", made_ticker()), watched("1000PEPE/USDT")]
    view = LineView(rows)
    with view.open():
        view.updated(rows[0])
        view.refresh()
        rows[1].stream.state, rows[1].reason = "stale", "silent"  # type: ignore[misc]
        view.happened(
            rows[1], Stale(kind="ticker", symbol="1000PEPE/USDT", time=NOON + 1_999, age=31.0, reason="silent")
        )
    heading, update, event = capsys.readouterr().out.splitlines()
    assert heading.split() == ["time", "(UTC)", "symbol", "price", "change", "spread", "volume", "age", "state"]
    assert update.startswith("2024-01-31 12:00     BTC/USDT")
    assert event.startswith("2024-01-31 12:00:01  1000PEPE/USDT")
    assert event.endswith("-  stale: silent")
    assert heading.index("state") == update.index("live") == event.index("stale")


def test_json_has_the_same_keys_for_updates_and_events(capsys: pytest.CaptureFixture[str]) -> None:
    """An event tells no figures, which would be old ones; a NaN is null."""
    one = watched("BTC/USDT", made_ticker(last=math.nan))
    view = JsonView()
    with view.open():
        view.updated(one)
        view.refresh()
        one.stream.state, one.reason = "stale", "silent"  # type: ignore[misc]
        view.happened(one, Stale(kind="ticker", symbol="BTC/USDT", time=NOON, age=31.0, reason="silent"))
        view.happened(one, Missed(kind="ticker", symbol="BTC/USDT", time=NOON, since=1, until=2))
    update, stale, missed = map(json.loads, capsys.readouterr().out.splitlines())
    assert update == {
        "what": "ticker", "symbol": "BTC/USDT", "time": NOON, "last": None, "bid": 67_000.0, "ask": 67_001.0,
        "spread": pytest.approx(1.4925e-5, rel=1e-4), "percentage": -1.234, "base_volume": 12_345.678,
        "quote_volume": 8e8, "age": 0.25, "state": "live", "reason": None,
    }  # fmt: skip
    assert list(stale) == list(update)
    assert (stale["what"], stale["last"], stale["state"], stale["reason"]) == ("stale", None, "stale", "silent")
    assert missed["what"] == "missed"


def test_without_a_terminal_it_is_lines_and_json_where_asked_for() -> None:
    """A pipe has no cursor to move."""
    assert isinstance(view_for("x", [], as_json=False), LineView)
    assert isinstance(view_for("x", [], as_json=True), JsonView)


PROGRAM = """
from tests_of_watch import made_ticker, watched
from tradeutils.cli.watch_views import view_for
one = watched("BTC/USDT", made_ticker(last=1.0))
view = view_for("binance, tickers", [one], as_json=False)
print(type(view).__name__)
with view.open():
    one.take(made_ticker(last=2.0))
    view.updated(one)
    view.refresh()
"""


def on_a_terminal(**environment: str) -> str:
    """Show an update on a terminal of its own and return what was sent to it."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLORTERM"}}
    kept |= {"TERM": "xterm-256color", "COLUMNS": "90", "PYTHONPATH": os.pathsep.join(sys.path)} | environment
    program = PROGRAM.replace("tests_of_watch", __name__)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs, env=kept)
    os.close(theirs)
    printed = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        printed += chunk
    os.close(ours)
    assert process.wait(30) == 0, printed
    return printed.decode()


def test_table_on_a_terminal_is_redrawn_and_leaves_the_cursor_shown() -> None:
    """It hides the cursor while it draws, and the last state stays on the screen."""
    printed = on_a_terminal()
    assert "TableView" in printed
    assert printed.rindex("\x1b[?25h") > printed.rindex("\x1b[?25l")  # shown after it was hidden
    assert "\x1b[32m" in printed  # green: up
    assert "2 ↑" in printed


@pytest.mark.parametrize(
    ("environment", "view"), [({"NO_COLOR": "1"}, "TableView"), ({"TERM": "dumb"}, "LineView")], ids=["plain", "dumb"]
)
def test_colour_and_cursor_are_left_alone_where_they_are_not_wanted(environment: dict[str, str], view: str) -> None:
    """``NO_COLOR`` has no colour; a terminal that cannot move its cursor gets lines."""
    printed = on_a_terminal(**environment)
    assert view in printed
    assert "\x1b[32m" not in printed
    assert "2 ↑" in printed
    assert ("\x1b[" in printed) == (view == "TableView")


def test_table_is_drawn_once_more_when_an_error_ends_it() -> None:
    """What was known last stays on the screen above the error."""
    console = Console(file=io.StringIO(), force_terminal=True, width=90, no_color=True)
    one = watched("BTC/USDT", made_ticker())
    view = TableView("x", [one], console)

    def fail() -> None:
        one.take(made_ticker(last=5.0))
        raise RuntimeError

    with pytest.raises(RuntimeError), view.open():
        fail()
    assert isinstance(console.file, io.StringIO)
    assert "5 ↓" in console.file.getvalue()
