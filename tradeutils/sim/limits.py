"""
How much the venue lets an address or an account ask, and what it does to those who ask for more.

The rules are those that Binance documents for its APIs: an address that is over a limit is told to wait (429); one
that goes on asking is banned (418), longer each time. Time is the wall clock's, see `usage`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from tradeutils.errors import UsageError
from tradeutils.sim.usage import FillingCounter, UsageMeter, Window

__all__ = ["Gate", "Limits", "Refusal", "interval_of"]

_DAY_S: Final = 86_400
_WALLET_WEIGHT: Final = 12_000  # of the wallet's endpoints, in a window of the same length
_FIVE_MINUTES: Final = 300.0
_FUNDING: Final = 500  # requests for funding rates of the futures, in five minutes
_STATISTICS: Final = 1_000  # requests for statistics of the futures, in five minutes
_BY_REQUEST: Final = ("funding", "data")  # pools that count requests, whatever they weigh
_NEVER: Final = 10**12
_UNLIMITED: Final = 1e8
_MAX_ADDRESSES: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What an address may ask and an account may order; the defaults are those of Binance's spot API.

    Parameters
    ----------
    weight : int
        Weight of all requests of one address in ``window`` seconds. All clients of an address share it: on loopback,
        other addresses of 127/8 are other clients.
    window : float
        Seconds, > 0; short ones make quick tests: 1200 a minute is 120 in 6 s.
    requests, requests_window : int, float
        Requests of one address, whatever they weigh.
    orders, orders_window, orders_day : int, float, int
        New orders of one account, in so many seconds and in a day.
    futures_weight, futures_orders, futures_orders_minute : int
        The same of the futures, which are counted apart: weight in ``window``, orders in ``orders_window`` and in a
        minute.
    sliding : bool
        Refuse what is too much for the last ``window`` seconds at every moment. The default is what the venue does:
        windows begin with the minute of the wall clock, so twice the limit can pass around a full minute. The headers
        tell what was used since then either way.
    tolerated : int
        Requests that an address may send while it is told to wait, before it is banned.
    ban, longest_ban : float
        Seconds of its first ban; each further one is twice as long, to the longest.
    counter : int
    decay : float
        On venues that have a counter in place of windows (Kraken): how many calls of an address, or of a key, it
        holds, and how many of a key's are forgotten in a second.
    endpoints : float
        On venues that limit each endpoint by itself (bybit, okx): what may be asked of each, as a multiple of the
        venue's own figure.
    """

    weight: int = 6_000
    window: float = 60.0
    requests: int = 61_000
    requests_window: float = 300.0
    orders: int = 100
    orders_window: float = 10.0
    orders_day: int = 200_000
    futures_weight: int = 2_400
    futures_orders: int = 300
    futures_orders_minute: int = 1_200
    sliding: bool = False
    tolerated: int = 10
    ban: float = 120.0
    longest_ban: float = 259_200.0
    counter: int = 15
    decay: float = 0.33
    endpoints: float = 1.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type == "bool":
                if not isinstance(value, bool):
                    raise UsageError(f"{one.name} was {value!r}; write True or False")
            elif one.type == "int":
                least = 0 if one.name == "tolerated" else 1
                if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _NEVER:
                    raise UsageError(f"{one.name} was {value!r}; give a whole number, {least} or more")
            elif isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 1e8:
                raise UsageError(f"{one.name} was {value!r}; give a number, 0.01 or more")
        if self.longest_ban < self.ban:
            raise UsageError(f"longest_ban was {self.longest_ban:g} s, shorter than the first ban of {self.ban:g} s")

    @classmethod
    def none(cls) -> Limits:
        """Return limits that nobody reaches; all is counted and told as ever."""
        return cls(
            weight=_NEVER,
            requests=_NEVER,
            orders=_NEVER,
            orders_day=_NEVER,
            futures_weight=_NEVER,
            futures_orders=_NEVER,
            futures_orders_minute=_NEVER,
            counter=_NEVER,
            endpoints=_UNLIMITED,
        )

    @classmethod
    def of(cls, venue: str) -> Limits:
        """Return a venue's own limits; the defaults where nothing else is known of it."""
        return cls(**_VENUES.get(venue, {}))


