"""``tradeutils history``: what is stored and whether it is sound."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Since, Until, Verbose, moment
from tradeutils.cli.endings import FAILED, USAGE
from tradeutils.cli.history_files import export, import_, prune
from tradeutils.cli.printing import progress, show_json, show_line, show_table, tell, utc
from tradeutils.cli.stored import ExchangeName, Folder, OneTimeframe, Symbols, open_history, size_text

if TYPE_CHECKING:
    from tradeutils.history.reports import Coverage, Damage, SeriesKey

__all__ = ["COMMANDS", "history"]

_REMEDY: Final = (
    "tradeutils history salvage keeps what is sound and puts damaged files aside; "
    "tradeutils backfill then fetches what is lost"
)
_BATCH: Final = 16  # series between two moves of the bar
_YEARS: Final = 36_525  # days of a hundred years: beyond it a projection says nothing


def stats(
    *,
    exchange: ExchangeName = None,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Count candles, files and bytes, and say how long the disk will last at the present growth (a projection).

    Examples
    --------
    tradeutils history stats
    tradeutils history stats --path /data/candles -t 1m --json
    """
    with open_history(path, config) as store:
        found = store.stats(exchange, timeframe, symbols=symbol)
    if as_json:
        show_json(found.to_dict())
        return
    growth, days = found.growth_bytes_a_day, found.days_until_full
    lasting = "more than 100 years" if days is None or days > _YEARS else f"{days:,.0f} days"
    rows = [
        ("series", f"{len(found.series):,}"),
        (
            "candles",
            f"{found.rows:,}" + (f" from {_time(found.first)} to {_time(found.last)} UTC" if found.rows else ""),
        ),
        ("files", f"{found.files:,}, {size_text(found.bytes)}"),
        ("bytes a candle", "-" if found.bytes_a_candle is None else f"{found.bytes_a_candle:.1f}"),
        ("not sealed yet", f"{found.unsealed:,} candles, {size_text(found.journal_bytes)} of journals"),
        ("quarantined", f"{found.quarantined:,}"),
        ("free", size_text(found.free_bytes)),
        ("projection", f"{size_text(growth)} a day: full in {lasting}" if growth else "nothing grows"),
    ]
    if found.damaged:
        rows.append(("damaged", f"{len(found.damaged)} files; see tradeutils history verify"))
    show_table(("what", "how much"), rows, title=str(found.path))


