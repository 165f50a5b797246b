"""How answers leave: whole, or as a fault has them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final

from aiohttp import web

from tradeutils.sim.dialect import Reply
from tradeutils.sim.faults import Fault, Strike

__all__ = ["UNSEEN", "deliver"]

UNSEEN: Final = Reply(0, b"")
"""What became of a request that a fault kept from the venue."""

_NO_ANSWER: Final = ("reset", "silence")

_PIECES: Final = 20
_LOOK_S: Final = 0.05  # how soon it is seen that a client has gone
_SILENCE_S: Final = 60.0
_PAGE: Final = (
    "<!DOCTYPE html>\n<html>\n<head><title>One moment, please</title></head>\n"
    "<body><h1>One moment, please</h1><p>Your request is being checked.</p></body>\n</html>\n"
)


async def deliver(request: web.Request, reply: Reply, strike: Strike, headers: dict[str, str]) -> web.StreamResponse:
    """
    Return the response to a request, or do to its connection what the fault says.

    Parameters
    ----------
    reply : Reply
        What the venue answers; `UNSEEN` where it did not see the request.
    headers : dict
        Those that every answer has.
    """
    fault = strike.fault
    kind = "" if fault is None else fault.kind
    if kind in _NO_ANSWER:
        if kind == "silence":
            await _wait_out(request, strike.seconds or _SILENCE_S)
        _reset(request)
        return web.Response(status=499)  # goes nowhere: the connection is gone
    if fault is not None and kind in ("status", "html"):
        reply = _struck(fault)
    headers = {**reply.headers, **headers, "Content-Type": reply.content_type}
    if kind in ("truncate", "drip"):
        return await _send_in_pieces(request, reply, headers, strike.seconds)
    return web.Response(status=reply.status, body=reply.body, headers=headers)


def _struck(fault: Fault) -> Reply:
    """Return the answer that a fault puts in the place of the venue's."""
    if fault.kind == "html":
        return Reply(fault.status or 200, (fault.body or _PAGE).encode(), content_type="text/html")
    status = fault.status or 503
    if fault.body is not None:
        return Reply(status, fault.body.encode())
    return Reply(status, b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}')


async def _send_in_pieces(
    request: web.Request, reply: Reply, headers: dict[str, str], seconds: float
) -> web.StreamResponse:
    """Send the head and the body by and by; without ``seconds``, half of it and then the end of the connection."""
    transport, body = request.transport, reply.body
    stream = web.StreamResponse(status=reply.status, headers=headers)
    stream.content_length = len(body)
    size = max(1, -(-len(body) // _PIECES))
    with contextlib.suppress(ConnectionError):  # the client may leave at any piece
        await stream.prepare(request)
        for start in range(0, len(body) if seconds else len(body) // 2, size):
            await stream.write(body[start : start + size])
            await asyncio.sleep(seconds / _PIECES)
        if seconds:
            await stream.write_eof()
    if transport is not None and not seconds:
        transport.close()
    return stream


async def _wait_out(request: web.Request, seconds: float) -> None:
    """Wait, but not for a client that has gone."""
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(_LOOK_S)


def _reset(request: web.Request) -> None:
    """End the connection so that the client sees a reset and not an orderly end."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
