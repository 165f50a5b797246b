"""The sections of the settings; built by keyword, checked as they are built, frozen."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradeutils.settings import checks
from tradeutils.settings.secret import Secret, SecretUrl

__all__ = ["CacheSettings", "ExchangeSettings", "HistorySettings", "LogSettings"]


@dataclass(frozen=True, slots=True, init=False)
class CacheSettings:
    """
    Where the cache is.

    Parameters
    ----------
    url : str or Secret
        ``"memory://"`` (this process alone), ``"redis://..."``, ``"rediss://..."``, ``"unix://..."``,
        ``"redis+cluster://..."``. Kept as a :class:`SecretUrl`, which prints without its password.
    namespace : str
        Put before every key.
    timeout : float
        Seconds within which every operation ends, > 0.

    Raises
    ------
    SettingsError : no URL, a bad name, a timeout that is not above zero.
    """

    url: SecretUrl
    namespace: str
    timeout: float

    def __init__(self, *, url: str | Secret = "memory://", namespace: str = "tu", timeout: float = 0.25) -> None:
        address = checks.sealed("cache url", url, SecretUrl)
        del url  # a traceback that shows locals must not show it, nor stumble over an object that cannot print yet
        for name, value in (("url", address), ("namespace", namespace), ("timeout", timeout)):
            object.__setattr__(self, name, value)
        checks.or_raise(address)
        checks.name("cache namespace", namespace)
        object.__setattr__(self, "timeout", checks.positive("cache timeout", timeout))


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """
    Where candles are kept.

    Parameters
    ----------
    path : path
        A folder; ``~`` is the home directory. It need not exist yet.

    Raises
    ------
    SettingsError : no path.
    """

    path: pathlib.Path = pathlib.Path("candles")

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", checks.folder("history path", self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """
    What is particular to one exchange.

    Parameters
    ----------
    url : str or None
        Scheme and host that replace those of every endpoint: ``"http://127.0.0.1:8080"``. ``None``: the venue's own.
    rate_limit_ms : float or None
        Milliseconds between requests, > 0, instead of the venue's windows.
    timeout : float
        Seconds a request may take, > 0.
    options : mapping
        ccxt options; copied, not shown in the repr, not part of the hash.

    Raises
    ------
    SettingsError : a URL with a login or a path, a number that is not above zero, options that are no table.
    """

    url: str | None = None
    rate_limit_ms: float | None = None
    timeout: float = 10.0
    options: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def __post_init__(self) -> None:
        if self.url is not None:
            object.__setattr__(self, "url", checks.web_url("exchange url", self.url))
        if self.rate_limit_ms is not None:
            object.__setattr__(self, "rate_limit_ms", checks.positive("rate_limit_ms", self.rate_limit_ms))
        object.__setattr__(self, "timeout", checks.positive("exchange timeout", self.timeout))
        object.__setattr__(self, "options", checks.options("exchange options", self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """
    What ``logs.setup`` is asked for.

    Parameters
    ----------
    level : str
        ``"DEBUG"``, ``"INFO"``, ``"WARNING"``, ``"ERROR"`` or ``"CRITICAL"``, in any case.
    json : bool
        One JSON object a line instead of text.

    Raises
    ------
    SettingsError : no such level; ``json`` is not a bool.
    """

    level: str = "INFO"
    json: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", checks.level("log level", self.level))
        checks.flag("log json", self.json)
