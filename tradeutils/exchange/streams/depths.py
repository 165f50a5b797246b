"""
How deep a book is subscribed to, so that the levels a consumer asks for are right.

Venues send books of a few depths each; a consumer may want any. He is given the next deeper one, cut. Where a book is
made of a snapshot and differences, a shallow snapshot would not do: once its best levels are taken, those behind them
were never told, and the book has holes that nothing shows. Such books are always taken at ccxt's full depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradeutils.errors import UsageError

__all__ = ["BookDepth", "book_depth", "rest_depth"]


@dataclass(frozen=True, slots=True)
class BookDepth:
    """
    What is asked for, and what is handed on.

    Attributes
    ----------
    asked : int or None
        What ccxt is given; ``None``: its own default.
    kept : int or None
        Levels of each side that are handed on; ``None``: all that come.
    is_full : bool
        Whether it is known to be no shallower than `Exchange.fetch_order_book` is by default.
    """

    asked: int | None
    kept: int | None
    is_full: bool


@dataclass(frozen=True, slots=True)
class _Depths:
    """
    The depths of one venue.

    ``steps``: those that can be asked for. ``deepest``: the most levels that are right. ``default``: what is asked for
    where nobody says; 0: nothing is asked for, which gives ``deepest``.
    """

    steps: tuple[int, ...] = ()
    deepest: int = 0
    default: int = 0


_TABLE: Final[Mapping[str, _Depths]] = {
    # Differences of the whole book on a snapshot of 1000 levels.
    "binance": _Depths(deepest=1000),
    # https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
    "bybit": _Depths((1, 50, 200, 1000), deepest=1000, default=50),
    # 1 and 5 are snapshots, and 400 is what is sent by default
    # (https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel); 50 needs a VIP account.
    "okx": _Depths((1, 5), deepest=400),
    # https://docs.kraken.com/api/docs/websocket-v2/book; the venue's default of 10 is less than REST has.
    "kraken": _Depths((10, 25, 100, 500, 1000), deepest=1000, default=100),
    "bitfinex": _Depths((25, 100), deepest=100, default=25),
    "htx": _Depths((20, 150), deepest=150, default=150),
}
_BYBIT_OPTIONS: Final = _Depths((25, 100), deepest=100, default=100)
_NOT_OF_THE_FAMILY: Final = frozenset({"krakenfutures"})  # another interface
_REST_STEPS: Final = (5, 10, 20, 50, 100)


def book_depth(venue: str, symbol: str, limit: int | None) -> BookDepth:
    """
    Return how deep a book is subscribed to for who wants ``limit`` levels of each side.

    Of a venue that is not known here nothing is asked for: the book is as deep as ccxt takes it, and cut.

    Raises
    ------
    UsageError : the venue streams no book of so many levels.
    """
    depths = _depths(venue, symbol)
    if depths is None:
        return BookDepth(None, limit, is_full=False)
    if limit is None:
        return BookDepth(depths.default or None, depths.deepest if not depths.default else None, is_full=True)
    if limit > depths.deepest:
        raise UsageError(
            f"limit was {limit}; {venue} streams books of up to {depths.deepest} levels: write limit={depths.deepest}, "
            "or ask for more now and then with fetch_order_book"
        )
    asked = next((step for step in depths.steps if step >= limit), None)
    return BookDepth(asked, limit, is_full=True)


def _depths(venue: str, symbol: str) -> _Depths | None:
    if venue in _NOT_OF_THE_FAMILY:
        return None
    if "bybit" in venue and symbol.count("-") > 1:
        return _BYBIT_OPTIONS
    return next((depths for name, depths in _TABLE.items() if name in venue), None)


def rest_depth(limit: int | None) -> int | None:
    """Return what REST is asked for in place of a stream: venues take a few depths, and refuse others."""
    return limit if limit is None else next((step for step in _REST_STEPS if step >= limit), limit)
