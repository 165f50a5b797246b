"""
What a setting may be: one function a kind, used for keywords, files and variables alike.

Each takes the setting's name for the message and the value, and returns the value as it is kept or raises
``SettingsError``. A value that may be secret is deleted before raising, since some tracebacks show locals.
"""

from __future__ import annotations

import copy
import math
import os
import pathlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeVar

from tradeutils.errors import SettingsError, nearest
from tradeutils.settings.secret import Secret

__all__ = [
    "LEVELS",
    "ReadOnlyDict",
    "flag",
    "folder",
    "level",
    "name",
    "options",
    "or_raise",
    "positive",
    "sealed",
    "shown",
    "web_url",
]

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

S = TypeVar("S", bound=Secret)
T = TypeVar("T")
V = TypeVar("V")


class ReadOnlyDict(dict[str, V]):
    """
    A dict that refuses changes.

    Unlike ``types.MappingProxyType`` it is a dict to ``dataclasses.asdict``, to JSON encoders and to ccxt, and it can
    be deep-copied. Values are not frozen.
    """

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("settings cannot be changed; build others with dataclasses.replace")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __copy__(self) -> ReadOnlyDict[V]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ReadOnlyDict[V]:
        return type(self)(copy.deepcopy(dict(self), memo))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def shown(value: object) -> str:
    """Return ``value`` for a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def name(where: str, value: object) -> str:
    """Check a name: of an account, an exchange, a namespace."""
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where} was {shown(value)}; write a name, such as 'alice'")
    if value != value.strip():
        raise SettingsError(f"{where} was {shown(value)}; write it without the spaces around it")
    # Control and format characters, lone surrogates, line and paragraph separators.
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in value):
        raise SettingsError(f"{where} was {ascii(value)[:60]}; write it without control characters")
    return value


def positive(where: str, value: object) -> float:
    """Check a finite number above zero; the whole number of a file stays equal to the float it becomes."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SettingsError(f"{where} was {shown(value)}; write a number above 0")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 < number < math.inf:
        raise SettingsError(f"{where} was {shown(number)}; write a finite number above 0")
    return number


def flag(where: str, value: object) -> bool:
    """Check a switch."""
    if not isinstance(value, bool):
        raise SettingsError(f"{where} was {shown(value)}; write true or false")
    return value


def level(where: str, value: object) -> str:
    """Check a log level and return it in upper case."""
    found = value.upper() if isinstance(value, str) else None
    if found not in LEVELS:
        close = nearest(str(value), LEVELS)
        hint = f"did you mean {' or '.join(close)}?" if close else f"write one of {', '.join(LEVELS)}"
        raise SettingsError(f"{where} was {shown(value)}; {hint}")
    return found


def folder(where: str, value: object) -> pathlib.Path:
    """Check a path; ``~`` is the home directory."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in str(value):
        raise SettingsError(f"{where} was {shown(value)}; write a path, such as 'candles/'")
    try:
        return pathlib.Path(value).expanduser()
    except RuntimeError as error:
        raise SettingsError(f"{where} was {shown(value)}; {error}") from error


def sealed(where: str, value: object, kind: type[S]) -> S | str:
    """
    Return a value as a secret, or a string that says what is wrong with it.

    It never raises, so that a caller can drop what it was given before :func:`or_raise` does.
    """
    if isinstance(value, kind):
        return value
    try:
        return kind(value)  # type: ignore[arg-type]  # it refuses what is not a string
    except SettingsError as error:
        return f"{where}: {error}"


def or_raise(found: T | str) -> T:
    """Return what :func:`sealed` found, or raise what it said."""
    if isinstance(found, str):
        raise SettingsError(found)
    return found


def web_url(where: str, value: object) -> str:
    """Check a scheme and a host without a path: what replaces a venue's own."""
    pattern = r"(?:https?|wss?)://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?/?"
    if isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII):
        return value.rstrip("/")
    del value  # somebody's password may stand in it
    raise SettingsError(
        f"{where} was not a scheme and a host; write it as 'http://127.0.0.1:8080', without login or path"
    )


def options(where: str, value: object) -> ReadOnlyDict[Any]:
    """Check a table of options and return a copy that later changes of the original do not reach."""
    problem = ""
    if not isinstance(value, Mapping):
        problem = f"was {type(value).__name__}"
    elif not all(isinstance(key, str) for key in value):
        problem = "had a key that is not a string"
    else:
        try:
            return ReadOnlyDict({key: _copied(entry) for key, entry in value.items()})
        except RecursionError:
            problem = "nests too deeply"
    del value
    raise SettingsError(f"{where} {problem}; write a table (a variable: a JSON object)")


def _copied(value: object) -> object:
    # Not copy.deepcopy: what is no dict or list (a session, a callable) is the caller's to share.
    if isinstance(value, dict):
        return {key: _copied(entry) for key, entry in value.items()}
    return [_copied(entry) for entry in value] if isinstance(value, list) else value
