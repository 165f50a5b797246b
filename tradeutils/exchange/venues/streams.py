"""What a line of a venue is made of: an instance of ccxt's class that knows the markets, and who dials for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final
from urllib.parse import SplitResult

from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.requests.endpoints import addresses_of
from tradeutils.exchange.requests.sessions import Session, tls_context
from tradeutils.exchange.requests.timekeeping import Timekeeper
from tradeutils.exchange.streams.dialing import Dialer
from tradeutils.exchange.streams.ends import Opened
from tradeutils.exchange.venues.listing import Listing

__all__ = ["few_snapshots", "open_line"]

# Of books at a time. Where a line of 38 is opened anew, all of them at once (a thousand levels each, of 0.3 MB) left a
# process of 250 MiB with 15 more for ever; four at a time leave 2.
_SNAPSHOTS: Final = 4


def few_snapshots(ccxt: Any) -> None:
    """Have an instance of ccxt's class ask for some snapshots of books after the others."""
    ask, few = ccxt.fetch_rest_order_book_safe, asyncio.Semaphore(_SNAPSHOTS)

    async def fetch_rest_order_book_safe(*given: Any, **named: Any) -> Any:
        async with few:
            return await ask(*given, **named)

    ccxt.fetch_rest_order_book_safe = fetch_rest_order_book_safe


async def open_line(
    connection: Connection,
    listing: Callable[[], Awaitable[Listing]],
    sockets: Session,
    target: SplitResult | None,
    offering: Callable[[str], Collection[str]],
    keeper: Timekeeper | None = None,
) -> Opened:
    """
    Return what a line is made of; of a connection that comes to nothing, nothing is left.

    Parameters
    ----------
    connection : Connection
        Through which its instance of ccxt asks over REST; ends with the line.
    listing : callable
        Returns the markets that others have loaded; asked for now, and whenever ccxt's class wants markets.
    sockets : Session
        Whose connections the websockets are.
    target : SplitResult or None
        Where all of them go instead of the venue.
    offering : callable
        Returns well-known venues that stream something.
    keeper : Timekeeper or None
        Of an account's line: learns the venue's time, which signatures carry, before anything is signed.
    """

    async def give(_reload: bool) -> None:
        (await listing()).give(connection.ccxt)

    try:
        connection.list_markets = give
        await give(False)
        if keeper is not None:
            await keeper.settle()
        ccxt = connection.ccxt
        ccxt.ssl_context = tls_context(ccxt.cafile)  # it would make one of its own: 16 ms
        few_snapshots(ccxt)
        sockets.enter(f"{connection.name} watch")
        addresses = [ccxt.implode_hostname(url) for url in addresses_of(ccxt.urls["api"])]
        dialer = Dialer(sockets, ccxt.cafile, target, addresses, connection.name)
        return Opened(ccxt, connection, dialer, keeper is not None, offering)
    except BaseException:
        await connection.aclose()
        raise
