"""`Suspensions`: which accounts' calls are held back, for all processes that share a cache."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from tradeutils.balances.classes import Failure, failure_of
from tradeutils.balances.counts import AccountStats, Counts
from tradeutils.balances.events import AccountEvent, EventKind, Events, EventStream
from tradeutils.balances.probes import Turn, Turns
from tradeutils.balances.resumption import Resumption
from tradeutils.balances.shelf import UNREAD, Shelf
from tradeutils.balances.standings import Standing, key_of, read_standing, shown
from tradeutils.balances.suspension import Periods, Suspension
from tradeutils.cache import Cache
from tradeutils.errors import Suspended, UnknownName, UsageError
from tradeutils.logs import get_logger
from tradeutils.settings import Account

__all__ = ["Suspensions"]

_log = get_logger("balances")

_PROBED_S: Final = 1.0  # after which it is known, as a rule, what a probe came to
_FIRST_PAUSE_S: Final = 0.01  # between looks whether the first try of another process has ended
_LONGEST_PAUSE_S: Final = 0.25


class _Known:
    """An account, as this process knows it."""

    __slots__ = ("account", "counts", "key", "origin", "standing", "unshared")

    def __init__(self, account: Account, origin: str, key: str, counts: Counts) -> None:
        self.account, self.origin, self.key, self.counts = account, origin, key, counts
        self.standing: Standing | None = None
        self.unshared = False  # what is known here has not reached the cache

    @property
    def at(self) -> int:
        return -1 if self.standing is None else self.standing.at

    @property
    def suspension(self) -> Suspension | None:
        return None if self.standing is None else self.standing.suspension


class Suspensions:
    """
    Holds back the calls of accounts whose key, address, permission or state their venue refuses.

    A failure of the account's own suspends it at once, for all who share the cache. At the end of the period one call
    of one process is let through; if it succeeds the account goes on, if it fails the next period is longer. The
    venue's trouble, a clock that is off, rate limits and outages are never held against an account.

    Parameters
    ----------
    cache : Cache or None
        Through which processes share what they know, across restarts. ``None``: this process alone.
    base, cap : float
        Seconds of the first period, and of the longest: see `Periods`.
    lease : float
        Seconds after which another process may take over from one that died while it tried an account.
    first_wait : float
        Seconds for which calls wait at most while one of them tries an account of which nothing is known yet. Until
        that has ended, a key that is bad would be tried by each of them.
    clock, rng : callable
        The time in seconds since 1970, and chance from 0 to 1.

    Raises
    ------
    UsageError : no cache, or times that cannot be.

    Notes
    -----
    An account is known by its name, its origin and a digest of its credentials: another key for the same name starts
    anew at once. A call costs one read of the cache, a first or failed one a few round trips more. While the cache is
    away each process goes by what it knows itself, so that an account that it suspended stays suspended, and tells
    the others when the cache is back. The clocks of machines should agree to some seconds: one that runs ahead tries
    accounts early, by as much.

    It belongs to one event loop at a time; `stats` alone may be asked from any thread.
    """

    def __init__(
        self,
        cache: Cache | None = None,
        *,
        base: float = 60.0,
        cap: float = 21_600.0,
        lease: float = 15.0,
        first_wait: float = 10.0,
        clock: Callable[[], float] = time.time,
        rng: Callable[[], float] = random.random,
    ) -> None:
        if cache is not None and not isinstance(cache, Cache):
            raise UsageError(f"cache was a {type(cache).__name__}; give a Cache, or None for this process alone")
        for name, value, least in (("lease", lease, 0.01), ("first_wait", first_wait, 0.0)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
                raise UsageError(f"{name} was {value!r}; write seconds, from {least:g}")
        self._periods = Periods(base, cap, rng)
        self._clock = clock
        self._first_wait = first_wait
        self._shelf = Shelf(cache)
        self._turns = Turns(self._shelf, lease)
        self._events = Events()
        self._known: dict[str, dict[str, _Known]] = {}  # by name, then by origin
        self._counts: dict[str, Counts] = {}  # by name
        self._sharing: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        held = sum(1 for known in self._all() if known.suspension is not None)
        return f"<Suspensions of {held} of {sum(1 for _ in self._all())} accounts>"

    # Calls

    @contextlib.asynccontextmanager
    async def attempt(self, account: Account, origin: str) -> AsyncIterator[None]:
        """
        Make a call for an account: ``async with suspensions.attempt(account, exchange.origin): ...``.

        What the block raises is raised on; it suspends the account if it is a failure of the account's own.

        Parameters
        ----------
        account : Account
            With its credentials at hand (as ``exchange.account`` has them).
        origin : str
            Where it is asked: ``exchange.origin``.

        Raises
        ------
        Suspended : the account is suspended, or one try is being made just now; nothing was sent.
        """
        known = self._know(account, origin)
        begun, turn = await self._admit(known)
        known.counts.attempts += 1
        try:
            try:
                yield
            except Exception as error:
                known.counts.failed(error)
                await self._failed(known, begun, error)
                raise
            await self._succeeded(known, begun, turn)
        finally:
            if turn is not None:
                await self._turns.end(known.key, turn)

    def know(self, account: Account, origin: str) -> None:
        """Make an account known, so that it can be asked about by name before its first call. Sends nothing."""
        self._know(account, origin)

    # Questions

    def get(self, account: str | Account) -> Suspension | None:
        """
        Return the suspension of an account, as this process knows it; asks nobody.

        Raises
        ------
        UnknownName : no account of this name was made known.
        """
        for known in self._named(account):
            if known.suspension is not None:
                return known.suspension
        return None

    async def get_all(self) -> dict[str, Suspension]:
        """
        Return the suspensions of all accounts made known here, by name, as all processes know them. One look-up.

        Of an account with several, as for some of its wallets, the one that it was asked for first.
        """
        everyone = list(self._all())
        told = await self._shelf.read_many([known.key for known in everyone])
        for known in everyone:
            await self._take_in(known, told[known.key])
        found: dict[str, Suspension] = {}
        for known in everyone:
            if known.suspension is not None:
                found.setdefault(known.account.name, known.suspension)
        return found

    def stats(self) -> dict[str, AccountStats]:
        """Return what this process did for each account, by name, over all origins. Safe in any thread."""
        found: dict[str, AccountStats] = {}
        for known in self._all():
            name = known.account.name
            if name not in found or found[name].suspension is None:
                found[name] = known.counts.snapshot(name, known.account.exchange, known.suspension)
        return found

    def subscribe(self, callback: Callable[[AccountEvent], object]) -> Callable[[], None]:
        """Call ``callback`` with every `AccountEvent` of this process; the function returned ends that."""
        return self._events.subscribe(callback)

    def events(self) -> EventStream:
        """Return the events from now on, for ``async for``."""
        return self._events.stream()

    # What a person does

    def resume(self, account: str | Account) -> Resumption:
        """
        Let the next call of an account through, whatever was known of it.

        It holds here at once, and in other processes from their next call on: it is shared in the background, or with
        the next call where no event loop runs or the cache is away. Awaiting what is returned waits for that, and
        need not be done. If the key is still refused the account is suspended anew, for the shortest period.

        Raises
        ------
        UnknownName : no account of this name was made known.
        """
        chosen = self._named(account)
        for known in chosen:
            self._adopt(known, Standing("fresh", self._later_than(known)), here=True)
            known.unshared = True

        async def share() -> None:
            for known in chosen:
                await self._learn(known)

        return Resumption(share, self._sharing)

    # How it works

    async def _admit(self, known: _Known) -> tuple[int, Turn | None]:
        """Return when the call began and the turn it has, if it needs one; or raise `Suspended`."""
        patience, pause = time.monotonic() + self._first_wait, _FIRST_PAUSE_S
        while True:
            await self._learn(known)
            standing = known.standing
            if standing is not None and standing.kind == "good":
                return self._later_than(known), None
            suspension = known.suspension
            if suspension is not None and self._now() < suspension.until:
                raise self._held_back(known, suspension, suspension.until / 1000 - self._clock(), _told(suspension))
            turn = await self._turns.take(known.key)
            if turn is not None:
                if not await self._still(known, standing, turn):
                    continue
                if suspension is not None:
                    known.counts.probes += 1
                    self._tell("probing", known, suspension, here=True)
                return self._later_than(known), turn
            if suspension is not None:
                text = f"{suspension.account} on {suspension.venue}: one try is being made; ask again in a second"
                raise self._held_back(known, suspension, _PROBED_S, text)
            if time.monotonic() >= patience:  # nobody is held up by another for long, as nothing speaks against it
                return self._later_than(known), None
            await self._turns.wait(known.key, min(pause, max(0.0, patience - time.monotonic())))
            pause = min(_LONGEST_PAUSE_S, pause * 1.6)

    async def _still(self, known: _Known, standing: Standing | None, turn: Turn) -> bool:
        """Look again: whoever had the turn before may have told something since; if so, give the turn back."""
        same = False
        try:
            await self._learn(known)
            same = known.standing == standing
        finally:
            if not same:
                await self._turns.end(known.key, turn)
        return same

    async def _succeeded(self, known: _Known, begun: int, turn: Turn | None) -> None:
        if known.at >= begun:  # refused, or resumed, since this call began
            return
        told_before = known.standing is not None and known.standing.kind == "good"
        self._adopt(known, Standing("good", begun), here=True)
        if turn is not None or not told_before:
            await self._share(known)

    async def _failed(self, known: _Known, begun: int, error: Exception) -> None:
        failure = failure_of(error)
        if failure is None:
            return
        try:
            await self._learn(known)
        finally:  # also where the caller gives up meanwhile: the key was refused, and the next call tells the others
            is_news = known.at < begun  # or another call failed in the same way, or the account was resumed
            if is_news:
                self._suspend(known, failure, shown(str(error)))
                known.unshared = True
        if is_news:
            await self._share(known)

    def _suspend(self, known: _Known, failure: Failure, message: str) -> None:
        before, at = known.suspension, self._later_than(known)
        failures = 1 if before is None else before.failures + 1
        suspension = Suspension(
            account=known.account.name,
            venue=known.account.exchange,
            reason=failure.reason,
            message=message,
            remedy=failure.remedy,
            since=at if before is None else before.since,
            until=at + max(1, round(1000 * self._periods.length(failures))),
            failures=failures,
            origin=known.origin,
        )
        known.counts.suspensions += 1
        self._adopt(known, Standing("suspended", at, suspension), here=True)
        _log.warning("%s", suspension)

    async def _learn(self, known: _Known) -> None:
        """Look up what other processes know of an account."""
        if self._shelf.shares:
            await self._take_in(known, await self._shelf.read(known.key))

    async def _take_in(self, known: _Known, told: object) -> None:
        """Make one of what the cache tells and what is known here: what is newer counts."""
        if told is UNREAD or not self._shelf.shares:
            return
        shared = None if told is None else read_standing(told, known.account, known.origin, self._now())
        if isinstance(shared, str):
            _log.warning("what the cache tells of account %s is not used: %s", known.account.name, shared)
            shared = None
        if known.unshared and known.standing is not None and known.standing.kind == "fresh":
            if shared is not None and shared.at >= known.at:  # it need not have been read before, and clocks differ
                known.standing = Standing("fresh", shared.at + 1)
            await self._share(known)
        elif shared is not None and (shared.at > known.at or (shared.at == known.at and shared != known.standing)):
            self._adopt(known, shared, here=False)
            known.unshared = False
        elif known.unshared or (known.suspension is not None and (shared is None or shared.at < known.at)):
            await self._share(known)  # it could not be told before, or the cache forgot it

    async def _share(self, known: _Known) -> None:
        standing = known.standing
        if standing is not None:
            kept = await self._shelf.write(known.key, standing, known.account, self._now())
            if known.standing is standing:
                known.unshared = not kept

    def _adopt(self, known: _Known, standing: Standing, *, here: bool) -> None:
        before, known.standing = known.suspension, standing
        after = standing.suspension
        if before is None and after is not None:
            self._tell("suspended", known, after, here=here)
        elif before is not None and after is None:
            self._tell("resumed", known, before, here=here)
        elif after is not None and before != after:
            self._tell("extended", known, after, here=here)

    def _tell(self, kind: EventKind, known: _Known, suspension: Suspension, *, here: bool) -> None:
        self._events.emit(
            AccountEvent(
                kind=kind,
                account=known.account.name,
                venue=known.account.exchange,
                suspension=suspension,
                time=self._now(),
                here=here,
            )
        )

    def _held_back(self, known: _Known, suspension: Suspension, seconds: float, text: str) -> Suspended:
        known.counts.held_back += 1
        return Suspended(
            text, account=suspension.account, reason=suspension.reason, retry_after=max(0.0, round(seconds, 3))
        )

    def _know(self, account: Account, origin: str) -> _Known:
        if not isinstance(account, Account):
            raise UsageError(f"account was a {type(account).__name__}; give an Account, as exchange.account is one")
        if not isinstance(origin, str) or not origin:
            raise UsageError(f"origin was {origin!r}; give exchange.origin")
        of_name = self._known.setdefault(account.name, {})
        known = of_name.get(origin)
        if known is not None and known.account is account:
            return known
        key = key_of(account, origin)
        if known is None or known.key != key:  # another key: nothing is known of it
            counts = self._counts.setdefault(account.name, Counts())
            known = of_name[origin] = _Known(account, origin, key, counts)
        known.account = account
        return known

    def _named(self, account: str | Account) -> list[_Known]:
        name = account.name if isinstance(account, Account) else account
        if not isinstance(name, str) or name not in self._known:
            raise UnknownName("account", name, list(self._known))
        return list(self._known[name].values())

    def _all(self) -> list[_Known]:
        return [known for of_name in list(self._known.values()) for known in list(of_name.values())]

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _later_than(self, known: _Known) -> int:
        """Return the time, or as soon after what is known as a clock can tell: machines' clocks differ."""
        return max(self._now(), known.at + 1)


def _told(suspension: Suspension) -> str:
    return f"{suspension}; then resume({suspension.account!r}), or wait"
