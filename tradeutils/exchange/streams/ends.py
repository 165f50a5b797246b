"""The two ends of a line: what it is made of, and who is told what arrives."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tradeutils.errors import TradeutilsError
from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.streams.dialing import Dialer
from tradeutils.exchange.streams.topics import Topic

if TYPE_CHECKING:
    from tradeutils.exchange.streams.line import Line

__all__ = ["Opened", "Sink"]


class Sink(Protocol):
    """Who is told what arrives. Called from the event loop; must not wait, and must not raise."""

    def received(self, topic: Topic, value: Any, frame: Any, at: float) -> None:
        """
        Take what one message of the venue brought for a topic.

        Parameters
        ----------
        topic : Topic
            As it was subscribed to.
        value : Any
            What ccxt parsed. ``ticker`` and ``tickers``: one ticker dict (a message of many is many calls).
            ``trades``: the list of new trade dicts, oldest first, never empty. ``ohlcv``: the list of new rows
            ``[time, o, h, l, c, v]``, never empty; rows change later. ``book``: ccxt's OrderBook, which changes
            later: take what is needed at once. ``balance``: the balance dict. ``orders``: the list of new order
            dicts, merged with what came before, oldest first, never empty. Figures are floats in public topics and
            Decimals in private ones.
        frame : Any
            The decoded message that brought it; ``None`` where REST did (the snapshot of a book).
        at : float
            ``time.monotonic`` of its arrival.
        """
        ...

    def failed(self, line: Line, error: TradeutilsError, topics: Collection[Topic]) -> None:
        """
        Take that these topics bring nothing more: place them again.

        One topic: the venue refused it, or its sequence or checksum was broken. All of a line's: the line ended.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """
    An instance of ccxt's class for one line.

    Attributes
    ----------
    ccxt : ccxt.pro.Exchange
        With the venue's markets, and the original addresses of its websockets.
    connection : Connection
        Through which it asks over REST; closed with the line.
    dialer : Dialer
        Opens its websockets.
    private : bool
        Whether it has an account's keys.
    offering : callable
        Returns well-known venues that have a feature, for messages.
    """

    ccxt: Any
    connection: Connection
    dialer: Dialer
    private: bool
    offering: Callable[[str], Collection[str]]
