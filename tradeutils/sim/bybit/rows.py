"""How Bybit tells of an order and of what was filled of it; figures are text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.bybit.names import order_name
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.orders import Fill, PlacedOrder, Watched

__all__ = ["WATCHED", "describe_fill", "describe_order", "is_stop", "rates_of", "status"]

_STATUS: Final = {"new": "New", "partly filled": "PartiallyFilled", "filled": "Filled"}
_ZERO: Final = Decimal(0)

WATCHED: Final[Mapping[Watched, str]] = {"last": "LastPrice", "mark": "MarkPrice", "index": "IndexPrice"}
"""The price that a trigger watches, in Bybit's words."""


def rates_of(account: SimulatedAccount, category: str) -> tuple[Decimal, Decimal]:
    """Return what an account pays as maker and as taker in the markets of a category."""
    if category == "spot":
        return account.maker, account.taker
    return account.futures_maker, account.futures_taker


def is_stop(order: PlacedOrder) -> bool:
    """Tell whether an order waits, or waited, for a price."""
    return order.request.trigger is not None


def status(order: PlacedOrder, instrument: Instrument) -> str:
    """Return what became of an order, in Bybit's words."""
    if is_stop(order) and order.triggered is None:
        return "Untriggered" if order.open else "Deactivated"
    known = _STATUS.get(order.status)
    if known is not None:
        return known
    return "PartiallyFilledCanceled" if order.filled and instrument.kind == "spot" else "Cancelled"


def describe_order(order: PlacedOrder, instrument: Instrument) -> dict[str, Any]:
    """Return an order and what became of it so far."""
    request, spot = order.request, instrument.kind == "spot"
    digits = instrument.amount_decimals
    left = order.remaining if order.open else _ZERO
    fees: dict[str, Decimal] = {}
    for fill in order.fills:
        fees[fill.fee_asset] = fees.get(fill.fee_asset, _ZERO) + fill.fee
    average = f"{order.cost / order.filled:.{instrument.price_decimals}f}" if order.filled else ""
    force = "PostOnly" if request.type == "limit maker" else request.time_in_force
    by_cost = request.cost is not None
    row: dict[str, Any] = {
        "orderId": order_name(instrument.kind, order.id),
        "orderLinkId": request.client_id or "",
        "symbol": instrument.name,
        "side": request.side.capitalize(),
        "orderType": "Market" if request.type == "market" else "Limit",
        "orderStatus": status(order, instrument),
        "timeInForce": "IOC" if request.type == "market" else force,
        "price": f"{request.price or 0:f}",
        "qty": f"{request.cost:f}" if request.cost is not None else f"{order.amount:.{digits}f}",
        "marketUnit": ("quoteCoin" if by_cost else "baseCoin") if spot and request.type == "market" else "",
        "avgPrice": average,
        "cumExecQty": f"{order.filled:.{digits}f}",
        "cumExecValue": f"{order.cost:f}",
        "cumExecFee": f"{sum(fees.values(), _ZERO):f}",
        "cumFeeDetail": {asset: f"{fee:f}" for asset, fee in fees.items()},
        "leavesQty": f"{left:.{digits}f}",
        "leavesValue": f"{left * (request.price or _ZERO):f}",
        "createdTime": str(order.time),
        "updatedTime": str(order.updated),
        "cancelType": "CancelByUser" if order.status == "canceled" else "UNKNOWN",
        "rejectReason": "EC_NoError",
        "createType": "CreateByUser",
        "positionIdx": 0,
        "reduceOnly": request.reduce_only,
        "closeOnTrigger": False,
        **_trigger(order, spot=spot),
        "smpType": "None",
        "isLeverage": "0" if spot else "",
    }
    nothing = ("takeProfit", "stopLoss", "tpTriggerBy", "slTriggerBy", "blockTradeId", "orderIv", "lastPriceOnCreated")
    return row | dict.fromkeys(nothing, "") | ({} if spot else {"tpslMode": ""})


def _trigger(order: PlacedOrder, *, spot: bool) -> dict[str, Any]:
    """Return what an order waits, or waited, for; nothing of one that was at work at once."""
    request = order.request
    if request.trigger is None:
        return {"triggerPrice": "", "triggerDirection": 0, "triggerBy": "", "stopOrderType": ""}
    return {
        "triggerPrice": f"{request.trigger:f}",
        "triggerDirection": 0 if spot else 1 if request.rises else 2,
        "triggerBy": "" if spot else WATCHED[request.watched],
        "stopOrderType": "Stop",
    }


def describe_fill(
    fill: Fill, order: PlacedOrder, instrument: Instrument, account: SimulatedAccount, left: Decimal
) -> dict[str, Any]:
    """Return a part of an order that was traded; ``left`` is what of the order was not, then."""
    request, digits = order.request, instrument.amount_decimals
    maker, taker = rates_of(account, instrument.kind)
    nothing = ("tradeIv", "markIv", "markPrice", "indexPrice", "underlyingPrice", "blockTradeId", "stopOrderType")
    return {
        "symbol": instrument.name,
        "orderId": order_name(instrument.kind, order.id),
        "orderLinkId": request.client_id or "",
        "side": fill.side.capitalize(),
        "orderType": "Market" if request.type == "market" else "Limit",
        "orderPrice": f"{request.price or 0:f}",
        "orderQty": f"{order.amount:.{digits}f}",
        "leavesQty": f"{left:.{digits}f}",
        "execId": str(fill.id),
        "execType": "Trade",
        "execPrice": f"{fill.price:f}",
        "execQty": f"{fill.amount:.{digits}f}",
        "execValue": f"{fill.cost:f}",
        "execFee": f"{fill.fee:f}",
        "feeCurrency": fill.fee_asset if instrument.kind == "spot" else "",
        "feeRate": f"{maker if fill.maker else taker:f}",
        "execTime": str(fill.time),
        "isMaker": fill.maker,
        "closedSize": "",
        "seq": fill.id,
        **dict.fromkeys(nothing, ""),
    }
