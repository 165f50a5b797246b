"""
The same API, blocking: for scripts, notebooks and code on a ``ThreadPoolExecutor``.

Every object here drives its asynchronous twin on one event loop that runs in a thread of its own, so calls
may come from many threads at once and share connections, single-flight and rate limits as tasks do. The
methods are those of the twin: same names, parameters, results and errors.

Examples
--------
>>> from tradeutils import sync
>>> with sync.Exchange("binance") as exchange:  # doctest: +SKIP
...     candles = exchange.fetch_ohlcv("BTC/USDT", "1h", limit=100)
"""

from tradeutils.sync.balances import Balances
from tradeutils.sync.cache import Cache, HeldLock
from tradeutils.sync.exchange import Exchange
from tradeutils.sync.exchanges import Exchanges
from tradeutils.sync.history import History
from tradeutils.sync.streams import BarStream, CandleStream, Stream

__all__ = ["Balances", "BarStream", "Cache", "CandleStream", "Exchange", "Exchanges", "HeldLock", "History", "Stream"]
