"""What every budget does, and the words it is asked in: windows, charges, grants, readings."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Protocol, Self, TypeAlias, get_args

from tradeutils.errors import UnknownName, UsageError

__all__ = [
    "RESERVE",
    "RESERVE_SECONDS",
    "Budget",
    "Charge",
    "Grant",
    "Line",
    "PoolUsage",
    "Reading",
    "Scope",
    "Span",
    "Window",
    "WindowUsage",
    "margin",
]

Scope: TypeAlias = Literal["ip", "account"]
Span: TypeAlias = Literal["fixed", "sliding"]

RESERVE: Final = 0.05
"""The share of each window that data leaves to orders and cancels."""

RESERVE_SECONDS: Final = 600.0
"""How long the reserve is kept after a client with an account was last seen on the pool."""

_LONGEST_WINDOW: Final = 7 * 86_400.0
_LARGEST: Final = 1e9  # shared counts are whole millionths in a double, exact up to 9e15
_MARGIN_SECONDS: Final = 0.5
_MARGIN_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Window:
    """
    So much of one unit in so many seconds.

    Attributes
    ----------
    name : str
        The unit that is counted: ``"weight"``, ``"requests"``, ``"orders"``.
    limit : float
        How many units may be spent in any ``seconds``, > 0.
    seconds : float
        Length of the window, > 0, at most a week. Whether the venue counts by the calendar or over the past
        ``seconds`` makes no difference: what fits any ``seconds`` fits both.
    scope : str
        ``"ip"``: all processes behind one egress address share it; ``"account"``: one API key, wherever it is used.

    Raises
    ------
    UsageError : a figure that cannot be, or another scope.
    """

    name: str
    limit: float
    seconds: float
    scope: Scope = "ip"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise UsageError(f"name of the window was {self.name!r}; write what is counted: 'weight', 'requests'")
        _check("limit", self.limit, _LARGEST)
        _check("seconds", self.seconds, _LONGEST_WINDOW)
        if self.scope not in get_args(Scope):
            raise UnknownName("scope of the window", self.scope, get_args(Scope))


@dataclass(frozen=True, slots=True)
class Line:
    """
    One window charged by one request.

    Attributes
    ----------
    window : Window
        What is charged.
    cost : float
        Units, >= 0; more than ``window.limit`` is refused when it is asked for.
    owner : str
        Whose window it is: the pool (``"binance.spot"``) for the scope ``"ip"``; for ``"account"`` the pool and a
        digest of the API key (``"binance.spot:3f9a..."``), never the key.
    """

    window: Window
    cost: float
    owner: str

    def __post_init__(self) -> None:
        if not 0 <= self.cost < math.inf:  # NaN fails this too
            raise UsageError(f"cost was {self.cost!r}; write units of {self.window.name}, 0 or more")
        if not self.owner.isprintable() or not self.owner or any(char in "{}" for char in self.owner):
            raise UsageError(f"owner was {self.owner!r}; write the pool, and a digest of the key for an account")


@dataclass(frozen=True, slots=True)
class Charge:
    """
    What one request costs. It describes itself: a budget keeps no table of venues.

    Attributes
    ----------
    pool : str
        ``"binance.spot"``: whose ban gate the request passes. On Redis Cluster one pool lies on one node.
    lines : tuple of Line
        What it spends, each window once; all are charged or none is. Empty: it passes the ban gate alone.
    urgent : bool
        An order or a cancel: goes before data and may use the reserved share.
    trading : bool
        This client has an account: the reserve is kept for `RESERVE_SECONDS` from now.
    """

    pool: str
    lines: tuple[Line, ...]
    urgent: bool = False
    trading: bool = False

    def __post_init__(self) -> None:
        if not self.pool.isprintable() or not self.pool or any(char in "{} " for char in self.pool):
            raise UsageError(f"pool was {self.pool!r}; write the venue and its API: 'binance.spot'")
        if len(self.lines) > 1:
            named = {(line.owner, line.window.name, line.window.seconds) for line in self.lines}
            if len(named) < len(self.lines):
                raise UsageError(f"a charge on {self.pool} names a window twice; write one line with the sum")


@dataclass(frozen=True, slots=True)
class Reading:
    """
    The venue's own count, from the headers of a reply.

    Attributes
    ----------
    pool, owner : str
        As in `Charge` and `Line`.
    window : Window
        What the venue counts.
    used : float
        How much it says is spent, the request that was answered included.
    at : float
        When the reply came: ``time.time()``, seconds since the epoch.
    span : str
        ``"fixed"``: counted since the last multiple of ``window.seconds`` (Binance counts by the calendar);
        ``"sliding"``: over the past ``window.seconds``.
    """

    pool: str
    window: Window
    owner: str
    used: float
    at: float
    span: Span = "fixed"


@dataclass(frozen=True, slots=True)
class WindowUsage:
    """
    How much of one window is spent.

    Attributes
    ----------
    window : Window
        With the limit that the last process wrote.
    owner : str
        Whose window it is.
    used : float
        Units spent in the past ``window.seconds``, by everybody who shares it.
    """

    window: Window
    owner: str
    used: float


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """
    The state of one pool.

    Attributes
    ----------
    pool : str
        ``"binance.spot"``.
    windows : tuple of WindowUsage
        Those charged lately.
    waiters : int
        Who wait: requests in this process for a local budget, processes' queues for a shared one.
    members : int
        Live processes that share it.
    banned_for : float
        Seconds until the ban ends; 0.0 without one.
    ban_reason : str
        What the venue said.
    shared : bool
        ``False`` for a local budget, and for a shared one while its Redis is away.
    egress : str
        Which address its requests leave from, as the user named it.
    """

    pool: str
    windows: tuple[WindowUsage, ...]
    waiters: int
    members: int
    banned_for: float
    ban_reason: str
    shared: bool
    egress: str = "default"


class Grant(abc.ABC):
    """
    Leave to send one request.

    ::

        async with await budget.acquire(charge):
            reply = await send()

    Leaving the block says that the answer has come, or will not. A request that was on its way for longer than
    `margin` is then counted from its end on, for the venue may have counted it as late as that.

    Attributes
    ----------
    charge : Charge
        What was granted.
    """

    __slots__ = ("charge",)

    charge: Charge

    @abc.abstractmethod
    def settle(self) -> None:
        """Say that the request has ended, however; costs no round trip. Repeating it does nothing."""

    @abc.abstractmethod
    async def give_back(self) -> None:
        """Say that nothing was sent: nothing stays spent. After `settle`, or a second time, it does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()


