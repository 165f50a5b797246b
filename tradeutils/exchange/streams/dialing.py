"""Where websockets are opened: at the venue's own hosts or at ``url=``, no faster than the venue allows."""

from __future__ import annotations

import asyncio
import collections
import random
import time
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import aiohttp

from tradeutils import errors, logs
from tradeutils.exchange.requests.endpoints import moved_socket
from tradeutils.exchange.requests.sessions import Session, current_sender
from tradeutils.exchange.streams.limits import Pace

__all__ = ["Dialer", "Dials", "Turns", "dial_error", "wait_told"]

_CLOSING: Final = aiohttp.ClientWSTimeout(ws_close=0.5)  # for the venue's goodbye; a dead one says none
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_LONGEST_TOLD_S: Final = 600.0  # of a Retry-After
_SECOND_LEVEL: Final = frozenset({"co", "com", "net", "org", "ac", "gov"})  # as in "co.jp"


class Turns:
    """So many within a time, and whoever comes then waits, in order."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._taken: collections.deque[float] = collections.deque()
        self._queue = asyncio.Lock()

    async def take(self) -> None:
        """Return when it may be done."""
        async with self._queue:
            now = time.monotonic()
            while len(self._taken) >= self._pace.count:
                wait = self._taken[0] + self._pace.seconds - now
                if wait > 0:
                    await asyncio.sleep(wait)
                    now = time.monotonic()
                else:
                    self._taken.popleft()
            self._taken.append(now)


class Dials:
    """
    When a venue may be dialled after failures: with pauses that double, up to 30 s.

    How many it takes in a time is the budget's business, which other processes share.

    After the first failure there is no pause; later ones are shortened by up to a half by chance, so that many who
    were cut off at once do not come back at once. What a venue says itself (``Retry-After``) is waited for.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._not_before = 0.0

    async def turn(self) -> None:
        """Return when it may be dialled."""
        while (wait := self._not_before - time.monotonic()) > 0:  # noqa: ASYNC110 -- it may be put off meanwhile
            await asyncio.sleep(wait)

    def succeeded(self) -> None:
        """Note that a connection stands."""
        self._failures, self._not_before = 0, 0.0

    def failed(self, retry_after: float | None) -> None:
        """
        Note that none came about; ``retry_after``: seconds that the venue said.

        Lines that were cut off together fail together: what fails within a pause is of the try before it, and does not
        make the pause longer, or a second's outage would keep forty lines away for half a minute.
        """
        now = time.monotonic()
        told = min(retry_after or 0.0, _LONGEST_TOLD_S)
        if now < self._not_before:
            self._not_before = max(self._not_before, now + told)
            return
        pause = 0.0
        if self._failures:
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10))
            pause *= 1 - random.random() / 2  # noqa: S311 -- spreads callers, keeps no secret
        self._failures += 1
        self._not_before = now + max(pause, told)


class Dialer:
    """
    What is handed to ccxt as its session: opens websockets, and nothing else.

    Parameters
    ----------
    session : Session
        Whose connections they are.
    cafile : str
        The certificates that are trusted.
    target : SplitResult or None
        Where every websocket goes instead of the venue's own hosts.
    addresses : iterable of str
        Those of the venue, as ccxt lists them.
    venue : str
        For messages.
    """

    def __init__(
        self, session: Session, cafile: str, target: SplitResult | None, addresses: Iterable[str], venue: str
    ) -> None:
        self._session = session
        self._cafile = cafile
        self._target = target
        self._homes = frozenset(_home(urlsplit(url).hostname or "") for url in addresses) - {""}
        self._venue = venue

    @property
    def cookie_jar(self) -> aiohttp.DummyCookieJar:
        """Where ccxt would put cookies: none are kept."""
        return aiohttp.DummyCookieJar()

    def ws_connect(self, url: str, **options: Any) -> _Dial:
        """Stand in for aiohttp's; nothing is sent before it is entered."""
        return _Dial(self, url, options)

    def address(self, url: str) -> str:
        """
        Return where a websocket of ccxt's goes.

        Raises
        ------
        RequestRefused : it is neither encrypted to a host of the venue's own, nor is there a ``url=``.
        """
        parts = urlsplit(url)
        if self._target is not None:
            return moved_socket(parts, self._target)
        host = parts.hostname or ""
        if parts.scheme != "wss" or _home(host) not in self._homes:
            raise errors.RequestRefused(
                f"a websocket to {parts.scheme}://{host} was asked for, which is none of the venue's own; not opened",
                venue=self._venue,
            )
        return url

    async def open(self, url: str, options: dict[str, Any]) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket; aiohttp's errors."""
        address = self.address(url)
        client = await self._session.client(self._cafile)
        token = current_sender.set(self)
        try:
            ws: aiohttp.ClientWebSocketResponse = await client.ws_connect(address, timeout=_CLOSING, **options)
        except BaseException:
            # Its frames would keep the address, with the keys in it, in every report of a crash.
            del url, address
            raise
        else:
            return ws
        finally:
            current_sender.reset(token)

    async def connected(self) -> None:
        """Pay nothing: its turn was paid before it was dialled."""

    async def leaving(self) -> None:
        """Nothing is noted of a websocket."""

    async def redirected(self, asked: str, target: str) -> None:
        """Refuse to be sent elsewhere, with all that the address bears."""
        del asked, target
        raise errors.VenueUnavailable("sent a websocket on to another address; not followed", venue=self._venue)


class _Dial:
    """One websocket to be opened, in the form that ccxt asks for it."""

    def __init__(self, dialer: Dialer, url: str, options: dict[str, Any]) -> None:
        self._dialer = dialer
        self._url = url
        self._options = options

    async def __aenter__(self) -> aiohttp.ClientWebSocketResponse:
        return await self._dialer.open(self._url, self._options)


def dial_error(error: BaseException, venue: str, *, private: bool) -> errors.VenueError:
    """Return our error for a websocket that was not opened; addresses hold keys, so none is in it."""
    if isinstance(error, errors.VenueError):
        return error
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return _refused(error, venue, private=private)
    if isinstance(error, TimeoutError):
        return errors.VenueTimeout("no websocket came about in time", venue=venue)
    if isinstance(error, aiohttp.ClientConnectorError | OSError):
        told = logs.redact(str(error.__cause__ or error))
        return errors.VenueUnavailable(
            f"no websocket could be opened ({told}); check the network and the address", venue=venue
        )
    return errors.VenueUnavailable(f"no websocket could be opened ({type(error).__name__})", venue=venue)


def _refused(error: aiohttp.WSServerHandshakeError, venue: str, *, private: bool) -> errors.VenueError:
    text = f"the websocket was refused (HTTP {error.status})"
    if error.status in (418, 429):
        return errors.RateLimited(text, retry_after=wait_told(error), venue=venue)
    if private and error.status in (401, 403):
        return errors.AuthenticationFailed(text, venue=venue)
    return errors.VenueUnavailable(text, venue=venue)


def wait_told(error: BaseException) -> float | None:
    """Return for how many seconds a venue wants to be left alone (``Retry-After``), where it said so."""
    told = (getattr(error, "headers", None) or {}).get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() and len(told) < 7 else None


def _home(host: str) -> str:
    """Return the domain that a host belongs to: "okx.com" for "ws.okx.com"; itself where it is an address."""
    labels = host.lower().split(".")
    if len(labels) < 2 or labels[-1].isdigit():
        return host.lower()
    count = 3 if len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-count:])
