"""
Open orders by the cheapest route: which requests list them, and what those cost.

Venues list the orders of one market, or of all markets of a kind at once; which kinds share a list differs. What each
request costs is read from the same table that it is paid by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from tradeutils.budget.base import Charge
from tradeutils.errors import AuthenticationFailed, UsageError
from tradeutils.exchange.base import OrderVenue
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.model import Market, Order

__all__ = ["Route", "fetch_open_orders", "next_page", "page_size", "routes_to_all"]

Selection: TypeAlias = tuple[tuple[str, Any], ...]
"""ccxt's parameters of a request, name by name."""

# One request lists orders of every kind (okx), or the class knows one kind of market alone.
_ONE_LIST: Final = ("okx", "kraken", "coinbase", "bitfinex", "hyperliquid")
# These classes are known to take the kind of market as a parameter; others might send it on to the venue.
_SELECTIVE: Final = ("bybit", "gate", "bitget", "kucoin", "mexc", "htx")
_PRODUCTS: Final = {"USDT": "USDT-FUTURES", "USDC": "USDC-FUTURES"}  # bitget's, by what contracts settle in
_PAGES: Final = {"bybit": 50, "okx": 100, "bitget": 100, "kucoin": 500, "kucoinfutures": 500, "gate": 100, "mexc": 100}


# Lists that one parameter does not select together.
_WAITING: Final[Mapping[str, tuple[Selection, ...]]] = {
    "okx": ((), (("ordType", "conditional,oco"),)),
}


class Route(NamedTuple):
    """A request for open orders: of one market, or with ``symbol=None`` of all that parameters of ccxt select."""

    symbol: str | None
    selection: Selection = ()

    @property
    def params(self) -> dict[str, Any]:
        """ccxt's parameters."""
        return dict(self.selection)


def page_size(venue: str) -> int | None:
    """Return how many orders a page holds at most; ``None`` where all come at once."""
    return _PAGES.get(venue)


def next_page(venue: str, raws: Sequence[Mapping[str, Any]], pages: int) -> dict[str, Any] | None:
    """
    Return ccxt's parameters of the page after this one, or ``None``.

    Parameters
    ----------
    venue : str
        Whose pages they are.
    raws : sequence of dict
        The orders of the page, as ccxt has them: oldest first.
    pages : int
        How many there were with this one.
    """
    size = _PAGES.get(venue)
    if size is None or not raws:
        return None
    if venue == "bybit":
        cursors = [raw.get("info", {}).get("nextPageCursor") for raw in raws]
        cursor = next((one for one in cursors if one), None)
        return None if cursor is None else {"cursor": cursor}
    if len(raws) < size:
        return None
    if venue == "okx":
        return {"after": raws[0]["id"]}
    if venue == "bitget":
        return {"idLessThan": raws[0]["id"]}
    if venue == "gate":
        return {"page": pages + 1, "offset": pages * size}
    return {"page_num": pages + 1} if venue == "mexc" else {"currentPage": pages + 1}


def routes_to_all(venue: str, markets: Iterable[Market]) -> dict[Route, Market]:
    """Return the requests that together list the open orders of all markets, each with one of its markets."""
    examples: dict[Selection, Market] = {}
    for market in markets:
        examples.setdefault(_selection(venue, market), market)
    if len(examples) == 1 and not _is_selective(venue):
        return {Route(None): market for market in examples.values()}  # what the class asks for by itself
    return {Route(None, selection): market for selection, market in examples.items()}


def _is_selective(venue: str) -> bool:
    return venue.startswith("binance") or venue in _SELECTIVE


def _selection(venue: str, market: Market) -> Selection:
    """Return ccxt's parameters that select the list a market's orders stand in."""
    if venue in _ONE_LIST:
        return ()
    if market.type in ("spot", "margin"):
        return (("type", "spot"),)
    side = "inverse" if market.inverse else "linear"
    settle = market.settle or ""
    if market.type == "option":
        return (("type", "option"),)
    if venue.startswith("binance"):
        return (("type", "swap"), ("subType", side))  # futures with an end are in it
    if venue == "bybit":
        return (("type", "swap"), ("subType", side), ("settleCoin", settle))
    if venue == "gate":
        return (("type", market.type), ("settle", settle.lower()))
    if venue == "bitget":
        return (("type", "swap"), ("productType", _PRODUCTS.get(settle, "COIN-FUTURES")))
    return (("type", market.type), ("subType", side)) if market.linear is not None else (("type", market.type),)


async def fetch_open_orders(
    venue: OrderVenue, markets: Iterable[Market], *, named: bool, trigger: bool = False, urgent: bool = False
) -> list[Order]:
    """
    Return open orders by the requests that cost least: of the markets, or with ``named=False`` of all there are.

    Raises
    ------
    UsageError : the venue lists by market alone, and none was named.
    """
    wanted = list(markets)
    routes = await _cheapest(venue, wanted) if named else routes_to_all(venue.name, wanted)
    asked = [one for route, market in routes.items() for one in _variants(venue, route, market, trigger)]
    try:
        lists = await all_or_first_error(
            [venue.fetch_open_orders(one.symbol, one.params, urgent=urgent) for one in asked]
        )
    except AuthenticationFailed as error:
        if len(routes) > 1 and not named:
            error.add_note('with a key that may see one kind of market alone, ask for that: type="spot"')
        raise
    except UsageError as error:
        if named:
            raise
        raise UsageError(
            f"{venue.name} lists open orders by market alone ({error}); name them: symbols=['BTC/USDT', ...]"
        ) from error
    found = {(order.symbol, order.id): order for orders in lists for order in orders}
    names = {market.symbol for market in wanted}
    return [order for order in found.values() if not named or order.symbol in names]


def _variants(venue: OrderVenue, route: Route, market: Market, trigger: bool) -> list[Route]:
    """Return a request as it is, or for the orders that wait for a price where those stand apart."""
    if not trigger or not venue.lists_apart(market.symbol):
        return [route]
    waiting = (*route.selection, ("trigger", True))
    return [Route(route.symbol, (*waiting, *more)) for more in _WAITING.get(venue.name, ((),))]


async def _cheapest(venue: OrderVenue, wanted: Sequence[Market]) -> dict[Route, Market]:
    """Return a request for each market, or one for all of a kind where that costs less."""
    groups: dict[Selection, list[Market]] = {}
    for market in wanted:
        groups.setdefault(_selection(venue.name, market), []).append(market)
    routes: dict[Route, Market] = {}
    for selection, group in groups.items():
        every = Route(None, selection)
        if len(group) == 1 or await _cheaper(venue, group, every):
            routes |= {Route(market.symbol): market for market in group}
        else:
            routes[every] = group[0]
    return routes


async def _cheaper(venue: OrderVenue, group: Sequence[Market], every: Route) -> bool:
    """Tell whether a request for each market costs less than one for all."""
    try:
        whole = await venue.charge_of_open_orders(None, every.params)
    except UsageError:  # the venue wants a market
        return True
    one = await venue.charge_of_open_orders(group[0].symbol, {})
    if whole is None or one is None:
        return False
    return _share(one) * len(group) < _share(whole)


def _share(charge: Charge) -> float:
    """Return what part of its tightest window a request takes."""
    return max((line.cost / line.window.limit for line in charge.lines), default=0.0)
