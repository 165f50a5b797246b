"""Exchanges: markets, tickers, candles, books, trades, balances and orders of every venue that ccxt speaks to."""

from tradeutils.exchange.exchange import Exchange

__all__ = ["Exchange"]
