"""ccxt's errors become ours, by one table."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator

import ccxt
import pytest

from tradeutils import errors
from tradeutils.exchange.venues.faults import TABLE, redact_chain, translate


def _every(cls: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in cls.__subclasses__():
        yield child
        yield from _every(child)


EVERY = sorted({c for c in _every(ccxt.BaseError) if c.__module__.startswith("ccxt")}, key=lambda c: c.__name__)


def _translate(error: BaseException, **kwargs: object) -> errors.TradeutilsError:
    return translate(error, venue="binance", operation="fetch_ohlcv", symbol="BTC/USDT", **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", EVERY, ids=lambda c: c.__name__)
def test_every_ccxt_error_has_its_own_row(cls: type[BaseException]) -> None:
    """A new error class of ccxt fails here until somebody decides what it means."""
    assert cls.__name__ in TABLE


@pytest.mark.parametrize("cls", EVERY, ids=lambda c: c.__name__)
def test_every_ccxt_error_becomes_one_of_ours_with_its_place(cls: type[BaseException]) -> None:
    """Each translates to a TradeutilsError that names the venue and survives pickling."""
    ours = _translate(cls("binance something broke"))
    assert isinstance(ours, errors.TradeutilsError)
    assert "binance" in str(ours)
    assert str(pickle.loads(pickle.dumps(ours))) == str(ours)  # noqa: S301  # our own bytes


def test_what_may_be_retried_is_what_ccxt_calls_operation_failed() -> None:
    """Retry looks at the class alone, so ccxt's two branches must land on ours."""
    for cls in EVERY:
        ours = _translate(cls("x"))
        transient = issubclass(cls, ccxt.OperationFailed) or cls.__name__ == "UnsubscribeError"
        assert isinstance(ours, errors.TransientVenueError) == transient, cls


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.RequestRefused),
        (401, errors.AuthenticationFailed),
        (403, errors.PermissionDenied),
        (404, errors.RequestRefused),
        (500, errors.VenueUnavailable),
        (503, errors.VenueUnavailable),
    ],
)
def test_refusals_that_ccxt_calls_unavailable_are_not_retried(status: int, expected: type[Exception]) -> None:
    """ccxt turns HTTP 400, 403 and 404 into ExchangeNotAvailable: repeating them only spends the budget."""
    ours = _translate(ccxt.ExchangeNotAvailable("binance GET somewhere"), status=status)
    assert type(ours) is expected
    assert str(status) in str(ours)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(429, errors.RateLimited), (500, errors.VenueUnavailable), (503, errors.VenueUnavailable)],
)
def test_a_refusal_in_unknown_words_is_what_its_status_says(status: int, expected: type[Exception]) -> None:
    """What stands before a venue has words of its own, which ccxt's bybit and okx take for the venue's refusal."""
    assert type(_translate(ccxt.ExchangeError('bybit {"code":-1000}'), status=status)) is expected
    assert type(_translate(ccxt.ExchangeError('bybit {"code":-1000}'), status=200)) is errors.RequestRefused
    assert type(_translate(ccxt.InsufficientFunds("bybit"), status=status)) is errors.InsufficientFunds


