"""The values that travel between the rooms: typed, frozen, slotted; no I/O and no pandas."""

from tradeutils.model.accounts import AssetBalance, Balance, Fill, Order
from tradeutils.model.candles import Candles, Gap
from tradeutils.model.days import Day
from tradeutils.model.device_panel import DevicePanel
from tradeutils.model.fees import Fee, TradingFee
from tradeutils.model.info import Info
from tradeutils.model.markets import Market
from tradeutils.model.panel import Bars, Panel
from tradeutils.model.records import FundingRate, OpenInterest, OrderBook, Ticker, Trade
from tradeutils.model.streaming import Missed, Stale, StreamEvent
from tradeutils.model.valuations import AssetValue, Leg, Valuation

__all__ = [
    "AssetBalance",
    "AssetValue",
    "Balance",
    "Bars",
    "Candles",
    "Day",
    "DevicePanel",
    "Fee",
    "Fill",
    "FundingRate",
    "Gap",
    "Info",
    "Leg",
    "Market",
    "Missed",
    "OpenInterest",
    "Order",
    "OrderBook",
    "Panel",
    "Stale",
    "StreamEvent",
    "Ticker",
    "Trade",
    "TradingFee",
    "Valuation",
]
