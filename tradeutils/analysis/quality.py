"""
What is wrong with candles: `check` tells it, `compare` holds two sources against each other, `repair` mends it.

Candles, panels, DataFrames and plain rows are judged as they are. Nothing is changed and nothing made up, except by
`repair`, which does what the rules say that are named to it and records every value that it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.analysis.quality_report import KINDS, NO_TIME, Finding, Kind, Place, Report, Severity
from tradeutils.analysis.quality_rows import Rows, panel_rows, read_rows, whole_panel
from tradeutils.analysis.quality_sources import compare_rows
from tradeutils.analysis.quality_times import check_order, check_spacing, gaps_of_its_own
from tradeutils.analysis.quality_values import Limits, check_runs, check_values
from tradeutils.analysis.repairs import RULES, Change, Rule, check_rules, mend, refuse_what_is_left
from tradeutils.analysis.stored import over_stored
from tradeutils.errors import UsageError
from tradeutils.model import Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS
from tradeutils.model.stored import Executors
from tradeutils.timeframe import Timeframe, Times

__all__ = [
    "KINDS",
    "RULES",
    "Change",
    "Finding",
    "Kind",
    "Limits",
    "Place",
    "Repaired",
    "Report",
    "Rule",
    "Severity",
    "check",
    "compare",
    "repair",
]

_ORDER = {kind: place for place, kind in enumerate(KINDS)}
Bars = TypeVar("Bars", Candles, Panel)


def _joined(reports: Sequence[Report]) -> Report:
    """Return one report of all symbols, each of which was judged by itself."""
    symbols = tuple(symbol for report in reports for symbol in report.symbols)
    since = [report.since for report in reports if report.since is not None]
    until = [report.until for report in reports if report.until is not None]
    return replace(
        reports[0],
        symbols=symbols,
        rows=sum(report.rows for report in reports),
        since=min(since, default=None),
        until=max(until, default=None),
        findings=_sorted((finding for report in reports for finding in report.findings), symbols),
    )


@over_stored(join=_joined, whole="candles")
def check(
    data: Any,
    timeframe: str | Timeframe | None = None,
    *,
    exchange: str = "",
    symbol: str = "",
    limits: Limits | None = None,
    executor: Executors | None = None,
) -> Report:
    """
    Find what is wrong with candles.

    Parameters
    ----------
    data : Candles, Panel, DataFrame, rows, or what ``history.select(...)`` returns
        A DataFrame as for `Candles.from_frame`, but its times may be missing, doubled, unordered and in any unit; rows
        of ``[time, open, high, low, close, volume]``, as a list (``None`` is NaN) or an array (T, 6). Times as numbers
        are ms UTC, or what they are found to be.
    timeframe : str, optional
        Length of a bar, for frames and rows. Default: their most common step.
    exchange, symbol : str
        What the report is of. Default: what the candles say.
    limits : Limits, optional
        From where on a thing counts as found.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and checked there.

    Returns
    -------
    Report
        A finding for each kind of `KINDS` that is there, with all its places. ``ok`` where none is an error, ``clean``
        where there is none.

    Raises
    ------
    UsageError : data of another kind, a timeframe that contradicts the candles', or one that cannot be told.
    DataError : a row, or a column of a frame, that is not numeric.

    Notes
    -----
    Every row is judged by itself (times, prices, volume), then the rows that have a time, in the order of their times
    and of rows with one time the last, by what stands before and after (gaps, runs, spikes). One fault can be two
    findings: an hour that stands twice is ``duplicate`` or ``conflict`` and ``unordered``, and ``dst_step`` where
    clocks change.

    Of a panel, a bar that no symbol has is an ``outage`` of the venue, found once for all; one that others have is a
    ``gap`` of the symbol that lacks it. Bars before a symbol's first and after its last are not missed.

    Of candles on disk each symbol is judged by itself, with rows counted from its own first: an outage of the venue is
    then a ``gap`` of each symbol. ``check(selection.panel())`` sees them side by side.

    What is said of a bar does not change when later bars come, once a spike's next bar is there and 32 moves of the
    close to judge spikes by; runs grow. Spikes: see `Limits`, and the definition in `quality_values.spikes`: a close
    that leaps and comes back at the next bar, or a high or low far from the closes around it, by the moves of the past.
    A crash that stays, or takes longer to come back, is none.

    Costs 0.1 to 0.6 s and 130 MB for a million rows on one core, 0.5 s for a panel of 500 symbols and 10,000 bars.

    Examples
    --------
    >>> rows = [[60_000, 1, 2, 1, 2, 5], [120_000, 2, 2, 1, 3, 5], [240_000, 3, 3, 3, 3, -1]]
    >>> report = check(rows, "1m")
    >>> report.kinds, report.ok
    (('gap', 'high_below_body', 'bad_volume'), False)
    >>> next(report.of("gap").places())
    Place(row=2, bars=1, since=180000, until=240000)
    """
    asked = _limits(limits)
    if isinstance(data, Panel):
        return _check_panel(data, timeframe, asked)
    rows = read_rows(data, timeframe, exchange=exchange, symbol=symbol)
    if rows is None:
        return _nothing(data, exchange, symbol)
    return _report([rows], (rows.symbol,), _findings(rows, asked))


def _limits(limits: Limits | None) -> Limits:
    if limits is not None and not isinstance(limits, Limits):
        raise UsageError(f"limits was {limits!r:.60}; give quality.Limits(frozen_bars=30)")
    return limits or Limits()


def _nothing(data: Any, exchange: str, symbol: str) -> Report:
    """Return the report of data without a single time: empty, or of rows that all lack one."""
    bare = read_rows(data, "1m", exchange=exchange, symbol=symbol)
    found = _findings(bare, Limits()) if bare is not None else []
    return Report(
        exchange=exchange, symbols=(symbol,), rows=len(bare) if bare else 0, findings=_sorted(found)
    )  # fmt: skip


def _findings(rows: Rows, limits: Limits) -> list[Finding]:
    """Return what is wrong with one series."""
    ordered = rows.ordered()
    found = [
        *check_order(rows),
        *check_spacing(rows, ordered),
        *check_values(rows),
        *check_runs(ordered, limits),
    ]
    return [finding for finding in found if finding is not None]


def _check_panel(panel: Panel, timeframe: str | Timeframe | None, limits: Limits) -> Report:
    _refuse_other(timeframe, panel.timeframe, "the panel's")
    if not len(panel.symbols):
        return Report(exchange=panel.exchange, symbols=(), timeframe=panel.timeframe)
    series = list(panel_rows(panel))
    if len(series) == 1:
        return _report(series, panel.symbols, _findings(series[0], limits))
    held = np.zeros(len(panel), dtype=np.bool_)
    moved = np.zeros(len(panel), dtype=np.bool_)
    for rows in series:
        held[rows.number] = True
        known = ~np.isnan(rows.close)
        moved[rows.number[1:]] |= (rows.close[1:] != rows.close[:-1]) & known[1:] & known[:-1]
    # The times are those of all symbols: what is wrong with them is said once.
    whole = whole_panel(panel).take(held)
    found = [*check_order(whole), *check_spacing(whole, whole.ordered())]
    found = [_outages(f, series) if f is not None and f.kind == "gap" else f for f in found]
    traded = np.unique(whole.frame.floor(whole.time))
    for rows in series:
        found += [gaps_of_its_own(rows, traded), *check_values(rows), *check_runs(rows, limits, moved)]
    return _report(series, panel.symbols, [finding for finding in found if finding is not None])


def _outages(gap: Finding, series: list[Rows]) -> Finding | None:
    """Return the bars that no symbol has as outages, where any symbol had bars before and after."""
    first, last = (np.sort([int(rows.time[at]) for rows in series if len(rows)]) for at in (0, -1))
    # Nobody trades in a gap: of those that began before it, the ones that had not ended are the ones it cuts.
    cut = np.searchsorted(first, gap.since) > np.searchsorted(last, gap.since)
    if not cut.any():
        return None
    columns = {name: getattr(gap, name)[cut] for name in ("row", "bars", "since", "until")}
    return Finding(kind="outage", **columns)


def _refuse_other(timeframe: str | Timeframe | None, own: str, whose: str) -> None:
    if timeframe is not None and _timeframe.parse(timeframe) != _timeframe.parse(own):
        raise UsageError(f"timeframe was {timeframe} and {whose} own is {own}; leave it out")


def _sorted(found: Iterable[Finding], symbols: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    place = {symbol: at for at, symbol in enumerate(symbols)}
    return tuple(sorted(found, key=lambda finding: (place.get(finding.symbol, -1), _ORDER[finding.kind])))


def _report(series: list[Rows], symbols: tuple[str, ...], found: list[Finding]) -> Report:
    frame = series[0].frame
    times = [rows.time[rows.time != NO_TIME] for rows in series]
    last = max((int(time.max()) for time in times if len(time)), default=None)
    return Report(
        exchange=series[0].exchange,
        symbols=symbols,
        timeframe=frame.name,
        rows=sum(map(len, series)),
        since=min((int(time.min()) for time in times if len(time)), default=None),
        until=None if last is None else frame.next(last),
        findings=_sorted(found, symbols),
    )


def compare(
    first: Any,
    second: Any,
    timeframe: str | Timeframe | None = None,
    *,
    tolerance: float = 1e-9,
) -> Report:
    """
    Hold two sources of the same candles against each other, where both have them.

    Parameters
    ----------
    first, second : Candles, Panel, DataFrame, or rows
        As for `check`; both Panels, of which the symbols are compared that both have, or neither.
    timeframe : str, optional
        Length of a bar, for frames and rows. Default: the most common step of ``first``.
    tolerance : float
        How far apart prices and volumes may be, as a share of the larger, >= 0. The default is for two copies of one
        venue; of two venues take 0.002 or so.

    Returns
    -------
    Report
        Findings of the kinds ``no_overlap shifted only_first only_second price_disagreement volume_disagreement``.
        Rows are those of ``first``, for ``only_second`` those of ``second``.

    Raises
    ------
    UsageError : data of another kind, timeframes that differ, a ``tolerance`` below 0, panels without a common symbol.

    Notes
    -----
    Times that are off by whole hours (a local time zone) are found by the correlation of the moves, up to 24 hours in
    either direction, also where they change with daylight saving; ``shifted`` says by how much ``first`` is late
    (``+5 h``: its times are five hours after those of ``second``), and the rest is compared once that is taken off.
    It takes 40 bars that moved in both. Of rows with one time the last counts; what else is wrong with a source
    `check` tells.

    Examples
    --------
    >>> ours = Candles.from_rows([[0, 1, 2, 1, 2, 5], [60_000, 2, 3, 2, 3, 5]], timeframe="1m")
    >>> theirs = Candles.from_rows([[0, 1, 2, 1, 2, 5], [60_000, 2, 3, 2, 2.5, 5]], timeframe="1m")
    >>> compare(ours, theirs).findings[0].text
    '1 run, 1 bar: bars with other prices than in the other source (by 16.7 % at most); first 1970-01-01 00:01 at row 1'
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.number) or not tolerance >= 0:
        raise UsageError(f"tolerance was {tolerance!r}; write a share of the price from 0, as in 0.002")
    if isinstance(first, Panel) or isinstance(second, Panel):
        return _compare_panels(first, second, float(tolerance))
    ours = read_rows(first, timeframe)
    if ours is None:
        raise UsageError("first has no row with a time; there is nothing to compare")
    theirs = read_rows(second, second.timeframe if isinstance(second, Candles) else ours.frame)
    if theirs is None or theirs.frame != ours.frame:
        other = "none" if theirs is None else theirs.frame
        raise UsageError(f"first had bars of {ours.frame} and second of {other}; resample one of them")
    found = compare_rows(ours.ordered(), theirs.ordered(), float(tolerance))
    return _report([ours], (ours.symbol,), [finding for finding in found if finding is not None])


