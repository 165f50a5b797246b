"""The server that a budget is shared on: where it is, and calling scripts on it."""

from __future__ import annotations

from typing import Any, Final

import hiredis

from tradeutils.budget.scripts import in_full
from tradeutils.errors import CacheUnavailable, UsageError
from tradeutils.link.address import Address, parse_address
from tradeutils.link.opening import open_link
from tradeutils.link.wire import Abandoned, Command

__all__ = ["Server"]

_TIMEOUT: Final = 0.25  # seconds within which it must answer
# One that lost its data grants all anew to a process that knows nothing of the others: they must be there first.
_REDIAL_SECONDS: Final = 0.1


class Server:
    """
    One Redis (>= 6) or Valkey server, over a connection of our own.

    On the cache's connection a grant would wait behind values of many megabytes.

    Parameters
    ----------
    url_or_cache : str or Cache
        Its URL, or something whose ``address`` is a Redis.

    Raises
    ------
    UsageError : no such URL, or a cache in memory.
    """

    def __init__(self, url_or_cache: Any) -> None:
        self.address = address = _address_of(url_or_cache)
        self.label = address.label
        self.link = open_link(address, _TIMEOUT, longest_pause=_REDIAL_SECONDS)

    def anew(self) -> Server:
        """Return it over another connection: after a fork, the one there is belongs to the parent."""
        return Server(self)

    async def call(self, command: Command, abandoned: Abandoned | None = None) -> Any:
        """
        Send one command and return its reply; an error reply counts as an outage.

        ``abandoned`` is called with the replies that come after the caller was cancelled.

        Raises
        ------
        CacheUnavailable : no answer in time, or none that could be used.
        """
        [reply] = await self.link.call([command], abandoned)
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith("NOSCRIPT"):
                return await self.call(in_full(command), abandoned)
            raise CacheUnavailable(f"{self.label} refused: {str(reply)[:200]}")
        return reply


def _address_of(url_or_cache: Any) -> Address:
    if isinstance(url_or_cache, str):
        return parse_address(url_or_cache)
    address = getattr(url_or_cache, "address", None)
    if not isinstance(address, Address):
        raise UsageError(
            f"url_or_cache was {url_or_cache!r}; write 'redis://localhost:6379/0', a cache that lies on Redis, or use "
            "tu.LocalBudget() for one process"
        )
    return address
