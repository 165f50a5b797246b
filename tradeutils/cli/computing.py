"""Indicators over the candles of a source, warmed up on the bars before the range that was asked for."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tradeutils.cli.sources import CandleRange, FileSource, VenueSource, read_source

if TYPE_CHECKING:
    from tradeutils.indicators.spec import Spec
    from tradeutils.model import Candles
    from tradeutils.model.candles import Column

__all__ = ["Computed", "compute", "parse_specs"]

DEFAULT_BARS: Final = 500  # of a venue, where neither --limit nor --since says


@dataclass(frozen=True, slots=True)
class Computed:
    """
    Candles and, by ``"rsi:14"`` or ``"macd:12,26,9.signal"``, a column of each output, row for row.

    ``read`` are all that were read, those before the range too.
    """

    candles: Candles
    columns: Mapping[str, Column]
    read: Candles


def parse_specs(texts: Sequence[str] | None) -> list[Spec]:
    """
    Return the indicators asked for, each once; a range such as ``rsi:5..50`` is many.

    Raises
    ------
    UnknownName, UsageError : no such indicator, or a value that it does not take.
    """
    from tradeutils.indicators.spec import parse_all

    return parse_all(texts or ())


def compute(
    source: FileSource | VenueSource,
    wanted: CandleRange,
    specs: Sequence[Spec],
    *,
    url: str | None = None,
    config: pathlib.Path | None = None,
    compat: str = "talib",
    warm_up: int = 0,
) -> Computed:
    """
    Read or fetch the candles of ``wanted`` and compute ``specs`` on them, by the definitions of ``compat``.

    ``warm_up`` is the least number of bars to read before the range; a source may have fewer.

    Raises
    ------
    UnknownName : no such ``compat``.
    TradeutilsError : as `read_source`.
    """
    from tradeutils.indicators.evaluate import Options

    Options(compat=compat)  # before anything is fetched
    if isinstance(source, VenueSource) and wanted.limit is None and wanted.since is None:
        wanted = replace(wanted, limit=DEFAULT_BARS)
    before = max((spec.indicator.lookback(*spec.values, compat=compat) for spec in specs), default=0)
    candles = read_source(source, wanted, warm_up=max(before, warm_up), url=url, config=config)
    first = wanted.first_row(candles)
    columns = columns_of(candles, specs, compat=compat)
    return Computed(candles[first:], {key: column[first:] for key, column in columns.items()}, candles)


def columns_of(candles: Candles, specs: Sequence[Spec], *, compat: str = "talib") -> Mapping[str, Column]:
    """Return every output of ``specs`` over ``candles``."""
    from tradeutils.indicators import Indicators

    return Indicators(candles, compat=compat).compute([spec.text for spec in specs]) if specs else {}