def test_retry_after_comes_from_the_header_else_from_the_text() -> None:
    """Both ways a venue says how long to stay silent end in ``retry_after`` seconds."""
    header = _translate(ccxt.DDoSProtection("binance 429"), status=429, headers={"Retry-After": "17"})
    text = _translate(
        ccxt.DDoSProtection("binance 418 IP banned until 1700000012500."), status=418, now_ms=1_700_000_000_000
    )
    silent = _translate(ccxt.RateLimitExceeded("binance 429"), headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert isinstance(header, errors.RateLimited)
    assert isinstance(text, errors.RateLimited)
    assert isinstance(silent, errors.RateLimited)
    assert (header.retry_after, text.retry_after, silent.retry_after) == (17.0, 12.5, None)


def test_a_message_carries_no_secret_and_no_page() -> None:
    """Signatures in a URL are hidden, and an HTML page is named instead of quoted."""
    timeout = _translate(ccxt.RequestTimeout("binance GET https://x/api/v3/account?timestamp=1&signature=deadbeefcafe"))
    page = _translate(ccxt.ExchangeNotAvailable("binance 502 <!DOCTYPE html><html>" + "x" * 9000), status=502)
    assert "deadbeefcafe" not in str(timeout)
    assert isinstance(timeout, errors.VenueTimeout)
    assert len(str(page)) < 200
    assert "HTML" in str(page)


@pytest.mark.parametrize(
    ("cls", "words"),
    [(ccxt.ExchangeNotAvailable, "could not be reached"), (ccxt.RequestTimeout, "did not answer in time")],
)
def test_a_request_without_a_reply_is_said_in_words(cls: type[BaseException], words: str) -> None:
    """ccxt's message is only the address."""
    ours = _translate(cls("binance GET https://api.example.com/x"))
    assert f"{words} (GET https://api.example.com/x)" in str(ours)
    assert words not in str(_translate(cls("binance 503 busy"), status=503))


def test_a_key_that_binance_refuses_is_no_ban() -> None:
    """After a first login ccxt takes code -2015 for one; waiting and asking again would help nobody."""
    body = '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
    refused = _translate(ccxt.DDoSProtection(f"binance {body}"), status=401)
    assert type(refused) is errors.AuthenticationFailed
    assert type(_translate(ccxt.DDoSProtection(f"binance 418 {body}"), status=418)) is errors.RateLimited


@pytest.mark.parametrize("value", ["-5", "nan", "inf", "1e308", "1_0", "99999999999", "", "soon"])
def test_a_retry_after_that_is_no_time_is_not_believed(value: str) -> None:
    """A caller that sleeps for as long as it is told must not sleep for ever."""
    told = _translate(ccxt.RateLimitExceeded("binance 503"), status=503, headers={"Retry-After": value})
    assert isinstance(told, errors.RateLimited)
    assert told.retry_after is None


def test_an_error_that_makes_its_own_text_is_redacted_in_the_chain() -> None:
    """aiohttp's error of too many redirects writes the signed URL, whatever its arguments say."""
    url = "https://x/account?signature=" + "deadbeef" * 4

    class Own(Exception):
        def __str__(self) -> str:
            return f"GET {url}"

    try:
        try:
            raise Own
        except Own as own:
            raise ccxt.ExchangeError(f"binance GET {url}") from own
    except ccxt.ExchangeError as error:
        error.__context__ = error  # a chain may lead back to itself
        redact_chain(error)
        text = "".join(traceback.format_exception(error))
    assert "deadbeefdeadbeef" not in text
    assert "Own: GET https://x/account" in text


@pytest.mark.parametrize(
    ("venue", "raised", "expected"),
    [
        ("kraken", ccxt.ExchangeError('kraken {"error":["EAPI:Invalid signature"]}'), errors.AuthenticationFailed),
        ("kraken", ccxt.ExchangeError('kraken {"error":["EOrder:Unknown position"]}'), errors.RequestRefused),
        ("okx", ccxt.ExchangeError('okx {"code":"50100","data":[],"msg":"API frozen"}'), errors.AccountSuspended),
        ("myokx", ccxt.AuthenticationError('myokx {"code":"50112","msg":"Invalid timestamp"}'), errors.ClockSkew),
        ("okx", ccxt.ExchangeError('okx {"code":"50119","msg":"API key doesn\'t exist"}'), errors.AuthenticationFailed),
        ("okx", ccxt.ExchangeError('okx {"code":"50120","msg":"no permission"}'), errors.PermissionDenied),
        ("okx", ccxt.ExchangeError('okx {"code":"501190","msg":"another code"}'), errors.RequestRefused),
        ("bybit", ccxt.AuthenticationError('bybit {"retCode":10009,"retMsg":"IP banned"}'), errors.RateLimited),
        ("bybiteu", ccxt.PermissionDenied('bybiteu {"retCode":10009,"retMsg":"IP banned"}'), errors.RateLimited),
        ("bybitid", ccxt.PermissionDenied('bybitid {"retCode":10009,"retMsg":"IP banned"}'), errors.RateLimited),
        ("bybit", ccxt.AuthenticationError('bybit {"retCode":10003,"retMsg":"bad"}'), errors.AuthenticationFailed),
        ("gate", ccxt.ExchangeError('gate {"code":"50100"}'), errors.RequestRefused),
    ],
    ids=lambda given: str(given)[:40],
)
def test_words_about_a_key_that_ccxt_does_not_know(
    venue: str, raised: ccxt.BaseError, expected: type[errors.VenueError]
) -> None:
    """Who suspends accounts by class must not take a ban of an address, or a clock that is off, for a bad key."""
    ours = translate(raised, venue=venue, operation="fetch_balance", symbol=None, status=200)
    assert type(ours) is expected


def test_trouble_of_a_venue_stays_trouble_whatever_it_says() -> None:
    """Words about keys in an answer that ccxt takes for an outage say nothing of a key."""
    down = ccxt.ExchangeNotAvailable('kraken {"error":["EAPI:Invalid signature","EService:Unavailable"]}')
    ours = translate(down, venue="kraken", operation="fetch_balance", symbol=None, status=503)
    assert type(ours) is errors.VenueUnavailable
