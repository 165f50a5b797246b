"""What feeds tell depends on the seed and the clock alone, in every dialect, over real sockets."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import aiohttp
import pytest

from tradeutils import sim
from tradeutils.sim.limits import Limits

_PATIENCE_S: Final = 10.0
_PUBLIC: Final[dict[str, tuple[str, list[Any]]]] = {
    "binance": (
        "/stream",
        [
            {
                "method": "SUBSCRIBE",
                "params": ["btcusdt@depth", "btcusdt@trade", "btcusdt@ticker", "btcusdt@kline_1m", "btcusdt@depth5"],
                "id": 1,
            }
        ],
    ),
    "bybit": (
        "/v5/public/spot",
        [
            {
                "op": "subscribe",
                "args": ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT"],
            }
        ],
    ),
    "okx": (
        "/ws/v5/public",
        [
            {
                "op": "subscribe",
                "args": [
                    {"channel": channel, "instId": "BTC-USDT"} for channel in ("books", "trades", "tickers", "bbo-tbt")
                ],
            }
        ],
    ),
    "kraken": (
        "/v2",
        [
            {"method": "subscribe", "params": {"channel": channel, "symbol": ["BTC/USDT"]}}
            for channel in ("book", "trade", "ticker", "ohlc")
        ],
    ),
}
_STEPS: Final = (900, 3_000, 61_000, 600_000)
# A heartbeat comes with a second of real time, and so with none of the venue's.
_BEAT: Final = '{"channel":"heartbeat"}'


async def _told(name: str, seed: int) -> list[str]:
    """Return every message of a connection: the answers, and what is told of four steps of the clock."""
    path, requests = _PUBLIC[name]
    limits = Limits.none()
    async with (
        sim.SimulatedVenue(name, symbols=2, seed=seed, pulse=60.0, limits=limits) as venue,
        aiohttp.ClientSession() as session,
        session.ws_connect(venue.url + path, max_msg_size=0) as socket,
    ):
        told: list[str] = []

        async def read_until(sent: int) -> None:
            """Read until as many messages of channels are here as the venue has counted as sent."""
            missing = sent - sum(map(_is_data, told))
            async with asyncio.timeout(_PATIENCE_S):
                while missing > 0:
                    told.append(await socket.receive_str())
                    missing -= _is_data(told[-1])

        for request in requests:
            await socket.send_json(request)
        async with asyncio.timeout(_PATIENCE_S):
            while len(venue.feeds.topics) < 4:  # noqa: ASYNC110  # it rings no bell
                await asyncio.sleep(0.005)
        await read_until(sum(venue.feeds.frames.values()))
        for step in _STEPS:
            venue.clock.step(step)
            await asyncio.sleep(0)  # the pulse beats in the next turn of the loop
            await asyncio.sleep(0)
            await read_until(sum(venue.feeds.frames.values()))
    return [text for text in told if text != _BEAT]


def _is_data(text: str) -> bool:
    """Tell whether the venue counts a message: those of channels, not the answers, and not what they begin with."""
    return text != _BEAT and re.search(r'"(?:result|success|event|method|system)":', text) is None


@pytest.mark.parametrize("name", sorted(_PUBLIC))
async def test_one_seed_and_one_clock_tell_the_same(name: str) -> None:
    """Letter by letter and in the same order; another seed tells something else."""
    first, again, other = await _told(name, 3), await _told(name, 3), await _told(name, 4)
    assert len(first) > 4 * len(_STEPS)
    assert first == again
    assert first != other
