"""
From ccxt's unified dictionaries to our values.

ccxt is run with ``number=Decimal``, so every figure arrives as the venue wrote it: market data becomes float,
money stays Decimal, and nothing of the latter passes through a float.

Each function takes ``info``: whether the value keeps what the venue itself sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final, cast

from tradeutils.errors import BadReply
from tradeutils.model import (
    AssetBalance,
    Balance,
    Fill,
    FundingRate,
    Market,
    OpenInterest,
    Order,
    OrderBook,
    Ticker,
    Trade,
    TradingFee,
)
from tradeutils.model.info import Raw
from tradeutils.model.info import raw as _frozen
from tradeutils.model.markets import MarketType
from tradeutils.model.records import Side

__all__ = [
    "balance",
    "fill",
    "funding_rate",
    "market",
    "open_interest",
    "order",
    "order_book",
    "past_funding_rate",
    "ticker",
    "trade",
    "trading_fee",
]

# Sums of money keep every digit, whatever precision the application has set for its own Decimals.
_EXACT: Final = Context(prec=400)
_MOST_DIGITS: Final = 60  # of an amount, before the point or ahead of its first digit
_LONGEST: Final = 100  # characters

_TICK_SIZE: Final = 4
_DECIMAL_PLACES: Final = 2
_NOT_YET: Final = -1  # binance's time of an order that waits for a price
_TRIGGERS: Final = ("triggerPrice", "stopPrice", "stopLossPrice", "takeProfitPrice")  # an order waits for one of them
_MARKET_TYPES: Final = ("spot", "margin", "swap", "future", "option")


def _float(value: Any) -> float | None:
    """Return a figure of market data; what is no number is not known."""
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def _info(raw: Mapping[str, Any], wanted: bool) -> Raw | None:
    """Return what the venue itself sent, where it is wanted; ccxt hands it on as ``info``."""
    return _frozen(raw.get("info")) if wanted else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _decimal(value: Any) -> Decimal | None:
    """Return an amount of money exactly as written; what is no number is not known."""
    if value is None or value == "":
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _money(value: Any, what: str, venue: str) -> Decimal:
    """Return an amount that must be readable: a balance that cannot be read is an error, never zero."""
    amount = _decimal(value)
    # Sums are exact as far as they have room: 1E+999999 would make them infinite, and a million digits on a screen.
    if amount is None or abs(amount.adjusted()) > _MOST_DIGITS or len(str(value)) > _LONGEST:
        raise BadReply(f"{what} was {str(value)[:60]!r}, which is no amount", venue=venue, operation="fetch_balance")
    return amount


def _bare(value: Decimal) -> Decimal:
    """Return a fraction without zeros at its end: venues write 0.00001000, and multiples of it would have them too."""
    bare = _EXACT.normalize(value)
    return bare if int(bare.as_tuple().exponent) < 0 else value


def _step(precision: Any, mode: int) -> Decimal | None:
    """Return a precision as the smallest difference; significant digits have none."""
    value = _decimal(precision)
    if value is None:
        return None
    if mode == _TICK_SIZE:
        return _bare(value) if value > 0 else None
    if mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(value))
    return None


def market(raw: Mapping[str, Any], precision_mode: int, *, info: bool = False) -> Market:
    """Return a market from ccxt's market structure."""
    limits = raw.get("limits") or {}
    precision = raw.get("precision") or {}

    def bound(kind: str, side: str) -> Decimal | None:
        return _decimal((limits.get(kind) or {}).get(side))

    kind = raw.get("type")
    return Market(
        symbol=str(raw["symbol"]),
        id=str(raw.get("id") or raw["symbol"]),
        base=str(raw.get("base") or ""),
        quote=str(raw.get("quote") or ""),
        type=cast(MarketType, kind) if kind in _MARKET_TYPES else "spot",
        active=raw.get("active") is not False,
        settle=_text(raw.get("settle")),
        linear=raw.get("linear"),
        inverse=raw.get("inverse"),
        contract_size=_decimal(raw.get("contractSize")),
        expiry=_int(raw.get("expiry")),
        listed=_int(raw.get("created")),
        amount_step=_step(precision.get("amount"), precision_mode),
        price_step=_step(precision.get("price"), precision_mode),
        min_amount=bound("amount", "min"),
        max_amount=bound("amount", "max"),
        min_price=bound("price", "min"),
        max_price=bound("price", "max"),
        min_cost=bound("cost", "min"),
        max_cost=bound("cost", "max"),
        maker=_decimal(raw.get("maker")),
        taker=_decimal(raw.get("taker")),
        fee_side=_text(raw.get("feeSide")),
        info=_info(raw, info),
    )


