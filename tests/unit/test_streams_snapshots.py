"""Snapshots of books that ccxt's class asks for when a line is opened."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt.pro
import pytest

from tradeutils.exchange.venues.streams import few_snapshots


class Books(ccxt.pro.binance):
    """Ccxt's class, whose one request counts how many of it are under way."""

    under_way = most = 0

    async def fetch_order_book(self, symbol: str, limit: int | None = None, params: Any = None) -> dict[str, Any]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if symbol == "BAD/USDT":
                raise ccxt.ExchangeError(symbol)
            return {"symbol": symbol, "limit": limit}
        finally:
            self.under_way -= 1


async def test_few_snapshots_are_asked_for_at_a_time() -> None:
    """Each gets its own; one that fails holds up none."""
    books = Books()
    few_snapshots(books)
    symbols = [f"C{number}/USDT" for number in range(30)]
    asked = [books.fetch_rest_order_book_safe(symbol, 1000) for symbol in [*symbols, "BAD/USDT"]]
    *found, failed = await asyncio.gather(*asked, return_exceptions=True)
    assert [one["symbol"] for one in found] == symbols
    assert isinstance(failed, ccxt.ExchangeError)
    assert (books.most, books.under_way) == (4, 0)
    with pytest.raises(ccxt.ExchangeError):
        await books.fetch_rest_order_book_safe("BAD/USDT")
    await books.close()
