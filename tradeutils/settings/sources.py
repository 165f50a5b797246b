"""
Where settings come from: a TOML file and the environment.

Both become a :data:`Tree` of :class:`Given`, values that know where they were written and do not show what they are:
a traceback that prints locals passes through here with every secret of the user in its hands.
"""

from __future__ import annotations

import logging
import os
import pathlib
import re
import stat
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, TypeAlias

from tradeutils.errors import SettingsError, nearest
from tradeutils.settings import checks
from tradeutils.settings.secret import SecretUrl

__all__ = ["CREDENTIALS", "OTHER_VARIABLES", "Given", "Tree", "Variables", "read_environment", "read_file"]

CREDENTIALS: Final = ("key", "secret", "password", "uid", "wallet_address", "private_key", "token")
SINGLE: Final[Mapping[str, tuple[str, ...]]] = {
    "cache": ("url", "namespace", "timeout"),
    "history": ("path",),
    "log": ("level", "json"),
}
NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "exchanges": ("url", "rate_limit_ms", "timeout", "options", "windows", "tier", "egress"),
    "accounts": (
        "exchange",
        "sandbox",
        "options",
        *(f"{name}{form}" for name in CREDENTIALS for form in ("", "_env", "_file")),
    ),
}
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {**SINGLE, **NAMED}

PREFIX: Final = "TRADEUTILS_"
OTHER_VARIABLES: Final = frozenset({"TRADEUTILS_CONFIG", "TRADEUTILS_DATA", "TRADEUTILS_THREADS"})
"""Variables with our prefix that are not settings."""

# Kubernetes gives every container these for a service whose name begins with ours: nobody's misspelling.
_KUBERNETES: Final = re.compile(
    r"TRADEUTILS_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT\w*|PORT(?:_\d+_(?:TCP|UDP|SCTP)\w*)?)"
)

EXAMPLE: Final = f"{PREFIX}CACHE__URL, {PREFIX}ACCOUNTS__ALICE__KEY"
MAX_FILE_BYTES: Final = 16 * 2**20

_log = logging.getLogger("tradeutils.settings")
_log.addHandler(logging.NullHandler())  # a library is silent until its user asks (logs.setup)


class Given:
    """
    One value as it was written, and where.

    Parameters
    ----------
    value : object
        What was written.
    where : str
        For messages: ``"tradeutils.toml: cache.url"``, ``"TRADEUTILS_CACHE__URL"``.
    folder : Path or None
        Where relative paths start; ``None``: a variable, whose text may stand for any type.
    """

    __slots__ = ("__read", "folder", "where")
    __read: Callable[[], object]

    def __init__(self, value: object, where: str, folder: pathlib.Path | None = None) -> None:
        self.__read = lambda: value
        self.where = where
        self.folder = folder

    def __repr__(self) -> str:
        return f"<{self.where}>"

    def take(self) -> object:
        """Return the value; pass it on without keeping it in a local."""
        return self.__read()

    def table(self, example: str, joint: str = ".") -> dict[str, Given]:
        """Return the entries of a table, each with its own place; ``joint`` stands before their keys."""
        found = self.take()
        if not isinstance(found, dict):
            kind = type(found).__name__
            del found
            raise SettingsError(f"{self.where} was {kind}; write a table, such as {example}")
        return {key: Given(value, f"{self.where}{joint}{key}", self.folder) for key, value in found.items()}


Tree: TypeAlias = dict[str, dict[str, dict[str, Given]]]
"""Section, name (empty where the section has none), key."""


class Variables:
    """The environment, or what a caller gives in its place; its values do not show."""

    __slots__ = ("__values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self.__values = {name: Given(value, name) for name, value in values.items()}

    def __repr__(self) -> str:
        return f"<{len(self.__values)} variables>"

    def __iter__(self) -> Iterator[str]:
        return iter(self.__values)

    def __contains__(self, name: str) -> bool:
        return name in self.__values

    def __getitem__(self, name: str) -> Given:
        """Return a variable that is there; ``SettingsError`` where it is empty or not text."""
        given = self.__values[name]
        if not isinstance(given.take(), str):
            raise SettingsError(f"{name} was {type(given.take()).__name__}; environment variables are strings")
        if not given.take():
            raise SettingsError(f"{name} is set and empty; give it a value or unset it")
        return given


def unknown(where: str, kind: str, value: str, options: Collection[str]) -> SettingsError:
    """Return the error for a name that is not there, with the nearest that are."""
    close = nearest(value, options)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(options)}"
    return SettingsError(f"{where} has no {kind} {value[:60]!r}; {hint}")


def read_file(path: pathlib.Path) -> Tree:
    """Read a TOML file into a tree; every section and key is one that exists."""
    content, mode = _read(path)
    root = _parse(content)
    if isinstance(root, str):
        raise SettingsError(f"{path}{root}")
    tree: Tree = {}
    for section, given in root.table("[cache]", ": ").items():
        if section not in SECTIONS:
            raise unknown(str(path), "section", section, SECTIONS)
        if section in SINGLE:
            tree[section] = {"": _keys(given, section, f"[{section}]")}
        else:
            example = f"[{section}.{'alice' if section == 'accounts' else 'binance'}]"
            tree[section] = {name: _keys(entry, section, example) for name, entry in given.table(example).items()}
    if os.name == "posix" and stat.S_ISREG(mode) and mode & stat.S_IROTH and _holds_secret(tree):
        _log.warning("%s holds secrets and every user of this machine can read it; chmod 600 %s", path, path)
    return tree


