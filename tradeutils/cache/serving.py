"""Talking to Redis: commands and their errors, and what a server knows of itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import hiredis

from tradeutils.cache.base import Server, Tracking, Usage
from tradeutils.cache.buckets import Buckets
from tradeutils.errors import CacheError, CacheUnavailable, Closed
from tradeutils.link.address import parse_address
from tradeutils.link.changes import Changes
from tradeutils.link.opening import open_link
from tradeutils.link.wire import Command
from tradeutils.logs import get_logger

__all__ = ["Serving", "fields"]

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
_NO_TELLING: Final = "%s does not tell of changes to keys (%s): values are not kept in this process, and waiting for the fetch of another process asks again and again"  # noqa: E501
_NO_EVICTION: Final = "%s has maxmemory-policy noeviction: when its memory is full it refuses writes instead of forgetting what is least used; set maxmemory, and maxmemory-policy allkeys-lfu"  # noqa: E501
_POLICY_SECONDS: Final = 1.0  # after the first answer: not while everything starts
_JUDGED: Final[set[str]] = set()  # servers whose policy this process has looked at
_log = get_logger("cache")


class Serving:
    """
    A server, or a cluster, that is asked; the part of the backend that knows nothing of values.

    Parameters
    ----------
    url : str
        Where it is.
    timeout : float
        Seconds within which every command must be answered.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.address = parse_address(url)
        self._changes = Changes()
        self._changes.on_refusal = lambda reason: _log.warning(_NO_TELLING, self.name, reason)
        self._link = open_link(self.address, timeout, names=Buckets(), changes=self._changes, refused=self._refused)
        self._policy_timer: asyncio.TimerHandle | None = None
        self._policy_task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Scheme, host, port and db; no user, no password."""
        return self._link.address.label

    @property
    def changes(self) -> Changes:
        """What the server tells of keys that were read and have changed since."""
        return self._changes

    # The server

    async def server(self) -> Server:
        """Describe the server, or the primaries of a cluster together; four round trips."""
        infos = [fields(info) for [info] in await self._each([(b"INFO",)])]
        info = infos[0]
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            await self._call([(b"PING",)])
            best = min(best, time.perf_counter() - began)
        return Server(
            name=info.get("server_name", "redis"),
            version=info.get("valkey_version", info.get("redis_version", "")),
            latency=best,
            used_bytes=_total(infos, "used_memory"),
            max_bytes=_total(infos, "maxmemory"),
            policy=info.get("maxmemory_policy", ""),
            evicted=_total(infos, "evicted_keys"),
        )

    async def tracking(self) -> Tracking | None:
        """Ask the server what it costs it to tell of changes; one round trip."""
        if not self._changes.is_on:
            return None
        answers = await self._link.each([(b"INFO", b"stats"), (b"INFO", b"clients"), (b"CLIENT", b"TRACKINGINFO")])
        if any(isinstance(reply, hiredis.ReplyError) for stats, clients, _ in answers for reply in (stats, clients)):
            return None
        told = [{**fields(stats), **fields(clients)} for stats, clients, _ in answers]
        mine = answers[0][2]
        flags = mine.get(b"flags", []) if isinstance(mine, dict) else []
        return Tracking(
            clients=_total(told, "tracking_clients"),
            keys=_total(told, "tracking_total_keys"),
            items=_total(told, "tracking_total_items"),
            flags=tuple(sorted(flag.decode(errors="replace") for flag in flags)),
        )

    def beat(self, seconds: float) -> None:
        """Ask for a sign of life where none has come for ``seconds``; without an answer the connection is given up."""
        self._link.beat(seconds)

    def usage(self) -> Usage:
        """Tell the state of the breaker, and how long round trips take."""
        recent = sorted(self._link.recent)
        last = len(recent) - 1
        return Usage(
            breaker="closed" if self._link.is_whole else "open",
            latency=self._link.latency,
            latency_p50=recent[last // 2] if recent else 0.0,
            latency_p99=recent[last - last // 100] if recent else 0.0,
        )

    def look_at_policy(self) -> None:
        """See in a while whether the server refuses writes when it is full, and warn of it, once for each server."""
        if self._policy_timer is None and self.name not in _JUDGED:
            loop = asyncio.get_running_loop()
            self._policy_timer = loop.call_later(_POLICY_SECONDS, self._begin_judging)

    def _begin_judging(self) -> None:
        self._policy_task = asyncio.get_running_loop().create_task(self._judge_policy(), name="tradeutils-cache-policy")

    async def _judge_policy(self) -> None:
        with suppress(CacheError, Closed):  # it may not be asked, or is away: then nothing is known
            infos = [fields(info) for [info] in await self._each([(b"INFO", b"memory")])]
            if self.name in _JUDGED:
                return
            _JUDGED.add(self.name)
            if any(info.get("maxmemory_policy") == "noeviction" for info in infos):
                _log.warning(_NO_EVICTION, self.name)

    async def _stop_judging(self) -> None:
        if self._policy_timer is not None:
            self._policy_timer.cancel()
        if self._policy_task is not None and not self._policy_task.done():
            self._policy_task.cancel()
            await asyncio.wait((self._policy_task,))

    # How it works

    async def _call(self, commands: list[Command]) -> list[Any]:
        """Send commands together; the first error reply is raised once all have been answered."""
        return self._accepted(await self._link.call(commands))

    async def _each(self, commands: list[Command]) -> list[list[Any]]:
        """Send commands to every server there is, which is one but in a cluster; errors as for `_call`."""
        return [self._accepted(replies) for replies in await self._link.each(commands)]

    def _accepted(self, replies: list[Any]) -> list[Any]:
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

    def _now(self) -> int:
        return self._link.now() if self._link.live is not None else int(time.time() * 1000)


def fields(info: bytes) -> dict[str, str]:
    """Read the ``name:value`` lines of INFO."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _total(infos: Iterable[Mapping[str, str]], name: str) -> int:
    return sum(int(info.get(name, 0)) for info in infos)
