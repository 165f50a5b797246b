"""
From any asset to one quote currency, over the markets that a venue lists.

All routes to a quote are found at once, outwards from it: for each asset the most liquid route of one leg, of two,
and of three; a route is as liquid as the leg of it that traded least in the last 24 hours, counted in the quote. The
fewest legs win, for each adds its spread and its age, unless

- a leg of the short route is *weak* and no leg of the longer one is: its book has one side only, a spread above
  `MAX_SPREAD`, or was told more than `FRESH` seconds ago; or
- both are alike in that, and the short one is less than `THIN` as liquid as the longer one.

Between equals the names of the legs decide, so that the answer never wavers. A market that is closed, crossed (bid
above ask), without a positive finite price, or told about more than ``max_age`` seconds ago prices nothing.

Routes are sought in float64, where nearness decides nothing but which of two equally good ones is taken; an asset's
price is worked out in decimals when it is first asked for. 1500 tickers take 7 ms so; with every figure a decimal, a
search that looked for the fewest legs alone took 11.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple, cast

from tradeutils.balances.assets import Listing, Standing
from tradeutils.balances.pegs import Pegs, frozen_pegs, parity
from tradeutils.errors import UsageError
from tradeutils.model import Market, Ticker
from tradeutils.model.valuations import LegSide

__all__ = [
    "EXACT",
    "FRESH",
    "MAX_AGE",
    "MAX_LEGS",
    "MAX_SPREAD",
    "THIN",
    "Route",
    "Routes",
    "Step",
    "fair_price",
    "routes_to",
]

MAX_LEGS: Final = 3
MAX_SPREAD: Final = 0.1
"""Of a market that is not weak: the difference of ask and bid, as a fraction of their middle."""
FRESH: Final = 600.0
"""Seconds after which a ticker makes its market weak."""
MAX_AGE: Final = 86_400.0
"""Seconds after which a ticker is no price: it tells of 24 hours, which are over."""
THIN: Final = 0.05
"""A route is passed over for a longer one that trades more than twenty times as much."""

EXACT: Final = Context(prec=2000)
"""
For sums and products of amounts and prices: wide enough to lose no digit.

