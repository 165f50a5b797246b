"""
What a stream says between its values: that data has stopped, or that some of it can no longer be had.

Frozen values that travel in the same iterator as tickers, trades and candles; ``isinstance(item, StreamEvent)`` tells
them apart. Times are int milliseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Missed", "Stale", "StreamEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """
    Something that happened to a stream, rather than in the market.

    Attributes
    ----------
    kind : str
        What is streamed: ``"ticker"``, ``"tickers"``, ``"ohlcv"``, ``"trades"``, ``"book"``, ``"balance"``,
        ``"orders"``.
    symbol : str or None
        The market; ``None`` where the stream is not of one.
    time : int
        When it was noticed, by the venue's clock.
    """

    kind: str
    symbol: str | None = None
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale(StreamEvent):
    """
    Data has stopped: what came last is older than ``max_age``, or the connection is gone.

    The stream is being opened anew; nothing has to be done but not to act on old values.

    Attributes
    ----------
    age : float
        Seconds since the last data.
    reason : str
        ``"silent"``: the connection lives and nothing comes; of an account, REST does not answer either.
        ``"disconnected"``: it broke, or there is none yet. ``"refused"``: the venue would not have us, and is asked
        again. ``"sequence"``: what came did not fit together.
    """

    age: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(StreamEvent):
    """
    Data of ``[since, until)``, ms UTC, was not received, and the venue no longer tells it over REST.

    What follows is complete again.
    """

    since: int
    until: int
