"""Bytes that are foreign, damaged or made to do harm end in CodecError, and take no more memory than stated."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zlib
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from tradeutils import codec
from tradeutils.errors import CodecError, UsageError
from tradeutils.frames import _parts
from tradeutils.model import Candles

MAGIC = b"\xabTU"


def forged(form: Any, *buffers: bytes, text: bytes | None = None, version: int = 2) -> bytes:
    """Return bytes with a checksum that fits, as one who knows the format would write them."""
    text = orjson.dumps(form) if text is None else text
    lengths = struct.pack(f"<{len(buffers)}Q", *map(len, buffers))
    head = struct.pack("<3sBII", MAGIC, version, len(text), len(buffers))
    checksum = zlib.crc32(text, zlib.crc32(lengths, zlib.crc32(head)))
    data = bytearray()
    for buffer in buffers:
        checksum = zlib.crc32(buffer, checksum)
    data += head + struct.pack("<I", checksum) + lengths + text
    for buffer in buffers:
        data += bytes(-len(data) % 64) + buffer
    return bytes(data)


def test_forged_bytes_are_as_good_as_ours() -> None:
    """The forgeries below are refused for what they say, not for how they are put together."""
    assert codec.loads(forged(["tuple", [1, [1, 2]]])) == (1, 2)
    assert codec.loads(forged(["array", "<f8", [1], "C", 0], np.ones(1).tobytes())).tolist() == [1.0]
    assert codec.dumps((1, 2)) == forged(["tuple", [1, [1, 2]]])


FOREIGN = {
    "nothing": b"",
    "a pickle": pickle.dumps({"a": 1}),
    "an old pickle": pickle.dumps([1], 0),
    "a cut off object": b'{"a":',
    "text": "Grüße".encode(),
    "latin text": b"\xe4",
    "NaN": b"NaN",
    "too large a float": b"1e999",
    "a lone surrogate": b'"\\ud800"',
    "deep lists": b"[" * 100_000,
    "deep lists that end": b"[" * 2000 + b"]" * 2000,
    "two values": b"1 2",
    "numpy's own": b"\x93NUMPY\x01\x00",
    "our first byte, and others": b"\xabcd" + bytes(20),
    "our magic alone": MAGIC,
    "our head without version": MAGIC + b"\x01" + bytes(5),
    "zeros": bytes(64),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """What is not JSON and not ours is an error of one type, whatever it is."""
    with pytest.raises(CodecError):
        codec.loads(data)


def test_pickle_is_named_and_not_executed() -> None:
    """A pickle in the cache does not run; the message says that it was one."""

    class Bomb:
        def __reduce__(self) -> Any:
            return (os._exit, (7,))

    with pytest.raises(CodecError, match="are a pickle, which is never read"):
        codec.loads(pickle.dumps(Bomb()))


def test_another_version_is_named() -> None:
    """A reader that is too old says which version it met."""
    with pytest.raises(CodecError, match="format version 3; this release reads versions 1 to 2"):
        codec.loads(forged(["tuple", [1, []]], version=3))


@pytest.mark.parametrize("data", ["{}", None, 5, [1], np.arange(3)], ids=repr)
def test_what_is_not_bytes_is_a_usage_error(data: Any) -> None:
    """A str or None handed in is the caller's mistake, not damage."""
    with pytest.raises(UsageError, match="give bytes"):
        codec.loads(data)


def test_views_are_read_whatever_they_are_views_of() -> None:
    """A view of other items than bytes, or of several axes, is read as its bytes; one with holes is refused."""
    data = codec.dumps(list(range(10))) + b" " * 3
    for view in (
        memoryview(data),
        memoryview(np.frombuffer(data, "u4")),
        memoryview(np.frombuffer(data, "u1").reshape(2, -1)),
    ):
        assert codec.loads(view) == list(range(10))
    with pytest.raises(UsageError, match="not contiguous"):
        codec.loads(memoryview(data)[::2])


