"""
One importable library for trading bots: exchanges, cache, balances, indicators.

Every public name is loaded on first use, so ``import tradeutils`` costs no ccxt, pandas, numba, redis or numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tradeutils._version import __version__

if TYPE_CHECKING:
    from tradeutils import (
        analysis,
        balances,
        budget,
        cache,
        codec,
        device,
        errors,
        exchange,
        frames,
        history,
        indicators,
        logs,
        model,
        settings,
        sim,
        sync,
        timeframe,
    )
    from tradeutils.balances import Balances, Valuation
    from tradeutils.budget import LocalBudget, RedisBudget, Window
    from tradeutils.cache import Cache
    from tradeutils.exchange import Exchange, Exchanges
    from tradeutils.history import History
    from tradeutils.indicators import Indicators
    from tradeutils.model import (
        AssetBalance,
        Balance,
        Bars,
        Candles,
        Day,
        DevicePanel,
        Fee,
        Fill,
        FundingRate,
        Gap,
        Info,
        Market,
        Missed,
        OpenInterest,
        Order,
        OrderBook,
        Panel,
        Stale,
        StreamEvent,
        Ticker,
        Trade,
        TradingFee,
    )
    from tradeutils.settings import Account, Credentials, Secret, Settings

_HOMES = {
    "Account": "settings",
    "AssetBalance": "model",
    "Balance": "model",
    "Balances": "balances",
    "Bars": "model",
    "Cache": "cache",
    "Candles": "model",
    "Credentials": "settings",
    "Day": "model",
    "DevicePanel": "model",
    "Exchange": "exchange",
    "Exchanges": "exchange",
    "Fee": "model",
    "Fill": "model",
    "FundingRate": "model",
    "Gap": "model",
    "History": "history",
    "Indicators": "indicators",
    "Info": "model",
    "LocalBudget": "budget",
    "Market": "model",
    "Missed": "model",
    "OpenInterest": "model",
    "Order": "model",
    "OrderBook": "model",
    "Panel": "model",
    "RedisBudget": "budget",
    "Secret": "settings",
    "Settings": "settings",
    "Stale": "model",
    "StreamEvent": "model",
    "Ticker": "model",
    "Trade": "model",
    "TradingFee": "model",
    "Valuation": "balances",
    "Window": "budget",
}
_ROOMS = frozenset(
    {
        "analysis", "balances", "budget", "cache", "codec", "device", "errors", "exchange", "frames", "history",
        "indicators", "logs", "model", "settings", "sim", "sync", "timeframe",
    }
)  # fmt: skip

__all__ = [
    "Account",
    "AssetBalance",
    "Balance",
    "Balances",
    "Bars",
    "Cache",
    "Candles",
    "Credentials",
    "Day",
    "DevicePanel",
    "Exchange",
    "Exchanges",
    "Fee",
    "Fill",
    "FundingRate",
    "Gap",
    "History",
    "Indicators",
    "Info",
    "LocalBudget",
    "Market",
    "Missed",
    "OpenInterest",
    "Order",
    "OrderBook",
    "Panel",
    "RedisBudget",
    "Secret",
    "Settings",
    "Stale",
    "StreamEvent",
    "Ticker",
    "Trade",
    "TradingFee",
    "Valuation",
    "Window",
    "__version__",
    "analysis",
    "balances",
    "budget",
    "cache",
    "codec",
    "device",
    "errors",
    "exchange",
    "frames",
    "history",
    "indicators",
    "logs",
    "model",
    "settings",
    "sim",
    "sync",
    "timeframe",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    from tradeutils.errors import nearest

    close = nearest(name, __all__)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
