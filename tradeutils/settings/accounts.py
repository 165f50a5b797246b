"""Accounts and what signs their requests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from tradeutils.errors import SettingsError
from tradeutils.settings import checks
from tradeutils.settings.secret import Secret

__all__ = ["Account", "Credentials", "Vault"]

_FIRST_PRINTABLE = 0x20
_DELETE = 0x7F


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Credentials:
    """
    What signs an account's requests, each a :class:`Secret` or ``None``; by keyword.

    Which of them a venue wants is the venue's matter; most want ``key`` and ``secret``, some a ``password`` as well.

    Parameters
    ----------
    key, secret : str or Secret, optional
        The API key and its secret.
    password : str or Secret, optional
        The API passphrase (okx, kucoin, bitget, ...).
    uid, wallet_address, private_key, token : str or Secret, optional
        As ccxt's ``uid``, ``walletAddress``, ``privateKey`` and ``token``.

    Raises
    ------
    SettingsError : nothing is given; a value is empty, no string, begins or ends with white space (a key pasted with
        its line end fails at the venue, as a bad signature), or holds a control character (it would end a header).
        ``private_key``, and a ``secret`` that is PEM text, may have line ends.

    Examples
    --------
    >>> Credentials(key="abc", secret="def")
    Credentials(key=***, secret=***)
    """

    key: Secret | None
    secret: Secret | None
    password: Secret | None
    uid: Secret | None
    wallet_address: Secret | None
    private_key: Secret | None
    token: Secret | None

    def __init__(
        self,
        *,
        key: str | Secret | None = None,
        secret: str | Secret | None = None,
        password: str | Secret | None = None,
        uid: str | Secret | None = None,
        wallet_address: str | Secret | None = None,
        private_key: str | Secret | None = None,
        token: str | Secret | None = None,
    ) -> None:
        given = {
            "key": _sealed("key", key),
            "secret": _sealed("secret", secret),
            "password": _sealed("password", password),
            "uid": _sealed("uid", uid),
            "wallet_address": _sealed("wallet_address", wallet_address),
            "private_key": _sealed("private_key", private_key),
            "token": _sealed("token", token),
        }
        # Nothing was raised so far: a traceback that shows locals would have shown these.
        del key, secret, password, uid, wallet_address, private_key, token
        for name, value in given.items():
            object.__setattr__(self, name, checks.or_raise(value))
        if not self.secrets():
            raise SettingsError("credentials were empty; give key= and secret=, or what else the venue asks for")

    def __repr__(self) -> str:
        # A traceback may print the object before it has all its parts.
        given = {entry.name: getattr(self, entry.name, None) for entry in fields(self)}
        return f"Credentials({', '.join(f'{name}={value!r}' for name, value in given.items() if value is not None)})"

    def secrets(self) -> tuple[Secret, ...]:
        """Return what is given, for ``logs.protect``."""
        values = (getattr(self, entry.name) for entry in fields(self))
        return tuple(value for value in values if value is not None)


def _sealed(name: str, value: str | Secret | None) -> Secret | str | None:
    """Return the value as a secret, or a string that says what is wrong with it; never raises."""
    if value is None:
        return None
    found = checks.sealed(f"credentials: {name}", value, Secret)
    if not isinstance(found, Secret) or name == "private_key":
        return found
    if found.reveal() != found.reveal().strip():
        return f"credentials: {name} begins or ends with white space; write it without"
    if name == "secret" and found.reveal().startswith("-----BEGIN"):  # coinbase's is a PEM text, and signs only
        return found
    if any(ord(character) < _FIRST_PRINTABLE or ord(character) == _DELETE for character in found.reveal()):
        return f"credentials: {name} holds a control character; write it as the venue gave it"
    return found


Vault: TypeAlias = Callable[[str], Credentials]
"""Fetches the credentials of an account from where they are kept, by the account's name."""


def _in_vault() -> Credentials:
    """Return credentials that were not fetched yet: nothing of them is known."""
    nothing = object.__new__(Credentials)
    for entry in fields(Credentials):
        object.__setattr__(nothing, entry.name, None)
    return nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    One user's account on one exchange.

    Parameters
    ----------
    name : str
        How the account is asked for: ``exchanges.account("alice")``. Not empty, no white space around it.
    exchange : str
        The venue, by its ccxt name: ``"binance"``.
    credentials : Credentials
        What signs its requests. With ``vault`` they are not given, and each of them is ``None`` until it is asked.
    vault : callable, optional
        Given the account's name, it returns the credentials. It is called whenever an exchange is opened with the
        account, in the thread that opens it, and may block.
    sandbox : bool
        Use the venue's test network.
    options : mapping
        ccxt options for this account alone; copied, not shown in the repr, not part of the hash.

    Raises
    ------
    SettingsError : a bad name, options that are no table, neither credentials nor a vault, or both.
    """

    name: str
    exchange: str
    credentials: Credentials = field(default_factory=_in_vault)
    sandbox: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    vault: Vault | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        checks.name("account name", self.name)
        checks.name(f"exchange of account {self.name!r}", self.exchange)
        self._check_credentials()
        checks.flag(f"sandbox of account {self.name!r}", self.sandbox)
        object.__setattr__(self, "options", checks.options(f"options of account {self.name!r}", self.options))

    def _check_credentials(self) -> None:
        of = f"of account {self.name!r}"
        if not isinstance(self.credentials, Credentials):
            raise SettingsError(f"credentials {of} were not Credentials(key=..., secret=...)")
        if (self.vault is None) == (not self.credentials.secrets()):
            found = "neither credentials nor a vault" if self.vault is None else "credentials and a vault"
            raise SettingsError(f"account {self.name!r} had {found}; give credentials=Credentials(...), or vault=")
        if self.vault is not None and (not callable(self.vault) or inspect.iscoroutinefunction(self.vault)):
            raise SettingsError(f"vault {of} was not a function; give one that returns Credentials, not a coroutine")

    def secrets(self) -> tuple[Secret, ...]:
        """Return its credentials, for ``logs.protect``; none while they are in a vault."""
        return self.credentials.secrets()

    def unlocked(self) -> Account:
        """
        Return the account with its credentials at hand: itself, or a copy of it for which the vault was asked.

        Raises
        ------
        SettingsError : the vault raised, or returned anything else; what it said stands in the chain.
        """
        if self.vault is None:
            return self
        try:
            found = self.vault(self.name)
        except Exception as error:
            kind = type(error).__name__
            raise SettingsError(f"credentials of account {self.name!r} could not be fetched: {kind}") from error
        if not isinstance(found, Credentials):
            if inspect.iscoroutine(found):
                found.close()
            del found  # it may be a secret itself, and some tracebacks show locals
            raise SettingsError(f"the vault of account {self.name!r} returned no Credentials(key=..., secret=...)")
        return replace(self, credentials=found, vault=None)
