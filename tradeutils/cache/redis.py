"""The cache on Redis or Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import hiredis

from tradeutils.cache import scripts, upkeep
from tradeutils.cache.base import Claim, Lease, Stored, check_size
from tradeutils.cache.generations import Generations
from tradeutils.cache.hashes import RedisHashes
from tradeutils.cache.keys import Keyspace
from tradeutils.cache.locking import Locking
from tradeutils.cache.reports import Cleaned, Progress, Survey
from tradeutils.cache.seals import ENDED, HEAD_BYTES, MARKED, sealed, unsealed
from tradeutils.cache.sweeping import Sweeper, literal
from tradeutils.errors import CacheError
from tradeutils.link.changes import Reading
from tradeutils.link.wire import MGET_KEYS, UNWATCHED, Command

__all__ = ["Redis"]

_STEP_BYTES: Final = 8 << 20  # of values in one transaction: the server keeps them aside until all have come
_SCAN_COUNT: Final = 1000  # keys the server looks at in one step: about 0.3 ms during which it serves nobody else
_DOOMED_MS: Final = 50.0  # after which a lease is asked for again that an invalidation takes away


class Redis(Locking, RedisHashes):
    """
    A `Backend` on Redis (>= 6) or Valkey, over one shared connection to each server.

    Parameters
    ----------
    url : str
        One server, a cluster or sentinels: any URL that `tradeutils.link.address` reads.
    timeout : float
        Seconds within which every command must be answered.

    Notes
    -----
    What is asked in one turn of the event loop travels together: single gets as one MGET, the rest as one pipeline.
    A key of another Redis type than string reads as missing and is overwritten, as with MGET. A write that raised
    `CacheUnavailable` may still have happened.
    """

    def __init__(self, url: str, *, timeout: float = 0.25) -> None:
        super().__init__(url, timeout)
        self._generations = Generations(self._changes, self._read_watched, self.look_at_policy)
        self._sweeper = Sweeper(
            self._generations,
            self._changes,
            call=self._call,
            walk=self._walk,
            now=self._now,
            alone=self.address.kind == "cluster",
        )

    def __repr__(self) -> str:
        return f"Redis({self.name!r})"

    # Values

    @property
    def marked(self) -> bytes:
        """How seals begin."""
        return MARKED

    @property
    def quiet(self) -> bool:
        """Whether what was asked for and has come counts for sure."""
        return self._generations.quiet

    def attend(self, names: Keyspace) -> None:
        """Take a namespace into account: what has been invalidated in it reads as missing before it is removed."""
        self._generations.attend(names)

    def ask(self, key: str) -> asyncio.Future[bytes | None] | None:
        """Begin to read one value as it lies there; ``None`` where only `get` can."""
        wire = self._link.live
        return wire.get(key) if wire is not None and self._generations.quiet else None

    async def ask_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read many values as they lie there; what `get_many` is made of."""
        commands = _gets(keys)
        if self._link.live is None or not self._link.live.is_tracked:
            values = self._read(await self._call(commands))
        else:
            if not self._generations.quiet:
                self._generations.ask(self._link.live)
            commands = [command for get in commands for command in (UNWATCHED, get)]
            values = self._read((await self._call(commands))[1::2])
        return values if self._generations.quiet else await self.counting(keys, values)

    async def counting(self, keys: Sequence[str], values: list[bytes | None]) -> list[bytes | None]:
        """Return what was read without what had been invalidated before it was asked for."""
        there = next((key for key, data in zip(keys, values, strict=True) if data is not None), None)
        if there is None:
            return values
        await self._generations.settle(self._beside(there))
        counts = self._generations.counts
        return [
            data if data is not None and counts(key, data) else None for key, data in zip(keys, values, strict=True)
        ]

    def open(self, data: bytes) -> Stored | None:
        """Return the value in what was read."""
        return unsealed(data, self._link.now()) if data[:1] == MARKED else Stored(data, 0)

    async def get(self, key: str, reading: Reading = Reading.PLAIN) -> Stored | None:
        """Read one value; one round trip, shared with every other get of this turn of the loop."""
        wire = self._link.live
        if wire is None:
            return (await self.get_many([key], reading))[0]
        if not self._generations.quiet:
            self._generations.ask(wire)
        found = await wire.get(key, reading)
        data, left = found if reading is Reading.TIMED else (found, None)
        if not self._generations.quiet:
            [data] = await self.counting([key], [data])
        if reading is Reading.TIMED:
            return self._timed(data, left)
        return None if data is None else self.open(data)

    async def get_many(self, keys: Sequence[str], reading: Reading = Reading.PLAIN) -> list[Stored | None]:
        """Read many values; one round trip, in steps of 512 keys so that others are served between."""
        if not keys:
            return []
        if reading is Reading.TIMED:
            commands = [*_gets(keys), *((b"PTTL", key) for key in keys)]
            replies = await self._call(commands)
            values = self._read(replies[: -len(keys)])
            if not self._generations.quiet:
                values = await self.counting(keys, values)
            return [self._timed(data, left) for data, left in zip(values, replies[-len(keys) :], strict=True)]
        if reading is Reading.PLAIN:
            values = await self.ask_many(keys)
        else:
            values = await self.counting(keys, self._read(await self._call(_gets(keys))))
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
        generations, stamps = self._generations, await self._stamps(items)
        with self._changing(items):
            while True:
                version = generations.version
                stamped = _stamped(items, stamps)
                await self._transact(
                    [*_revoked(names), *((b"SET", key, data, *expiry) for key, data in step)]
                    for step, names in _steps(stamped, leases)
                )
                if generations.version == version:
                    return
                before, stamps = stamps, await self._stamps(items)
                if all(before.get(key, 0) >= stamp for key, stamp in stamps.items()):
                    return  # else something was invalidated before they were written, and has killed them too

    async def delete(self, keys: Sequence[str], leases: Sequence[str]) -> int:
        """Remove values and revoke their leases in one transaction; one round trip."""
        dead = 0
        if not self._generations.quiet and await self._stamps(keys):
            there = self._read(await self._call(_gets(keys)))
            dead = sum(data is not None for data in there)
            dead -= sum(data is not None for data in await self.counting(keys, there))
        with self._changing(keys):
            replies = await self._transact([[*_revoked(leases), (b"UNLINK", *keys)]])
        return max(0, int(replies[-1]) - dead)

    async def invalidate(self, names: Keyspace, prefix: str, *, wait: bool = False) -> int:
        """Let the values under a prefix be dead; some are removed at once, and the rest in the background."""
        return await self._sweeper.invalidate(self._generations.attend(names), prefix, wait=wait)

    async def clean(self, names: Keyspace, progress: Progress | None, *, dry_run: bool, without_ttl: bool) -> Cleaned:
        """Walk the values and remove those nobody can use; a fifth of the server's time."""
        return await upkeep.clean(self._asked(), names, progress, dry_run=dry_run, without_ttl=without_ttl)

    async def survey(self, names: Keyspace, samples: int) -> Survey:
        """Look at keys by chance; two round trips for a thousand, 13 ms of the server's time."""
        return await upkeep.survey(self._asked(), names, samples)

    def _asked(self) -> upkeep.Asked:
        return upkeep.Asked(
            generations=self._generations,
            sweeper=self._sweeper,
            ask=self._link.call,
            walk=self._walk,
            size=self._size,
            alone=self.address.kind == "cluster",
        )

    async def _size(self) -> int:
        return sum(int(size) for [size] in await self._each([(b"DBSIZE",)]))

    async def scan(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys under a prefix, each once; keys that are not UTF-8 are not ours and are left out."""
        seen: set[str] = set()
        async for _, found in self._walk(literal(prefix) + "*", b"0"):
            texts = (key for name in found if (key := _text(name)) is not None)
            keys = [key for key in texts if key.startswith(prefix) and key not in seen]
            seen.update(keys)
            for key in keys if self._generations.quiet else await self._alive(keys):
                yield key

    async def _alive(self, keys: list[str]) -> list[str]:
        if not await self._stamps(keys):
            return keys
        heads = await self._link.call([(b"GETRANGE", key, 0, HEAD_BYTES - 1) for key in keys])
        counts = self._generations.counts
        return [
            key for key, head in zip(keys, heads, strict=True) if counts(key, head if isinstance(head, bytes) else b"")
        ]

    async def _walk(self, pattern: str, cursor: bytes) -> AsyncGenerator[tuple[bytes, list[bytes]], None]:
        """Walk the database; yields where to go on, and the names that match."""
        while True:
            command = (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", _SCAN_COUNT)
            [(cursor, found)] = await self._call([command])
            yield cursor, found
            if cursor == b"0":
                return

    # Leases

    async def claim(self, key: str, lease_name: str, epoch_name: str, token: bytes, ttl: int) -> Claim:
        """
        Ask for a lease; one command where it is refused, another where it is granted.

        Plain commands and no script, which would cost each of many processes that are refused as much as the one that
        is not: 64 of them ask at once. Its token tells those when it ends, so that nobody has to ask.
        """
        ends = self._link.now() + ttl if self._link.live is not None else 0
        lease = Lease(lease_name, b"%d:%b" % (ends, token), epoch_name, b"")
        holder = await self._doubts.answer(self._grant(lease, ttl), lease_name, lease.token, ttl)
        if holder is not None:
            left = await self._held_for(lease_name, holder, ttl)
            if not self._generations.quiet and self._generations.wanted(key):  # it may be taken away any time now
                left = min(left, _DOOMED_MS)
            return Claim(None, None, left)
        try:
            [[data, epoch]] = await self._call([(b"MGET", key, epoch_name)])
            if data is not None and not self._generations.quiet:
                [data] = await self.counting([key], [data])
        except BaseException:
            await self._doubts.give_back(lease_name, lease.token, ttl)
            raise
        return Claim(lease._replace(epoch=epoch or b""), None if data is None else self.open(data))

    async def commit(self, key: str, data: bytes, ttl: int | None, stale: int, lease: Lease, cost: int = 0) -> bool:
        """Store the outcome of a fetch if its lease still stands; one script, one round trip."""
        check_size(data, key)
        life = b"" if ttl is None else ttl + stale
        stamp = (await self._stamps([key])).get(key, 0)
        if ttl is not None and (stale or cost):
            data = sealed(data, self._link.now() + ttl, cost, stamp)
        elif stamp:
            data = sealed(data, 0, 0, stamp)
        keys = (lease.name, key, lease.epoch_name)
        with self._changing([key]):
            replies = await self._call(
                [(b"EVAL", scripts.COMMIT, 3, *keys, lease.token, lease.epoch, data, life)],
            )
        return bool(replies[0])

    async def abandon(self, key: str, lease: Lease) -> None:
        """
        Give a lease back with nothing stored, and wake who waits; one script, one round trip.

        Who may run no scripts does it less carefully, in two steps: at worst another's fetch is not stored. Otherwise
        each of his fetches, none of which can be stored, would be followed by seconds in which everybody waits.
        """
        [reply] = await self._link.call([(b"EVAL", scripts.ABANDON, 2, lease.name, key, lease.token)])
        if isinstance(reply, hiredis.ReplyError):
            if not str(reply).startswith("NOPERM"):
                raise self._refused(str(reply))
            await self._call([(b"DEL", lease.name), (b"SET", key, ENDED, b"PX", 1, b"NX")])

    def rebind(self) -> None:
        """Forget the connection of an event loop that has closed."""
        self._generations.forget()
        self._sweeper.forget()
        self._policy_timer = self._policy_task = None
        self._doubts.forget()
        self._link.rebind()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stop_judging()
        await self._sweeper.aclose()
        await self._doubts.aclose()
        await self._link.aclose()

    # How it works

    async def _read_watched(self, names: list[str]) -> list[bytes | None]:
        return self._read(await self._call([(b"MGET", *names)]))

    async def _stamps(self, keys: Iterable[str]) -> Mapping[str, int]:
        """Return the generation that values must say they are of, for those of ``keys`` that are being swept."""
        names = list(keys)
        if self._generations.quiet or not names:
            return {}
        await self._generations.settle(self._beside(names[0]))
        return self._generations.stamps(names)

    def _beside(self, key: str) -> str | None:
        """Return a small thing that lies where ``key`` does, in a cluster."""
        if self.address.kind != "cluster":
            return None
        namespace, _, rest = key.partition(":")
        return f"{namespace}:lease:{rest.partition(':')[2]}"

    def _read(self, replies: list[Any]) -> list[bytes | None]:
        values: list[bytes | None] = []
        for reply in replies:
            if not isinstance(reply, list):
                raise CacheError(f"{self.name} answered MGET with something else than values")
            values += reply
        return values

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


def _text(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


def _gets(keys: Sequence[str]) -> list[Command]:
    return [(b"MGET", *keys[start : start + MGET_KEYS]) for start in range(0, len(keys), MGET_KEYS)]


def _stamped(items: Mapping[str, bytes], stamps: Mapping[str, int]) -> Mapping[str, bytes]:
    """Return values that say of which generation they are, where they must."""
    return (
        {**items, **{key: sealed(items[key], generation=stamp) for key, stamp in stamps.items()}} if stamps else items
    )


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
