"""`Exchange`: what a bot asks a venue for, checked before it is sent and shared through the cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tradeutils.budget import Budget, default_budget
from tradeutils.cache import Cache
from tradeutils.errors import UsageError
from tradeutils.exchange.checks import check_grace
from tradeutils.exchange.requests.retry import Patience
from tradeutils.exchange.streams.terms import check_stream_to_cache
from tradeutils.exchange.together import Together
from tradeutils.exchange.venues.venue import CcxtVenue
from tradeutils.exchange.watching import Watching
from tradeutils.settings import Account, ExchangeSettings

__all__ = ["Exchange", "check_shared"]


class Exchange(Watching):
    """
    One venue, seen by one account or by nobody.

    Parameters
    ----------
    venue : str
        ccxt's id: ``"binance"``, ``"kraken"``, ...
    account : Account or None
        Whose keys sign private requests; public ones need none.
    cache : Cache or None
        Answers are shared through it with every process that uses the same one: tickers for 1 s, books for
        0.25 s, candles until the next one closes, markets for an hour. ``None``: every call is a request.
    budget : Budget or None
        Pays for every request, so that the venue is never asked for more than it allows. ``None``: shared with
        every process through the cache's Redis where it has one, else by all exchanges of this process.
    url : str or None
        ``"http://127.0.0.1:8080"``: scheme and host of every endpoint of the venue become this one, paths
        kept; a request to any other host is refused.
    options : mapping or None
        ccxt's own ``options`` for this venue.
    settings : ExchangeSettings or None
        What the settings say of this venue (``settings.exchanges.get(venue)``): timeout, rate limit, and
        ``url`` and ``options`` where they are not given here.
    retries : int
        How often a call that only reads is made again after an error that may pass (`TransientVenueError`), with
        growing pauses; every attempt pays from the budget.
    deadline : float
        Seconds after its first failure within which a call is made again, and within which the outcome of an order
        is found out; for which an order waits for room at most.

    info : bool
        Whether values keep what the venue itself sent, as their ``info``. Markets then do too, and their table is no
        longer shared through the cache.
    close_grace : float
        Seconds after its end for which a candle counts as forming, unless a later one has been traded: venues book
        the last trades of a bar some moments after its end. 0: a bar is closed at its end.
    stream_to_cache : bool or float
        Whether tickers and order books that are watched through this object are put where `fetch_ticker` and
        `fetch_order_book` look first, so that whoever shares the cache, in any process, is served with no request.
        For how many seconds each serves: True says 2. Books serve those who ask with the same ``limit``. Tickers that
        come without last price, bid or ask (bybit's of spot markets) are not put there, as REST has more.

    Raises
    ------
    UnknownName : no such venue; the nearest are named.
    UsageError : ``url`` is not scheme and host, or ``account`` belongs to another venue; ``retries`` < 0, or
        ``deadline`` not above 0.
    NotSupportedByVenue : ``account`` is of a sandbox, and the venue has none.

    Notes
    -----
    Opens its connections on first use; ``async with`` closes them. For many accounts or venues, `Exchanges` shares
    what they have in common. ``since`` is inclusive and ``until``
    exclusive everywhere, int milliseconds UTC or aware datetimes.

    A call waits for the budget up to ten minutes, one about orders up to ``deadline``, and raises `RateLimited` as
    soon as it is known that it would take longer. Of a reply at most 64 MiB are taken (after inflating; the text may
    need four times that), and four million values; beyond that it is a `BadReply`, and the connection is dropped. Of
    a refusal (HTTP 400 and above) 1 MiB is read. The first signed request costs five more, which tell the venue's
    clock.

    Examples
    --------
    >>> async with Exchange("binance") as exchange:  # doctest: +SKIP
    ...     candles = await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=100)
    """

    def __init__(
        self,
        venue: str,
        *,
        account: Account | None = None,
        cache: Cache | None = None,
        budget: Budget | None = None,
        url: str | None = None,
        options: Mapping[str, Any] | None = None,
        settings: ExchangeSettings | None = None,
        retries: int = 3,
        deadline: float = 30.0,
        info: bool = False,
        close_grace: float = 1.0,
        stream_to_cache: bool | float = False,
        _together: Together | None = None,
    ) -> None:
        check_shared(cache, budget)
        grace = check_grace(close_grace)
        seconds = check_stream_to_cache(stream_to_cache, cache, info=info)
        if settings is not None and not isinstance(settings, ExchangeSettings):
            raise UsageError(
                f"settings was {_shown(settings)}; give one venue's, as in settings.exchanges.get({venue!r})"
            )
        if options is not None and not isinstance(options, Mapping):
            raise UsageError(f"options was a {type(options).__name__}; give a mapping of ccxt's options")
        own = settings or ExchangeSettings()
        account = account.unlocked() if isinstance(account, Account) else account
        patience = Patience(retries, deadline)
        paying: list[Budget] = []

        def pay() -> Budget:
            paying.append(_default_budget(cache, own.egress) if budget is None else budget)
            return paying[0]

        opened = CcxtVenue(
            venue,
            budget=pay,
            windows=None if budget is None else budget.windows,
            account=account,
            url=own.url if url is None else url,
            settings=dataclasses.replace(own, options={**own.options, **(options or {})}),
            patience=patience,
            info=info,
            together=_together,
            cache=cache,
        )
        super().__init__(opened, cache, account, patience, publish_for=seconds, info=info)
        self._grace = grace
        self._budget = paying[0] if budget is None else budget
        self._borrowed = paying[0] if budget is None else None  # it ends with the last who closes it
        self._closed = False

    def __repr__(self) -> str:
        of = f" account {self._account.name}" if self._account else ""
        return f"<Exchange {self._venue.origin}{of}>"

    @property
    def origin(self) -> str:
        """Where answers come from: the venue, and host, sandbox and options that change them."""
        return self._venue.origin

    @property
    def budget(self) -> Budget:
        """What pays for its requests."""
        return self._budget

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a cache and a budget that were handed in stay open. Safe to call twice."""
        self._closed = True
        try:
            try:
                await self._end_streams()
            finally:
                await self._venue.aclose()
        finally:
            borrowed, self._borrowed = self._borrowed, None
            if borrowed is not None:
                await borrowed.aclose()


def check_shared(cache: object, budget: object) -> None:
    """Check what many may share, before anything is made of it."""
    if cache is not None and not isinstance(cache, Cache):
        raise UsageError(f"cache was {_shown(cache)}; give a Cache, as in Cache('redis://localhost:6379/0')")
    if budget is not None and (isinstance(budget, type) or not hasattr(budget, "acquire")):
        raise UsageError(f"budget was {_shown(budget)}; give a budget, as in LocalBudget() or RedisBudget(cache)")


def _shown(value: object) -> str:
    """Name what was given by its type: an address may hold a password."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _default_budget(cache: Cache | None, egress: str | None) -> Budget:
    """
    Return the budget of who names none; on Redis, exchanges that leave from another address have one of their own.

    Without Redis all exchanges of a process pay from one, wherever they leave from: that spends too little at worst.
    """
    return default_budget(cache, egress=egress or "default")
