"""Compression: smaller, the same when read, and never larger in memory than the caller allows."""

from __future__ import annotations

import struct
import zlib
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils import codec
from tradeutils.errors import CodecError, UsageError

TICKERS = [{"symbol": f"C{number}/USDT", "last": 1.0 + number, "volume": 5 * number} for number in range(500)]
METHODS: Any = ("zstd", "lz4")


def packed(content: bytes, size: int, *, version: int = 1, method: int = 1) -> bytes:
    """Return compressed bytes with a checksum that fits, which announce ``size`` bytes."""
    head = struct.pack("<3sBB3xQ", b"\xabTZ", version, method, size)
    return head + struct.pack("<I", zlib.crc32(content, zlib.crc32(head))) + content


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "value",
    [TICKERS, {"a": [Decimal(n) for n in range(2000)]}, np.arange(5000), "x" * 100_000],
    ids=lambda v: type(v).__name__,
)
def test_compressed_values_read_back_as_they_were(value: Any, method: Any) -> None:
    """Whatever the value is, from fewer bytes and without being told the method."""
    plain, small = codec.dumps(value), codec.dumps(value, compress=method)
    assert len(small) < 0.7 * len(plain)
    for found in map(codec.loads, (small, bytearray(small), memoryview(small))):
        assert type(found) is type(value)
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_shrink_or_is_short_stays_as_it_is(method: Any) -> None:
    """Noise and short values are written as without compression."""
    noise = np.random.default_rng(3).random(5000)
    assert codec.dumps(noise, compress=method) == codec.dumps(noise)
    assert codec.dumps(TICKERS[:2], compress=method) == codec.dumps(TICKERS[:2])
    assert len(codec.dumps(TICKERS[:9], compress=method, above=0)) < len(codec.dumps(TICKERS[:9]))


def test_unpacked_size_is_capped_before_anything_is_unpacked() -> None:
    """A bomb that announces its size is refused by that, and one that lies about it by what comes out."""
    bomb = pa.Codec("zstd").compress(bytes(50_000_000), asbytes=True)
    with pytest.raises(CodecError, match="50000000 bytes when unpacked, max_bytes is 1000000"):
        codec.loads(packed(bomb, 50_000_000), max_bytes=1_000_000)
    with pytest.raises(CodecError, match="cannot be unpacked"):
        codec.loads(packed(bomb, 1_000), max_bytes=1_000_000)


def test_compressed_within_compressed_is_refused() -> None:
    """Layers could hide one bomb in another."""
    inner = codec.dumps(TICKERS, compress="zstd")
    with pytest.raises(CodecError):
        codec.loads(packed(pa.Codec("zstd").compress(inner, asbytes=True), len(inner)))


@pytest.mark.parametrize(("version", "method"), [(2, 1), (1, 3), (0, 0)])
def test_another_version_or_method_is_named(version: int, method: int) -> None:
    """A reader that is too old says what it met."""
    with pytest.raises(CodecError, match=f"format version {version} by method {method}; this release reads version 1"):
        codec.loads(packed(b"abc", 3, version=version, method=method))


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_damage_is_found(method: Any, data: st.DataObject) -> None:
    """Bytes changed or cut anywhere are an error of ours, never another value."""
    sound = codec.dumps(TICKERS, compress=method)
    damaged = bytearray(sound)
    at = data.draw(st.integers(0, len(sound) - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CodecError):
        codec.loads(bytes(damaged))
    with pytest.raises(CodecError):
        codec.loads(sound[: data.draw(st.integers(1, len(sound) - 1))])


def test_unknown_method_is_refused_by_name() -> None:
    """Also where the value is too short to be compressed."""
    with pytest.raises(UsageError, match="compress was 'gzip'; write 'zstd'"):
        codec.dumps(1, compress="gzip")  # type: ignore[arg-type]


def test_version_1_is_read() -> None:
    """What the release before has written: a large buffer is summed up in rows of 509 words there."""
    values = np.random.default_rng(4).random((1000, 6))
    raw = values.tobytes()
    text = b'["array","<f8",[1000,6],"C",0]'
    lengths, head = struct.pack("<Q", len(raw)), struct.pack("<3sBII", b"\xabTU", 1, len(text), 1)
    words = np.frombuffer(raw, "<u8", 11 * 509).reshape(11, 509)
    checksum = zlib.crc32(text, zlib.crc32(lengths, zlib.crc32(head)))
    checksum = zlib.crc32(raw[words.nbytes :], zlib.crc32(words.sum(axis=0).tobytes(), checksum))
    start = head + struct.pack("<I", checksum) + lengths + text
    old = start + bytes(-len(start) % 64) + raw
    assert np.array_equal(codec.loads(old), values)
    damaged = bytearray(old)
    damaged[5000] ^= 1
    with pytest.raises(CodecError, match="checksum does not fit"):
        codec.loads(bytes(damaged))
