"""Exchanges: markets, tickers, candles, books, trades, balances and orders of every venue that ccxt speaks to."""

from tradeutils.exchange.exchange import Exchange
from tradeutils.exchange.exchanges import Exchanges
from tradeutils.exchange.gathering import all_or_first_error

__all__ = ["Exchange", "Exchanges", "all_or_first_error"]