def _compare_panels(first: Any, second: Any, tolerance: float) -> Report:
    if not (isinstance(first, Panel) and isinstance(second, Panel)):
        raise UsageError("a Panel can be compared with another Panel; of one symbol take panel.candles(symbol)")
    _refuse_other(second.timeframe, first.timeframe, "the first panel's")
    theirs = {rows.symbol: rows for rows in panel_rows(second)}
    ours = [rows for rows in panel_rows(first) if rows.symbol in theirs]
    if not ours:
        raise UsageError(f"no symbol is in both panels: {first.symbols[:3]} ... and {second.symbols[:3]} ...")
    found = [finding for rows in ours for finding in compare_rows(rows, theirs[rows.symbol], tolerance)]
    symbols = tuple(rows.symbol for rows in ours)
    return _report(ours, symbols, [finding for finding in found if finding is not None])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repaired(Generic[Bars]):
    """
    Candles after a repair, and what it changed.

    Attributes
    ----------
    candles : Candles or Panel
        Of a Panel a Panel, of anything else Candles.
    changes : tuple of Change
        One for each rule that changed something, by symbol, in the order in which they were done.
    filled : bool array, shape (T,) or (T, S)
        Where a bar was made up by ``fill_gaps_flat``.
    """

    candles: Bars
    changes: tuple[Change, ...]
    filled: npt.NDArray[np.bool_]

    def summary(self) -> str:
        """Return a line for each change, or one that says that nothing was."""
        return "\n".join(change.text for change in self.changes) or "nothing changed"

    def to_dict(self) -> dict[str, Any]:
        """Return the changes as plain values for JSON."""
        return {"changes": [change.to_dict() for change in self.changes]}


