"""What is traded on the simulated venue, and by which rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from tradeutils.errors import DataError, UsageError

__all__ = ["KINDS", "Instrument", "Kind", "index_by_id", "instruments_of_listing", "salt"]

Kind: TypeAlias = Literal["spot", "linear"]
"""A spot market, or a perpetual swap that is settled in its quote."""
KINDS: Final[tuple[Kind, ...]] = ("spot", "linear")

_COINS: Final = frozenset({"BTC", "ETH", "BNB"})
_MAX_DECIMALS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """
    A market and its rules, the same in every dialect.

    Attributes
    ----------
    base, quote : str
        What is bought, and what it is paid with.
    kind : "spot" or "linear"
        Linear: a perpetual swap, settled in ``settle``.
    settle : str or None
        What gains and losses of a swap are paid in, ``"USDT"``; ``None`` for spot.
    contract_size : Decimal
        Base units in a contract; 1 in all that is generated. The market and the ledger count in base units throughout,
        so that volumes are equal in every dialect; a dialect whose venue counts contracts of another size converts
        where it reads and writes, with a contract value of its own.
    price_decimals, amount_decimals : int
        Digits after the point of a price and an amount; the steps are powers of ten.
    min_amount, max_amount : Decimal
        In base units.
    min_cost : Decimal
        Smallest price times amount, in quote.
    listed : int
        Milliseconds UTC at which trading began.
    active : bool
        False where trading is halted.
    margin : bool
        Whether it may be traded on margin as well.
    """

    base: str
    quote: str
    price_decimals: int
    amount_decimals: int
    min_amount: Decimal
    max_amount: Decimal = Decimal(9_000_000_000)
    min_cost: Decimal
    listed: int = 0
    active: bool = True
    margin: bool = False
    kind: Kind = "spot"
    settle: str | None = None
    contract_size: Decimal = Decimal(1)

    @property
    def name(self) -> str:
        """The assets without a separator: ``"BTCUSDT"``; a spot market and a swap may share it."""
        return self.base + self.quote

    @property
    def id(self) -> str:
        """The key in a market and a ledger: ``"BTCUSDT"``, of a swap ``"BTCUSDT-PERP"``."""
        return self.name if self.kind == "spot" else f"{self.name}-PERP"

    @property
    def symbol(self) -> str:
        """The unified name: ``"BTC/USDT"``, of a swap ``"BTC/USDT:USDT"``."""
        return f"{self.base}/{self.quote}" + (f":{self.settle}" if self.settle else "")

    @property
    def price_step(self) -> Decimal:
        """Smallest difference between two prices."""
        return Decimal(1).scaleb(-self.price_decimals)

    @property
    def amount_step(self) -> Decimal:
        """Smallest difference between two amounts."""
        return Decimal(1).scaleb(-self.amount_decimals)

    @property
    def cost_decimals(self) -> int:
        """Digits to which volumes in quote are kept; fewer where they are large, so that sums stay exact."""
        return _MAX_DECIMALS if self.quote in _COINS else 4


def salt(*parts: object) -> int:
    """Return 64 bits that depend on every part and on nothing else: the same on every machine and run."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def instruments_of_listing(listing: Mapping[str, Any]) -> list[Instrument]:
    """
    Return the instruments of a Binance ``exchangeInfo`` reply.

    Raises
    ------
    DataError : it is not such a reply; the symbol at fault is named.
    """
    rows = listing.get("symbols")
    if not isinstance(rows, list) or not rows:
        raise DataError('the recorded listing has no "symbols"; give the JSON of a Binance exchangeInfo reply')
    return [_of_row(row) for row in rows]


def _of_row(row: Any) -> Instrument:
    try:
        filters = {entry["filterType"]: entry for entry in row["filters"]}
        lot = filters["LOT_SIZE"]
        cost = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {"minNotional": "0"}
        return Instrument(
            base=row["baseAsset"],
            quote=row["quoteAsset"],
            price_decimals=decimals(Decimal(filters["PRICE_FILTER"]["tickSize"])),
            amount_decimals=decimals(Decimal(lot["stepSize"])),
            min_amount=Decimal(lot["minQty"]),
            max_amount=Decimal(lot["maxQty"]),
            min_cost=Decimal(cost["minNotional"]),
            active=row["status"] == "TRADING",
            margin=bool(row.get("isMarginTradingAllowed")),
        )
    except (KeyError, TypeError, ArithmeticError) as error:
        name = row.get("symbol") if isinstance(row, dict) else row
        raise DataError(f"the recorded listing does not describe {name!r} as Binance does: {error!r}") from error


def decimals(step: Decimal) -> int:
    """Return the digits after the point of a step, 0 to 8; a step of 0 is none, and so as fine as can be."""
    if step <= 0:
        return _MAX_DECIMALS
    exponent = step.normalize().as_tuple().exponent
    return min(_MAX_DECIMALS, max(0, -int(exponent)))


def index_by_id(instruments: Iterable[Instrument]) -> dict[str, Instrument]:
    """Return the instruments by id; raise `UsageError` where two share one."""
    indexed: dict[str, Instrument] = {}
    for instrument in instruments:
        twin = indexed.setdefault(instrument.id, instrument)
        if twin is not instrument:
            raise UsageError(
                f"{twin.symbol} and {instrument.symbol} are both {instrument.id} on this venue; leave one out"
            )
    return indexed
