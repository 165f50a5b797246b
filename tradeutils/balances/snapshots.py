"""What accounts held in the past: one snapshot at each change that was seen, the newest so many, kept in the cache."""

from __future__ import annotations

import collections
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tradeutils.balances.answers import Answer, read_answer
from tradeutils.cache import Cache
from tradeutils.errors import CacheError, Closed, CodecError
from tradeutils.logs import get_logger
from tradeutils.model import AssetBalance, Balance
from tradeutils.model.rounding import EXACT

__all__ = ["Snapshots", "merged"]

_log = get_logger("balances")

_KEPT_S: Final = 90 * 86_400.0  # since the last change
_NOTHING: Final[Mapping[str, Any]] = {"digest": "", "count": 0}


class Snapshots:
    """
    The snapshots of many wallets.

    Each lies under a key of its own, and a small index beside them, so that a change writes one of them and not all.

    Parameters
    ----------
    cache : Cache or None
        ``None``: they are kept in this process.
    keep : int
        How many of each wallet.
    """

    def __init__(self, cache: Cache | None, keep: int, *, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._keep = keep
        self._clock = clock
        self._seen: dict[str, str] = {}
        self._here: dict[str, collections.deque[Answer]] = {}

    async def record(self, key: str, answer: Answer) -> None:
        """Keep an answer that differs from the last; a cache that is away keeps nothing, and nothing is raised."""
        if not self._keep:
            return
        digest = _digest(answer.balance)
        if self._cache is None:
            if self._seen.get(key) != digest:
                self._here.setdefault(key, collections.deque(maxlen=self._keep)).append(answer)
                self._seen[key] = digest
            return
        try:  # the last is looked up each time: another process may have seen the account change and change back
            await self._write(self._cache, key, digest, answer)
        except (CacheError, CodecError, Closed) as error:
            _log.debug("a snapshot of %s was not kept: %s", key, error)

    async def read(self, key: str) -> list[Answer]:
        """
        Return the snapshots of a wallet, oldest first.

        Raises
        ------
        CacheUnavailable : the cache did not answer.
        """
        if self._cache is None:
            return list(self._here.get(key, ()))
        index = await self._index(self._cache, key)
        numbers = range(max(0, index["count"] - self._keep), index["count"])
        names = [self._name(key, number) for number in numbers]
        now, found = self._clock(), []
        told = await self._cache.get_many(names)
        for name in names:
            answer = read_answer(told.get(name), now)
            if answer is not None:
                found.append(answer)
        return sorted(found, key=lambda answer: answer.at)

    async def _write(self, cache: Cache, key: str, digest: str, answer: Answer) -> None:
        index = await self._index(cache, key)
        if index["digest"] == digest:
            return
        written = {
            self._name(key, index["count"]): {"balance": answer.balance, "at": answer.at},
            f"{key}:history": {"digest": digest, "count": index["count"] + 1},
        }
        await cache.set_many(written, ttl=_KEPT_S)

    async def _index(self, cache: Cache, key: str) -> Mapping[str, Any]:
        try:
            told = await cache.get(f"{key}:history")
        except CodecError:
            return _NOTHING
        if not isinstance(told, dict) or not isinstance(told.get("digest"), str):
            return _NOTHING
        count = told.get("count")
        return told if isinstance(count, int) and 0 <= count < 2**53 else _NOTHING

    def _name(self, key: str, number: int) -> str:
        return f"{key}:history:{number % self._keep}"


def merged(wallets: Mapping[str, Sequence[Answer]]) -> list[Answer]:
    """Return the snapshots of several wallets as those of their sum, from when all are known."""
    if len(wallets) == 1:
        return list(next(iter(wallets.values())))
    moments = [(answer.at, name, answer.balance) for name, answers in wallets.items() for answer in answers]
    known: dict[str, Balance] = {}
    found = []
    for at, name, balance in sorted(moments, key=lambda moment: moment[:2]):
        known[name] = balance
        if len(known) == len(wallets):
            found.append(Answer(Balance.combined({wallet: known[wallet] for wallet in wallets}), at))
    return found


def _digest(balance: Balance) -> str:
    """Return a short name for what is held: the same for equal amounts, however many zeros stand at their ends."""
    digest = hashlib.blake2b(digest_size=12)
    for asset in sorted(balance.assets):
        digest.update(f"{asset} {_amounts(balance.assets[asset])}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _amounts(held: AssetBalance) -> str:
    # Not their hashes, which are the same for -1 and -2.
    amounts = (EXACT.normalize(amount) for amount in (held.free, held.used, held.total, held.debt))
    return " ".join(str(amount) if amount else "0" for amount in amounts)
