"""What ccxt's classes do on their own account, or leave out, is set right on the instances that ours opens."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from recorded import Reply, at_leisure, replayed

import tradeutils as tu
from tradeutils import errors

WALLET = tu.Credentials(wallet_address="0x" + "1" * 40, private_key="0x" + "1" * 64)
ALICE = tu.Account(name="alice", exchange="hyperliquid", credentials=WALLET)
SYMBOL = "BTC/USDC:USDC"


def _json(path: str, body: Any, about: dict[str, str] | None = None, verb: str = "GET") -> Reply:
    return Reply(path, json.dumps(body), about or {}, verb)


def _hyperliquid() -> list[Reply]:
    """Return what a hyperliquid of one swap answers, and that it takes every order."""
    context = {"funding": "0", "markPx": "100000.0", "midPx": "100000.0", "oraclePx": "100000.0", "openInterest": "1"}
    listed = {"universe": [{"maxLeverage": 40, "name": "BTC", "szDecimals": 5}]}
    taken = {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 7}}]}}}
    about = {
        "spotMeta": {"tokens": [], "universe": []},
        "spotMetaAndAssetCtxs": [{"tokens": [], "universe": []}, []],
        "metaAndAssetCtxs": [listed, [context]],
        "perpDexs": [None],
        "userAbstraction": "disabled",
        "exchangeStatus": {"time": 1_800_000_000_000},
    }
    asked = [_json("/info", body, {"type": name}, "POST") for name, body in about.items()]
    return [*asked, _json("/exchange", taken, verb="POST")]


async def test_an_order_on_hyperliquid_signs_nothing_but_itself() -> None:
    """No approval of a builder's fee, no referral, and no builder in the order."""
    async with (
        replayed(*_hyperliquid()) as venue,
        at_leisure("hyperliquid", venue.url, account=ALICE) as exchange,
    ):
        order = await exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.001"), Decimal(90_000))
        signed = [one for one in venue.asked if " /exchange " in one]
    assert order.id == "7"
    assert len(signed) == 1
    assert '"type": "order"' in signed[0]
    assert "builder" not in signed[0]


async def test_whoever_wants_ccxt_to_be_paid_says_so() -> None:
    """Then the class does on hyperliquid what it does by itself."""
    options = {"builderFee": True}
    async with (
        replayed(*_hyperliquid()) as venue,
        at_leisure("hyperliquid", venue.url, account=ALICE, options=options) as exchange,
    ):
        await exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.001"), Decimal(90_000))
        signed = " ".join(one for one in venue.asked if " /exchange " in one)
    assert all(word in signed for word in ("approveBuilderFee", "setReferrer", '"builder"'))


@pytest.mark.parametrize("name", [name for name in ccxt.exchanges if "builderFee" in getattr(ccxt, name)().options])
async def test_no_account_pays_ccxt_unasked(name: str) -> None:
    """On every venue where its class would have a part of each order by default."""
    async with tu.Exchange(name, url="http://127.0.0.1:9") as exchange:
        assert exchange._venue._ccxt.options["builderFee"] is False  # type: ignore[attr-defined]


async def test_an_accounts_trades_are_not_taken_for_everybodys() -> None:
    """hyperliquid's class gives a wallet's own ones for public trades: there are none to be had of it."""
    async with replayed(*_hyperliquid()) as venue, at_leisure("hyperliquid", venue.url, account=ALICE) as exchange:
        with pytest.raises(errors.NotSupportedByVenue) as caught:
            await exchange.fetch_trades(SYMBOL)
    assert "hyperliquid" not in caught.value.alternatives
    assert "binance" in caught.value.alternatives


async def test_dydx_tells_the_time_in_milliseconds() -> None:
    """Its reply has seconds and a date; ccxt gives the seconds as if they were milliseconds."""
    reply = _json("/v4/time", {"iso": "2025-12-08T16:11:56.125Z", "epoch": 1765210316.125})
    async with replayed(reply) as venue:
        venue.behind = venue.now() - 1_765_210_316_125
        async with at_leisure("dydx", venue.url) as exchange:
            assert 0 <= await exchange.fetch_time() - 1_765_210_316_125 < 60_000


async def test_inverse_contracts_of_kraken_have_amounts_and_paid_fees() -> None:
    """ccxt leaves out the amounts, and reckons fees where the venue tells what was paid."""
    instrument = {
        "symbol": "PI_XBTUSD", "type": "futures_inverse", "underlying": "rr_xbtusd", "tickSize": 0.5, "contractSize": 1,
        "tradeable": True, "pair": "BTC:USD", "base": "BTC", "quote": "USD",
    }  # fmt: skip
    fill = {
        "fill_id": "f", "symbol": "PI_XBTUSD", "side": "buy", "order_id": "o", "fillTime": "2023-04-07T15:45:10.739Z",
        "size": 5000, "price": 27937.5, "fillType": "maker", "fee_paid": "0.00008957", "fee_currency": "BTC",
    }  # fmt: skip
    traded = {"time": "2023-04-07T15:45:10.739Z", "trade_id": 1, "price": 27937.5, "size": 120, "side": "sell"}
    untold = {name: value for name, value in fill.items() if not name.startswith("fee_")}
    account = tu.Account(
        name="alice", exchange="krakenfutures", credentials=tu.Credentials(key="key", secret="c2VjcmV0")
    )
    async with (
        replayed(
            _json("/derivatives/api/v3/instruments", {"result": "success", "instruments": [instrument]}),
            _json("/derivatives/api/v3/fills", {"result": "success", "fills": [fill, {**untold, "fill_id": "g"}]}),
            _json("/derivatives/api/v3/history", {"result": "success", "history": [traded]}),
        ) as venue,
        at_leisure(
            "krakenfutures", venue.url, account=account, options={"fetchTrades": {"method": "publicGetHistory"}}
        ) as exchange,
    ):
        first, second = await exchange.fetch_my_trades("BTC/USD:BTC")
        (trade,) = await exchange.fetch_trades("BTC/USD:BTC")
    assert (first.amount, first.fee, first.fee_currency) == (Decimal(5000), Decimal("0.00008957"), "BTC")
    assert second.amount == Decimal(5000)
    assert second.fee not in (None, first.fee)  # reckoned, for want of better
    assert trade.amount == 120
