"""Exchanges: markets, tickers, candles, books, trades, balances and orders of every venue that ccxt speaks to."""

from tradeutils.exchange.exchange import Exchange
from tradeutils.exchange.exchanges import Exchanges
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.streams.candle_stream import BarStream, CandleStream
from tradeutils.exchange.streams.stream import Stream

__all__ = ["BarStream", "CandleStream", "Exchange", "Exchanges", "Stream", "all_or_first_error"]
