"""What can be subscribed to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["PRIVATE", "Kind", "Topic"]

Kind: TypeAlias = Literal["ticker", "tickers", "ohlcv", "trades", "book", "balance", "orders"]

PRIVATE: Final[frozenset[Kind]] = frozenset({"balance", "orders"})
"""The kinds that an account sees alone."""


@dataclass(frozen=True, slots=True)
class Topic:
    """
    One subscription.

    Attributes
    ----------
    kind : str
        ``"ticker"``, ``"tickers"``, ``"ohlcv"``, ``"trades"``, ``"book"``, ``"balance"`` or ``"orders"``.
    symbol : str or None
        Its market. ``None``: of a ``"tickers"`` all markets of the venue's default type, of ``"balance"`` and
        ``"orders"`` the whole account.
    timeframe : str or None
        Of ``"ohlcv"``, in ccxt's words: ``"1m"``.
    depth : int or None
        Of ``"book"``: levels of each side; ``None``: as many as the venue sends.
    """

    kind: Kind
    symbol: str | None = None
    timeframe: str | None = None
    depth: int | None = None

    @property
    def is_private(self) -> bool:
        """Whether an account's keys are needed."""
        return self.kind in PRIVATE

    @property
    def sort(self) -> str:
        """Of its market: ``"spot"``, ``"linear"``, ``"inverse"`` or ``"option"``; venues have websockets for each."""
        pair, _, settled = (self.symbol or "").partition(":")
        if not settled:
            return "spot"
        if settled.count("-") > 1:
            return "option"
        return "linear" if settled.partition("-")[0] == pair.partition("/")[2] else "inverse"
