"""
The assets of a generated market: the well-known ones first, made-up names after them.

Prices are of the right order of magnitude for 2025 and nothing more.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from tradeutils.errors import UsageError
from tradeutils.sim.instruments import Instrument, salt

__all__ = ["MAX_SYMBOLS", "Asset", "asset_of", "generated_instruments", "generated_swaps", "instrument_of", "swap_of"]

MAX_SYMBOLS: Final = 20_000
"""Markets that one venue generates at most."""

_FIAT: Final = {"USDT": 1.0, "USDC": 1.0, "FDUSD": 1.0, "EUR": 1.08, "GBP": 1.27, "TRY": 0.029, "BRL": 0.18}
_PRICES: Final = {
    "BTC": 67_000.0, "ETH": 3_500.0, "BNB": 590.0, "SOL": 165.0, "XRP": 0.52, "DOGE": 0.16, "ADA": 0.46, "TRX": 0.112,
    "AVAX": 36.0, "SHIB": 0.0000245, "LINK": 17.5, "DOT": 7.2, "LTC": 83.0, "BCH": 470.0, "NEAR": 7.4, "UNI": 10.4,
    "APT": 9.1, "PEPE": 0.0000142, "ICP": 12.1, "ETC": 29.5, "XLM": 0.107, "FIL": 5.9, "ATOM": 8.5, "ARB": 1.12,
    "INJ": 26.0, "OP": 2.45, "HBAR": 0.103, "VET": 0.035, "SUI": 1.05, "AAVE": 106.0, "GRT": 0.31, "ALGO": 0.19,
    "RUNE": 6.2, "MKR": 2_750.0, "FTM": 0.80, "SAND": 0.45, "AXS": 7.8, "MANA": 0.45, "XTZ": 0.96, "EOS": 0.80,
    "FLOW": 0.92, "CHZ": 0.144, "CRV": 0.44, "LDO": 2.1, "SNX": 2.9, "GALA": 0.045, "DYDX": 2.1, "COMP": 60.0,
    "ZEC": 23.5, "DASH": 30.5, "ENJ": 0.29, "1INCH": 0.43, "BAT": 0.25, "ZIL": 0.024, "IOTA": 0.22, "NEO": 15.2,
    "KSM": 29.6, "QTUM": 3.7, "YFI": 6_900.0, "SUSHI": 1.15,
}  # fmt: skip
# Beside the USDT markets, so that a value can be converted by more than one route.
_CROSSES: Final = {
    4: "ETH/BTC",
    7: "BNB/BTC",
    9: "EUR/USDT",
    12: "USDC/USDT",
    15: "BTC/EUR",
    18: "SOL/BTC",
    22: "BNB/ETH",
}
_LEAST_COST: Final = {"BTC": "0.0001", "ETH": "0.001", "BNB": "0.01"}
_SYLLABLES: Final = tuple(c + v for c in "BDFGKLMNPRTVZ" for v in "AEIOU")


@dataclass(frozen=True, slots=True)
class Asset:
    """
    How an asset moves.

    Attributes
    ----------
    price : float
        In USD, what it hovers about.
    volatility : float
        Standard deviation of its own daily moves, as a fraction.
    beta : float
        How far it goes along with BTC.
    volume : float
        USD traded in a day.
    """

    name: str
    price: float
    volatility: float
    beta: float
    volume: float


@functools.lru_cache(maxsize=MAX_SYMBOLS)
def asset_of(name: str) -> Asset:
    """Return how an asset moves; an unknown one is made up from its name."""
    if name in _FIAT:
        return Asset(name, _FIAT[name], 0.0 if name == "USDT" else 0.0002 if _FIAT[name] == 1.0 else 0.004, 0.0, 5e7)
    if name == "BTC":
        return Asset(name, _PRICES[name], 0.028, 1.0, 2.4e9)
    rank = list(_PRICES).index(name) + 1 if name in _PRICES else 80 + salt("rank", name) % 900
    first, second, third = (salt(kind, name) / 2.0**64 for kind in ("price", "volatility", "beta"))
    price = _PRICES.get(name, 10.0 ** (5 * first - 4))
    return Asset(name, price, 0.018 + 0.03 * second, 0.7 + 0.6 * third, 2.4e9 / rank**1.35)


def generated_instruments(symbols: int | Sequence[str]) -> list[Instrument]:
    """
    Return the instruments of a generated market.

    Parameters
    ----------
    symbols : int or sequence of str
        How many: BTC/USDT and ETH/USDT first, crosses such as ETH/BTC and EUR/USDT among the first. Or which:
        ``["BTC/USDT", "ETH/BTC"]``.

    Raises
    ------
    UsageError : a number outside 1 to `MAX_SYMBOLS`, or a symbol that is not ``BASE/QUOTE``.
    """
    if isinstance(symbols, str):
        raise UsageError(f'symbols was {symbols!r}; give a number, or a list: ["{symbols}"]')
    if isinstance(symbols, int):
        if isinstance(symbols, bool) or not 1 <= symbols <= MAX_SYMBOLS:
            raise UsageError(f"symbols was {symbols!r}; give a number from 1 to {MAX_SYMBOLS}, or a list of symbols")
        names = _names()
        return [instrument_of(*next(names).split("/"), rank=rank) for rank in range(symbols)]
    pairs = [str(symbol).split("/") for symbol in symbols]
    for symbol, pair in zip(symbols, pairs, strict=True):
        if len(pair) != 2 or pair[0] == pair[1] or not all(part.isascii() and part.isalnum() for part in pair):
            raise UsageError(f'symbol was {symbol!r}; name the markets to generate as "BTC/USDT"')
    if not pairs:
        raise UsageError("symbols was empty; give a number, or a list of symbols")
    return [instrument_of(base.upper(), quote.upper(), rank=rank) for rank, (base, quote) in enumerate(pairs)]


def generated_swaps(linear: int | Sequence[str]) -> list[Instrument]:
    """
    Return the linear perpetual swaps of a generated market.

    Parameters
    ----------
    linear : int or sequence of str
        How many: BTC/USDT:USDT and ETH/USDT:USDT first. Or which: ``["BTC/USDT:USDT"]``, short ``["BTC/USDT"]``.

    Raises
    ------
    UsageError : a number outside 0 to `MAX_SYMBOLS`, or a symbol that is not ``BASE/QUOTE`` or ``BASE/QUOTE:QUOTE``.
    """
    if isinstance(linear, str):
        raise UsageError(f'linear was {linear!r}; give a number, or a list: ["{linear}"]')
    if isinstance(linear, int):
        if isinstance(linear, bool) or not 0 <= linear <= MAX_SYMBOLS:
            raise UsageError(f"linear was {linear!r}; give a number from 0 to {MAX_SYMBOLS}, or a list of symbols")
        bases = _bases()
        return [swap_of(instrument_of(next(bases), "USDT", rank=rank)) for rank in range(linear)]
    pairs = []
    for symbol in linear:
        pair, told, settle = str(symbol).partition(":")
        if told and pair.rpartition("/")[2] != settle:
            raise UsageError(
                f'linear named {symbol!r}; a linear swap is settled in its quote: write "BTC/USDT:USDT" or "BTC/USDT"'
            )
        pairs.append(pair)
    return [swap_of(instrument) for instrument in generated_instruments(pairs)] if pairs else []


def swap_of(spot: Instrument) -> Instrument:
    """Return the rules of the perpetual swap on the pair of a spot market, settled in its quote."""
    return replace(spot, kind="linear", settle=spot.quote, margin=False)


def _names() -> Iterator[str]:
    taken = 0
    for base in _bases():
        if taken in _CROSSES:
            yield _CROSSES[taken]
            taken += 1
        yield f"{base}/USDT"
        taken += 1


def _bases() -> Iterator[str]:
    yield from _PRICES
    for number in range(MAX_SYMBOLS):
        # A walk over all words of four syllables: near ones look nothing alike, none comes twice.
        word, name = number * 7_654_321 % len(_SYLLABLES) ** 4, ""
        for _ in range(4):
            word, syllable = divmod(word, len(_SYLLABLES))
            name += _SYLLABLES[syllable]
        yield name[:6]


def instrument_of(base: str, quote: str, *, rank: int) -> Instrument:
    """Return the rules of a generated market: steps that suit its price, as venues choose them."""
    price = asset_of(base).price
    digits = math.floor(math.log10(price / asset_of(quote).price))
    amount = min(8, max(0, math.floor(math.log10(price)) + 1))
    return Instrument(
        base=base,
        quote=quote,
        price_decimals=min(8, max(2, 4 - digits)),
        amount_decimals=amount,
        min_amount=Decimal(1).scaleb(-amount),
        min_cost=Decimal(_LEAST_COST.get(quote, "5")),
        margin=rank < 40,
    )
