"""What a backfill asks of an exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tradeutils.model import Candles, Market
from tradeutils.timeframe import Instant

__all__ = ["CandleExchange"]


class CandleExchange(Protocol):
    """What a backfill asks of an exchange; `tradeutils.Exchange` is one."""

    @property
    def venue(self) -> str: ...
    @property
    def timeframes(self) -> Sequence[str]: ...
    async def fetch_time(self) -> int: ...
    async def load_markets(self, *, reload: bool = False) -> Mapping[str, Market]: ...
    async def fetch_ohlcv(
        self,
        symbol: str,
        timeframe: str = ...,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
        partial: bool = False,
    ) -> Candles: ...