def ticker(raw: Mapping[str, Any], *, info: bool = False) -> Ticker:
    """Return a ticker from ccxt's ticker structure."""
    last = raw.get("last")
    return Ticker(
        symbol=str(raw["symbol"]),
        time=_int(raw.get("timestamp")),
        last=_float(last if last is not None else raw.get("close")),
        bid=_float(raw.get("bid")),
        ask=_float(raw.get("ask")),
        bid_volume=_float(raw.get("bidVolume")),
        ask_volume=_float(raw.get("askVolume")),
        open=_float(raw.get("open")),
        high=_float(raw.get("high")),
        low=_float(raw.get("low")),
        vwap=_float(raw.get("vwap")),
        percentage=_float(raw.get("percentage")),
        base_volume=_float(raw.get("baseVolume")),
        quote_volume=_float(raw.get("quoteVolume")),
        info=_info(raw, info),
    )


def order_book(raw: Mapping[str, Any], symbol: str, *, info: bool = False) -> OrderBook:
    """
    Return a book from ccxt's order book structure; levels beyond price and amount are dropped.

    Most of ccxt's classes keep nothing of the venue's reply for a book: then there is no ``info`` either.
    """
    return OrderBook(
        symbol=symbol,
        bids=[level[:2] for level in raw.get("bids") or ()],  # type: ignore[arg-type]  # made an array there
        asks=[level[:2] for level in raw.get("asks") or ()],  # type: ignore[arg-type]
        time=_int(raw.get("timestamp")),
        sequence=_int(raw.get("nonce")),
        info=_info(raw, info),
    )


def trade(raw: Mapping[str, Any], symbol: str, *, info: bool = False) -> Trade:
    """Return a public trade from ccxt's trade structure."""
    price, amount = _float(raw.get("price")), _float(raw.get("amount"))
    if price is None or amount is None or raw.get("timestamp") is None:
        raise BadReply("a trade lacks its price, amount or time", operation="fetch_trades", symbol=symbol)
    side = raw.get("side")
    return Trade(
        symbol=symbol,
        id=_text(raw.get("id")),
        time=int(raw["timestamp"]),
        price=price,
        amount=amount,
        side=cast(Side, side) if side in ("buy", "sell") else None,
        info=_info(raw, info),
    )


def funding_rate(raw: Mapping[str, Any], *, info: bool = False) -> FundingRate:
    """Return the present funding rate from ccxt's funding rate structure."""
    return FundingRate(
        symbol=str(raw["symbol"]),
        rate=_float(raw.get("fundingRate")),
        time=_int(raw.get("timestamp")),
        funding_time=_int(raw.get("fundingTimestamp")),
        interval=_text(raw.get("interval")),
        next_rate=_float(raw.get("nextFundingRate")),
        mark_price=_float(raw.get("markPrice")),
        index_price=_float(raw.get("indexPrice")),
        info=_info(raw, info),
    )


def past_funding_rate(raw: Mapping[str, Any], symbol: str, *, info: bool = False) -> FundingRate:
    """Return one payment of the past from ccxt's funding rate history structure."""
    rate, time = _float(raw.get("fundingRate")), _int(raw.get("timestamp"))
    if rate is None or time is None:
        raise BadReply("a funding rate lacks its rate or time", operation="fetch_funding_rate_history", symbol=symbol)
    return FundingRate(symbol=symbol, rate=rate, time=time, funding_time=time, info=_info(raw, info))


def open_interest(raw: Mapping[str, Any], symbol: str, *, info: bool = False) -> OpenInterest:
    """Return open interest from ccxt's open interest structure; one without any figure is no answer."""
    amount, value = _float(raw.get("openInterestAmount")), _float(raw.get("openInterestValue"))
    if amount is None and value is None:
        raise BadReply("open interest lacks its amount and value", operation="fetch_open_interest", symbol=symbol)
    return OpenInterest(
        symbol=symbol, amount=amount, value=value, time=_int(raw.get("timestamp")), info=_info(raw, info)
    )


def _fee(raw: Mapping[str, Any]) -> tuple[Decimal | None, str | None]:
    """Return the fee of an order or a trade, and its currency; fees in several currencies have no sum."""
    told = [one for one in raw.get("fees") or [raw.get("fee")] if one and _decimal(one.get("cost")) is not None]
    currencies = {one.get("currency") for one in told}
    if len(currencies) != 1:
        return None, None
    total = Decimal(0)
    for one in told:
        total = _EXACT.add(total, cast(Decimal, _decimal(one["cost"])))
    return total, _text(currencies.pop())


