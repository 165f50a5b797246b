"""The records of the model: which there are, and many of one kind as columns."""

from __future__ import annotations

import collections
import dataclasses
import types
import typing
from collections.abc import Callable, Collection, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

import numpy as np

from tradeutils.errors import CodecError
from tradeutils.model import (
    AssetBalance,
    AssetValue,
    Balance,
    Bars,
    Fee,
    Fill,
    FundingRate,
    Gap,
    Leg,
    Market,
    OpenInterest,
    Order,
    OrderBook,
    Ticker,
    Trade,
    TradingFee,
    Valuation,
)

__all__ = ["BALANCE_FIELDS", "COLUMNAR", "RECORDS", "Record", "build", "build_one", "misfit_of_balance"]

# What a field of a type may hold beside it: numpy's scalars are what comes out of arrays and frames.
_ALSO: Final[dict[type, tuple[type, ...]]] = {
    int: (int, np.integer),
    float: (float, int, np.floating, np.integer),
    bool: (bool, np.bool_),
}
_drain: Final = collections.deque[Any](maxlen=0).extend


class Record:
    """
    How one class of the model is written.

    Attributes
    ----------
    cls : type
        The class.
    names : tuple of str
        Its fields.
    optional : frozenset of str
        Fields that are ``None`` unless given: left out where all are ``None``.
    rows : callable
        From an instance to the tuple of its fields.
    takes : dict of str to tuple of types
        What each field may hold.
    """

    __slots__ = ("cls", "names", "optional", "rows", "setters", "takes")

    def __init__(self, cls: Any) -> None:
        fields = dataclasses.fields(cls)
        self.cls = cls
        self.names = tuple(field.name for field in fields)
        self.optional = frozenset(field.name for field in fields if field.default is None)
        self.rows: Callable[[Any], tuple[Any, ...]] = attrgetter(*self.names)
        self.setters = {name: getattr(cls, name).__set__ for name in self.names}
        self.takes = {name: _types(hint) for name, hint in typing.get_type_hints(cls).items() if name in self.names}

    def misfit(self, name: str, kinds: Collection[type]) -> str | None:
        """Return what is wrong with values of ``kinds`` in a field; ``None`` where nothing is."""
        takes = self.takes[name]
        wrong = [kind.__name__ for kind in kinds if kind not in takes and not issubclass(kind, takes)]
        if not wrong:
            return None
        allowed = " or ".join(kind.__name__ for kind in takes if kind.__module__ != "numpy" or kind is np.ndarray)
        return f"{self.cls.__name__}.{name} holds {', '.join(sorted(wrong))}; it takes {allowed}"


def _types(hint: Any) -> tuple[type, ...]:
    """Return the types that a field with this annotation may hold."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(kind for one in typing.get_args(hint) for kind in _types(one))
    if origin is typing.Literal:
        return (str,)
    kind = hint if origin is None else origin
    return _ALSO.get(kind, (kind,))


# Frozen and slotted classes whose constructor only stores what it is given (`Info` included), so that columns may be
# stored directly:
# 1000 tickers take 0.4 ms so and 1.4 ms through the constructor.
_OF_ACCOUNTS: Final = (AssetBalance, AssetValue, Fee, Fill, Leg, Order, TradingFee)
_OF_MARKETS: Final = (FundingRate, Gap, Market, OpenInterest, Ticker, Trade)
COLUMNAR: Final[dict[type, Record]] = {cls: Record(cls) for cls in (*_OF_ACCOUNTS, *_OF_MARKETS)}
RECORDS: Final[dict[type, Record]] = {**COLUMNAR, **{cls: Record(cls) for cls in (Bars, OrderBook, Valuation)}}
_BALANCE: Final = Record(Balance)
_BY_NAME: Final = {cls.__name__: record for cls, record in RECORDS.items()}


def build_one(cls_name: str, names: list[str], values: list[Any]) -> Any:
    """Return one record through its constructor."""
    record = _record(cls_name, names)
    given = dict(zip(names, values, strict=True))
    for name, value in given.items():
        if (wrong := record.misfit(name, {type(value)})) is not None:
            raise CodecError(wrong)
    return record.cls(**given)


def build(cls_name: str, names: list[str], columns: Sequence[Sequence[Any]], plain: Sequence[bool]) -> list[Any]:
    """
    Return as many records as the columns have rows; fields that are not named take their default.

    Parameters
    ----------
    cls_name, names : str, list of str
        The class and the fields that are given.
    columns, plain : sequence
        Their values, and for each column whether it came as plain JSON.

    Raises
    ------
    CodecError : no such class or field, no column, a field without default missing, columns of different lengths, or
        a value of another type than its field has.
    """
    record = _record(cls_name, names)
    lengths = set(map(len, columns))
    if len(lengths) != 1 or len(columns) != len(names):
        raise CodecError(f"{cls_name} has {len(names)} fields and {len(columns)} columns of {sorted(lengths)} rows")
    for name, column, is_plain in zip(names, columns, plain, strict=True):
        if not (is_plain and _quickly_fits(column, record.takes[name])):
            wrong = record.misfit(name, set(map(type, column)))
            if wrong is not None:
                raise CodecError(wrong)
    missing = [name for name in record.names if name not in names]
    if record.cls not in COLUMNAR or not record.optional.issuperset(missing):
        rows = zip(*columns, strict=True)
        return [record.cls(**dict(zip(names, row, strict=True))) for row in rows]
    made = list(map(record.cls.__new__, repeat(record.cls, lengths.pop())))
    for name, column in zip(names, columns, strict=True):
        _drain(map(record.setters[name], made, column))
    for name in missing:
        _drain(map(record.setters[name], made, repeat(None)))
    return made


def _record(cls_name: str, names: list[str]) -> Record:
    record = _BY_NAME.get(cls_name)
    if record is None:
        raise CodecError(f"no class of the model is named {cls_name!r:.40}; it was written by another release")
    unknown = [name for name in names if name not in record.setters]
    if unknown or len(set(names)) < len(names):
        raise CodecError(f"{cls_name} has no field {unknown!r:.80}; it was written by another release")
    return record


BALANCE_FIELDS: Final = _BALANCE.names
"""The fields of a balance as they are written: those at the end are left out where they say nothing."""


def misfit_of_balance(*values: Any) -> str | None:
    """Return what is wrong with the first fields of a balance; ``None`` where nothing is."""
    given = dict(zip(_BALANCE.names, values, strict=False))
    if not 4 <= len(values) <= len(_BALANCE.names):
        return f"Balance has {len(_BALANCE.names)} fields, not {len(values)}; it was written by another release"
    told = next(filter(None, (_BALANCE.misfit(name, {type(value)}) for name, value in given.items())), None)
    for name, kind in (("assets", AssetBalance), ("wallets", Balance)):
        parts = given.get(name, {})
        if told is None and not set(map(type, parts.values())) <= {kind}:
            told = f"Balance.{name} holds something else than {kind.__name__}"
        if told is None and not all(isinstance(part, str) for part in parts):
            told = f"Balance.{name} has a key that is not str"
    return told


def _quickly_fits(column: Any, takes: tuple[type, ...]) -> bool:
    """
    Tell whether a column of plain JSON holds what a field takes; it may say no where looking closer says yes.

    What can be summed up or joined is of one kind, which C tells in a fifth of the time of looking at each type.
    """
    try:
        if str in takes:
            "".join(column)
            return True
        if int in takes:
            return type(sum(column)) is int or float in takes
    except TypeError:  # a None, or what does not belong
        pass
    return False
