"""``tradeutils history import``, ``export`` and ``prune``: files in and out, and what may go."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Since, Until, Verbose, moment
from tradeutils.cli.endings import FAILED
from tradeutils.cli.printing import progress, show_json, show_table, tell, utc
from tradeutils.cli.stored import ExchangeName, Folder, OneTimeframe, Symbols, open_history, size_text
from tradeutils.errors import UsageError

__all__ = ["export", "import_", "prune"]


def export(
    target: Annotated[pathlib.Path, typer.Argument(metavar="TARGET", help="A folder, or a file for one series.")],
    *,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="csv parquet feather freqtrade binance. Default: as the name ends."
        ),
    ] = None,
    exchange: ExchangeName = None,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    since: Since = None,
    until: Until = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:  # fmt: skip
    """
    Write series as files of others: freqtrade's folders, Binance's public data, CSV, Parquet, feather.

    Ends with 1 where a series could not be written.

    Examples
    --------
    tradeutils history export btc.csv --exchange binance --symbol BTC/USDT -t 1h
    tradeutils history export user_data/data/binance -f freqtrade --exchange binance
    tradeutils history export out/ -f parquet --since 2024-01-01
    """
    first, last = moment("since", since), moment("until", until)
    kind = format_ or {".csv": "csv", ".feather": "feather"}.get(target.suffix.lower(), "parquet")
    with open_history(path, config) as store, progress("series") as done:
        report = store.export(
            target, format=kind, exchange=exchange, symbols=symbol, timeframe=timeframe, since=first, until=last,
            overwrite=overwrite, progress=done,
        )  # fmt: skip
    if as_json:
        show_json(report.to_dict())
    else:
        rows = [
            (
                file.path,
                file.symbol,
                file.timeframe,
                f"{file.rows:,}",
                size_text(file.bytes),
                _state(file.status, file.why),
            )
            for file in report.files
        ]
        show_table(("file", "symbol", "timeframe", ">candles", ">size", "state"), rows)
        tell(str(report))
    if report.failed:
        raise typer.Exit(FAILED)


def import_(
    source: Annotated[pathlib.Path, typer.Argument(metavar="SOURCE", help="A file, or a folder of files.")],
    *,
    exchange: Annotated[
        str | None,
        typer.Option("--exchange", metavar="NAME", help="Whose candles they are, where their folders do not say."),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol", metavar="SYMBOL", help="Of all files; or NAME=SYMBOL of those that say NAME, repeated."
        ),
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", "-t", metavar="TIMEFRAME", help="Default: as the files say.")
    ] = None,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Read candle files into the history: freqtrade's folders, Binance's public data (zips and all), CSV, JSON, Parquet.

    Every file is reported; one that cannot be read stops nothing. Ends with 1 where a file failed.

    Examples
    --------
    tradeutils history import user_data/data/binance --exchange binance
    tradeutils history import BTCUSDT-1m-2024-01.zip --exchange binance
    tradeutils history import mine.csv --exchange kraken --symbol BTC/USD -t 1h
    """
    given = _symbols_given(symbol or [])
    with open_history(path, config, read_only=False, make=True) as store, progress("files") as done:
        report = store.import_files(source, exchange=exchange, symbol=given, timeframe=timeframe, progress=done)
    if as_json:
        show_json(report.to_dict())
    else:
        columns = ("file", "symbol", "timeframe", ">rows", ">added", ">changed", ">quarantined", "state")
        show_table(
            columns,
            [
                (file.path, file.symbol, file.timeframe, f"{file.rows:,}", f"{file.added:,}", f"{file.changed:,}",
                 f"{file.quarantined:,}", _state(file.status, file.why))
                for file in report.files
            ],
        )  # fmt: skip
        tell(str(report))
    if report.failed:
        raise typer.Exit(FAILED)


def prune(
    *,
    older_than: Annotated[
        list[str] | None,
        typer.Option("--older-than", metavar="AGE", help="90d, 2y; or 1m=90d for one timeframe, repeated."),
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option("--max-bytes", metavar="SIZE", help="500GB, 2TiB: the oldest go until it is met.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="PATTERN", help="Symbols of which nothing goes: 'BTC/*'.")
    ] = None,
    exchange: ExchangeName = None,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Delete the oldest months and years, by age and by the room that all take.

    Age is counted from the newest candle of the history. Coarser timeframes are kept longer where room is what counts.
    A backfill does not fetch again what was pruned.

    Examples
    --------
    tradeutils history prune --older-than 2y --dry-run
    tradeutils history prune --older-than 1m=90d --older-than 5m=1y
    tradeutils history prune --max-bytes 3TB --keep 'BTC/*' --keep 'ETH/*'
    """
    if older_than is None and max_bytes is None:
        raise UsageError("nothing said what may go; write --older-than 2y or --max-bytes 500GB")
    with open_history(path, config, read_only=dry_run) as store:
        report = store.prune(
            older_than=_ages_given(older_than), max_bytes=max_bytes, keep=keep or (), exchange=exchange,
            symbols=symbol, timeframe=timeframe, dry_run=dry_run,
        )  # fmt: skip
    if as_json:
        show_json(report.to_dict())
    else:
        columns = ("exchange", "symbol", "timeframe", "from (UTC)", "to (UTC)", ">candles", ">size", "why")
        show_table(
            columns,
            [
                (file.exchange, file.symbol, file.timeframe, utc(file.since), utc(file.until), f"{file.rows:,}",
                 size_text(file.bytes), file.why)
                for file in report.files
            ],
        )  # fmt: skip
        tell(str(report))
    if report.skipped:
        raise typer.Exit(FAILED)


def _state(status: str, why: str) -> str:
    return f"{status}: {why}" if why else status


def _symbols_given(words: Sequence[str]) -> str | Mapping[str, str] | None:
    if not words:
        return None
    pairs = [word.partition("=") for word in words]
    if all(equals for _, equals, _ in pairs):
        return {name: symbol for name, _, symbol in pairs}
    if len(words) > 1:
        raise UsageError(f"symbol was {words[1]!r} after {words[0]!r}; write one, or NAME=SYMBOL for each of several")
    return words[0]


def _ages_given(words: Sequence[str] | None) -> str | Mapping[str, str] | None:
    if not words:
        return None
    ages: dict[str, str] = {}
    for word in words:
        name, equals, age = word.rpartition("=")
        ages[name if equals else "*"] = age
    return ages
