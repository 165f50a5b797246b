"""A copy in this process of values that lie in Redis, which the server itself keeps true."""

from __future__ import annotations

import asyncio
import fnmatch
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as day_time
from decimal import Decimal
from typing import Any, Final, TypeAlias

from tradeutils import model
from tradeutils.cache.base import Backend, Encoded, Stored
from tradeutils.cache.keys import size_in
from tradeutils.codec import unpacked_size
from tradeutils.errors import UsageError

__all__ = ["Entry", "Near", "NearSetting", "check_near"]

NearSetting: TypeAlias = str | Sequence[str] | int | None

_DEFAULT_BYTES: Final = 64 << 20
_LONGEST_SECONDS: Final = 60.0  # an entry is read again after this long even if nobody said that it changed
_BEAT_SECONDS: Final = 1.0  # a connection that died without a word is found out after this and the timeout
_ENTRY_BYTES: Final = 400  # measured: an entry with its key, in the dict
_SHARED_SIZE: Final = 4  # measured: the objects of a dict of tickers or markets take 2 to 4 times their encoded bytes
_FORM: Final = "write a pattern like 'markets:*', a list of patterns, or a budget: 64_000_000 or '64mb'"

# Values nobody can change, so that all callers may have the same object. A subclass might be changed.
_UNCHANGING: Final = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, Decimal, datetime, date, day_time, timedelta,
        model.Candles, model.Fee, model.FundingRate, model.Market, model.OpenInterest, model.OrderBook, model.Panel,
        model.Ticker, model.Trade, model.TradingFee,
    }
)  # fmt: skip
_COMPACT: Final = (str, bytes, model.Candles, model.OrderBook, model.Panel)  # no larger than they are encoded


@dataclass(slots=True)
class Entry:
    """
    One value in this process.

    Attributes
    ----------
    value : object
        What all callers may have; where ``copy`` is not ``None``, what it makes each caller's own of.
    copy : callable or None
        Makes a copy that a caller may change.
    until : float
        When it is read again, by the monotonic clock.
    ends : float
        When its ttl is over, by the same.
    size : int
        Bytes that it is taken for.
    stored : Stored
        What it was read as, without the data.
    used : bool
        Since it was last looked over for something to drop.
    """

    value: Any
    copy: Callable[[Any], Any] | None
    until: float
    ends: float
    size: int
    stored: Stored
    used: bool = False

    def own(self) -> Any:
        """Return the value as one caller's own."""
        return self.value if self.copy is None else self.copy(self.value)


