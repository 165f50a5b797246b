"""What a venue tells anybody about its swaps and futures, through ccxt: funding and open interest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tradeutils.exchange.requests.calls import Call
from tradeutils.exchange.venues import parse
from tradeutils.exchange.venues.data import CcxtData
from tradeutils.model import FundingRate, OpenInterest
from tradeutils.timeframe import Timeframe

__all__ = ["CcxtDerivatives"]

# How many values one reply holds at most, from the venues' documentation: ccxt does not say. A hundred everywhere else.
_FUNDING_PAGES: Final[Mapping[str, int]] = {"binance": 1000, "binanceusdm": 1000, "binancecoinm": 1000, "bybit": 200}
_INTEREST_PAGES: Final[Mapping[str, int]] = {"binance": 500, "binanceusdm": 500, "binancecoinm": 500, "bybit": 200}
_PAGE: Final = 100
_DAY_MS: Final = 86_400_000
# From the venues' documentation too. binance answers an older start with an error; a day is kept back for what passes
# until it reads the request. okx answers with what it has, without a word.
_INTEREST_KEPT: Final = dict.fromkeys(("binance", "binanceusdm", "binancecoinm"), 29 * _DAY_MS)
_INTEREST_VALUES_KEPT: Final = dict.fromkeys(("okx", "okxus", "myokx"), 1_440)  # of each timeframe
_FUNDING_KEPT: Final = dict.fromkeys(("okx", "okxus", "myokx"), 90 * _DAY_MS)  # "three months", whichever they are


class CcxtDerivatives(CcxtData):
    """The data of swaps and futures of one exchange through ccxt's own class."""

    def offers(self, feature: str) -> bool:
        """Tell whether ccxt speaks to the venue about this, by its own name: ``"fetchFundingRate"``."""
        return bool(self._ccxt.has.get(feature))  # True, or "emulated" from another of its methods

    def funding_page(self) -> int:
        """Return how many past funding rates one reply holds."""
        return _FUNDING_PAGES.get(self.name, _PAGE)

    def interest_page(self) -> int:
        """Return how many past values of open interest one reply holds."""
        return _INTEREST_PAGES.get(self.name, _PAGE)

    def funding_kept(self) -> int | None:
        """Return for how many milliseconds past funding rates are kept; ``None``: for ever, or nobody says."""
        return _FUNDING_KEPT.get(self.name)

    def interest_kept(self, timeframe: Timeframe) -> int | None:
        """Return for how many milliseconds open interest is kept; ``None``: nobody says."""
        values = _INTEREST_VALUES_KEPT.get(self.name)
        return _INTEREST_KEPT.get(self.name) if values is None else (values - 1) * timeframe.nominal_ms

    async def fetch_funding_rate(self, symbol: str) -> FundingRate:
        async def work(_: Call) -> FundingRate:
            return parse.funding_rate(await self._ccxt.fetch_funding_rate(symbol), info=self._connection.info)

        return await self._connection.read("fetch_funding_rate", work, symbol=symbol)

    async def fetch_funding_rates(self, symbols: Sequence[str] | None) -> dict[str, FundingRate]:
        async def work(_: Call) -> dict[str, FundingRate]:
            raw = await self._ccxt.fetch_funding_rates(None if symbols is None else list(symbols))
            return {symbol: parse.funding_rate(entry, info=self._connection.info) for symbol, entry in raw.items()}

        return await self._connection.read("fetch_funding_rates", work)

    async def fetch_past_funding(self, symbol: str, since: int, until: int, limit: int) -> list[FundingRate]:
        # okx gives the newest after a start, whatever the limit, and pages by the end alone.
        start, params = (None, {"after": str(until)}) if self.name == "okx" else (since, {"until": until - 1})

        async def work(_: Call) -> list[FundingRate]:
            raw = await self._ccxt.fetch_funding_rate_history(symbol, start, limit, params)
            return [parse.past_funding_rate(entry, symbol, info=self._connection.info) for entry in raw]

        return await self._connection.read("fetch_funding_rate_history", work, symbol=symbol)

    async def fetch_open_interest(self, symbol: str) -> OpenInterest:
        async def work(_: Call) -> OpenInterest:
            raw = await self._ccxt.fetch_open_interest(symbol)
            return parse.open_interest(raw, symbol, info=self._connection.info)

        return await self._connection.read("fetch_open_interest", work, symbol=symbol)

    async def fetch_past_interest(
        self, symbol: str, timeframe: Timeframe, since: int, until: int, limit: int
    ) -> list[OpenInterest]:
        name, params = self.timeframes[timeframe], {"until": until - 1}

        async def work(_: Call) -> list[OpenInterest]:
            raw = await self._ccxt.fetch_open_interest_history(symbol, name, since, limit, params)
            return [parse.open_interest(entry, symbol, info=self._connection.info) for entry in raw]

        return await self._connection.read("fetch_open_interest_history", work, symbol=symbol)
