"""Binance's websocket interface: the streams of spot and of the USD-M futures, and user data over the WebSocket API."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable
from typing import Final

import orjson

from tradeutils.sim.binance.errors import of_refusal
from tradeutils.sim.binance.feeds_api import ApiSession
from tradeutils.sim.binance.feeds_session import StreamSession
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import FeedSession
from tradeutils.sim.feeds.dialing import Dialing
from tradeutils.sim.feeds.keys import ListenKeys
from tradeutils.sim.instruments import Kind

__all__ = ["BinanceFeeds"]

_API: Final = "ws-api/v3"
_API_WEIGHT: Final = 2
_CONNECTIONS: Final = 300  # of an address in five minutes
_CONNECTIONS_S: Final = 300.0
# The futures have hosts for what changes often, for the rest, and for accounts; each tells all that it is asked.
_HOSTS: Final[dict[str, Kind]] = {"public": "linear", "market": "linear", "private": "linear"}


class BinanceFeeds:
    """
    Connects clients to the streams, and to the WebSocket API.

    Streams are at ``/ws`` (raw) and ``/stream`` (combined), those of the futures below ``/public``, ``/market`` and
    ``/private``; the API is at ``/ws-api/v3``.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts.
    keys : ListenKeys
        Those of the venue: what its REST interface issued.
    clock : callable
        Seconds of real time, by which messages of a client are counted.

    Notes
    -----
    Streams are told as often as the venue's pulse, whatever interval their names ask for; those of all markets when
    all have changed, or one of them again. Not spoken: marks, liquidations, rolling windows, contract information, time
    zones of klines, orders over the WebSocket API, the end of a connection after a day or where pings get no pong.
    An address may open 300 connections in five minutes; with which status the venue refuses the next one it does not
    say, and here it is 429.
    """

    def __init__(self, venue: Venue, keys: ListenKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._venue, self._keys, self._clock = venue, keys, clock
        self._dialing = Dialing(venue.gate, _CONNECTIONS, _CONNECTIONS_S)

    def connect(self, call: Call) -> FeedSession | Reply:
        """Return the session of a client, or how it is refused."""
        path = call.path.strip("/")
        host, _, rest = path.partition("/")
        kind: Kind = _HOSTS.get(host, "spot")
        entry, _, names = (rest if host in _HOSTS else path).partition("/")
        if path != _API and entry not in ("ws", "stream"):
            return Reply(404, b"", content_type="text/plain")
        if not self._dialing.admits(call.remote):
            return Reply(429, b"", content_type="text/plain", route=path, limited=True)
        if path == _API:
            return self._api(call)
        query = dict(urllib.parse.parse_qsl(call.query, max_num_fields=16)) if call.query.count("&") < 16 else {}
        named = query.get("streams", "") if entry == "stream" else names
        streams = [name for name in (*named.split("/"), query.get("listenKey", "")) if name]
        combined = entry == "stream"
        return StreamSession(self._venue, self._keys, kind, streams=streams, combined=combined, clock=self._clock)

    def _api(self, call: Call) -> FeedSession | Reply:
        _, refusal = self._venue.gate.charge(call.remote, _API_WEIGHT, "api")
        if refusal is None:
            return ApiSession(self._venue, call.remote)
        error = of_refusal(refusal, self._venue.clock.now())
        return Reply(error.status, orjson.dumps({"code": error.code, "msg": error.message}), limited=True)