def series(
    *,
    exchange: ExchangeName = None,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    List what is stored: a line a series, with its candles, its first and its last.

    Examples
    --------
    tradeutils history series
    tradeutils history series --exchange binance -t 1h --json
    """
    with open_history(path, config) as store:
        found = store.stats(exchange, timeframe, symbols=symbol)
    if as_json:
        show_json(found.to_dict()["series"])
        return
    columns = ("exchange", "symbol", "timeframe", ">candles", "first (UTC)", "last (UTC)", ">size", ">not sealed")
    show_table(
        columns,
        [
            (one.exchange, one.symbol, one.timeframe, f"{one.rows:,}", _time(one.first), _time(one.last),
             size_text(one.bytes + one.journal_bytes), f"{one.unsealed:,}")
            for one in found.series
        ],
    )  # fmt: skip


def gaps(
    exchange: Annotated[str, typer.Argument(metavar="EXCHANGE", help="By its ccxt name.")],
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="As BTC/USDT.")],
    timeframe: Annotated[str, typer.Argument(metavar="TIMEFRAME", help="1m, 1h, 1d ...")],
    *,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    List the holes in a series between its first and its last candle, and what is known of each.

    Never asked: a backfill would ask the venue. Empty: the venue was asked and has none. Pruned: retention took it.

    Examples
    --------
    tradeutils history gaps binance BTC/USDT 1m
    tradeutils history gaps binance BTC/USDT 1m --since 2024-01-01 --json
    """
    first, last = moment("since", since), moment("until", until)
    with open_history(path, config) as store:
        found = store.gaps(exchange, symbol, timeframe, first, last)
        known = store.coverage(exchange, symbol, timeframe, first, last)
    why = [_known_of(known, gap.since, gap.until) for gap in found]
    if as_json:
        show_json([{**dataclasses.asdict(gap), "known": of} for gap, of in zip(found, why, strict=True)])
        return
    if found:
        rows = [(utc(gap.since), utc(gap.until), f"{gap.bars:,}", of) for gap, of in zip(found, why, strict=True)]
        show_table(("from (UTC)", "to (UTC)", ">bars", "known of it"), rows)
    show_line(f"{len(found):,} gaps, {sum(gap.bars for gap in found):,} bars")


def _known_of(known: Coverage, since: int, until: int) -> str:
    from tradeutils.history.store.ranges import intersect

    hole = ((since, until),)
    named = (("never asked", known.missing), ("empty", known.empty), ("pruned", known.pruned))
    return ", ".join(text for text, ranges in named if intersect(ranges, hole))


def verify(
    *,
    exchange: ExchangeName = None,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Verify every file: checksums, journals, order, grid. Ends with 1 where something is damaged, and says what to do.

    Examples
    --------
    tradeutils history verify
    tradeutils history verify --exchange binance -t 1m --json
    """
    from tradeutils.history.upkeep import named_series

    with open_history(path, config) as store:
        keys = named_series(store, exchange, timeframe, symbol)
        reports = []
        with progress("series") as done:
            for number, some in _batches(keys):
                reports.append(store.verify(some[0].exchange, some[0].timeframe, symbols=[key.symbol for key in some]))
                done(number, len(keys))
    counts = {name: sum(getattr(report, name) for report in reports) for name in ("series", "files", "rows", "bytes")}
    damages = [_damage(damage) for report in reports for damage in report.damages]
    notes = [_damage(note) for report in reports for note in report.notes]
    if as_json:
        show_json(
            {**counts, "ok": not damages, "damages": damages, "notes": notes, "remedy": _REMEDY if damages else ""}
        )
    else:
        if damages or notes:
            rows = [
                (state, one["path"], one["problem"])
                for state, of in (("damaged", damages), ("note", notes))
                for one in of
            ]
            show_table(("state", "file", "problem"), rows)
        show_line(
            f"{counts['series']:,} series, {counts['files']:,} files, {counts['rows']:,} rows, "
            f"{size_text(counts['bytes'])}: {f'{len(damages):,} damaged' if damages else 'all sound'}"
        )
        if damages:
            tell(_REMEDY)
    if damages:
        raise typer.Exit(FAILED)


def _damage(damage: Damage) -> dict[str, str]:
    return {**dataclasses.asdict(damage.key), "path": damage.path, "problem": damage.problem}


def salvage(
    *,
    exchange: ExchangeName = None,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Make damaged series usable: what is sound stays, damaged files are put aside, and a backfill fetches what is lost.

    Examples
    --------
    tradeutils history salvage
    tradeutils history salvage --exchange binance --symbol BTC/USDT
    """
    from tradeutils.history.upkeep import named_series

    with open_history(path, config, read_only=False) as store:
        named_series(store, exchange, timeframe, symbol)
        report = store.salvage(exchange, timeframe, symbols=symbol)
    if as_json:
        forgotten = {str(key): ranges for key, ranges in report.forgotten.items()}
        show_json({**{f.name: getattr(report, f.name) for f in dataclasses.fields(report)}, "forgotten": forgotten})
        return
    if report.moved:
        show_table(("put aside as",), [(name,) for name in report.moved])
    show_line(
        f"{report.series:,} series mended: {report.kept:,} candles of journals kept, {report.lost:,} records lost"
    )


def compact(
    *,
    exchange: ExchangeName = None,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    as_json: AsJson = False,
    path: Folder = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Seal the journals, take away what killed writers left, and pack months that are over as small as can be.

    No candle is lost or changed. Ends with 1 where a series could not be compacted: another process writes it, or a
    file is damaged.

    Examples
    --------
    tradeutils history compact
    tradeutils history compact --exchange binance -t 1m
    """
    from tradeutils.history.upkeep import named_series

    with open_history(path, config, read_only=False) as store:
        keys = named_series(store, exchange, timeframe, symbol)
        reports = []
        with progress("series") as done:
            for number, some in _batches(keys):
                reports.append(store.compact(some[0].exchange, some[0].timeframe, symbols=[key.symbol for key in some]))
                done(number, len(keys))
    names = ("series", "sealed", "rewritten", "bytes_before", "bytes_after", "leftovers")
    counts = {name: sum(getattr(report, name) for report in reports) for name in names}
    skipped = {str(key): why for report in reports for key, why in report.skipped.items()}
    if as_json:
        show_json({**counts, "skipped": skipped})
    else:
        if skipped:
            show_table(("series", "why it was skipped"), sorted(skipped.items()))
        show_line(
            f"{counts['series']:,} series: {counts['sealed']:,} candles sealed, {counts['rewritten']:,} files packed "
            f"from {size_text(counts['bytes_before'])} to {size_text(counts['bytes_after'])}, "
            f"{counts['leftovers']:,} leftovers taken away"
        )
    if skipped:
        raise typer.Exit(FAILED)


def _batches(keys: Sequence[SeriesKey]) -> Iterator[tuple[int, list[SeriesKey]]]:
    """Yield a few series of one exchange and timeframe at a time, and how many there were so far."""
    done = 0
    groups: dict[tuple[str, str], list[SeriesKey]] = {}
    for key in keys:
        groups.setdefault((key.exchange, key.timeframe), []).append(key)
    for group in groups.values():
        for at in range(0, len(group), _BATCH):
            some = group[at : at + _BATCH]
            done += len(some)
            yield done, some


def _time(time: int | None) -> str:
    return "-" if time is None else utc(time)


def history(context: typer.Context) -> None:
    """
    Candles on disk: what is stored, whether it is sound, files in and out, and what may go.

    Examples
    --------
    tradeutils history stats
    tradeutils history import user_data/data/binance --exchange binance
    tradeutils history export out/ --exchange binance -t 1h -f csv
    tradeutils history prune --older-than 1m=1y --dry-run
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)


COMMANDS: Final[tuple[tuple[str, Callable[..., None], str], ...]] = (
    ("series", series, "What is stored."),
    ("stats", stats, "Candles, bytes, and when the disk is full."),
    ("gaps", gaps, "The holes in a series."),
    ("verify", verify, "Whether every file is sound."),
    ("salvage", salvage, "Make damaged series usable."),
    ("compact", compact, "Seal, tidy up, pack."),
    ("import", import_, "Candle files in."),
    ("export", export, "Candle files out."),
    ("prune", prune, "Delete the oldest."),
)
"""Name, function and purpose of each subcommand."""
