"""What is known of an account's calls, and how it is kept in a cache that others write to as well."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias, cast

from tradeutils.balances.classes import REASONS
from tradeutils.balances.suspension import LONGEST_PERIOD, Suspension
from tradeutils.logs import redact
from tradeutils.settings import Account, Credentials

__all__ = ["Kind", "Standing", "key_of", "read_standing", "shown"]

Kind: TypeAlias = Literal["good", "fresh", "suspended"]

_VERSION: Final = 1
_MARK: Final = "tradeutils.suspension"
_TEXT_CAP: Final = 2_000
_SKEW_MS: Final = 3_600_000  # that another machine's clock may be ahead
_LATEST: Final = 2**53
_KEPT: Final = LONGEST_PERIOD
_GOOD_KEPT: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What is known of an account's calls.

    Attributes
    ----------
    kind : str
        ``"good"``: its key opened the account. ``"fresh"``: what was known before no longer counts, as somebody asked
        for that. ``"suspended"``.
    at : int
        Ms UTC: of a suspension when it was learnt, of what is good when the call that showed it began. What is newer
        counts; a call that began before it says nothing new.
    suspension : Suspension or None
        Of one that is suspended.
    """

    kind: Kind
    at: int
    suspension: Suspension | None = None

    def told(self, account: Account) -> dict[str, Any]:
        """Return it as plain JSON, for the cache."""
        told = {"is": _MARK, "version": _VERSION, "kind": self.kind, "at": self.at}
        told |= {"account": account.name, "venue": account.exchange}
        if self.suspension is not None:
            told |= {one.name: getattr(self.suspension, one.name) for one in fields(Suspension)}
        return told

    def kept(self, now: int) -> float:
        """
        Return for how many seconds the cache is to keep it.

        A suspension is remembered for a week after its end, so that the next one is longer; that a key is good for a
        day, after which one process looks first again.
        """
        if self.suspension is None:
            return _GOOD_KEPT
        return max(0, self.suspension.until - now) / 1000 + _KEPT


def key_of(account: Account, origin: str) -> str:
    """
    Return under which key the cache keeps an account's standing: another one for another key, name or origin.

    Nothing can be read back from it: it is half of a digest over all credentials at once, salted with name and origin,
    so that two accounts of one key look unlike. Guessing them by trying is out of reach, as venues draw keys and
    secrets at random, from 128 bits and more, and all must be guessed together. A random salt would add nothing to
    that, and every process would have to be told it.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"tu-suspension")
    for part in _parts(account, origin):
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"suspension:{digest.hexdigest()}"


def _parts(account: Account, origin: str) -> Iterator[bytes]:
    yield from (text.encode("utf-8", "surrogatepass") for text in (origin, account.name, account.exchange))
    credentials = account.unlocked().credentials
    for one in fields(Credentials):
        secret = getattr(credentials, one.name)
        yield one.name.encode()
        yield b"" if secret is None else secret.reveal().encode("utf-8", "surrogatepass")


def read_standing(told: object, account: Account, origin: str, now: int) -> Standing | str:
    """
    Return what the cache tells of an account, or in words what is wrong with it.

    Whoever may write to the cache could put anything there: it is taken only if all of it is what we write, of this
    account, and not from the future.
    """
    if not isinstance(told, dict) or _text(told, "is") != _MARK:
        return f"it was not written by us ({type(told).__name__})"
    version = told.get("version")
    if not isinstance(version, int) or version != _VERSION:
        return f"it is of another version than {_VERSION}, which this release reads"
    if (_text(told, "account"), _text(told, "venue")) != (account.name, account.exchange):
        return "it is another account's"
    at, kind = told.get("at"), _text(told, "kind")
    if not _is_time(at, now + _SKEW_MS):
        return "its time is none, or lies in the future"
    if kind in ("good", "fresh"):
        return Standing(cast(Kind, kind), cast(int, at))
    return _read_suspended(told, account, origin, now) if kind == "suspended" else "it is of no known kind"


def _text(told: dict[Any, Any], name: str) -> str | None:
    """Return an entry that is text: an array that somebody stored cannot even be compared."""
    value = told.get(name)
    return value if isinstance(value, str) else None


def _read_suspended(told: dict[Any, Any], account: Account, origin: str, now: int) -> Standing | str:
    reason, failures = _text(told, "reason"), told.get("failures")
    since, until = told.get("since"), told.get("until")
    message, remedy = _text(told, "message"), _text(told, "remedy")
    latest = now + _SKEW_MS + int(LONGEST_PERIOD * 1000)
    if not _is_time(since, now + _SKEW_MS) or not _is_time(until, latest):
        return "its times are none, or it would never end"
    if reason not in REASONS or not _is_time(failures, _LATEST) or failures == 0:
        return "its reason or its number of failures is none"
    if message is None or remedy is None or max(len(message), len(remedy)) > _TEXT_CAP:
        return "its words are no text, or too long"
    suspension = Suspension(
        account=account.name,
        venue=account.exchange,
        reason=reason,
        message=shown(message),
        remedy=shown(remedy),
        since=cast(int, since),
        until=cast(int, until),
        failures=cast(int, failures),
        origin=origin,
    )
    return Standing("suspended", told["at"], suspension)


def _is_time(value: object, latest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= latest


def shown(text: str) -> str:
    """Return a text that may be shown: without secrets, on one line, and without anything that moves a cursor."""
    clean = "".join(character if character.isprintable() else " " for character in redact(text))
    return clean[:_TEXT_CAP]
