"""
What an account holds, whole each time, though venues send only what has changed.

REST tells all that is held; what the stream tells is laid over it, asset by asset. An answer of REST does not undo what
the stream told a moment before, as it may be behind. Where a stream tells totals alone (kraken), or has been quiet for
long, REST is asked: most accounts are quiet, and nothing else tells a quiet stream from a dead one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from tradeutils.errors import BadReply, RateLimited, TransientVenueError
from tradeutils.exchange.streams.assembling.base import Rest
from tradeutils.exchange.streams.assembling.retrying import Retrying
from tradeutils.exchange.venues import parse
from tradeutils.model import AssetBalance, Balance
from tradeutils.model.streaming import StreamEvent

__all__ = ["AUDIT_MS", "LAG_MS", "BalanceAssembler"]

AUDIT_MS: Final = 60_000
"""After so long without a message REST is asked whether there was nothing to tell."""

LAG_MS: Final = 5_000
"""By which REST may be behind the stream."""

_SOON_MS: Final = 300  # one question for the messages that come together


class BalanceAssembler:
    """
    Makes balances of one account; an `Assembler`.

    Parameters
    ----------
    venue : str
        Where the account is.
    audit : int
        Milliseconds without a message after which REST is asked.

    Attributes
    ----------
    silent : int
        How often REST knew what the stream should have told long before: it is dead.
    """

    def __init__(self, venue: str, *, audit: int = AUDIT_MS) -> None:
        self.silent = 0
        self._venue = venue
        self._audit = audit
        self._told: Balance | None = None
        self._assets: dict[str, AssetBalance] = {}
        self._entries: dict[str, tuple[Any, ...]] = {}  # as ccxt has them, of this connection
        self._changed: dict[str, int] = {}  # when the stream told of an asset, on this connection
        self._is_whole = False  # whether REST has told what the stream does not
        self._questions = 0  # to which REST may have news: as it may be behind, it is asked twice
        self._ask_at: int | None = None
        self._retry = Retrying()

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Balance | StreamEvent]:
        """Take ccxt's balance dict, of the assets that it knows of; see `Assembler`."""
        if not isinstance(value, Mapping):
            return ()
        changed = self._news(value)
        if self._is_whole and not self._questions:
            self._ask_at = now + self._audit
        partial = [asset for asset, entry in changed.items() if entry[0] is None and entry[1] is None]
        try:
            held = parse.balance(_only(value, changed), self._venue, None, now).assets
        except BadReply:
            held, partial = {}, list(changed)
        for asset in changed:
            if asset not in partial:
                self._changed[asset] = now
                _put(self._assets, asset, held.get(asset))
        if partial and self._is_whole:
            self._questions, self._ask_at = 2, now + _SOON_MS
        return self._tell(now)

    def _news(self, value: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
        """Return the entries that are not as they were: ccxt hands out all it has seen, old ones too."""
        debts = value.get("debt") or {}
        found: dict[str, tuple[Any, ...]] = {}
        for asset in value.get("total") or ():
            entry = value.get(asset) or {}
            made = (entry.get("free"), entry.get("used"), entry.get("total"), debts.get(asset))
            if self._entries.get(asset) != made:
                found[asset] = self._entries[asset] = made
        return found

    def interrupted(self, now: int) -> None:
        """Tell nothing until REST has told what is held now."""
        self._is_whole, self._questions = False, 2
        self._entries.clear()
        self._changed.clear()
        self._retry.done()

    async def resume(self, rest: Rest) -> Sequence[Balance | StreamEvent]:
        """Ask what is held; it is told where it is not what was told last."""
        return await self._ask(rest, audit=False)

    def due(self, now: int) -> float | None:
        """Return in how many seconds REST is asked."""
        if self._ask_at is None:
            return None
        return max(0.0, (max(self._ask_at, self._retry.at) - now) / 1000)

    async def settle(self, rest: Rest, now: int) -> Sequence[Balance | StreamEvent]:
        """Ask what is held, if that is due."""
        due = self.due(now)
        return (
            await self._ask(rest, audit=self._is_whole and not self._questions) if due is not None and due <= 0 else ()
        )

    async def _ask(self, rest: Rest, *, audit: bool) -> Sequence[Balance | StreamEvent]:
        asked = self._ask_at or 0
        try:
            asked = await rest.fetch_time()
            answer = await rest.fetch_balance()
        except TransientVenueError as error:
            self._ask_at = asked
            self._retry.again(asked, wait=error.retry_after if isinstance(error, RateLimited) else None)
            return ()
        self._retry.done()
        before, quiet = dict(self._assets), not any(at + LAG_MS > asked for at in self._changed.values())
        self._assets = dict(answer.assets)
        for asset, at in self._changed.items():
            if at + LAG_MS > asked:
                _put(self._assets, asset, before.get(asset))
        self._is_whole, self._questions = True, max(0, self._questions - 1)
        self._ask_at = asked + (LAG_MS if self._questions else self._audit)
        if audit and quiet and self._assets != before:
            self.silent += 1
        return self._tell(asked, answer)

    def _tell(self, now: int, answer: Balance | None = None) -> Sequence[Balance | StreamEvent]:
        """Return the balance where it is known, and not what was told last."""
        base = answer if answer is not None else self._told
        if not self._is_whole or base is None:
            return ()
        if self._told is not None and dict(self._told.assets) == self._assets:
            return ()
        info = answer.info if answer is not None else None
        self._told = dataclasses.replace(base, time=now, assets=dict(self._assets), info=info)
        return (self._told,)

    @property
    def is_unanswered(self) -> bool:
        """Whether REST did not answer when it was asked last."""
        return self._retry.is_pausing

    def finish(self, item: Balance) -> Balance:
        """Return the item."""
        return item

    def conflation_key(self, item: Any) -> Hashable:
        """Return ``None``: there is one account."""
        return None


def _put(assets: dict[str, AssetBalance], asset: str, held: AssetBalance | None) -> None:
    if held is None:
        assets.pop(asset, None)
    else:
        assets[asset] = held


def _only(value: Mapping[str, Any], assets: Mapping[str, Any]) -> dict[str, Any]:
    """Return ccxt's balance of these assets alone."""
    total, debts = value.get("total") or {}, value.get("debt") or {}
    return {
        "total": {asset: total.get(asset) for asset in assets},
        "debt": {asset: debts[asset] for asset in assets if asset in debts},
        **{asset: value.get(asset) for asset in assets},
    }
