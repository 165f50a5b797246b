"""How the wallets of one account are asked for: through what is known, past who is held back, and kept for later."""

from __future__ import annotations

import dataclasses
import time
from typing import Literal

from tradeutils.balances.accounts import OpenAccount
from tradeutils.balances.answers import Answer, Answers
from tradeutils.balances.parameters import Limits
from tradeutils.balances.snapshots import Snapshots
from tradeutils.balances.suspensions import Suspensions
from tradeutils.errors import TradeutilsError, TransientVenueError
from tradeutils.exchange import all_or_first_error
from tradeutils.model import Balance

__all__ = ["Fetching"]


class Fetching:
    """
    Asks for balances.

    Parameters
    ----------
    answers : Answers
        What is known of late.
    snapshots : Snapshots
        What was known before.
    suspensions : Suspensions
        Who is held back.
    wallets : None, "all", or tuple of str
        Which wallets make up a balance, unless one is named.
    """

    def __init__(
        self,
        answers: Answers,
        snapshots: Snapshots,
        suspensions: Suspensions,
        wallets: Literal["all"] | tuple[str, ...] | None,
    ) -> None:
        self._answers, self._snapshots, self._suspensions = answers, snapshots, suspensions
        self._wallets = wallets
        self._asked: dict[str, float] = {}

    def chosen(self, one: OpenAccount, wallet: str | None) -> list[str]:
        """Return the wallets that are wanted, each by its one name and once."""
        exchange = one.exchange
        if wallet is not None:
            return [exchange.wallet_named(wallet)]
        if self._wallets is None:
            return [exchange.wallets[0]]
        if self._wallets == "all":
            return list(exchange.wallets)
        return list(dict.fromkeys(exchange.wallet_named(name) for name in self._wallets))

    async def fetch(self, one: OpenAccount, wallet: str | None, limits: Limits) -> Balance:
        """Return what the wallets of an account hold together, or one of them."""
        first, *others = self.chosen(one, wallet)
        # The rest after the first: where the key is refused, it is refused once.
        parts = {first: await self._fetch_wallet(one, first, limits)}
        rest = await all_or_first_error([self._fetch_wallet(one, name, limits) for name in others])
        parts.update(zip(others, rest, strict=True))
        return Balance.combined(parts) if others else parts[first]

    async def _fetch_wallet(self, one: OpenAccount, wallet: str, limits: Limits) -> Balance:
        key = one.key_of(wallet)
        try:
            found = await self._answers.get(key, lambda: self._ask(one, wallet), limits.max_age)
        except TransientVenueError:
            known = None if limits.stale is None else await self._last(key)
            if known is None or self._answers.age(known) > (limits.stale or 0.0):
                raise
            return dataclasses.replace(known.balance, age=self._answers.age(known), stale=True)
        return dataclasses.replace(found.balance, age=self._answers.age(found))

    def know(self, one: OpenAccount) -> None:
        """Make an account known to the suspensions, so that those of each of its wallets can be told and ended."""
        for wallet in one.exchange.wallets:
            self._suspensions.know(one.account, _where(one, wallet))

    def asked_at(self, name: str) -> float:
        """Return when an account was last asked for, by a clock that starts above 0; 0: never."""
        return self._asked.get(name, 0.0)

    async def _ask(self, one: OpenAccount, wallet: str) -> Balance:
        """Ask the venue, where the account is not suspended, and keep a snapshot of what is new."""
        self._asked[one.name] = time.monotonic()
        usual = wallet == one.exchange.wallets[0]
        async with self._suspensions.attempt(one.account, _where(one, wallet)):
            balance = await one.exchange.fetch_balance(None if usual else wallet)
        await self._snapshots.record(one.key_of(wallet), Answer(balance, time.time()))
        return balance

    async def _last(self, key: str) -> Answer | None:
        """Return the last that is known of a wallet: here or, where another process knows a newer one, its snapshot."""
        known = self._answers.last(key)
        try:
            found = await self._snapshots.read(key)
        except TradeutilsError:  # the venue's error is told
            return known
        return max([*found[-1:], *([] if known is None else [known])], key=lambda one: one.at, default=None)


def _where(one: OpenAccount, wallet: str) -> str:
    """Return for which calls a suspension is: a key may be refused for one wallet and good for the others."""
    origin = one.exchange.origin
    return origin if wallet == one.exchange.wallets[0] else f"{origin} {wallet}"
