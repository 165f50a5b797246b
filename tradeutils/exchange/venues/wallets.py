"""
Which wallets an account has on a venue, and what ccxt is told to ask for each.

A wallet is counted once: where one wallet serves several kinds of trading, as in a unified account, the kinds are
other names of it. From ccxt's classes, whose ``fetchBalance`` takes a ``type``; several of them answer for a type that
they do not know with the wallet that they do, so that nothing is handed on which is not in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tradeutils.errors import NotSupportedByVenue, UnknownName, UsageError

__all__ = ["Wallets", "wallets_of"]

_Params = Mapping[str, Any]

_TRADED: Final = ("spot", "margin", "swap", "future", "option")

# Every wallet of binance names both, as ccxt's options (defaultSubType, defaultMarginMode) count otherwise: they send
# the request for one wallet to another, or have swaps read as isolated margin, in which nothing is found.
_NEITHER: Final[_Params] = {"subType": "none", "marginMode": "none"}
_LINEAR: Final[_Params] = {"type": "swap", "subType": "linear", "marginMode": "none"}
_INVERSE: Final[_Params] = {"type": "swap", "subType": "inverse", "marginMode": "none"}

# By venue: its wallets with the parameters of ccxt for each, and other names of them.
_WALLETS: Final[Mapping[str, tuple[Mapping[str, _Params], Mapping[str, str]]]] = {
    "binance": (
        {
            "spot": {"type": "spot", **_NEITHER},
            "funding": {"type": "funding", **_NEITHER},
            "margin": {"type": "margin", "subType": "none", "marginMode": "cross"},
            "isolated": {"type": "margin", "subType": "none", "marginMode": "isolated"},
            "swap": _LINEAR,
            "inverse": _INVERSE,
        },
        {"cross": "margin", "future": "swap", "linear": "swap", "delivery": "inverse"},
    ),
    "binanceus": ({"spot": {"type": "spot", **_NEITHER}}, {}),
    "binanceusdm": ({"swap": _LINEAR}, {"future": "swap", "linear": "swap"}),
    "binancecoinm": ({"inverse": _INVERSE}, {"swap": "inverse", "future": "inverse", "delivery": "inverse"}),
    "bybit": (
        {"unified": {"type": "unified"}, "funding": {"type": "funding"}},
        dict.fromkeys((*_TRADED, "trading", "linear", "inverse"), "unified"),
    ),
    "kraken": ({"spot": {}}, {"margin": "spot"}),  # margin is borrowed against what lies on spot
    "mexc": ({"spot": {"type": "spot"}, "swap": {"type": "swap"}}, {}),
    "okx": (
        {"trading": {"type": "trading"}, "funding": {"type": "funding"}},
        dict.fromkeys((*_TRADED, "unified"), "trading"),
    ),
}
_SAME_AS: Final = {"okxus": "okx", "myokx": "okx"}


@dataclass(frozen=True, slots=True)
class Wallets:
    """
    The wallets of an account.

    Attributes
    ----------
    venue : str
        ccxt's name of it.
    default : str
        The one that is asked for unless another is named.
    """

    venue: str
    default: str
    _params: Mapping[str, _Params]
    _aliases: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Each wallet by its one name, the default first."""
        return (self.default, *(name for name in self._params if name != self.default))

    def named(self, wallet: str) -> str:
        """
        Return the one name of a wallet.

        Raises
        ------
        NotSupportedByVenue : the venue has no such wallet; venues that have one are named.
        UnknownName : no venue has.
        """
        if not isinstance(wallet, str):
            raise UsageError(f"wallet was {wallet!r}; write one of {', '.join(self.names)}")
        if wallet == self.default or wallet in self._params:
            return wallet
        if wallet in self._aliases:
            return self._aliases[wallet]
        others = [venue for venue, (own, aliases) in _WALLETS.items() if wallet in own or wallet in aliases]
        if not others:
            raise UnknownName("wallet", wallet, [*self.names, *self._aliases], where=self.venue)
        text = f"has no wallet {wallet!r}; it has {', '.join(self.names)}; with one: {', '.join(others)}"
        raise NotSupportedByVenue(text, venue=self.venue, operation="fetch_balance", alternatives=others)

    def params(self, wallet: str) -> dict[str, Any]:
        """Return ccxt's parameters for a wallet by its one name."""
        return dict(self._params.get(wallet, {}))


def wallets_of(ccxt: Any) -> Wallets:
    """Return the wallets that an instance of ccxt can be asked for; of a venue without an entry, its default alone."""
    venue = str(ccxt.id)
    kind = str(ccxt.handle_market_type_and_params("fetchBalance", None, {})[0])
    known = _WALLETS.get(_SAME_AS.get(venue, venue))
    if known is None or ccxt.options.get("portfolioMargin"):  # one wallet for all, which ccxt asks for by itself
        name = kind if known is None else "portfolio"
        return Wallets(venue, name, MappingProxyType({name: {}}), MappingProxyType({}))
    own, aliases = known
    if "isolated" in own and kind == "margin" and ccxt.handle_margin_mode_and_params("fetchBalance")[0] == "isolated":
        kind = "isolated"
    elif "inverse" in own and aliases.get(kind, kind) == "swap":
        kind = "inverse" if ccxt.handle_sub_type_and_params("fetchBalance")[0] == "inverse" else "swap"
    default = kind if kind in own else aliases.get(kind)
    if default is None:  # the one wallet of a class, or one that ccxt's options name and that is not listed here
        default = next(iter(own)) if len(own) == 1 else kind
    return Wallets(venue, default, MappingProxyType(dict(own)), MappingProxyType(dict(aliases)))
