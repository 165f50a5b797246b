"""The cache on Redis or Valkey."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import hiredis

from tradeutils.cache.base import Claim, Lease, Server, Stored, Usage, check_size
from tradeutils.errors import CacheError, CacheUnavailable
from tradeutils.link.address import parse_address
from tradeutils.link.link import Link
from tradeutils.link.wire import MGET_KEYS, Command, Refusal

__all__ = ["Redis"]

# A value with a stale time outlives its ttl in Redis, so it says itself when the ttl is over, by the server's clock.
# 0xFE occurs neither in UTF-8 text nor at the start of an encoded value; 16 bytes keep arrays behind it aligned.
_SEAL: Final = struct.Struct("<4s4xq")
_SEAL_MARK: Final = b"\xfetu\x01"

_STEP_BYTES: Final = 8 << 20  # of values in one transaction: the server keeps them aside until all have come
_SCAN_COUNT: Final = 1000  # keys the server looks at in one step: about 0.3 ms during which it serves nobody else
_LEFT_ALONE: Final = (
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
)  # error replies that pass by themselves
_ABORTED: Final = "EXECABORT Transaction discarded because of: "  # stands before the error itself
_REMEDIES: Final = {
    "OOM": "its memory is full and its maxmemory-policy evicts nothing: raise maxmemory, or set allkeys-lfu",
    "READONLY": "it is a replica: use the address of the primary",
    "NOPERM": "the user may not do this: grant it the command and the keys",
    "MISCONF": "it cannot save to disk and refuses writes: see its log",
}

_CLAIM: Final = """
local epoch = redis.call('GET', KEYS[3]) or ''
local held = redis.call('GET', KEYS[2])
local granted = not held or string.sub(held, 1, #epoch + 1) ~= epoch .. ':'
if granted then redis.call('SET', KEYS[2], epoch .. ':' .. ARGV[1], 'PX', ARGV[2]) end
return {granted and 1 or 0, redis.call('MGET', KEYS[1])[1], epoch}"""
_COMMIT: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if (redis.call('GET', KEYS[3]) or '') ~= ARGV[2] then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[2], ARGV[3])
else redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
return 1"""
_EXTEND: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
)
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Redis:
    """
    A `Backend` on one Redis (>= 6) or Valkey server, over one shared connection.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    timeout : float
        Seconds within which every command must be answered.

    Notes
    -----
    What is asked in one turn of the event loop travels together: single gets as one MGET, the rest as one pipeline.
    A key of another Redis type than string reads as missing and is overwritten, as with MGET. A write that raised
    `CacheUnavailable` may still have happened.
    """

    def __init__(self, url: str, *, timeout: float = 0.25) -> None:
        self.address = parse_address(url)
        self._link = Link(self.address, timeout)

    @property
    def name(self) -> str:
        """Scheme, host, port and db; no user, no password."""
        return self._link.address.label

    def __repr__(self) -> str:
        return f"Redis({self.name!r})"

    # Values

    async def get(self, key: str) -> Stored | None:
        """Read one value; one round trip, shared with every other get of this turn of the loop."""
        wire = self._link.live
        if wire is None:
            return (await self.get_many([key]))[0]
        try:
            data = await wire.get(key.encode())
        except Refusal as refusal:
            raise self._refused(str(refusal)) from None
        return None if data is None else self._unseal(data)

    async def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
        """Read many values; one round trip, in steps of 512 keys so that others are served between."""
        if not keys:
            return []
        steps: list[Command] = [
            (b"MGET", *(key.encode() for key in keys[start : start + MGET_KEYS]))
            for start in range(0, len(keys), MGET_KEYS)
        ]
        values: list[bytes | None] = []
        for reply in await self._call(steps):
            if not isinstance(reply, list):
                raise CacheError(f"{self.name} answered MGET with something else than values")
            values += reply
        return [None if data is None else self._unseal(data) for data in values]

    async def set_many(self, items: Mapping[str, bytes], ttl: int | None, leases: Sequence[str]) -> None:
        """
        Write values; one round trip. If it raises, some may have been written.

        A value and its lease go in one transaction: a fetch that claimed before it cannot store what is older, and
        one that claims after it finds the new value.
        """
        for key, data in items.items():
            check_size(data, key)
        expiry: Command = () if ttl is None else (b"PX", ttl)
        await self._transact(
            [*_revoked(names), *((b"SET", key, data, *expiry) for key, data in step)]
            for step, names in _steps(items, leases)
        )

    async def delete(self, keys: Sequence[str], leases: Sequence[str]) -> int:
        """Remove values and revoke their leases in one transaction; one round trip."""
        replies = await self._transact([[*_revoked(leases), (b"UNLINK", *keys)]])
        return int(replies[-1])

    async def invalidate(self, prefix: str, epoch_name: str) -> int:
        """
        Remove the values under a prefix; a round trip for each 1000 keys on the server.

        The epoch goes first, so that no fetch that began before can store its outcome behind the sweep.
        """
        await self._call([(b"SET", epoch_name, secrets.token_hex(8))])
        removed = 0
        async for names in self._sweep(prefix):
            removed += int((await self._call([(b"UNLINK", *names)]))[0])
        return removed

    async def scan(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys under a prefix, each once; keys that are not UTF-8 are not ours and are left out."""
        seen: set[bytes] = set()
        async for names in self._sweep(prefix):
            for name in names:
                if name not in seen:
                    seen.add(name)
                    try:
                        key = name.decode()
                    except UnicodeDecodeError:
                        continue
                    yield key

    async def _sweep(self, prefix: str) -> AsyncIterator[list[bytes]]:
        pattern = "".join("\\" + char if char in "*?[]\\^-" else char for char in prefix) + "*"
        cursor: bytes | None = None
        while cursor != b"0":
            [(cursor, names)] = await self._call([(b"SCAN", cursor or b"0", b"MATCH", pattern, b"COUNT", _SCAN_COUNT)])
            if names:
                yield names

    # Leases and locks

    async def claim(self, key: str, lease_name: str, epoch_name: str, token: bytes, ttl: int) -> Claim:
        """Ask for a lease and read the value; one script, one round trip."""
        replies = await self._call([(b"EVAL", _CLAIM, 3, key, lease_name, epoch_name, token, ttl)])
        granted, data, epoch = replies[0]
        lease = Lease(lease_name, epoch + b":" + token, epoch_name, epoch) if granted else None
        return Claim(lease, None if data is None else self._unseal(data))

    async def commit(self, key: str, data: bytes, ttl: int | None, stale: int, lease: Lease) -> bool:
        """Store the outcome of a fetch if its lease still stands; one script, one round trip."""
        check_size(data, key)
        life = b"" if ttl is None else ttl + stale
        if ttl is not None and stale:
            data = _SEAL.pack(_SEAL_MARK, self._link.now() + ttl) + data
        keys = (lease.name, key, lease.epoch_name)
        replies = await self._call([(b"EVAL", _COMMIT, 3, *keys, lease.token, lease.epoch, data, life)])
        return bool(replies[0])

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        """Take a lock if it is free; one round trip."""
        return (await self._call([(b"SET", name, token, b"NX", b"PX", ttl)]))[0] is not None

    async def extend(self, name: str, token: bytes, ttl: int) -> bool:
        """Prolong a lock or lease that is still ours; one round trip."""
        return bool((await self._call([(b"EVAL", _EXTEND, 1, name, token, ttl)]))[0])

    async def release(self, name: str, token: bytes) -> bool:
        """Give a lock or lease back; one round trip."""
        return bool((await self._call([(b"EVAL", _RELEASE, 1, name, token)]))[0])

    # The server

    async def server(self) -> Server:
        """Describe the server; four round trips."""
        info = _fields((await self._call([(b"INFO",)]))[0])
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            await self._call([(b"PING",)])
            best = min(best, time.perf_counter() - began)
        return Server(
            name=info.get("server_name", "redis"),
            version=info.get("valkey_version", info.get("redis_version", "")),
            latency=best,
            used_bytes=int(info.get("used_memory", 0)),
            max_bytes=int(info.get("maxmemory", 0)),
            policy=info.get("maxmemory_policy", ""),
            evicted=int(info.get("evicted_keys", 0)),
        )

    def usage(self) -> Usage:
        """Tell the state of the breaker and the mean latency."""
        return Usage(breaker="open" if self._link.breaker.is_open else "closed", latency=self._link.latency)

    def rebind(self) -> None:
        """Forget the connection of an event loop that has closed."""
        self._link.rebind()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._link.aclose()

    # How it works

    async def _call(self, commands: list[Command]) -> list[Any]:
        """Send commands together; the first error reply is raised once all have been answered."""
        replies = await self._link.call(commands)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise self._refused(str(reply))
        return replies

    async def _transact(self, steps: Iterable[list[Command]]) -> list[Any]:
        """Send steps together, of which each happens as a whole or not at all; return the replies in the last."""
        commands: list[Command] = []
        ends: list[int] = []
        for step in steps:
            commands += [(b"MULTI",), *step, (b"EXEC",)]
            ends.append(len(commands) - 1)
        replies = await self._call(commands)
        for done in (replies[end] for end in ends):
            if not isinstance(done, list):
                raise CacheError(f"{self.name} answered EXEC with something else than replies")
            for reply in done:
                if isinstance(reply, hiredis.ReplyError):
                    raise self._refused(str(reply))
        return list(replies[-1])

    def _refused(self, reply: str) -> CacheError:
        reply = reply.removeprefix(_ABORTED)
        code = reply.partition(" ")[0]
        if code in _LEFT_ALONE:
            return CacheUnavailable(f"{self.name} cannot serve now: {reply[:200]}")
        return CacheError(f"{self.name} refused: {_REMEDIES.get(code, reply[:200])} ({code})")

    def _unseal(self, data: bytes) -> Stored:
        if data[:4] != _SEAL_MARK or len(data) < _SEAL.size:
            return Stored(data, 0)
        _, until = _SEAL.unpack_from(data)
        return Stored(memoryview(data)[_SEAL.size :], max(0, self._link.now() - until))


def _revoked(leases: Sequence[str]) -> list[Command]:
    return [(b"DEL", *leases)] if leases else []


def _steps(
    items: Mapping[str, bytes], leases: Sequence[str]
) -> Iterator[tuple[list[tuple[str, bytes]], Sequence[str]]]:
    """Cut a write into transactions, each value with its lease, so that others are served between."""
    step: list[tuple[str, bytes]] = []
    size = begun = 0
    for key, data in items.items():
        if step and (len(step) == MGET_KEYS or size + len(data) > _STEP_BYTES):
            yield step, leases[begun : begun + len(step)]
            begun += len(step)
            step, size = [], 0
        step.append((key, data))
        size += len(data)
    yield step, leases[begun:]


def _fields(info: bytes) -> dict[str, str]:
    """Read the ``name:value`` lines of INFO."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
