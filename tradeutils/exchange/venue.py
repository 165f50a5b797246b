"""A venue through ccxt: the one file that imports it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tradeutils import errors, logs
from tradeutils import timeframe as _timeframe
from tradeutils.budget.base import Budget, Window
from tradeutils.budget.limits import limits_of
from tradeutils.exchange import parse
from tradeutils.exchange.calls import Call
from tradeutils.exchange.clock import VenueClock
from tradeutils.exchange.configuration import account_digest, credentials_of, defaults_of, origin_of, own_options_of
from tradeutils.exchange.connection import Connection
from tradeutils.exchange.endpoints import parse_target, redirect
from tradeutils.exchange.metering import Meter
from tradeutils.exchange.nonces import Nonces
from tradeutils.exchange.retry import Patience
from tradeutils.exchange.timekeeping import Timekeeper
from tradeutils.exchange.venue_data import CcxtData
from tradeutils.exchange.venue_orders import CcxtOrders
from tradeutils.model import Balance, Market
from tradeutils.settings import Account, ExchangeSettings
from tradeutils.timeframe import Timeframe

__all__ = ["CcxtVenue", "venue_names"]

_log = logs.get_logger("exchange")

_SLOWEST_MS: Final = 2000.0  # between requests, of a class of ccxt that names no figure


def venue_names() -> list[str]:
    """Return every venue that can be opened. Imports ccxt: about 0.5 s the first time."""
    import ccxt.async_support

    return list(ccxt.async_support.exchanges)


def _check_name(name: object) -> None:
    known = venue_names()
    if not isinstance(name, str) or name not in known:
        raise errors.UnknownName("venue", name, known, where="ccxt")


def _open_ccxt(name: str, config: dict[str, Any]) -> Any:
    import ccxt.async_support

    return getattr(ccxt.async_support, name)(config)


class CcxtVenue(CcxtData):
    """
    One exchange through ccxt's own class, unmodified: its routes, signatures and parsers.

    Parameters
    ----------
    name : str
        ccxt's id of the venue.
    budget : callable
        Returns the `Budget` that pays for every request; called once, and only if nothing else is wrong.
    windows : sequence of Window or None
        Instead of those of the settings.
    account : Account or None
        Whose keys sign private requests.
    url : str or None
        Scheme and host that every endpoint is moved to; requests to any other host are refused.
    settings : ExchangeSettings or None
        Timeout, limits and ccxt's options of this venue.
    patience : Patience or None
        How often reads are made again; ``None``: `Patience`'s own figures.

    Raises
    ------
    UnknownName : ccxt has no such venue.
    UsageError : ``url`` is not a scheme and a host; ``account`` belongs to another venue.
    NotSupportedByVenue : ``account`` is of a sandbox, and the venue has none.
    """

    def __init__(
        self,
        name: str,
        *,
        budget: Callable[[], Budget],
        windows: Sequence[Window] | None = None,
        account: Account | None = None,
        url: str | None = None,
        settings: ExchangeSettings | None = None,
        patience: Patience | None = None,
    ) -> None:
        _check_name(name)
        patience = patience or Patience()
        own = settings or ExchangeSettings()
        own_options = own_options_of(name, account, own.options)
        config: dict[str, Any] = {
            # Figures arrive as the venue wrote them; see parse. Not str: some of ccxt's classes sort a book by what
            # they parsed, and "99" comes after "100".
            "number": Decimal,
            "timeout": int(own.timeout * 1000),
            "options": {**defaults_of(name), **own_options},
        }
        if account is not None:
            logs.protect(*account.secrets())  # from here on they can stand in ccxt's own messages
            config |= credentials_of(account)
        target = None if url is None else parse_target(url)
        opened = _open_ccxt(name, config)
        opened.safe_string = _text_of
        opened.logger = logs.get_logger("exchange.ccxt")  # its own would write keys and signed URLs at DEBUG
        sandbox = account is not None and account.sandbox
        if sandbox:
            _enter_sandbox(opened)  # its keys must not reach the real venue
        if target is not None:
            opened.urls["api"] = redirect(opened.urls["api"], target)
        netloc = target.netloc if target else None
        self._origin = origin_of(name, netloc, sandbox, own_options)
        self._account = account.name if account else None
        digest = account_digest(account)
        limits = limits_of(
            name,
            ccxt_rate_limit_ms=float(opened.rateLimit or _SLOWEST_MS),
            rate_limit_ms=own.rate_limit_ms,
            windows=windows or [Window(one.name, one.limit, one.seconds, one.scope) for one in own.windows],
            tier=own.tier,
            host=netloc or ("sandbox" if sandbox else None),
        )
        paying = budget()
        nonces = Nonces(opened, paying, digest)
        connection = Connection(
            opened,
            target=target,
            clock=VenueClock(),
            meter=Meter(paying, name, limits, digest, patience=patience.deadline),
            nonces=nonces,
            patience=patience,
        )
        keeper = Timekeeper(connection, signs=account is not None and not nonces.wanted)
        super().__init__(connection, keeper, _timeframes(opened.timeframes or {}))
        self._orders = CcxtOrders(connection, keeper)
        self._markets: dict[str, Market] = {}
        self._loading = asyncio.Lock()

    @property
    def origin(self) -> str:
        return self._origin

    @property
    def orders(self) -> CcxtOrders:
        return self._orders

    async def load_markets(self, *, reload: bool = False) -> Mapping[str, Market]:
        async def work(_: Call) -> dict[str, Market]:
            raw = await self._ccxt.load_markets(reload)
            mode = self._ccxt.precisionMode
            return {symbol: parse.market(entry, mode) for symbol, entry in raw.items()}

        async with self._loading:
            if not self._markets or reload:
                self._markets = await self._connection.read("load_markets", work)
                _log.debug("%s lists %d markets", self.name, len(self._markets))
        return self._markets

    async def fetch_balance(self) -> Balance:
        async def work(call: Call) -> Balance:
            raw = await self._ccxt.fetch_balance()
            # Not ccxt's timestamp: on some venues that is when the account last changed.
            return parse.balance(raw, self.name, self._account, self._clock.at(call.received))

        return await self._connection.read("fetch_balance", work, before=self._keeper.settle)

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._connection.aclose()


def _text_of(container: Any, key: Any, default: Any = None) -> Any:
    """
    Return an entry as text, as ccxt's ``safe_string`` does, but of a Decimal too.

    ccxt reads what it has parsed a second time, to sum up fees and fills, and takes a Decimal there for nothing.
    """
    try:
        value = container[key]
    except (KeyError, IndexError, TypeError):
        return default
    if type(value) is str:
        return value or default
    if type(value) is float or type(value) is int:
        return str(value)
    return format(value, "f") if type(value) is Decimal else default


def _enter_sandbox(ccxt_exchange: Any) -> None:
    import ccxt.async_support

    try:
        ccxt_exchange.set_sandbox_mode(True)
    except (ccxt.async_support.NotSupported, TypeError) as error:  # TypeError: kraken's list of them is None
        raise errors.NotSupportedByVenue(
            "has no sandbox; use an account with sandbox=False", venue=str(ccxt_exchange.id)
        ) from error


def _timeframes(names: Iterable[str]) -> dict[Timeframe, str]:
    """Return the venue's own names by what they mean: backpack's "15" is "15m", phemex's "1Y" is "1y"."""
    known: dict[Timeframe, str] = {}
    for name in names:
        with contextlib.suppress(errors.UnknownName):  # a name that only this venue could explain
            known.setdefault(_timeframe.parse(name), name)
    return known
