"""Names under which a cache stores things, and the limits of what callers may ask for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from tradeutils.errors import UsageError

__all__ = ["MAX_KEY_BYTES", "Keyspace", "size_in", "to_bytes", "to_ms"]

MAX_KEY_BYTES: Final = 1024
"""The longest key, in UTF-8."""

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(|k|m|g)i?b", re.IGNORECASE)
_LONGEST_SECONDS: Final = 100 * 365 * 86_400


class Keyspace:
    """
    The keys of one namespace.

    Parameters
    ----------
    namespace : str
        Letters, digits, ``_ . -``. No colon, which ends it: ``a`` with key ``b:c`` is not ``a:b`` with ``c``.
    """

    __slots__ = (
        "_fence", "_lock", "_map", "epoch", "lease_prefix", "namespace", "sweeper", "sweeps", "swept", "unswept",
        "value_prefix",
    )  # fmt: skip

    def __init__(self, namespace: str) -> None:
        if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
            raise UsageError(f"namespace was {namespace!r}; write 1 to 64 letters, digits, '_', '.' or '-'")
        self.namespace = namespace
        self.epoch = f"{namespace}:epoch"
        self.sweeps = f"{namespace}:sweeps"  # which prefixes were invalidated and are not swept yet
        self.unswept = f"{namespace}:unswept"  # that there are such: the latest of their numbers
        self.sweeper = f"{namespace}:sweeper:it"  # held by the one process that sweeps
        self.swept = f"{namespace}:swept:it"  # how far it has come
        self.value_prefix = f"{namespace}:value:"
        self.lease_prefix = f"{namespace}:lease:"
        self._map = f"{namespace}:map:"
        self._lock = f"{namespace}:lock:"
        self._fence = f"{namespace}:fence:"

    def value(self, key: str) -> str:
        """Where the value of ``key`` lies."""
        return self.value_prefix + check_key(key)

    def values(self, keys: Sequence[str]) -> list[str]:
        """Where the values of ``keys``, at least one, lie; all are checked at once."""
        prefix = self.value_prefix
        try:
            plain = "".join(keys).isascii()
        except TypeError:  # not text; said below
            plain = False
        if plain and min(map(len, keys)) > 0 and max(map(len, keys)) <= MAX_KEY_BYTES:
            return [prefix + key for key in keys]
        return [prefix + check_key(key) for key in keys]

    def map(self, name: str) -> str:
        """Where the fields of the map ``name`` lie."""
        return self._map + check_key(name)

    def lease(self, key: str) -> str:
        """Where it is noted who fetches ``key``; ``key`` has been checked."""
        return self.lease_prefix + key

    def lock(self, name: str) -> str:
        """Where the lock ``name`` lies."""
        return self._lock + check_key(name)

    def fence(self, name: str) -> str:
        """Where the holders of the lock ``name`` are counted; ``name`` has been checked."""
        return self._fence + name

    def prefix(self, prefix: str) -> str:
        """Return what the values of every key that starts with ``prefix`` start with."""
        return self.value_prefix + check_key(prefix) if prefix != "" else self.value_prefix


def check_key(key: str) -> str:
    """Return ``key`` if it may be one: text, not empty, at most `MAX_KEY_BYTES` in UTF-8."""
    if isinstance(key, str) and 0 < len(key) <= MAX_KEY_BYTES:
        if key.isascii():
            return key
        try:
            if len(key.encode()) <= MAX_KEY_BYTES:
                return key
        except UnicodeEncodeError:
            raise UsageError(f"key was {key[:40]!r}; it holds a lone surrogate, which is no text") from None
    if not isinstance(key, str):
        raise UsageError(f"key was {key!r} ({type(key).__name__}); write a str")
    if not key:
        raise UsageError("key was empty; write what the value is of: 'tickers:binance'")
    raise UsageError(f"key was {key[:40]!r}... ({len(key):,} characters); at most {MAX_KEY_BYTES} bytes: hash the rest")


def size_in(text: str) -> int | None:
    """Return the bytes that a text like ``"64mb"`` names, in thousands; ``None``: it names none."""
    size = _SIZE.fullmatch(text)
    return None if size is None else int(float(size[1]) * 1000 ** "_kmg".index(size[2].lower() or "_"))


def to_bytes(name: str, size: Any) -> int:
    """Return a size, a number of bytes or a text like ``"64mb"``, as bytes; at least 1."""
    given = size_in(size) if isinstance(size, str) else size
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise UsageError(f"{name} was {size!r}; write bytes: 64_000_000 or '64mb'")
    return given


def to_ms(name: str, seconds: Any) -> int:
    """Return a time in seconds as whole milliseconds, at least 1; it must be above 0 and below a century."""
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        exact = float(seconds) if abs(seconds) < 1e300 else math.inf
    elif hasattr(seconds, "__float__") and not isinstance(seconds, (str, bytes, bool)):
        exact = float(seconds)
    else:
        raise UsageError(f"{name} was {seconds!r} ({type(seconds).__name__}); write seconds")
    if not 0 < exact <= _LONGEST_SECONDS:  # NaN fails this too
        raise UsageError(f"{name} was {seconds!r}; write seconds above 0 and up to 100 years")
    return max(1, round(exact * 1000))
