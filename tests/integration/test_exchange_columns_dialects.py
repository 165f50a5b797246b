"""All markets of every dialect that the simulated venue speaks: columns give what ccxt's own parsers give."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from ccxt_truth import Witness, assert_agree, witness
from recorded import at_leisure

import tradeutils as tu
from tradeutils.sim import VENUES, Limits, SimulatedVenue

COUNT = 200
Opened = tuple[tu.Exchange, Witness]


@pytest.fixture(params=VENUES, name="opened")
async def _opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    """Two hundred generated markets in one dialect, frozen; ours and ccxt's on it."""
    name = str(request.param)
    async with (
        SimulatedVenue(name, symbols=COUNT, seed=11, limits=Limits.none()) as venue,
        at_leisure(name, venue.url) as exchange,
        witness(name, venue.url) as ccxts,
    ):
        await ccxts.says("load_markets")
        yield exchange, ccxts


async def test_tickers_of_all_markets_are_those_of_ccxt(opened: Opened) -> None:
    """Every figure of every market, by ccxt's parser first and by columns then."""
    exchange, ccxts = opened
    markets = await exchange.load_markets()
    for kind in ("spot", "swap"):
        symbols = [symbol for symbol, market in markets.items() if market.type == kind]
        if not symbols:
            continue
        assert kind == "swap" or len(symbols) == COUNT
        floats, texts = await _said(ccxts, symbols)
        for _ in range(3):
            ours = await exchange.fetch_tickers(symbols)
            assert list(ours) == symbols
            assert_agree(ours, *({symbol: said[symbol] for symbol in symbols} for said in (floats, texts)))
    if exchange.venue != "kraken":  # whose class changes what the parser made
        assert exchange._venue._tickers._trusted is True  # type: ignore[attr-defined]


async def _said(ccxts: Witness, symbols: list[str]) -> tuple[Any, Any]:
    """Return what ccxt makes of tickers; on okx it gives the number of contracts for the base volume."""
    floats, texts = await ccxts.says("fetch_tickers", symbols)
    for said, number in ((floats, float), (texts, str)):
        for symbol, ticker in said.items():
            if ccxts.floats.id == "okx" and ccxts.floats.markets[symbol]["contract"]:
                ticker["baseVolume"] = number(ticker["info"]["volCcy24h"])
    return floats, texts


async def test_candles_of_many_markets_are_those_of_ccxt(opened: Opened) -> None:
    """Every value of the newest bars of every fifth market."""
    exchange, ccxts = opened
    for symbol in list(await exchange.load_markets())[::5]:
        rows = await ccxts.floats.fetch_ohlcv(symbol, "5m", None, 12)
        ours = await exchange.fetch_ohlcv(symbol, "5m", limit=12, closed_only=False)
        assert_agree(ours, rows[-12:], None)
        assert ours.close.dtype == np.float64
    assert exchange._venue._candles._proved  # type: ignore[attr-defined]


async def test_a_coin_and_its_contract_of_one_name_are_told_apart_in_any_order(opened: Opened) -> None:
    """What was learnt of the rows of swaps says nothing of those of spot markets, though both may be BTCUSDT."""
    exchange, ccxts = opened
    markets = await exchange.load_markets()
    swaps = [symbol for symbol, market in markets.items() if market.type == "swap"][:8]
    if not swaps:
        pytest.skip("this dialect has no swaps")
    asked = [[one] for one in swaps] + [[one.partition(":")[0]] for one in swaps] + [swaps, swaps[:1] + list(markets)]
    random.Random(5).shuffle(asked)
    said = [await _said(ccxts, swaps)]
    said.append(await _said(ccxts, [symbol for symbol, one in markets.items() if one.type == "spot"]))
    floats, texts = ({**said[0][at], **said[1][at]} for at in (0, 1))
    for symbols in [*[[swaps[0]], [swaps[0].partition(":")[0]]], *asked, *asked]:
        wanted = [symbol for symbol in dict.fromkeys(symbols) if symbol in floats]
        ours = await exchange.fetch_tickers(wanted)
        assert list(ours) == wanted
        assert_agree(ours, *({symbol: one[symbol] for symbol in wanted} for one in (floats, texts)))
