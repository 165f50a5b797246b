"""Names under which a cache stores things, and the limits of what callers may ask for."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from tradeutils.errors import UsageError

__all__ = ["MAX_KEY_BYTES", "Keyspace", "to_ms"]

MAX_KEY_BYTES: Final = 1024
"""The longest key, in UTF-8."""

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_SECONDS: Final = 100 * 365 * 86_400


class Keyspace:
    """
    The keys of one namespace.

    Parameters
    ----------
    namespace : str
        Letters, digits, ``_ . -``. No colon, which ends it: ``a`` with key ``b:c`` is not ``a:b`` with ``c``.
    """

    __slots__ = ("_lease", "_lock", "_value", "epoch", "namespace")

    def __init__(self, namespace: str) -> None:
        if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
            raise UsageError(f"namespace was {namespace!r}; write 1 to 64 letters, digits, '_', '.' or '-'")
        self.namespace = namespace
        self.epoch = f"{namespace}:epoch"
        self._value = f"{namespace}:value:"
        self._lease = f"{namespace}:lease:"
        self._lock = f"{namespace}:lock:"

    def value(self, key: str) -> str:
        """Where the value of ``key`` lies."""
        return self._value + check_key(key)

    def lease(self, key: str) -> str:
        """Where it is noted who fetches ``key``; ``key`` has been checked."""
        return self._lease + key

    def lock(self, name: str) -> str:
        """Where the lock ``name`` lies."""
        return self._lock + check_key(name)

    def prefix(self, prefix: str) -> str:
        """Return what the values of every key that starts with ``prefix`` start with."""
        return self._value + check_key(prefix) if prefix != "" else self._value


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
