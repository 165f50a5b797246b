"""Options that several commands share, spelt once."""

from __future__ import annotations

import datetime as dt
import pathlib
import re
from typing import Annotated, Final, TypeAlias

import typer

from tradeutils.cli.endings import Loudness
from tradeutils.errors import UsageError

__all__ = [
    "AsJson",
    "Compat",
    "ConfigFile",
    "Limit",
    "Quote",
    "Since",
    "Specs",
    "TimeframeOption",
    "Until",
    "Url",
    "Venue",
    "Verbose",
    "moment",
]


# Eight digits are a date: 20240131.
_MILLISECONDS: Final = re.compile(r"-?[0-9]{1,7}|-?[0-9]{9,20}")


def _louder(context: typer.Context, level: int) -> int:
    """Turn logs on as the command line is read; ``-v`` counts before and after the command's name."""
    if level:
        from tradeutils import logs

        loudness = context.obj if isinstance(context.obj, Loudness) else Loudness()
        loudness.level += level
        logs.setup("INFO" if loudness.level == 1 else "DEBUG")
    return level


Verbose: TypeAlias = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        callback=_louder,
        show_default=False,
        metavar="",
        help="Tell what is done, on stderr; -vv: everything.",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
ConfigFile: TypeAlias = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings (TOML). Default: TRADEUTILS_CONFIG, else tradeutils.toml if there is one.",
    ),
]
Venue: TypeAlias = Annotated[str, typer.Option("--venue", metavar="NAME", help="The exchange, by its ccxt name.")]
Url: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Scheme and host in place of the venue's own: http://127.0.0.1:8080"),
]
TimeframeOption: TypeAlias = Annotated[
    str, typer.Option("--timeframe", "-t", metavar="TIMEFRAME", help="Length of a bar: 1m, 1h, 1d ...")
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="The newest so many bars.")
]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="From this time on: 2024-01-31, 2024-01-31T12:00 (UTC), or milliseconds."
    ),
]
Until: TypeAlias = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Before this time; written as --since.")
]
Specs: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="SPEC",
        help="An indicator, as rsi:14 or macd:12,26,9, or many, as rsi:5..50; may be repeated.",
    ),
]
Compat: TypeAlias = Annotated[
    str, typer.Option("--compat", metavar="WHOSE", help="Whose definition, where they differ: talib or tradingview.")
]
Quote: TypeAlias = Annotated[str, typer.Option("--quote", metavar="CURRENCY", help="The currency to count in.")]


def moment(name: str, text: str | None) -> int | None:
    """
    Return a time of the command line in milliseconds UTC; one without a zone is UTC.

    Raises
    ------
    UsageError : neither a date, a date and time, nor milliseconds.
    """
    from tradeutils.timeframe import to_ms  # here: it brings numpy, and --help does without

    if text is None:
        return None
    written = text.strip()
    try:
        if _MILLISECONDS.fullmatch(written):
            return to_ms(int(written), name=name)
        time = dt.datetime.fromisoformat(written)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(
            f"{name} was {text[:60]!r}; write a date (2024-01-31), a time (2024-01-31T12:00, UTC), or milliseconds"
        ) from error
    return to_ms(time if time.tzinfo else time.replace(tzinfo=dt.UTC), name=name)
