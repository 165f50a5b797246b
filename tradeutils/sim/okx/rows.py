"""How OKX tells of an order, of one that waits for a price, and of what was filled; figures are text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.instruments import Instrument, Kind
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.okx.names import algo_name, inst_id, inst_type, on_wire, order_name
from tradeutils.sim.orders import Fill, PlacedOrder

__all__ = [
    "algo_client_id",
    "algo_id_of",
    "algo_kind",
    "algo_state",
    "describe_algo",
    "describe_fill",
    "describe_order",
    "is_algo",
    "is_order",
    "order_type",
    "rates_of",
    "state",
]

_ZERO: Final = Decimal(0)
_STATES: Final = {"new": "live", "partly filled": "partially_filled", "filled": "filled"}
_UNNAMED: Final = "#"  # before the number of one that its account gave no id
_CANCELED: Final[Mapping[str, str]] = {"post_only": "31", "ioc": "14", "fok": "15"}  # by the venue, and why
_NOT_TOLD: Final = (
    "ccy",
    "tag",
    "source",
    "category",
    "quickMgnType",
    "stpId",
    "attachAlgoClOrdId",
    "cancelSourceReason",
    "pxUsd",
    "pxVol",
    "pxType",
    "slTriggerPx",
    "slTriggerPxType",
    "slOrdPx",
    "tpTriggerPx",
    "tpTriggerPxType",
    "tpOrdPx",
)
_NOT_TOLD_OF_ALGOS: Final = (
    "ccy",
    "tag",
    "activePx",
    "callbackRatio",
    "callbackSpread",
    "moveTriggerPx",
    "pxLimit",
    "pxSpread",
    "pxVar",
    "szLimit",
    "timeInterval",
    "clOrdId",
    "actualSide",
)


def rates_of(account: SimulatedAccount, kind: Kind) -> tuple[Decimal, Decimal]:
    """Return what an account pays as maker and as taker in a kind of markets."""
    if kind == "spot":
        return account.maker, account.taker
    return account.futures_maker, account.futures_taker


def algo_client_id(kind: str, name: str | None, number: int) -> str:
    """
    Return what the ledger knows an order by that waits: of which kind it is, and the account's own id.

    Ids of orders and of those that wait are apart on OKX; no id of an account holds a colon.
    """
    return f"{kind}:{name or f'{_UNNAMED}{number}'}"


def is_algo(order: PlacedOrder) -> bool:
    """Tell whether an order waits, or waited, for a price."""
    return order.request.trigger is not None


def algo_kind(order: PlacedOrder) -> str:
    """Return the kind of an order that waits: ``"trigger"`` or ``"conditional"``."""
    return order.client_id.partition(":")[0]


def algo_id_of(order: PlacedOrder) -> str:
    """Return the account's own id of an order that waits, ``""`` where it gave none."""
    name = order.client_id.partition(":")[2]
    return "" if name.startswith(_UNNAMED) else name


def algo_state(order: PlacedOrder) -> str:
    """Return what became of an order that waits, in OKX's words."""
    if order.triggered is None:
        return "live" if order.open else "canceled"
    return "order_failed" if order.status == "expired" and not order.fills else "effective"


def is_order(order: PlacedOrder) -> bool:
    """Tell whether an order is, or has become, one like all others; those that wait are not."""
    return not is_algo(order) or algo_state(order) == "effective"


def state(order: PlacedOrder) -> str:
    """Return what became of an order, in OKX's words."""
    return _STATES.get(order.status, "canceled")


def order_type(order: PlacedOrder) -> str:
    """Return the type of an order, in OKX's words, which have the time in force in them."""
    request = order.request
    if request.type != "limit":
        return "market" if request.type == "market" else "post_only"
    return request.time_in_force.lower() if request.time_in_force != "GTC" else "limit"


def _size(order: PlacedOrder, instrument: Instrument) -> tuple[str, str]:
    """Return what an order is of, and what that is counted in."""
    request = order.request
    if request.cost is not None:
        return f"{request.cost:f}", "quote_ccy"
    counted = "base_ccy" if instrument.kind == "spot" and request.type == "market" else ""
    amount = order.amount if request.amount is None else request.amount
    return on_wire(amount, instrument), counted


def _average(order: PlacedOrder, instrument: Instrument) -> str:
    return f"{order.cost / order.filled:.{instrument.price_decimals + 6}f}" if order.filled else ""


