"""Balances: what accounts hold, exact, and what it is worth."""

from tradeutils.balances.balances import Balances
from tradeutils.balances.valuation import AssetValue, Valuation

__all__ = ["AssetValue", "Balances", "Valuation"]
