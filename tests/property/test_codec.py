"""What is put together from what is kept comes back; what is done to the bytes ends in a value or CodecError."""

from __future__ import annotations

import datetime as dt
import math
import struct
import zlib
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from equality import same
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tradeutils import codec
from tradeutils.errors import CodecError
from tradeutils.model import AssetBalance, Balance, Candles, Gap, Market, Order, OrderBook, Panel, Ticker, Trade

QUICK = settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))

zones = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.sampled_from(["UTC", "Europe/Amsterdam", "Asia/Kolkata", "America/Argentina/Buenos_Aires"]).map(
        zoneinfo.ZoneInfo
    ),
    st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(dt.timezone),
)
texts = st.text(st.characters(exclude_categories=[])) | st.sampled_from(["null", "[", '"', "\ud800", "decimal"])
decimals = st.decimals() | st.decimals(places=8, allow_nan=False, allow_infinity=False)
quiet = decimals.filter(lambda number: not number.is_snan())  # a signalling NaN cannot be compared or hashed
dtypes = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(endianness="?"), hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)), hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.datetime64_dtypes(), hnp.timedelta64_dtypes(), hnp.unicode_string_dtypes(min_len=1, max_len=5),
    hnp.byte_string_dtypes(min_len=1, max_len=5),
)  # fmt: skip
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)
moments = st.integers(0, 4 * 10**12)


@st.composite
def candles(draw: st.DrawFn) -> Candles:
    """Candles of up to 20 bars, NaN and infinities among them."""
    time = sorted(draw(st.sets(moments, max_size=20)))
    columns = draw(hnp.arrays(np.float64, (5, len(time))))
    closed = draw(hnp.arrays(np.bool_, len(time)))
    names = ("open", "high", "low", "close", "volume")
    where = {"exchange": draw(texts), "symbol": draw(texts), "timeframe": draw(st.sampled_from(["1m", "1h", "1M"]))}
    return Candles(**where, time=np.array(time, np.int64), closed=closed, **dict(zip(names, columns, strict=True)))


