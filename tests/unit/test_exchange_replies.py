"""What a reply's JSON becomes: every digit of money, and nothing of what is none."""

from __future__ import annotations

import gc
import json
import sys
import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import BadReply
from tradeutils.exchange.requests.replies import collector_paused, data_json, exact_json, rough_json


@pytest.mark.parametrize(
    "number",
    [
        "0.1",
        "12345678.123456789012",
        "123456789012345678901234567890",
        "99999999999999999.9",
        "0.30000000000000004",
        "1.000000000000000000",
        "-0.1234567890123456789",
        "1.2345678901234567e-5",
        "18446744073709551617",
    ],
)
def test_money_keeps_every_digit(number: str) -> None:
    """As a number in the JSON, wherever it stands, it reads as what was written."""
    for text in (f'{{"a":{number}}}', f'{{"a": [{number}, 1]}}', f'{{"x":"1","a": {number} }}'):
        found = exact_json(text)["a"]
        assert Decimal(str(found[0] if isinstance(found, list) else found)) == Decimal(number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
def test_any_amount_is_the_one_that_was_written(amount: Decimal) -> None:
    """Up to as many digits as Decimal has."""
    found = exact_json(f'{{"amount":{amount:f}}}')["amount"]
    assert Decimal(str(found)) == amount


def test_what_is_not_rounded_stays_a_number() -> None:
    """ccxt's classes look at types here and there."""
    found = exact_json('{"a":0.1,"b":1.5000000000000000,"c":12345678901234567,"d":"1.00000000000000000001"}')
    assert found == {"a": 0.1, "b": 1.5, "c": 12345678901234567, "d": "1.00000000000000000001"}
    assert [type(value) for value in found.values()] == [float, float, int, str]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,",
        "NaN",
        "[NaN]",
        "[-Infinity, 1.00000000000000000001]",
        "x" * 50,
        "[1.00000000000000000001," + "[" * 10**5,
    ],
)
def test_what_is_no_json_is_refused_by_all(text: str) -> None:
    """Python's own module would take NaN."""
    for read in (rough_json, exact_json):
        with pytest.raises(ValueError):  # noqa: PT011  # json's and orjson's words differ
            read(text)
    with pytest.raises(BadReply, match="instead of data"):
        data_json(text)


@pytest.mark.parametrize("text", ["{}", "null", "0", "false", '""', "7", '"soon"'])
def test_json_without_data_is_refused_as_data(text: str) -> None:
    """An empty list says that there is nothing; these say nothing."""
    assert rough_json(text) == json.loads(text)
    with pytest.raises(BadReply):
        data_json(text)
    assert data_json("[]") == []


def test_the_collector_runs_again_after_many_threads() -> None:
    """One that found it off must not turn it off once more, after the other has turned it on."""

    def pause() -> None:
        for _ in range(4000):
            with collector_paused(), collector_paused():
                pass

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=pause) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert gc.isenabled()
    finally:
        sys.setswitchinterval(interval)
        gc.enable()


def test_the_collector_runs_again_afterwards() -> None:
    """Also after an error, and not where it was off before."""
    with pytest.raises(ZeroDivisionError), collector_paused():
        1 / int(gc.isenabled())
    assert gc.isenabled()
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
