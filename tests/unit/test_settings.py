"""Settings: what is read from where, what is refused, and that no secret shows on the way."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import os
import pathlib
import pickle
import pprint
import sys
import traceback

import orjson
import pytest

from tradeutils.errors import SettingsError
from tradeutils.settings import (
    Account,
    CacheSettings,
    Credentials,
    ExchangeSettings,
    HistorySettings,
    LogSettings,
    Secret,
    SecretUrl,
    Settings,
    redact_url,
)

PLANTED = "pLaNtEd" + "0123456789"

WHOLE = """
[cache]
url = "redis://bot:hunter2hunter2@localhost:6379/0"
namespace = "bot"
timeout = 1

[history]
path = "candles"

[exchanges.binance]
url = "http://127.0.0.1:8080/"
rate_limit_ms = 500
timeout = 2.5
options = { fetchMarkets = { types = ["spot"] } }

[accounts.alice]
exchange = "binance"
key = "alice-key"
secret = "alice-secret"
sandbox = true
options = { defaultType = "spot" }

[accounts."bob-2"]
exchange = "okx"
key_env = "BOB_KEY"
secret_file = "bob.secret"
password = "bob-password"

[log]
level = "debug"
json = true
"""


def locals_of(error: BaseException) -> str:
    """Return the traceback with locals, from the library's first frame on (the test's own frames hold the secret)."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_filename == __file__:
        step = step.tb_next
    return "".join(traceback.TracebackException(type(error), error, step, capture_locals=True).format())


def refused(text: str | bytes, folder: pathlib.Path, **environ: str) -> str:
    """Return the message with which a file is refused, after looking for the planted secret around it."""
    file = folder / "tradeutils.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        Settings.load(file, environ=environ)
    assert PLANTED not in str(caught.value)
    assert PLANTED not in locals_of(caught.value)
    return str(caught.value)


def loaded(text: str, folder: pathlib.Path, **environ: str) -> Settings:
    """Return the settings of a file."""
    file = folder / "tradeutils.toml"
    file.write_text(text)
    file.chmod(0o600)
    return Settings.load(file, environ=environ)


class TestSecret:
    def test_secret_prints_its_mask_in_every_text_form(self) -> None:
        """Repr, str, format, percent and containers show the mask alone."""
        secret = Secret(PLANTED)
        shown = [
            repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret:>10}",
            "%s" % secret, "%r" % secret,  # noqa: UP031 - one of the ways
            ascii(secret), pprint.pformat({"key": [secret]}), str((secret,)),
        ]  # fmt: skip
        assert shown[:7] == ["***", "***", "***", "***", "       ***", "***", "***"]
        assert not any(PLANTED in text for text in shown)

    def test_secret_reveals_on_request_alone(self) -> None:
        """Only ``reveal`` gives the value; nothing that works on strings does."""
        secret = Secret(PLANTED)
        assert secret.reveal() == PLANTED
        for attempt in (
            lambda: len(secret),  # type: ignore[arg-type]
            lambda: list(secret),  # type: ignore[call-overload]
            lambda: secret + "",  # type: ignore[operator]
            lambda: "".join([secret]),  # type: ignore[list-item]
            lambda: secret[0],  # type: ignore[index]
            lambda: vars(secret),
        ):
            with pytest.raises(TypeError):
                attempt()

    def test_attributes_do_not_hold_the_value(self) -> None:
        """Whoever dumps slots, states or sizes finds no value and no length."""
        secret, longer = Secret(PLANTED), Secret(PLANTED * 100)
        dumped = [repr(getattr(secret, name, None)) for name in dir(secret)]
        assert not any(PLANTED in text for text in dumped)
        assert sys.getsizeof(secret) == sys.getsizeof(longer)

    def test_json_encoders_refuse_a_secret(self) -> None:
        """Neither json nor orjson writes it; with ``default=str`` both write the mask."""
        account = {"key": Secret(PLANTED)}
        with pytest.raises(TypeError):
            json.dumps(account)
        with pytest.raises(TypeError):
            orjson.dumps(account)
        assert json.dumps(account, default=str) == '{"key": "***"}'
        assert orjson.dumps(account, default=str) == b'{"key":"***"}'

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickle_is_refused(self, protocol: int) -> None:
        """A pickle would be plain text on a pipe or on disk."""
        with pytest.raises(TypeError, match="cannot pickle a secret"):
            pickle.dumps(Secret(PLANTED), protocol)
        with pytest.raises(TypeError, match="cannot pickle a secret"):
            pickle.dumps(Credentials(key=PLANTED), protocol)

    def test_copies_are_the_secret_itself(self) -> None:
        """Copying makes no second closure around the value."""
        secret = Secret(PLANTED)
        assert copy.copy(secret) is secret
        assert copy.deepcopy([secret])[0] is secret
        assert Secret(secret) == secret

    def test_secrets_compare_by_value_and_with_secrets_only(self) -> None:
        """Equal values are equal and hash alike; a plain string is never equal."""
        assert Secret("abc") == Secret("abc")
        assert Secret("abc") != Secret("abd")
        assert hash(Secret("abc")) == hash(Secret("abc"))
        assert len({Secret("abc"), Secret("abc"), Secret("\ud800")}) == 2
        assert Secret("abc") != "abc"
        assert Secret("redis://h") == SecretUrl("redis://h")

    def test_secret_cannot_be_changed(self) -> None:
        """Neither its value nor new attributes can be set."""
        secret = Secret(PLANTED)
        with pytest.raises(AttributeError):
            secret.note = "x"  # type: ignore[misc]
        with pytest.raises(AttributeError):
            secret._Secret__read = None  # type: ignore[misc]
        with pytest.raises(AttributeError):
            del secret._Secret__read  # type: ignore[attr-defined]
        assert secret.reveal() == PLANTED

    @pytest.mark.parametrize("value", [PLANTED.encode(), "", None, [PLANTED]], ids=["bytes", "empty", "none", "list"])
    @pytest.mark.parametrize("kind", [Secret, SecretUrl])
    def test_what_is_no_secret_is_refused_without_showing_it(self, kind: type[Secret], value: object) -> None:
        """The message names the type, and the traceback's locals do not hold the value."""
        with pytest.raises(SettingsError) as caught:
            kind(value)  # type: ignore[arg-type]
        assert PLANTED not in str(caught.value)
        assert PLANTED not in locals_of(caught.value)

    def test_logging_a_secret_writes_the_mask(self, caplog: pytest.LogCaptureFixture) -> None:
        """A secret among a log call's arguments prints as elsewhere, on any logger."""
        logging.getLogger("somebody").warning("key %s %r", Secret(PLANTED), Secret(PLANTED))
        assert caplog.messages == ["key *** ***"]


