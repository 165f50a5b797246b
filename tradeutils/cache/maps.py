"""Many values under one name, laid out for how they are used: one by one, or always all."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal, Protocol, TypeAlias

from tradeutils.cache.base import Backend
from tradeutils.cache.hashes import Hashes, hashes_of
from tradeutils.cache.keys import Keyspace, check_key, to_ms
from tradeutils.cache.reads import Reads
from tradeutils.cache.stats import Counters
from tradeutils.errors import UnknownName, UsageError

__all__ = ["Layout", "Map", "Mapped"]

Layout: TypeAlias = Literal["hash", "blob"]

_LAYOUTS: Final = ("hash", "blob")
_LOCK_SECONDS: Final = 10.0


class Map(abc.ABC):
    """
    Values by field, under one name; get it from ``Cache.map``.

    Attributes
    ----------
    name : str
        What it is of: ``"tickers:binance"``.
    layout : str
        ``"hash"``: each field by itself. ``"blob"``: all fields in one value.
    """

    layout: Layout

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Map({self.name!r}, layout={self.layout!r})"

    async def get(self, field: str, default: Any = None) -> Any:
        """Return the value of ``field``, or ``default`` where there is none; errors as for `Cache.get`."""
        return (await self.get_many([field])).get(field, default)

    @abc.abstractmethod
    async def get_many(self, fields: Iterable[str]) -> dict[str, Any]:
        """Return the values of those of ``fields`` that are there, in this order; one round trip."""

    @abc.abstractmethod
    async def get_all(self) -> dict[str, Any]:
        """Return every field with its value, in no order; one round trip."""

    async def set(self, field: str, value: Any) -> None:
        """Store one value, and leave the others as they are; errors as for `Cache.set`."""
        await self.set_many({field: value})

    @abc.abstractmethod
    async def set_many(self, mapping: Mapping[str, Any]) -> None:
        """Store values, and leave the others as they are; the ttl of the whole map begins anew."""

    @abc.abstractmethod
    async def delete(self, *fields: str) -> int:
        """Remove ``fields``, and return how many there were."""

    @abc.abstractmethod
    async def clear(self) -> None:
        """Remove all of them."""


class _HashMap(Map):
    """Each field by itself: what is read or written is one field's size, whatever else there is."""

    layout = "hash"

    def __init__(
        self, name: str, ttl: float | None, cache: _Cache, hashes: Hashes, keyspace: Keyspace, reads: Reads
    ) -> None:
        super().__init__(name)
        self._ttl = None if ttl is None else to_ms("ttl", ttl)
        self._key = keyspace.map(name)
        self._cache = cache
        self._hashes = hashes
        self._reads = reads

    async def get_many(self, fields: Iterable[str]) -> dict[str, Any]:
        self._cache.enter()
        names = _checked(fields)
        if not names:
            return {}
        found = await self._reads.asked(self._hashes.read_fields(self._key, names))
        there = {name: data for name, data in zip(names, found, strict=True) if data is not None}
        self._cache.counters.hits += len(there)
        self._cache.counters.misses += len(names) - len(there)
        return {name: self._reads.decoded(name, data) for name, data in there.items()}

    async def get_all(self) -> dict[str, Any]:
        self._cache.enter()
        found = await self._reads.asked(self._hashes.read_all_fields(self._key))
        self._cache.counters.hits += len(found)
        decoded = self._reads.decoded
        return {name: decoded(name, data) for name, data in found.items()}

    async def set_many(self, mapping: Mapping[str, Any]) -> None:
        self._cache.enter()
        items = {check_key(name): self._cache.encode(value) for name, value in _mapped(mapping).items()}
        if items:
            await self._reads.asked(self._hashes.write_fields(self._key, items, self._ttl))

    async def delete(self, *fields: str) -> int:
        self._cache.enter()
        names = _checked(fields)
        return await self._reads.asked(self._hashes.remove_fields(self._key, names)) if names else 0

    async def clear(self) -> None:
        self._cache.enter()
        await self._reads.asked(self._hashes.remove_all_fields(self._key))


