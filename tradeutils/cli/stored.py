"""What the commands of ``tradeutils history`` share: the history they open, which series, and sizes for people."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from tradeutils.errors import UsageError

if TYPE_CHECKING:
    from tradeutils.history import History

__all__ = ["ExchangeName", "Folder", "OneTimeframe", "Symbols", "open_history", "size_text"]

Folder: TypeAlias = Annotated[
    pathlib.Path | None,
    typer.Option("--path", metavar="FOLDER", help="The history. Default: that of the settings, else candles."),
]
ExchangeName: TypeAlias = Annotated[
    str | None, typer.Option("--exchange", metavar="NAME", help="Only this exchange, by its ccxt name.")
]
Symbols: TypeAlias = Annotated[
    list[str] | None, typer.Option("--symbol", metavar="SYMBOL", help="Only this symbol; may be repeated.")
]
OneTimeframe: TypeAlias = Annotated[
    str | None, typer.Option("--timeframe", "-t", metavar="TIMEFRAME", help="Only this one: 1m, 1h, 1d ...")
]

_SIZES: Final = ("bytes", "kB", "MB", "GB", "TB")


@contextlib.contextmanager
def open_history(
    path: pathlib.Path | None, config: pathlib.Path | None, *, read_only: bool = True, make: bool = False
) -> Iterator[History]:
    """
    Open the history that the command line or the settings name.

    Raises
    ------
    UsageError : there is no such folder, or it is no history, and the command does not ``make`` one.
    """
    from tradeutils.cli.venues import load_settings
    from tradeutils.history import History
    from tradeutils.history.store.layout import FORMAT_FILE

    folder = load_settings(config).history.path if path is None else path.expanduser()
    if not make and not folder.is_dir():
        raise UsageError(f"path was {str(folder)!r}, and there is no such folder; write --path FOLDER")
    # Series without the file that says so are of a history that lost it: these are to be verified and salvaged too.
    if not make and not (folder / FORMAT_FILE).exists() and not any(folder.glob("exchange=*")):
        raise UsageError(
            f"path was {str(folder)!r}, which is no history; write --path FOLDER, or import or backfill first"
        )
    with History(folder, read_only=read_only) as opened:
        yield opened


def size_text(size: float) -> str:
    """Return bytes as text for people: ``"3.2 GB"``, in powers of 1000 as disks are sold."""
    power = 0
    while size >= 999.5 and power < len(_SIZES) - 1:
        size /= 1000
        power += 1
    return f"{size:,.0f} {_SIZES[power]}" if power == 0 or size >= 99.95 else f"{size:,.1f} {_SIZES[power]}"
