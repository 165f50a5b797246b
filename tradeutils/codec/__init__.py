"""
Values as bytes, and bytes as values: what the cache stores.

What is plain JSON (None, bool, int of 64 bits, finite float, str, and lists and dicts of these with str keys) is
stored as plain JSON, that other programs read. All else is stored in a form of our own: a head, JSON with tags, and
arrays as their bytes, so that Decimal, datetimes, tuples, sets, NaN, other keys, arrays, frames and the model come
back with their exact types and values. Nothing is ever executed, and there is no pickle.

Kept: None, bool, int of any size, float, complex, str, bytes, bytearray, Decimal, datetime, date, time, timedelta,
timezone, ZoneInfo, list, tuple, set, frozenset, dict; numpy arrays and scalars of numbers, flags, times and text, and
arrays of objects; pandas DataFrame, Series, Index, Timestamp, Timedelta, NaT and NA (not category, period, interval,
sparse and Arrow columns, a freq that its text does not tell in full, such as one with holidays, and the flag that
disallows duplicate labels); and the classes of `tradeutils.model`. Subclasses are not: they would not come back as
such.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import orjson

from tradeutils.codec._blame import blamed
from tradeutils.codec._compression import MAGIC as COMPRESSED
from tradeutils.codec._compression import VERSION as COMPRESSED_VERSION
from tradeutils.codec._compression import Method, check_method, compressed, decompressed, unpacked_size
from tradeutils.codec._decode import Decoder
from tradeutils.codec._encode import Refused, encoded
from tradeutils.codec._layout import MAGIC, VERSION, joined, split
from tradeutils.codec._plain import dump_plain
from tradeutils.errors import CodecError, TradeutilsError, UsageError

__all__ = ["MAX_BYTES", "Method", "check_method", "dumps", "is_known", "loads", "unpacked_size"]

MAX_BYTES: Final = 2**30
"""What `loads` may take at most unless told otherwise: 1 GiB."""

_FIRST: Final = MAGIC[0]

# How JSON begins that is longer than what there is to look at.
_JSON: Final = re.compile(rb"""\s*(\[\s*[\[\]{"\-0-9tfn]|{\s*["}]|"|-?\d[\d.eE+-]*$)""")

# What Python makes of text, in bytes: no more than _WORST for each byte of it, so that small texts need no count;
# a character at most 4, a dict of one entry 240, a list or plain value 64, a decimal or a record of the model 224.
_WORST, _WIDEST, _DICT, _PLAIN, _TAGGED = 128, 4, 240, 64, 224

# All that numpy, pandas, the standard library and the model are known to raise on nonsense. Not Exception: a fault
# of ours should show as what it is.
_NONSENSE: Final = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, NotImplementedError,
    RecursionError, TradeutilsError, TypeError, ValueError,
)  # fmt: skip


def dumps(value: Any, *, compress: Method | None = None, above: int = 4096) -> bytes:
    """
    Return ``value`` as bytes.

    Parameters
    ----------
    value : any value that the module's docstring names as kept, nested up to 64 deep (plain JSON: 254)
    compress : str or None
        ``"zstd"`` (2000 tickers to a fifth, at 2.6 times the time) or ``"lz4"`` (to two fifths, at 2.3 times), where
        it saves at least an eighth. `loads` finds out by itself. Other programs can no longer read what is plain JSON.
    above : int
        Values of fewer bytes than this are not compressed.

    Raises
    ------
    CodecError : something in it is not kept, a field of the model is of another type than the model states, or it
        contains itself; the message says where: ``value["a"][3]``.
    UsageError : there is no such method.

    Notes
    -----
    Plain JSON costs 1.3 to 2.2 times what orjson alone costs, most where it holds nulls or lists. Arrays, candles and
    panels are written at the speed of memory.
    """
    if compress is not None:
        check_method(compress)
        data = _dumped(value)
        return data if len(data) < above else compressed(data, compress)
    return _dumped(value)


def _dumped(value: Any) -> bytes:
    plain = dump_plain(value)
    if plain is not None:
        return plain
    try:
        return joined(*encoded(value))
    except (Refused, RecursionError) as error:
        raise blamed(value, error) from None


