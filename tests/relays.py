"""A server before the simulated venue that sees each request, may change the venue behind it, and hands out cookies."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

DROPPED = ("Transfer-Encoding", "Content-Encoding", "Content-Length", "Connection")


class Relay:
    """Hands requests on to the venue at `target`, and keeps their headers."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self.seen: list[tuple[str, str]] = []  # the path, and the key that signed it
        self.cookies: list[str] = []  # that came back
        self.connections: set[object] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Hand a request on and its answer back, with a cookie that names who asked."""
        self.connections.add(request.transport)
        key = request.headers.get("X-MBX-APIKEY", "")
        self.seen.append((request.path, key))
        self.cookies += request.headers.getall("Cookie", [])
        kept = {name: value for name, value in request.headers.items() if name not in ("Host", "Accept-Encoding")}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self.target + request.raw_path, headers=kept, data=await request.read()
            ) as answer,
        ):
            headers = {name: value for name, value in answer.headers.items() if name not in DROPPED}
            headers["Set-Cookie"] = f"session={key[:8] or 'nobody'}; Path=/"
            return web.Response(status=answer.status, headers=headers, body=await answer.read())

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(one == path for one, _ in self.seen)


@contextlib.asynccontextmanager
async def relayed(target: str) -> AsyncIterator[Relay]:
    """Run a relay before a venue."""
    relay = Relay(target)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", relay.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    relay.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield relay
    finally:
        await runner.cleanup()
