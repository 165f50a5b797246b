"""``tradeutils quality``: what is wrong with candles, and repairs by name."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Limit, Since, Until, Url, Venue, Verbose, moment
from tradeutils.cli.candle_files import CANDLE_KINDS, encode
from tradeutils.cli.computing import DEFAULT_BARS
from tradeutils.cli.endings import FAILED
from tradeutils.cli.printing import show_json, show_line, show_table, tell, utc
from tradeutils.cli.saving import check_target, save
from tradeutils.cli.sources import HOW, METAVAR, CandleRange, FileSource, VenueSource, parse_source, read_source
from tradeutils.errors import UsageError

if TYPE_CHECKING:
    from tradeutils.analysis.quality import Finding, Repaired, Report
    from tradeutils.model import Candles

__all__ = ["quality"]


def quality(
    source: Annotated[list[str] | None, typer.Argument(metavar=METAVAR, help="A candle file, or a market.")] = None,
    *,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", "-t", metavar="TIMEFRAME", help="Length of a bar: 1m, 1h, 1d ...")
    ] = None,
    venue: Venue = "binance",
    limit: Limit = None,
    since: Since = None,
    until: Until = None,
    against: Annotated[
        pathlib.Path | None,
        typer.Option("--against", metavar="FILE", help="Compare with this candle file as well."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="SHARE", min=0, help="How far apart: 0.002 of two venues.")
    ] = 1e-9,
    repair: Annotated[
        list[str] | None,
        typer.Option("--repair", metavar="RULE", help="Mend by this rule, as in sort; may be repeated."),
    ] = None,
    output: Annotated[
        pathlib.Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write what was mended: .csv .parquet .feather .json"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for warnings and remarks too.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:  # fmt: skip
    """
    Check candles: gaps, doubles, order, the grid, impossible prices, frozen feeds, spikes, time zones.

    A file is judged row by row as it stands; of a venue, without --limit and --since, the newest 500 bars. Ends with 1
    where an error was found (with --strict: anything), else with 0. With --repair what is left is judged.

    Rules
    -----
    drop_bad_times convert_times shift_hours snap_to_grid sort drop_duplicates
    keep_last drop_bad_prices blank_bad_volume clip_high_low drop_spikes fill_gaps_flat

    Examples
    --------
    tradeutils quality candles.csv
    tradeutils quality binance BTC/USDT 1m -n 1000
    tradeutils quality candles.csv --repair sort --repair drop_duplicates -o mended.csv
    tradeutils quality mine.csv --against theirs.parquet --json
    """
    if not source:
        raise UsageError(f"the candles were left out; {HOW}")
    if output is not None and not repair:
        raise UsageError("output was named and no --repair; name the rules, as in --repair sort")
    kind = None if output is None else check_target(output, *CANDLE_KINDS)
    from tradeutils.analysis import quality as checks

    origin = parse_source(source, venue=venue, timeframe=timeframe)
    wanted = CandleRange(moment("since", since), moment("until", until), limit)
    given = _read(origin, wanted, url=url, config=config)
    other = None if against is None else _Given.of_file(against, given.timeframe)
    repaired: Repaired[Candles] | None = None
    if repair:
        repaired = checks.repair(
            given.data, repair, given.timeframe, symbol=given.symbol, against=None if other is None else other.data
        )
        given = _Given(repaired.candles, repaired.candles.timeframe, given.symbol, None)
    report = checks.check(given.data, given.timeframe, symbol=given.symbol)
    if other is not None:
        found = checks.compare(given.data, other.data, report.timeframe, tolerance=tolerance).findings
        report = replace(report, findings=(*report.findings, *(replace(f, symbol=given.symbol) for f in found)))
    if repaired is not None and output is not None and kind is not None:
        save({output: encode(repaired.candles, kind)})
        tell(f"{output}: {len(repaired.candles)} bars")
    if as_json:
        show_json({**report.to_dict(), **({} if repaired is None else repaired.to_dict())})
    else:
        for line in [] if repaired is None else repaired.summary().splitlines():
            tell(line)
        _show(report, given, other)
    if not (report.clean if strict else report.ok):
        raise typer.Exit(FAILED)


class _Given:
    """What is to be judged: rows or candles, their timeframe (``None``: theirs to tell), symbol, and a file's lines."""

    def __init__(self, data: Any, timeframe: str | None, symbol: str, line_of: Callable[[int], int] | None) -> None:
        self.data = data
        self.timeframe = timeframe
        self.symbol = symbol
        self.line_of = line_of

    @classmethod
    def of_file(cls, path: pathlib.Path, timeframe: str | None) -> _Given:
        from tradeutils.history.candle_files.rows import read_rows

        read = read_rows(path, timeframe=timeframe)
        return cls(read.rows, read.timeframe, read.symbol, read.line_of)


def _read(
    origin: FileSource | VenueSource, wanted: CandleRange, *, url: str | None, config: pathlib.Path | None
) -> _Given:
    if isinstance(origin, FileSource):
        if wanted != CandleRange():
            raise UsageError("--since, --until and --limit are of a venue; a file is judged as a whole")
        return _Given.of_file(origin.path, origin.timeframe)
    if wanted.limit is None and wanted.since is None:
        wanted = replace(wanted, limit=DEFAULT_BARS)
    candles = read_source(origin, wanted, url=url, config=config)
    return _Given(candles, candles.timeframe, candles.symbol, None)


def _show(report: Report, given: _Given, other: _Given | None) -> None:
    """Print a row a finding, and the line that names the data below it."""
    columns = ("severity", "kind", ">places", ">bars", ">line" if given.line_of else ">row", "first (UTC)", "what")
    if report.findings:
        show_table(
            columns, [_cells(finding, other if finding.kind == "only_second" else given) for finding in report.findings]
        )
    show_line(report.summary().splitlines()[0])


def _cells(finding: Finding, of: _Given | None) -> Sequence[str]:
    first = next(finding.places())
    line_of = None if of is None else of.line_of
    row = "-" if first.row < 0 else str(first.row if line_of is None else line_of(first.row))
    head, *rest = finding.text.split("; ")
    what = "; ".join([head.partition(": ")[2], *(part for part in rest if part.startswith("longest"))])
    since = "-" if first.since is None else utc(first.since)
    return str(finding.severity), finding.kind, str(finding.count), str(finding.total_bars), row, since, what
