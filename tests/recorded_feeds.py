"""
What recorded sessions hold, read, worked out and played here, with none of the code that is tested.

A book is built as the venue says: differences up to the number of the REST snapshot are left out, the first that counts
covers the number after it, and every other begins where the one before it ended.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gzip
import json
import pathlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from aiohttp import WSMsgType, web
from recorded import ReplayedVenue, Reply

__all__ = [
    "BinanceSession",
    "PlayedVenue",
    "book_after",
    "decoded",
    "playing",
    "read_frames",
    "read_session",
    "read_snapshots",
]

_SETTLED_S = 0.5

Levels = npt.NDArray[np.float64]


@dataclass
class BinanceSession:
    """
    A session of combined streams.

    Attributes
    ----------
    messages : list of (seconds, text)
        Those of streams, in order.
    data : mapping of stream to list
        What each stream said, decoded, without the wrapper.
    snapshots : mapping of market to mapping
        REST's books that were recorded between them.
    """

    messages: list[tuple[float, str]] = field(default_factory=list)
    data: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[str]:
        """How many messages each stream has."""
        return Counter({stream: len(found) for stream, found in self.data.items()})


def read_session(path: pathlib.Path, market: str = "") -> BinanceSession:
    """Read a recording; ``market`` is whose the snapshots in it are."""
    session = BinanceSession()
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if not line or line.startswith("wss:"):
            continue
        stamp, text = re.split(r":? ", line, maxsplit=1)
        message = json.loads(text)
        if "stream" in message:
            session.messages.append((float(stamp) / (1e9 if "." not in stamp else 1), text))
            session.data.setdefault(message["stream"], []).append(message["data"])
        else:
            session.snapshots[market] = message
    return session


def read_snapshots(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Read recorded replies of ``/depth``, by market."""
    found = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        asked, arrow, rest = line.partition(" -> ")
        if arrow and (match := re.search(r"/depth\?symbol=(\w+)", asked)):
            found[match[1]] = json.loads(rest.partition(": ")[2])
    return found


def book_after(snapshot: Mapping[str, Any], differences: list[dict[str, Any]]) -> tuple[int, Levels, Levels]:
    """Return the number of a book after all differences, and its sides, best first."""
    last = int(snapshot["lastUpdateId"])
    sides = {side: {float(price): float(amount) for price, amount in snapshot[side]} for side in ("bids", "asks")}
    before = None
    for update in differences:
        if "pu" in update:  # futures: each names the one before it
            if update["u"] < last:
                continue
            assert update["pu"] == before if before is not None else update["U"] <= last, update
        else:
            if update["u"] <= last:
                continue
            assert update["U"] == before + 1 if before is not None else update["U"] <= last + 1, update
        before = int(update["u"])
        for side, name in (("bids", "b"), ("asks", "a")):
            for price, amount in update[name]:
                sides[side][float(price)] = float(amount)
    bids, asks = (
        np.array(sorted(([price, amount] for price, amount in sides[side].items() if amount), reverse=falling))
        for side, falling in (("bids", True), ("asks", False))
    )
    return last if before is None else before, bids, asks


class PlayedVenue(ReplayedVenue):
    """
    Recorded replies, and a recorded session that is played to each socket once its client has said all it wants.

    Attributes
    ----------
    frames : list of str or bytes
        What is played.
    said : list of str
        What clients said.
    played : int
        To how many sockets all of it was sent.
    """

    def __init__(self, replies: Sequence[Reply], frames: Sequence[str | bytes]) -> None:
        super().__init__(replies)
        self.frames = frames
        self.said: list[str] = []
        self.played = 0

    async def answer(self, request: web.Request) -> Any:
        """Answer one request, or take a socket."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await super().answer(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        playing = asyncio.create_task(self._play(socket, said := asyncio.Event()))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.said.append(message.data)
                    said.set()
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        return socket

    async def _play(self, socket: web.WebSocketResponse, said: asyncio.Event) -> None:
        await said.wait()
        while said.is_set():  # until nothing more was said for a while
            said.clear()
            await asyncio.sleep(_SETTLED_S)
        for frame in self.frames:
            await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
        self.played += 1


@contextlib.asynccontextmanager
async def playing(frames: Sequence[str | bytes], *replies: Reply) -> AsyncIterator[PlayedVenue]:
    """Run a venue that plays a session."""
    venue = PlayedVenue(replies, frames)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", venue.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    venue.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield venue
    finally:
        await runner.cleanup()


def read_frames(path: pathlib.Path) -> tuple[list[str | bytes], int]:
    """Read a session as frames, and when it began, ms UTC; packed frames were written as Python writes bytes."""
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode().splitlines()
    told = [line.partition(": ") for line in lines if line and not line.startswith("wss:")]
    frames = [ast.literal_eval(text) if text[:2] in ("b'", 'b"') else text for _, _, text in told]
    return frames, int(1000 * float(told[0][0]))


def decoded(frame: str | bytes) -> Any:
    """Return what a frame says."""
    return json.loads(gzip.decompress(frame) if isinstance(frame, bytes) else frame)
