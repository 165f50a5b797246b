"""The tokens by which a connection proves whose it is: listen keys, and what else is issued over REST."""

from __future__ import annotations

import collections
import secrets
from dataclasses import dataclass
from typing import Final

__all__ = ["HOUR_MS", "ListenKeys"]

HOUR_MS: Final = 3_600_000
_MAX_TOKENS: Final = 1_000  # the oldest end first


@dataclass(slots=True)
class _Token:
    account: str
    kind: str
    lifetime: int
    ends: int


class ListenKeys:
    """
    Tokens of accounts, each with its end; a venue has one of these for all its interfaces.

    All times are the venue's, ms UTC. Not for use from several threads.
    """

    def __init__(self) -> None:
        self._tokens: collections.OrderedDict[str, _Token] = collections.OrderedDict()

    def issue(self, account: str, now: int, *, kind: str = "", lifetime: int = HOUR_MS, fresh: bool = False) -> str:
        """
        Return a token of an account, given by its API key.

        Parameters
        ----------
        kind : str
            Tokens of one kind are not valid for another.
        lifetime : int
            Milliseconds until it ends, counted anew by `extend`.
        fresh : bool
            Make a new one always. False: the one that is still valid is extended and returned.
        """
        if not fresh:
            for text, token in self._tokens.items():
                if (token.account, token.kind) == (account, kind) and now < token.ends:
                    token.ends = now + lifetime
                    return text
        text = secrets.token_hex(32)
        self._tokens[text] = _Token(account, kind, lifetime, now + lifetime)
        while len(self._tokens) > _MAX_TOKENS:
            self._tokens.popitem(last=False)
        return text

    def account(self, token: str, now: int, *, kind: str = "") -> str | None:
        """Return the API key of whose a token is; ``None`` where it is unknown, ended or of another kind."""
        known = self._tokens.get(token)
        return known.account if known is not None and known.kind == kind and now < known.ends else None

    def find(self, account: str, now: int, *, kind: str = "") -> str | None:
        """Return the newest token of an account that is valid, or ``None``."""
        for text, token in reversed(self._tokens.items()):
            if (token.account, token.kind) == (account, kind) and now < token.ends:
                return text
        return None

    def extend(self, token: str, now: int, *, kind: str = "") -> bool:
        """Let a token live its lifetime from now on; tell whether it is valid."""
        known = self._tokens.get(token)
        if known is None or known.kind != kind or now >= known.ends:
            return False
        known.ends = now + known.lifetime
        return True

    def revoke(self, token: str) -> bool:
        """End a token; tell whether there was one."""
        return self._tokens.pop(token, None) is not None
