"""A refusal means the same wherever the venue answers from: ``url=`` moves endpoints, not the class of an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue

SWAP = "BTC/USDT:USDT"


@pytest.fixture(params=["binance", "binanceusdm"])
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[tu.Exchange]:
    """Each of ccxt's classes that trade Binance's futures, on a simulated venue."""
    credentials = tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret)
    account = tu.Account(name="alice", exchange=request.param, credentials=credentials)
    async with (
        SimulatedVenue("binance", symbols=4, linear=2) as venue,
        tu.Exchange(request.param, url=venue.url, account=account, budget=tu.LocalBudget()) as exchange,
    ):
        yield exchange


async def times_last(exchange: tu.Exchange, times: str) -> Decimal:
    """Return a price in proportion to the last one, on the market's step."""
    last = Decimal(repr((await exchange.fetch_ticker(SWAP)).last))
    return (await exchange.load_markets())[SWAP].round_price(last * Decimal(times), "nearest")


@pytest.mark.parametrize(
    ("code", "wanted", "theirs"),
    [
        (-2019, errors.InsufficientFunds, "InsufficientFunds"),
        (-2021, errors.InvalidOrder, "OrderImmediatelyFillable"),
        (-2022, errors.InvalidOrder, "InvalidOrder"),
        (-5022, errors.InvalidOrder, "OrderNotFillable"),
    ],
)
async def test_the_futures_refusals_keep_their_class(
    exchange: tu.Exchange, code: int, wanted: type[Exception], theirs: str
) -> None:
    """ccxt reads these numbers by the host that answered, on spot three of them mean something else."""
    one = Decimal(1)
    orders: dict[int, dict[str, Any]] = {
        -2019: {"type": "market", "side": "buy", "amount": one * 50},
        -2021: {"type": "market", "side": "sell", "amount": one, "trigger_price": await times_last(exchange, "1.01")},
        -2022: {"type": "market", "side": "sell", "amount": one, "reduce_only": True},
        -5022: {
            "type": "limit",
            "side": "buy",
            "amount": one / 100,
            "price": await times_last(exchange, "1.01"),
            "post_only": True,
        },
    }
    with pytest.raises(wanted, match=str(code)) as caught:
        await exchange.create_order(SWAP, **orders[code])
    assert type(caught.value) is wanted
    assert type(caught.value.__cause__).__name__ == theirs
