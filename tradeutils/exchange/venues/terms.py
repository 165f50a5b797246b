"""What ccxt's class of a venue says of an order before it is sent: whether it knows the terms, and which digits go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any, Final

from tradeutils import errors
from tradeutils.exchange.ordering.checks import NewOrder, plain
from tradeutils.model import Market

__all__ = ["CCXT_CONTEXT", "VenueTerms"]

CCXT_CONTEXT: Final = Context(prec=100, rounding=ROUND_HALF_UP)
"""ccxt rounds in the context of whoever calls it, and changes that one: it is given its own."""

_CONDITIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "trigger_price": ("triggerPrice", "stopPrice"),
    "stop_loss_price": ("stopLossPrice",),
    "take_profit_price": ("takeProfitPrice",),
}
# These turn a price that comes with a market order into a cost, and send that instead of the amount.
_PRICE_IS_COST: Final = ("binance", "binanceusdm", "binancecoinm", "bybit", "mexc")
# These send a stop loss, or a take profit, that opens a position where there is none to close; the others do not.
_STOPS_OPEN: Final = ("binance", "binanceusdm", "binancecoinm", "okx", "gate", "hyperliquid")
# Parameters that say by themselves what becomes of a position: some are refused beside reduceOnly.
_OF_POSITIONS: Final = frozenset({"reduceOnly", "closePosition", "positionSide", "posSide", "hedged", "close"})
# Costs are cut by another rule than ccxt's cost_to_precision.
_COST_WRITERS: Final = {
    "htx": "amount_to_precision",
    "kucoin": "market_order_amount_to_precision",
    "kucoinfutures": "market_order_amount_to_precision",
}


class VenueTerms:
    """
    The terms that a venue's class of ccxt knows.

    Parameters
    ----------
    ccxt : ccxt.async_support.Exchange
        Whose features, options and rounding are asked; nothing is sent.
    """

    def __init__(self, ccxt: Any) -> None:
        self._ccxt = ccxt
        self._name = str(ccxt.id)

    def check(self, order: NewOrder) -> None:
        """Raise `NotSupportedByVenue` or `UsageError` for an order that ccxt knows to be refused or changed."""
        self._check_conditions(order)
        self._check_times(order)
        self._check_cost(order)
        with localcontext(CCXT_CONTEXT):
            self._check_digits(order)

    def feature(self, symbol: str, method: str, name: str) -> Any:
        """Return what ccxt says of a parameter of a method; ``None`` where it says nothing."""
        try:
            return self._ccxt.feature_value(symbol, method, name)
        except (AttributeError, KeyError, TypeError):  # of a class that describes no features
            return None

    def price_of(self, order: NewOrder) -> str | None:
        """Return the price to hand over: none where it would make an order by cost of one by amount."""
        if order.price is None or (
            order.type == "market" and order.market.type == "spot" and self._name in _PRICE_IS_COST
        ):
            return None
        return plain(order.price)

    def closes_only(self, order: NewOrder) -> bool:
        """Tell whether an order must say that it only makes a position smaller, as it is a stop loss or take profit."""
        closing = "stopLossPrice" in order.params or "takeProfitPrice" in order.params
        contract = order.market.type in ("swap", "future")
        return closing and contract and self._name in _STOPS_OPEN and _OF_POSITIONS.isdisjoint(order.params)

    def wants_cost(self, order: NewOrder) -> bool:
        """Tell whether the venue takes an order that is by amount by its cost: some do, of market buys on spot."""
        option = "createMarketBuyOrderRequiresPrice"
        if (order.market.type, order.type, order.side) != ("spot", "market", "buy") or order.cost is not None:
            return False
        if "cost" in order.params or order.params.get(option) is False:
            return False
        told = self._ccxt.handle_option("createOrder", option)
        if told is None:
            told = self.feature(order.market.symbol, "createOrder", "marketBuyRequiresPrice")
        return told is True and not order.conditional

    def sendable_cost(self, market: Market, cost: Decimal) -> Decimal:
        """Return what of a cost would be sent, cut to the venue's digits."""
        write = getattr(self._ccxt, _COST_WRITERS.get(self._name, "cost_to_precision"))
        with localcontext(CCXT_CONTEXT):
            return self._written("cost", cost, write, market.symbol)

    def _check_conditions(self, order: NewOrder) -> None:
        for keyword, names in _CONDITIONS.items():
            if not any(name in order.params for name in names):
                continue
            if self.feature(order.market.symbol, "createOrder", names[0]) is False:
                others = [one for one in _CONDITIONS if self._knows(order, _CONDITIONS[one][0])]
                offer = f"; it takes {' and '.join(others)}" if others else ""
                raise self._unsupported(f"takes no {keyword} on {order.market.type} markets{offer}", order)

    def _knows(self, order: NewOrder, name: str) -> bool:
        return self.feature(order.market.symbol, "createOrder", name) is True

    def _check_times(self, order: NewOrder) -> None:
        known = self.feature(order.market.symbol, "createOrder", "timeInForce")
        asked = "PO" if order.params.get("postOnly") is True else order.params.get("timeInForce")
        if isinstance(known, dict) and isinstance(asked, str) and known.get(asked) is False:
            what = "post_only" if order.params.get("postOnly") is True else f"time_in_force {asked!r}"
            offered = ", ".join(name for name, taken in known.items() if taken)
            raise self._unsupported(f"takes no {what} on {order.market.type} markets; it has {offered}", order)

    def _check_cost(self, order: NewOrder) -> None:
        """Hold an order by cost, and one whose cost the venue must be told, to what ccxt can send."""
        if order.cost is not None:
            if not self._ccxt.has.get(f"createMarket{order.side.capitalize()}OrderWithCost"):
                raise self._unsupported(
                    f"cannot be sent a market {order.side} by cost; give amount, the cost divided by the price", order
                )
        elif order.price is None and self.wants_cost(order):
            raise errors.UsageError(
                f"price was None; {self._name} takes a market buy by what it costs: give cost=Decimal('100') instead "
                "of the amount, or price= to reckon it by"
            )

    def _check_digits(self, order: NewOrder) -> None:
        symbol = order.market.symbol
        for what, asked, write in (
            ("amount", order.amount, self._ccxt.amount_to_precision),
            ("price", order.price, self._ccxt.price_to_precision),
            ("trigger price", order.trigger_price, self._ccxt.price_to_precision),
        ):
            if asked is None:
                continue
            sent = self._written(what, asked, write, symbol)
            if sent != asked:
                raise errors.UsageError(
                    f"{what} was {plain(asked)}; {symbol} takes fewer digits and nothing is rounded unasked: "
                    f"write {plain(sent)}"
                )

    def _written(self, what: str, asked: Decimal, write: Callable[[str, str], Any], symbol: str) -> Decimal:
        try:
            return Decimal(write(symbol, plain(asked)))
        except Exception as error:  # ccxt's own classes differ by market, and so does what it lacks
            raise errors.UsageError(
                f"{what} was {plain(asked)}; {self._name} cannot be sent it for {symbol} ({type(error).__name__})"
            ) from error

    def _unsupported(self, text: str, order: NewOrder) -> errors.NotSupportedByVenue:
        return errors.NotSupportedByVenue(text, venue=self._name, operation="create_order", symbol=order.market.symbol)