class TestRedactUrl:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("redis://user:pw@host", "redis://user:***@host"),
            ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
            ("redis://host:6379/0", "redis://host:6379/0"),
            ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
            ("rediss://bot:p@ss/w#rd?@host:1/0", "rediss://bot:***@host:1/0"),
            ("redis://token@host", "redis://***@host"),
            ("redis://host?password=pw&db=1", "redis://host?password=***&db=1"),
            ("unix://user:pw@/run/redis.sock", "unix://user:***@/run/redis.sock"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
            ("memory://", "memory://"),
            ("https://user:pw@host/path", "https://user:***@host/path"),
            ("https://user:p/w@host/path", "https://user:***@host/path"),
            ("wss://stream.binance.com:9443/ws/btcusdt@ticker", "wss://stream.binance.com:9443/ws/btcusdt@ticker"),
            ("https://host/x?apiKey=a&signature=b#token=c", "https://host/x?apiKey=***&signature=***#token=***"),
            ("user:pw@host", "user:***@host"),
            ("", ""),
        ],
    )
    def test_url_shows_no_password(self, url: str, shown: str) -> None:
        """Login and secret parameters are masked; host, port and path stay."""
        assert redact_url(url) == shown
        assert redact_url(shown) == shown

    def test_secret_url_prints_redacted_and_reveals_whole(self) -> None:
        """A ``SecretUrl`` is readable in a log and complete where it is used."""
        url = SecretUrl("redis://bot:hunter2@localhost/0")
        assert str(url) == f"{url}" == repr(url) == "redis://bot:***@localhost/0"
        assert url.reveal() == "redis://bot:hunter2@localhost/0"
        assert url.holds_secret
        assert not SecretUrl("redis://localhost/0").holds_secret

    @pytest.mark.parametrize("url", ["localhost:6379", "//host", "redis:host", "redis://ho st", "redis://h\n", "1://h"])
    def test_what_is_no_url_is_refused(self, url: str) -> None:
        """A URL has a scheme and no spaces or line ends."""
        with pytest.raises(SettingsError, match="a URL h"):
            SecretUrl(url)


class TestCredentials:
    def test_every_part_is_a_secret(self) -> None:
        """Strings are wrapped, secrets are kept, and the repr names what is given."""
        given = Credentials(key=PLANTED, secret=Secret(PLANTED), uid="1", wallet_address="0x", private_key="PEM\n")
        assert repr(given) == "Credentials(key=***, secret=***, uid=***, wallet_address=***, private_key=***)"
        assert given.key == given.secret == Secret(PLANTED)
        assert given.password is None
        assert len(given.secrets()) == 5

    def test_asdict_and_replace_keep_the_secrets_closed(self) -> None:
        """``dataclasses`` sees fields whose values print as masks."""
        given = Credentials(key=PLANTED, secret=PLANTED)
        assert PLANTED not in str(dataclasses.asdict(given))
        assert dataclasses.replace(given, password="x").key == given.key
        assert copy.deepcopy(given) == copy.copy(given) == given
        with pytest.raises(dataclasses.FrozenInstanceError):
            given.key = None  # type: ignore[misc]

    @pytest.mark.parametrize("wrong", ["", " key", "key\n", 5, b"key"])
    def test_bad_part_is_refused_without_showing_any(self, wrong: object) -> None:
        """The message names the part; locals show neither it nor its neighbours."""
        with pytest.raises(SettingsError, match="credentials: key") as caught:
            Credentials(key=wrong, secret=PLANTED)  # type: ignore[arg-type]
        assert PLANTED not in locals_of(caught.value)

    def test_empty_credentials_are_refused(self) -> None:
        """Credentials without any part sign nothing."""
        with pytest.raises(SettingsError, match="give key= and secret="):
            Credentials()


