"""What moved between two balances, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tradeutils.errors import UsageError
from tradeutils.model import AssetBalance, Balance
from tradeutils.model.readonly import ReadOnlyDict
from tradeutils.model.rounding import EXACT

__all__ = ["AssetChange", "BalanceDifference", "difference", "differences"]

_NOTHING: Final = AssetBalance()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetChange:
    """
    By how much what is held of an asset changed; below 0 where it became less.

    Attributes
    ----------
    free, used, total, debt : Decimal
        After less before, to the last digit.
    added, gone : bool
        Whether nothing of it was there before, or is there after.
    """

    free: Decimal
    used: Decimal
    total: Decimal
    debt: Decimal
    added: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceDifference(Mapping[str, AssetChange]):
    """
    What changed on an account: a mapping from asset to `AssetChange`, of those that changed alone.

    Attributes
    ----------
    account : str or None
        Whose.
    assets : mapping of str to AssetChange
        By name.
    seconds : float or None
        Between the two, by the venue's clock.
    wallets : mapping of str to BalanceDifference
        The same by wallet, where both balances have parts: a transfer between two wallets changes them and not the
        sum.
    """

    account: str | None
    assets: Mapping[str, AssetChange]
    seconds: float | None
    wallets: Mapping[str, BalanceDifference]

    def __getitem__(self, asset: str) -> AssetChange:
        return self.assets[asset]

    def __iter__(self) -> Iterator[str]:
        return iter(self.assets)

    def __len__(self) -> int:
        return len(self.assets)

    def __hash__(self) -> int:
        return hash((self.account, frozenset(self.assets.items()), self.seconds))

    @property
    def added(self) -> tuple[str, ...]:
        """Assets of which there was nothing before."""
        return tuple(asset for asset, change in self.assets.items() if change.added)

    @property
    def gone(self) -> tuple[str, ...]:
        """Assets of which there is nothing any more."""
        return tuple(asset for asset, change in self.assets.items() if change.gone)


def difference(before: Balance, after: Balance) -> BalanceDifference:
    """
    Return what changed from one balance of an account to another.

    Raises
    ------
    UsageError : they are of two accounts, or of different wallets: those were never one sum.
    """
    if (before.venue, before.account) != (after.venue, after.account):
        raise UsageError(
            f"before was of {before.account} on {before.venue}, after of {after.account} on {after.venue}; "
            "give two balances of one account"
        )
    if _parts(before) != _parts(after):
        raise UsageError(
            f"before was of {' and '.join(_parts(before))}, after of {' and '.join(_parts(after))}; "
            "give two balances of the same wallets"
        )
    changes: dict[str, AssetChange] = {}
    for asset in sorted({*before, *after}):
        old, new = before.assets.get(asset, _NOTHING), after.assets.get(asset, _NOTHING)
        moved = [EXACT.subtract(getattr(new, name), getattr(old, name)) for name in ("free", "used", "total", "debt")]
        if any(moved):
            free, used, total, debt = moved
            changes[asset] = AssetChange(
                free=free, used=used, total=total, debt=debt, added=asset not in before, gone=asset not in after
            )
    told = before.time is not None and after.time is not None
    return BalanceDifference(
        account=after.account,
        assets=ReadOnlyDict(changes),
        seconds=((after.time or 0) - (before.time or 0)) / 1000 if told else None,
        wallets=ReadOnlyDict(
            {name: difference(before.wallets[name], after.wallets[name]) for name in sorted(before.wallets)}
        ),
    )


def differences(before: Mapping[str, Balance], after: Mapping[str, Balance]) -> dict[str, BalanceDifference]:
    """
    Return what changed on each account that both have, by name, of those that changed alone.

    An account that only one of them has was not asked, or failed: that is no change of what it holds.
    """
    found = {}
    for account in before:
        if account in after:
            change = difference(before[account], after[account])
            if change.assets or any(part.assets for part in change.wallets.values()):
                found[account] = change
    return found


def _parts(balance: Balance) -> tuple[str, ...]:
    return tuple(sorted(balance.wallets)) or (balance.wallet or "one wallet",)