def describe_order(order: PlacedOrder, instrument: Instrument, leverage: int) -> dict[str, Any]:
    """Return an order and what became of it so far."""
    request, swap = order.request, instrument.kind == "linear"
    size, counted = _size(order, instrument)
    kind, waited = order_type(order), is_algo(order)
    received = instrument.settle or (instrument.base if request.side == "buy" else instrument.quote)
    last = order.fills[-1] if order.fills else None
    ended = {"canceled": "1", "expired": _CANCELED.get(kind, "")}.get(order.status, "")
    return {
        "instType": inst_type(instrument),
        "instId": inst_id(instrument),
        "ordId": order_name(order.id),
        "clOrdId": "" if waited else request.client_id or "",
        "algoId": algo_name(order.id) if waited else "",
        "algoClOrdId": algo_id_of(order) if waited else "",
        "ordType": kind,
        "side": request.side,
        "posSide": "net" if swap else "",
        "tdMode": "cross" if swap else "cash",
        "px": "" if request.price is None else f"{request.price:f}",
        "sz": size,
        "tgtCcy": counted,
        "state": state(order),
        "accFillSz": on_wire(order.filled, instrument),
        "avgPx": _average(order, instrument),
        "fillPx": "" if last is None else f"{last.price:f}",
        "fillSz": "0" if last is None else on_wire(last.amount, instrument),
        "fillTime": "" if last is None else str(last.time),
        "tradeId": "" if last is None else str(last.id),
        "fee": f"{-sum((one.fee for one in order.fills), _ZERO):f}",
        "feeCcy": received,
        "rebate": "0",
        "rebateCcy": instrument.quote if received == instrument.base else instrument.base,
        "pnl": f"{sum((one.realised for one in order.fills), _ZERO):f}",
        "lever": str(leverage) if swap else "",
        "reduceOnly": "true" if request.reduce_only else "false",
        "isTpLimit": "false",
        "stpMode": "cancel_maker",
        "cancelSource": ended,
        "attachAlgoOrds": [],
        "linkedAlgoOrd": {"algoId": ""},
        "cTime": str(order.time if order.triggered is None else order.triggered),
        "uTime": str(order.updated),
        **dict.fromkeys(_NOT_TOLD, ""),
    }


def describe_algo(order: PlacedOrder, instrument: Instrument, leverage: int) -> dict[str, Any]:
    """Return an order that waits, or waited, for a price."""
    request, swap, became = order.request, instrument.kind == "linear", algo_state(order)
    size, counted = _size(order, instrument)
    limit = "-1" if request.price is None else f"{request.price:f}"
    names = [f"{prefix}{suffix}" for prefix in ("sl", "tp") for suffix in ("TriggerPx", "TriggerPxType", "OrdPx")]
    told = dict.fromkeys((*names, "triggerPx", "triggerPxType", "ordPx"), "")
    if algo_kind(order) == "trigger":
        told |= {"triggerPx": f"{request.trigger:f}", "triggerPxType": request.watched, "ordPx": limit}
    else:  # what closes at a loss is reached the way the side goes, what closes at a gain the other way
        side = "sl" if request.rises == (request.side == "buy") else "tp"
        told |= {
            f"{side}TriggerPx": f"{request.trigger:f}",
            f"{side}TriggerPxType": request.watched,
            f"{side}OrdPx": limit,
        }
    return {
        "instType": inst_type(instrument),
        "instId": inst_id(instrument),
        "algoId": algo_name(order.id),
        "algoClOrdId": algo_id_of(order),
        "ordId": order_name(order.id) if became == "effective" else "",
        "ordIdList": [order_name(order.id)] if became == "effective" else [],
        "ordType": algo_kind(order),
        "side": request.side,
        "posSide": "net" if swap else "",
        "tdMode": "cross" if swap else "cash",
        "sz": size,
        "closeFraction": "1" if request.reduce_only and request.amount is None else "",
        "tgtCcy": counted,
        "state": became,
        **told,
        "actualSz": on_wire(order.filled, instrument),
        "actualPx": _average(order, instrument),
        "failCode": "51008" if became == "order_failed" else "",
        "lever": str(leverage) if swap else "",
        "reduceOnly": "true" if request.reduce_only else "false",
        "attachAlgoOrds": [],
        "triggerTime": "" if order.triggered is None else str(order.triggered),
        "cTime": str(order.time),
        "uTime": str(order.updated),
        **dict.fromkeys(_NOT_TOLD_OF_ALGOS, ""),
    }


def describe_fill(fill: Fill, order: PlacedOrder, instrument: Instrument, account: SimulatedAccount) -> dict[str, Any]:
    """Return a part of an order that was traded."""
    maker, taker = rates_of(account, instrument.kind)
    return {
        "instType": inst_type(instrument),
        "instId": inst_id(instrument),
        "tradeId": str(fill.id),
        "billId": str(fill.id),
        "ordId": order_name(order.id),
        "clOrdId": "" if is_algo(order) else order.request.client_id or "",
        "side": fill.side,
        "posSide": "net",
        "execType": "M" if fill.maker else "T",
        "fillPx": f"{fill.price:f}",
        "fillSz": on_wire(fill.amount, instrument),
        "fillPnl": f"{fill.realised:f}",
        "fee": f"{-fill.fee:f}",
        "feeCcy": fill.fee_asset,
        "feeRate": f"{-(maker if fill.maker else taker):f}",
        "subType": "1" if fill.side == "buy" else "2",
        "tag": "",
        "fillTime": str(fill.time),
        "ts": str(fill.time),
    }