ALLOWED = np.ones(2).tobytes()
# Parts of forged frames: indexes of so many rows, a scalar, times, and what pandas would open as a file of a zone.
NONE, ONE, TWO, HUGE = (["range", 0, rows, 1, None] for rows in (0, 1, 2, 10**10))
NUMBER = ["numpy", "<f8", "0000000000000000"]
ONE_TIME, TWO_TIMES = (["array", "<M8[ms]", [rows], "C", 0] for rows in (1, 2))
FILE = "dateutil//etc/localtime"
FORGED: dict[str, Any] = {
    "unknown tag": ["os.system", "true"],
    "no tag": [],
    "tag of a wrong type": [{"a": 1}],
    "too many arguments": ["decimal", "1", "2"],
    "too few arguments": ["decimal"],
    "a list that is none": ["tuple", [1, {"a": 1}]],
    "a list that is text": ["tuple", "abc"],
    "decimal that is none": ["decimal", "one"],
    "decimal as a number": ["decimal", 0.1],
    "decimal of enormous exponent": ["decimal", "1E+99999999999999999999"],
    "decimals as numbers": ["decimals", [0.1]],
    "decimals as text": ["decimals", "12"],
    "float that is none": ["float", "1e5"],
    "int that is none": ["int", "0xzz"],
    "int as list": ["int", [1]],
    "str of half a character": ["str", "c3"],
    "bytes that are no hex": ["bytes", "0g"],
    "bytes of no buffer": ["bytes", 0],
    "bytes of a negative buffer": ["bytes", -1],
    "bytes of a flag": ["bytes", False],
    "complex of text": ["complex", "1", "2"],
    "map of unequal length": ["map", [1, [1]], [1, []]],
    "map with a list for a key": ["map", [1, [[1]]], [1, [1]]],
    "set of lists": ["set", [1, [[1]]]],
    "dict of unequal length": ["dict", ["a"], [1, []]],
    "datetime that is none": ["datetime", "yesterday"],
    "datetime of month 13": ["datetime", "2026-13-01T00:00:00"],
    "datetime of an unknown zone": ["datetime", "2026-01-01T00:00:00", "Mars/Olympus", 0],
    "datetime of a zone that is a folder": ["datetime", "2026-01-01T00:00:00", "America", 0],
    "datetime of a zone outside": ["datetime", "2026-01-01T00:00:00", "../../../../etc/passwd", 0],
    "datetime of an absolute zone": ["datetime", "2026-01-01T00:00:00", "/etc/localtime", 0],
    "datetime of a zone of bytes": ["datetime", "2026-01-01T00:00:00", "UTC\x00", 0],
    "datetime of an offset of days": ["datetime", "2026-01-01T00:00:00", [10**15], 0],
    "datetime of an offset that overflows": ["datetime", "2026-01-01T00:00:00", [10**18], 0],
    "datetime of an offset in text": ["datetime", "2026-01-01T00:00:00", ["1"], 0],
    "datetime of fold 2": ["datetime", "2026-01-01T00:00:00", 0, 2],
    "zone 1": ["zone", 1],
    "date that is none": ["date", "2026-02-30"],
    "time that is none": ["time", "25:00", None, 0],
    "timedelta that overflows": ["timedelta", 10**12, 0, 0],
    "timedelta of text": ["timedelta", "1", 0, 0],
    "numpy of objects": ["numpy", "|O", "00"],
    "numpy of a wrong size": ["numpy", "<f8", "00"],
    "numpy bytes of a number": ["numpy.bytes", 5],
    "record of no class": ["record", "Unknown", [], [1, []]],
    "record of a private class": ["record", "Record", ["cls"], [1, [1]]],
    "record of an unknown field": ["record", "Ticker", ["symbol", "__class__"], [1, ["a", 1]]],
    "record without its fields": ["record", "Trade", ["symbol"], [1, ["a"]]],
    "record of too many values": ["record", "Ticker", ["symbol"], [1, ["a", 1]]],
    "record that its class refuses": ["record", "OrderBook", ["symbol", "bids", "asks"], [1, ["a", [1], []]]],
    "records of no class": ["records", "Balance", ["venue"], [[1, ["a"]]]],
    "records of no column": ["records", "Ticker", [], []],
    "records of unequal columns": ["records", "Ticker", ["symbol", "time"], [[1, ["a"]], [1, [1, 2]]]],
    "records of more columns than names": ["records", "Ticker", ["symbol"], [[1, ["a"]], [1, [1]]]],
    "records without a field": ["records", "Trade", ["symbol"], [[1, ["a"]]]],
    "records of a field twice": ["records", "Ticker", ["symbol", "symbol"], [[1, ["a"]], [1, ["b"]]]],
    "records of an unknown field": ["records", "Ticker", ["symbol", "mid"], [[1, ["a"]], [1, [1]]]],
    "balance of a list": ["balance", "a", None, 1, [1, [1]]],
    "balance of too little": ["balance", "a"],
    "candles of no buffer": ["candles", "a", "b", "1m", 1, 0],
    "objects of another shape": ["objects", [3], [1, [1]]],
    "objects of a huge shape": ["objects", [2**62, 2**62], [1, [1]]],
    "pandas of nothing": ["pandas", ["nothing"], [1, []]],
    "pandas recipe that is text": ["pandas", "frame", [1, []]],
    "frame without its arrays": ["pandas", ["frame", ONE, ONE, [[None, 0]], None], [1, []]],
    "frame of a number repeated": ["pandas", ["frame", HUGE, ONE, [[None, 0]], None], [0, NUMBER]],
    "frame of columns that are missing": ["pandas", ["frame", ONE, TWO, [], None], [1, []]],
    "series of a number repeated": ["pandas", ["series", HUGE, 0, None, None], [0, NUMBER]],
    "series of text repeated": ["pandas", ["series", HUGE, 0, None, None], [1, ["x"]]],
    "index of no kind": ["pandas", ["index", ["tree"]], [1, []]],
    "index of a column of no kind": ["pandas", ["index", ["array", ["tree"], None, None]], [1, []]],
    "index of unhashable labels": ["pandas", ["index", ["labels", None, False, 0, None]], [1, [[[]]]]],
    "labels of text": ["pandas", ["index", ["labels", None, False, 0, None]], [1, ["abc"]]],
    "labels of unknown storage": ["pandas", ["index", ["labels", "disk", False, 0, None]], [1, [["a"]]]],
    "levels that do not fit": ["pandas", ["index", ["levels", [TWO], [0], None]], [1, [[0]]]],
    "timestamp of a file": ["pandas", ["timestamp", "ms", 5, 0], [1, [FILE]]],
    "timestamp out of bounds": ["pandas", ["timestamp", "Y", 10**17, None], [1, []]],
    "timedelta out of bounds": ["pandas", ["timedelta", "W", 10**18, None], [1, []]],
    "levels of codes of an endless number": ["pandas", ["index", ["levels", [TWO], [0], 1]],
                                             [0, ["decimal", "1E+1000000"], [1, [None]]]],
    "levels of names in text": ["pandas", ["index", ["levels", [], [], 0]], [1, ["ab"]]],
    "levels of nothing": ["pandas", ["index", ["levels", [], [], 0]], [1, [[]]]],
    "labels of numbers": ["pandas", ["index", ["labels", None, False, 0, None]], [1, [[1]]]],
    "labels of text of numpy": ["pandas", ["index", ["labels", None, False, 0, None]],
                                [0, [0, ["numpy.str", "a"]]]],
    "labels of a choice that is 1": ["pandas", ["index", ["labels", "python", 1, 0, None]], [1, [["a"]]]],
    "text of decimals": ["pandas", ["series", ONE, ["text", "python", True, 0], None, None], [0, ["decimals", ["1"]]]],
    "range of flags": ["pandas", ["index", ["range", False, True, True, None]], [1, []]],
    "range of text": ["pandas", ["index", ["range", "0", "1", "1", None]], [1, []]],
    "range over 64 bits": ["pandas", ["index", ["range", 0, 2**64 - 1, 1, None]], [1, []]],
    "range too long": ["pandas", ["index", ["range", -(2**63), 2**63 - 1, 1, None]], [1, []]],
    "range without step": ["pandas", ["index", ["range", 0, 1, 0, None]], [1, []]],
    "freq of a range of objects": ["pandas", ["index", ["array", 0, None, "D"]], [0, ["objects", [1], [1, ["a"]]]]],
    "times of decimals": ["pandas", ["index", ["array", ["zone", 0, 1], None, None]],
                          [0, ["objects", [1], ["decimals", ["1E+1000000"]]], ["zone", 0]]],
    "masked decimals": ["pandas", ["series", ONE, ["masked", 0, 1], None, None],
                        [0, ["objects", [1], ["decimals", ["1"]]], ["objects", [1], [1, [False]]]]],
    "a part used twice": ["pandas", ["index", ["array", 0, 0, None]], [0, ["objects", [1], [1, ["a"]]]]],
    "a part of a negative number": ["pandas", ["index", ["array", -1, None, None]], [0, ["objects", [1], [1, ["a"]]]]],
    "attrs of a list": ["pandas", ["frame", NONE, NONE, [], 0], [1, [[["a", 1]]]]],
    "timestamp of text": ["pandas", ["timestamp", "ms", "5", None], [1, []]],
    "timestamp of years": ["pandas", ["timestamp", "Y", 5, None], [1, []]],
    "records with a time in text": ["records", "Ticker", ["symbol", "time"], [[1, ["a"]], [1, ["yesterday"]]]],
    "records with a time in fractions": ["records", "Ticker", ["symbol", "time"], [[1, ["a"]], [1, [0.5]]]],
    "records with a price in text": ["records", "Ticker", ["symbol", "last"], [[1, ["a", "b"]], [1, [0.5, "1"]]]],
    "records with a price as a dict": ["records", "Ticker", ["symbol", "last"], [[1, ["a", "b"]], [1, [None, {}]]]],
    "records with money as float": ["records", "Order", ["symbol", "price"], [[1, ["a"]], [1, [0.5]]]],
    "records without a symbol": ["records", "Ticker", ["symbol"], [[1, [None]]]],
    "record with a time in text": ["record", "Ticker", ["symbol", "time"], [1, ["a", "yesterday"]]],
    "book of lists": ["record", "OrderBook", ["symbol", "bids", "asks"], [1, ["a", [[1, 2]], []]]],
    "balance of numbers": ["balance", "a", None, 1, [1, {"BTC": 1}]],
    "balance of a time in text": ["balance", "a", None, "1", [1, {}]],
    "balance of an asset without name": [
        "balance", "a", None, 1, ["map", [1, [1]], ["records", "AssetBalance", ["free"], [["decimals", ["1"]]]]],
    ],
    "panel of a decimal": ["panel", "a", [1, []], "1m", ["decimals", ["1E+1000000"]], *[[1, []]] * 6],
    "missing of no kind": ["pandas", ["missing", "nan"], [1, []]],
}  # fmt: skip