class Near:
    """
    The entries of one cache.

    A value is kept only if its key was not changed between the question and the answer, and dropped when the server
    tells that it was; all are dropped when something may not have been told: the connection was lost or silent, or the
    database was emptied. When the budget is full, those go first that were not used since they were last looked over.

    Parameters
    ----------
    setting : str, sequence of str or int
        Patterns of keys, or a budget in bytes for whatever is read.
    backend : Backend
        What it stands in front of.
    prefix : str
        What stands before each key in the backend.
    loads : callable
        Decodes a value.
    """

    def __init__(
        self, setting: str | Sequence[str] | int, backend: Backend, prefix: str, loads: Callable[[Encoded], Any]
    ) -> None:
        self._wanted, self._max_bytes = _parsed(setting)
        self._backend = backend
        self._changes = backend.changes
        self._prefix = prefix
        self._loads = loads
        self._timer: asyncio.TimerHandle | None = None
        # Longest kept first. With a plain dict, which finds its first key only past the places of all that were removed
        # before, keeping a value when 124,000 fill the budget took 66 us instead of 4.
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.dropped = 0  # because the server told, or could not
        self.evicted = 0
        self.bytes = 0
        self._changes.listen(self._forget)

    @property
    def number(self) -> int:
        """To be taken before a value is asked for, and given to `put`."""
        return self._changes.number

    def wants(self, key: str) -> bool:
        """Tell whether the value of ``key`` is to be kept."""
        return self._wanted is None or self._wanted(key) is not None

    def put(self, key: str, stored: Stored, value: Any, since: int, asked: float) -> None:
        """
        Keep a value that was read, unless it may not be true any more; the caller has ``value`` too.

        ``since``: `number` before it was asked for; ``asked``: when that was, by the monotonic clock. How long it is
        fresh is counted from there, for the answer may have lain unread for as long as the event loop was busy.
        """
        if (
            not self._changes.is_on
            or stored.late
            or not stored.left
            or self._changes.changed(self._prefix + key, since)
        ):
            return
        keeps, copy, size = self._shareable(stored.data, value)
        size += _ENTRY_BYTES + 2 * len(key)
        ends = asked + stored.left / 1000
        until = min(ends, asked + _LONGEST_SECONDS)
        self._remove(key)
        if size > self._max_bytes or time.monotonic() >= until:
            return
        while self.bytes + size > self._max_bytes:  # before it is put there: it has not had its chance to be used
            self._evict()
        self.entries[key] = Entry(keeps, copy, until, ends, size, stored._replace(data=b""))
        self.bytes += size
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_BEAT_SECONDS, self._beat)

    def take(self, key: str) -> Entry | None:
        """Return what is kept of ``key``, if it need not be read again."""
        entry = self.entries.get(key)
        if entry is None or time.monotonic() >= entry.until:
            return None
        entry.used = True
        return entry

    def clear(self) -> None:
        """Drop everything; where the event loop has closed, its timer is gone with it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.entries.clear()
        self.bytes = 0

    def close(self) -> None:
        """Drop everything and listen no more."""
        self._changes.leave(self._forget)
        self.clear()

    def _forget(self, names: list[str] | None) -> None:
        if names is None:
            self.dropped += len(self.entries)
            self.entries.clear()
            self.bytes = 0
            return
        start = len(self._prefix)
        for name in names:
            if name.startswith(self._prefix) and self._remove(name[start:]):
                self.dropped += 1

    def _remove(self, key: str) -> bool:
        entry = self.entries.pop(key, None)
        if entry is None:
            return False
        self.bytes -= entry.size
        return True

    def _evict(self) -> None:
        """Drop the one that was kept longest; one that was used since gets another round, once."""
        while True:
            key = next(iter(self.entries))
            entry = self.entries[key]
            if not entry.used:
                self._remove(key)
                self.evicted += 1
                return
            entry.used = False
            self.entries.move_to_end(key)

    def _beat(self) -> None:
        """Make sure of the connection while something is kept; hits alone would not notice that it is dead."""
        self._timer = None
        if self.entries:
            self._backend.beat(_BEAT_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(_BEAT_SECONDS, self._beat)

    def _shareable(self, data: Encoded, value: Any) -> tuple[Any, Callable[[Any], Any] | None, int]:
        """Return what to keep, how to make a caller's own of it, and about how many bytes it takes."""
        size = unpacked_size(data)
        if _is_unchanging(value):
            return value, None, size * (1 if isinstance(value, _COMPACT) else _SHARED_SIZE)
        if type(value) is dict and all(_is_unchanging(one) for one in value.values()):
            return dict(value), dict, size * _SHARED_SIZE
        if type(value) is list and all(_is_unchanging(one) for one in value):
            return list(value), list, size * _SHARED_SIZE
        kept = bytes(data)  # not a view, which would keep alive more than is counted
        return kept, self._loads, len(kept)


def check_near(setting: Any) -> None:
    """Refuse what is no setting, also where there is nothing to be near to."""
    _parsed(setting)


def _is_unchanging(value: Any) -> bool:
    kind = type(value)
    return kind in _UNCHANGING or (kind is tuple and all(_is_unchanging(one) for one in value))


def _parsed(setting: str | Sequence[str] | int) -> tuple[Callable[[str], Any] | None, int]:
    """Return what tells whether a key is wanted (``None``: all are), and the budget in bytes."""
    if isinstance(setting, int) and not isinstance(setting, bool):
        return None, _budget(setting, setting)
    if isinstance(setting, str):
        size = size_in(setting)
        if size is not None:
            return None, _budget(setting, size)
        setting = [setting]
    if not isinstance(setting, Sequence) or isinstance(setting, bytes) or not setting:
        raise UsageError(f"near was {setting!r}; {_FORM}")
    if not all(isinstance(pattern, str) and pattern for pattern in setting):
        raise UsageError(f"near was {setting!r}, which holds something that is no pattern; {_FORM}")
    if "*" in setting:
        return None, _DEFAULT_BYTES
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in setting)).match, _DEFAULT_BYTES


def _budget(given: Any, size: int) -> int:
    if size < 1:
        raise UsageError(f"near was {given!r}; a budget is at least 1 byte: {_FORM}")
    return size
