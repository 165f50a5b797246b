"""Requests as they arrive: bodies of a bounded size, and no patience with those that never come."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

__all__ = ["BadBodyError", "Doorkeeper", "read_body"]

_MAX_BODY: Final = 1 << 20
_BODY_SECONDS: Final = 10.0
_HEAD_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0


class Doorkeeper:
    """
    Ends connections over which no whole request came within ten seconds: silent ones, and those of half a handshake.

    aiohttp itself waits for the first request of a connection as long as for any later one, which clients that keep
    connections want to be long.
    """

    def __init__(self) -> None:
        self._heard: set[object] = set()  # connections that asked for anything
        self._since: dict[object, float] = {}  # the others, and when they were seen first
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, runner: web.AppRunner) -> None:
        """Look after the connections of a server, every second until `close`."""
        self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look, runner)

    def hear(self, request: web.Request) -> None:
        """Note that a request came."""
        self._heard.add(request.protocol)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._heard.clear()
        self._since.clear()

    def _look(self, runner: web.AppRunner) -> None:
        connections = [] if runner.server is None else runner.server.connections
        now = asyncio.get_running_loop().time()
        self._heard.intersection_update(connections)
        self._since = {one: self._since.get(one, now) for one in connections if one not in self._heard}
        for one in connections:
            if now - self._since.get(one, now) >= _HEAD_SECONDS:
                one.force_close()
        self.watch(runner)


class BadBodyError(Exception):
    """A body that cannot be had; ``status`` is the answer to it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: web.Request) -> bytes:
    """Return the body, or raise `BadBodyError` where it is too slow, too large or not what it says."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > _MAX_BODY:
                    raise BadBodyError(413, f"the body is longer than {_MAX_BODY:,} bytes")
    except TimeoutError:
        raise BadBodyError(408, f"the body did not come within {_BODY_SECONDS:g} s") from None
    except web.RequestPayloadError:
        raise BadBodyError(400, "the body was cut short, or is not compressed as it says") from None
    return bytes(body)