class TestAccount:
    def test_account_is_frozen_hashable_and_copies_its_options(self) -> None:
        """Later changes of what was passed in do not reach it."""
        options = {"fetchMarkets": {"types": ["spot"]}}
        account = Account(name="alice", exchange="binance", credentials=Credentials(key="k"), options=options)
        options["fetchMarkets"]["types"].append("swap")
        assert account.options == {"fetchMarkets": {"types": ["spot"]}}
        assert hash(account) == hash(copy.deepcopy(account))
        assert len(account.secrets()) == 1
        with pytest.raises(TypeError, match="cannot be changed"):
            account.options["x"] = 1  # type: ignore[index]
        with pytest.raises(dataclasses.FrozenInstanceError):
            account.name = "bob"  # type: ignore[misc]

    def test_repr_shows_no_secret_and_no_options(self) -> None:
        """Options go to ccxt and may hold anything."""
        account = Account(name="a", exchange="okx", credentials=Credentials(key=PLANTED), options={"password": PLANTED})
        assert repr(account) == "Account(name='a', exchange='okx', credentials=Credentials(key=***), sandbox=False)"

    @pytest.mark.parametrize("name", ["", " alice", "alice\n", "a\x00b", "a\u202eb", "a\ud800", None, 5])
    def test_bad_name_is_refused(self, name: object) -> None:
        """Names are visible characters without white space around them."""
        with pytest.raises(SettingsError, match="account name was"):
            Account(name=name, exchange="binance", credentials=Credentials(key="k"))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "wrong", [{"exchange": ""}, {"credentials": {"key": PLANTED}}, {"sandbox": 1}, {"options": [1]}]
    )
    def test_wrong_part_is_refused_by_name(self, wrong: dict[str, object]) -> None:
        """The message names the part and the account."""
        given = {"name": "alice", "exchange": "binance", "credentials": Credentials(key="k")} | wrong
        with pytest.raises(SettingsError, match=f"{next(iter(wrong))} of account 'alice'") as caught:
            Account(**given)  # type: ignore[arg-type]
        assert PLANTED not in str(caught.value)


