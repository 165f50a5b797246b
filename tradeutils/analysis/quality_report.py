"""What a check of candles found: findings by kind, each with its places, and the report they make up."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.errors import UnknownName
from tradeutils.model.candles import read_only
from tradeutils.timeframe import Timeframe, Times

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "NO_TIME", "Finding", "Kind", "Place", "Report", "Severity", "moment_text"]

NO_TIME: Final = np.iinfo(np.int64).min
"""Stands in int64 columns where a row has no time, as NaT does in NumPy's own."""


class Severity(enum.StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # cannot be right
    WARNING = "warning"  # may be wrong, or is not there
    INFO = "info"  # right, and worth knowing


class Kind(NamedTuple):
    """A kind of finding: how bad it is, what it says of its bars, and what one place of it is called."""

    severity: Severity
    meaning: str
    place: str = "place"


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

KINDS: Final[Mapping[str, Kind]] = {
    "bad_time": Kind(_E, "rows without a time, or one that cannot be"),
    "time_unit": Kind(_E, "times that are not in milliseconds"),
    "unordered": Kind(_E, "rows that stand after one of a later time"),
    "duplicate": Kind(_E, "rows that are repeated by a later one of the same time"),
    "conflict": Kind(_E, "rows that a later one of the same time contradicts"),
    "off_grid": Kind(_E, "bars that do not open on the timeframe's grid"),
    "day_start": Kind(_W, "bars of days or longer that do not open at 00:00 UTC: a local midnight?"),
    "dst_step": Kind(_W, "an hour missing or doubled where clocks change: local times taken as UTC?"),
    "gap": Kind(_W, "bars missing between two others", "gap"),
    "outage": Kind(_W, "bars missing for all symbols at once", "outage"),
    "not_finite": Kind(_E, "prices that are NaN or infinite"),
    "not_positive": Kind(_E, "prices of zero or below"),
    "high_below_body": Kind(_E, "a high below the open or the close"),
    "low_above_body": Kind(_E, "a low above the open or the close"),
    "bad_volume": Kind(_E, "volumes that are negative or infinite"),
    "unknown_volume": Kind(_I, "volumes that are not known (NaN)", "stretch"),
    "zero_volume": Kind(_I, "bars in a row in which nothing was traded", "run"),
    "frozen": Kind(_W, "bars in a row with the same prices: a feed that stands still?", "run"),
    "spike": Kind(_W, "prices far off that came back at once"),
    "no_overlap": Kind(_E, "no time that both sources cover"),
    "shifted": Kind(_E, "bars whose times are whole hours off those of the other source"),
    "only_first": Kind(_W, "bars that the second source lacks", "run"),
    "only_second": Kind(_W, "bars that the first source lacks", "run"),
    "price_disagreement": Kind(_W, "bars with other prices than in the other source", "run"),
    "volume_disagreement": Kind(_I, "bars with another volume than in the other source", "run"),
}
"""Every kind of finding, in the order of a report; the last six are of `compare`."""


class Place(NamedTuple):
    """
    Where something was found.

    Attributes
    ----------
    row : int
        The first row of it in the data as given, from 0; of a gap the row after it, -1 where no row is.
    bars : int
        Rows of it; of a gap or an outage the bars that are missing.
    since, until : int or None
        From this time on and before that one, ms UTC; ``None`` where the rows have no time.
    """

    row: int
    bars: int
    since: int | None
    until: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """
    One kind of thing that was found in one series, with all its places as read-only columns of one length.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    symbol : str
        Whose; empty for what concerns all symbols of a panel, and where no symbol is known.
    row, bars, since, until : int64 arrays, shape (N,)
        As in `Place`; ``NO_TIME`` where there is no time.
    detail : str
        What is particular of it, for the explanation.
    """

    kind: str
    symbol: str = ""
    row: Times
    bars: Times
    since: Times
    until: Times
    detail: str = ""

    def __post_init__(self) -> None:
        for name in ("row", "bars", "since", "until"):
            object.__setattr__(self, name, read_only(np.ascontiguousarray(getattr(self, name), dtype=np.int64)))

    @property
    def severity(self) -> Severity:
        """How bad it is: `KINDS` says it for each kind."""
        return KINDS[self.kind].severity

    @property
    def count(self) -> int:
        """How many places."""
        return len(self.row)

    @property
    def total_bars(self) -> int:
        """Rows, or missing bars, of all places together."""
        return int(self.bars.sum())

    @property
    def text(self) -> str:
        """What was found, how often, and where first and longest, in one line."""
        kind = KINDS[self.kind]
        total, count = self.total_bars, self.count
        parts = [f"{count} {kind.place}{'s' if count != 1 else ''}, {total} bar{'s' if total != 1 else ''}"]
        parts[0] += f": {kind.meaning}" + (f" ({self.detail})" if self.detail else "")
        first = next(self.places())
        parts.append("first " + ("" if first.since is None else f"{moment_text(first.since)} ") + f"at row {first.row}")
        longest = int(self.bars.argmax())
        if count > 1 and self.bars[longest] > first.bars:
            since = int(self.since[longest])
            at = f"row {self.row[longest]}" if since == NO_TIME else moment_text(since)
            parts.append(f"longest {self.bars[longest]} bars at {at}")
        return "; ".join(parts)

    def places(self) -> Iterator[Place]:
        """Yield every place, in the order of the data."""
        for row, bars, since, until in zip(
            self.row.tolist(), self.bars.tolist(), self.since.tolist(), self.until.tolist(), strict=True
        ):
            yield Place(row, bars, None if since == NO_TIME else since, None if until == NO_TIME else until)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Finding):
            return NotImplemented
        return (self.kind, self.symbol, self.detail) == (other.kind, other.symbol, other.detail) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("row", "bars", "since", "until")
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def to_dict(self, places: int | None = None) -> dict[str, Any]:
        """Return it as plain values for JSON, with its first ``places`` places (default: all)."""
        shown = [place._asdict() for _, place in zip(range(self.count if places is None else places), self.places())]  # noqa: B905  # the shorter ends it
        return {
            "kind": self.kind,
            "severity": str(self.severity),
            "symbol": self.symbol,
            "count": self.count,
            "bars": self.total_bars,
            "text": self.text,
            "places": shown,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What was found in a series, in a panel, or between two sources.

    Parameters
    ----------
    exchange, timeframe : str
        Of the data; the timeframe as given or found out, empty where no row tells it.
    symbols : tuple of str
        Of the data: one, or those of a panel.
    rows : int
        Rows that were looked at, of all symbols together.
    since, until : int or None
        The first and the last open that were seen, ms UTC, ``until`` exclusive by a bar; ``None`` without rows.
    findings : tuple of Finding
        By symbol in the order of ``symbols``, before them what concerns all of them, each in the order of `KINDS`.
    """

    exchange: str = ""
    symbols: tuple[str, ...] = ("",)
    timeframe: str = ""
    rows: int = 0
    since: int | None = None
    until: int | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """True where nothing is an error; gaps and other warnings may be there."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def clean(self) -> bool:
        """True where nothing was found at all."""
        return not self.findings

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that were found, each once, in the order of `KINDS`."""
        there = {finding.kind for finding in self.findings}
        return tuple(kind for kind in KINDS if kind in there)

    def of(self, kind: str, symbol: str | None = None) -> Finding | None:
        """
        Return the finding of a kind, ``None`` where there is none.

        Parameters
        ----------
        symbol : str, optional
            Whose. Default: the first that has it.

        Raises
        ------
        UnknownName : no such kind.
        """
        if kind not in KINDS:
            raise UnknownName("kind", kind, KINDS)
        return next((f for f in self.findings if f.kind == kind and symbol in (None, f.symbol)), None)

    def by_symbol(self) -> dict[str, tuple[Finding, ...]]:
        """Return the findings of each symbol that has any; under ``""`` what concerns all."""
        found: dict[str, tuple[Finding, ...]] = {}
        for finding in self.findings:
            found[finding.symbol] = (*found.get(finding.symbol, ()), finding)
        return found

    def summary(self) -> str:
        """Return the report as text: a line that names the data, then a line a finding."""
        where = " ".join(part for part in (self.exchange, self._named(), self.timeframe) if part) or "candles"
        span = (
            ""
            if self.since is None or self.until is None
            else f" from {moment_text(self.since)} to {moment_text(self.until)} UTC"
        )
        found = len(self.findings)
        verdict = f"{found} finding{'s' if found > 1 else ''}" + (", no error" if self.ok else "") if found else "clean"
        lines = [f"{where}: {self.rows} rows{span}: {verdict}"]
        for finding in self.findings:
            whose = f"{finding.symbol} " if len(self.symbols) > 1 and finding.symbol else ""
            lines.append(f"  {finding.severity:<7}  {whose}{finding.kind}: {finding.text}")
        return "\n".join(lines)

    def _named(self) -> str:
        return self.symbols[0] if len(self.symbols) == 1 else f"{len(self.symbols)} symbols"

    def __str__(self) -> str:
        return self.summary()

    def to_dict(self, places: int | None = None) -> dict[str, Any]:
        """
        Return the report as plain values for JSON.

        Parameters
        ----------
        places : int, optional
            How many places of each finding to list. Default: all.
        """
        return {
            "exchange": self.exchange,
            "symbols": list(self.symbols),
            "timeframe": self.timeframe,
            "rows": self.rows,
            "since": self.since,
            "until": self.until,
            "ok": self.ok,
            "clean": self.clean,
            "findings": [finding.to_dict(places) for finding in self.findings],
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row a place: kind, severity, symbol, row, bars, and since and until as UTC times."""
        from tradeutils.frames import table_to_frame

        found = self.findings
        numbers = {
            name: np.concatenate([np.empty(0, dtype=np.int64), *(getattr(f, name) for f in found)])
            for name in ("row", "bars", "since", "until")
        }
        texts = {
            name: [str(getattr(f, name)) for f in found for _ in range(f.count)]
            for name in ("kind", "severity", "symbol")
        }
        return table_to_frame({**texts, **numbers}, times=("since", "until"))


def moment_text(time: int) -> str:
    """Return milliseconds UTC as ``2024-01-31 12:00``, finer where it is no whole minute."""
    text = str(np.datetime64(time, "ms")).replace("T", " ")
    return text[:16] if time % 60_000 == 0 else text.removesuffix(".000")


def runs(mask: npt.NDArray[np.bool_]) -> tuple[Times, Times]:
    """Return where the runs of True begin and where each has ended."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].view(np.int8)))
    return edges[::2], edges[1::2]


def span_of(time: Times, start: Times, stop: Times, frame: Timeframe) -> tuple[Times, Times]:
    """Return the first open and the last bar's end of one or more stretches of rows; ``NO_TIME`` without times."""
    cuts = np.stack((start, stop), axis=1).ravel()
    padded = np.append(time, time[-1])
    since = np.minimum.reduceat(padded, cuts)[::2]
    until = np.maximum.reduceat(padded, cuts)[::2]
    known = since != NO_TIME
    ends = frame.shift(frame.floor(np.where(known, until, 0)), 1)
    return since, np.where(known, ends, NO_TIME)
