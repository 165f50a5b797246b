"""
What an asset is that no route leads from: delisted, locked in an earning product, a leveraged token, or unknown.

Names alone tell little: ``LDO`` is a coin and ``LDBTC`` is BTC in Binance's savings; ``BTCUP`` is a leveraged token,
``JUP``, ``SYRUP`` and ``PUMP`` are coins. So a name is read only where the venue lists what it would stand for, and
never where the venue lists the asset itself in a live spot market.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradeutils.model import Market
from tradeutils.model.valuations import AssetClass

__all__ = ["Listing", "Standing", "locked_underlying"]

_LEVERAGED: Final = (
    # Binance and KuCoin (BTCUP), FTX and those that listed its tokens (ETHBULL): three letters at least, as "C" is a
    # coin and "CUP" need not be its token.
    re.compile(r"(?P<underlying>.{3,})(?:UP|DOWN|BULL|BEAR)"),
    # Gate, Bybit, KuCoin, Huobi, MEXC: BTC3L, HT3S, ETH5L.
    re.compile(r"(?P<underlying>.{2,}?)[1-5][LS]"),
)
# https://docs.kraken.com: .S staked, .M opt-in rewards, .B yield-bearing, .F rewards; .P parachains, .HOLD on hold.
# Digits before it are days to unbond: ATOM21.S. ``.T``, tokenized stocks, are traded as they are.
_KRAKEN: Final = re.compile(r"(?P<underlying>.+?)\.(?:[SMBFP]|HOLD)")
_KRAKEN_DAYS: Final = re.compile(r"(?P<underlying>.*\D)\d{2}")
_KRAKEN_NAMES: Final = {"ETH2": "ETH", "XBT": "BTC", "XDG": "DOGE"}
_KRAKEN_PREFIXED: Final = re.compile(r"[XZ](?P<underlying>[A-Z]{3})")
_BINANCE: Final = "LD"


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What an asset is at a venue.

    Attributes
    ----------
    kind : str
        As in `Valuation.classes`.
    reason : str
        Why it has no price of its own, as a sentence without its name.
    underlying : str or None
        What it stands for, where it stands for another.
    """

    kind: AssetClass
    reason: str
    underlying: str | None = None


class Listing:
    """
    Which assets a venue lists, and how.

    Parameters
    ----------
    markets : mapping from symbol to Market
        Inactive ones too.
    venue : str or None
        ccxt's id: how locked assets are named differs. ``None``: no name is read so.
    """

    __slots__ = ("_contracts", "_live", "_venue", "currencies", "spot")

    def __init__(self, markets: Mapping[str, Market], venue: str | None = None) -> None:
        self._venue = venue or ""
        self._live: set[str] = set()
        self._contracts: set[str] = set()
        self.spot: set[str] = set()
        for market in markets.values():
            if market.type != "spot":
                self._contracts.update(filter(None, (market.base, market.quote, market.settle)))
                continue
            self.spot.update((market.base, market.quote))
            if market.active:
                self._live.update((market.base, market.quote))
        self.currencies = self.spot | self._contracts

    def standing(self, asset: str, *, quoted: bool) -> Standing:
        """Return what an asset is that has no route; ``quoted``: one of its spot markets tells a usable price."""
        if asset in self._live:
            if quoted:
                return Standing("unreachable", "three markets do not lead from it to the quote")
            return Standing(
                "unquoted", "its markets tell no usable price: none was told, or it is too old, or the book is crossed"
            )
        return self._locked(asset) or self._leveraged(asset) or self._absent(asset)

    def _locked(self, asset: str) -> Standing | None:
        underlying = locked_underlying(asset, self._venue, self.spot) if asset not in self.spot else None
        if underlying is None:
            return None
        return Standing("locked", f"it is {underlying} in an earning product, and not traded itself", underlying)

    def _leveraged(self, asset: str) -> Standing | None:
        for pattern in _LEVERAGED:
            found = pattern.fullmatch(asset)
            if found and found["underlying"] in self.spot:
                underlying = found["underlying"]
                return Standing("leveraged", f"it is a leveraged token on {underlying} without a live market")
        return None

    def _absent(self, asset: str) -> Standing:
        if asset in self.spot:
            return Standing("delisted", "all of its markets are closed")
        if asset in self._contracts:
            return Standing("contracts", "it is traded only as contracts, at no spot price")
        return Standing("unlisted", "the venue lists no market of it")


def locked_underlying(asset: str, venue: str, listed: set[str]) -> str | None:
    """
    Return what an asset is a locked form of, by the venue's way to name them; ``None`` where it is none.

    Binance puts ``LD`` before what is in its savings: ``LDBTC``. Kraken appends how it is held: ``DOT.S``, ``USDT.F``,
    ``ATOM21.S``, ``EUR.HOLD``. Bybit and OKX leave it out of an account's balance. What is not in ``listed`` is not
    guessed at: Binance's ``LDSHIB2`` is no ``SHIB2``.
    """
    if venue.startswith("binance"):
        underlying = asset.removeprefix(_BINANCE)
        return underlying if underlying != asset and underlying in listed else None
    found = _KRAKEN.fullmatch(asset) if venue.startswith("kraken") else None
    if found is None:
        return None
    name = found["underlying"]
    forms = [name, _KRAKEN_NAMES.get(name)]
    forms += [match["underlying"] for rule in (_KRAKEN_DAYS, _KRAKEN_PREFIXED) if (match := rule.fullmatch(name))]
    return next((form for form in forms if form in listed and form != asset), None)