@pytest.mark.parametrize("form", FORGED.values(), ids=FORGED)
def test_forged_text_is_refused(form: Any) -> None:
    """Each reader refuses what it was not written for, at the top and deep inside."""
    for hidden in (form, {"a": [0, {"b": form}]}):
        with pytest.raises(CodecError):
            codec.loads(forged(hidden))


FORGED_BUFFERS: dict[str, tuple[Any, list[bytes]]] = {
    "objects": (["array", "|O", [2], "C", 0], [ALLOWED]),
    "a structured dtype": (["array", "[('a','<f8')]", [2], "C", 0], [ALLOWED]),
    "void": (["array", "|V8", [2], "C", 0], [ALLOWED]),
    "long double": (["array", "<f16", [1], "C", 0], [ALLOWED]),
    "dtype of a wrong type": (["array", 5, [2], "C", 0], [ALLOWED]),
    "unhashable dtype": (["array", [], [2], "C", 0], [ALLOWED]),
    "text without width": (["array", "<U0", [2], "C", 0], [b""]),
    "text of a huge width": (["array", "<U999999999", [1], "C", 0], [ALLOWED]),
    "a shape too large": (["array", "<f8", [3], "C", 0], [ALLOWED]),
    "a shape that overflows": (["array", "<f8", [2**61, 2**4], "C", 0], [ALLOWED]),
    "a shape of 2**64 + 2": (["array", "<f8", [2**63, 2, 1], "C", 0], [ALLOWED]),
    "a negative shape": (["array", "<f8", [-2, -1], "C", 0], [ALLOWED]),
    "a shape of floats": (["array", "<f8", [2.0], "C", 0], [ALLOWED]),
    "a shape of flags": (["array", "<f8", [True, 2], "C", 0], [ALLOWED]),
    "a shape of text": (["array", "<f8", "ab", "C", 0], [ALLOWED]),
    "a shape of 70 axes": (["array", "<f8", [1] * 70 + [2], "C", 0], [ALLOWED]),
    "an empty shape of 2**60": (["array", "<f8", [0, 2**60, 2**60], "C", 0], [b""]),
    "another order": (["array", "<f8", [2], "A", 0], [ALLOWED]),
    "flags of 2": (["array", "|b1", [2], "C", 0], [b"\x01\x02"]),
    "characters beyond Unicode": (["array", "<U1", [1], "C", 0], [b"\xff\xff\xff\xff"]),
    "a buffer used twice": ([0, ["bytes", 0], ["bytes", 0]], [b"x" * 200]),
    "a buffer not used": (["bytes", 0], [b"x", b"y"]),
    "candles of too few bytes": (["candles", "a", "b", "1m", 1, 0], [bytes(64)]),
    "candles of negative rows": (["candles", "a", "b", "1m", -8, 0], [b""]),
    "candles of rows in text": (["candles", "a", "b", "1m", "1", 0], [bytes(6 * 64 + 1)]),
    "candles of a list of rows": (["candles", "a", "b", "1m", [1], 0], [bytes(6 * 64 + 1)]),
    "candles of no timeframe": (["candles", "a", "b", "7q", 1, 0], [bytes(6 * 64 + 1)]),
    "candles that do not rise": (["candles", "a", "b", "1m", 2, 0], [bytes(6 * 64 + 2)]),
    "candles with flags of 9": (["candles", "a", "b", "1m", 1, 0], [bytes(6 * 64) + b"\x09"]),
    "panel of one column": (["panel", "a", [1, ["x"]], "1m", ["array", "<i8", [1], "C", 0]], [bytes(8)]),
    "candles of a symbol that is a number": (["candles", "a", 1, "1m", 0, 0], [b""]),
    "levels of codes of two axes": (
        ["pandas", ["index", ["levels", [TWO], [0], 1]], [0, ["array", "|i1", [1, 1], "C", 0], [1, [None]]]],
        [b"\x00"],
    ),
    "levels of codes that are flags": (
        ["pandas", ["index", ["levels", [TWO], [0], 1]], [0, ["array", "|b1", [1], "C", 0], [1, [None]]]],
        [b"\x00"],
    ),
    "levels of codes beyond the level": (
        ["pandas", ["index", ["levels", [TWO], [0], 1]], [0, ["array", "<i8", [1], "C", 0], [1, [None]]]],
        [np.array([256]).tobytes()],
    ),
    "levels of levels": (
        ["pandas", ["index", ["levels", [["levels", [TWO], [0], 1]], [2], 3]],
         [0, ["array", "|i1", [1], "C", 0], [1, [None]], ["array", "|i1", [1], "C", 1], [1, [None]]]],
        [b"\x00", b"\x00"],
    ),
    "times in a unit that pandas has not": (
        ["pandas", ["index", ["array", 0, None, None]], [0, ["array", "<M8[D]", [1], "C", 0]]],
        [bytes(8)],
    ),
    "an index of text of fixed width": (
        ["pandas", ["index", ["array", 0, None, None]], [0, ["array", "<U1", [1], "C", 0]]],
        [b"a\x00\x00\x00"],
    ),
    "a freq of endless length": (
        ["pandas", ["index", ["array", 0, None, "1" * 5000 + "D"]], [0, TWO_TIMES]],
        [np.array([1, 5]).tobytes()],
    ),
    "a freq of numbers": (
        ["pandas", ["index", ["array", 0, None, "D"]], [0, ["array", "<f8", [1], "C", 0]]],
        [bytes(8)],
    ),
    "one array for two columns": (
        ["pandas", ["frame", ONE, TWO, [[[0], 0], [[1], 0]], None], [0, ["array", "<f8", [1], "C", 0]]],
        [bytes(8)],
    ),
    "a time zone that is a path": (
        ["pandas", ["index", ["array", ["zone", 0, 1], None, None]], [0, ONE_TIME, FILE]],
        [bytes(8)],
    ),
    "a freq that does not hold": (
        ["pandas", ["index", ["array", 0, None, "D"]], [0, TWO_TIMES]],
        [np.array([1, 5]).tobytes()],
    ),
    "a freq of code": (
        ["pandas", ["index", ["array", 0, None, "__import__('os')"]], [0, TWO_TIMES]],
        [np.array([1, 5]).tobytes()],
    ),
    "a masked column of two axes": (
        ["pandas", ["series", ONE, ["masked", 0, 1], None, None],
         [0, ["array", "<i8", [1, 1], "C", 0], ["array", "|b1", [1, 1], "C", 1]]],
        [bytes(8), bytes(1)],
    ),
    "a frame with a column of text of fixed width": (
        ["pandas", ["frame", ONE, ONE, [[[0], 0]], None], [0, ["array", "<U1", [1], "C", 0]]],
        [b"a\x00\x00\x00"],
    ),
    "a frame with a block of another length": (
        ["pandas", ["frame", HUGE, ONE, [[[0], 0]], None], [0, ["array", "<f8", [1, 1], "C", 0]]],
        [bytes(8)],
    ),
    "a frame with a column of another length": (
        ["pandas", ["frame", TWO, ONE, [[[0], ["masked", 0, 1]]], None],
         [0, ["array", "<i8", [1], "C", 0], ["array", "|b1", [1], "C", 1]]],
        [bytes(8), bytes(1)],
    ),
    "a frame with one block for two places": (
        ["pandas", ["frame", ONE, TWO, [[[0, 1], 0]], None], [0, ["array", "<f8", [1, 1], "C", 0]]],
        [bytes(8)],
    ),
    "a frame with two columns at one place": (
        ["pandas", ["frame", ONE, TWO, [[[0, 0], 0]], None], [0, ["array", "<f8", [2, 1], "C", 0]]],
        [bytes(16)],
    ),
    "a frame with a column at no place": (
        ["pandas", ["frame", ONE, ONE, [[["x"], 0]], None], [0, ["array", "<f8", [1], "C", 0]]],
        [bytes(8)],
    ),
    "a frame with columns in disorder": (
        ["pandas", ["frame", ONE, TWO, [[[1, 0], 0]], None], [0, ["array", "<f8", [2, 1], "C", 0]]],
        [bytes(16)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("form", "buffers"), FORGED_BUFFERS.values(), ids=FORGED_BUFFERS)
def test_forged_buffers_are_refused(form: Any, buffers: list[bytes]) -> None:
    """A dtype, shape or length that does not fit the bytes at hand is refused before memory is taken."""
    with pytest.raises(CodecError):
        codec.loads(forged(form, *buffers))


def test_head_that_announces_more_than_there_is_is_refused() -> None:
    """Lengths are checked against the data before they are believed."""
    for text_length, count in ((2**32 - 1, 0), (2, 2**32 - 1), (2, 1), (1, 0), (3, 0)):
        head = struct.pack("<3sBII", MAGIC, 1, text_length, count)
        with pytest.raises(CodecError):
            codec.loads(head + struct.pack("<I", 0) + b"[]")
    lengths = struct.pack("<2Q", 2**64 - 1, 2**64 - 1)
    with pytest.raises(CodecError, match="announces"):
        codec.loads(struct.pack("<3sBIII", MAGIC, 1, 2, 2, 0) + lengths + b"[]")


@pytest.mark.parametrize(
    "form", [{"a": (1, 2)}, np.arange(5000.0), [np.arange(10.0), b"x" * 1000]], ids=["text", "large", "small"]
)
def test_every_changed_byte_is_found(form: Any) -> None:
    """A single byte changed anywhere but in the padding makes the checksum fail."""
    data = codec.dumps(form)
    used = {at for at in range(len(data)) if at < 400 or at % 97 == 0 or at > len(data) - 50}
    for at in sorted(used):
        damaged = bytearray(data)
        damaged[at] ^= 0x41
        try:
            read = codec.loads(bytes(damaged))
        except CodecError:
            continue
        assert data[at] == 0, at  # padding says nothing
        assert repr(read) == repr(form)


def test_every_cut_is_found() -> None:
    """Bytes cut off at any place, or with more behind, are refused."""
    data = codec.dumps({"a": np.arange(20.0), "b": (1, b"x" * 300)})
    for end in range(len(data)):
        with pytest.raises(CodecError):
            codec.loads(data[:end])
    with pytest.raises(CodecError):
        codec.loads(data + b"\x00")


def test_data_over_the_cap_is_refused() -> None:
    """The cap holds for the data itself, whatever it is."""
    for value in ("x" * 1000, np.arange(200.0), (b"x" * 1000,)):
        data = codec.dumps(value)
        with pytest.raises(CodecError, match="max_bytes is 999"):
            codec.loads(data, max_bytes=999)
    assert codec.loads(codec.dumps(np.arange(200.0)), max_bytes=20_000).shape == (200,)


DENSE = {
    "dicts": b"[" + b"{}," * 30_000 + b"{}]",
    "lists": b"[" + b"[]," * 30_000 + b"[]]",
    "floats": b"[" + b"0.1," * 30_000 + b"1]",
    "wide text": b'["' + b"x" * 100_000 + '\U0001f600"]'.encode(),
    "nested": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "decimals": forged(["decimals", ["1"] * 30_000]),
    "tickers": forged(["records", "Ticker", ["symbol"], [[1, [""] * 30_000]]]),
    "orders": forged(["records", "Order", ["symbol"], [[1, [""] * 30_000]]]),
    "tuples": forged([0, *[["tuple", [1, []]]] * 10_000]),
    "sets": forged([0, *[["set", [1, [1]]]] * 10_000]),
    "arrays": forged([0, *[["array", "<f8", [1], "C", i] for i in range(300)]], *[bytes(8)] * 300),
    "frames": forged([0, *[["pandas", ["frame", NONE, NONE, [], None], [0]]] * 500]),
}


@pytest.mark.parametrize("data", DENSE.values(), ids=DENSE)
def test_memory_stays_under_the_cap(data: bytes) -> None:
    """Short text that stands for many objects is refused, or takes no more than the cap: measured."""
    for cap in (len(data) * 4, len(data) * 20, len(data) * 60, len(data) * 300):
        tracemalloc.start()
        try:
            codec.loads(data, max_bytes=cap)
        except CodecError as error:
            assert "max_bytes" in str(error)  # noqa: PT017  # the case without an error counts too
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= cap + 100_000  # what the machinery itself takes
    codec.loads(data)


MILLIONS = ["range", 0, 20_000_000, 1, None]
WIDE: dict[str, tuple[Any, list[bytes]]] = {
    "columns of nothing": (["pandas", ["frame", NONE, MILLIONS, [], None], [0]], []),
    "columns without rows": (
        ["pandas", ["frame", NONE, MILLIONS, [[None, 0]], None], [0, ["array", "<f8", [20_000_000, 0], "C", 0]]],
        [b""],
    ),
    "a level": (
        ["pandas", ["index", ["levels", [HUGE], [0], 1]], [0, ["array", "|i1", [1], "C", 0], [1, [None]]]],
        [b"\x00"],
    ),
    "columns with another block": (
        ["pandas", ["frame", NONE, MILLIONS, [[None, 0]], None], [0, ["array", "<f8", [0, 0], "C", 0]]],
        [b""],
    ),
}


@pytest.mark.parametrize(("form", "buffers"), WIDE.values(), ids=WIDE)
def test_columns_that_a_short_text_names_take_no_memory(form: Any, buffers: list[bytes]) -> None:
    """A hundred bytes that name 20 million columns are refused before any list of them is made: measured."""
    data = forged(form, *buffers)
    codec.loads(codec.dumps(pd.DataFrame()))  # imports
    tracemalloc.start()
    with pytest.raises(CodecError, match="more than max_bytes"):
        codec.loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_columns_of_many_frames_share_the_cap() -> None:
    """Frames without rows whose columns fit the cap one by one do not fit it together."""
    columns = ["range", 0, 5000, 1, None]
    forms = []
    for at in range(4):
        array = ["array", "<f8", [5000, 0], "C", at]
        forms.append(["pandas", ["frame", NONE, columns, [[None, 0]], None], [0, array]])
    assert codec.loads(forged(forms[0], b""), max_bytes=1_000_000).shape == (0, 5000)
    with pytest.raises(CodecError, match="more than max_bytes"):
        codec.loads(forged([0, *forms], *[b""] * 4), max_bytes=1_000_000)


def test_rows_that_no_column_has_take_no_memory() -> None:
    """A range of any length is an index, of a frame or by itself, and no list is made of it: measured."""
    datas = [
        forged(["pandas", ["index", HUGE], [1, []]]),
        forged(["pandas", ["frame", HUGE, NONE, [], None], [1, []]]),
    ]
    codec.loads(codec.dumps(pd.DataFrame()))  # imports
    tracemalloc.start()
    lengths = [len(codec.loads(data)) for data in datas]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == [10**10, 10**10]
    assert peak < 1_000_000


def test_hostile_labels_are_not_handed_to_later_frames() -> None:
    """Labels are kept from one frame to the next: numpy's text is refused, and long ones are not kept."""
    form = ["pandas", ["index", ["labels", None, False, 0, None]], [0, [0, ["numpy.str", "close"]]]]
    with pytest.raises(CodecError, match="not all text"):
        codec.loads(forged(form))
    honest = codec.loads(codec.dumps(pd.Index(["close"], dtype=object)))
    assert type(honest[0]) is str
    kept = _parts._labels.cache_info().currsize
    long = pd.Index(["x" * 20_000], dtype=object)
    assert codec.loads(codec.dumps(long)).equals(long)
    assert _parts._labels.cache_info().currsize == kept


def test_decoding_executes_nothing_and_imports_no_pandas() -> None:
    """A process that reads every kind of bytes but frames has imported nothing for it."""
    script = """
import sys
from tradeutils import codec
before = set(sys.modules)
for line in sys.stdin.buffer.read().split(b"\\n---\\n"):
    try:
        codec.loads(line)
    except codec.CodecError:
        pass
print(sorted(set(sys.modules) - before - {"_strptime", "zoneinfo"}))
"""
    forms = [form for name, form in FORGED.items() if form and form[0] != "pandas" and "zone" not in name]
    data = b"\n---\n".join([*FOREIGN.values(), *map(forged, forms)])
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True)
    assert done.stdout.strip() == b"[]", done.stdout


def test_frames_can_be_written_to() -> None:
    """A frame out of the cache is the caller's own: it is worked on further."""
    frame = codec.loads(codec.dumps(pd.DataFrame({"a": [1.0, 2.0], "b": [True, False]})))
    frame.loc[0, "a"] = 5.0
    frame["b"] = ~frame["b"]
    assert frame.to_dict("list") == {"a": [5.0, 2.0], "b": [False, True]}


def test_candles_cannot_be_written_to() -> None:
    """Candles out of the cache are frozen as any others."""
    rows = [[60_000 * i, 1, 1, 1, 1, 1] for i in range(3)]
    read = codec.loads(codec.dumps(Candles.from_rows(rows, timeframe="1m")))
    with pytest.raises(ValueError, match="read-only"):
        read.close[0] = 5.0
