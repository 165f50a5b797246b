"""The values that travel between the rooms: typed, frozen, slotted; no I/O and no pandas."""

from tradeutils.model.candles import Candles, Gap
from tradeutils.model.panel import Bars, Panel
from tradeutils.model.records import AssetBalance, Balance, Fill, Market, Order, OrderBook, Ticker, Trade

__all__ = [
    "AssetBalance",
    "Balance",
    "Bars",
    "Candles",
    "Fill",
    "Gap",
    "Market",
    "Order",
    "OrderBook",
    "Panel",
    "Ticker",
    "Trade",
]
