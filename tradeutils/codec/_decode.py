"""JSON with tags and its buffers, as values again. Each tag has one reader; what it is given may be hostile."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import numpy as np

from tradeutils.codec import _arrays, _moments
from tradeutils.codec._records import BALANCE_FIELDS, build, build_one, misfit_of_balance
from tradeutils.errors import CodecError
from tradeutils.model import Balance, Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS, candles_of
from tradeutils.model.info import Info
from tradeutils.model.readonly import ReadOnlyDict

__all__ = ["Decoder"]

_FLOATS: Final = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_HEX_DIGITS: Final = 16
_PANEL_DTYPES: Final[dict[str, type[np.generic]]] = {"time": np.int64, "closed": np.bool_}


class Decoder:
    """
    Turns JSON with tags into values.

    Parameters
    ----------
    buffers : list of memoryview
        What lies beside the text. Each is used once, so that a short text cannot ask for a long one many times.
    room : int
        Bytes that the columns and indexes of all frames together may take beside their values.
    """

    def __init__(self, buffers: list[memoryview], room: int) -> None:
        self._buffers: list[memoryview | None] = list(buffers)
        self._room = room

    def decode(self, form: Any) -> Any:
        """Return the value in tagged form ``form``, which is used up."""
        if form.__class__ is list:
            return _READERS[form[0]](self, *form[1:])
        if form.__class__ is dict:
            for key, one in form.items():
                if one.__class__ is list or one.__class__ is dict:
                    form[key] = self.decode(one)
        return form

    def sequence(self, form: Any) -> list[Any]:
        """Return the list in ``form``."""
        values = self.decode(form)
        if values.__class__ is not list:
            raise CodecError(f"a list was announced, and a {type(values).__name__} found")
        return values

    def take(self, number: Any) -> memoryview:
        """Return a buffer, once."""
        buffer = self._buffers[number] if type(number) is int and number >= 0 else None
        if buffer is None:
            raise CodecError(f"buffer {number!r:.20} is used twice")
        self._buffers[number] = None
        return buffer

    def charge(self, taken: int) -> None:
        """Refuse what would take more than the room that is left."""
        self._room -= taken
        if self._room < 0:
            raise CodecError(
                f"columns and indexes of frames take {-self._room} bytes more than max_bytes; raise it if trusted"
            )

    def finish(self) -> None:
        """Check that every buffer was used."""
        left = sum(buffer is not None for buffer in self._buffers)
        if left:
            raise CodecError(f"{left} buffers belong to no value")


def _bytes(source: Decoder, form: Any) -> bytes:
    return bytes.fromhex(form) if isinstance(form, str) else bytes(source.take(form))


def _float(_: Decoder, form: str) -> float:
    return _FLOATS[form]


def _int(_: Decoder, form: str) -> int:
    return int(form, _HEX_DIGITS)


def _str(_: Decoder, form: str) -> str:
    return bytes.fromhex(form).decode("utf-8", "surrogatepass")


def _complex(source: Decoder, real: Any, imaginary: Any) -> complex:
    return complex(source.decode(real), source.decode(imaginary))


def _decimal(_: Decoder, form: str) -> Decimal:
    if form.__class__ is not str:
        raise CodecError(f"a decimal is written as {form!r:.40}")
    return Decimal(form)


def _decimals(_: Decoder, forms: list[str | None]) -> list[Decimal | None]:
    kinds = set(map(type, forms if forms.__class__ is list else [forms.__class__]))
    if kinds <= {str}:
        return list(map(Decimal, forms))  # type: ignore[arg-type]  # all are str
    if not kinds <= {str, type(None)}:
        raise CodecError("a decimal is written as something else than text")
    return [None if form is None else Decimal(form) for form in forms]


def _map(source: Decoder, keys: Any, values: Any) -> dict[Any, Any]:
    return dict(zip(source.sequence(keys), source.sequence(values), strict=True))


def _dict(source: Decoder, keys: list[str], values: Any) -> dict[str, Any]:
    return dict(zip(keys, source.sequence(values), strict=True))


def _list(source: Decoder, *forms: Any) -> list[Any]:
    return [source.decode(one) if one.__class__ is list or one.__class__ is dict else one for one in forms]


def _array(source: Decoder, dtype: str, shape: list[int], order: str, number: int) -> Any:
    return _arrays.unpack(dtype, shape, order, source.take(number))


def _objects(source: Decoder, shape: list[int], form: Any) -> Any:
    values = source.sequence(form)
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):  # one by one: numpy would take values that are lists for rows
        array[at] = value
    return array.reshape(shape)


def _numpy(_: Decoder, dtype: str, form: str) -> Any:
    return _arrays.scalar(dtype, bytes.fromhex(form))


def _records(source: Decoder, cls_name: str, names: list[str], columns: list[Any]) -> list[Any]:
    plain = [column[:1] == [1] for column in columns]
    return build(cls_name, names, [source.sequence(column) for column in columns], plain)


def _record(source: Decoder, cls_name: str, names: list[str], values: Any) -> Any:
    return build_one(cls_name, names, source.sequence(values))


def _candles(source: Decoder, exchange: Any, symbol: Any, timeframe: str, rows: int, number: int) -> Candles:
    raw = source.take(number)
    stride = rows + -rows % 8
    if len(raw) != 6 * 8 * stride + rows or rows < 0:
        raise CodecError(f"{rows} candles cannot have {len(raw)} bytes")
    words = _arrays.unpack("<i8", [6, stride], "C", raw[: 6 * 8 * stride])
    _, *prices = words.view("<f8")[:, :rows]
    closed = _arrays.unpack("|b1", [rows], "C", raw[6 * 8 * stride :])
    names = _name(source.decode(exchange)), _name(source.decode(symbol))
    return candles_of(*names, timeframe, words[0, :rows], prices, closed)


def _panel(source: Decoder, exchange: Any, symbols: Any, timeframe: str, *columns: Any) -> Panel:
    names = ("time", *PRICE_FIELDS, "closed")
    values = {name: source.decode(column) for name, column in zip(names, columns, strict=True)}
    for name, array in values.items():  # numpy would make numbers of a list of anything, digit by digit
        if not isinstance(array, np.ndarray) or array.dtype != _PANEL_DTYPES.get(name, np.float64):
            raise CodecError(f"{name} of a panel is a {type(array).__name__} of another kind than it must be")
    symbols = tuple(map(_name, source.sequence(symbols)))
    return Panel(exchange=_name(source.decode(exchange)), symbols=symbols, timeframe=timeframe, **values)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise CodecError(f"an exchange or symbol is a {type(value).__name__}")
    return value


def _balance(source: Decoder, *forms: Any) -> Balance:
    parts = [source.decode(form) for form in forms]
    if (wrong := misfit_of_balance(*parts)) is not None:
        raise CodecError(wrong)
    return Balance(**dict(zip(BALANCE_FIELDS, parts, strict=False)))


def _info(source: Decoder, form: Any) -> Info:
    content = source.decode(form)
    if content.__class__ is not dict:
        raise CodecError(f"what a venue sent is a {type(content).__name__}, not a dict")
    return Info(content)


def _readonly(source: Decoder, form: Any) -> ReadOnlyDict[Any, Any]:
    content = source.decode(form)
    if content.__class__ is not dict:
        raise CodecError(f"a read-only dict holds a {type(content).__name__}, not a dict")
    return ReadOnlyDict(content)


def _pandas(source: Decoder, recipe: list[Any], ingredients: Any) -> Any:
    from tradeutils import frames

    return frames.put_together(recipe, source.sequence(ingredients), source.charge)


_READERS: Final[dict[Any, Callable[..., Any]]] = {
    0: _list,
    1: lambda _, plain: plain,
    "tuple": lambda source, form: tuple(source.sequence(form)),
    "set": lambda source, form: set(source.sequence(form)),
    "frozenset": lambda source, form: frozenset(source.sequence(form)),
    "map": _map,
    "dict": _dict,
    "float": _float,
    "int": _int,
    "str": _str,
    "bytes": _bytes,
    "bytearray": lambda source, form: bytearray(_bytes(source, form)),
    "complex": _complex,
    "decimal": _decimal,
    "decimals": _decimals,
    "datetime": lambda _, *parts: _moments.moment(*parts),
    "date": lambda _, text: dt.date.fromisoformat(text),
    "time": lambda _, *parts: _moments.time_of_day(*parts),
    "timedelta": lambda _, days, seconds, micros: dt.timedelta(days, seconds, micros),
    "zone": lambda _, parts: _moments.zone(parts),
    "array": _array,
    "objects": _objects,
    "numpy": _numpy,
    "numpy.str": lambda source, form: np.str_(source.decode(form)),
    "numpy.bytes": lambda _, form: np.bytes_(bytes.fromhex(form)),
    "record": _record,
    "records": _records,
    "candles": _candles,
    "panel": _panel,
    "balance": _balance,
    "info": _info,
    "readonly": _readonly,
    "pandas": _pandas,
}