@overload
def repair(
    data: Panel, rules: Iterable[str], timeframe: str | Timeframe | None = None, *, against: Any = None,
    exchange: str = "", symbol: str = "", limits: Limits | None = None,
) -> Repaired[Panel]: ...  # fmt: skip
@overload
def repair(
    data: Any, rules: Iterable[str], timeframe: str | Timeframe | None = None, *, against: Any = None,
    exchange: str = "", symbol: str = "", limits: Limits | None = None,
) -> Repaired[Candles]: ...  # fmt: skip
def repair(
    data: Any,
    rules: Iterable[str],
    timeframe: str | Timeframe | None = None,
    *,
    against: Any = None,
    exchange: str = "",
    symbol: str = "",
    limits: Limits | None = None,
) -> Repaired[Any]:
    """
    Mend candles by the rules that are named, and by no other.

    Parameters
    ----------
    data : Candles, Panel, DataFrame, or rows
        As for `check`.
    rules : iterable of str
        Names of `RULES`. They are done in the order of `RULES`, in whatever order they are named: so a second repair by
        the same rules changes nothing.
    timeframe, exchange, symbol, limits
        As for `check`.
    against : Candles, Panel, DataFrame, or rows, optional
        The source whose times are right, for ``shift_hours``.

    Returns
    -------
    Repaired
        The candles, what was changed (each row, its old and its new values), and which bars were made up.

    Raises
    ------
    UnknownName : no such rule.
    UsageError : as `check`; ``shift_hours`` without ``against``.
    DataError : what is left cannot be candles (times missing, doubled or unordered): the rules that it takes are named;
        ``fill_gaps_flat`` where there is no close before a gap, or more bars would be added than can be meant.

    Notes
    -----
    What a rule mends is not found again (``RULES[name].mends``); dropping rows leaves gaps. ``shift_hours`` does what
    `compare` finds; an hour in autumn that local clocks went through twice stays doubled.

    Examples
    --------
    >>> rows = [[60_000, 1, 2, 1, 2, 5], [60_000, 1, 2, 1, 2, 5], [180_000, 2, 2, 2, 3, 5]]
    >>> mended = repair(rows, ["drop_duplicates", "clip_high_low"], "1m")
    >>> print(mended.summary())
    drop_duplicates: 1 row dropped
    clip_high_low: 1 row with high or low put at the body's end
    >>> mended.changes[1].old["high"], mended.changes[1].new["high"]
    (array([2.]), array([3.]))
    """
    names, asked = check_rules(rules), _limits(limits)
    if "shift_hours" in names and against is None:
        raise UsageError("shift_hours needs the source whose times are right: against=candles")
    if isinstance(data, Panel):
        return _repair_panel(data, names, timeframe, asked, against)
    rows = read_rows(data, timeframe, exchange=exchange, symbol=symbol)
    if rows is None:
        raise UsageError("data has no row with a time; there is nothing to repair")
    other = None if against is None else read_rows(against, rows.frame)
    rows, changes = mend(rows, names, asked, None if other is None else other.ordered())
    return Repaired(candles=_candles(rows), changes=tuple(changes), filled=rows.number < 0)