class TestSections:
    def test_settings_are_built_by_keyword_without_a_file(self) -> None:
        """Every part has a default, and a mapping given stays read-only."""
        alice = Account(name="alice", exchange="binance", credentials=Credentials(key="k", secret="s"))
        settings = Settings(
            cache=CacheSettings(url="redis://:pw@localhost"),
            exchanges={"binance": ExchangeSettings(rate_limit_ms=500)},
            accounts={"alice": alice},
        )
        assert settings.accounts["alice"] is alice
        assert settings.history == HistorySettings(path=pathlib.Path("candles"))
        assert settings.log == LogSettings(level="INFO", json=False)
        assert Settings().cache.url.reveal() == "memory://"
        assert [secret.reveal() for secret in settings.secrets()] == ["k", "s", "redis://:pw@localhost"]
        for change in (
            lambda: settings.accounts.update({}),  # type: ignore[attr-defined]
            lambda: settings.accounts.pop("alice"),  # type: ignore[attr-defined]
            lambda: settings.accounts.clear(),  # type: ignore[attr-defined]
            lambda: settings.accounts.setdefault("b", alice),  # type: ignore[attr-defined]
        ):
            with pytest.raises(TypeError, match="cannot be changed"):
                change()

    def test_settings_copy_hash_and_turn_into_a_dict_of_masks(self) -> None:
        """Copies are equal, and ``asdict`` leads to JSON without a secret."""
        alice = Account(name="alice", exchange="binance", credentials=Credentials(key=PLANTED))
        settings = Settings(cache=CacheSettings(url=f"redis://:{PLANTED}@h"), accounts={"alice": alice})
        assert copy.deepcopy(settings) == copy.copy(settings) == settings
        assert hash(copy.deepcopy(settings)) == hash(settings)
        assert copy.copy(settings.accounts) is settings.accounts
        text = json.dumps(dataclasses.asdict(settings), default=str)
        assert PLANTED not in text + repr(settings) + pprint.pformat(settings)
        assert json.loads(text)["cache"]["url"] == "redis://:***@h"
        assert dataclasses.replace(settings, log=LogSettings(json=True)).accounts == settings.accounts

    def test_parts_without_secrets_pickle(self) -> None:
        """An exchange's settings may be sent to another process."""
        exchange = ExchangeSettings(options={"a": {"b": [1]}})
        assert pickle.loads(pickle.dumps(exchange)) == exchange  # noqa: S301 - our own bytes

    @pytest.mark.parametrize(
        "build",
        [
            lambda: CacheSettings(url=PLANTED),
            lambda: CacheSettings(url=PLANTED.encode()),  # type: ignore[arg-type]
            lambda: CacheSettings(url=f"redis://:{PLANTED}@h", timeout=0),
            lambda: CacheSettings(url=f"redis://:{PLANTED}@h", namespace=""),
            lambda: CacheSettings(timeout=float("nan")),
            lambda: CacheSettings(timeout=float("inf")),
            lambda: CacheSettings(timeout=True),
            lambda: CacheSettings(timeout=10**400),
            lambda: CacheSettings(timeout="1"),  # type: ignore[arg-type]
            lambda: ExchangeSettings(url="http://user:pw@host"),
            lambda: ExchangeSettings(url="http://host/path"),
            lambda: ExchangeSettings(url="http://host\n"),
            lambda: ExchangeSettings(url="host:80"),
            lambda: ExchangeSettings(rate_limit_ms=0),
            lambda: ExchangeSettings(options={1: 2}),  # type: ignore[dict-item]
            lambda: HistorySettings(path=""),  # type: ignore[arg-type]
            lambda: HistorySettings(path="a\0b"),  # type: ignore[arg-type]
            lambda: HistorySettings(path="~nobody-of-that-name/x"),  # type: ignore[arg-type]
            lambda: HistorySettings(path=5),  # type: ignore[arg-type]
            lambda: LogSettings(level="verbose"),
            lambda: LogSettings(level=10),  # type: ignore[arg-type]
            lambda: LogSettings(json="yes"),  # type: ignore[arg-type]
            lambda: Settings(cache="redis://h"),  # type: ignore[arg-type]
            lambda: Settings(accounts=[1]),  # type: ignore[arg-type]
            lambda: Settings(exchanges={"binance": {}}),  # type: ignore[dict-item]
            lambda: Settings(
                accounts={"bob": Account(name="al", exchange="okx", credentials=Credentials(key=PLANTED))}
            ),
        ],
    )
    def test_wrong_value_is_refused_by_keyword_too(self, build: object) -> None:
        """Keywords are checked as files are, and no secret shows."""
        with pytest.raises(SettingsError) as caught:
            build()  # type: ignore[operator]
        assert PLANTED not in str(caught.value)
        assert PLANTED not in locals_of(caught.value)

    def test_options_that_nest_without_end_are_refused(self) -> None:
        """A table that holds itself is an error, not a crash."""
        endless: dict[str, object] = {}
        endless["again"] = endless
        with pytest.raises(SettingsError, match="nests too deeply"):
            ExchangeSettings(options=endless)


