"""The accounts behind one or many exchanges, each opened when it is first asked for."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from tradeutils.balances.standings import key_of
from tradeutils.errors import UnknownName, UsageError
from tradeutils.exchange import Exchange, Exchanges
from tradeutils.exchange.venues.configuration import account_digest
from tradeutils.settings import Account

__all__ = ["Accounts", "OpenAccount", "Source"]

Source = Exchanges | Exchange | Iterable[Exchange]
"""Where accounts come from."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenAccount:
    """
    One account, opened.

    Attributes
    ----------
    name : str
        By which it is asked for.
    exchange : Exchange
        That signs for it.
    account : Account
        With its credentials at hand.
    key : str
        Under which answers about it are kept: of its origin, its name, and a digest of its credentials, as two
        processes may know different accounts by one name.
    whose : str
        The same for two names of one account: of its origin, and a digest of its key.
    leave : callable
        Ends that we hear of its changes.
    """

    name: str
    exchange: Exchange
    account: Account
    key: str
    whose: str
    leave: Callable[[], None]

    def key_of(self, wallet: str) -> str:
        """Return under which key answers about a wallet are kept, by its one name."""
        return f"{self.key}:{wallet}"


class Accounts:
    """
    Accounts by name.

    Parameters
    ----------
    source : Exchanges, Exchange or iterable of Exchange
        Of the first, all accounts of the settings.
    on_change : callable
        Called with an `OpenAccount` whenever what it holds may have changed.
    opened : callable
        Called with each that is opened.

    Raises
    ------
    UsageError : an exchange without an account, or two accounts of one name.
    """

    def __init__(
        self,
        source: Source,
        on_change: Callable[[OpenAccount], None],
        opened: Callable[[OpenAccount], None],
    ) -> None:
        self._changed, self._opened = on_change, opened
        self._of_settings = source if isinstance(source, Exchanges) else None
        self._given = {} if isinstance(source, Exchanges) else _by_name(source)
        self._open: dict[str, OpenAccount] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of the settings, or as they were given."""
        return tuple(self._given) if self._of_settings is None else self._of_settings.accounts

    def check(self, name: str) -> None:
        """Raise `UnknownName` where there is no account of this name."""
        if not isinstance(name, str) or name not in self.names:
            raise UnknownName("account", name, self.names)

    def get(self, name: str) -> OpenAccount:
        """
        Return an account, opened where it is not yet (4 ms of the processor; nothing is sent).

        Raises
        ------
        UnknownName : no account of this name; the nearest are named.
        """
        known = self._open.get(name) if isinstance(name, str) else None
        if known is not None and (self._of_settings is None or not known.exchange.is_closed):
            return known
        self.check(name)
        exchange = self._given[name] if self._of_settings is None else self._of_settings.account(name)
        return self._enter(name, exchange)

    def enter_given(self) -> None:
        """Hear of the changes of exchanges that were handed in, from now on."""
        for name, exchange in self._given.items():
            self._enter(name, exchange)

    def already_open(self) -> Iterator[OpenAccount]:
        """Iterate over those that are open."""
        return iter(list(self._open.values()))

    def has_open_orders(self, name: str) -> bool:
        """Tell whether an account is known to have open orders, from what this process did; nothing is opened."""
        if self._of_settings is not None and self._of_settings.is_open(name):
            return self._of_settings.account(name).has_open_orders  # which may not have been asked for a balance yet
        known = self._open.get(name)
        return known is not None and known.exchange.has_open_orders

    def changed(self, name: str) -> None:
        """Take note that what an account holds may have changed."""
        if name in self._open:
            self._changed(self._open[name])

    def leave(self) -> None:
        """Hear of no more changes."""
        for one in self._open.values():
            one.leave()
        self._open.clear()

    def _enter(self, name: str, exchange: Exchange) -> OpenAccount:
        before = self._open.pop(name, None)
        if before is not None:
            before.leave()
        account = cast(Account, exchange.account)
        digest = key_of(account, exchange.origin).rpartition(":")[2]
        ours = weakref.ref(self)  # an exchange may outlive many of us

        def changed() -> None:
            accounts = ours()
            if accounts is not None:
                accounts.changed(name)

        leave = exchange.subscribe(changed)
        weakref.finalize(self, leave).atexit = False
        found = OpenAccount(
            name=name,
            exchange=exchange,
            account=account,
            key=f"balance:{exchange.origin}:{name}:{digest}",
            whose=f"{exchange.origin}:{account_digest(account)}",
            leave=leave,
        )
        self._open[name] = found
        self._opened(found)
        if exchange.changes:  # before anybody listened: others may still be served with what was
            self._changed(found)
        return found


def _by_name(source: Exchange | Iterable[Exchange]) -> dict[str, Exchange]:
    if not isinstance(source, Exchange | Iterable) or isinstance(source, str):
        raise UsageError(f"exchanges was {source!r}; give an Exchange or a list of them")
    found: dict[str, Exchange] = {}
    for exchange in [source] if isinstance(source, Exchange) else source:
        if not isinstance(exchange, Exchange):
            raise UsageError(f"exchanges held {exchange!r}; give Exchange objects")
        if exchange.account is None:
            raise UsageError(f"{exchange!r} has no account; open it with account=Account(...)")
        if exchange.account.name in found:
            raise UsageError(f"account {exchange.account.name!r} was given twice; names must differ")
        found[exchange.account.name] = exchange
    return found