def _candles(rows: Rows) -> Candles:
    refuse_what_is_left(rows)
    columns = {name: getattr(rows, name) for name in ("time", *PRICE_FIELDS, "closed")}
    return Candles(exchange=rows.exchange, symbol=rows.symbol, timeframe=rows.frame.name, **columns)


def _repair_panel(
    panel: Panel, names: set[str], timeframe: str | Timeframe | None, limits: Limits, against: Any
) -> Repaired[Panel]:  # fmt: skip
    _refuse_other(timeframe, panel.timeframe, "the panel's")
    if against is not None and not isinstance(against, Panel):
        raise UsageError("against was no Panel; a Panel's times are held against another's")
    if not panel.symbols:
        return Repaired(candles=panel, changes=(), filled=panel.mask)
    others = {} if against is None else {rows.symbol: rows for rows in panel_rows(against)}
    changes: list[Change] = []
    mended: dict[str, Candles] = {}
    made_up: dict[str, Times] = {}
    for rows in panel_rows(panel):
        after, changed = mend(rows, names, limits, others.get(rows.symbol))
        changes += changed
        mended[rows.symbol], made_up[rows.symbol] = _candles(after), after.time[after.number < 0]
    whole = Panel.from_candles(mended)
    filled = np.stack([np.isin(whole.time, made_up[symbol]) for symbol in whole.symbols], axis=1)
    return Repaired(candles=whole, changes=tuple(changes), filled=filled)
