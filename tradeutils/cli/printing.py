"""What the user sees: tables and JSON on stdout, progress and remarks on stderr."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Context, Decimal
from typing import Any, Final

import typer

from tradeutils.cli.endings import BROKEN_PIPE, drop_stdout, one_line

__all__ = ["figure", "progress", "show_json", "show_line", "show_table", "tell", "utc"]

_WIDE: Final = 10_000  # columns of a pipe: nothing is folded or cut there


def show_json(value: Any) -> None:
    """Print ``value`` as JSON: indented on a terminal, one line elsewhere. NaN is null, a Decimal its exact text."""
    import orjson

    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    if sys.stdout.isatty():
        options |= orjson.OPT_INDENT_2
    _write(orjson.dumps(value, default=_plain, option=options).decode() + "\n")


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "tolist"):  # a view into an array: orjson takes only whole ones
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """
    Print a table.

    Parameters
    ----------
    columns : sequence of str
        Headings; one that begins with ``>`` is set to the right, as numbers are.
    rows : sequence of sequences of str
        Cells. Control characters in them are shown, not sent.
    title : str
        A line above it.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_screen = sys.stdout.isatty()
    drawn = io.StringIO()
    console = Console(
        file=drawn, force_terminal=on_screen or None, width=shutil.get_terminal_size().columns if on_screen else _WIDE
    )
    table = Table(box=box.SIMPLE_HEAD if on_screen else None, pad_edge=False, header_style="bold", show_edge=False)
    for name in columns:
        # Folded where a terminal is too narrow: a number that is cut is another number.
        table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    if title:
        console.print(Text(one_line(title), style="bold"))
    console.print(table)
    _write("".join(line.rstrip() + "\n" for line in drawn.getvalue().splitlines()))


def show_line(text: str) -> None:
    """Print a line on stdout, at once."""
    _write(one_line(text) + "\n")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # here, because typer would end it with 1, which says that something failed
        drop_stdout()
        raise typer.Exit(BROKEN_PIPE) from None


def tell(remark: str) -> None:
    """Print a line on stderr."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(one_line(remark) + "\n")


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr while it is a terminal; yields a callable that takes what is done and the total."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def figure(value: float | Decimal | None, *, digits: int | None = None) -> str:
    """
    Return a number for a table: plain, never in powers of ten; ``-`` where it is not known.

    ``digits`` rounds to so many that count; by default a Decimal is exact and a float the shortest text that is it.
    """
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    exact = Decimal(repr(float(value))) if not isinstance(value, Decimal) else value
    if digits is not None:
        exact = Context(prec=digits).plus(exact)
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def utc(time: int) -> str:
    """Return milliseconds UTC as ``2024-01-31 12:00``, to the second where it is not a whole minute."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(time))
    return moment.strftime("%Y-%m-%d %H:%M" if time % 60_000 == 0 else "%Y-%m-%d %H:%M:%S")
