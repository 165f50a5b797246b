"""
Values as JSON with tags, and the buffers beside it.

In this text a JSON object is a dict with str keys, and every JSON array begins with a tag, so that nothing that a
user stores can look like a tag: ``["decimal", "0.10"]``, ``["tuple", [1, ["a", 2]]]``. Tag 0 begins a list of values
that may be tagged in turn; tag 1 precedes a list or dict that is plain JSON throughout, which is read back untouched.
"""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import orjson

from tradeutils.codec import _arrays, _moments
from tradeutils.codec._layout import Buffer
from tradeutils.codec._plain import ATOMS, all_finite
from tradeutils.codec._records import COLUMNAR, RECORDS, Record, misfit_of_balance
from tradeutils.errors import DataError
from tradeutils.model import Balance, Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS
from tradeutils.model.info import Info
from tradeutils.model.readonly import ReadOnlyDict

__all__ = ["MAX_DEPTH", "Encoder", "Refused", "encoded"]

MAX_DEPTH: Final = 64
"""How deep values may be nested; orjson writes 254 levels, and one of ours takes up to three."""

_NOT_KEPT: Final = "values of this type are not kept; store what it is made of"
_SHORT: Final = 128  # bytes up to this length go into the text
_NONE: Final = type(None)
_NUMBERS_AND_TEXT: Final = ATOMS | {float}
_UNSAID: Final[tuple[Any, ...]] = (None, None, {}, 0.0, False)  # info, wallet, wallets, age and stale of most balances
_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**64 - 1


class Refused(Exception):
    """A value is not kept; says why, and never leaves the codec."""


def encoded(value: Any) -> tuple[bytes, list[Buffer]]:
    """
    Return the text and the buffers of a value.

    Raises
    ------
    Refused : something in it is not kept.
    """
    encoder = Encoder()
    try:
        return orjson.dumps(encoder.encode(value)), encoder.buffers
    except TypeError:  # an int over 64 bits or a lone surrogate: rare, so looked for only now
        encoder = Encoder(careful=True)
        form = encoder.encode(value)
    try:
        return orjson.dumps(form), encoder.buffers
    except TypeError as error:
        raise Refused(f"JSON cannot hold it: {error}") from error


class Encoder:
    """
    Turns values into JSON with tags.

    Parameters
    ----------
    careful : bool
        Look at each int and str for what JSON cannot hold.
    """

    def __init__(self, *, careful: bool = False) -> None:
        self.buffers: list[Buffer] = []
        self._careful = careful

    def encode(self, value: Any, depth: int = 0) -> Any:
        """Return ``value`` in tagged form; buffers are set aside."""
        kind = type(value)
        if kind in ATOMS:
            return value if not self._careful or self._fits(value) else _odd_atom(value)
        if kind is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if depth > MAX_DEPTH:
            raise Refused(f"it is nested more than {MAX_DEPTH} deep")
        write = _WRITERS.get(kind) or _writer_of(value)
        return write(self, value, depth)

    def sequence(self, values: Collection[Any], depth: int, kinds: set[type] | None = None) -> list[Any]:
        """Return a sequence, whose items are of ``kinds``, in one of the forms that read back as a list."""
        kinds = set(map(type, values)) if kinds is None else kinds
        if self._is_plain(kinds, values):
            return [1, values if type(values) in (list, tuple) else list(values)]
        return self._alike(kinds, values, depth) or [0, *[self.encode(value, depth + 1) for value in values]]

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        """Return a dict: as it is, as keys and values alike in kind, or as keys of any kind and values."""
        if (value and set(map(type, value)) != {str}) or (self._careful and not all(map(self._fits, value))):
            return ["map", self.sequence(list(value), depth), self.sequence(list(value.values()), depth)]
        kinds = set(map(type, value.values()))
        if self._is_plain(kinds, value.values()):
            return [1, value]
        values = self._alike(kinds, value.values(), depth)
        if values is not None:
            return ["dict", list(value), values]
        return {key: self.encode(one, depth + 1) for key, one in value.items()}

    def set_aside(self, buffer: Buffer) -> int:
        """Keep a buffer beside the text and return its number."""
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def _is_plain(self, kinds: set[type], values: Collection[Any]) -> bool:
        if not kinds <= _NUMBERS_AND_TEXT or (float in kinds and not all_finite(values)):
            return False
        return not self._careful or all(map(self._fits, values))

    def _alike(self, kinds: set[type], values: Collection[Any], depth: int) -> list[Any] | None:
        """Return decimals or records of one class in one go: a third of the time of one by one."""
        if Decimal in kinds and kinds <= {Decimal, _NONE}:
            if _NONE not in kinds:
                return ["decimals", list(map(str, values))]
            return ["decimals", [None if value is None else str(value) for value in values]]
        if len(kinds) == 1 and (record := COLUMNAR.get(next(iter(kinds)))):
            return self._columns(record, values, depth)
        return None

    def _columns(self, record: Record, values: Collection[Any], depth: int) -> list[Any]:
        columns = zip(record.names, zip(*map(record.rows, values), strict=True), strict=True)
        told = [(n, c) for n, c in columns if n not in record.optional or c.count(None) < len(c)]
        forms = []
        for name, column in told:
            kinds = set(map(type, column))
            forms.append(self.sequence(column, depth + 1, kinds))
            if (wrong := record.misfit(name, kinds)) is not None:
                raise Refused(wrong)
        return ["records", record.cls.__name__, [name for name, _ in told], forms]

    @staticmethod
    def _fits(value: Any) -> bool:
        """Tell whether JSON holds this str or int."""
        if type(value) is int:
            return _SMALLEST_INT <= value <= _LARGEST_INT
        if type(value) is not str or value.isascii():
            return True
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True


