"""Credentials that a function fetches from a vault: when it is asked, and what becomes of what it answers."""

from __future__ import annotations

import pathlib
import traceback
from typing import Any

import pytest

from tradeutils.errors import SettingsError
from tradeutils.settings import Account, Credentials, Settings

PLANTED = "pLaNtEd" + "0123456789"
FILE = '[accounts.alice]\nexchange = "binance"\n\n[accounts.bob]\nexchange = "okx"\nkey = "bobs"\nsecret = "word"\n'


def keys_of(name: str) -> Credentials:
    return Credentials(key=f"{name}-{PLANTED}", secret=PLANTED)


def revealed(account: Account) -> str:
    assert account.credentials.key is not None
    return account.credentials.key.reveal()


def loaded(tmp_path: pathlib.Path, **options: Any) -> Settings:
    path = tmp_path / "tradeutils.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    return Settings.load(path, environ={}, **options)


def test_vault_serves_the_accounts_that_have_no_credentials_in_the_file(tmp_path: pathlib.Path) -> None:
    """It is given the account's name, each time the account is opened, and never before."""
    asked: list[str] = []

    def vault(name: str) -> Credentials:
        asked.append(name)
        return keys_of(name)

    settings = loaded(tmp_path, vault=vault)
    alice, bob = settings.accounts["alice"], settings.accounts["bob"]
    assert asked == []
    assert revealed(alice.unlocked()) == f"alice-{PLANTED}"
    assert revealed(bob.unlocked()) == "bobs"
    assert bob.unlocked() is bob
    assert alice.unlocked().name == "alice"
    assert asked == ["alice"] * 2


def test_account_in_a_vault_has_no_secret_to_tell(tmp_path: pathlib.Path) -> None:
    """Nothing of it is known, so nothing can be protected or printed."""
    settings = loaded(tmp_path, vault=keys_of)
    assert settings.accounts["alice"].secrets() == ()
    assert len(settings.secrets()) == 2
    assert PLANTED not in repr(settings)


def test_account_without_credentials_needs_a_vault(tmp_path: pathlib.Path) -> None:
    """As before."""
    with pytest.raises(SettingsError, match=r"accounts\.alice: credentials were empty"):
        loaded(tmp_path)


def test_vault_that_fails_is_told_with_the_account() -> None:
    """What it raised stands in the chain alone."""

    def vault(name: str) -> Credentials:
        raise ConnectionError(f"no vault for {name}")

    account = Account(name="alice", exchange="binance", vault=vault)
    with pytest.raises(
        SettingsError, match="credentials of account 'alice' could not be fetched: ConnectionError"
    ) as told:
        account.unlocked()
    assert isinstance(told.value.__cause__, ConnectionError)


@pytest.mark.parametrize(
    "given", [PLANTED, None, {"key": PLANTED}, (PLANTED, PLANTED)], ids=["text", "none", "dict", "two"]
)
def test_vault_that_returns_anything_else_is_refused_without_showing_it(given: Any) -> None:
    """It may be the secret itself."""
    account = Account(name="alice", exchange="binance", vault=lambda _: given)
    with pytest.raises(SettingsError, match="the vault of account 'alice' returned no Credentials") as told:
        account.unlocked()
    shown = traceback.TracebackException.from_exception(told.value, capture_locals=True)
    own = [frame for frame in shown.stack if frame.name == "unlocked"]
    assert own
    assert all(PLANTED not in "".join((frame.locals or {}).values()) for frame in own)


async def test_vault_must_answer_at_once() -> None:
    """A coroutine function is refused where the account is made, what turns out to be one where it is asked."""

    async def vault(name: str) -> Credentials:
        return keys_of(name)

    with pytest.raises(SettingsError, match="was not a function"):
        Account(name="alice", exchange="binance", vault=vault)  # type: ignore[arg-type]
    hidden: Any = lambda name: vault(name)  # noqa: E731
    with pytest.raises(SettingsError, match="returned no Credentials"):
        Account(name="alice", exchange="binance", vault=hidden).unlocked()


def test_credentials_that_are_neither_are_refused() -> None:
    """So are none at all, and two kinds of them."""
    with pytest.raises(SettingsError, match=r"were not Credentials\(key"):
        Account(name="alice", exchange="binance", credentials=PLANTED)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"had neither credentials nor a vault; give credentials="):
        Account(name="alice", exchange="binance")
    with pytest.raises(SettingsError, match=r"had credentials and a vault"):
        Account(name="alice", exchange="binance", credentials=keys_of("alice"), vault=keys_of)
    with pytest.raises(SettingsError, match=r"was not a function"):
        Account(name="alice", exchange="binance", vault=PLANTED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "inside", ["\r\nX-Other: 1", "\n", "\0", "\x1b[31m", "\x7f"], ids=["header", "lf", "nul", "escape", "del"]
)
@pytest.mark.parametrize("name", ["key", "secret", "password", "token"])
def test_control_characters_in_a_credential_are_refused(name: str, inside: str) -> None:
    """A line end in a key would begin another header of the request."""
    with pytest.raises(SettingsError, match=f"credentials: {name} holds a control character") as told:
        Credentials(**{name: f"{PLANTED}{inside}rest"})  # type: ignore[arg-type]
    assert PLANTED not in str(told.value)


@pytest.mark.parametrize(("name", "end"), [("private_key", "\n"), ("secret", "")])
def test_pem_text_keeps_its_line_ends(name: str, end: str) -> None:
    """Private keys have them, and so have the secrets of coinbase."""
    text = f"-----BEGIN KEY-----\nabc\n-----END KEY-----{end}"
    kept = getattr(Credentials(**{name: text}), name)  # type: ignore[arg-type]
    assert kept.reveal() == text
