"""ccxt's own classes, told what the venue answers: all that stands between a reply and its parser runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import ccxt.async_support

from tradeutils.exchange.requests.calls import Call, current_call

MARKETS = {
    "binance": [("BTCUSDT", "BTC", "USDT"), ("1INCHUSDT", "1INCH", "USDT"), ("ETHBTC", "ETH", "BTC")],
    "okx": [("BTC-USDT", "BTC", "USDT"), ("1INCH-USDT", "1INCH", "USDT"), ("ETH-BTC", "ETH", "BTC")],
}
NOW = 1_700_000_000_000


def told_exchange(name: str, cls: type[Any] | None = None) -> Any:
    """Return an instance with a few markets, which takes ``told`` for every reply and counts them as ``asked``."""
    exchange = (cls or getattr(ccxt.async_support, name))({"enableRateLimit": False})
    exchange.set_markets(
        [
            {"id": id_, "symbol": f"{base}/{quote}", "base": base, "quote": quote, "type": "spot", "spot": True}
            | {"active": True, "precision": {"price": 0.01, "amount": 0.01}, "limits": {}, "info": {}}
            for id_, base, quote in MARKETS[name]
        ]
    )
    exchange.asked = 0

    async def fetch2(*_: Any, **__: Any) -> Any:
        exchange.asked += 1
        call = current_call.get()
        return json.loads(exchange.told) if call is None or call.decode is None else call.decode(exchange.told)

    exchange.fetch2 = fetch2
    return exchange


@contextlib.contextmanager
def under_way(operation: str) -> Iterator[Call]:
    """Be in a call of ours."""
    call = Call(operation)
    token = current_call.set(call)
    try:
        yield call
    finally:
        current_call.reset(token)


def run(work: Any) -> Any:
    """Run what never waits for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


def envelope(name: str, rows: Any) -> str:
    """Return a reply with these rows."""
    said = rows if name == "binance" else {"code": "0", "msg": "", "data": rows}
    return json.dumps(said, separators=(",", ":"))
