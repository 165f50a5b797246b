"""
Single replies in the shapes of today, from nautilus_trader's adapters, through ccxt into our values.

They tell shapes, not markets: many of their values were made by hand, so what is asserted is that our values are what
ccxt's classes say. That a book does not cross or a candle is in order is asserted of recordings alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import venue_shapes
import venue_shapes_of_contracts
from ccxt_truth import Witness, assert_agree, assert_markets, witness
from recorded import ReplayedVenue, Reply, at_leisure, replayed
from venue_shapes import WALLET, Shape

import tradeutils as tu

pytestmark = pytest.mark.recordings

_FORTNIGHT = 14 * 86_400_000
_FOLDER = "nautilus_lgpl3/adapters"
# Nobody checks them; some of ccxt's classes must be able to compute with them.
_KEYS = tu.Credentials(key="key", secret="c2VjcmV0", password="p", wallet_address=WALLET)


TIMES: Mapping[str, tuple[str, Mapping[str, str], Callable[[int], Any]]] = {
    "binance": ("/api/v3/time", {}, lambda now: {"serverTime": now}),
    "bybit": ("/v5/market/time", {}, lambda now: {"retCode": 0, "result": {"timeNano": str(now * 10**6)}, "time": now}),
    "coinbase": ("/v2/time", {}, lambda now: {"data": {"epoch": now // 1000}}),
    "deribit": ("/api/v2/public/get_time", {}, lambda now: {"jsonrpc": "2.0", "result": now}),
    "dydx": (
        "/v4/time",
        {},
        lambda now: {"iso": datetime.fromtimestamp(now / 1000, UTC).isoformat(), "epoch": now / 1000},
    ),
    "hyperliquid": ("/info", {"type": "exchangeStatus"}, lambda now: {"time": now}),
    "kraken": ("/0/public/Time", {}, lambda now: {"error": [], "result": {"unixtime": now // 1000}}),
    "okx": ("/api/v5/public/time", {}, lambda now: {"code": "0", "data": [{"ts": str(now)}]}),
}
"""Where venues tell the time, and how they write it: the present one, so that requests can be signed."""

SPOKEN = {
    "binance": venue_shapes.binance(),
    "bybit": venue_shapes.bybit(),
    "coinbase": venue_shapes.coinbase(),
    "deribit": venue_shapes_of_contracts.deribit(),
    "dydx": venue_shapes_of_contracts.dydx(),
    "hyperliquid": venue_shapes_of_contracts.hyperliquid(),
    "kraken": venue_shapes_of_contracts.kraken(),
    "krakenfutures": venue_shapes_of_contracts.krakenfutures(),
    "okx": venue_shapes.okx(),
}


def _read(folder: pathlib.Path, file: str) -> Any:
    """Return a file's reply; those of dydx stand in a wrapper of the adapter's own."""
    body = json.loads((folder / file).read_text(encoding="utf-8"))
    return body["result"] if folder.name == "dydx" else body


@contextlib.asynccontextmanager
async def _served(recordings: pathlib.Path, name: str) -> AsyncIterator[tuple[ReplayedVenue, tu.Exchange, Witness]]:
    """Serve the lists of a venue's markets, and open ours and ccxt's there."""
    spec = SPOKEN[name]
    folder = recordings / _FOLDER / spec.folder
    lists = []
    for file, path, about in spec.listing:
        body = _read(folder / "spot" if name == "binance" else folder, file)
        if spec.edit is not None:
            spec.edit(file, body)
        lists.append(Reply(path, json.dumps(body), about))
    account = tu.Account(name="alice", exchange=name, credentials=_KEYS)
    async with (
        replayed(*spec.made, *lists) as venue,
        at_leisure(name, venue.url, options=spec.options, account=account) as exchange,
        witness(name, venue.url, options=spec.options, account=account) as ccxts,
    ):
        if name in TIMES:
            path, about, told = TIMES[name]
            verb = "POST" if about else "GET"
            venue.replies.append(Reply(path, lambda: json.dumps(told(venue.now())), about, verb))
        yield venue, exchange, ccxts


@pytest.mark.parametrize("name", SPOKEN)
async def test_listed_markets_are_what_ccxt_says(recordings: pathlib.Path, name: str) -> None:
    """Every figure of every market, digit by digit."""
    async with _served(recordings, name) as (_, exchange, ccxts):
        markets = await exchange.load_markets()
        await ccxts.says("load_markets")
        assert len(markets) == SPOKEN[name].markets
        assert_markets(markets, ccxts.floats, ccxts.texts)


@pytest.mark.parametrize("name", SPOKEN)
async def test_single_replies_are_what_ccxt_says(recordings: pathlib.Path, name: str) -> None:
    """Market data value by value, money digit by digit, and as many values as there are in the file."""
    shapes = SPOKEN[name].shapes
    async with _served(recordings, name) as served:
        for shape in shapes:
            if not shape.at_its_time:
                await _replay(recordings, name, shape, *served)
    for shape in shapes:
        if shape.at_its_time and shape.span is not None:
            async with _served(recordings, name) as served:
                served[0].behind = served[0].now() - shape.span[1] - _FORTNIGHT
                await _replay(recordings, name, shape, *served)


async def _replay(
    recordings: pathlib.Path, name: str, shape: Shape, venue: ReplayedVenue, exchange: tu.Exchange, ccxts: Witness
) -> None:
    """Ask for one reply, and compare."""
    folder = recordings / _FOLDER / SPOKEN[name].folder
    if name == "binance" and not shape.file.startswith("futures/"):
        folder /= "spot"
    body = json.dumps(_read(folder, shape.file))
    try:
        with venue.also(Reply(shape.path, body, shape.about, shape.verb)):
            theirs = await ccxts.says(shape.method, *shape.args, **_asked(shape))
            if name == "krakenfutures" and shape.method == "fetch_my_trades":
                for number, fills in zip((float, str), theirs, strict=True):
                    _as_told(fills, number)
            for _ in range(3 if shape.method in ("fetch_ohlcv", "fetch_tickers") else 1):
                ours = await getattr(exchange, shape.method)(*shape.args, **_more(shape))
                if shape.method == "cancel_order":  # ccxt gives the id of the cancel
                    ours = dataclasses.replace(ours, client_id=theirs[0]["clientOrderId"])
                if name == "okx" and shape.more:  # of orders that wait ccxt finds no id of ours
                    assert [one.client_id for one in ours] == [raw["info"]["algoClOrdId"] for raw in theirs[0]]
                    ours = [dataclasses.replace(one, client_id=None) for one in ours]
                assert_agree(ours, *theirs)
                assert _count(ours) == shape.rows
    except BaseException as error:
        error.add_note(f"{name}: {shape}")
        raise


_NOT_OURS = "nothing of ours asks for it"
_GONE = "ccxt has no class for the venue any more"
_PART = "no reply of the venue's, but a part of one"
_PLACES = "an answer to a new order, which begins with what was sent"
_ANOTHER = "another list of markets, in the shape of one that is replayed"
UNUSED = {
    "binance/futures/http_json/account_info_v2.json": "ccxt asks the venue's third version",
    "binance/futures/http_json/balance.json": "ccxt asks for positions and balances at once",
    "binance/futures/http_json/position_risk.json": _NOT_OURS,
    "binance/spot/http_json/avg_price_response.json": _NOT_OURS,
    "binance/spot/http_json/book_ticker_response.json": _NOT_OURS,
    "binance/spot/http_json/cancel_open_orders_response.json": "ours finds the open orders and cancels each",
    "binance/spot/http_json/new_order_full_response.json": _PLACES,
    "binance/spot/http_json/ping_response.json": _NOT_OURS,
    "binance/spot/http_json/server_time_response.json": "signed requests need the present time",
    "binance/spot/http_json/ticker_price_response.json": _NOT_OURS,
    "binance/spot/http_json/trades_response.json": "ccxt asks for aggregated trades, unless its options say otherwise",
    "bitmex/http_error_response.json": _GONE,
    "bitmex/http_get_executions.json": _GONE,
    "bitmex/http_get_instrument_xbtm26_xbtu26_spread.json": _GONE,
    "bitmex/http_get_instrument_xbtusd.json": _GONE,
    "bitmex/http_get_orders.json": _GONE,
    "bitmex/http_get_positions.json": _GONE,
    "bitmex/http_get_trade_bins.json": _GONE,
    "bitmex/http_get_trades.json": _GONE,
    "bitmex/http_get_wallet.json": _GONE,
    "bybit/http_get_instruments_inverse_symbol_type.json": _ANOTHER,
    "bybit/http_get_instruments_linear_symbol_type.json": _ANOTHER,
    "bybit/http_get_instruments_option_symbol_id.json": _ANOTHER,
    "bybit/http_get_instruments_spot_xstocks.json": _ANOTHER,
    "bybit/http_get_positions.json": _NOT_OURS,
    "bybit/http_get_positions_with_open_time.json": _NOT_OURS,
    "bybit/http_get_user_escrow_sub_members.json": _NOT_OURS,
    "bybit/http_get_user_sub_apikeys.json": _NOT_OURS,
    "bybit/http_get_user_sub_members.json": _NOT_OURS,
    "bybit/http_get_user_sub_members_paged.json": _NOT_OURS,
    "bybit/http_post_user_update_master_api.json": _NOT_OURS,
    "bybit/http_post_user_update_sub_api.json": _NOT_OURS,
    "coinbase/http_cfm_balance_summary.json": "ours asks for the spot balance alone",
    "coinbase/http_cfm_position.json": _NOT_OURS,
    "coinbase/http_cfm_positions.json": _NOT_OURS,
    "coinbase/http_product.json": "ccxt asks for all products, and for tickers by their trades",
    "deribit/http_get_combos.json": _NOT_OURS,
    "deribit/http_get_expirations_any.json": _NOT_OURS,
    "deribit/http_get_expirations_btc_option.json": _NOT_OURS,
    "deribit/http_get_instrument.json": "ccxt asks for all instruments at once",
    "deribit/http_get_instrument_option.json": "ccxt asks for all instruments at once",
    "deribit/http_get_instruments_future_combo.json": _ANOTHER,
    "deribit/http_get_instruments_option_combo.json": _ANOTHER,
    "deribit/http_get_last_trades_future_combo.json": "of a market that is in none of the lists",
    "deribit/http_get_last_trades_historical_combo.json": "of a market that is in none of the lists",
    "deribit/http_get_last_trades_option_combo.json": "of a market that is in none of the lists",
    "deribit/http_get_time.json": "signed requests need the present time",
    "deribit/http_test.json": _NOT_OURS,
    "dydx/http_get_block_height.json": _NOT_OURS,
    "dydx/http_get_fills.json": "ccxt's class tells nobody's trades",
    "dydx/http_get_time.json": "replayed where that correction of ccxt is tested",
    "dydx/http_get_transfers.json": _NOT_OURS,
    "hyperliquid/http_all_perp_metas_non_usdc_collateral.json": "ccxt asks for the lists with their prices",
    "hyperliquid/http_clearinghouse_state_negative_total_raw_usd.json": "without marginSummary, where ccxt looks",
    "hyperliquid/http_meta_perp_sample.json": "ccxt asks for the list with its prices",
    "hyperliquid/http_recent_trades_btc.json": "ccxt asks for the trades of a wallet alone",
    "hyperliquid/http_spot_meta_non_usdc_collateral.json": "ccxt asks for the list with its prices",
    "kraken/http_add_order_spot.json": _PLACES,
    "kraken/http_asset_pairs_tokenized.json": _ANOTHER,
    "kraken/http_cancel_order_futures.json": "the answer to a cancel names no order",
    "kraken/http_cancel_order_spot.json": "the answer to a cancel names no order",
    "kraken/http_futures_instrument_no_fee_schedule.json": _ANOTHER,
    "kraken/http_futures_open_positions.json": _NOT_OURS,
    "kraken/http_futures_order_events.json": "ccxt asks for the history of orders in another interface",
    "kraken/http_futures_order_events_unknown.json": "ccxt asks for the history of orders in another interface",
    "kraken/http_send_order_futures.json": _PLACES,
    "kraken/http_send_order_futures_unknown_trigger.json": _PLACES,
    "kraken/http_server_time.json": "signed requests need the present time",
    "kraken/http_spot_balance.json": "ccxt asks for BalanceEx, whose shape is another",
    "kraken/http_spot_open_positions.json": _NOT_OURS,
    "kraken/http_spot_trade_balance.json": _NOT_OURS,
    "kraken/http_system_status.json": _NOT_OURS,
    "okx/http_balance_detail_new_fields.json": _PART,
    "okx/http_balance_detail_old_fields.json": _PART,
    "okx/http_cancel_algo_order_response.json": "the answer to a cancel names no more than an id",
    "okx/http_get_account_positions-history.json": _NOT_OURS,
    "okx/http_get_index_price.json": _NOT_OURS,
    "okx/http_get_instruments_margin.json": _ANOTHER,
    "okx/http_get_mark_price.json": _NOT_OURS,
    "okx/http_get_option_summary.json": _NOT_OURS,
    "okx/http_get_orders_algo_history.json": "ours asks for no history of orders that waited",
    "okx/http_get_position_tiers.json": _NOT_OURS,
    "okx/http_get_positions.json": _NOT_OURS,
    "okx/http_get_spread_orders.json": _NOT_OURS,
    "okx/http_get_spread_trades.json": _NOT_OURS,
    "okx/http_get_spreads.json": _NOT_OURS,
    "okx/http_place_algo_order_rejected.json": _PLACES,
    "okx/http_place_algo_order_response.json": _PLACES,
    "okx/http_place_order_response.json": _PLACES,
    "okx/http_set_position_mode_response.json": _NOT_OURS,
    "okx/http_transaction_detail.json": _PART,
    "okx/http_transaction_detail_empty_fee.json": _PART,
}
"""Files that are not replayed, and why."""


def _used() -> set[str]:
    """Return the files that are replayed."""
    found = set()
    for name, spec in SPOKEN.items():
        for file in (*(one for one, _, _ in spec.listing), *(shape.file for shape in spec.shapes)):
            spot = name == "binance" and not file.startswith("futures/")
            found.add(f"{spec.folder}/{'spot/' if spot else ''}{file}")
    return found


def test_every_file_is_replayed_or_told_why_not(recordings: pathlib.Path) -> None:
    """The replies of HTTP; those of websockets are of other tests."""
    folder = recordings / _FOLDER
    files = {*folder.glob("*/http_*.json"), *folder.glob("binance/*/http_json/*.json")}
    assert {file.relative_to(folder).as_posix() for file in files} == _used() | {*UNUSED}
    assert not _used() & {*UNUSED}


def _more(shape: Shape) -> dict[str, Any]:
    """Return what is asked of ours besides."""
    if shape.span is None:
        return dict(shape.more)
    return {"since": shape.span[0], "until": shape.span[1] + 1, "partial": True}


def _asked(shape: Shape) -> dict[str, Any]:
    """Return the same for ccxt."""
    if shape.span is None:
        return {"params": dict(shape.more)} if shape.more else {}
    return {"since": shape.span[0], "limit": shape.rows}


def _as_told(fills: Sequence[dict[str, Any]], number: Callable[[Any], Any]) -> None:
    """Give ccxt's fills what the file says, and its class does not read: the amounts and the fees paid."""
    for fill in fills:
        raw = fill["info"]
        assert fill["amount"] is None
        fill["amount"], fee = number(raw["size"]), {"cost": number(raw["fee_paid"]), "currency": raw["fee_currency"]}
        fill |= {"fee": fee, "fees": [fee]}


def _count(ours: Any) -> int:
    if isinstance(ours, tu.OrderBook):
        return len(ours.bids) + len(ours.asks)
    return len(ours) if isinstance(ours, (list, dict, tu.Candles)) else 1
