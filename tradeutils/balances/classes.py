"""
Which failures are the account's own, and what is to be done about each.

Our error's class decides. Where one class stands for several reasons, or ccxt's for something that is no matter of the
account at all, the venue's own code or words decide: they are in the message. A test walks every such code that ccxt
knows of the four venues we speak the dialect of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from tradeutils.errors import AccountSuspended, AuthenticationFailed, PermissionDenied
from tradeutils.exchange.venues.faults import dialect_of

__all__ = ["REASONS", "Failure", "Reason", "failure_of"]

Reason: TypeAlias = Literal["bad key", "address not allowed", "permission", "account frozen"]
"""Why calls for an account are held back."""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of an account's own: why, and what its owner is to do."""

    reason: Reason
    remedy: str


_REMEDIES: Final[Mapping[Reason, str]] = {
    "bad key": "check key and secret (and password, where the venue has one) in the settings; if the key was deleted "
    "or has expired, make a new one",
    "address not allowed": "add the address of this machine to those that the key may be used from, on the venue's "
    "page of API keys",
    "permission": "let the key read balances, or the account do what the venue names, on the venue's page of API keys",
    "account frozen": "log in to the venue, and see or ask its support what it wants from the account",
}
_EITHER: Final = (
    "the venue does not say which of three it is: check that the key exists, that this machine's address is among "
    "those it may be used from, and that it may read"
)
_EXPIRED: Final = "the key has expired: make a new one"
_ENVIRONMENT: Final = (
    "the key is of the other environment: write sandbox = true for one of demo trading, and leave it out for a real one"
)
_PASSWORD: Final = "check the password in the settings: it is the passphrase that was chosen with the key"  # noqa: S105  # says what to do
_WORDED: Final[Mapping[tuple[str, str], str]] = {
    ("binance", "-2015"): _EITHER,
    ("bybit", "-2015"): _EITHER,
    ("bybit", "33004"): _EXPIRED,
    ("okx", "50101"): _ENVIRONMENT,
    ("okx", "50104"): _PASSWORD,
    ("okx", "50105"): _PASSWORD,
    ("okx", "60024"): _PASSWORD,
}

# Where ccxt's class says something else than the code means to whoever reads a balance. None: it is about one order,
# market, product, transfer or stream, or passes by itself, and other calls of the account go on as before.
_CODES: Final[Mapping[str, Mapping[Reason | None, str]]] = {
    "binance": {
        "address not allowed": "-1005 -1011",
        "bad key": "-4056 -4057",
        "permission": "-1002 -3001 -1109",
        "account frozen": "-2017 200003903",
        None: "-1125 -3014 -3018 -3019 -3036 -3043 -3999 -4007 -4008 -4010 -4012 -4013 -4015 -4016 -4017 -4035 -4036 "
        "-4039 -4044 -4046 -4087 -4088 -4089 -4090 -4192 -4194 -4195 -4200 -4201 -4202 -4203 -4205 -4206 -4400 -4401 "
        "-4402 -4403 -6003 -6017 -10047 -13003 -13007 -18005",
    },
    "bybit": {
        "address not allowed": "10010",
        "account frozen": "10024 10027 131004 170201",
        None: "10029 110065 110067 110068 110069 140065 140067 140068 140069 170209 170224 170241 175010 176035 176036 "
        "176037 30011 30012 30013",
    },
    "kraken": {},
    "okx": {
        "address not allowed": "50110",
        "account frozen": "50027 51732 51733 51734",
        None: "51009 51010 51763 51773 58001 58002 58101 58204 58213 59113 59260 59262 50107 60001 60002 60003 60004 "
        "60008 60010 60011 60021 60022 60026 60029 60030 60031 64003",
    },
}
_BY_CODE: Final[Mapping[tuple[str, str], Reason | None]] = {
    (venue, code): reason
    for venue, reasons in _CODES.items()
    for reason, codes in reasons.items()
    for code in codes.split()
}
_CODE: Final = re.compile(r'"(?:code|retCode|ret_code|sCode)"\s*:\s*"?(-?\d{1,10})(?!\d)')
# What binance says without a code, and what any venue says of one call.
_ONE_CALL: Final = re.compile(
    r"(?i)symbol is (restricted|not permitted) for|may not place or cancel orders|trading is not enabled"
    r"|ESession:Invalid session"
)
_ADDRESS: Final = re.compile(
    r"(?i)\bip\b.{0,60}\b(white|allow|match|mismatch|bound|bind|restrict|trust|unauthori[sz]ed)"
    r"|\b(invalid|unmatched|illegal|unauthori[sz]ed|trusted) ip\b|ip[ _-]?(address )?(not |is not |white)"
    r"|from (this|your) ip"
)
# What stands before a venue (a gateway, a firewall, a proxy) knows no accounts.
_PAGE: Final = "answered with an HTML page"
_BARE: Final = re.compile(r"(?:^|: )(?:GET|POST|PUT|DELETE) https?://\S+ 40[37]\b")


def failure_of(error: BaseException) -> Failure | None:
    """
    Return why an error is the account's own, and the remedy; ``None`` where it is not to be held against it.

    Parameters
    ----------
    error : BaseException
        What a call for the account raised.

    Returns
    -------
    Failure or None
        `AuthenticationFailed`, `PermissionDenied` and `AccountSuspended` are the account's own, but for those whose
        code or words say that they are about one order, product or stream, and for what a gateway refuses without a
        word of the venue. No other error is: not the venue's trouble, not a clock that is off, not a rate limit. Of a
        group, the first that is.
    """
    if isinstance(error, BaseExceptionGroup):  # of several calls at once
        return next(filter(None, map(failure_of, error.exceptions)), None)
    if not isinstance(error, AuthenticationFailed):
        return None
    text, venue = str(error), dialect_of(error.venue)
    if _PAGE in text or (_BARE.search(text) and isinstance(error, PermissionDenied)):
        return None
    known = [code for code in _CODE.findall(text) if (venue, code) in _BY_CODE or (venue, code) in _WORDED]
    code = known[0] if known else ""
    if (venue, code) in _BY_CODE:
        reason = _BY_CODE[venue, code]
    elif _ONE_CALL.search(text):
        reason = None
    else:
        reason = _reason_of_class(error, text)
    return None if reason is None else Failure(reason, _WORDED.get((venue, code), _REMEDIES[reason]))


def _reason_of_class(error: AuthenticationFailed, text: str) -> Reason:
    if isinstance(error, AccountSuspended):
        return "account frozen"
    # binance's "Invalid API-key, IP, or permissions" names an address too, and means any of them.
    if _ADDRESS.search(text) and "API-key, IP" not in text:
        return "address not allowed"
    return "permission" if isinstance(error, PermissionDenied) else "bad key"
