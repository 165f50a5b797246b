"""
A venue in a process of its own whose answers are bytes made beforehand, so that who asks is all that is measured.

Binance's paths and Bybit's tickers, over real sockets. It writes its address on a line and answers until it is killed.
``ticker/24hr`` answers with every market whatever was asked for, as most venues do (Bybit, OKX, KuCoin ...).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

MINUTE = 60_000
NOW = 1_700_000_040_000  # begins a minute
CANDLES = 1_000


def symbols(count: int) -> list[str]:
    """Return the bases of so many markets against USDT."""
    return [f"C{number:04d}" for number in range(count)]


def markets(count: int) -> bytes:
    """Binance's ``exchangeInfo``."""
    rules = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    ]
    listed = [
        {
            "symbol": f"{base}USDT",
            "status": "TRADING",
            "baseAsset": base,
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": rules,
            "permissions": ["SPOT"],
            "permissionSets": [["SPOT"]],
        }
        for base in symbols(count)
    ]
    return _json({"timezone": "UTC", "serverTime": NOW, "rateLimits": [], "exchangeFilters": [], "symbols": listed})


def candles(count: int = CANDLES) -> bytes:
    """Binance's ``klines``: the last of them is the minute before `NOW`."""
    rng, rows, price = random.Random(1), [], 37_000.0
    for number in range(count):
        opened = NOW - (count - number) * MINUTE
        close = price + rng.gauss(0, 10)
        high, low = max(price, close) + rng.random() * 5, min(price, close) - rng.random() * 5
        amount = rng.random() * 50
        rows.append(
            [
                opened,
                *(f"{one:.8f}" for one in (price, high, low, close, amount)),
                opened + MINUTE - 1,
                f"{amount * close:.8f}",
                rng.randrange(5_000),
                f"{amount / 3:.8f}",
                f"{amount * close / 3:.8f}",
                "0",
            ]
        )
        price = close
    return _json(rows)


def tickers(count: int) -> bytes:
    """Binance's ``ticker/24hr`` of every market."""
    rng = random.Random(2)
    return _json([_ticker(f"{base}USDT", rng) for base in symbols(count)])


def _ticker(market: str, rng: random.Random) -> dict[str, Any]:
    opened = rng.random() * 10 ** rng.randrange(-3, 5) + 0.001
    change = opened * rng.gauss(0, 0.03)
    last, amount = opened + change, rng.random() * 10**6
    prices = {
        "priceChange": change,
        "weightedAvgPrice": opened + change / 2,
        "prevClosePrice": opened,
        "lastPrice": last,
        "lastQty": rng.random() * 10,
        "bidPrice": last * 0.9999,
        "bidQty": rng.random() * 100,
        "askPrice": last * 1.0001,
        "askQty": rng.random() * 100,
        "openPrice": opened,
        "highPrice": max(last, opened) * 1.01,
        "lowPrice": min(last, opened) * 0.99,
        "volume": amount,
        "quoteVolume": amount * last,
    }
    row: dict[str, Any] = {"symbol": market} | {name: f"{value:.8f}" for name, value in prices.items()}
    row["priceChangePercent"] = f"{100 * change / opened:.3f}"
    first = rng.randrange(10**9)
    return row | {"openTime": NOW - 86_400_000, "closeTime": NOW, "firstId": first, "lastId": first + 900, "count": 901}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def replies(count: int) -> dict[bytes, bytes]:
    """Return whole HTTP replies by path."""
    bodies = {
        b"/api/v3/exchangeInfo": markets(count),
        b"/api/v3/klines": candles(),
        b"/api/v3/ticker/24hr": tickers(count),
        b"/api/v3/time": _json({"serverTime": NOW + MINUTE // 2}),
    }
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n"
    return {path: head.format(len(body)).encode() + body for path, body in bodies.items()}


class Answering(asyncio.Protocol):
    """One connection; requests come without a body."""

    def __init__(self, told: dict[bytes, bytes]) -> None:
        self._told = told
        self._waiting = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._waiting = (self._waiting + data).split(b"\r\n\r\n")
        for request in requests:
            path = request.split(b" ", 2)[1].partition(b"?")[0]
            self._transport.write(self._told.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))


async def main(count: int) -> None:
    """Answer until killed."""
    told = replies(count)
    server = await asyncio.get_running_loop().create_server(lambda: Answering(told), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
