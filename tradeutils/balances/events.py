"""What happens to accounts, told to whoever subscribed."""

from __future__ import annotations

import asyncio
import collections
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias

from tradeutils.balances.suspension import Suspension
from tradeutils.errors import UsageError
from tradeutils.logs import get_logger

__all__ = ["AccountEvent", "EventKind", "EventStream", "Events"]

_log = get_logger("balances")

EventKind: TypeAlias = Literal["suspended", "probing", "extended", "resumed"]
"""What happened: see `AccountEvent`."""

_KEPT: Final = 1_000  # events that wait for a reader; beyond, the oldest are dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvent:
    """
    Something that happened to an account.

    Attributes
    ----------
    kind : str
        ``"suspended"``: its calls are held back from now on. ``"probing"``: its time has come, and one try is being
        made. ``"extended"``: that failed too, and it is held back for longer. ``"resumed"``: its calls go on.
    account, venue : str
        Whose.
    suspension : Suspension or None
        The one that began, is being probed, was extended or has ended.
    time : int
        When this process learnt it, ms UTC.
    here : bool
        Whether this process did it; ``False``: another did, and this one read it in the cache, at its next call for
        the account.
    """

    kind: EventKind
    account: str
    venue: str
    suspension: Suspension | None
    time: int
    here: bool


class EventStream:
    """
    Events from its making on, for ``async for``; it ends with `close`.

    At most 1,000 wait: of a reader that is slower than that the oldest are dropped, and counted in ``dropped``.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: collections.deque[AccountEvent] = collections.deque()
        self._more = asyncio.Event()
        self._closed = False

    def add(self, event: AccountEvent) -> None:
        """Hand an event to the reader."""
        if self._closed:
            return
        self._waiting.append(event)
        if len(self._waiting) > _KEPT:
            self._waiting.popleft()
            self.dropped += 1
        self._more.set()

    def close(self) -> None:
        """End the iteration, once what waits has been read; may be repeated."""
        self._closed = True
        self._more.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AccountEvent:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._waiting.popleft()


class Events:
    """Those who want to hear of accounts."""

    def __init__(self) -> None:
        self._callbacks: dict[object, Callable[[AccountEvent], object]] = {}
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()  # one that nobody reads any more goes by itself

    def subscribe(self, callback: Callable[[AccountEvent], object]) -> Callable[[], None]:
        """
        Call ``callback`` with every event, and return a function that ends that.

        It is called where the event happens and must not block. What it raises is logged and goes no further: a
        listener cannot stop the call that it hears of.
        """
        if not callable(callback):
            raise UsageError(f"callback was a {type(callback).__name__}; give a function that takes an event")
        token = object()
        self._callbacks[token] = callback

        def unsubscribe() -> None:
            self._callbacks.pop(token, None)

        return unsubscribe

    def stream(self) -> EventStream:
        """Return an iterator over the events from now on."""
        made = EventStream()
        self._streams.add(made)
        return made

    def emit(self, event: AccountEvent) -> None:
        """Tell all."""
        for stream in list(self._streams):
            stream.add(event)
        for callback in list(self._callbacks.values()):
            try:
                callback(event)
            except Exception:  # noqa: BLE001  # a listener's fault must not stop the call that it hears of
                _log.exception("a listener failed at %s of account %s", event.kind, event.account)
