"""
What ccxt's classes, as they are shipped, make of the same replies as ours: compared value for value.

A witness is two instances of ccxt's class: one with figures as floats, its default, and one with figures as the venue
wrote them, to which money must be equal digit by digit.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ccxt.async_support
import numpy as np

import tradeutils as tu
from tradeutils.exchange.requests.endpoints import parse_target, redirect
from tradeutils.exchange.venues.configuration import credentials_of, defaults_of

__all__ = ["Witness", "assert_agree", "assert_markets", "assert_plausible", "witness"]

Raw = Mapping[str, Any]
Source = str | Callable[[Raw], Any]

_TICK_SIZE = 4


def _fee(part: str) -> Callable[[Raw], Any]:
    """Return what finds the cost or the currency of a fee."""

    def find(raw: Raw) -> Any:
        told = [one for one in raw.get("fees") or [raw.get("fee")] if one and one.get("cost") is not None]
        return told[0].get(part) if len(told) == 1 else None

    return find


def _trigger(raw: Raw) -> Any:
    prices = (raw.get(name) for name in ("triggerPrice", "stopPrice", "stopLossPrice", "takeProfitPrice"))
    return next((price for price in prices if price is not None and float(price)), None)


def _paid_at(raw: Raw) -> Any:
    return raw["fundingTimestamp"] if "fundingTimestamp" in raw else raw["timestamp"]  # one of the past has one time


def _bound(kind: str, side: str) -> Callable[[Raw], Any]:
    return lambda raw: (raw["limits"].get(kind) or {}).get(side)


SAME_NAME = ("symbol", "id", "type", "side", "status", "price", "amount", "filled", "remaining", "average", "cost")

FIELDS: Mapping[type, Mapping[str, Source]] = {
    tu.Ticker: {
        "symbol": "symbol", "time": "timestamp", "last": "last", "bid": "bid", "ask": "ask", "bid_volume": "bidVolume",
        "ask_volume": "askVolume", "open": "open", "high": "high", "low": "low", "vwap": "vwap",
        "percentage": "percentage", "base_volume": "baseVolume", "quote_volume": "quoteVolume",
    },
    tu.Trade: {name: name for name in ("symbol", "id", "price", "amount", "side")} | {"time": "timestamp"},
    tu.FundingRate: {
        "symbol": "symbol", "rate": "fundingRate", "time": "timestamp", "funding_time": _paid_at,
        "interval": "interval", "next_rate": "nextFundingRate", "mark_price": "markPrice", "index_price": "indexPrice",
    },
    tu.OpenInterest: {
        "symbol": "symbol", "amount": "openInterestAmount", "value": "openInterestValue", "time": "timestamp",
    },
    tu.Order: {name: name for name in SAME_NAME} | {
        "client_id": "clientOrderId", "fee": _fee("cost"), "fee_currency": _fee("currency"), "stop_price": _trigger,
        "time_in_force": "timeInForce", "post_only": "postOnly", "reduce_only": "reduceOnly", "time": "timestamp",
    },
    tu.Fill: {name: name for name in ("symbol", "id", "side", "price", "amount", "cost")} | {
        "order_id": "order", "time": "timestamp", "fee": _fee("cost"), "fee_currency": _fee("currency"),
        "maker": lambda raw: None if raw.get("takerOrMaker") is None else raw["takerOrMaker"] == "maker",
    },
    tu.TradingFee: {name: name for name in ("symbol", "maker", "taker")},
    tu.Market: {name: name for name in ("symbol", "id", "base", "quote", "type", "settle", "linear", "inverse",
                                        "expiry", "maker", "taker")} | {
        "active": lambda raw: raw["active"] is not False, "contract_size": "contractSize", "listed": "created",
        "min_amount": _bound("amount", "min"), "max_amount": _bound("amount", "max"),
        "min_price": _bound("price", "min"), "max_price": _bound("price", "max"),
        "min_cost": _bound("cost", "min"), "max_cost": _bound("cost", "max"),
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Witness:
    """
    ccxt's class as it is shipped.

    Attributes
    ----------
    floats, texts : ccxt.async_support.Exchange
        With its default numbers, and with figures as they were written.
    """

    floats: Any
    texts: Any

    async def says(self, method: str, *args: Any, **params: Any) -> tuple[Any, Any]:
        """Return what a method makes of the replies, as floats and as texts."""
        floats = await getattr(self.floats, method)(*args, **params)
        return floats, await getattr(self.texts, method)(*args, **params)


@contextlib.asynccontextmanager
async def witness(
    name: str, url: str, *, options: Mapping[str, Any] | None = None, account: tu.Account | None = None
) -> AsyncIterator[Witness]:
    """Open ccxt's class twice; its endpoints are at ``url``."""
    config = {"enableRateLimit": False, "options": {**defaults_of(name), **(options or {})}}
    if account is not None:
        config |= credentials_of(account)
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for number in (float, str):
            one = await stack.enter_async_context(getattr(ccxt.async_support, name)({**config, "number": number}))
            one.urls["api"] = redirect(one.urls["api"], parse_target(url))
            one.timeout_on_exit = 0
            opened.append(one)
        yield Witness(*opened)


