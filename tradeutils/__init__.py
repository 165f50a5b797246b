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
        balances,
        budget,
        cache,
        codec,
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
    from tradeutils.exchange import Exchange
    from tradeutils.indicators import Indicators
    from tradeutils.model import (
        AssetBalance,
        Balance,
        Bars,
        Candles,
        Fill,
        Gap,
        Market,
        Order,
        OrderBook,
        Panel,
        Ticker,
        Trade,
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
    "Exchange": "exchange",
    "Fill": "model",
    "Gap": "model",
    "Indicators": "indicators",
    "LocalBudget": "budget",
    "Market": "model",
    "Order": "model",
    "OrderBook": "model",
    "Panel": "model",
    "RedisBudget": "budget",
    "Secret": "settings",
    "Settings": "settings",
    "Ticker": "model",
    "Trade": "model",
    "Valuation": "balances",
    "Window": "budget",
}
_ROOMS = frozenset(
    {
        "balances", "budget", "cache", "codec", "errors", "exchange", "frames", "history", "indicators", "logs",
        "model", "settings", "sim", "sync", "timeframe",
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
    "Exchange",
    "Fill",
    "Gap",
    "Indicators",
    "LocalBudget",
    "Market",
    "Order",
    "OrderBook",
    "Panel",
    "RedisBudget",
    "Secret",
    "Settings",
    "Ticker",
    "Trade",
    "Valuation",
    "Window",
    "__version__",
    "balances",
    "budget",
    "cache",
    "codec",
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
