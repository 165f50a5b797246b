"""The Lua scripts that count on the server, and how they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

from tradeutils.link.wire import Command

__all__ = ["ACQUIRE", "AMEND", "BAN", "HELLO", "NONCE", "RESTORE", "USAGE", "Script", "in_full"]


@dataclass(frozen=True, slots=True)
class Script:
    """A script, called by the digest of its text; a server that does not know it yet is sent the text."""

    text: str = field(repr=False)
    digest: str

    def call(self, keys: Sequence[bytes], arguments: Sequence[bytes | str | int]) -> Command:
        """Return the command that runs it."""
        return (b"EVALSHA", self.digest, len(keys), *keys, *arguments)


def _load(*names: str) -> Script:
    folder = resources.files("tradeutils.budget") / "lua"
    text = "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ACQUIRE: Final = _load("at_once", "counting", "acquire")
AMEND: Final = _load("counting", "amend")
BAN: Final = _load("counting", "ban")
HELLO: Final = _load("counting", "hello")
NONCE: Final = _load("counting", "nonce")
RESTORE: Final = _load("counting", "restore")
USAGE: Final = _load("counting", "usage")

_TEXTS: Final = {script.digest: script.text for script in (ACQUIRE, AMEND, BAN, HELLO, NONCE, RESTORE, USAGE)}


def in_full(command: Command) -> Command:
    """Return a call by digest as one that carries the text."""
    return (b"EVAL", _TEXTS[str(command[1])], *command[2:])
