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

__all__ = ["number_text", "progress", "show_json", "show_line", "show_table", "show_text", "tell", "utc"]


def show_json(value: Any) -> None:
    """Print ``value`` as JSON: indented on a terminal, one line elsewhere. NaN is null, a Decimal its exact text."""
    import orjson

    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    if sys.stdout.isatty():
        options |= orjson.OPT_INDENT_2
    _write(orjson.dumps(value, default=_plain, option=options).decode() + "\n")


_NARROWEST_TEXT: Final = 10  # characters of a column of text, its margin included, below which folding reads badly


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
    cells = [[one_line(cell) for cell in row] for row in rows]
    table = _drawn(columns, cells) if sys.stdout.isatty() else _set_in_columns(columns, cells)
    _write((f"{one_line(title)}\n" if title else "") + table)


def _set_in_columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a pipe: nothing folded or cut, however wide. A hundred times as fast as rich's."""
    headings = [name.lstrip(">") for name in columns]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    sides = [str.rjust if name.startswith(">") else str.ljust for name in columns]
    return "".join(
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip() + "\n"
        for row in (headings, *rows)
    )


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal, with colour unless NO_COLOR says otherwise."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = shutil.get_terminal_size().columns
    sizes = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    numbers = [size for name, size in zip(columns, sizes, strict=True) if name.startswith(">")]
    if sum(numbers) + _NARROWEST_TEXT * (len(columns) - len(numbers)) > width:
        return _set_in_columns(columns, rows)  # too narrow to fold: the terminal's own wrapping leaves digits in order
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name in columns:
        # Text is folded where the terminal is narrow, numbers are not: one that is cut is another number.
        is_number = name.startswith(">")
        table.add_column(
            Text(name.lstrip(">")), justify="right" if is_number else "left", overflow="fold", no_wrap=is_number
        )
    for row in rows:
        table.add_row(*map(Text, row))
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def show_line(text: str) -> None:
    """Print a line on stdout, at once."""
    _write(one_line(text) + "\n")


def show_text(text: str) -> None:
    """Print what is a file of its own, such as CSV, on stdout as it is."""
    _write(text)


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


def number_text(value: float | Decimal | None, *, digits: int | None = None) -> str:
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
