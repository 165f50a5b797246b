"""The lines of one exchange: those of its account, and those that it shares with all who see the venue as it does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from tradeutils.errors import UsageError
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.streams.ends import Sink
from tradeutils.exchange.streams.line import Line
from tradeutils.exchange.streams.pool import Pool
from tradeutils.exchange.streams.topics import Topic

__all__ = ["Lines"]


class Lines:
    """
    Where the topics of an exchange are placed.

    Each sink hears of the topics that it placed, and of those alone; a topic that several sinks placed is subscribed to
    once.

    Parameters
    ----------
    venue : str
        For messages.
    public : Pool
        Stays open when this is closed.
    private : Pool or None
        Of the account, if there is one; closed with this.
    """

    def __init__(self, venue: str, public: Pool, private: Pool | None) -> None:
        self._venue = venue
        self._public = public
        self._private = private
        self._mine: dict[Topic, list[Sink]] = {}

    async def place(self, topics: Sequence[Topic], sink: Sink) -> None:
        """
        Subscribe to topics, on as many lines as it takes.

        Waits out the venue's limits and the pause after failed dials (the first is followed by none), so that a caller
        may place again at once after an error that may pass. All of them are placed, or none and it raises.

        Raises
        ------
        BadSymbol, NotSupportedByVenue, AuthenticationFailed, RequestRefused, UsageError (no account)
            For good.
        TransientVenueError
            `StreamBroken`, `VenueUnavailable`, `RateLimited` ...: worth another try.
        Closed
            These lines were closed.
        """
        hidden = [topic for topic in topics if topic.is_private]
        if hidden and self._private is None:
            raise UsageError(
                f"watch_{hidden[0].kind} needs an account; write Exchange({self._venue!r}, account=Account(...))"
            )
        shown = [topic for topic in topics if not topic.is_private]
        for topic in topics:
            sinks = self._mine.setdefault(topic, [])
            if sink not in sinks:
                sinks.append(sink)
        work = [pool.place(part, sink) for pool, part in self._split(shown, hidden)]
        try:
            await all_or_first_error(work)
        except BaseException:
            await self.leave(topics, sink)
            raise

    def _split(self, shown: Sequence[Topic], hidden: Sequence[Topic]) -> list[tuple[Pool, Sequence[Topic]]]:
        parts: list[tuple[Pool, Sequence[Topic]]] = [(self._public, shown)] if shown else []
        if hidden and self._private is not None:
            parts.append((self._private, hidden))
        return parts

    async def leave(self, topics: Collection[Topic], sink: Sink | None = None) -> None:
        """Unsubscribe from what ``sink`` (``None``: whoever) placed here and nobody else wants; raises nothing."""
        left: dict[int, tuple[Sink, list[Topic]]] = {}
        for topic in dict.fromkeys(topics):
            sinks = self._mine.pop(topic, [])
            for one in sinks:
                if sink is None or one is sink:
                    left.setdefault(id(one), (one, []))[1].append(topic)
            if others := [one for one in sinks if sink is not None and one is not sink]:
                self._mine[topic] = others
        for who, hers in left.values():
            parts = self._split([one for one in hers if not one.is_private], [one for one in hers if one.is_private])
            await asyncio.gather(*(pool.leave(part, who) for pool, part in parts))

    async def replace(self, line: Line | Topic) -> None:
        """
        Have what comes in on a line come in on a fresh one: its topics fail, and are placed again by who wants them.

        ``line`` : Line or Topic
            A topic is taken from its line alone, and never placed there again; the others stay.
        """
        private = line.private if isinstance(line, Line) else line.is_private
        pool = self._private if private else self._public
        if pool is not None:
            await pool.replace(line)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Those that are open, the shared ones among them."""
        return (*self._public.lines, *(self._private.lines if self._private is not None else ()))

    async def aclose(self) -> None:
        """Leave what was placed here, and close the account's lines. Safe to call twice."""
        await self.leave(list(self._mine))
        if self._private is not None:
            await self._private.aclose()
