"""Limits of a venue in the settings: windows, tier and egress, from keywords, files and variables."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from tradeutils.errors import SettingsError
from tradeutils.settings import ExchangeSettings, Settings, WindowSettings

WEIGHT = WindowSettings(name="weight", limit=1200, seconds=60)
ORDERS = WindowSettings(name="orders", limit=5, seconds=1, scope="account")


def loaded(text: str, folder: pathlib.Path, **environ: str) -> ExchangeSettings:
    """Return what a file and variables say of binance."""
    file = folder / "tradeutils.toml"
    file.write_text(text, encoding="utf-8")
    return Settings.load(file, environ=environ).exchanges["binance"]


def test_windows_are_read_from_a_file(tmp_path: pathlib.Path) -> None:
    """In one line or as tables, with the address as the scope that needs no word."""
    one_line = """
    [exchanges.binance]
    windows = [{ name = "weight", limit = 1200, seconds = 60 },
               { name = "orders", limit = 5, seconds = 1, scope = "account" }]
    tier = "vip1"
    egress = "frankfurt"
    """
    tables = """
    [exchanges.binance]
    tier = "vip1"
    egress = "frankfurt"
    [[exchanges.binance.windows]]
    name = "weight"
    limit = 1200
    seconds = 60
    [[exchanges.binance.windows]]
    name = "orders"
    limit = 5
    seconds = 1
    scope = "account"
    """
    expected = ExchangeSettings(windows=[WEIGHT, ORDERS], tier="vip1", egress="frankfurt")
    assert loaded(one_line, tmp_path) == expected
    assert loaded(tables, tmp_path) == expected
    assert hash(expected) == hash(loaded(tables, tmp_path))


def test_windows_of_a_variable_are_json(tmp_path: pathlib.Path) -> None:
    """They replace those of the file."""
    settings = loaded(
        '[exchanges.binance]\nwindows = [{ name = "orders", limit = 5, seconds = 1 }]',
        tmp_path,
        TRADEUTILS_EXCHANGES__BINANCE__WINDOWS='[{"name": "weight", "limit": 1200, "seconds": 60}]',
        TRADEUTILS_EXCHANGES__BINANCE__EGRESS="tokyo",
    )
    assert settings.windows == (WEIGHT,)
    assert settings.egress == "tokyo"


def test_windows_by_keyword_may_be_tables() -> None:
    """What a file may say, a keyword may; the list is copied."""
    given: list[Any] = [{"name": "weight", "limit": 1200, "seconds": 60}, ORDERS]
    settings = ExchangeSettings(windows=given)
    given.clear()
    assert settings.windows == (WEIGHT, ORDERS)
    assert ExchangeSettings().windows == ()
    assert ExchangeSettings().tier is ExchangeSettings().egress is None


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        ('[{ name = "weight", limit = 1200 }]', "windows[0] has no seconds"),
        ("[{ limit = 1200 }]", "has no name and no seconds"),
        ('[{ name = "weight", limit = 1, seconds = 1, scop = "ip" }]', "has no key 'scop'; did you mean scope?"),
        ('[{ name = "weight", limit = 1, seconds = 1, zzz = 1 }]', "it has name, limit, seconds, scope"),
        ('[{ name = "a weight", limit = 1, seconds = 1 }]', "window name was 'a weight'"),
        ('[{ name = 5, limit = 1, seconds = 1 }]', "window name was 5"),
        ('[{ name = "weight", limit = 0, seconds = 1 }]', "window limit was 0.0"),
        ('[{ name = "weight", limit = "1", seconds = 1 }]', "window limit was '1'"),
        ('[{ name = "weight", limit = nan, seconds = 1 }]', "window limit was nan"),
        ('[{ name = "weight", limit = 1e10, seconds = 1 }]', "write at most 1e+09"),
        ('[{ name = "weight", limit = 1, seconds = 604801 }]', "write at most 604800"),
        ('[{ name = "weight", limit = 1, seconds = 1, scope = "all" }]', "write 'ip' or 'account'"),
        ("[5]", "windows[0] was 5; write a table"),
        ("{ weight = 5 }", "windows was dict; write a list of tables"),
        ('"weight"', "windows was str; write a list of tables"),
        (
            '[{ name = "weight", limit = 1, seconds = 1 }, { name = "weight", limit = 2, seconds = 1.0 }]',
            "names one window twice",
        ),
    ],
)  # fmt: skip
def test_window_that_cannot_be_is_refused(windows: str, told: str, tmp_path: pathlib.Path) -> None:
    """The message names the file, the key and the remedy."""
    with pytest.raises(SettingsError) as caught:
        loaded(f"[exchanges.binance]\nwindows = {windows}", tmp_path)
    assert told in str(caught.value)
    assert "tradeutils.toml: exchanges.binance.windows" in str(caught.value)


@pytest.mark.parametrize("key", ["tier", "egress"])
def test_name_that_is_none_is_refused(key: str, tmp_path: pathlib.Path) -> None:
    """A label is a word that can be typed again."""
    for value in ('""', "5", '" vip1"'):
        with pytest.raises(SettingsError, match=key):
            loaded(f"[exchanges.binance]\n{key} = {value}", tmp_path)
    with pytest.raises(SettingsError, match=f"exchange {key}"):
        ExchangeSettings(**{key: "a\nb"})


def test_variable_that_is_no_json_is_refused(tmp_path: pathlib.Path) -> None:
    """It stays text, and text is no list."""
    with pytest.raises(SettingsError, match="TRADEUTILS_EXCHANGES__BINANCE__WINDOWS was str"):
        loaded("[exchanges.binance]", tmp_path, TRADEUTILS_EXCHANGES__BINANCE__WINDOWS="weight=1200")
