"""Fetches under way: one for all who ask, in this process and, by a lease in the backend, across processes."""

from __future__ import annotations

import asyncio
import inspect
import random
import secrets
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, cast

from tradeutils import codec
from tradeutils.cache.base import Backend, Encoded, Lease, Stored
from tradeutils.cache.events import EventKind, Events
from tradeutils.cache.keys import Keyspace
from tradeutils.cache.stats import Counters
from tradeutils.errors import CacheError, CacheUnavailable, Closed, UsageError
from tradeutils.link.changes import Reading
from tradeutils.logs import get_logger

__all__ = ["Fetch", "Flights", "Job", "is_due"]

Fetch = Callable[[], Awaitable[Any]]

_LEASE_MS: Final = 3000  # how long others wait for a process that died while fetching
_RENEWALS: Final = 100  # a fetch of more than 100 s is taken for hung: its lease lapses and another process may try
_REFRESH_PAUSE_MS: Final = 1000  # between a background fetch that failed and the next
_FIRST_POLL: Final = 0.002  # seconds between looks at another process's fetch, where the backend does not tell of its
_LONGEST_POLL: Final = 0.1  # end; from the first they grow to the longest
_GRACE_MS: Final = 2.0  # after the end of a lease, by a clock that we know to the millisecond
# Beta of XFetch. Measured with 64 who ask ten times a second for a value of 1 s whose fetch takes 50 ms: 1.0, as in the
# paper, makes 1.2 to 1.3 fetches a ttl, this 1.05, and as few callers wait: those before the first fetch.
_EAGERNESS: Final = 0.6
_SHARED_NONE_MS: Final = 1000  # how long the None of a fetch lies there for those who were waiting for it

_NONE: Final = codec.dumps(None)

# The fetch in which the running code takes part.
_ABOARD: Final[ContextVar[asyncio.Task[Encoded | None] | None]] = ContextVar("aboard", default=None)

# Which fetches each fetch waits for, among all caches: one may be made of others, but not of itself.
_AWAITED: Final[dict[asyncio.Task[Encoded | None], list[asyncio.Task[Encoded | None]]]] = {}

_log = get_logger("cache")


@dataclass(frozen=True, slots=True)
class Job:
    """A fetch to be done, and how its outcome is to be stored; times in milliseconds."""

    key: str
    fetch: Fetch
    ttl: int | None
    stale: int
    early: bool = False  # its cost is to be noted
    keep_none: bool = False  # None is to be stored like any value
    since: int = 0  # the number of the backend's changes before the value was looked for
    damaged: Encoded | None = None  # what lies there and cannot be read: no reason not to fetch
    renews: int = 0  # when the value that is to be replaced ends: another one since has been renewed by somebody


class _Outcome(NamedTuple):
    """What a fetch brought; ``cost``: milliseconds it took."""

    data: bytes
    cost: int


