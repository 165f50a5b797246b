"""Fields of one key that are read and written one by one: a Redis hash, or a dict in this process."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from tradeutils.cache.base import check_size
from tradeutils.cache.serving import Serving
from tradeutils.errors import CacheError
from tradeutils.link.wire import Command

__all__ = ["Hashes", "LocalHashes", "RedisHashes", "hashes_of"]

_STEP_FIELDS: Final = 512  # a longer command holds up everyone else on the server
_STEP_BYTES: Final = 8 << 20
_LOCAL_BYTES: Final = 64 << 20
_FIELD_BYTES: Final = 180  # measured: the objects of a field and its place in the dict


@runtime_checkable
class Hashes(Protocol):
    """A backend that keeps fields under a key; times in milliseconds."""

    async def read_fields(self, key: str, names: Sequence[str]) -> list[bytes | None]:
        """Return what lies in each field, in the order of ``names``."""
        ...

    async def read_all_fields(self, key: str) -> dict[str, bytes]:
        """Return every field."""
        ...

    async def write_fields(self, key: str, items: Mapping[str, bytes], ttl: int | None) -> None:
        """Write fields, and let the whole key last ``ttl`` from now."""
        ...

    async def remove_fields(self, key: str, names: Sequence[str]) -> int:
        """Remove fields, and return how many there were."""
        ...

    async def remove_all_fields(self, key: str) -> None:
        """Remove the key."""
        ...


class RedisHashes(Serving):
    """`Hashes` on Redis."""

    async def read_fields(self, key: str, names: Sequence[str]) -> list[bytes | None]:
        """Read fields; one round trip."""
        replies = await self._call([(b"HMGET", key, *some) for some in _steps(names)])
        return [value for reply in replies for value in self._listed(reply)]

    async def read_all_fields(self, key: str) -> dict[str, bytes]:
        """Read every field; one round trip. Fields whose names are not UTF-8 are not ours and are left out."""
        [found] = await self._call([(b"HGETALL", key)])
        if not isinstance(found, dict):
            raise CacheError(f"{self.name} answered HGETALL with something else than fields")
        try:
            return {name.decode(): data for name, data in found.items()}
        except UnicodeDecodeError:
            return {text: data for name, data in found.items() if (text := _text(name)) is not None}

    async def write_fields(self, key: str, items: Mapping[str, bytes], ttl: int | None) -> None:
        """Write fields, each step with the ttl in one transaction; one round trip. If it raises, some may be there."""
        for name, data in items.items():
            check_size(data, name)
        expiry: list[Command] = [] if ttl is None else [(b"PEXPIRE", key, ttl)]
        steps = ([(b"HSET", key, *pairs), *expiry] for pairs in _pairs(items))
        await self._transact(steps) if expiry else await self._call([command for step in steps for command in step])

    async def remove_fields(self, key: str, names: Sequence[str]) -> int:
        """Remove fields; one round trip."""
        return sum(await self._call([(b"HDEL", key, *some) for some in _steps(names)]))

    async def remove_all_fields(self, key: str) -> None:
        """Remove the key; one round trip."""
        await self._call([(b"UNLINK", key)])

    def _listed(self, reply: Any) -> list[bytes | None]:
        if not isinstance(reply, list):
            raise CacheError(f"{self.name} answered HMGET with something else than values")
        return reply


@dataclass(slots=True)
class _Held:
    """The fields of one key; ``ends`` by the monotonic clock."""

    fields: dict[str, bytes]
    ends: float
    size: int = 0

    def take(self, name: str) -> bool:
        """Remove a field; return whether it was there."""
        data = self.fields.pop(name, None)
        if data is None:
            return False
        self.size -= _size(name, data)
        return True


class LocalHashes:
    """`Hashes` in this process, up to 64 MiB; the key that was not written for longest goes first."""

    def __init__(self, max_bytes: int = _LOCAL_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: dict[str, _Held] = {}  # last written last
        self.bytes = 0

    async def read_fields(self, key: str, names: Sequence[str]) -> list[bytes | None]:
        """Return what lies in each field."""
        held = self._there(key)
        return [None] * len(names) if held is None else [held.fields.get(name) for name in names]

    async def read_all_fields(self, key: str) -> dict[str, bytes]:
        """Return every field."""
        held = self._there(key)
        return {} if held is None else dict(held.fields)

    async def write_fields(self, key: str, items: Mapping[str, bytes], ttl: int | None) -> None:
        """Write fields."""
        held = self._there(key) or _Held({}, 0.0)
        self._drop(key)
        for name, data in items.items():
            held.take(name)
            held.fields[name] = data
            held.size += _size(name, data)
        held.ends = math.inf if ttl is None else time.monotonic() + ttl / 1000
        self._held[key] = held
        self.bytes += held.size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._held)))

    async def remove_fields(self, key: str, names: Sequence[str]) -> int:
        """Remove fields."""
        held = self._there(key)
        if held is None:
            return 0
        before = held.size
        removed = sum(map(held.take, names))
        self.bytes -= before - held.size
        if not held.fields:
            self._drop(key)
        return removed

    async def remove_all_fields(self, key: str) -> None:
        """Remove the key."""
        self._drop(key)

    def _there(self, key: str) -> _Held | None:
        held = self._held.get(key)
        if held is not None and time.monotonic() >= held.ends:
            self._drop(key)
            return None
        return held

    def _drop(self, key: str) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self.bytes -= held.size


_local: weakref.WeakKeyDictionary[Any, LocalHashes] = weakref.WeakKeyDictionary()


def hashes_of(backend: Any) -> Hashes:
    """Return where a backend keeps fields: itself, or else this process, for all who use the same backend."""
    return backend if isinstance(backend, Hashes) else _local.setdefault(backend, LocalHashes())


def _size(name: str, data: bytes) -> int:
    return len(name) + len(data) + _FIELD_BYTES


def _steps(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _STEP_FIELDS] for start in range(0, len(names), _STEP_FIELDS))


def _pairs(items: Mapping[str, bytes]) -> Iterable[list[bytes | str]]:
    """Cut a write into steps, names and data in turn, so that others are served between."""
    step: list[bytes | str] = []
    size = 0
    for name, data in items.items():
        if step and (len(step) >= 2 * _STEP_FIELDS or size + len(data) > _STEP_BYTES):
            yield step
            step, size = [], 0
        step += (name, data)
        size += len(data)
    yield step


def _text(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None
