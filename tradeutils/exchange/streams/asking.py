"""
One call of ccxt's ``watch_...``, from its start to its first data.

Its hashes are learned by noting what the class asks ``watch`` for meanwhile. A class may ask several times, for a
login first: the last time counts. The call is done with once the venue has confirmed it; it goes on in a task of its
own until the first data, which ccxt's classes wait for, and what arrives until then is held back, since only its end
tells that no other hash comes after.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from tradeutils import errors
from tradeutils.exchange.requests.calls import Call
from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.streams.topics import Topic

if TYPE_CHECKING:
    from tradeutils.exchange.streams.sockets import Socket

__all__ = ["Asking", "Asks", "answers", "answers_to", "current_asking", "is_named"]

_ANSWER_S: Final = 1.0  # after which a request counts as confirmed by a venue that confirms none
_LOGIN_S: Final = 3.0  # the same of an account's: a login that is refused must not be taken for one
_LATEST_S: Final = 10.0  # after which no answer is looked for any more
_TURNS: Final = 5  # of the event loop, in which a class that was answered would ask for more
_IDS: Final = ("id", "req_id", "reqid", "requestId", "request_id")

current_asking: contextvars.ContextVar[Asking | None] = contextvars.ContextVar("tradeutils_asking", default=None)


class Asks(Protocol):
    """The line that asks."""

    venue: str
    connection: Connection
    private: bool

    def confirmed(self) -> None:
        """Note that the venue has taken a request."""
        ...

    def finished(self, asking: Asking) -> None:
        """Forget a call of which nothing is to come any more."""
        ...

    def route(self, asking: Asking, hashes: Sequence[str]) -> None:
        """Lead these hashes to the topics of a call."""
        ...

    def unroute(self, hashes: Sequence[str], topics: Sequence[Topic]) -> None:
        """Lead them there no longer."""
        ...

    def lost(self, error: errors.TradeutilsError, topics: Collection[Topic]) -> None:
        """Take that topics fail that had been confirmed."""
        ...

    def deliver(self, topic: Topic, value: Any, frame: Any, at: float) -> None:
        """Hand on what arrived for a topic."""
        ...


class Asking:
    """
    A call that is under way.

    Attributes
    ----------
    topics : sequence of Topic
        What it asks for.
    hashes : list of str
        Under which it will be resolved, as far as is known.
    ready : Future
        Done when the venue has confirmed it, or the error.
    is_pending : bool
        Whether ccxt's method has not come back yet.
    """

    def __init__(self, line: Asks, call: Call, topics: Sequence[Topic], work: Callable[[], Awaitable[Any]]) -> None:
        self.topics = topics
        self.hashes: list[str] = []
        self.is_pending = True
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready.add_done_callback(_retrieve)
        self._line = line
        self._call = call
        self._work = work
        self._asked = 0
        self._answers = 1  # to its last request
        self._held: list[tuple[Topic, Any, Any, float]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._socket: Socket | None = None
        self.task = asyncio.get_running_loop().create_task(self._run())
        self.task.add_done_callback(self._done)

    async def _run(self) -> None:
        current_asking.set(self)
        await self._line.connection.send(self._call, self._work)

    def noted(self, socket: Socket, hashes: Sequence[str], *, sends: bool) -> None:
        """Note what ccxt's class asks for; ``sends``: with a message to the venue."""
        self._asked += 1
        self._line.unroute(self.hashes, self.topics)
        self._held.clear()
        self.hashes = list(hashes)
        self._line.route(self, self.hashes)
        if sends:
            return
        if socket.is_open:
            self._settle_soon()
        else:
            socket.client.connected.add_done_callback(lambda _: self._settle_soon())

    def sent(self, socket: Socket, message: Any) -> None:
        """Note that a request leaves."""
        if self.ready.done():
            return
        self._socket = socket
        self._answers = answers_to(message)
        socket.sent(message, self, self._answers)
        if self._timer is not None:
            self._timer.cancel()
        wait = _LOGIN_S if self._line.private else _ANSWER_S
        self._timer = asyncio.get_running_loop().call_later(wait, self._waited)

    def _waited(self) -> None:
        """Go on without an answer; a refusal that comes late is still told from those of other calls."""
        self._set_ready()
        self._timer = asyncio.get_running_loop().call_later(_LATEST_S, self._look_away)

    def answered(self) -> None:
        """Note that the venue has answered all of a request; what ccxt does upon that happens in the next turns."""
        self._settle_soon()

    def _settle_soon(self, turns: int = _TURNS, asked: int | None = None) -> None:
        if asked is not None and asked != self._asked:
            return  # that was a login
        if turns:
            asyncio.get_running_loop().call_soon(self._settle_soon, turns - 1, self._asked)
        else:
            if not self._has_failed:
                self._line.confirmed()
            self._settle()

    @property
    def _has_failed(self) -> bool:
        return self.ready.done() and (self.ready.cancelled() or self.ready.exception() is not None)

    def _settle(self) -> None:
        self._set_ready()
        self._look_away()

    def _set_ready(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _look_away(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._socket.forget(self)
        self._timer = self._socket = None
        if self.task.done():
            self._line.finished(self)

    def hold(self, topic: Topic, value: Any, frame: Any, at: float) -> None:
        """Keep what arrives before ccxt's method has come back."""
        self._held.append((topic, value, frame, at))

    def _done(self, task: asyncio.Task[None]) -> None:
        self.is_pending = False
        held, self._held = self._held, []
        if task.cancelled():
            self._look_away()
            self.ready.cancel()
            return
        error = task.exception()
        if error is None and not self.hashes:
            error = errors.NotSupportedByVenue(
                f"ccxt's {self._call.operation} opens no websocket here", venue=self._line.venue
            )
        if error is not None:
            self.fail(error if isinstance(error, errors.TradeutilsError) else errors.StreamBroken(type(error).__name__))
            return
        if self._answers == 1 or self._socket is None:  # else others of its topics may still be refused
            self._settle()
        for one in held:
            self._line.deliver(*one)

    def fail(self, error: errors.TradeutilsError) -> None:
        """End with an error: raised to who asked, or told to who was promised the topics."""
        self._look_away()
        self._line.unroute(self.hashes, self.topics)
        if self.ready.done():
            self._line.lost(error, self.topics)
        else:
            self.ready.set_exception(error)
        self.task.cancel()

    def release(self) -> None:
        """Wait for its first data no longer: ccxt would end it once one of its topics is left."""
        if not self.is_pending:
            return
        self.is_pending = False
        self.task.remove_done_callback(self._done)
        self.task.add_done_callback(self._released)
        self.task.cancel()
        held, self._held = self._held, []
        for one in held:
            self._line.deliver(*one)

    def _released(self, task: asyncio.Task[None]) -> None:
        _retrieve(task)
        if self._socket is None:
            self._line.finished(self)

    def cancel(self) -> None:
        """End without a word."""
        self._look_away()
        self._line.unroute(self.hashes, self.topics)
        self.ready.cancel()
        self.task.cancel()


def answers_to(message: Any) -> int:
    """Return how many answers a request gets: of kraken one for each symbol, of okx one for each argument."""
    if not isinstance(message, dict):
        return 1
    arguments, parameters = message.get("args"), message.get("params")
    if isinstance(arguments, list) and arguments and all(isinstance(one, dict) for one in arguments):
        return len(arguments)
    symbols = parameters.get("symbol") if isinstance(parameters, dict) else None
    return max(1, len(symbols)) if isinstance(symbols, list) else 1


def is_named(message: Any, text: str) -> bool:
    """Tell whether words of a venue name a market that a request asks for: okx refuses with nothing else."""
    arguments = message.get("args") if isinstance(message, dict) else None
    found = [one.get("instId") for one in arguments if isinstance(one, dict)] if isinstance(arguments, list) else ()
    return any(isinstance(one, str) and re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", text) for one in found)


def answers(message: Any, frame: Any) -> bool:
    """
    Tell whether a message answers a request: by the same id, or by repeating one of its arguments.

    So venues that number requests answer, and those that answer with the channel and its market.
    """
    if not isinstance(message, dict) or not isinstance(frame, dict):
        return False
    for name in _IDS:
        if message.get(name) is not None and name in frame:
            return bool(str(message[name]) == str(frame[name]))
    arguments, argument = message.get("args"), frame.get("arg")
    return isinstance(arguments, list) and argument is not None and argument in arguments


def _retrieve(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()  # whoever asked may be gone
