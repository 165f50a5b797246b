"""The cache on Redis or Valkey."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import hiredis

from tradeutils.cache import scripts
from tradeutils.cache.base import Claim, Grant, Lease, Server, Stored, Tracking, Usage, check_size
from tradeutils.cache.seals import MARKED, sealed, unsealed
from tradeutils.errors import CacheError, CacheUnavailable, Closed
from tradeutils.link.address import parse_address
from tradeutils.link.changes import Changes, Reading
from tradeutils.link.link import Link
from tradeutils.link.wire import MGET_KEYS, UNWATCHED, Command
from tradeutils.logs import get_logger

__all__ = ["Redis"]

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

_LONGEST_LEASE: Final = 600_000  # milliseconds after which a lease that does not say when it ends is looked at again
_COUNTER_MS: Final = 86_400_000  # how long the counter of a lock is kept; the clock serves without it
_NO_TELLING: Final = "%s does not tell of changes to keys (%s): values are not kept in this process, and waiting for the fetch of another process asks again and again"  # noqa: E501
_log = get_logger("cache")


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
        self._changes = Changes()
        self._changes.on_refusal = lambda reason: _log.warning(_NO_TELLING, self.name, reason)
        self._link = Link(self.address, timeout, changes=self._changes, refused=self._refused)
        self._tells_holder = True  # SET NX GET: Redis >= 7 and Valkey; found out by asking

    @property
    def name(self) -> str:
        """Scheme, host, port and db; no user, no password."""
        return self._link.address.label

    @property
    def changes(self) -> Changes:
        """What the server tells of keys that were read and have changed since."""
        return self._changes

    def __repr__(self) -> str:
        return f"Redis({self.name!r})"

    # Values

    @property
    def marked(self) -> bytes:
        """How seals begin."""
        return MARKED

    def ask(self, key: str) -> asyncio.Future[bytes | None] | None:
        """Begin to read one value as it lies there; ``None`` without a connection. What `get` is made of."""
        wire = self._link.live
        return None if wire is None else wire.get(key)

    async def ask_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read many values as they lie there; what `get_many` is made of."""
        commands = _gets(keys)
        if self._link.live is None or not self._link.live.is_tracked:
            return self._read(await self._call(commands))
        commands = [command for get in commands for command in (UNWATCHED, get)]
        return self._read((await self._call(commands))[1::2])

    def open(self, data: bytes) -> Stored | None:
        """Return the value in what was read."""
        return unsealed(data, self._link.now()) if data[:1] == MARKED else Stored(data, 0)

    async def get(self, key: str, reading: Reading = Reading.PLAIN) -> Stored | None:
        """Read one value; one round trip, shared with every other get of this turn of the loop."""
        wire = self._link.live
        if wire is None:
            return (await self.get_many([key], reading))[0]
        found = await wire.get(key, reading)
        if reading is Reading.TIMED:
            return self._timed(*found)
        return None if found is None else self.open(found)

    async def get_many(self, keys: Sequence[str], reading: Reading = Reading.PLAIN) -> list[Stored | None]:
        """Read many values; one round trip, in steps of 512 keys so that others are served between."""
        if not keys:
            return []
        if reading is Reading.TIMED:
            commands = [*_gets(keys), *((b"PTTL", key) for key in keys)]
            replies = await self._call(commands)
            values = self._read(replies[: -len(keys)])
            return [self._timed(data, left) for data, left in zip(values, replies[-len(keys) :], strict=True)]
        values = await self.ask_many(keys) if reading is Reading.PLAIN else self._read(await self._call(_gets(keys)))
        return [data if data is None else self.open(data) for data in values]

    async def set_many(self, items: Mapping[str, bytes], ttl: int | None, leases: Sequence[str]) -> None:
        """
        Write values; one round trip. If it raises, some may have been written.

        A value and its lease go in one transaction: a fetch that claimed before it cannot store what is older, and
        one that claims after it finds the new value.
        """
        for key, data in items.items():
            check_size(data, key)
        expiry: Command = () if ttl is None else (b"PX", ttl)
        with self._changing(items):
            await self._transact(
                [*_revoked(names), *((b"SET", key, data, *expiry) for key, data in step)]
                for step, names in _steps(items, leases)
            )

    async def delete(self, keys: Sequence[str], leases: Sequence[str]) -> int:
        """Remove values and revoke their leases in one transaction; one round trip."""
        with self._changing(keys):
            replies = await self._transact([[*_revoked(leases), (b"UNLINK", *keys)]])
        return int(replies[-1])

    async def invalidate(self, prefix: str, lease_prefix: str, epoch_name: str) -> int:
        """
        Remove the values under a prefix; a round trip for each 1000 keys on the server.

        The epoch goes first, so that no fetch that began before can store its outcome behind the sweep.
        """
        await self._call([(b"SET", epoch_name, secrets.token_hex(8))])
        removed = 0
        self._changes.note_all()
        try:
            async for values, leases in self._sweep(prefix, lease_prefix):
                if leases:
                    await self._call([(b"UNLINK", *leases)])
                if values:
                    removed += int((await self._call([(b"UNLINK", *values)]))[0])
        finally:
            self._changes.note_all()
        return removed

    async def scan(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys under a prefix, each once; keys that are not UTF-8 are not ours and are left out."""
        seen: set[bytes] = set()
        async for names, _ in self._sweep(prefix, prefix):
            for name in names:
                if name not in seen:
                    seen.add(name)
                    try:
                        key = name.decode()
                    except UnicodeDecodeError:
                        continue
                    yield key

    async def _sweep(self, prefix: str, other: str) -> AsyncIterator[tuple[list[bytes], list[bytes]]]:
        """Walk the database once, and yield the keys under ``prefix`` and those under ``other``, of the same length."""
        pattern = "".join(_literal(one) if one == two else "?" for one, two in zip(prefix, other, strict=True)) + "*"
        first, second = prefix.encode(), other.encode()
        cursor: bytes | None = None
        while cursor != b"0":
            [(cursor, names)] = await self._call([(b"SCAN", cursor or b"0", b"MATCH", pattern, b"COUNT", _SCAN_COUNT)])
            found = [name for name in names if name.startswith(first)]
            others = [name for name in names if name.startswith(second)] if other != prefix else []
            if found or others:
                yield found, others

    # Leases and locks

    async def claim(self, key: str, lease_name: str, epoch_name: str, token: bytes, ttl: int) -> Claim:
        """
        Ask for a lease; one command where it is refused, another where it is granted.

        Plain commands and no script, which would cost each of many processes that are refused as much as the one that
        is not: 64 of them ask at once. Its token tells those when it ends, so that nobody has to ask.
        """
        ends = self._link.now() + ttl if self._link.live is not None else 0
        lease = Lease(lease_name, b"%d:%b" % (ends, token), epoch_name, b"")
        holder = await self._grant(lease, ttl)
        if holder is not None:
            return Claim(None, None, await self._held_for(lease_name, holder))
        try:
            [[data, epoch]] = await self._call([(b"MGET", key, epoch_name)])
        except BaseException:
            with suppress(CacheError, Closed):  # it lapses by itself
                await self.release(lease_name, lease.token)
            raise
        return Claim(lease._replace(epoch=epoch or b""), None if data is None else self.open(data))

    async def _grant(self, lease: Lease, ttl: int) -> bytes | None:
        """Take a lease; where another holds it, return what lies there, or no bytes where that is not told."""
        command: Command = (b"SET", lease.name, lease.token, b"PX", ttl, b"NX")
        if self._tells_holder:
            [reply] = await self._link.call([(*command, b"GET")])
            if not isinstance(reply, hiredis.ReplyError):
                return None if reply is None else bytes(reply)
            if "syntax" not in str(reply):
                raise self._refused(str(reply))
            self._tells_holder = False
        return None if (await self._call([command]))[0] is not None else b""

    async def _held_for(self, name: str, holder: bytes) -> float:
        """Return the milliseconds for which a lease is held: by its token or, where it was prolonged, by asking."""
        told = holder.partition(b":")[0]
        left = int(told) - self._link.now() if told.isdigit() and len(told) < 16 else 0
        if 0 < left <= _LONGEST_LEASE:
            return left
        [left] = await self._call([(b"PTTL", name)])
        return float(min(max(left, 0), _LONGEST_LEASE)) if left != -1 else float(_LONGEST_LEASE)

    async def commit(self, key: str, data: bytes, ttl: int | None, stale: int, lease: Lease, cost: int = 0) -> bool:
        """Store the outcome of a fetch if its lease still stands; one script, one round trip."""
        check_size(data, key)
        life = b"" if ttl is None else ttl + stale
        if ttl is not None and (stale or cost):
            data = sealed(data, self._link.now() + ttl, cost)
        keys = (lease.name, key, lease.epoch_name)
        with self._changing([key]):
            replies = await self._call(
                [(b"EVAL", scripts.COMMIT, 3, *keys, lease.token, lease.epoch, data, life)],
            )
        return bool(replies[0])

    async def abandon(self, key: str, lease: Lease) -> None:
        """Give a lease back with nothing stored, and wake who waits; one script, one round trip."""
        await self._call([(b"EVAL", scripts.ABANDON, 2, lease.name, key, lease.token)])

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        """Take a lock if it is free; one round trip."""
        return (await self._call([(b"SET", name, token, b"NX", b"PX", ttl)]))[0] is not None

    async def acquire_fenced(self, name: str, counter: str, token: bytes, ttl: int) -> Grant:
        """Take a lock if it is free, and a number with it; one script, one round trip."""
        lowest = self._link.now() * 1000 if self._link.live is not None else int(time.time() * 1_000_000)
        [[fence, left]] = await self._call(
            [(b"EVAL", scripts.ACQUIRE_FENCED, 2, name, counter, token, ttl, lowest, _COUNTER_MS)]
        )
        return Grant(fence, float(left) if left >= 0 else float(_LONGEST_LEASE))

    async def extend(self, name: str, token: bytes, ttl: int) -> bool:
        """Prolong a lock or lease that is still ours; one round trip."""
        return bool((await self._call([(b"EVAL", scripts.EXTEND, 1, name, token, ttl)]))[0])

    async def release(self, name: str, token: bytes) -> bool:
        """Give a lock or lease back; one round trip."""
        return bool((await self._call([(b"EVAL", scripts.RELEASE, 1, name, token)]))[0])

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

    async def tracking(self) -> Tracking | None:
        """Ask the server what it costs it to tell of changes; one round trip."""
        if not self._changes.is_on:
            return None
        stats, clients, mine = await self._link.call(
            [(b"INFO", b"stats"), (b"INFO", b"clients"), (b"CLIENT", b"TRACKINGINFO")]
        )
        if isinstance(stats, hiredis.ReplyError) or isinstance(clients, hiredis.ReplyError):
            return None
        told = {**_fields(stats), **_fields(clients)}
        flags = mine.get(b"flags", []) if isinstance(mine, dict) else []
        return Tracking(
            clients=int(told.get("tracking_clients", 0)),
            keys=int(told.get("tracking_total_keys", 0)),
            items=int(told.get("tracking_total_items", 0)),
            flags=tuple(sorted(flag.decode(errors="replace") for flag in flags)),
        )

    def beat(self, seconds: float) -> None:
        """Ask for a sign of life where none has come for ``seconds``; without an answer the connection is given up."""
        self._link.beat(seconds)

    def usage(self) -> Usage:
        """Tell the state of the breaker and the mean latency."""
        return Usage(breaker="closed" if self._link.is_whole else "open", latency=self._link.latency)

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

    def _read(self, replies: list[Any]) -> list[bytes | None]:
        values: list[bytes | None] = []
        for reply in replies:
            if not isinstance(reply, list):
                raise CacheError(f"{self.name} answered MGET with something else than values")
            values += reply
        return values

    def _refused(self, reply: str) -> CacheError:
        reply = reply.removeprefix(_ABORTED)
        code = reply.partition(" ")[0]
        if code in _LEFT_ALONE:
            return CacheUnavailable(f"{self.name} cannot serve now: {reply[:200]}")
        return CacheError(f"{self.name} refused: {_REMEDIES.get(code, reply[:200])} ({code})")

    def _timed(self, data: bytes | None, left: Any) -> Stored | None:
        """Return a value with how long it is fresh: what its seal says, or else PTTL; nothing, if that failed."""
        stored = None if data is None else self.open(data)
        if stored is None or stored.left is not None:
            return stored
        life = left if isinstance(left, int) and left >= -1 else 0
        return stored._replace(left=float("inf") if life == -1 else float(life))

    @contextmanager
    def _changing(self, keys: Iterable[str]) -> Iterator[None]:
        """
        Let no older value of ``keys`` be served in this process from now on, nor once the server has answered.

        The server tells us of our own writes as of others', but after its answer: perhaps in another packet.
        """
        names = list(keys)
        self._changes.note(names)
        try:
            yield
        finally:
            self._changes.note(names)


def _literal(char: str) -> str:
    return "\\" + char if char in "*?[]\\^-" else char


def _gets(keys: Sequence[str]) -> list[Command]:
    return [(b"MGET", *keys[start : start + MGET_KEYS]) for start in range(0, len(keys), MGET_KEYS)]


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