An amount of 18 decimals and 1e12 units times a price of 60 digits has 90; values of 1e290 and 1e-290 beside each other
add up in 700. What is shorter costs no more than in a narrow context.
"""
_PRICE: Final = Context(prec=60)  # a quotient does not end by itself; 60 digits are twice what an amount has

_ONE: Final = Decimal(1)
_LEAST, _MOST = 1e-30, 1e30  # of a price; three of them and an amount of 200 digits still multiply to a float
_CERTAIN: Final = math.inf  # liquidity of what is the quote itself


class Step(NamedTuple):
    """One leg of a route: the market, what one would do there, its own price, and when that was told (ms UTC)."""

    symbol: str
    side: LegSide
    price: Decimal
    time: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """
    How an asset is priced.

    Attributes
    ----------
    price : Decimal
        One unit of the asset in the quote currency.
    legs : tuple of str
        The markets walked, from the asset to the quote; empty for the quote itself; ``"peg"`` where a parity that the
        caller asked for was taken.
    liquidity : float
        24-hour volume of the thinnest leg, in the quote currency.
    time : int or None
        Milliseconds UTC of the oldest ticker used; ``None`` where one of them has no time, or there is none.
    steps : tuple of Step
        Side, price and time of each leg.
    """

    price: Decimal
    legs: tuple[str, ...]
    liquidity: float
    time: int | None
    steps: tuple[Step, ...] = ()


class _Edge(NamedTuple):
    """One market walked in one direction; ``volume`` in what is received."""

    given: str
    received: str
    rate: float
    volume: float
    sound: bool
    side: LegSide
    symbol: str
    ticker: Ticker


class _Way(NamedTuple):
    """A route while it is sought: its first edge, and the way on from there."""

    sound: bool
    liquidity: float
    price: float
    edge: _Edge | None = None
    onward: Any = None  # a _Way, which a NamedTuple cannot say of itself

    def edges(self) -> list[_Edge]:
        """Return what is walked, in order."""
        found, way = [], self
        while way.edge is not None:
            found.append(way.edge)
            way = way.onward
        return found

    def beats(self, other: _Way) -> bool:
        """Tell whether it is the better of two with equally many legs."""
        ours, theirs = (self.sound, self.liquidity), (other.sound, other.liquidity)
        return ours > theirs or (ours == theirs and self.symbols() < other.symbols())

    def supplants(self, shorter: _Way) -> bool:
        """Tell whether it is worth more legs."""
        if self.sound != shorter.sound:
            return self.sound
        return shorter.liquidity < THIN * self.liquidity

    def symbols(self) -> list[str]:
        return [edge.symbol for edge in self.edges()]


class Routes(Mapping[str, Route]):
    """
    How every asset that can be is priced in one currency: a mapping from asset to `Route`.

    Parameters
    ----------
    quote : str
        The currency; its own route has no legs.
    markets, tickers : mapping from symbol
        Of one venue. Spot markets are used.
    venue : str or None
        ccxt's id, by which locked assets are known.
    now : int or None
        The venue's time, ms UTC; ``None``: no ticker counts as old.
    max_age : float
        Seconds after which a ticker is no price.
    pegs : mapping, str or ()
        What is taken for equal; see `tradeutils.balances.pegs.Pegs`.

    Raises
    ------
    UsageError : ``max_age`` is not above 0; ``pegs`` is none of these.
    """

    __slots__ = ("_alias", "_listing", "_quoted", "_routes", "_standings", "_ways", "quote")

    def __init__(
        self,
        quote: str,
        markets: Mapping[str, Market],
        tickers: Mapping[str, Ticker],
        *,
        venue: str | None = None,
        now: int | None = None,
        max_age: float = MAX_AGE,
        pegs: Pegs = (),
    ) -> None:
        if not max_age > 0:
            raise UsageError(f"max_age was {max_age!r}; give seconds above 0, as in 3600.0")
        self.quote = quote
        self._alias = parity(frozen_pegs(pegs), quote)
        self._listing = Listing(markets, venue)
        self._standings: dict[str, Standing] = {}
        self._routes: dict[str, Route | None] = {quote: Route(_ONE, (), _CERTAIN, None)}
        edges: dict[str, list[_Edge]] = {}
        for edge in _edges(markets, tickers, now, max_age):
            given, received = self._node(edge.given), self._node(edge.received)
            if given != received:
                edges.setdefault(received, []).append(edge)
        self._quoted = set(edges)  # each market has an edge either way
        self._ways = self._search(edges)

    def __repr__(self) -> str:
        return f"<Routes of {len(self)} assets to {self.quote}>"

    def __getitem__(self, asset: str) -> Route:
        route = self._route(asset)
        if route is None:
            raise KeyError(asset)
        return route

    def __iter__(self) -> Iterator[str]:
        yield from self._ways
        yield from (name for name, node in self._alias.items() if node in self._ways and name not in self._ways)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, asset: object) -> bool:
        return isinstance(asset, str) and self._node(asset) in self._ways

    def of(self, assets: Iterable[str]) -> list[Route | None]:
        """Return the route of each asset; ``None`` where there is none."""
        known, find = self._routes, self._route
        return [known[asset] if asset in known else find(asset) for asset in assets]

    def standing(self, asset: str) -> Standing:
        """Return what an asset without a route is, and why it has none."""
        found = self._standings.get(asset)
        if found is None:
            found = self._listing.standing(asset, quoted=self._node(asset) in self._quoted)
            self._standings[asset] = found
        return found

    def _node(self, currency: str) -> str:
        return self._alias.get(currency, currency)

    def _search(self, edges: Mapping[str, list[_Edge]]) -> dict[str, _Way]:
        """Return the way of each currency: the best of each number of legs, and the best of these."""
        newest = {self.quote: _Way(True, _CERTAIN, 1.0)}
        best = dict(newest)
        for _ in range(MAX_LEGS):
            reached: dict[str, _Way] = {}
            for node, onward in newest.items():
                passed = {self._node(edge.given) for edge in onward.edges()} | {self.quote}
                for edge in edges.get(node, ()):
                    given = self._node(edge.given)
                    if given in passed:
                        continue
                    way = _extend(edge, onward)
                    if given not in reached or way.beats(reached[given]):
                        reached[given] = way
            for name, way in reached.items():
                if name not in best or way.supplants(best[name]):
                    best[name] = way
            newest = reached
        return best

    def _route(self, asset: str) -> Route | None:
        """Return a route in decimals, worked out once."""
        if asset in self._routes:
            return self._routes[asset]
        way = self._ways.get(self._node(asset))
        route = None if way is None else self._worked_out(asset, way)
        if route is not None or asset in self._listing.currencies:  # whatever else is asked for is not kept
            self._routes[asset] = route
        return route

    def _worked_out(self, asset: str, way: _Way) -> Route:
        steps: list[Step] = []
        here, times = asset, []
        numerator = denominator = _ONE
        for edge in way.edges():
            if edge.given != here:
                steps.append(_PEG)
            price = cast(Decimal, fair_price(edge.ticker))  # or there were no edge
            if edge.side == "sell":
                numerator = EXACT.multiply(numerator, price)
            else:
                denominator = EXACT.multiply(denominator, price)
            steps.append(Step(edge.symbol, edge.side, price, edge.ticker.time))
            times.append(edge.ticker.time)
            here = edge.received
        if here != self.quote:
            steps.append(_PEG)
        exact = numerator if denominator == _ONE else _PRICE.divide(numerator, denominator)
        told = [time for time in times if time is not None]
        return Route(
            price=exact,
            legs=tuple(step.symbol for step in steps),
            liquidity=way.liquidity,
            time=min(told) if told and len(told) == len(times) else None,
            steps=tuple(steps),
        )


_PEG: Final = Step("peg", "peg", _ONE, None)


def routes_to(quote: str, markets: Mapping[str, Market], tickers: Mapping[str, Ticker], **options: Any) -> Routes:
    """Return the route to ``quote`` of every asset that has one; ``options`` as `Routes` takes them."""
    return Routes(quote, markets, tickers, **options)


def _extend(edge: _Edge, onward: _Way) -> _Way:
    return _Way(
        edge.sound and onward.sound,
        min(edge.volume * onward.price, onward.liquidity),
        edge.rate * onward.price,
        edge,
        onward,
    )


def _edges(
    markets: Mapping[str, Market], tickers: Mapping[str, Ticker], now: int | None, max_age: float
) -> Iterator[_Edge]:
    """Yield each market that tells a price, walked either way."""
    for symbol, ticker in tickers.items():
        market = markets.get(symbol)
        if market is None or market.type != "spot" or not market.active or market.base == market.quote:
            continue
        age = 0.0 if now is None or ticker.time is None else (now - ticker.time) / 1000
        price = _fair(ticker) if age <= max_age else None
        if price is None:
            continue
        base_volume = _figure(ticker.base_volume) or 0.0
        quote_volume = _figure(ticker.quote_volume) or base_volume * price
        spread = ticker.spread if _figure(ticker.bid) and _figure(ticker.ask) else None
        sound = spread is not None and spread <= MAX_SPREAD and age <= FRESH
        yield _Edge(market.base, market.quote, price, quote_volume, sound, "sell", symbol, ticker)
        yield _Edge(
            market.quote, market.base, 1 / price, base_volume or quote_volume / price, sound, "buy", symbol, ticker
        )


def _fair(ticker: Ticker) -> float | None:
    """Return what `fair_price` returns, as near as a float is."""
    bid, ask, last = _figure(ticker.bid), _figure(ticker.ask), _figure(ticker.last)
    if bid is None or ask is None:
        return last
    if bid > ask:
        return None
    return (bid + ask) / 2 if last is None else min(max(last, bid), ask)


def fair_price(ticker: Ticker) -> Decimal | None:
    """
    Return the last price, moved into the spread where it lies outside: a stale trade does not outvote the book.

    Without a last price it is the middle of the spread, and of a book with one side it is the last; ``None`` where the
    ticker tells too little, or is crossed. A float read from text is the nearest to it, so its shortest form is that
    text again (up to 15 digits): that is the decimal.
    """
    bid, ask, last = _figure(ticker.bid), _figure(ticker.ask), _figure(ticker.last)
    if bid is not None and ask is not None and last is None and bid <= ask:
        return EXACT.divide(EXACT.add(_decimal(bid), _decimal(ask)), Decimal(2))
    price = _fair(ticker)
    return None if price is None else _decimal(price)


def _decimal(figure: float) -> Decimal:
    return Decimal(repr(float(figure)))


def _figure(value: float | None) -> float | None:
    """Return a positive figure of market data that can be reckoned with."""
    return value if value is not None and _LEAST <= value <= _MOST else None