class Budget(Protocol):
    """How much a venue lets us ask."""

    @property
    def windows(self) -> Sequence[Window] | None:
        """The user's own windows, to be charged instead of the venue's; ``None``: the venue's."""
        ...

    async def acquire(  # the deadline is an argument: what is asked differs with it, and a refusal comes early
        self,
        charge: Charge,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Grant:
        """
        Wait until ``charge`` fits every one of its windows and no ban stands, and spend it.

        Urgent charges go first; the rest in the order in which they asked. A caller that is cancelled has spent
        nothing.

        Parameters
        ----------
        charge : Charge
            What the request costs.
        timeout : float or None
            Seconds to wait at most; ``None``: as long as it takes, 0: not at all.

        Raises
        ------
        RateLimited : it cannot be had within ``timeout``, told as soon as that is known; ``retry_after`` says when.
        UsageError : a cost is more than a whole window.
        Closed : the budget was closed.
        """
        ...

    async def observe(self, readings: Sequence[Reading]) -> None:
        """
        Take note of the venue's own counts. They correct upward only: others may spend, nobody gives back.

        Never raises for a Redis that is away.
        """
        ...

    async def ban(self, pool: str, seconds: float, reason: str) -> None:
        """Let nobody on this egress send to ``pool`` for ``seconds`` from now; of several bans the last to end wins."""
        ...

    async def nonce(self, key: str) -> int:
        """
        Return a number greater than every one returned for ``key`` before, at least the time in microseconds.

        Strictly increasing across the processes that share the budget. ``key`` may be an API key: a digest is kept.
        """
        ...

    async def usage(self) -> list[PoolUsage]:
        """Return the state of each pool, sorted by name."""
        ...

    async def aclose(self) -> None:
        """Let go of connections; callers still waiting get `Closed`. May be repeated."""
        ...


def margin(window: Window) -> float:
    """
    Return the seconds for which a charge counts beyond its window: 2 % of it, at most 0.5.

    A request is charged when it leaves and counted by the venue when it arrives. One that took its time on the way is
    still counted there when it no longer would be here, and another would be sent too early.
    """
    return min(_MARGIN_SECONDS, _MARGIN_SHARE * window.seconds)


def _check(name: str, value: float, most: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= most:  # NaN fails this too
        raise UsageError(f"{name} of the window was {value!r}; write a number above 0, at most {most:g}")
