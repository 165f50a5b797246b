"""
What an order is worth and what it would cost: exact, from a market's own figures, without a request.

ccxt's ``calculate_fee`` is the model for where a fee is taken from. On contracts it forgets their size, and multiplies
by the price where an inverse one divides; here the fee is a fraction of what is traded, as the venues charge it.
"""

from __future__ import annotations

from decimal import Decimal

from tradeutils.errors import UsageError
from tradeutils.model import Fee, Market
from tradeutils.model.records import Side
from tradeutils.model.rounding import EXACT, check_amount

__all__ = ["check_side", "estimate_fee", "notional"]

_DIGITS = Decimal(1).scaleb(-30)  # of a quotient: what an inverse contract is worth has no end of them


def check_side(side: object) -> Side:
    """Return ``"buy"`` or ``"sell"``, or raise `UsageError`."""
    if side == "buy":
        return "buy"
    if side == "sell":
        return "sell"
    raise UsageError(f'side was {side!r}; write "buy" or "sell"')


def notional(market: Market, amount: Decimal, price: Decimal) -> Decimal | None:
    """
    Return what an amount is worth at a price.

    Spot: amount x price. Linear contracts: amount x contract size x price. Both in the quote currency. Inverse ones:
    amount x contract size / price, in the base currency, to 30 places. ``None`` where the venue does not tell the size
    of a contract.
    """
    if market.type in ("spot", "margin"):
        return EXACT.multiply(amount, price)
    if market.contract_size is None:
        return None
    size = EXACT.multiply(amount, market.contract_size)
    if market.inverse:
        return EXACT.quantize(EXACT.divide(size, price), _DIGITS)
    return EXACT.multiply(size, price)


def estimate_fee(
    market: Market, side: object, amount: object, price: object, *, maker: bool = False, rate: Decimal | None = None
) -> Fee:
    """
    Return what an order would cost if all of it were traded at ``price``.

    Raises
    ------
    UsageError : an amount, a price or a rate that is no Decimal; the market's rate or size is not known.
    """
    bought = check_side(side) == "buy"
    traded, at = check_amount("amount", amount), check_amount("price", price)
    known = (market.maker if maker else market.taker) if rate is None else rate
    if not isinstance(known, Decimal) or not known.is_finite():
        role = "maker" if maker else "taker"
        if rate is not None:
            raise UsageError(f'rate was {rate!r:.40}; write a fraction, as in Decimal("0.001")')
        raise UsageError(f"the {role} fee of {market.symbol} is not known; give rate=, as in Decimal('0.001')")
    worth = notional(market, traded, at)
    if worth is None:
        raise UsageError(f"the size of a contract of {market.symbol} is not known, and so is not what it is worth")
    if market.type not in ("spot", "margin"):
        return Fee(cost=EXACT.multiply(worth, known), currency=market.settle, rate=known, maker=maker)
    in_quote = {"get": not bought, "give": bought, "base": False}.get(market.fee_side or "quote", True)
    return Fee(
        cost=EXACT.multiply(worth if in_quote else traded, known),
        currency=market.quote if in_quote else market.base,
        rate=known,
        maker=maker,
    )
