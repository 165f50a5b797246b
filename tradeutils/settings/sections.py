"""The sections of the settings; built by keyword, checked as they are built, frozen."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, Literal

from tradeutils.errors import SettingsError, nearest
from tradeutils.settings import checks
from tradeutils.settings.secret import Secret, SecretUrl

__all__ = ["CacheSettings", "ExchangeSettings", "HistorySettings", "LogSettings", "WindowSettings", "as_windows"]

_LONGEST_WINDOW_S: Final = 7 * 86_400.0
_LARGEST_WINDOW: Final = 1e9


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
class WindowSettings:
    """
    A limit of a venue, instead of the one that is known of it.

    Parameters
    ----------
    name : str
        What is counted, as the venue's own window is called: ``"weight"``, ``"requests"``, ``"orders"``.
    limit : float
        Units in any ``seconds``, > 0, at most 1e9.
    seconds : float
        > 0, at most a week.
    scope : str
        ``"ip"``: of all who share an address; ``"account"``: of one account.

    Raises
    ------
    SettingsError : a figure that cannot be, a name that is no word, another scope.
    """

    name: str
    limit: float
    seconds: float
    scope: Literal["ip", "account"] = "ip"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise SettingsError(f"window name was {checks.shown(self.name)}; write a word, such as 'weight'")
        for name, most in (("limit", _LARGEST_WINDOW), ("seconds", _LONGEST_WINDOW_S)):
            value = checks.positive(f"window {name}", getattr(self, name))
            if value > most:
                raise SettingsError(f"window {name} was {value:g}; write at most {most:g}")
            object.__setattr__(self, name, value)
        if self.scope not in ("ip", "account"):
            raise SettingsError(f"window scope was {checks.shown(self.scope)}; write 'ip' or 'account'")


def as_windows(where: str, value: object) -> tuple[WindowSettings, ...]:
    """Return a list of windows, or of tables of their keys, as windows."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise SettingsError(f"{where} was {type(value).__name__}; write a list of tables (a variable: a JSON array)")
    windows = tuple(
        one if isinstance(one, WindowSettings) else _as_window(f"{where}[{at}]", one) for at, one in enumerate(value)
    )
    if len({(one.name, one.scope, one.seconds) for one in windows}) < len(windows):
        raise SettingsError(f"{where} names one window twice for the same seconds; keep one")
    return windows


def _as_window(where: str, value: object) -> WindowSettings:
    example = '{ name = "weight", limit = 1200, seconds = 60 }'
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} was {checks.shown(value)}; write a table, such as {example}")
    known = [one.name for one in fields(WindowSettings)]
    for key in value:
        if key not in known:
            close = nearest(str(key), known)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(known)}"
            raise SettingsError(f"{where} has no key {checks.shown(key)}; {hint}")
    missing = [one.name for one in fields(WindowSettings) if one.default is MISSING and one.name not in value]
    if missing:
        raise SettingsError(f"{where} has no {' and no '.join(missing)}; write {example}")
    try:
        return WindowSettings(**value)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """
    What is particular to one exchange.

    Parameters
    ----------
    url : str or None
        Scheme and host that replace those of every endpoint: ``"http://127.0.0.1:8080"``. ``None``: the venue's own.
    rate_limit_ms : float or None
        Milliseconds between requests, > 0, instead of the venue's windows of the address.
    timeout : float
        Seconds a request may take, > 0.
    options : mapping
        ccxt options; copied, not shown in the repr, not part of the hash.
    windows : sequence of WindowSettings
        Limits instead of the venue's of the same name and scope; tables of their keys will do.
    tier : str or None
        The account's tier at the venue, where its limits depend on it: ``"pro"`` on kraken, ``"vip3"`` on kucoin.
        ``None``: the lowest.
    egress : str or None
        A label of the address that requests leave from. Processes with the same label share what the venue allows one
        address. ``None``: all that share a Redis share an address.

    Raises
    ------
    SettingsError : a URL with a login or a path, a number that is not above zero, options that are no table, a window
        or a name that cannot be.
    """

    url: str | None = None
    rate_limit_ms: float | None = None
    timeout: float = 10.0
    options: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    windows: Sequence[WindowSettings] = ()
    tier: str | None = None
    egress: str | None = None

    def __post_init__(self) -> None:
        if self.url is not None:
            object.__setattr__(self, "url", checks.web_url("exchange url", self.url))
        if self.rate_limit_ms is not None:
            object.__setattr__(self, "rate_limit_ms", checks.positive("rate_limit_ms", self.rate_limit_ms))
        object.__setattr__(self, "timeout", checks.positive("exchange timeout", self.timeout))
        object.__setattr__(self, "options", checks.options("exchange options", self.options))
        object.__setattr__(self, "windows", as_windows("exchange windows", self.windows))
        if self.tier is not None:
            checks.name("exchange tier", self.tier)
        if self.egress is not None:
            checks.name("exchange egress", self.egress)


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
