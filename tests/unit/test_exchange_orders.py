"""Orders before they leave: ids, steps, limits, and what counts as a refusal."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from typing import Any

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils import errors
from tradeutils.exchange.client_ids import client_ids_of, lapse_of
from tradeutils.exchange.faults import translate
from tradeutils.exchange.order_checks import check_id, check_order, plain
from tradeutils.exchange.orders import refused
from tradeutils.model import Market

LISTED = ("binance", "binanceusdm", "binancecoinm", "bybit", "okx", "kraken", "coinbase", "kucoin", "gate", "bitget",
          "mexc", "htx")  # fmt: skip
MARKET = Market(
    symbol="BTC/USDT",
    id="BTCUSDT",
    base="BTC",
    quote="USDT",
    amount_step=Decimal("0.00001"),
    price_step=Decimal("0.01"),
    min_amount=Decimal("0.00001"),
    max_amount=Decimal(9000),
    min_price=Decimal("0.01"),
    max_price=Decimal(1_000_000),
    min_cost=Decimal(5),
    max_cost=Decimal(9_000_000),
)


def _check(**changed: Any) -> Any:
    asked = {"kind": "limit", "side": "buy", "amount": Decimal("0.01"), "price": Decimal(50_000), "params": None}
    return check_order(MARKET, **{**asked, **changed})


@pytest.mark.parametrize("venue", [*LISTED, "bitmex"])
def test_a_generated_id_is_one_that_the_venue_takes(venue: str) -> None:
    """Its own pattern holds, and two are never the same."""
    ids = client_ids_of(venue)
    made = {ids.make() for _ in range(1000)}
    assert len(made) == 1000
    assert all(ids.check(one, venue) == one for one in made)


@pytest.mark.parametrize("venue", LISTED)
def test_the_table_names_venues_and_methods_that_ccxt_has(venue: str) -> None:
    """A method that ccxt renames would turn every lost answer into an unknown outcome."""
    ids = client_ids_of(venue)
    assert ids.places
    for question in ids.questions:
        assert callable(getattr(getattr(ccxt, venue), question.method))
        head, *rest = question.method.split("_")
        assert getattr(ccxt, venue)().has[head + "".join(part.capitalize() for part in rest)]


def test_an_id_of_ones_own_is_held_to_the_venues_rules() -> None:
    """The message shows one that would do."""
    assert client_ids_of("okx").check("abc123", "okx") == "abc123"
    for venue, wrong in (("okx", "a-b"), ("okx", "a" * 33), ("gate", "x1"), ("binance", ""), ("binance", "ä"),
                         ("kraken", "x" * 19), ("binance", "a\n"), ("binance", 7)):  # fmt: skip
        with pytest.raises(errors.UsageError, match=f"{venue} takes"):
            client_ids_of(venue).check(wrong, venue)


def test_a_venue_that_is_not_listed_proves_nothing() -> None:
    """Where nobody has checked how ids travel, an order that is not found may be there."""
    assert not client_ids_of("bitmex").places


def test_how_long_a_request_can_still_arrive_is_the_venues_or_the_options() -> None:
    """Binance refuses what is older than its recvWindow, which is an option of ccxt."""
    assert lapse_of(client_ids_of("binance"), {"recvWindow": 1_500}) == 1.5
    assert lapse_of(client_ids_of("binance"), {}) == 5.0
    assert lapse_of(client_ids_of("gate"), {"recvWindow": 1_500}) == 60.0


def test_an_order_that_is_right_passes_as_it_is() -> None:
    """No digit changes."""
    amount, price = Decimal("0.01234"), Decimal("50000.10")
    assert _check(kind="LIMIT", amount=amount, price=price, params={"timeInForce": "IOC"}) == (
        "limit", "buy", amount, price, {"timeInForce": "IOC"}
    )  # fmt: skip
    assert _check(kind="market", price=None)[3] is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"amount": 0.01}, 'write Decimal("0.01")'),
        ({"amount": 1}, 'write Decimal("1")'),
        ({"price": 50_000.5}, 'write Decimal("50000.5")'),
        ({"amount": "0.01"}, 'write Decimal("0.01")'),
        ({"amount": None}, "not a Decimal"),
        ({"amount": True}, "not a Decimal"),
        ({"amount": Decimal("NaN")}, "above 0"),
        ({"amount": Decimal("Infinity")}, "above 0"),
        ({"amount": Decimal(0)}, "above 0"),
        ({"amount": Decimal(-1)}, "above 0"),
        ({"amount": Decimal("1E+999999")}, "digits"),
        ({"amount": Decimal("1E-999999")}, "digits"),
        ({"amount": Decimal("1." + "1" * 90)}, "digits"),
        ({"amount": Decimal("0.012345")}, "steps of 0.00001 and nothing is rounded here: write 0.01234 or 0.01235"),
        ({"price": Decimal("50000.001")}, "write 50000.00 or 50000.01"),
        ({"amount": Decimal("0.000001")}, "0.00001 or more"),
        ({"amount": Decimal(9001)}, "9000 or less"),
        ({"price": Decimal(1_000_001)}, "1000000 or less"),
        ({"price": Decimal(1)}, "amount x price was 0.01; BTC/USDT takes 5 or more"),
        ({"amount": Decimal(8000)}, "9000000 or less"),
        ({"price": None}, "a limit order needs one"),
        ({"side": "Buy"}, '"buy" or "sell"'),
        ({"kind": ""}, '"limit"'),
        ({"kind": None}, '"limit"'),
        ({"params": ["x"]}, "mapping"),
        ({"params": {"newClientOrderId": "x"}}, "client_order_id="),
        ({"params": {"cl_ord_id": "x"}}, "client_order_id="),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(changed: dict[str, Any], words: str) -> None:
    """Nothing is rounded, guessed or cut, and the message shows the way out."""
    with pytest.raises(errors.UsageError, match=re.escape(words)):
        _check(**changed)


@given(steps=st.integers(1, 10**12), decimals=st.integers(0, 18), off=st.integers(1, 9))
def test_exactly_the_multiples_of_the_step_pass(steps: int, decimals: int, off: int) -> None:
    """Whatever precision the application has set for its own numbers."""
    step = Decimal(1).scaleb(-decimals)
    market = Market(symbol="A/B", id="AB", base="A", quote="B", amount_step=step)
    with localcontext() as context:
        context.prec = 40
        right, wrong = steps * step, steps * step + step * off / 10
        context.prec = 3
        assert check_order(market, "market", "sell", right, None, None)[2] == right
        with pytest.raises(errors.UsageError, match="steps"):
            check_order(market, "market", "sell", wrong, None, None)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_numbers_are_written_with_all_digits_and_no_exponent(number: Decimal) -> None:
    """Venues read no exponents."""
    assert Decimal(plain(number)) == number
    assert "E" not in plain(number.scaleb(-9))


def test_an_id_is_a_string() -> None:
    """Of an order the id is given, not the order."""
    assert check_id("7") == "7"
    for wrong in (None, "", 7):
        with pytest.raises(errors.UsageError, match="id"):
            check_id(wrong)


def _translated(error: Exception, status: int | None) -> errors.TradeutilsError:
    ours = translate(error, venue="okx", operation="create_order", symbol="BTC/USDT", status=status)
    ours.__cause__ = error
    return ours


@pytest.mark.parametrize(
    ("error", "status", "is_refusal"),
    [
        (ccxt.InsufficientFunds("okx no"), 200, True),
        (ccxt.InvalidOrder("okx no"), 400, True),
        (ccxt.InvalidNonce("okx -1021"), 400, True),
        (ccxt.AuthenticationError("okx signature"), 401, True),
        (ccxt.DDoSProtection("okx 418"), 418, True),
        (ccxt.RateLimitExceeded("okx 429"), 429, True),
        (ccxt.BadRequest("okx bad"), 200, True),
        (ccxt.ExchangeNotAvailable("okx 404"), 404, True),
        (ccxt.ExchangeError("okx 99999 whatever"), 200, False),
        (ccxt.InvalidOrder("okx no"), 500, False),
        (ccxt.DDoSProtection("okx cloudflare"), 503, False),
        (ccxt.ExchangeError("okx POST"), None, False),
        (ccxt.RequestTimeout("okx POST"), None, False),
        (ccxt.RequestTimeout("okx -1007"), 408, False),
        (ccxt.ExchangeNotAvailable("okx 502"), 502, False),
        (ccxt.OnMaintenance("okx"), 200, False),
        (ccxt.BadResponse("okx"), 200, False),
    ],
)
def test_only_a_plain_no_counts_as_a_refusal(error: Exception, status: int | None, is_refusal: bool) -> None:
    """All else is looked up: the order may be there."""
    assert refused(_translated(error, status), status) is is_refusal


@pytest.mark.parametrize(
    "text",
    [
        'binance {"code":-2010,"msg":"Duplicate order sent."}',
        'okx {"sCode":"51016","sMsg":"Client order ID already exists."}',
        'bybit {"retCode":110072,"retMsg":"OrderLinkedID is duplicate"}',
        'kucoin {"code":"102426","msg":"duplicate clientOid"}',
    ],
)
def test_an_id_that_is_taken_is_one_error_on_all_venues(text: str) -> None:
    """ccxt has a class for it and most of its venues do not use it."""
    assert type(_translated(ccxt.InvalidOrder(text), 400)) is errors.DuplicateOrder
    elsewhere = translate(ccxt.InvalidOrder(text), venue="okx", operation="cancel_order", symbol=None, status=400)
    assert type(elsewhere) is errors.InvalidOrder