class Flights:
    """The fetches of one cache; at most one for each key at a time."""

    def __init__(
        self,
        backend: Backend,
        keyspace: Keyspace,
        counters: Counters,
        events: Events,
        encode: Callable[[Any], bytes],
    ) -> None:
        self._backend = backend
        self._keyspace = keyspace
        self._counters = counters
        self._events = events
        self._encode = encode
        self._warned = ""
        self._flights: dict[str, asyncio.Task[Encoded | None]] = {}
        self._tasks: set[asyncio.Task[Encoded | None]] = set()  # detached ones too
        self._refused: weakref.WeakSet[asyncio.Task[Encoded | None]] = weakref.WeakSet()  # by the backend
        # By what this process did: whoever waits for one of these asked before that.
        self._overtaken_here: weakref.WeakSet[asyncio.Task[Encoded | None]] = weakref.WeakSet()

    async def join(self, job: Job) -> Encoded:
        """
        Return the encoded outcome of the fetch under way for this key, or of a new one.

        A caller that is cancelled leaves alone: the fetch goes on for the others and for the cache. An error of the
        fetch is raised in every caller that waits for it, and not remembered. Where another process deleted the key
        meanwhile, who joined the fetch may have done so after that, and waits for a new one.
        """
        first = True
        while True:
            flight = self._flights.get(job.key)
            joined, first = first and flight is not None, False  # one that had begun before this call
            if flight is None:
                flight = self._start(job, refresh=False)
            elif _waits_for_us(flight):
                raise UsageError(f"the fetch of {job.key!r} asks for {job.key!r} itself, so neither could ever end")
            else:
                self._counters.shared += 1
            with _waiting(flight):
                await asyncio.wait((flight,))
            if flight.cancelled():
                raise Closed(f"the cache on {self._backend.name} was closed while {job.key!r} was fetched")
            data = flight.result()
            overtaken = joined and flight in self._refused and flight not in self._overtaken_here
            if data is not None and not overtaken:  # None: a refresh that found another process at it
                return data

    def refresh(self, job: Job) -> None:
        """Fetch in the background, unless this or another process is at it; a failure is logged and counted."""
        if job.key not in self._flights:
            self._start(job, refresh=True).add_done_callback(self._report)

    def detach(self, key: str) -> None:
        """Let the next caller begin anew: what is being fetched may be older than what was just written."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            self._overtaken_here.add(flight)

    def detach_prefix(self, prefix: str) -> None:
        """Detach every key that starts with ``prefix``."""
        self._overtaken_here.update(self._flights.values())  # the backend will store none of them
        for key in [key for key in self._flights if key.startswith(prefix)]:
            del self._flights[key]

    def forget(self) -> None:
        """Drop the tasks of an event loop that has closed."""
        self._flights.clear()
        self._tasks.clear()

    async def aclose(self) -> None:
        """Cancel what is under way; those who wait get `Closed`."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, job: Job, *, refresh: bool) -> asyncio.Task[Encoded | None]:
        task = asyncio.get_running_loop().create_task(self._fly(job, refresh=refresh), name=f"fetch {job.key!r}")
        self._flights[job.key] = task
        self._tasks.add(task)

        def landed(task: asyncio.Task[Encoded | None]) -> None:
            self._tasks.discard(task)
            if self._flights.get(job.key) is task:
                del self._flights[job.key]
            error = None if task.cancelled() else task.exception()  # seen, even if every caller has left
            if error is not None and self._events.callbacks:
                self._events.tell("error", job.key, error=type(error).__name__)

        task.add_done_callback(landed)
        return task

    def _report(self, task: asyncio.Task[Encoded | None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._counters.errors += 1
            _log.warning("background %s failed: %s: %s", task.get_name(), type(error).__name__, error)

    async def _fly(self, job: Job, *, refresh: bool) -> Encoded | None:
        """Fetch under a lease, or wait for the process that holds it; without a backend, fetch all the same."""
        value, lease_name = self._keyspace.value(job.key), self._keyspace.lease(job.key)
        token, since, pause = secrets.token_hex(8).encode(), job.since, _FIRST_POLL
        began = time.monotonic()
        while True:
            try:
                claim = await self._backend.claim(value, lease_name, self._keyspace.epoch, token, _LEASE_MS)
            except CacheError as error:
                self._count(error)
                return (await self._fetch(job)).data
            if claim.lease is not None:
                if claim.stored is not None and _serves(claim.stored, job):
                    await self._give_back(job, claim.lease)
                    return claim.stored.data
                return await self._fetch_under(claim.lease, job, refresh=refresh)
            if refresh:
                return None
            if await self._ended(value, since, claim.ends, pause):
                since = self._backend.changes.number
                found = await self._look(value)
                if found is not None and (_serves(found, job) or _is_shared_none(found, began)):
                    return found.data
            pause = min(pause * 1.6, _LONGEST_POLL)

    async def _ended(self, value: str, since: int, ends: float, pause: float) -> bool:
        """
        Wait until the fetch of another process is over, or its lease; return whether there may be a value.

        Where the backend tells of changes, nothing is asked meanwhile. Where it does not, polling is what is left, with
        jitter that keeps many processes from asking in step.
        """
        changes = self._backend.changes
        if changes.is_on:
            return await changes.wait(value, since, (ends + _GRACE_MS) / 1000)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        return True

    async def _look(self, value: str) -> Stored | None:
        try:
            return await self._backend.get(value, Reading.WATCHED)
        except CacheError as error:
            self._count(error)
            return None

    async def _fetch_under(self, lease: Lease, job: Job, *, refresh: bool) -> bytes:
        retry_in = _REFRESH_PAUSE_MS if refresh else 0
        keeper = asyncio.get_running_loop().create_task(self._keep(lease))
        try:
            try:
                fetched = await self._fetch(job)
            finally:
                keeper.cancel()  # first, or it could prolong what is given back
        except BaseException as error:  # cut off, it has not failed
            await self._give_back(job, lease, 0 if isinstance(error, asyncio.CancelledError) else retry_in)
            raise
        if fetched.data != _NONE or job.keep_none:
            await self._store(lease, job, fetched, retry_in)
        elif refresh:  # what there was is served on until its stale time is over
            await self._give_back(job, lease, retry_in)
        else:  # not kept, but past its ttl already: for those only who have been waiting for it
            await self._store(lease, replace(job, ttl=1, stale=_SHARED_NONE_MS), fetched, retry_in)
        return fetched.data

    async def _store(self, lease: Lease, job: Job, fetched: _Outcome, retry_in: int) -> None:
        """Store an outcome; it is good even if it cannot be stored, or is too long."""
        value, cost = self._keyspace.value(job.key), fetched.cost if job.early else 0
        try:
            if not await self._backend.commit(value, fetched.data, job.ttl, job.stale, lease, cost):
                self._counters.discarded += 1
                self._refused.add(cast("asyncio.Task[Encoded | None]", asyncio.current_task()))
        except (CacheError, Closed, UsageError) as error:
            self._count(error)
            if isinstance(error, CacheError) and not isinstance(error, CacheUnavailable) and str(error) != self._warned:
                self._warned = str(error)  # the same for whatever is fetched next
                _log.warning("what is fetched cannot be stored: %s", error)
            if not isinstance(error, CacheUnavailable):
                await self._give_back(job, lease, retry_in)

    async def _fetch(self, job: Job) -> _Outcome:
        self._counters.fetches += 1
        task = cast("asyncio.Task[Encoded | None]", asyncio.current_task())
        _ABOARD.set(task)
        began = time.monotonic()
        asked = job.fetch()
        if not inspect.isawaitable(asked):
            raise UsageError(f"fetch returned {type(asked).__name__}; write an async function without arguments")
        try:
            value = await asked
        except asyncio.CancelledError as error:
            if task.cancelling():
                raise
            raise CacheError(f"the fetch of {job.key!r} was cancelled from within") from error
        took = time.monotonic() - began
        if self._events.callbacks:
            self._events.tell("fetch", job.key, seconds=took)
        return _Outcome(self._encode(value), max(1, round(took * 1000)))

    async def _keep(self, lease: Lease) -> None:
        """Renew the lease while the fetch runs; whoever took it away meanwhile is respected."""
        for _ in range(_RENEWALS):
            await asyncio.sleep(_LEASE_MS / 3000)
            try:
                if not await self._backend.extend(lease.name, lease.token, _LEASE_MS):
                    return
            except CacheError:  # an outage may pass before the lease does
                pass
            except Closed:
                return

    async def _give_back(self, job: Job, lease: Lease, retry_in: int = 0) -> None:
        """Let others fetch, now or in a while: nobody sees a refresh fail, so nobody would slow down by himself."""
        with suppress(CacheError, Closed):  # it lapses by itself
            if retry_in:
                await self._backend.extend(lease.name, lease.token, retry_in)
            else:
                await self._backend.abandon(self._keyspace.value(job.key), lease)

    def _count(self, error: CacheError | Closed | UsageError) -> None:
        if isinstance(error, CacheUnavailable):
            self._counters.unavailable += 1
        else:
            self._counters.errors += 1
        if self._events.callbacks:
            kind: EventKind = "unavailable" if isinstance(error, CacheUnavailable) else "error"
            self._events.tell(kind, error=type(error).__name__)


def is_due(cost: int, left: float) -> bool:
    """
    Tell by chance whether a value is to be renewed before its ttl is over; both in milliseconds.

    XFetch of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (2015): each who
    asks adds to the clock an exponentially distributed time whose mean is beta times what the fetch takes.
    """
    return cost > 0 and random.expovariate(1 / _EAGERNESS) * cost > left


def _serves(found: Stored, job: Job) -> bool:
    """Tell whether what was found is as good as a fetch: fresh, legible, and not the very one to be replaced."""
    return found.late == 0 and found.data != job.damaged and not (job.renews and found.until == job.renews)


def _is_shared_none(found: Stored, began: float) -> bool:
    """Tell whether it is the None of a fetch that ended while we waited; its ttl was over as soon as it was stored."""
    return found.data == _NONE and found.late <= (time.monotonic() - began) * 1000


def _waits_for_us(flight: asyncio.Task[Encoded | None]) -> bool:
    """Tell whether a fetch is, or waits by way of others for, the one in which the running code takes part."""
    ours = _ABOARD.get()
    if ours is None or ours.done():
        return False
    ahead, seen = [flight], set()
    while ahead:
        one = ahead.pop()
        if one is ours:
            return True
        if one not in seen:
            seen.add(one)
            ahead += _AWAITED.get(one, ())
    return False


@contextmanager
def _waiting(flight: asyncio.Task[Encoded | None]) -> Iterator[None]:
    """Note that the fetch in which the running code takes part waits for another."""
    ours = _ABOARD.get()
    if ours is None:
        yield
        return
    awaited = _AWAITED.setdefault(ours, [])
    awaited.append(flight)
    try:
        yield
    finally:
        awaited.remove(flight)
        if not awaited:
            _AWAITED.pop(ours, None)
