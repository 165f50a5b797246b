"""Strings that never print."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, SupportsIndex

from tradeutils.errors import SettingsError

__all__ = ["MASK", "Secret", "SecretUrl", "redact_url"]

MASK: Final = "***"

# Equality and hashes go through digests keyed for this process alone: neither their time nor their value says
# anything about the content or its length.
_DIGEST_KEY: Final = os.urandom(32)


class Secret:
    """
    A string that prints ``***`` everywhere; only :meth:`reveal` gives the value.

    It is not a ``str``: JSON encoders, concatenation, ``len``, iteration and pickle refuse it with ``TypeError``
    rather than write the value or, silently, the mask. Copies are the object itself. Secrets compare with secrets
    only, in constant time, and are hashable.

    Parameters
    ----------
    value : str or Secret
        Not empty.

    Raises
    ------
    SettingsError : ``value`` is empty or not a string.
    """

    __slots__ = ("__digest", "__read", "__weakref__")
    __digest: bytes
    __read: Callable[[], str]

    def __init__(self, value: str | Secret) -> None:
        if isinstance(value, Secret):
            value = value.reveal()
        problem = self._problem(value)
        if problem:
            del value  # a traceback that shows locals must not show it
            raise SettingsError(problem)
        digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=_DIGEST_KEY, digest_size=16).digest()
        object.__setattr__(self, "_Secret__digest", digest)
        # In a closure, so that whatever dumps an object's attributes prints a function.
        object.__setattr__(self, "_Secret__read", lambda: value)

    @staticmethod
    def _problem(value: object) -> str:
        """Say what is wrong with a value without showing it."""
        if not isinstance(value, str):
            return f"a secret was {type(value).__name__}; write a string"
        return "" if value else "a secret was empty; write its value, or leave it out"

    def reveal(self) -> str:
        """Return the value; call it where the value is used and keep no other copy."""
        return self.__read()

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__digest, other.__digest)

    def __hash__(self) -> int:
        return hash(self.__digest)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed; make another")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a secret cannot be changed; make another")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        # A pickle is plain text on a pipe, in a cache or on disk.
        raise TypeError("cannot pickle a secret; send the account's name and load Settings where it is used")


class SecretUrl(Secret):
    """
    A URL that prints without its password: ``redis://user:***@host``.

    Parameters
    ----------
    value : str or Secret
        ``scheme://...``, without spaces or control characters.

    Raises
    ------
    SettingsError : ``value`` is not a URL.
    """

    __slots__ = ()

    @staticmethod
    def _problem(value: object) -> str:
        if not isinstance(value, str) or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value):
            return 'a URL had no scheme; write it as "redis://localhost:6379/0" or "memory://"'
        if not value.isprintable() or " " in value:
            return "a URL held a space or a control character; write it percent-encoded (%20)"
        return ""

    def __repr__(self) -> str:
        # A traceback may print the object before it has its value.
        return redact_url(self.reveal()) if hasattr(self, "_Secret__read") else MASK

    @property
    def holds_secret(self) -> bool:
        """Whether a password or token is part of it."""
        return redact_url(self.reveal()) != self.reveal()


_WEB_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
_PLAIN_HOST: Final = re.compile(r"(?:[^\s:@\[\]]*|\[[0-9A-Fa-f:.]*\])(?::\d*)?")
_SECRET_PARAMETER: Final = re.compile(
    r"([?&;#][^=&;#]{0,64}?(?:pass|pwd|secret|token|key|sign|auth|cred)[^=&;#]{0,64}=)[^&;#]*", re.IGNORECASE
)


def redact_url(url: str) -> str:
    """
    Return ``url`` with its password, and the values of secret-looking parameters, as ``***``.

    What stands alone before the ``@`` may be a token and is masked too. Malformed URLs are masked too much rather than
    too little: a password that should have been percent-encoded (``p/w@``) does not show its tail.

    Examples
    --------
    >>> redact_url("redis://bot:hunter2@localhost:6379/0")
    'redis://bot:***@localhost:6379/0'
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    # In the web's URLs an @ may stand in the path (wss://host:9443/ws/btcusdt@ticker); elsewhere it ends a password.
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if scheme.casefold() not in _WEB_SCHEMES or not _PLAIN_HOST.fullmatch(host):
        login, at, host_and_path = rest.rpartition("@")
        user, colon, _ = login.partition(":")
        if at:
            rest = f"{user}:{MASK}@{host_and_path}" if colon else f"{MASK}@{host_and_path}"
    return _SECRET_PARAMETER.sub(rf"\1{MASK}", f"{scheme}{mark}{rest}")
