"""Currencies that the caller wants taken for equal: nothing is assumed to be worth a dollar unless asked."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Final, TypeAlias

from tradeutils.errors import UnknownName, UsageError

__all__ = ["PEGGED", "Pegs", "frozen_pegs", "parity"]

Pegs: TypeAlias = Mapping[str, str] | str | tuple[()]
"""``{"USDC": "USDT"}``: these pairs at par; ``"USD"`` or ``"EUR"``: all of `PEGGED` of that name; ``()``: none."""

PEGGED: Final[Mapping[str, frozenset[str]]] = types.MappingProxyType(
    {
        "USD": frozenset(("BUSD", "DAI", "FDUSD", "PYUSD", "RLUSD", "TUSD", "USD1", "USDC", "USDG", "USDP", "USDT")),
        "EUR": frozenset(("AEUR", "EURC", "EURI", "EURQ", "EURR", "EURT")),
    }
)
"""Coins that their issuers redeem in a currency, or, DAI, hold to it by such coins; not those held to it by trades."""


def frozen_pegs(pegs: Pegs) -> frozenset[tuple[str, str]]:
    """
    Return pegs as pairs, the same for two ways to write the same.

    Raises
    ------
    UsageError : neither a mapping of names nor one of the names in `PEGGED`.
    """
    if isinstance(pegs, str):
        if pegs not in PEGGED:
            raise UnknownName("pegs", pegs, PEGGED)
        return frozenset((coin, pegs) for coin in PEGGED[pegs])
    if isinstance(pegs, tuple) and not pegs:
        return frozenset()
    if not isinstance(pegs, Mapping) or not all(isinstance(name, str) for pair in pegs.items() for name in pair):
        raise UsageError(f'pegs was {pegs!r:.80}; write {{"USDC": "USDT"}}, or "USD" for all that are redeemed in it')
    return frozenset(pegs.items())


def parity(pairs: frozenset[tuple[str, str]], quote: str) -> dict[str, str]:
    """Return for each pegged currency the one that stands for all at par with it; ``quote`` stands for its own."""
    groups: list[set[str]] = []
    for pair in pairs:
        joined = [group for group in groups if not group.isdisjoint(pair)]
        groups = [group for group in groups if group.isdisjoint(pair)] + [set(pair).union(*joined)]
    return {name: quote if quote in group else min(group) for group in groups for name in group}
