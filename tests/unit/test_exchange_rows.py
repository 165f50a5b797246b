"""Rows of venues that ccxt's structures say less of, or something else: orders and volumes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt.async_support
import pytest

from tradeutils.errors import InvalidOrder, RequestRefused
from tradeutils.exchange.tickers.volumes import use_base_units
from tradeutils.exchange.venues import parse
from tradeutils.exchange.venues.faults import translate
from tradeutils.exchange.venues.order_rows import as_told
from tradeutils.model import Order


def _order(**told: Any) -> Order:
    return Order(symbol="BTC/USDT", id="1", type="market", side="buy", **told)


@pytest.mark.parametrize(
    ("given", "row", "field", "told"),
    [
        ({"price": Decimal(-1)}, {}, "price", None),
        ({"price": Decimal(5)}, {"slOrdPx": "7"}, "price", Decimal(5)),
        ({}, {"slOrdPx": "7", "tpOrdPx": "8"}, "price", Decimal(7)),
        ({"price": Decimal(-1)}, {"slOrdPx": "-1", "tpOrdPx": "8"}, "price", Decimal(8)),
        ({}, {"slOrdPx": "NaN", "tpOrdPx": "soon"}, "price", None),
        ({}, {"slOrdPx": 7.5}, "price", None),
        ({}, {"algoClOrdId": "mine"}, "client_id", "mine"),
        ({"client_id": "yours"}, {"algoClOrdId": "mine"}, "client_id", "yours"),
        ({}, {"algoClOrdId": ""}, "client_id", None),
        ({}, {"algoClOrdId": 5}, "client_id", None),
        ({}, "a page", "client_id", None),
        ({"cost": Decimal(500)}, {"tgtCcy": "quote_ccy"}, "cost", None),
        ({"cost": Decimal(500), "filled": Decimal(0)}, {"tgtCcy": "quote_ccy"}, "cost", Decimal(0)),
        (
            {"cost": Decimal(500), "filled": Decimal("0.1"), "average": Decimal("4999.9")},
            {"tgtCcy": "quote_ccy"},
            "cost",
            Decimal("499.99"),
        ),
        (
            {"cost": Decimal(500), "filled": Decimal("0.1"), "average": Decimal("4999.9")},
            {"tgtCcy": "base_ccy"},
            "cost",
            Decimal(500),
        ),
    ],
)
def test_order_is_what_its_row_says(given: dict[str, Any], row: object, field: str, told: object) -> None:
    """Where ccxt's structure has a word for a price, a request for a result, or looks elsewhere."""
    assert getattr(as_told(_order(**given), row, "algoClOrdId"), field) == told


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"code":"1","data":[{"ordId":"","sCode":"51169","sMsg":"nothing to reduce"}],"msg":""}', InvalidOrder),
        ('{"code":"1","data":[{"algoId":"","sCode":"51999","sMsg":""}],"msg":""}', InvalidOrder),
        ('{"code":"1","data":[{"ordId":"5","sCode":"51169","sMsg":""}],"msg":""}', RequestRefused),
        ('{"code":"1","data":[{"ordId":"","sCode":"50999","sMsg":"busy"}],"msg":""}', RequestRefused),
        ('{"code":"1","data":[{"ordId":"","sCode":"0"}],"msg":""}', RequestRefused),
        ('{"code":"1","data":[{"ordId":"","sCode":"51169"},{"ordId":"6","sCode":"0"}]}', RequestRefused),
        ('{"code":"1","data":[],"msg":"x"}', RequestRefused),
        ('{"code":"1","data":"x"}', RequestRefused),
        ('{"code":"1","data":{"sCode":"51169"}}', RequestRefused),
        ("[" * 5000, RequestRefused),
        ("{" * 5000, RequestRefused),
        ("no JSON", RequestRefused),
    ],
)
def test_an_order_was_not_taken_where_its_row_says_so(body: str, expected: type[Exception]) -> None:
    """With a code about orders, and without an id; anything else leaves it open."""
    error = ccxt.async_support.ExchangeError(f"okx {body}")
    told = translate(error, venue="okx", operation="create_order", symbol="BTC/USDT:USDT", status=200)
    assert type(told) is expected
    other = translate(error, venue="okx", operation="cancel_order", symbol="BTC/USDT:USDT", status=200)
    assert type(other) is RequestRefused


@pytest.mark.parametrize(
    ("venue", "kind", "row", "volumes"),
    [
        ("okx", {"contract": True}, {"vol24h": "900", "volCcy24h": "9"}, (9.0, None)),
        ("okx", {"spot": True, "contract": False}, {"vol24h": "9", "volCcy24h": "180000"}, (9.0, 180_000.0)),
        ("bybit", {"inverse": True}, {"volume24h": "200000", "turnover24h": "10"}, (10.0, 200_000.0)),
        ("bybit", {"inverse": False}, {"volume24h": "10", "turnover24h": "200000"}, (10.0, 200_000.0)),
    ],
)
def test_volumes_are_in_base_and_quote_units(
    venue: str, kind: dict[str, bool], row: dict[str, str], volumes: tuple[float, float | None]
) -> None:
    """Of contracts that ccxt's class counts, and of inverse ones, whose turnover is in the base."""
    raw = getattr(ccxt.async_support, venue)({"number": Decimal})
    market = {"id": "A", "symbol": "A", "base": "A", "quote": "USD", "type": "swap", **kind}
    raw.markets, raw.markets_by_id = {"A": market}, {"A": [market]}
    use_base_units(raw)
    found = parse.ticker(
        raw.parse_ticker({"symbol": "A", "instId": "A", "last": "20000", "lastPrice": "20000", **row}, market)
    )
    assert (found.base_volume, found.quote_volume) == volumes
    assert found.vwap is None or found.vwap == pytest.approx(20_000)
