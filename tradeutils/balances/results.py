"""What is known of many accounts at once: what there is, and why the rest is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from tradeutils.balances.routes import EXACT
from tradeutils.balances.valuation import Valuation
from tradeutils.errors import TradeutilsError
from tradeutils.model import Balance

__all__ = ["AllBalances", "Totals", "value_all"]

_VALUED_AT_ONCE: Final = 50  # accounts, before others on the loop have their turn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AllBalances(Mapping[str, Balance]):
    """
    What many accounts hold: a mapping from account to `Balance`, in the order of `Balances.accounts`.

    Attributes
    ----------
    balances : mapping of str to Balance
        Of the accounts that could be asked.
    failures : mapping of str to Exception
        Why each of the others is missing; `Suspended` where it was not asked, as its key was refused before.
    stale : mapping of str to float
        The age in seconds of those that are older than they should be, as their venue did not answer.
    """

    balances: Mapping[str, Balance]
    failures: Mapping[str, Exception] = field(default_factory=dict)
    stale: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, account: str) -> Balance:
        return self.balances[account]

    def __iter__(self) -> Iterator[str]:
        return iter(self.balances)

    def __len__(self) -> int:
        return len(self.balances)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Totals(Mapping[str, Valuation]):
    """
    What many accounts are worth: a mapping from account to `Valuation`, in the order of `Balances.accounts`.

    Attributes
    ----------
    quote : str
        The currency of every total.
    valuations : mapping of str to Valuation
        Of the accounts that could be asked and valued.
    failures, stale
        As of `AllBalances`. An account that is missing is not in `total` either.
    same_as : mapping of str to str
        Of two names that have one key at one venue, the later to the earlier: `total` counts what they hold once.
    """

    quote: str
    valuations: Mapping[str, Valuation]
    failures: Mapping[str, Exception] = field(default_factory=dict)
    stale: Mapping[str, float] = field(default_factory=dict)
    same_as: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, account: str) -> Valuation:
        return self.valuations[account]

    def __iter__(self) -> Iterator[str]:
        return iter(self.valuations)

    def __len__(self) -> int:
        return len(self.valuations)

    @property
    def total(self) -> Decimal:
        """The sum over the accounts that are there, each once, to the last digit that they have."""
        found = Decimal(0)
        for name, one in self.valuations.items():
            if name not in self.same_as:
                found = EXACT.add(found, one.total)
        return found

    @property
    def is_complete(self) -> bool:
        """Whether no account is missing."""
        return not self.failures


async def value_all(
    held: AllBalances,
    quote: str,
    value: Callable[[str, Balance], Valuation | TradeutilsError],
    whose: Callable[[str], str],
) -> Totals:
    """
    Return what accounts are worth.

    ``value`` returns that of one, or why it has none; ``whose`` the same text for two names of one account.
    """
    found: dict[str, Valuation] = {}
    first: dict[str, str] = {}
    failures: dict[str, Exception] = dict(held.failures)
    for number, (name, balance) in enumerate(held.items(), 1):
        worth = value(name, balance)
        if isinstance(worth, Valuation):
            found[name] = worth
        else:
            failures[name] = worth
        if number % _VALUED_AT_ONCE == 0:
            await asyncio.sleep(0)
    stale = {name: age for name, age in held.stale.items() if name in found}
    same_as = {name: first[whose(name)] for name in found if first.setdefault(whose(name), name) != name}
    return Totals(quote=quote, valuations=found, failures=failures, stale=stale, same_as=same_as)