def assert_agree(ours: Any, floats: Any, texts: Any) -> None:
    """Compare a value of ours, or a list or mapping of them, with ccxt's."""
    if isinstance(ours, tu.Candles):
        _assert_candles(ours, floats)
    elif isinstance(ours, tu.OrderBook):
        _assert_book(ours, floats)
    elif isinstance(ours, tu.Balance):
        _assert_balance(ours, floats, texts)
    elif isinstance(ours, dict):
        assert list(ours) == list(floats)
        for symbol, one in ours.items():
            assert_agree(one, floats[symbol], texts[symbol])
    elif isinstance(ours, list):
        assert len(ours) == len(floats) == len(texts)
        for one, as_float, as_text in zip(ours, floats, texts, strict=True):
            assert_agree(one, as_float, as_text)
    else:
        _assert_fields(ours, floats, texts)


def _assert_fields(ours: Any, floats: Raw, texts: Raw | None) -> None:
    for name, source in FIELDS[type(ours)].items():
        mine, as_float = getattr(ours, name), _found(floats, source)
        where = f"{type(ours).__name__}.{name} of {floats.get('symbol')}: {mine!r} and {as_float!r}"
        if isinstance(mine, Decimal):
            assert mine == Decimal(str(as_float if texts is None else _found(texts, source))), where
            assert float(mine) == float(as_float), where
        elif isinstance(mine, float):
            assert mine == float(as_float), where
            assert texts is None or mine == float(_found(texts, source)), where
        else:
            assert mine == as_float, where
            assert type(mine) is type(as_float), where


def _found(raw: Raw, source: Source) -> Any:
    return raw.get(source) if isinstance(source, str) else source(raw)


def _assert_candles(ours: tu.Candles, rows: Sequence[Sequence[Any]]) -> None:
    columns = [ours.time, ours.open, ours.high, ours.low, ours.close, ours.volume]
    expected = np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)
    if ours.volume.size and np.isnan(ours.volume).all():  # of mark and index prices, whatever the venue says
        expected[:, 5] = np.nan
    np.testing.assert_array_equal(np.stack(columns, axis=1).astype(np.float64), expected.reshape(-1, 6))


def _assert_book(ours: tu.OrderBook, raw: Raw) -> None:
    assert (ours.symbol, ours.time, ours.sequence) == (raw["symbol"], raw["timestamp"], raw["nonce"])
    for levels, theirs in ((ours.bids, raw["bids"]), (ours.asks, raw["asks"])):
        assert levels.dtype == np.float64
        assert levels.tolist() == [[float(one) for one in level[:2]] for level in theirs]


def _assert_balance(ours: tu.Balance, floats: Raw, texts: Raw) -> None:
    held = set()
    for asset in floats["total"]:
        parts = {part: texts[asset].get(part) for part in ("free", "used", "total", "debt")}
        if any(value is not None and Decimal(value) for value in parts.values()):
            held.add(asset)
            for part, value in parts.items():
                if value is not None:
                    assert getattr(ours[asset], part) == Decimal(value)
                    assert float(getattr(ours[asset], part)) == floats[asset][part]
    assert set(ours.assets) == held


def assert_markets(ours: Mapping[str, tu.Market], floats: Any, texts: Any = None) -> None:
    """Compare all markets, and their steps, with those of instances of ccxt."""
    assert sorted(ours) == sorted(floats.markets)
    for symbol, market in ours.items():
        raw = floats.markets[symbol]
        _assert_fields(market, raw, None if texts is None else texts.markets[symbol])
        for step, name in ((market.amount_step, "amount"), (market.price_step, "price")):
            told = raw["precision"][name]
            # What a significant digit of a price is worth depends on the price: there ccxt's step is of one moment.
            if floats.precisionMode == _TICK_SIZE and (name == "amount" or market.price_digits is None):
                assert (None if step is None else float(step)) == (told or None), (symbol, name)


def assert_plausible(ours: Any) -> None:
    """Assert what holds for every market: a book does not cross, a high is not below a low, time does not go back."""
    if isinstance(ours, tu.OrderBook):
        assert (np.diff(ours.bids[:, 0]) < 0).all()
        assert (np.diff(ours.asks[:, 0]) > 0).all()
        assert ours.bids[0, 0] < ours.asks[0, 0]
        assert (ours.bids > 0).all()
        assert (ours.asks > 0).all()
    elif isinstance(ours, tu.Candles):
        assert (np.diff(ours.time) > 0).all()
        assert (ours.high >= np.maximum(ours.open, ours.close)).all()
        assert (ours.low <= np.minimum(ours.open, ours.close)).all()
        assert not (ours.volume < 0).any()
    elif isinstance(ours, tu.Ticker):
        assert None in (ours.bid, ours.ask) or ours.bid < ours.ask  # type: ignore[operator]
        assert None in (ours.high, ours.low) or ours.high >= ours.low  # type: ignore[operator]
    elif isinstance(ours, dict):
        for one in ours.values():
            assert_plausible(one)
    elif isinstance(ours, list) and ours and hasattr(ours[0], "time"):
        times = [one.time or 0 for one in ours]
        assert times == sorted(times)
