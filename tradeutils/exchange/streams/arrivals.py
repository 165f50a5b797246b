"""
What is new in what ccxt resolves.

ccxt hands out its caches: lists of the newest 1000 trades, orders or candles, which it goes on changing, and which
tell how many are new to one reader at most, and none of those that have dropped out meanwhile. Here every append is
noted for each reader, so that each gets every entry once, however many a message carries.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["Arrivals", "entries"]

_MOST_WAITING: Final = 10_000  # entries that nobody has taken, where a class appends without telling


class Arrivals:
    """One reader of ccxt's caches: one hash, which may be resolved with several of them."""

    __slots__ = ("_caches", "_merged")

    def __init__(self, *, merged: bool) -> None:
        """``merged``: entries are orders, which the cache merges with what it knew; each is kept as it was then."""
        self._merged = merged
        self._caches: dict[int, tuple[Any, list[Any]]] = {}  # the caches themselves, so that their ids stay theirs

    def take(self, cache: Any) -> list[Any]:
        """Return what came since it was taken last; of a cache that is seen for the first time all that it holds."""
        known = self._caches.get(id(cache))
        if known is not None:
            waiting = known[1]
            taken = waiting[:]
            waiting.clear()
            return taken
        if not hasattr(cache, "hashmap"):  # a plain list, made for this message
            return list(cache)
        self._caches[id(cache)] = (cache, _listen(cache, self._merged))
        return [dict(entry) for entry in cache] if self._merged else list(cache)

    def forget(self) -> None:
        """Take nothing more."""
        for cache, waiting in self._caches.values():
            cache.readers[:] = [one for one in cache.readers if one is not waiting]
        self._caches.clear()


def _listen(cache: Any, merged: bool) -> list[Any]:
    """Return a list to which everything that is appended to a cache from now on is added as well."""
    waiting: list[Any] = []
    readers = getattr(cache, "readers", None)
    if readers is not None:
        readers.append(waiting)
        return waiting
    readers = cache.readers = [waiting]
    append = cache.append

    def noted(entry: Any) -> None:
        append(entry)
        if merged:
            entry = dict(cache[-1])
        for one in readers:
            one.append(entry)
            if len(one) > _MOST_WAITING:
                del one[: _MOST_WAITING // 2]

    cache.append = noted
    return waiting


def entries(value: Any) -> list[Any]:
    """Return the tickers in what the hash of many was resolved with: a list of them, or a dict by symbol."""
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in found if isinstance(one, dict) and "symbol" in one]