money = st.none() | decimals
number = st.none() | st.floats()
records = st.one_of(
    st.builds(Ticker, symbol=texts, time=st.none() | st.integers(), last=number, bid=number, base_volume=number),
    st.builds(Trade, symbol=texts, id=st.none() | texts, time=moments, price=st.floats(), amount=st.floats()),
    st.builds(Market, symbol=texts, id=texts, base=texts, quote=texts, amount_step=money, maker=money),
    st.builds(Order, symbol=texts, price=money, filled=money, post_only=st.none() | st.booleans()),
    st.builds(AssetBalance, free=decimals, debt=decimals),
    st.builds(Gap, moments, moments, moments),
)
models = st.one_of(
    records,
    st.builds(OrderBook, symbol=texts, bids=hnp.arrays(np.float64, (3, 2)), asks=hnp.arrays(np.float64, (0, 2))),
    st.builds(Balance, venue=texts, account=st.none() | texts, time=st.none() | moments,
              assets=st.dictionaries(texts, st.builds(AssetBalance, total=decimals), max_size=4)),
    candles(),
    candles().map(lambda one: Panel.from_candles({"A": one, "B": one[::2], "C": one[1:]})),
)  # fmt: skip
columns = st.one_of(
    *[hnp.arrays(dtype, 3).map(pd.Series) for dtype in ("f8", "i4", "u1", "?", "c16", "M8[ms]", "m8[ns]")],
    st.lists(st.none() | st.text(), min_size=3, max_size=3).map(lambda v: pd.Series(v, dtype="str")),
    st.lists(st.none() | quiet | texts, min_size=3, max_size=3).map(lambda v: pd.Series(v, dtype=object)),
    st.lists(st.none() | st.integers(-100, 100), min_size=3, max_size=3).map(lambda v: pd.Series(v, dtype="Int16")),
)
labels = st.one_of(st.text(), st.integers(0, 5), st.tuples(st.text(), st.integers(0, 5)))


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Frames of three rows and up to six columns of any kind, on indexes of several kinds."""
    made = pd.concat(draw(st.lists(columns, min_size=1, max_size=6)), axis=1)
    made.columns = pd.Index(draw(st.lists(labels, min_size=made.shape[1], max_size=made.shape[1])), tupleize_cols=False)
    kind = draw(st.sampled_from(["range", "times", "text", "levels"]))
    if kind == "times":
        made.index = pd.date_range(
            "2026-03-29", periods=3, freq="h", tz=draw(st.sampled_from([None, "UTC", "Europe/Paris"]))
        )
    elif kind == "text":
        made.index = pd.Index(draw(st.lists(st.text(), min_size=3, max_size=3)), name=draw(st.none() | st.text()))
    elif kind == "levels":
        made.index = pd.MultiIndex.from_arrays([draw(st.lists(st.integers(0, 2), min_size=3, max_size=3)), list("abc")])
    return made


atoms = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**200), 2**200), st.floats(), st.complex_numbers(), texts,
    st.binary(max_size=300), st.binary(max_size=300).map(bytearray), decimals, st.datetimes(timezones=zones),
    st.datetimes(timezones=zones).map(lambda d: d.replace(fold=1)), st.dates(), st.times(timezones=zones),
    st.timedeltas(), zones, models, arrays, arrays.filter(lambda a: a.size > 0).map(lambda a: a.ravel()[0]), frames(),
    hnp.arrays(object, 3, elements=decimals | texts),
)  # fmt: skip
keys = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary(max_size=5), st.dates(),
        quiet,
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple), st.dictionaries(texts, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=3), st.sets(keys, max_size=3), st.frozensets(keys, max_size=3),
        st.lists(records, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


@given(values)
@QUICK
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    """Of every type, nested in any way."""
    assert same(codec.loads(codec.dumps(value)), value)


@given(plain)
@QUICK
def test_plain_values_are_plain_json(value: Any) -> None:
    """JSON-shaped values are stored as orjson writes them, whatever their text looks like."""
    assert codec.dumps(value) == orjson.dumps(value)
    assert same(codec.loads(codec.dumps(value)), value)


@given(plain, st.sampled_from([math.nan, -math.inf, (), (1,), b"", 2**64, Decimal(1)]), st.integers(0, 50))
@QUICK
def test_what_json_would_change_is_found_anywhere(value: Any, odd: Any, at: int) -> None:
    """A NaN or tuple put anywhere into a plain value is neither lost nor changed."""
    places: list[tuple[Any, Any]] = []

    def visit(box: Any) -> None:
        for key, one in box.items() if isinstance(box, dict) else enumerate(box):
            places.append((box, key))
            if isinstance(one, dict | list):
                visit(one)

    root = [value]
    visit(root)
    box, key = places[at % len(places)]
    box[key] = odd
    assert same(codec.loads(codec.dumps(root)), root)


@given(arrays, st.sampled_from(["C", "F", "reversed", "strided", "read-only"]))
@QUICK
def test_any_array_comes_back_whatever_its_layout(array: np.ndarray[Any, Any], layout: str) -> None:
    """Dtype, shape and bits survive from any order and any strides."""
    if layout == "F":
        array = np.asfortranarray(array)
    elif layout == "reversed":
        array = array[..., ::-1] if array.ndim else array
    elif layout == "strided":
        array = array[::2] if array.ndim else array
    elif layout == "read-only":
        array.flags.writeable = False
    read = codec.loads(codec.dumps(array))
    assert same(read, array)
    assert not read.flags.writeable


@given(st.binary(max_size=200))
@example(b"\xabTU\x01" + bytes(12))
@settings(deadline=None, max_examples=400)
def test_random_bytes_give_a_value_or_a_codec_error(data: bytes) -> None:
    """Nothing but CodecError comes out of noise, with our magic before it or not."""
    for noise in (data, b"\xabTU" + data, b"\xabTU\x01" + data):
        decode(noise)


ENCODED = [
    codec.dumps(value)
    for value in (
        {"a": [1, 2.5, None, "x"]},
        {"a": Decimal("1.10"), (1, 2): {3, 4}, "t": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)},
        np.arange(40.0).reshape(5, 8).T,
        {"a": np.array(["x", "yé"]), "b": np.array([True, False]), "c": np.datetime64("2026-01-01"), "d": b"x" * 200},
        Candles.from_rows([[60_000 * i, 1, 2, 0.5, 1.5, 9] for i in range(10)], timeframe="1m", symbol="BTC/USDT"),
        Panel.from_candles([Candles.from_rows([[0, 1, 2, 0.5, 1.5, 9]], timeframe="1m", symbol="BTC/USDT")]),
        [Ticker(symbol=f"S{i}", last=i / 3) for i in range(5)],
        Balance(venue="x", account="a", time=1, assets={"A": AssetBalance(), "B": AssetBalance()}),
        OrderBook(symbol="A", bids=np.ones((2, 2)), asks=np.ones((3, 2))),
        pd.DataFrame({"a": [1.0], "b": ["x"], "c": [True]}, index=pd.to_datetime(["2026"], utc=True)),
        pd.Series(pd.array([1, None], dtype="Int64"), index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])),
    )
]  # fmt: skip


def decode(data: bytes) -> Any:
    try:
        return codec.loads(data)
    except CodecError:
        return None


@given(st.sampled_from(ENCODED), st.data())
@settings(deadline=None, max_examples=1000)
def test_damaged_bytes_give_a_value_or_a_codec_error(encoded: bytes, data: st.DataObject) -> None:
    """Bytes changed, cut, repeated or joined in any way end in no other error."""
    damaged = bytearray(encoded)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        match data.draw(st.sampled_from(["change", "cut", "insert", "repeat"])):
            case "change" if at < len(damaged):
                damaged[at] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[at : at + data.draw(st.integers(1, 40))]
            case "insert":
                damaged[at:at] = data.draw(st.binary(max_size=10))
            case "repeat":
                damaged += damaged[at:]
    decode(bytes(damaged))


def resealed(data: bytearray) -> bytes:
    """Return the bytes with a checksum that fits, so that the damage reaches the readers behind it."""
    _, _, text_size, count = struct.unpack_from("<3sBII", data)
    lengths = data[16 : 16 + 8 * count]
    text_from = 16 + 8 * count
    checksum = zlib.crc32(data[text_from : text_from + text_size], zlib.crc32(lengths, zlib.crc32(data[:12])))
    at = text_from + text_size
    for size in struct.unpack(f"<{count}Q", lengths):
        at += -at % 64
        checksum = zlib.crc32(data[at : at + size], checksum)
        at += size
    data[12:16] = struct.pack("<I", checksum)
    return bytes(data)


@pytest.mark.parametrize(
    "encoded", [one for one in ENCODED if one[:1] == b"\xab"], ids=lambda one: one[16:60].decode("latin1")
)
def test_damage_behind_a_checksum_that_fits_gives_a_value_or_a_codec_error(encoded: bytes) -> None:
    """Every byte in turn is changed to several others, and the checksum made to fit: the readers stand on their own."""
    assert same(repr(decode(resealed(bytearray(encoded)))), repr(decode(encoded)))
    for at in range(16, len(encoded)):
        for other in (0, 0x22, 0x2D, 0x30, 0x39, 0x5B, 0x5D, 0x61, 0x7B, 0xFF, encoded[at] ^ 1):
            damaged = bytearray(encoded)
            damaged[at] = other
            if len(encoded) < 700 or at < 400 or at % 13 == 0:
                decode(resealed(damaged))


TAGS = st.sampled_from(
    [
        0, 1, "tuple", "set", "frozenset", "map", "dict", "float", "int", "str", "bytes",
        "bytearray", "complex", "decimal", "decimals", "datetime", "date", "time", "timedelta",
        "zone", "array", "objects", "numpy", "numpy.str", "numpy.bytes", "record", "records",
        "candles", "panel", "balance", "pandas",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "frame", "series", "index", "range", "labels", "levels", "array", "zone", "text", "masked",
        "timestamp", "<f8", "|O", "<M8[ms]", "|b1", "<U1", "C", "F", "Ticker", "symbol",
        "OrderBook", "bids", "1m", "UTC", "2026-01-01", "nan", "00", "0x1", "python",
    ]
)  # fmt: skip
forms = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.sampled_from([2**31, 2**63, 2**64 - 1]) | WORDS | st.floats(),
    lambda inner: st.one_of(
        st.tuples(TAGS, st.lists(inner, max_size=5)).map(lambda pair: [pair[0], *pair[1]]),
        st.lists(inner, max_size=4),
        st.dictionaries(WORDS, inner, max_size=3),
    ),
    max_leaves=20,
)


@given(forms, st.lists(st.sampled_from([0, 1, 8, 16, 49, 64]).map(bytes), max_size=3))
@settings(deadline=None, max_examples=1500)
def test_forged_forms_give_a_value_or_a_codec_error(form: Any, buffers: list[bytes]) -> None:
    """Tags put together at random, with buffers beside them and a checksum that fits."""
    text = orjson.dumps(form)
    data = bytearray(struct.pack("<3sBII", b"\xabTU", 1, len(text), len(buffers)) + bytes(4))
    data += struct.pack(f"<{len(buffers)}Q", *map(len, buffers)) + text
    for buffer in buffers:
        data += bytes(-len(data) % 64) + buffer
    decode(resealed(data))