class _BlobMap(Map):
    """All fields in one value of the cache: the whole is read and written each time, changes under a lock."""

    layout = "blob"

    def __init__(self, name: str, ttl: float | None, cache: _Values) -> None:
        super().__init__(check_key(name))
        if ttl is not None:
            to_ms("ttl", ttl)
        self._ttl = ttl
        self._cache = cache

    async def get_many(self, fields: Iterable[str]) -> dict[str, Any]:
        names = _checked(fields)
        found = await self.get_all() if names else {}
        return {name: found[name] for name in names if name in found}

    async def get_all(self) -> dict[str, Any]:
        found = await self._cache.get(self.name)
        if found is not None and not isinstance(found, dict):
            raise UsageError(f"the value of {self.name!r} is no map but a {type(found).__name__}; delete or set it")
        return {} if found is None else found

    async def set_many(self, mapping: Mapping[str, Any]) -> None:
        items = {check_key(name): value for name, value in _mapped(mapping).items()}
        if items:
            async with self._changing():
                await self._cache.set(self.name, {**await self.get_all(), **items}, self._ttl)

    async def delete(self, *fields: str) -> int:
        names = _checked(fields)
        if not names:
            return 0
        async with self._changing():
            found = await self.get_all()
            left = {name: value for name, value in found.items() if name not in names}
            if left:
                await self._cache.set(self.name, left, self._ttl)
            else:
                await self._cache.delete(self.name)
        return len(found) - len(left)

    async def clear(self) -> None:
        async with self._changing():
            await self._cache.delete(self.name)

    def _changing(self) -> AbstractAsyncContextManager[Any]:
        """Let nobody else read and write the whole meanwhile, or one of two changes would be lost."""
        return self._cache.lock(self.name, _LOCK_SECONDS)


class _Values(Protocol):
    """A cache, as far as it is needed here."""

    async def get(self, key: str, default: Any = None) -> Any: ...

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None: ...

    async def delete(self, *keys: str) -> int: ...

    def lock(self, name: str, ttl: float) -> AbstractAsyncContextManager[Any]: ...


class _Cache:
    """What a map uses of the cache that it belongs to."""

    __slots__ = ("counters", "encode", "enter")

    def __init__(self, enter: Callable[[], None], encode: Callable[[Any], bytes], counters: Counters) -> None:
        self.enter = enter
        self.encode = encode
        self.counters = counters


class Mapped:
    """The part of a cache that makes maps; see `Cache`."""

    _backend: Backend
    _counters: Counters
    _encode: Callable[[Any], bytes]
    _keyspace: Keyspace
    _reads: Reads

    def _enter(self) -> None:
        """Refuse a closed cache, and one that another event loop is using."""
        raise NotImplementedError

    def map(self, name: str, *, layout: Layout, ttl: float | None = None) -> Map:
        """
        Return many values under one name, such as the tickers of a venue by symbol.

        Parameters
        ----------
        name : str
            What they are of.
        layout : {"hash", "blob"}
            ``"hash"`` where single fields are read or written: one of 2000 tickers is read in a twentieth of the time
            that it takes to read them all, and written in a fortieth. In memory it takes up to 64 MiB; near copies,
            `get`, `scan`, `invalidate` and `clean` do not concern it.
            ``"blob"`` where all are always read together, in two thirds of the time: the value of the key ``name``,
            which `get` reads too. A change reads and writes the whole, under the lock ``name``.
        ttl : float or None
            Seconds after the last write for which the whole map lasts; ``None``: for ever. All who write say the same.

        Raises
        ------
        UsageError : a name or ttl that cannot be; `UnknownName` for a layout.
        """
        if layout not in _LAYOUTS:
            raise UnknownName("layout", str(layout), list(_LAYOUTS))
        if layout == "blob":
            return _BlobMap(name, ttl, self)  # type: ignore[arg-type]  # which is a whole cache
        used = _Cache(self._enter, self._encode, self._counters)
        return _HashMap(name, ttl, used, hashes_of(self._backend), self._keyspace, self._reads)


def _checked(fields: Iterable[str]) -> list[str]:
    if isinstance(fields, (str, bytes)):
        raise UsageError(f"fields was {fields!r}; write a list of fields: [{fields!r}]")
    return [check_key(field) for field in dict.fromkeys(fields)]


def _mapped(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(mapping, Mapping):
        raise UsageError(f"mapping was {type(mapping).__name__}; write a mapping of field to value")
    return mapping
