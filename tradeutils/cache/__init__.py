"""
A cache for market data: in this process, or on Redis for all processes.

``Cache`` is what users need. ``base`` says what a backend does; ``memory`` and ``redis`` are the two there are, and
``near`` keeps in this process what was read from the latter.
"""

from __future__ import annotations

from tradeutils.cache.base import Backend, Server, Tracking
from tradeutils.cache.cache import Cache
from tradeutils.cache.events import CacheEvent
from tradeutils.cache.locks import Lock
from tradeutils.cache.maps import Map
from tradeutils.cache.memory import Memory
from tradeutils.cache.reports import Cleaned, PrefixUsage, Survey
from tradeutils.cache.stats import NearStats, Stats

__all__ = [
    "Backend", "Cache", "CacheEvent", "Cleaned", "Lock", "Map", "Memory", "NearStats", "PrefixUsage", "Server", "Stats",
    "Survey", "Tracking",
]  # fmt: skip
