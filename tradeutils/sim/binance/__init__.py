"""Binance's REST and websocket interfaces, spot and USD-M futures, as ccxt's own class speaks to them."""

from tradeutils.sim.binance.dialect import BinanceDialect
from tradeutils.sim.binance.listing import read_exchange_info

__all__ = ["BinanceDialect", "read_exchange_info"]
