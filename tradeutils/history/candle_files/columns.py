"""Which column of a candle file is its time, which its prices, and which its volume."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tradeutils.errors import CandleFileError, UsageError, nearest
from tradeutils.history.candle_files.cells import BadCell, RawTable, numbers

__all__ = ["ColumnNames", "column_names", "find_columns", "fold", "listed_names", "no_column"]

ColumnNames = Sequence[str] | Mapping[str, str] | None
"""What a caller says of the columns: their names in order, a mapping from ours to theirs, or nothing."""

_FIELDS: Final = ("time", "open", "high", "low", "close", "volume")
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": (
        "opentime", "time", "timestamp", "datetime", "date", "ts", "t", "unix", "unixtimestamp", "unixtime",
        "starttime", "start", "candletime", "candlebegintime", "gmttime", "dateutc", "timeutc", "index",
    ),
    "open": ("open", "o", "openprice", "priceopen"),
    "high": ("high", "h", "highprice", "pricehigh", "max"),
    "low": ("low", "l", "lowprice", "pricelow", "min"),
    "close": ("close", "c", "closeprice", "priceclose", "last"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "basevol"),
}  # fmt: skip
_BINANCE: Final = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip


def column_names(file: pathlib.Path, table: RawTable, columns: ColumnNames) -> tuple[str, ...]:
    """
    Return the names of a file's columns: as the caller lists them, or as its header does.

    Raises
    ------
    UsageError : a list of names of another length.
    CandleFileError : no list and no header, and not Binance's twelve columns.
    """
    width = len(table.columns)
    listed = listed_names(file, width, columns)
    if listed is not None:
        return listed
    if table.names is not None:
        return table.names
    if width == len(_BINANCE) and _is_binance(table):
        return _BINANCE
    raise CandleFileError(
        str(file),
        f"has no header, and its {width} columns cannot be told apart; say what they are: columns={list(_FIELDS)}",
        line=table.line_of(0),
    )


def listed_names(file: pathlib.Path, width: int, columns: ColumnNames) -> tuple[str, ...] | None:
    """Return the names that the caller lists for ``width`` columns; ``None`` where there is no list."""
    if columns is None or isinstance(columns, Mapping):
        return None
    if isinstance(columns, str):
        raise UsageError(f"columns was {columns!r}; give a list of names: {columns.split(',')!r}")
    if len(columns) != width:
        raise UsageError(f"columns named {len(columns)} columns and {file} has {width}; name each in its order")
    return tuple(columns)


def find_columns(
    file: pathlib.Path, names: Sequence[str], columns: ColumnNames, symbol: str
) -> dict[str, tuple[int, ...]]:
    """
    Return for each of our fields the places of the columns that may be it: several only for time.

    Raises
    ------
    UsageError : ``columns`` has a key that is none of our fields.
    CandleFileError : no column, or more than one, has a name of the field.
    """
    named = dict(columns) if isinstance(columns, Mapping) else {}
    if unknown := sorted(set(named) - set(_FIELDS)):
        raise UsageError(f"columns named {', '.join(unknown)}; its keys are {', '.join(_FIELDS)}")
    folded = [fold(name) for name in names]
    places = {}
    for field in _FIELDS:
        if field == "volume" and field not in named:
            found = _volumes(file, names, folded, symbol)
        else:
            wanted = (fold(named[field]),) if field in named else _ALIASES[field]
            found = tuple(folded.index(alias) for alias in wanted if alias in folded)
        if not found:
            raise no_column(file, named.get(field, field), field, names)
        if folded.count(folded[found[0]]) > 1:
            raise CandleFileError(str(file), f"has more than one column {names[found[0]]!r}; rename one")
        others = tuple(at for at in found[1:] if field == "time" and folded.count(folded[at]) == 1)
        places[field] = (found[0], *others)
    return places


def _volumes(file: pathlib.Path, names: Sequence[str], folded: Sequence[str], symbol: str) -> tuple[int, ...]:
    """Return the column that is the volume in the base currency, and no other: it is never guessed."""
    base = fold(symbol.partition("/")[0])
    known = {*_ALIASES["volume"], *((f"volume{base}", f"vol{base}") if base else ())}
    found = tuple(dict.fromkeys(folded.index(label) for label in folded if label in known))
    if len(found) > 1:
        shown = " or ".join(repr(names[at]) for at in found)
        problem = f"its volume may be {shown}; say which: columns={{'volume': {names[found[0]]!r}}}"
        raise CandleFileError(str(file), problem)
    others = [name for name, label in zip(names, folded, strict=True) if "volume" in label]
    if others and not found:
        of = f" in {symbol.partition('/')[0]}" if base else ""
        shown, say = ", ".join(map(repr, others[:5])), others[0] if len(others) == 1 else "..."
        problem = f"no column is known to be its volume{of} (it has {shown}); say columns={{'volume': {say!r}}}"
        raise CandleFileError(str(file), problem)
    return found


def _is_binance(table: RawTable) -> bool:
    """Tell whether a file of twelve columns is Binance's: the seventh is the last moment of the bar of the first."""
    try:
        opened, closed = (numbers(table.columns[at]) for at in (0, 6))
    except BadCell:
        return False
    return bool(np.all(closed > opened))


def no_column(file: pathlib.Path, wanted: str, field: str, names: Sequence[str]) -> CandleFileError:
    """Return the error for a column that is not there, with the nearest name."""
    close = nearest(wanted, names)
    hint = f"; the nearest is {close[0]!r}" if close else ""
    shown = ", ".join(names[:20])
    say = f"columns={{{field!r}: {close[0] if close else '...'!r}}}"
    return CandleFileError(str(file), f"has no column {wanted!r}; it has {shown}{hint}: say {say}")


def fold(name: str) -> str:
    """Return a name without case, spaces and separators."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
