"""Binance's REST interface, spot and USD-M futures, as ccxt's own class speaks to it."""

from tradeutils.sim.binance.dialect import BinanceDialect
from tradeutils.sim.binance.listing import read_exchange_info

__all__ = ["BinanceDialect", "read_exchange_info"]
