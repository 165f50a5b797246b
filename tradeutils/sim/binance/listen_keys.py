"""Binance's endpoints of the futures that issue listen keys: the names of the user data streams of an account."""

from __future__ import annotations

from typing import Any, Final

from tradeutils.sim.binance.errors import BinanceError
from tradeutils.sim.dialect import Venue
from tradeutils.sim.ledger import SimulatedAccount

__all__ = ["LISTEN_KEY", "ListenKeyData"]

LISTEN_KEY: Final = "linear"
"""The kind of these keys among the tokens of a venue; they live an hour unless they are extended."""


class ListenKeyData:
    """The endpoints, as plain values: an account has one key at a time, and need not name it."""

    def __init__(self, venue: Venue) -> None:
        self._clock, self._keys = venue.clock, venue.keys

    def issue(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return the key of an account, which lives for an hour from now on."""
        return {"listenKey": self._keys.issue(account.key, self._clock.now(), kind=LISTEN_KEY)}

    def extend(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Let the key live for another hour."""
        key = self._known(account)
        self._keys.extend(key, self._clock.now(), kind=LISTEN_KEY)
        return {"listenKey": key}

    def revoke(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """End the key."""
        self._keys.revoke(self._known(account))
        return {}

    def _known(self, account: SimulatedAccount) -> str:
        key = self._keys.find(account.key, self._clock.now(), kind=LISTEN_KEY)
        if key is None:
            raise BinanceError(-1125)
        return key
