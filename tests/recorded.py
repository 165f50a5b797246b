"""
Recorded replies of real venues, served over real HTTP on loopback.

A reply stands at its path, with those parameters of its query that say what it is about (the market, the timeframe):
when it was asked for, and how many rows, matters no more. What was not recorded is answered with 404 and listed.
"""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import json
import pathlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

import tradeutils as tu
from tradeutils.settings import ExchangeSettings

__all__ = ["ReplayedVenue", "Reply", "at_leisure", "read_calls", "read_routes", "replayed"]

# How much was asked for and when, who asked, and what ccxt leaves to the venue's default.
_UNSAID = frozenset(
    ("limit", "startTime", "endTime", "fromId", "recvWindow", "timestamp", "signature", "with_id", "expired")
)


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One reply of a venue.

    Attributes
    ----------
    path : str
        ``"/api/v3/klines"``.
    body : str or callable
        The JSON, as recorded; what is called makes it anew for each request.
    about : mapping
        Parameters that a request must have, in its query or its body.
    method : str
        ``"GET"``, ...
    status : int
        Of HTTP.
    """

    path: str
    body: str | Callable[[], str]
    about: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    status: int = 200

    def answers(self, method: str, path: str, asked: Mapping[str, str]) -> bool:
        """Tell whether it is an answer to a request."""
        return (method, path) == (self.method, self.path) and all(
            asked.get(name) == value for name, value in self.about.items()
        )


class ReplayedVenue:
    """
    Answers with recorded replies.

    Attributes
    ----------
    url : str
        Scheme and host.
    replies : list of Reply
        Of those that fit the last one answers.
    asked, unmatched : list of str
        Every request, and those that no reply fits.
    behind : int
        By how many milliseconds its clock, and the ``Date`` of its replies, are behind ours.
    """

    def __init__(self, replies: Sequence[Reply] = ()) -> None:
        self.url = ""
        self.behind = 0
        self.replies = list(replies)
        self.asked: list[str] = []
        self.unmatched: list[str] = []

    @contextlib.contextmanager
    def also(self, *replies: Reply) -> Iterator[None]:
        """Answer with these too, before all others, for a while."""
        before = self.replies
        self.replies = [*before, *replies]
        try:
            yield
        finally:
            self.replies = before

    def now(self) -> int:
        """Return its time, ms UTC."""
        return time.time_ns() // 1_000_000 - self.behind

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        asked = {**request.query, **_parameters(await request.text())}
        line = f"{request.method} {request.path_qs} {asked}"
        self.asked.append(line)
        for reply in reversed(self.replies):
            if reply.answers(request.method, request.path, asked):
                body = reply.body if isinstance(reply.body, str) else reply.body()
                date = {"Date": email.utils.formatdate(self.now() / 1000, usegmt=True)}
                return web.Response(text=body, status=reply.status, content_type="application/json", headers=date)
        self.unmatched.append(line)
        return web.Response(text="not recorded", status=404)


def _parameters(body: str) -> dict[str, str]:
    """Return the parameters in a request's body, JSON or a form."""
    if not body.startswith("{"):
        return dict(parse_qsl(body))
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in json.loads(body).items()}


@contextlib.asynccontextmanager
async def replayed(*replies: Reply) -> AsyncIterator[ReplayedVenue]:
    """Run a venue that answers so; whoever leaves it without an error must have asked only for what is there."""
    venue = ReplayedVenue(replies)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", venue.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    venue.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield venue
    except BaseException as error:
        for line in venue.unmatched:
            error.add_note(f"not recorded: {line}")
        raise
    else:
        assert not venue.unmatched, f"not recorded: {venue.unmatched}"
    finally:
        await runner.cleanup()


def at_leisure(venue: str, url: str, **given: Any) -> tu.Exchange:
    """Open our exchange on a replayed venue, which has no limits to keep."""
    windows = [tu.Window("public", 10**6, 1.0), tu.Window("public_pair", 10**6, 1.2)] if venue == "kraken" else None
    settings = ExchangeSettings(rate_limit_ms=0.01)
    return tu.Exchange(venue, url=url, budget=tu.LocalBudget(windows), settings=settings, retries=0, **given)


def read_routes(path: pathlib.Path) -> list[tuple[Reply, dict[str, str]]]:
    """Return gocryptotrader's recorded replies, each with the whole query that it was the answer to."""
    found = []
    for route, methods in json.loads(_text(path))["routes"].items():
        for method, calls in methods.items():
            for call in calls:
                query = dict(parse_qsl(call["queryString"]))
                about = {name: value for name, value in query.items() if name not in _UNSAID}
                found.append((Reply(route, json.dumps(call["data"]), about, method), query))
    return found


def read_calls(path: pathlib.Path) -> list[Reply]:
    """Return cryptofeed's recorded REST replies: lines of ``URL -> seconds: JSON``."""
    found = []
    for line in _text(path).splitlines():
        url, arrow, rest = line.partition(" -> ")
        if arrow:
            parts = urlsplit(url)
            about = {name: value for name, value in parse_qsl(parts.query) if name not in _UNSAID}
            found.append(Reply(parts.path, rest.partition(": ")[2], about))
    return found


def _text(path: pathlib.Path) -> str:
    """Return a recording's text, packed or not."""
    raw = path.read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