def loads(data: bytes | bytearray | memoryview, *, max_bytes: int = MAX_BYTES) -> Any:
    """
    Return the value in ``data``.

    Parameters
    ----------
    data : bytes, bytearray or contiguous memoryview
        From `dumps`, or plain JSON of any origin (in which an int of more than 64 bits reads as a float).
    max_bytes : int
        Refuse data that is longer than this, also when unpacked, whose text would take more than this as Python
        objects, or whose frames would take more than this beside their values (128 bytes a column, 8 a label and code
        of a MultiIndex).

    Returns
    -------
    The value. Arrays are read-only views of ``data``, and so are the columns of candles and panels; what pandas
    holds, and a copy of an array, can be written to.

    Raises
    ------
    CodecError : the bytes are not ours, damaged, from another format version or too many.
    UsageError : ``data`` is not bytes.

    Notes
    -----
    Damage is found by a checksum in all but plain JSON, where it is found only if it is no longer JSON. The fields of
    the model's classes are checked to be of the types that they state (numpy's scalars pass for Python's), not for
    sensible values.
    """
    if data.__class__ is not bytes:
        data = _viewed(data)
    size = len(data)
    if size > max_bytes:
        raise CodecError(f"data has {size} bytes, max_bytes is {max_bytes}; raise it if the data is trusted")
    if size and data[0] == _FIRST and data[:3] == COMPRESSED:
        data = decompressed(data, max_bytes)
        size = len(data)
    try:
        if not size or data[0] != _FIRST:
            if size * _WORST > max_bytes:
                _check_size(data, max_bytes, _PLAIN)
            return orjson.loads(data)
        text, buffers = split(memoryview(data))
        if len(text) * _WORST > max_bytes:
            _check_size(text, max_bytes, _TAGGED)
        decoder = Decoder(buffers, max_bytes)
        value = decoder.decode(orjson.loads(text))
        decoder.finish()
    except CodecError:
        raise
    except _NONSENSE as error:
        raise CodecError(_complaint(data, error)) from error
    return value


def is_known(head: bytes, *, is_whole: bool) -> bool:
    """
    Tell whether bytes look like something that `loads` reads, without reading it.

    Parameters
    ----------
    head : bytes
        How the data begins; 64 bytes are enough.
    is_whole : bool
        Whether that is all of it.

    Returns
    -------
    ``False`` for what `loads` would refuse for its beginning: neither JSON nor ours, or of a newer format version.
    Plain JSON that is whole is checked to its end, everything else only as far as it goes.
    """
    if head[:3] in (MAGIC, COMPRESSED):
        newest = VERSION if head[:3] == MAGIC else COMPRESSED_VERSION
        return len(head) > 3 and 1 <= head[3] <= newest
    if is_whole:
        try:
            orjson.loads(head)
        except orjson.JSONDecodeError:
            return False
        return True
    return _JSON.match(head) is not None


def _viewed(data: Any) -> memoryview:
    """Return anything but plain bytes as a memoryview of bytes."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"data was a {type(data).__name__}; give bytes, bytearray or memoryview")
    try:
        return memoryview(data).cast("B")
    except TypeError as error:
        raise UsageError("data was a memoryview that is not contiguous; give bytes(data)") from error


def _check_size(text: bytes | bytearray | memoryview, max_bytes: int, each: int) -> None:
    """Refuse text whose values, taken for ``each`` bytes, might need more than ``max_bytes``."""
    codes = np.frombuffer(text, np.uint8)
    commas, lists, dicts = (int(np.count_nonzero(codes == ord(mark))) for mark in ",[{")
    taken = len(text) * _WIDEST + (commas + lists) * each + dicts * _DICT
    if taken > max_bytes:
        raise CodecError(f"{len(text)} bytes of text may take {taken} in memory; max_bytes is {max_bytes}")


def _complaint(data: bytes | bytearray | memoryview, error: BaseException) -> str:
    start = bytes(data[:8])
    if start[:1] == b"\x80" and len(start) > 1 and start[1] <= 5:
        return "the bytes are a pickle, which is never read"
    return f"the bytes are not JSON and not ours, or damaged (they begin with {start!r}): {error}"