Writer: TypeAlias = Callable[[Encoder, Any, int], Any]


def _odd_atom(value: Any) -> list[Any]:
    if type(value) is int:
        return ["int", hex(value)]
    return ["str", value.encode("utf-8", "surrogatepass").hex()]


def _bytes(tag: str) -> Writer:
    def write(to: Encoder, value: Any, depth: int) -> list[Any]:
        return [tag, value.hex()] if len(value) <= _SHORT else [tag, to.set_aside(bytes(value))]

    return write


def _array(to: Encoder, value: Any, depth: int) -> list[Any]:
    if value.dtype == object:
        return ["objects", list(value.shape), to.sequence(value.ravel().tolist(), depth)]
    if not _arrays.kept_dtype(value.dtype):
        raise Refused(f"dtype {value.dtype} is not kept; convert it with astype")
    dtype, shape, order, raw = _arrays.pack(value)
    return ["array", dtype, shape, order, to.set_aside(raw)]


def _numpy_scalar(to: Encoder, value: Any, depth: int) -> list[Any]:
    if isinstance(value, np.str_):
        return ["numpy.str", to.encode(str.__str__(value))]  # numpy's own str() drops NULs at the end
    if isinstance(value, np.bytes_):
        return ["numpy.bytes", value.hex()]
    if not _arrays.kept_dtype(value.dtype):
        raise Refused(f"dtype {value.dtype} is not kept; convert it with astype")
    return ["numpy", value.dtype.str, value.tobytes().hex()]


def _candles(to: Encoder, value: Candles, depth: int) -> list[Any]:
    rows = len(value)
    _check_names("Candles", value.exchange, value.symbol)
    pad = bytes(-rows % 8 * 8)  # so that each column begins at a multiple of 64
    columns = [piece for name in ("time", *PRICE_FIELDS) for piece in (getattr(value, name), pad)]
    where = (to.encode(value.exchange, depth + 1), to.encode(value.symbol, depth + 1), value.timeframe)
    return ["candles", *where, rows, to.set_aside(b"".join((*columns, value.closed.data)))]


def _check_names(cls_name: str, *names: Any) -> None:
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise Refused(f"its exchange or symbol is a {type(wrong).__name__}; {cls_name} takes str")


def _panel(to: Encoder, value: Panel, depth: int) -> list[Any]:
    columns = [_array(to, getattr(value, name), depth) for name in ("time", *PRICE_FIELDS, "closed")]
    _check_names("Panel", value.exchange, *value.symbols)
    symbols = to.sequence(value.symbols, depth)
    return ["panel", to.encode(value.exchange, depth + 1), symbols, value.timeframe, *columns]