# bybit: 600 requests of an address in any 5 s; who sends more is banned for ten minutes, without a warning.
# okx: 1000 new orders of an account in any 2 s, beside the limits of each endpoint; nobody is banned.
_VENUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "bybit": {"requests": 600, "requests_window": 5.0, "sliding": True, "tolerated": 0, "ban": 600.0},
    "okx": {"orders": 1_000, "orders_window": 2.0, "orders_day": _NEVER, "sliding": True},
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a request is not answered.

    ``status`` is 429 or 418; ``what`` is ``"weight"`` or ``"requests"``; ``wait`` is in seconds, and ``window`` the one
    that is full, ``None`` for an address that is banned.
    """

    status: int
    what: str
    wait: float
    window: Window | None = None


@dataclass(slots=True)
class _Conduct:
    """How an address behaved: requests since it was told to wait, bans, and when the last one ends."""

    ignored: int = 0
    bans: int = 0
    until: float = -math.inf


@dataclass(slots=True)
class Gate:
    """
    Counts requests and orders, and refuses what is too much; asked only from the venue's thread.

    Parameters
    ----------
    limits : Limits
        The rules.
    clock : callable
        The wall clock, in seconds.
    """

    limits: Limits
    clock: Callable[[], float] = time.time
    _orders: dict[str, tuple[UsageMeter, UsageMeter]] = field(init=False)
    _meters: dict[str, tuple[UsageMeter, UsageMeter]] = field(init=False)
    _requests: UsageMeter = field(init=False)
    _counter: FillingCounter = field(init=False)
    _conduct: dict[str, _Conduct] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        given = self.limits
        self._counter = FillingCounter(given.counter, clock=lambda: self.clock())
        name, free = interval_of(given.window), given.weight == _NEVER
        self._orders = {
            "api": self._meters_of(
                Window(interval_of(given.orders_window), given.orders, given.orders_window),
                Window("1d", given.orders_day, _DAY_S),
            ),
            "fapi": self._meters_of(
                Window("1m", given.futures_orders_minute, 60.0),
                Window(interval_of(given.orders_window), given.futures_orders, given.orders_window),
            ),
        }
        self._requests, _ = self._meters_of(
            Window(interval_of(given.requests_window), given.requests, given.requests_window)
        )
        self._meters = {
            "api": self._meters_of(Window(name, given.weight, given.window)),
            "sapi": self._meters_of(Window(name, _NEVER if free else _WALLET_WEIGHT, given.window)),
            "fapi": self._meters_of(Window(name, given.futures_weight, given.window)),
            "funding": self._meters_of(Window("5m", _NEVER if free else _FUNDING, _FIVE_MINUTES)),
            "data": self._meters_of(Window("5m", _NEVER if free else _STATISTICS, _FIVE_MINUTES)),
        }

    def _meters_of(self, *windows: Window) -> tuple[UsageMeter, UsageMeter]:
        """Return the meter that is enforced, and the one that is told."""

        def clock() -> float:
            return self.clock()

        return UsageMeter(*windows, sliding=self.limits.sliding, clock=clock), UsageMeter(*windows, clock=clock)

    def order(self, account: str, pool: str = "api") -> dict[str, int]:
        """Count an order, and return how many there were in each window."""
        enforced, told = self._orders[pool]
        enforced.charge(account)
        return told.charge(account)

    def too_many_orders(self, account: str, pool: str = "api", *, number: int = 1) -> Window | None:
        """Return the window that one more order, or so many more, would overfill."""
        full = self._orders[pool][0].exceeded(account, number)
        return None if full is None else full[0]

    def orders_of(self, account: str, pool: str = "api") -> dict[str, int]:
        """Return how many orders an account placed in each window."""
        return self._orders[pool][1].used(account)

    def charge(self, address: str, weight: int, pool: str = "api") -> tuple[dict[str, int], Refusal | None]:
        """
        Count a request, and return the weight used in its window and, where the request is too much, the refusal.

        The pools are ``"api"``, ``"sapi"``, and of the futures ``"fapi"``, ``"funding"`` and ``"data"``; the last two
        count requests. What is refused counts too; what a banned address sends does not, and does not lengthen its ban.
        """
        weights, told = self._meters[pool]
        ban = self.banned(address)
        if ban is not None:
            return told.used(address), ban
        conduct = self._of(address)
        used = told.charge(address, weight)
        weights.charge(address, weight)
        watched = [("requests" if pool in _BY_REQUEST else "weight", weights)]
        if pool in ("api", "sapi"):
            self._requests.charge(address)
            watched.append(("requests", self._requests))
        for what, meter in watched:
            full = meter.exceeded(address)
            if full is None:
                continue
            conduct.ignored += 1
            if conduct.ignored > self.limits.tolerated + 1:  # the first one could not know
                return used, Refusal(418, what, self.ban(address))
            return used, Refusal(429, what, full[1], full[0])
        conduct.ignored = 0
        return used, None

    def banned(self, address: str) -> Refusal | None:
        """Return the refusal of an address that is banned."""
        wait = self._of(address).until - self.clock()
        return Refusal(418, "weight", wait) if wait > 0 else None

    def fill(self, owner: str, decay: float) -> bool:
        """Count a call of an address or a key where there are no windows; False where it is one too many."""
        return self._counter.fill(owner, decay)

    def ban(self, address: str, seconds: float | None = None) -> float:
        """Ban an address from now on, by default for as long as it has earned, and return the seconds."""
        conduct, limits = self._of(address), self.limits
        if seconds is None:
            seconds = min(limits.ban * 2.0 ** min(conduct.bans, 60), limits.longest_ban)
        conduct.bans += 1
        conduct.ignored = 0
        conduct.until = self.clock() + seconds
        return seconds

    def pardon(self, address: str) -> None:
        """Forget what an address did."""
        self._conduct.pop(address, None)

    def bans(self) -> dict[str, dict[str, float]]:
        """Return how often each address was banned and for how many seconds it still is, 0 where it is not."""
        now = self.clock()
        return {
            address: {"bans": conduct.bans, "seconds": max(0.0, conduct.until - now)}
            for address, conduct in self._conduct.items()
            if conduct.bans
        }

    def _of(self, address: str) -> _Conduct:
        conduct = self._conduct.pop(address, None) or _Conduct()
        self._conduct[address] = conduct
        while len(self._conduct) > _MAX_ADDRESSES:
            del self._conduct[next(iter(self._conduct))]
        return conduct


def interval_of(seconds: float) -> str:
    """Return a window's length as the names of headers and limits have it: ``"10s"``, ``"1m"``, ``"1d"``."""
    for length, letter in ((_DAY_S, "d"), (3_600, "h"), (60, "m")):
        if seconds % length == 0:
            return f"{seconds / length:g}{letter}"
    return f"{seconds:g}s"
