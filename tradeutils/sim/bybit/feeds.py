"""Bybit's v5 websocket interface: public channels of spot and linear, and those of an account."""

from __future__ import annotations

import itertools
from typing import Final

from tradeutils.sim.bybit.account import AccountData
from tradeutils.sim.bybit.feeds_rows import Updates
from tradeutils.sim.bybit.feeds_session import PrivateSession, PublicSession
from tradeutils.sim.bybit.market_data import MarketData
from tradeutils.sim.bybit.names import Names
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import FeedSession
from tradeutils.sim.feeds.dialing import Dialing
from tradeutils.sim.feeds.keys import ListenKeys
from tradeutils.sim.instruments import Instrument

__all__ = ["BybitFeeds"]

_PUBLIC: Final = "/v5/public/"
_PRIVATE: Final = "/v5/private"
_CONNECTIONS: Final = 500  # of an address in five minutes
_CONNECTIONS_S: Final = 300.0
_CATEGORIES: Final = ("spot", "linear", "inverse", "option")


class BybitFeeds:
    """
    Connects clients to ``/v5/public/spot``, ``/v5/public/linear`` and ``/v5/private``.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts.
    keys : ListenKeys
        Not used: who connects to the private channels signs.

    Notes
    -----
    Channels are told as often as the venue's pulse. Not spoken: positions, liquidations, leveraged tokens, full books,
    orders over the connection; a connection that says nothing is not closed, and the letters of its topics are not
    counted. An address may open 500 connections in five minutes; the next one is answered as who asks REST too much.
    """

    def __init__(self, venue: Venue, keys: ListenKeys) -> None:
        names = Names(venue.market)
        self._venue = venue
        self._data, self._account = MarketData(venue, names), AccountData(venue, names)
        self._traded: dict[str, dict[str, Instrument]] = {
            category: {one.name: one for one in names.all(category)} for category in _CATEGORIES
        }
        self._updates = Updates()
        self._dialing = Dialing(venue.gate, _CONNECTIONS, _CONNECTIONS_S)
        self._numbers = itertools.count(1)

    def connect(self, call: Call) -> FeedSession | Reply:
        """Return the session of a client, or how it is refused."""
        category = call.path.removeprefix(_PUBLIC)
        public = call.path.startswith(_PUBLIC) and category in self._traded
        if not public and call.path != _PRIVATE:
            return Reply(404, b"404 page not found", content_type="text/plain")
        if not self._dialing.admits(call.remote):
            return Reply(403, b"", content_type="text/plain", route=call.path, limited=True)
        name = f"{next(self._numbers):020x}-sim"
        if not public:
            return PrivateSession(self._venue, name, self._account)
        return PublicSession(
            self._venue,
            name,
            category=category,
            traded=self._traded[category],
            market_data=self._data,
            updates=self._updates,
        )
