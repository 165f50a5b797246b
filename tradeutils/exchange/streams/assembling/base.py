"""What an assembler promises to the feed that drives it, and what it may ask of the venue."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, TypeVar

from tradeutils.model import Balance, Candles, Order, OrderBook, Ticker, Trade
from tradeutils.model.streaming import StreamEvent
from tradeutils.timeframe import Instant

__all__ = ["Assembler", "Rest"]

T_co = TypeVar("T_co", covariant=True)


class Rest(Protocol):
    """
    What an assembler asks over REST: these methods of `tradeutils.Exchange`, which says what each does and raises.

    Candles may be a second older than the question, as those are that the exchange shares with who asks next.
    """

    async def fetch_time(self) -> int: ...
    async def fetch_ticker(self, symbol: str) -> Ticker: ...
    async def fetch_ohlcv(
        self,
        symbol: str,
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
        partial: bool = False,
    ) -> Candles: ...
    async def fetch_trades(
        self, symbol: str, *, since: Instant | None = None, limit: int | None = None
    ) -> list[Trade]: ...
    async def fetch_order_book(self, symbol: str, *, limit: int | None = None) -> OrderBook: ...
    async def fetch_balance(self, wallet: str | None = None) -> Balance: ...
    async def fetch_open_orders(self, symbol: str | None = None) -> list[Order]: ...
    async def fetch_order(self, id: str | None, symbol: str) -> Order: ...  # noqa: A002  # the field's word
    async def fetch_orders(
        self, symbol: str, *, since: Instant | None = None, limit: int | None = None
    ) -> list[Order]: ...
    async def fetch_closed_orders(
        self, symbol: str, *, since: Instant | None = None, limit: int | None = None
    ) -> list[Order]: ...


class Assembler(Protocol[T_co]):
    """
    Makes the values of one subscription out of what the venue pushes.

    Used from one event loop. ``now`` is the venue's time, int milliseconds UTC, everywhere. `take` and `interrupted`
    may be called while `resume` or `settle` wait for an answer; these two never run at once with one another, and may
    be cancelled at any time: what they had not returned yet comes with the next call.

    Venue errors that pass are kept to themselves: `due` says when to try again. Others are raised.
    """

    def take(self, value: Any, frame: Any, now: int) -> Sequence[T_co | StreamEvent]:
        """
        Take one update and return what can be told now, oldest first; often nothing.

        Parameters
        ----------
        value : object
            What ccxt parsed: see `Sink.received`. What is needed of it is copied at once.
        frame : object
            The decoded message that it came in.
        """
        ...

    def interrupted(self, now: int) -> None:
        """Note that messages may be missing from here on: the connection broke, or a sequence did."""
        ...

    async def resume(self, rest: Rest) -> Sequence[T_co | StreamEvent]:
        """
        Fill what was missed; call it once the topic is subscribed, the first time too, and again after each break.

        What `take` gets meanwhile is held and merged.
        """
        ...

    def due(self, now: int) -> float | None:
        """Return in how many seconds `settle` has work to do, 0 for at once; ``None``: not until something comes."""
        ...

    async def settle(self, rest: Rest, now: int) -> Sequence[T_co | StreamEvent]:
        """Do the work that has fallen due by the clock; return what can be told now."""
        ...

    def finish(self, item: Any) -> T_co | None:
        """
        Return what the consumer gets for an item of `take`, when it is handed over.

        The item itself, but for order books, which are made only then: of what they are at that moment. ``None``: the
        item is worth nothing any more (the book broke meanwhile), go on to the next.
        """
        ...

    def conflation_key(self, item: Any) -> Hashable:
        """Return what a newer item replaces an older one by: mostly the symbol."""
        ...
