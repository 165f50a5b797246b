"""Binance's spot REST interface, as ccxt's own class speaks to it."""

from tradeutils.sim.binance.dialect import BinanceDialect
from tradeutils.sim.binance.listing import read_exchange_info

__all__ = ["BinanceDialect", "read_exchange_info"]
