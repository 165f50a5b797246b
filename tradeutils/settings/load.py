"""All settings, and how they are put together from their sources."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tradeutils.errors import SettingsError
from tradeutils.settings import checks
from tradeutils.settings.accounts import Account, Credentials, Vault
from tradeutils.settings.secret import Secret, SecretUrl
from tradeutils.settings.sections import (
    CacheSettings,
    ExchangeSettings,
    HistorySettings,
    LogSettings,
    WindowSettings,
    as_windows,
)
from tradeutils.settings.sources import CREDENTIALS, Given, Tree, Variables, read_environment, read_file

__all__ = ["Settings"]

DEFAULT_FILE: Final = pathlib.Path("tradeutils.toml")
MAX_SECRET_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    All settings; each part may be left out. Built by keyword, or with :meth:`load`.

    Parameters
    ----------
    cache : CacheSettings
        Where the cache is.
    history : HistorySettings
        Where candles are kept.
    exchanges : mapping of str to ExchangeSettings
        What is particular to an exchange, by its ccxt name; copied, read-only, not part of the hash.
    accounts : mapping of str to Account
        Accounts by name; copied, read-only, not part of the hash.
    log : LogSettings
        What ``logs.setup`` is asked for.

    Raises
    ------
    SettingsError : a part is of the wrong kind, or an account stands under a name that is not its own.
    """

    cache: CacheSettings = field(default_factory=CacheSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    exchanges: Mapping[str, ExchangeSettings] = field(default_factory=dict, hash=False)
    accounts: Mapping[str, Account] = field(default_factory=dict, hash=False)
    log: LogSettings = field(default_factory=LogSettings)

    def __post_init__(self) -> None:
        _expect("cache", self.cache, CacheSettings)
        _expect("history", self.history, HistorySettings)
        _expect("log", self.log, LogSettings)
        _expect("exchanges", self.exchanges, Mapping)
        _expect("accounts", self.accounts, Mapping)
        for name, exchange in self.exchanges.items():
            _expect(checks.name("exchange name", name), exchange, ExchangeSettings)
        for name, account in self.accounts.items():
            _expect(f"accounts[{name!r}]", account, Account)
            if account.name != name:
                raise SettingsError(f"account {account.name!r} stands under {name!r}; write it under its own name")
        object.__setattr__(self, "exchanges", checks.ReadOnlyDict(self.exchanges))
        object.__setattr__(self, "accounts", checks.ReadOnlyDict(self.accounts))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        vault: Vault | None = None,
    ) -> Settings:
        """
        Read the settings: defaults, overridden by the TOML file, overridden by the environment.

        A variable that gives a credential replaces whatever form of it the file has (``key``, ``key_env``,
        ``key_file``). Relative paths in the file start at the file's folder, others at the working directory. A file
        that holds secrets and can be read by every user of the machine is warned about (logger
        ``tradeutils.settings``). Reads the disk; sends nothing.

        Parameters
        ----------
        path : path, optional
            The TOML file. Default: what ``TRADEUTILS_CONFIG`` names, else ``tradeutils.toml`` in the working directory
            where there is one, else none.
        environ : mapping, optional
            Variables in place of ``os.environ``.
        vault : callable, optional
            Given the name of an account that has no credentials here, it returns its `Credentials`. It is not called
            before an exchange is opened with the account.

        Raises
        ------
        SettingsError : no such file, not TOML, a section, key or variable that does not exist (the nearest are named),
            a value of the wrong kind, two forms of one setting, an account without exchange or credentials, a secret
            that is empty or whose variable or file is not there. No message or traceback holds a secret.
        """
        variables = Variables(os.environ if environ is None else environ)
        del environ  # a traceback that shows locals must not show it
        file = _locate(path, variables)
        tree = {} if file is None else read_file(file)
        _override(tree, read_environment(variables, tree))
        source = "the environment" if file is None else str(file)
        accounts = {
            name: _account(name, given, variables, source, vault) for name, given in tree.get("accounts", {}).items()
        }
        exchanges = {
            name: ExchangeSettings(**_read("exchanges", given)) for name, given in tree.get("exchanges", {}).items()
        }
        return cls(
            cache=CacheSettings(**_read("cache", tree.get("cache", {}).get("", {}))),
            history=HistorySettings(**_read("history", tree.get("history", {}).get("", {}))),
            log=LogSettings(**_read("log", tree.get("log", {}).get("", {}))),
            exchanges=exchanges,
            accounts=accounts,
        )

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret: ``logs.setup(secrets=settings.secrets())`` keeps them out of the logs."""
        found = [secret for account in self.accounts.values() for secret in account.secrets()]
        return (*found, self.cache.url) if self.cache.url.holds_secret else tuple(found)


def _expect(what: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise SettingsError(f"{what} was {type(value).__name__}; give {kind.__name__}")


def _locate(path: str | os.PathLike[str] | None, variables: Variables) -> pathlib.Path | None:
    """Return the file to read, if any."""
    if path is not None:
        return checks.folder("path", path)
    if "TRADEUTILS_CONFIG" in variables:
        return checks.folder("TRADEUTILS_CONFIG", variables["TRADEUTILS_CONFIG"].take())
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _override(tree: Tree, other: Tree) -> None:
    """Put what ``other`` gives over what is in ``tree``."""
    for section, names in other.items():
        for name, given in names.items():
            entry = tree.setdefault(section, {}).setdefault(name, {})
            for credential in CREDENTIALS if section == "accounts" else ():
                if any(form in given for form in _forms(credential)):
                    for form in _forms(credential):
                        entry.pop(form, None)
            entry.update(given)


def _forms(credential: str) -> tuple[str, str, str]:
    return credential, f"{credential}_env", f"{credential}_file"


def _account(name: str, given: Mapping[str, Given], variables: Variables, source: str, vault: Vault | None) -> Account:
    where = f"{source}: accounts.{name}"
    checks.name(f"{where}: the name", name)
    if "exchange" not in given:
        raise SettingsError(f'{where} has no exchange; write exchange = "binance", or another')
    secrets: dict[str, Secret] = {}
    for credential in CREDENTIALS:
        forms = [form for form in _forms(credential) if form in given]
        if len(forms) > 1:
            places = " and ".join(given[form].where for form in forms)
            raise SettingsError(f"{places} give the same credential; keep one")
        if forms:
            secrets[credential] = _secret(given[forms[0]], forms[0].removeprefix(credential), variables)
    plain = _read("accounts", {key: value for key, value in given.items() if key in _READERS["accounts"]})
    try:
        if not secrets and vault is not None:
            return Account(name=name, vault=vault, **plain)
        return Account(name=name, credentials=Credentials(**secrets), **plain)
    except SettingsError as error:
        problem = str(error)
    raise SettingsError(f"{where}: {problem}")


def _secret(given: Given, form: str, variables: Variables) -> Secret:
    """
    Return the secret that a key holds or names.

    What ``key_env`` and ``key_file`` say is never shown: a secret pasted there by mistake would be.
    """
    if not form:
        return checks.or_raise(checks.sealed(given.where, given.take(), Secret))
    if not isinstance(given.take(), str) or not given.take():
        raise SettingsError(f"{given.where} was not a {'name' if form == '_env' else 'path'}; write it as a string")
    if form == "_file":
        return checks.or_raise(_secret_in_file(given))
    if str(given.take()) not in variables:
        raise SettingsError(f"{given.where} names a variable that is not set; set it, or name another")
    variable = variables[str(given.take())]
    return checks.or_raise(checks.sealed(variable.where, variable.take(), Secret))


def _secret_in_file(given: Given) -> Secret | str:
    """Return the content of the file that a key names, or what is wrong with it; never raises."""
    try:
        path = pathlib.Path(str(given.take())).expanduser()
        with ((given.folder or pathlib.Path()) / path).open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        if len(content) > MAX_SECRET_BYTES:
            return f"{given.where} names a file larger than {MAX_SECRET_BYTES // 1024} KiB; a secret is shorter"
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        return f"{given.where} names a file that cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"{given.where} names a file that is not UTF-8 text"
    except (ValueError, RuntimeError):
        return f"{given.where} is no path"
    return checks.sealed(given.where, text, Secret)


def _read(section: str, given: Mapping[str, Given]) -> dict[str, Any]:
    """Return the keywords of a section."""
    return {key: _READERS[section][key](value) for key, value in given.items()}


def _url(given: Given) -> SecretUrl:
    return checks.or_raise(checks.sealed(given.where, given.take(), SecretUrl))


def _web_url(given: Given) -> str:
    return checks.web_url(given.where, given.take())


def _name(given: Given) -> str:
    return checks.name(given.where, given.take())


def _level(given: Given) -> str:
    return checks.level(given.where, given.take())


def _number(given: Given) -> float:
    return checks.positive(given.where, _typed(given, float))


def _flag(given: Given) -> bool:
    return checks.flag(given.where, _typed(given, _as_flag))


def _options(given: Given) -> Mapping[str, Any]:
    return checks.options(given.where, _typed(given, json.loads))


def _windows(given: Given) -> tuple[WindowSettings, ...]:
    return as_windows(given.where, _typed(given, json.loads))


def _folder(given: Given) -> pathlib.Path:
    path = checks.folder(given.where, given.take())
    return path if given.folder is None else given.folder / path


_WORDS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def _as_flag(text: str) -> bool | str:
    return _WORDS.get(text.strip().lower(), text)


def _typed(given: Given, convert: Callable[[str], object]) -> object:
    """Return a variable's text as what it stands for; what cannot be read stays text, and the check refuses it."""
    value = given.take()
    if given.folder is not None or not isinstance(value, str):
        return value
    try:
        return convert(value)
    except (ValueError, RecursionError):
        return value


_READERS: Final[Mapping[str, Mapping[str, Callable[[Given], object]]]] = {
    "cache": {"url": _url, "namespace": _name, "timeout": _number},
    "history": {"path": _folder},
    "log": {"level": _level, "json": _flag},
    "exchanges": {
        "url": _web_url,
        "rate_limit_ms": _number,
        "timeout": _number,
        "options": _options,
        "windows": _windows,
        "tier": _name,
        "egress": _name,
    },
    "accounts": {"exchange": _name, "sandbox": _flag, "options": _options},
}
