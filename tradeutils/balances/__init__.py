"""Balances: what accounts hold, exact, and what it is worth."""

from tradeutils.balances.alerts import Alert, watch_totals
from tradeutils.balances.balances import Balances
from tradeutils.balances.counts import AccountStats
from tradeutils.balances.difference import AssetChange, BalanceDifference
from tradeutils.balances.events import AccountEvent
from tradeutils.balances.matrix import Holdings, ValuationTable, value_many
from tradeutils.balances.prices import Prices, fetch_prices
from tradeutils.balances.results import AllBalances, Totals
from tradeutils.balances.routes import Route, Routes
from tradeutils.balances.suspension import Suspension
from tradeutils.balances.suspensions import Suspensions
from tradeutils.balances.valuation import AssetValue, Leg, Valuation, value

__all__ = [
    "AccountEvent",
    "AccountStats",
    "Alert",
    "AllBalances",
    "AssetChange",
    "AssetValue",
    "BalanceDifference",
    "Balances",
    "Holdings",
    "Leg",
    "Prices",
    "Route",
    "Routes",
    "Suspension",
    "Suspensions",
    "Totals",
    "Valuation",
    "ValuationTable",
    "fetch_prices",
    "value",
    "value_many",
    "watch_totals",
]