def order(raw: Mapping[str, Any], symbol: str | None = None, *, info: bool = False) -> Order:
    """Return an order from ccxt's order structure, which may lack even the symbol that was asked for."""
    fee, fee_currency = _fee(raw)
    side = raw.get("side")
    return Order(
        symbol=str(raw.get("symbol") or symbol or ""),
        id=_text(raw.get("id")),
        client_id=_text(raw.get("clientOrderId")),
        type=_text(raw.get("type")),
        side=cast(Side, side) if side in ("buy", "sell") else None,
        status=_text(raw.get("status")),
        price=_decimal(raw.get("price")),
        amount=_decimal(raw.get("amount")),
        filled=_decimal(raw.get("filled")),
        remaining=_decimal(raw.get("remaining")),
        average=_decimal(raw.get("average")),
        cost=_decimal(raw.get("cost")),
        fee=fee,
        fee_currency=fee_currency,
        stop_price=next((price for price in (_decimal(raw.get(name)) for name in _TRIGGERS) if price), None),
        time_in_force=_text(raw.get("timeInForce")),
        post_only=raw.get("postOnly"),
        reduce_only=raw.get("reduceOnly"),
        time=_int(raw.get("timestamp")) if raw.get("timestamp") != _NOT_YET else None,
        info=_info(raw, info),
    )


def trading_fee(raw: Mapping[str, Any], symbol: str) -> TradingFee:
    """Return an account's fees from ccxt's trading fee structure; a reply without any is none."""
    fee = TradingFee(symbol=symbol, maker=_decimal(raw.get("maker")), taker=_decimal(raw.get("taker")))
    if fee.maker is None and fee.taker is None:
        raise BadReply("the reply names no fees", operation="fetch_trading_fee", symbol=symbol)
    return fee


def fill(raw: Mapping[str, Any], symbol: str, *, info: bool = False) -> Fill:
    """Return a trade of the account from ccxt's trade structure."""
    price, amount = _decimal(raw.get("price")), _decimal(raw.get("amount"))
    if price is None or amount is None or raw.get("timestamp") is None:
        raise BadReply("a trade lacks its price, amount or time", operation="fetch_my_trades", symbol=symbol)
    fee, fee_currency = _fee(raw)
    side, role = raw.get("side"), raw.get("takerOrMaker")
    return Fill(
        symbol=symbol,
        id=_text(raw.get("id")),
        order_id=_text(raw.get("order")),
        time=int(raw["timestamp"]),
        side=cast(Side, side) if side in ("buy", "sell") else None,
        price=price,
        amount=amount,
        cost=_decimal(raw.get("cost")),
        fee=fee,
        fee_currency=fee_currency,
        maker=role == "maker" if role in ("maker", "taker") else None,
        info=_info(raw, info),
    )


def balance(
    raw: Mapping[str, Any],
    venue: str,
    account: str | None,
    time: int,
    *,
    wallet: str | None = None,
    info: bool = False,
) -> Balance:
    """Return what ccxt's balance structure says at ``time``, ms UTC, without assets that are neither held nor owed."""
    assets: dict[str, AssetBalance] = {}
    debts = raw.get("debt") or {}
    for asset in raw.get("total") or {}:
        held = _asset(raw.get(asset) or {}, debts.get(asset), asset, venue)
        if held.free or held.used or held.total or held.debt:
            assets[asset] = held
    return Balance(venue=venue, account=account, time=time, assets=assets, wallet=wallet, info=_info(raw, info))


def _asset(entry: Mapping[str, Any], debt: Any, asset: str, venue: str) -> AssetBalance:
    """Return one asset's balance; where the venue tells only one of free and total, the other follows from it."""

    def part(name: str) -> Decimal | None:
        return None if entry.get(name) is None else _money(entry[name], f"{asset} {name}", venue)

    free, used, total = part("free"), part("used"), part("total")
    if free is None and total is None:
        raise BadReply(f"{asset} has neither a free nor a total amount", venue=venue, operation="fetch_balance")
    if used is None:
        used = _EXACT.subtract(total, free) if free is not None and total is not None else Decimal(0)
    if total is None:
        total = _EXACT.add(cast(Decimal, free), used)
    if free is None:
        free = _EXACT.subtract(total, used)
    return AssetBalance(
        free=free, used=used, total=total, debt=Decimal(0) if debt is None else _money(debt, f"{asset} debt", venue)
    )
