"""
The connections that requests leave by: one pool, and one TLS context, for all exchanges that are opened together.

A session of its own costs an exchange 16 ms for the TLS context and 0.87 MiB; 200 accounts of one venue would also
open 200 connections to it. Here they share the pool, and nothing else: there is no cookie jar, so that what a venue
hands one account never comes back with the request of another, and who sent a request is told by a context variable,
which the task that sends it carries.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import ssl
import weakref
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, Final, Protocol

import aiohttp

from tradeutils import errors
from tradeutils.exchange.requests.replies import READ_AHEAD, CappedResponse

__all__ = ["CONNECTIONS_PER_HOST", "Sender", "Session", "current_sender", "tls_context"]

CONNECTIONS_PER_HOST: Final = 100
"""How many connections to one host are open at most; requests beyond wait for one, within their own timeouts."""


class Sender(Protocol):
    """Who sends a request through a session that is shared: is told what the HTTP layer does with it."""

    async def connected(self) -> None:
        """Note that the request was given a connection; more than once where it is sent more than once."""
        ...

    async def leaving(self) -> None:
        """Note that the request begins to be sent."""
        ...

    async def redirected(self, asked: str, target: str) -> None:
        """Raise to refuse a redirect from one URL to another."""
        ...


current_sender: contextvars.ContextVar[Sender | None] = contextvars.ContextVar("tradeutils_sender", default=None)


@functools.cache
def tls_context(cafile: str) -> ssl.SSLContext:
    """Return the one context of this process that trusts the certificates in a file. About 16 ms the first time."""
    return ssl.create_default_context(cafile=cafile)


class _Pool(aiohttp.TCPConnector):
    """The connections."""

    def drop(self) -> None:
        """Close them from whichever thread this is, without waiting for them to end."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._close)
        else:
            self._close()


class Session:
    """
    An HTTP session that is opened with the first request and used by one event loop.

    It ends with `aclose`; failing that with the event loop (``asyncio.run`` ends what it finds), or with the last who
    refers to it. None of them leaves a connection behind, or a warning about one.
    """

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None
        self._lifetime: AsyncGenerator[None] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def is_used_by(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether requests are sent from this event loop."""
        return self._loop is loop

    def enter(self, who: str) -> None:
        """
        Check that it can be used from here.

        Raises
        ------
        Closed : it was closed.
        UsageError : another event loop uses it.
        """
        if self._closed:
            raise errors.Closed(f"{who}: this exchange was closed; open another")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise errors.UsageError(
                f"{who}: this exchange is in use on another event loop; "
                "open one for each loop, or use tradeutils.sync from several threads"
            )

    async def client(self, cafile: str) -> aiohttp.ClientSession:
        """Return the session, opened; nothing is waited for. ``cafile``: the certificates that are trusted."""
        if self._client is None:
            connector = _Pool(ssl=tls_context(cafile), limit=0, limit_per_host=CONNECTIONS_PER_HOST)
            self._client = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_trace()],
                response_class=CappedResponse,
                read_bufsize=READ_AHEAD,
            )
            self._finalizer = weakref.finalize(self, _drop, self._client, connector)
            # The loop closes the generators that it has begun when it shuts down, while sockets can still be closed.
            self._lifetime = _until_closed(self._client)
            await anext(self._lifetime)
        return self._client

    async def aclose(self) -> None:
        """Close the connections; requests under way fail. Safe to call twice."""
        self._closed = True
        lifetime, self._lifetime = self._lifetime, None
        self._client = None
        if lifetime is not None:
            await lifetime.aclose()
        if self._finalizer is not None:
            self._finalizer.detach()


async def _until_closed(client: aiohttp.ClientSession) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.close()


def _drop(client: aiohttp.ClientSession, pool: _Pool) -> None:
    """Close a session that nobody refers to any more; by whichever thread collects the garbage."""
    client.detach()
    pool.drop()


def _trace() -> aiohttp.TraceConfig:
    """Return hooks that tell whoever sends a request what becomes of it. They refer to nobody, so nobody is kept."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_on_redirect)
    trace.on_connection_create_end.append(_on_connected)
    trace.on_connection_reuseconn.append(_on_connected)
    trace.on_request_headers_sent.append(_on_leaving)
    return trace


async def _on_connected(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: Any) -> None:
    sender = current_sender.get()
    if sender is not None:
        await sender.connected()


async def _on_leaving(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: Any) -> None:
    sender = current_sender.get()
    if sender is not None:
        await sender.leaving()


async def _on_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    sender = current_sender.get()
    if sender is not None:
        told = params.response.headers  # aiohttp follows either
        await sender.redirected(str(params.url), told.get("Location") or told.get("URI") or "")
