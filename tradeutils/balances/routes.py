"""
From any asset to one quote currency, over the markets that a venue lists.

All routes to a quote are found at once, outwards from it: first what trades against it, then what trades
against those, at most `MAX_LEGS` away. The fewest legs win; among equals the one whose thinnest leg traded
most in the last 24 hours, counted in the quote.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from tradeutils.model import Market, Ticker

__all__ = ["EXACT", "MAX_LEGS", "Route", "fair_price", "routes_to"]

MAX_LEGS: Final = 3

EXACT: Final = Context(prec=60)
"""Wide enough that a product of an 18-decimal amount, 1e12 units and three prices loses nothing that matters."""

_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Route:
    """
    How an asset is priced.

    Attributes
    ----------
    price : Decimal
        One unit of the asset in the quote currency.
    legs : tuple of str
        The markets walked, from the asset to the quote; empty for the quote itself.
    liquidity : Decimal
        24-hour volume of the thinnest leg, in the quote currency.
    time : int or None
        Milliseconds UTC of the oldest ticker used; ``None`` where one of them has no time.
    """

    price: Decimal
    legs: tuple[str, ...]
    liquidity: Decimal
    time: int | None


@dataclass(frozen=True, slots=True)
class _Leg:
    """One market walked in one direction: ``rate`` units of ``to`` for one unit of ``of``; volume in ``to``."""

    of: str
    to: str
    symbol: str
    rate: Decimal
    volume: Decimal
    time: int | None


def routes_to(quote: str, markets: Mapping[str, Market], tickers: Mapping[str, Ticker]) -> dict[str, Route]:
    """Return the route to ``quote`` of every asset that has one, by asset. Spot markets that trade are used."""
    legs = list(_legs(markets, tickers))
    found = {quote: Route(_ONE, (), Decimal("Infinity"), None)}
    newest = {quote}
    for _ in range(MAX_LEGS):
        reached: dict[str, Route] = {}
        for leg in legs:
            if leg.of in found or leg.to not in newest:
                continue
            route = _extend(leg, found[leg.to])
            if leg.of not in reached or _better(route, reached[leg.of]):
                reached[leg.of] = route
        found |= reached
        newest = set(reached)
    return found


def _extend(leg: _Leg, onward: Route) -> Route:
    if not onward.legs:
        time = leg.time
    else:
        time = None if leg.time is None or onward.time is None else min(leg.time, onward.time)
    return Route(
        price=EXACT.multiply(leg.rate, onward.price),
        legs=(leg.symbol, *onward.legs),
        liquidity=min(EXACT.multiply(leg.volume, onward.price), onward.liquidity),
        time=time,
    )


def _better(one: Route, other: Route) -> bool:
    """More liquid first; the names of the legs decide between equals, so that the answer never wavers."""
    return (one.liquidity, other.legs) > (other.liquidity, one.legs)


def _legs(markets: Mapping[str, Market], tickers: Mapping[str, Ticker]) -> Iterator[_Leg]:
    for symbol, ticker in tickers.items():
        market = markets.get(symbol)
        price = fair_price(ticker)
        if market is None or market.type != "spot" or not market.active or price is None:
            continue
        base_volume = _volume(ticker.base_volume)
        quote_volume = _volume(ticker.quote_volume)
        if not quote_volume:
            quote_volume = EXACT.multiply(base_volume, price)
        yield _Leg(market.base, market.quote, symbol, price, quote_volume, ticker.time)
        yield _Leg(market.quote, market.base, symbol, EXACT.divide(_ONE, price), base_volume, ticker.time)


def _volume(value: float | None) -> Decimal:
    return _exact(value) or Decimal(0)


def fair_price(ticker: Ticker) -> Decimal | None:
    """
    Return the last price, moved into the spread where it lies outside: a stale trade does not outvote the book.

    Without a last price it is the middle of the spread; ``None`` where the ticker tells too little.
    """
    bid, ask, last = _exact(ticker.bid), _exact(ticker.ask), _exact(ticker.last)
    if bid is None or ask is None or bid > ask:  # one side only, or crossed: the book says nothing
        return last
    if last is None:
        return EXACT.divide(EXACT.add(bid, ask), Decimal(2))
    return min(max(last, bid), ask)


def _exact(value: float | None) -> Decimal | None:
    """
    Return a positive figure of market data as the decimal that the venue wrote.

    A float read from text is the nearest to it, so its shortest form is that text again (up to 15 digits).
    """
    if value is None or not 0 < value < math.inf:
        return None
    return Decimal(repr(float(value)))
