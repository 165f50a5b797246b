"""What is noted in front of a value in Redis, where the bytes of the value alone do not say enough."""

from __future__ import annotations

import struct
from typing import Final

from tradeutils.cache.base import Stored

__all__ = ["ENDED", "HEAD_BYTES", "MARKED", "generation_of", "sealed", "unsealed"]

# A value with a stale time outlives its ttl in Redis, so it says itself when the ttl is over, by the server's clock;
# and one that is refreshed early says how long the fetch took, which was 0 before there was such a thing.
# 0xFE occurs neither in UTF-8 text nor at the start of an encoded value; 16 bytes keep arrays behind it aligned.
MARKED: Final = b"\xfe"
_SEAL: Final = struct.Struct("<4sIq")
_MARK: Final = b"\xfetu\x01"
# A value that was written while its prefix was being swept says that it is none of what is swept away.
_DATED: Final = struct.Struct("<4sIqq8x")
_DATED_MARK: Final = b"\xfetu\x02"
HEAD_BYTES: Final = _DATED.size
"""As much of a value as seals take at most."""

ENDED: Final = b"\xfetu\x00"
"""A fetch ended without a value: see ``scripts``."""
_LONGEST_COST: Final = 2**32 - 1


def sealed(data: bytes, until: int = 0, cost: int = 0, generation: int = 0) -> bytes:
    """
    Return ``data`` with what is to be noted before it.

    Parameters
    ----------
    until : int
        When its ttl is over, milliseconds of the server's clock; 0: when the server lets go of it.
    cost : int
        Milliseconds that it took to fetch.
    generation : int
        The invalidation that it comes after, where one is still being swept; 0: none.
    """
    cost = min(cost, _LONGEST_COST)
    if generation:
        return _DATED.pack(_DATED_MARK, cost, until, generation) + data
    return _SEAL.pack(_MARK, cost, until) + data


def generation_of(data: bytes | memoryview) -> int:
    """Return the invalidation that a value says it comes after; 0: it says nothing. Its first `HEAD_BYTES` will do."""
    return int(_DATED.unpack_from(data)[3]) if data[:4] == _DATED_MARK and len(data) >= _DATED.size else 0


def unsealed(data: bytes, now: int) -> Stored | None:
    """Return what lies in a seal; bytes without one are a value that is fresh. ``None``: there is no value."""
    if data[:4] == _DATED_MARK and len(data) >= _DATED.size:
        _, cost, until, _ = _DATED.unpack_from(data)
        inner = memoryview(data)[_DATED.size :]
        if not until:
            return Stored(inner, 0)
    elif data[:4] == _MARK and len(data) >= _SEAL.size:
        _, cost, until = _SEAL.unpack_from(data)
        inner = memoryview(data)[_SEAL.size :]
    else:
        return None if data == ENDED else Stored(data, 0)
    return Stored(inner, max(0, now - until), float(max(0, until - now)), cost, until)