def _holds_secret(tree: Tree) -> bool:
    # Files named by key_file are not looked at: container platforms mount secrets readable by all.
    if any(key in CREDENTIALS for given in tree.get("accounts", {}).values() for key in given):
        return True
    url = tree.get("cache", {}).get("", {}).get("url")
    address = None if url is None else checks.sealed("", url.take(), SecretUrl)
    return isinstance(address, SecretUrl) and address.holds_secret


def _keys(given: Given, section: str, example: str) -> dict[str, Given]:
    found = given.table(example)
    for key in found:
        if key not in SECTIONS[section]:
            raise unknown(given.where, "key", key, SECTIONS[section])
    return found


def _read(path: pathlib.Path) -> tuple[Given, int]:
    """Return a file's bytes and its mode."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = Given(file.read(MAX_FILE_BYTES + 1), str(path), path.parent)
    except FileNotFoundError as error:
        beside = [str(other) for other in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        close = nearest(str(path), beside)
        hint = f"; did you mean {' or '.join(close)}?" if close else "; write the path of a TOML file"
        raise SettingsError(f"{path} does not exist{hint}") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    return content, mode


def _parse(content: Given) -> Given | str:
    """Return the document, or what is wrong with it; never raises, so that no traceback holds the text."""
    raw = content.take()
    if not isinstance(raw, bytes) or len(raw) > MAX_FILE_BYTES:
        return f" is larger than {MAX_FILE_BYTES // 2**20} MiB; settings are a small TOML file"
    try:
        return Given(tomllib.loads(raw.decode("utf-8-sig")), content.where, content.folder)
    except UnicodeDecodeError as error:
        return f" is not UTF-8 text (byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        # Its text may quote what it found, and that may be a piece of a secret.
        message, _, place = str(error).rpartition(" (at ")
        message = re.sub(r"[('\"].*", "...", message)
        return f", {place.removesuffix(')')}: not valid TOML: {message}; strings stand between double quotes"
    except (RecursionError, ValueError):
        return " nests too deeply or holds a number with too many digits"


def read_environment(variables: Variables, known: Tree) -> Tree:
    """
    Read the ``TRADEUTILS_`` variables into a tree.

    Parameters
    ----------
    variables : Variables
        The environment.
    known : Tree
        What the file gave: its names, in their own case and spelling, are the ones that variables refer to.
    """
    tree: Tree = {}
    for variable in sorted(variables):
        upper = variable.upper()
        if not upper.startswith(PREFIX) or upper in OTHER_VARIABLES or _is_kubernetes(upper):
            continue
        section, name, key = _parts(variable)
        name = _spelling(variable, name, known.get(section, {}))
        given = variables[variable]
        entry = tree.setdefault(section, {}).setdefault(name, {})
        if key in entry:
            raise SettingsError(f"{entry[key].where} and {variable} are the same setting; keep one")
        entry[key] = given
    return tree


def _is_kubernetes(variable: str) -> bool:
    return "__" not in variable and _KUBERNETES.fullmatch(variable) is not None


def _parts(variable: str) -> tuple[str, str, str]:
    """Split a variable into section, name (empty where the section has none) and key."""
    section, *rest = variable[len(PREFIX) :].split("__")
    section = section.lower()
    named = section in NAMED
    if section not in SECTIONS or len(rest) < 1 + named or not all(rest):
        raise _no_setting(variable, section, rest)
    name, key = ("__".join(rest[:-1]), rest[-1].lower()) if named else ("", "__".join(rest).lower())
    if key not in SECTIONS[section]:
        raise _no_setting(variable, section, rest)
    return section, name, key


def _no_setting(variable: str, section: str, rest: list[str]) -> SettingsError:
    """Return the error for a variable with our prefix that is not a setting."""
    if section in NAMED and len(rest) < 2:
        return SettingsError(f"{variable} names nothing in {section}; write {PREFIX}{section.upper()}__NAME__KEY")
    options = [f"{one}__{key}".upper() for one, keys in SINGLE.items() for key in keys]
    if len(rest) > 1:
        name = "__".join(rest[:-1])
        options += [f"{one}__{name}__{key}".upper() for one, keys in NAMED.items() for key in keys]
    close = nearest(variable[len(PREFIX) :], options, 1)
    hint = f"did you mean {PREFIX}{close[0]}?" if close else f"sections are {', '.join(SECTIONS)}"
    return SettingsError(f"{variable} is no setting; {hint} (two underscores part the names: {EXAMPLE})")


def _spelling(variable: str, name: str, known: Collection[str]) -> str:
    """Return the name that a variable means: the file's own spelling of it, else the name in lower case."""
    same = [other for other in known if _fold(other) == _fold(name)]
    if len(same) > 1:
        raise SettingsError(f"{variable} may mean {' or '.join(same)}; set it in the file, or rename one")
    return same[0] if same else name.lower()


def _fold(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "_", name.casefold())
