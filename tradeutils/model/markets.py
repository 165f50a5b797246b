"""
A market and its rules: what orders are held to.

Each has ``info``: what the venue itself sent, read-only, where the exchange was opened with ``info=True``. It takes
no part in comparisons and is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from tradeutils.errors import UsageError
from tradeutils.model.info import Raw, freeze_info
from tradeutils.model.rounding import Rounding, check_amount, check_direction, to_digits, to_step

__all__ = ["Market", "MarketType"]

MarketType: TypeAlias = Literal["spot", "margin", "swap", "future", "option"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """
    A market and its rules.

    Attributes
    ----------
    symbol, id : str
        Unified (``"BTC/USDT"``, ``"BTC/USDT:USDT"``) and the venue's own (``"BTCUSDT"``).
    amount_step, price_step : Decimal or None
        Smallest difference between two amounts (in base units or contracts) and two prices (in quote).
    price_digits : int or None
        Significant digits that a price may have, on venues that count them (bitfinex, hyperliquid).
    whole_prices : bool
        Whether a price without a fraction may have more digits than that (hyperliquid).
    min_amount, max_amount, min_price, max_price, min_cost, max_cost : Decimal or None
        What an order must keep to; cost is price times amount in the quote currency.
    maker, taker : Decimal or None
        Fees as a fraction: ``Decimal("0.001")`` is 0.1 %.
    fee_side : str or None
        What a fee is taken from: ``"get"`` what is received, ``"give"`` what is paid, ``"base"`` or ``"quote"``;
        ``None``: the quote currency. Contracts pay in the currency they settle in.
    contract_size : Decimal or None
        Base units (inverse: quote units) in one contract; ``None`` on spot.
    expiry : int or None
        Milliseconds UTC at which a future or option ends.
    listed : int or None
        Milliseconds UTC at which trading began, where the venue says.
    """

    symbol: str
    id: str
    base: str
    quote: str
    type: MarketType = "spot"
    active: bool = True
    settle: str | None = None
    linear: bool | None = None
    inverse: bool | None = None
    contract_size: Decimal | None = None
    expiry: int | None = None
    listed: int | None = None
    amount_step: Decimal | None = None
    price_step: Decimal | None = None
    price_digits: int | None = None
    whole_prices: bool = False
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_cost: Decimal | None = None
    max_cost: Decimal | None = None
    maker: Decimal | None = None
    taker: Decimal | None = None
    fee_side: str | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)

    def round_amount(self, amount: Decimal, direction: Rounding = "down") -> Decimal:
        """
        Return an amount rounded to `amount_step`; one that fits already as it is.

        Parameters
        ----------
        amount : Decimal
            Base units or contracts, above 0.
        direction : str
            ``"down"``: towards zero; ``"up"``; ``"nearest"``: of two steps equally near the upper one.

        Raises
        ------
        UsageError : not a Decimal above 0, or one that would become 0.

        Examples
        --------
        >>> market = Market(symbol="BTC/USDT", id="BTCUSDT", base="BTC", quote="USDT", amount_step=Decimal("0.00001"))
        >>> market.round_amount(Decimal("0.0123456")), market.round_amount(Decimal("0.0123456"), "up")
        (Decimal('0.01234'), Decimal('0.01235'))
        """
        check_direction(direction)
        value = check_amount("amount", amount)
        rounded = value if self.amount_step is None else to_step(value, self.amount_step, direction)
        return self._above_zero("amount", value, rounded, self.min_amount or self.amount_step)

    def round_price(self, price: Decimal, direction: Rounding) -> Decimal:
        """
        Return a price rounded to `price_digits` and `price_step`; one that fits already as it is.

        Parameters
        ----------
        price : Decimal
            In the quote currency, above 0.
        direction : str
            As in `round_amount`. A buyer who rounds down pays no more than he said, a seller who rounds up gets no
            less.

        Raises
        ------
        UsageError : not a Decimal above 0, or one that would become 0.
        """
        check_direction(direction)
        value = rounded = check_amount("price", price)
        if self.price_digits is not None:
            rounded = to_digits(rounded, self.price_digits, direction, whole=self.whole_prices)
        if self.price_step is not None and rounded:
            rounded = to_step(rounded, self.price_step, direction)
        return self._above_zero("price", value, rounded, self.min_price or self.price_step)

    def _above_zero(self, name: str, value: Decimal, rounded: Decimal, least: Decimal | None) -> Decimal:
        if rounded:
            return rounded
        raise UsageError(
            f"{name} was {value:f}, which would be rounded to 0; the minimum {name} of {self.symbol} is {least:f}: "
            f"write {least:f} or more"
        )