def _balance(to: Encoder, value: Balance, depth: int) -> list[Any]:
    parts: list[Any] = [value.venue, value.account, value.time, dict(value.assets)]
    told = [value.info, value.wallet, dict(value.wallets), value.age, value.stale]
    while told and type(told[-1]) is type(_UNSAID[len(told) - 1]) and told[-1] == _UNSAID[len(told) - 1]:
        told.pop()
    parts += told
    if (wrong := misfit_of_balance(*parts)) is not None:
        raise Refused(wrong)
    return ["balance", *[to.encode(part, depth + 1) for part in parts]]


def _record(to: Encoder, value: Any, depth: int) -> list[Any]:
    record = RECORDS[type(value)]
    told = [(n, v) for n, v in zip(record.names, record.rows(value), strict=True) if v is not None]
    told += [(n, None) for n in record.names if n not in record.optional and getattr(value, n) is None]
    names = [name for name, _ in told]
    for name, one in told:
        if (wrong := record.misfit(name, {type(one)})) is not None:
            raise Refused(wrong)
    return ["record", record.cls.__name__, names, [0, *[to.encode(one, depth + 1) for _, one in told]]]


def _zone(to: Encoder, value: dt.tzinfo, depth: int) -> list[Any]:
    try:
        return ["zone", _moments.zone_parts(value)]
    except TypeError as error:
        raise Refused(str(error)) from error


def _datetime(to: Encoder, value: dt.datetime, depth: int) -> list[Any]:
    try:
        return ["datetime", *_moments.datetime_parts(value)]
    except TypeError as error:
        raise Refused(str(error)) from error


def _time(to: Encoder, value: dt.time, depth: int) -> list[Any]:
    try:
        return ["time", *_moments.time_parts(value)]
    except TypeError as error:
        raise Refused(str(error)) from error


def _pandas(to: Encoder, value: Any, depth: int) -> list[Any]:
    from tradeutils import frames

    try:
        parts = frames.take_apart(value)
    except DataError as error:
        raise Refused(str(error)) from error
    if parts is None:
        raise Refused(_NOT_KEPT)
    recipe, ingredients = parts
    return ["pandas", recipe, [0, *[to.encode(one, depth + 1) for one in ingredients]]]


def _writer_of(value: Any) -> Writer:
    """Return how to write a value whose type is not in the table: a numpy scalar, pandas, or a time zone."""
    if isinstance(value, np.generic):
        return _numpy_scalar
    if type(value).__module__.partition(".")[0] == "pandas":
        return _pandas
    if isinstance(value, dt.tzinfo):
        return _zone
    for base in type(value).__mro__:
        if base in _WRITERS or base in _NUMBERS_AND_TEXT:
            raise Refused(f"it would come back as a plain {base.__name__}; make it one first")
    raise Refused(_NOT_KEPT)


_WRITERS: Final[dict[type, Writer]] = {
    list: Encoder.sequence,
    dict: Encoder.mapping,
    tuple: lambda to, value, depth: ["tuple", to.sequence(value, depth)],
    set: lambda to, value, depth: ["set", to.sequence(value, depth)],
    frozenset: lambda to, value, depth: ["frozenset", to.sequence(value, depth)],
    Decimal: lambda to, value, depth: ["decimal", str(value)],
    bytes: _bytes("bytes"),
    bytearray: _bytes("bytearray"),
    complex: lambda to, value, depth: ["complex", to.encode(value.real), to.encode(value.imag)],
    dt.datetime: _datetime,
    dt.date: lambda to, value, depth: ["date", value.isoformat()],
    dt.time: _time,
    dt.timedelta: lambda to, value, depth: ["timedelta", value.days, value.seconds, value.microseconds],
    dt.timezone: _zone,
    zoneinfo.ZoneInfo: _zone,
    np.ndarray: _array,
    Candles: _candles,
    Panel: _panel,
    Balance: _balance,
    Info: lambda to, value, depth: ["info", to.encode(value.to_dict(), depth + 1)],
    ReadOnlyDict: lambda to, value, depth: ["readonly", to.mapping(dict(value), depth + 1)],
    **dict.fromkeys(RECORDS, _record),
}
