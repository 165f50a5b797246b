"""Looking after what lies in a cache: throwing out what nobody can use, and finding out what takes the room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import hiredis

from tradeutils import codec
from tradeutils.cache import scripts
from tradeutils.cache.generations import Generations
from tradeutils.cache.keys import Keyspace
from tradeutils.cache.reports import Cleaned, Progress, Survey, grouped
from tradeutils.cache.seals import unsealed
from tradeutils.cache.sweeping import Sweeper, Walk, literal
from tradeutils.errors import CacheError, UsageError
from tradeutils.link.wire import Command

__all__ = ["Asked", "check_samples", "clean", "is_legible", "survey"]

_LOOKED_AT: Final = 88  # bytes of a value that tell its format, behind what may stand before it; see ``scripts.DROP``
_BATCH: Final = 1000
_SHARE: Final = 0.2  # of the server's time that cleaning may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    A server, as far as it is needed here.

    Attributes
    ----------
    ask : callable
        Sends commands together; errors are among the replies.
    walk : callable
        Walks the database.
    size : callable
        Returns how many keys there are.
    alone : bool
        Whether a script may touch one key only.
    """

    generations: Generations
    sweeper: Sweeper
    ask: Callable[[list[Command]], Awaitable[list[Any]]]
    walk: Walk
    size: Callable[[], Awaitable[int]]
    alone: bool


@dataclass(slots=True)
class _Tally:
    looked_at: int = 0
    dead: int = 0
    unknown: int = 0
    without_ttl: int = 0
    bytes: int = 0
    removed: int = 0


async def clean(
    asked: Asked, names: Keyspace, progress: Progress | None, *, dry_run: bool, without_ttl: bool
) -> Cleaned:
    """Walk the values of a namespace on a server; see `Cache.clean`."""
    began, tally = time.monotonic(), _Tally()
    space = asked.generations.attend(names)
    total, seen, start = await asked.size(), 0, names.value_prefix.encode()
    loop = asyncio.get_running_loop()
    step_began = loop.time()
    async with aclosing(asked.walk(literal(names.value_prefix) + "*", b"0")) as walked:
        async for _, found in walked:
            ours = [name for name in found if name.startswith(start)]  # a cluster's pattern matches others', too
            await _look(asked, ours, tally, dry_run=dry_run, without_ttl=without_ttl)
            seen = min(total, seen + _BATCH)
            if progress is not None:
                progress(seen, total)
            await asyncio.sleep((loop.time() - step_began) * (1 / _SHARE - 1))
            step_began = loop.time()
    if not dry_run:
        await asked.sweeper.complete(space)
    if progress is not None:
        progress(total, total)
    counts = {name: getattr(tally, name) for name in _Tally.__slots__}
    return Cleaned(**counts, seconds=time.monotonic() - began)


async def _look(asked: Asked, found: Sequence[bytes], tally: _Tally, *, dry_run: bool, without_ttl: bool) -> None:
    if not found:
        return
    commands: list[Command] = []
    for name in found:
        commands += [(b"GETRANGE", name, 0, _LOOKED_AT - 1), (b"PTTL", name), (b"STRLEN", name)]
    replies = await asked.ask(commands)
    await asked.generations.settle()
    doomed: list[tuple[bytes, bytes, str]] = []
    for name, head, left, size in zip(found, replies[::3], replies[1::3], replies[2::3], strict=True):
        if left == -2 or isinstance(left, hiredis.ReplyError):  # it went meanwhile, or is not for us to judge
            continue
        if isinstance(head, hiredis.ReplyError) and not str(head).startswith("WRONGTYPE"):
            raise CacheError(f"values cannot be looked at: {str(head)[:200]}")
        data, length = (head, int(size)) if isinstance(head, bytes) else (b"", 0)
        tally.looked_at += 1
        why = _why(asked.generations, name, data, length, is_lasting=without_ttl and left == -1)
        if why:
            doomed.append((name, data, why))
            tally.bytes += length
            setattr(tally, why, getattr(tally, why) + 1)
    if doomed and not dry_run:
        tally.removed += await _drop(asked, doomed)


def _why(generations: Generations, name: bytes, data: bytes, length: int, *, is_lasting: bool) -> str:
    """Return why a value is to go; empty: it is not."""
    if not generations.counts(name.decode(errors="replace"), data):
        return "dead"
    if not is_legible(data, is_whole=length <= len(data)):
        return "unknown"
    return "without_ttl" if is_lasting else ""


async def _drop(asked: Asked, doomed: list[tuple[bytes, bytes, str]]) -> int:
    """Remove values, unless they have changed since they were looked at."""
    groups = [[one] for one in doomed] if asked.alone else [doomed]
    commands: list[Command] = []
    for group in groups:
        flags = "".join("t" if why == "without_ttl" else "-" for _, _, why in group)
        keys, heads = [name for name, _, _ in group], [head for _, head, _ in group]
        commands.append((b"EVAL", scripts.DROP, len(keys), *keys, *heads, flags))
    replies = await asked.ask(commands)
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise CacheError(f"values cannot be removed: {str(reply)[:200]}")
    return sum(replies)


def is_legible(data: bytes, *, is_whole: bool) -> bool:
    """Tell by its first bytes whether a value as it lies there can be read by this version."""
    stored = unsealed(data, 0)
    return stored is None or codec.is_known(bytes(stored.data), is_whole=is_whole)


async def survey(asked: Asked, names: Keyspace, samples: int) -> Survey:
    """Look at keys of a server by chance; see `Cache.survey`."""
    keys = await asked.size()
    if keys <= samples:
        found = [name async for _, some in asked.walk("*", b"0") for name in some]
        found = list(dict.fromkeys(found))
    else:
        found = []
        for start in range(0, samples, _BATCH):
            replies = await asked.ask([(b"RANDOMKEY",)] * min(_BATCH, samples - start))
            found += [name for name in _accepted(replies) if name is not None]
    weighed: list[tuple[bytes, int]] = []
    for start in range(0, len(found), _BATCH):
        some = found[start : start + _BATCH]
        sizes = _accepted(await asked.ask([(b"MEMORY", b"USAGE", name) for name in some]))
        # On a cluster the names of others cannot be asked for: they are counted, and weigh nothing.
        sizes = [0 if size is None and asked.alone else size for size in sizes]
        weighed += [(name, size) for name, size in zip(some, sizes, strict=True) if size is not None]
    scale = keys / len(weighed) if weighed and keys > samples else 1.0
    return Survey(keys=keys, samples=len(weighed), is_exact=keys <= samples, prefixes=grouped(weighed, names, scale))


def check_samples(samples: Any) -> int:
    """Return how many keys are to be looked at, if it can be."""
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= 1_000_000:
        raise UsageError(f"samples was {samples!r}; write how many keys to look at, 1 to 1,000,000")
    return samples


def _accepted(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise CacheError(f"the server does not tell what its keys take: {str(reply)[:200]}")
    return replies