class TestFile:
    def test_whole_file_is_read(self, tmp_path: pathlib.Path) -> None:
        """Every key of the documented example arrives with its type."""
        (tmp_path / "bob.secret").write_text("bob-secret\r\n")
        settings = loaded(WHOLE, tmp_path, BOB_KEY="bob-key")
        assert settings.cache == CacheSettings(
            url="redis://bot:hunter2hunter2@localhost:6379/0", namespace="bot", timeout=1.0
        )
        assert settings.history.path == tmp_path / "candles"
        assert settings.exchanges == {
            "binance": ExchangeSettings(
                url="http://127.0.0.1:8080",
                rate_limit_ms=500,
                timeout=2.5,
                options={"fetchMarkets": {"types": ["spot"]}},
            )
        }
        alice, bob = settings.accounts["alice"], settings.accounts["bob-2"]
        assert alice.credentials == Credentials(key="alice-key", secret="alice-secret")
        assert alice.sandbox
        assert alice.options == {"defaultType": "spot"}
        assert bob.credentials == Credentials(key="bob-key", secret="bob-secret", password="bob-password")
        assert settings.log == LogSettings(level="DEBUG", json=True)
        for secret in ("hunter2", "alice-key", "alice-secret", "bob-key", "bob-secret", "bob-password"):
            assert secret not in repr(settings)

    def test_empty_file_gives_the_defaults(self, tmp_path: pathlib.Path) -> None:
        """Every section and key may be left out."""
        assert loaded("", tmp_path) == Settings()
        assert loaded("\ufeff[cache]\n", tmp_path) == Settings()

    def test_file_is_found_by_variable_then_in_the_working_directory(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An argument wins over ``TRADEUTILS_CONFIG``, and that over ``./tradeutils.toml``."""
        for name in ("one.toml", "two.toml", "tradeutils.toml"):
            (tmp_path / name).write_text(f'[cache]\nnamespace = "{name[:3]}"\n')
        monkeypatch.chdir(tmp_path)
        environ = {"TRADEUTILS_CONFIG": str(tmp_path / "two.toml")}
        assert Settings.load("one.toml", environ=environ).cache.namespace == "one"
        assert Settings.load(environ=environ).cache.namespace == "two"
        assert Settings.load(environ={}).cache.namespace == "tra"
        (tmp_path / "tradeutils.toml").unlink()
        assert Settings.load(environ={}) == Settings()

    def test_environment_of_the_process_is_the_default(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without ``environ`` the variables are ``os.environ``'s."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TRADEUTILS_CACHE__NAMESPACE", "env")
        monkeypatch.delenv("TRADEUTILS_CONFIG", raising=False)
        assert Settings.load().cache.namespace == "env"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[cach]", "no section 'cach'; did you mean cache?"),
            ("[zzz]", "no section 'zzz'; it has cache, history, log, exchanges, accounts"),
            ('[cache]\nulr = "x"', "cache has no key 'ulr'; did you mean url?"),
            ("[exchanges.binance]\nratelimit = 1", "exchanges.binance has no key 'ratelimit'; did you mean rate_limit"),
            ("cache = 5", "cache was int; write a table, such as [cache]"),
            ("accounts = []", "accounts was list; write a table, such as [accounts.alice]"),
            ('[accounts]\nkey = "' + PLANTED + '"', "accounts.key was str; write a table, such as [accounts.alice]"),
            ('[accounts.a]\nsecrt = "' + PLANTED + '"', "accounts.a has no key 'secrt'; did you mean secret"),
            ('[accounts.a]\nkey = "' + PLANTED + '"', 'accounts.a has no exchange; write exchange = "binance"'),
            ("[accounts.a]", "accounts.a has no exchange"),
            ('[accounts.a]\nexchange = "okx"', "accounts.a: credentials were empty"),
            ('[accounts.a]\nexchange = "okx"\nkey = ""', "accounts.a.key: a secret was empty"),
            ('[accounts.a]\nexchange = "okx"\nkey = 5', "accounts.a.key: a secret was int"),
            ('[accounts.a]\nexchange = "okx"\nkey = ["' + PLANTED + '"]', "accounts.a.key: a secret was list"),
            ('[accounts.a]\nexchange = "okx"\nkey = " ' + PLANTED + '"', "a: credentials: key begins or ends with"),
            ('[accounts.a]\nexchange = 5\nkey = "' + PLANTED + '"', "accounts.a.exchange was 5; write a name"),
            ('[accounts.a]\nexchange = "okx"\nkey = "k"\nsandbox = "yes"', "accounts.a.sandbox was 'yes'; write true"),
            ('[accounts.a]\nexchange = "okx"\nkey = "k"\noptions = 1', "accounts.a.options was int; write a table"),
            ('[accounts." a"]\nexchange = "okx"\nkey = "k"', "without the spaces around it"),
            ("[cache]\ntimeout = -1", "cache.timeout was -1.0; write a finite number above 0"),
            ('[cache]\ntimeout = "0.5"', "cache.timeout was '0.5'; write a number above 0"),
            ("[cache]\ntimeout = nan", "cache.timeout was nan; write a finite number"),
            ("[cache]\ntimeout = true", "cache.timeout was True; write a number"),
            ('[cache]\nurl = "' + PLANTED + '"', "cache.url: a URL had no scheme"),
            ('[cache]\nurl = "redis://:' + PLANTED + ' @h"', "cache.url: a URL held a space"),
            ('[exchanges.x]\nurl = "http://u:' + PLANTED + '@h"', "exchanges.x.url was not a scheme and a host"),
            ('[log]\nlevel = "inf"', "log.level was 'inf'; did you mean INFO?"),
            ('[log]\nlevel = "zzzz"', "log.level was 'zzzz'; write one of DEBUG, INFO"),
            ("[log]\njson = 1", "log.json was 1; write true or false"),
            ("[history]\npath = 7", "history.path was 7; write a path"),
            ("[history]\npath = ''", "history.path was ''; write a path"),
        ],
    )
    def test_mistake_is_named_with_file_key_and_remedy(self, text: str, said: str, tmp_path: pathlib.Path) -> None:
        """The message begins with the file, names the key and says what to write."""
        message = refused(text, tmp_path)
        assert said in message
        assert message.startswith(str(tmp_path / "tradeutils.toml"))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[cache]\nurl = " + PLANTED, ", line 2, column 7: not valid TOML"),
            ('[accounts.a]\n\nkey = "' + PLANTED, "not valid TOML"),
            ("[accounts.a]\nkey = '" + PLANTED + "\n'", ", line 2"),
            ('key = "\\q' + PLANTED + '"', ", line 1"),
            ('[a]\nx = 1\n[a]\ny = "' + PLANTED + '"', ", line 3"),
            ('key = "' + PLANTED + '"\nkey = "' + PLANTED + '"', "not valid TOML"),
            (b'key = "' + PLANTED.encode() + b'\xff"', "not UTF-8 text (byte 24)"),
            ("x = " + "[" * 5000 + "]" * 5000, "nests too deeply"),
            (f'k = "{PLANTED}"\nx = ' + "9" * 5000, "too many digits"),
        ],
    )
    def test_broken_toml_is_named_by_line_and_never_quoted(
        self, text: str | bytes, said: str, tmp_path: pathlib.Path
    ) -> None:
        """The parser's own error quotes what it stumbled on; ours does not, nor keeps it as a cause."""
        assert said in refused(text, tmp_path)

    def test_error_keeps_no_cause_that_holds_content(self, tmp_path: pathlib.Path) -> None:
        """Newer parsers keep the whole document on their error; it is not chained."""
        file = tmp_path / "x.toml"
        file.write_text(f"key = {PLANTED}")
        with pytest.raises(SettingsError) as caught:
            Settings.load(file, environ={})
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_missing_file_names_its_neighbours(self, tmp_path: pathlib.Path) -> None:
        """A misspelt path is answered with the nearest file beside it."""
        (tmp_path / "tradeutils.toml").touch()
        with pytest.raises(SettingsError, match=r"does not exist; did you mean .*tradeutils\.toml"):
            Settings.load(tmp_path / "tradutils.toml", environ={})
        with pytest.raises(SettingsError, match="does not exist; write the path"):
            Settings.load(tmp_path / "none" / "x.toml", environ={})
        with pytest.raises(SettingsError, match="does not exist"):
            Settings.load(environ={"TRADEUTILS_CONFIG": str(tmp_path / "zzz")})

    def test_impossible_name_is_refused(self, tmp_path: pathlib.Path) -> None:
        """What the system refuses to open is refused with its reason."""
        with pytest.raises(SettingsError, match="cannot be read: File name too long"):
            Settings.load(tmp_path / ("x" * 5000), environ={})

    @pytest.mark.parametrize("path", ["", "a\0b", 5])
    def test_what_is_no_path_is_refused(self, path: object) -> None:
        """An empty or impossible path is a mistake, not the default file."""
        with pytest.raises(SettingsError, match="path was"):
            Settings.load(path, environ={})  # type: ignore[arg-type]

    def test_folder_in_place_of_a_file_is_refused(self, tmp_path: pathlib.Path) -> None:
        """What cannot be opened is named with the system's reason."""
        with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
            Settings.load(tmp_path, environ={})

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser reads every file")
    def test_unreadable_file_is_refused(self, tmp_path: pathlib.Path) -> None:
        """A file without permission is not taken for an absent one."""
        file = tmp_path / "closed.toml"
        file.write_text("")
        file.chmod(0)
        with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
            Settings.load(file, environ={})

    @pytest.mark.skipif(not pathlib.Path("/dev/fd").exists(), reason="the system has no /dev/fd")
    def test_settings_may_come_through_a_pipe(self, caplog: pytest.LogCaptureFixture) -> None:
        """As from a vault's command line, ``<(vault read ...)``; nothing lies on the disk to be warned about."""
        reader, writer = os.pipe()
        os.write(writer, f'[accounts.a]\nexchange = "okx"\nkey = "{PLANTED}"'.encode())
        os.close(writer)
        settings = Settings.load(f"/dev/fd/{reader}", environ={})
        os.close(reader)
        assert settings.accounts["a"].credentials == Credentials(key=PLANTED)
        assert caplog.records == []

    def test_oversized_file_is_refused(self, tmp_path: pathlib.Path) -> None:
        """A log or a dump given by mistake is not parsed."""
        with (tmp_path / "big.toml").open("wb") as file:
            file.truncate(17 * 2**20)
        with pytest.raises(SettingsError, match="larger than 16 MiB"):
            Settings.load(tmp_path / "big.toml", environ={})

    @pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
    @pytest.mark.parametrize(
        ("text", "mode", "warned"),
        [
            (f'[accounts.a]\nexchange = "okx"\nkey = "{PLANTED}"', 0o644, True),
            (f'[accounts.a]\nexchange = "okx"\nkey = "{PLANTED}"', 0o600, False),
            (f'[cache]\nurl = "redis://:{PLANTED}@h"', 0o644, True),
            ('[cache]\nurl = "redis://h"', 0o644, False),
            ('[accounts.a]\nexchange = "okx"\nkey_env = "K"', 0o644, False),
        ],
    )
    def test_secrets_in_a_file_for_all_to_read_are_warned_about(
        self, text: str, mode: int, warned: bool, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The warning names the file and the remedy; a file without secrets may be read by all."""
        file = tmp_path / "s.toml"
        file.write_text(text)
        file.chmod(mode)
        Settings.load(file, environ={"K": "k"})
        records = [record for record in caplog.records if record.name == "tradeutils.settings"]
        assert [record.levelname for record in records] == ["WARNING"] * warned
        assert PLANTED not in caplog.text
        assert not warned or f"chmod 600 {file}" in caplog.text


class TestIndirect:
    ACCOUNT = '[accounts.a]\nexchange = "okx"\n'

    @pytest.mark.parametrize("second", ['key_env = "K"', 'key_file = "k"'])
    def test_two_forms_of_one_credential_are_refused(self, second: str, tmp_path: pathlib.Path) -> None:
        """Which of two keys was meant is not guessed."""
        message = refused(f'{self.ACCOUNT}key = "{PLANTED}"\n{second}', tmp_path, K=PLANTED)
        assert "accounts.a.key and" in message
        assert "keep one" in message

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (f'key_env = "{PLANTED}"', "key_env names a variable that is not set"),
            ('key_env = "EMPTY"', "EMPTY is set and empty"),
            ('key_env = ""', "key_env was not a name"),
            ("key_env = 5", "key_env was not a name"),
            (f'key_file = "{PLANTED}"', "key_file names a file that cannot be read: No such file"),
            ('key_file = "."', "key_file names a file that cannot be read: Is a directory"),
            ('key_file = "empty"', "key_file: a secret was empty"),
            ('key_file = "binary"', "key_file names a file that is not UTF-8"),
            ('key_file = "big"', "key_file names a file larger than 64 KiB"),
            ('key_file = "a\\u0000b"', "key_file is no path"),
            ("key_file = 5", "key_file was not a path"),
        ],
    )
    def test_name_that_leads_nowhere_is_refused_without_showing_it(
        self, line: str, said: str, tmp_path: pathlib.Path
    ) -> None:
        """A secret pasted in place of a variable's name or a path is not shown."""
        (tmp_path / "empty").write_text("\n")
        (tmp_path / "binary").write_bytes(PLANTED.encode() + b"\xff")
        (tmp_path / "big").write_text(PLANTED * 10_000)
        assert said in refused(self.ACCOUNT + line, tmp_path, EMPTY="")

    def test_key_file_keeps_inner_line_ends(self, tmp_path: pathlib.Path) -> None:
        """A private key in PEM arrives whole."""
        (tmp_path / "k.pem").write_text("-----BEGIN\nabc\n-----END\n")
        settings = loaded(f'{self.ACCOUNT}private_key_file = "k.pem"', tmp_path)
        assert settings.accounts["a"].credentials == Credentials(private_key="-----BEGIN\nabc\n-----END")


class TestEnvironment:
    def test_environment_alone_is_enough(self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every type can be written in a variable; names become lower case."""
        monkeypatch.chdir(tmp_path)
        settings = Settings.load(
            environ={
                "TRADEUTILS_CACHE__URL": "redis://h",
                "TRADEUTILS_CACHE__TIMEOUT": "0.5",
                "TRADEUTILS_HISTORY__PATH": "here",
                "TRADEUTILS_LOG__JSON": "Yes",
                "TRADEUTILS_EXCHANGES__BINANCE__RATE_LIMIT_MS": "500",
                "TRADEUTILS_EXCHANGES__BINANCE__OPTIONS": '{"a": {"b": [1]}}',
                "TRADEUTILS_ACCOUNTS__ALICE__EXCHANGE": "binance",
                "TRADEUTILS_ACCOUNTS__ALICE__KEY": "k",
                "TRADEUTILS_ACCOUNTS__ALICE__SECRET_ENV": "S",
                "TRADEUTILS_ACCOUNTS__ALICE__SANDBOX": "off",
                "TRADEUTILS_ACCOUNTS__A__B__KEY": "k",
                "TRADEUTILS_ACCOUNTS__A__B__EXCHANGE": "okx",
                "S": "s",
                "TRADEUTILS_DATA": "elsewhere",
                "TRADEUTILS_THREADS": "",
                "TRADEUTILS_PORT_80_TCP_ADDR": "10.0.0.1",
                "TRADEUTILS_REDIS_SERVICE_HOST": "10.0.0.1",
                "PATH": "/bin",
            }
        )
        assert settings.cache == CacheSettings(url="redis://h", timeout=0.5)
        assert settings.history.path == pathlib.Path("here")
        assert settings.log.json
        assert settings.exchanges == {"binance": ExchangeSettings(rate_limit_ms=500, options={"a": {"b": [1]}})}
        assert settings.accounts["alice"].credentials == Credentials(key="k", secret="s")
        assert set(settings.accounts) == {"alice", "a__b"}

    def test_environment_overrides_the_file_key_by_key(self, tmp_path: pathlib.Path) -> None:
        """What a variable does not give stays as the file has it, under the file's spelling."""
        text = '[cache]\nurl = "redis://file"\nnamespace = "file"\n[accounts."Bob-2"]\nexchange = "okx"\nkey = "old"\n'
        environ = {"TRADEUTILS_CACHE__URL": "redis://env", "TRADEUTILS_ACCOUNTS__BOB_2__KEY": "new"}
        settings = loaded(text, tmp_path, **environ)
        assert settings.cache == CacheSettings(url="redis://env", namespace="file")
        assert settings.accounts["Bob-2"].credentials == Credentials(key="new")

    def test_variable_replaces_every_form_of_a_credential(self, tmp_path: pathlib.Path) -> None:
        """``..._KEY`` takes the place of the file's ``key_file``, and the other way round."""
        text = '[accounts.a]\nexchange = "okx"\nkey_file = "absent"\nsecret = "old"\n'
        settings = loaded(
            text, tmp_path, TRADEUTILS_ACCOUNTS__A__KEY="new", TRADEUTILS_ACCOUNTS__A__SECRET_ENV="S", S="newer"
        )
        assert settings.accounts["a"].credentials == Credentials(key="new", secret="newer")

    @pytest.mark.parametrize(
        ("environ", "said"),
        [
            ({"TRADEUTILS_CACHE_URL": PLANTED}, "TRADEUTILS_CACHE_URL is no setting; did you mean TRADEUTILS_CACHE__U"),
            ({"TRADEUTILS_CACHE__ULR": PLANTED}, "did you mean TRADEUTILS_CACHE__URL?"),
            ({"TRADEUTILS_CACHE__PORT": "1"}, "TRADEUTILS_CACHE__PORT is no setting"),
            ({"TRADEUTILS_ACCOUNT__A__KEY": PLANTED}, "did you mean TRADEUTILS_ACCOUNTS__A__KEY?"),
            ({"TRADEUTILS_ACCOUNTS__A__SECRT": PLANTED}, "did you mean TRADEUTILS_ACCOUNTS__A__SECRET?"),
            ({"TRADEUTILS_ACCOUNTS__KEY": PLANTED}, "write TRADEUTILS_ACCOUNTS__NAME__KEY"),
            ({"TRADEUTILS_ACCOUNTS____KEY": PLANTED}, "is no setting"),
            ({"TRADEUTILS_QQQQ": PLANTED}, "sections are cache, history, log, exchanges, accounts"),
            ({"TRADEUTILS_": PLANTED}, "is no setting"),
            ({"TRADEUTILS_CACHE__URL": ""}, "TRADEUTILS_CACHE__URL is set and empty"),
            ({"TRADEUTILS_CONFIG": ""}, "TRADEUTILS_CONFIG is set and empty"),
            ({"TRADEUTILS_ACCOUNTS__A__KEY": ""}, "TRADEUTILS_ACCOUNTS__A__KEY is set and empty"),
            ({"TRADEUTILS_CACHE__TIMEOUT": "fast"}, "TRADEUTILS_CACHE__TIMEOUT was 'fast'; write a number"),
            ({"TRADEUTILS_CACHE__TIMEOUT": "1e999"}, "TRADEUTILS_CACHE__TIMEOUT was inf; write a finite"),
            ({"TRADEUTILS_CACHE__TIMEOUT": True}, "TRADEUTILS_CACHE__TIMEOUT was bool; environment variables are"),
            ({"TRADEUTILS_LOG__JSON": "maybe"}, "TRADEUTILS_LOG__JSON was 'maybe'; write true or false"),
            ({"TRADEUTILS_EXCHANGES__A__OPTIONS": "{"}, "TRADEUTILS_EXCHANGES__A__OPTIONS was str; write a table"),
            ({"TRADEUTILS_EXCHANGES__A__OPTIONS": '{"a":' * 9000}, "write a table"),
            ({"TRADEUTILS_ACCOUNTS__A__KEY": PLANTED}, "the environment: accounts.a has no exchange"),
            (
                {"TRADEUTILS_ACCOUNTS__A__EXCHANGE": "okx", "TRADEUTILS_ACCOUNTS__A__KEY": f"{PLANTED}\n"},
                "accounts.a: credentials: key begins or ends",
            ),
            (
                {"TRADEUTILS_ACCOUNTS__A__KEY": PLANTED, "TRADEUTILS_ACCOUNTS__a__KEY": PLANTED},
                "TRADEUTILS_ACCOUNTS__A__KEY and TRADEUTILS_ACCOUNTS__a__KEY are the same setting; keep one",
            ),
            (
                {"TRADEUTILS_CACHE__URL": "redis://a", "tradeutils_cache__url": "redis://b"},
                "TRADEUTILS_CACHE__URL and tradeutils_cache__url are the same setting",
            ),
        ],
    )
    def test_wrong_variable_is_named_with_the_remedy(
        self, environ: dict[str, str], said: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message names the variable, never a credential in it."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SettingsError) as caught:
            Settings.load(environ=environ)
        assert said in str(caught.value)
        assert PLANTED not in str(caught.value)
        assert PLANTED not in locals_of(caught.value)

    def test_variable_that_may_mean_two_accounts_is_refused(self, tmp_path: pathlib.Path) -> None:
        """The file may tell ``alice`` from ``Alice``; a variable cannot."""
        text = '[accounts.alice]\nexchange = "okx"\nkey = "a"\n[accounts.Alice]\nexchange = "okx"\nkey = "b"\n'
        assert set(loaded(text, tmp_path).accounts) == {"alice", "Alice"}
        assert "may mean alice or Alice" in refused(text, tmp_path, TRADEUTILS_ACCOUNTS__ALICE__KEY=PLANTED)
