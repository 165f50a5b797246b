"""
What one consumer of a stream has yet to take: bounded, by a policy that says what is left out when it is slow.

Putting is synchronous and costs about a microsecond: an item goes into a container, and one future is woken where
somebody waits. There is no task and no future per item. Every inbox counts what it left out.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, Final, Literal, TypeAlias

from tradeutils.errors import TradeutilsError, UsageError
from tradeutils.exchange.checks import check_choice
from tradeutils.model.streaming import StreamEvent

__all__ = ["POLICIES", "ConflatingInbox", "Inbox", "Policy", "QueueInbox", "open_inbox"]

Policy: TypeAlias = Literal["latest", "conflate", "all"]
"""What is kept for a consumer that is slower than the data; see `open_inbox`."""

POLICIES: Final = ("latest", "conflate", "all")


class Inbox(ABC):
    """
    Items in the order in which they are to be taken, and those who wait for the next.

    Several may wait at once; each item goes to one of them. One that is cancelled while it waits takes no item along.
    """

    __slots__ = ("_ended", "_waiters", "dropped", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy = policy
        self.dropped = 0  # items that were put and will not be taken
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._ended: TradeutilsError | StopAsyncIteration | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def put(self, item: Any, key: Hashable = None) -> None:
        """Add an item; ``key`` says which earlier one it stands for. Nothing is added after the end."""

    @abstractmethod
    def pop(self) -> Any:
        """Return the next item; there must be one."""

    @abstractmethod
    def clear(self) -> None:
        """Forget what is there, uncounted."""

    @property
    def is_ended(self) -> bool:
        """Whether nothing will be added any more."""
        return self._ended is not None

    @property
    def error(self) -> TradeutilsError | None:
        """What ended it, where it was an error."""
        return self._ended if isinstance(self._ended, TradeutilsError) else None

    def end(self, error: TradeutilsError | None = None) -> None:
        """
        Add nothing any more, and wake all who wait; the first end counts.

        With an error what is there is taken first, and then the error is raised, each time. Without one the consumer
        has left: what is there is dropped, and iteration stops.
        """
        if self._ended is not None:
            return
        self._ended = StopAsyncIteration() if error is None else error
        if error is None:
            self.clear()
        while self._waiters:
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def filled(self) -> None:
        """
        Wait until there is an item.

        Raises
        ------
        StopAsyncIteration : the consumer has left.
        TradeutilsError : what ended the stream.
        """
        while not len(self):
            if self._ended is not None:
                # The same for everybody who asks: without what earlier raising has left on it.
                raise self._ended.with_traceback(None)
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # it was our turn, and we leave: another's
                else:
                    waiter.cancel()
                    with contextlib.suppress(ValueError):  # who woke others has thrown it away
                        self._waiters.remove(waiter)
                raise


class QueueInbox(Inbox):
    """
    Every item, in order; of more than ``buffer`` the oldest are dropped and counted.

    Parameters
    ----------
    buffer : int
        Items that are kept, from 1.
    """

    __slots__ = ("_buffer", "_items")

    def __init__(self, buffer: int) -> None:
        super().__init__("all")
        self._buffer = buffer
        self._items: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Any, key: Hashable = None) -> None:  # one signature for all policies
        if self._ended is not None:
            return
        items = self._items
        if len(items) >= self._buffer:
            items.popleft()
            self.dropped += 1
        items.append(item)
        if self._waiters:
            self._wake()

    def pop(self) -> Any:
        return self._items.popleft()

    def clear(self) -> None:
        self._items.clear()


class ConflatingInbox(Inbox):
    """
    The newest item of each key; those whose turn comes next are those that have waited longest.

    A newer item takes the place of the one it stands for, which is counted as dropped. `StreamEvent` are kept beside
    the values of their key, and what comes after one is taken after it. Of more than ``buffer`` keys the one that has
    waited longest is dropped.

    Parameters
    ----------
    buffer : int
        Keys that are kept, from 1.
    single : bool
        Whether all values stand for one another, whatever their key: policy ``"latest"``.
    """

    __slots__ = ("_buffer", "_events", "_items", "_single")

    def __init__(self, buffer: int, *, single: bool = False) -> None:
        super().__init__("latest" if single else "conflate")
        self._buffer = buffer
        self._single = single
        self._items: OrderedDict[Hashable, Any] = OrderedDict()
        self._events = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Any, key: Hashable = None) -> None:
        if self._ended is not None:
            return
        if self._single:
            key = None
        items = self._items
        if isinstance(item, StreamEvent):
            key = (type(item), item.symbol)
            self._events += key not in items
        if key in items:
            self.dropped += 1
            if self._events:
                items.move_to_end(key)
        elif len(items) >= self._buffer + self._events:
            self._removed(items.popitem(last=False)[1])
            self.dropped += 1
        items[key] = item
        if self._waiters:
            self._wake()

    def _removed(self, item: Any) -> Any:
        self._events -= isinstance(item, StreamEvent)
        return item

    def pop(self) -> Any:
        return self._removed(self._items.popitem(last=False)[1])

    def clear(self) -> None:
        self._items.clear()
        self._events = 0


def open_inbox(policy: Policy, buffer: int) -> Inbox:
    """
    Return an empty inbox.

    Parameters
    ----------
    policy : str
        ``"latest"``: the newest value alone. ``"conflate"``: the newest of each symbol. ``"all"``: every one.
    buffer : int
        How many are kept at most; of more the oldest are dropped and counted.

    Raises
    ------
    UnknownName : another policy.
    UsageError : ``buffer`` < 1.
    """
    check_choice("policy", policy, POLICIES)
    if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
        raise UsageError(f"buffer was {buffer!r}; write a whole number from 1: how many values may wait")
    if policy == "all":
        return QueueInbox(buffer)
    return ConflatingInbox(buffer, single=policy == "latest")
