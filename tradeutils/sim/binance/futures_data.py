"""The public endpoints of Binance's USD-M futures: those of spot in their own words, and what only swaps have."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from tradeutils import timeframe as _timeframe
from tradeutils.sim.binance.errors import BinanceError
from tradeutils.sim.binance.listing import describe_futures_limits, describe_swap
from tradeutils.sim.binance.market_data import MarketData, number, rows_of
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument, Kind
from tradeutils.sim.swaps import FUNDING_CAP, FUNDING_MS, INTEREST

__all__ = ["FuturesData", "depth_weight", "klines_weight"]

DEPTHS: Final = (5, 10, 20, 50, 100, 500, 1_000)
_BIDS_AND_ASKS: Final = ("bidPrice", "bidQty", "askPrice", "askQty")
_NOT_IN_DAY: Final = (*_BIDS_AND_ASKS, "prevClosePrice")
_MONTH_MS: Final = 30 * 86_400_000  # so long open interest is kept
_PRICE_ONLY: Final = (5, 7, 9, 10)  # the columns of a kline that tell volumes


def depth_weight(values: dict[str, Any]) -> int:
    """Return what an order book costs: the deeper the more."""
    limit = values.get("limit", 500)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def klines_weight(values: dict[str, Any]) -> int:
    """Return what candles cost: the more the more."""
    limit = values.get("limit", 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1_000 else 10


class FuturesData(MarketData):
    """The public endpoints of ``/fapi``, as plain values; every method takes the parameters of one call."""

    kind: ClassVar[Kind] = "linear"
    most_klines: ClassVar[int] = 1_500

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._limits = describe_futures_limits(venue.gate.limits)

    def listing(self, values: dict[str, Any]) -> Any:
        """List the swaps and their rules."""
        return {
            "timezone": "UTC",
            **self.time(values),
            "futuresType": "U_MARGINED",
            "rateLimits": self._limits,
            "exchangeFilters": [],
            "assets": [
                {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
                for asset in dict.fromkeys(one.quote for one in self._traded.values())
            ],
            "symbols": [describe_swap(one, self._market.listed(one.id)) for one in self._traded.values()],
        }

    def mark_klines(self, values: dict[str, Any]) -> Any:
        """Return candles of the mark price; they have no volumes."""
        return _without_volumes(self._candles(values, self.instrument(values["symbol"]), self._market.mark_klines))

    def index_klines(self, values: dict[str, Any]) -> Any:
        """Return candles of the index price of a pair; they have no volumes."""
        instrument = self.instrument(values["pair"])
        rules = self._market.instruments.get(self._market.index_of(instrument.id), instrument)
        return _without_volumes(self._candles(values, instrument, self._market.index_klines, shown=rules))

    def _day_of(self, instrument: Instrument, now: int) -> dict[str, Any]:
        return {name: told for name, told in super()._day_of(instrument, now).items() if name not in _NOT_IN_DAY}

    def _price_of(self, instrument: Instrument, now: int) -> dict[str, Any]:
        return {**super()._price_of(instrument, now), "time": now}

    def book_ticker(self, values: dict[str, Any]) -> Any:
        """Return best bids and asks."""
        return self._each(
            values,
            lambda instrument, now: {
                "symbol": instrument.name,
                **self._top(instrument, now),
                "time": now,
                "lastUpdateId": now,
            },
        )

    def depth(self, values: dict[str, Any]) -> Any:
        """Return the order book, to one of the depths that there are."""
        limit, now = values.get("limit", 500), self._venue.clock.now()
        if limit not in DEPTHS:
            raise BinanceError(-4021, limit, ", ".join(map(str, DEPTHS)))
        return {"E": now, "T": now, **super().depth({**values, "limit": limit})}

    def trades(self, values: dict[str, Any]) -> Any:
        """Return public trades, the newest or those from an id."""
        return _without(super().trades(values), "isBestMatch")

    def aggregated_trades(self, values: dict[str, Any]) -> Any:
        """Return trades aggregated by taker order, which here are the trades themselves."""
        return _without(super().aggregated_trades(values), "M")

    def premium_index(self, values: dict[str, Any]) -> Any:
        """Return mark and index prices, and the funding that is on its way."""
        return self._each(values, self._premium_of)

    def _premium_of(self, instrument: Instrument, now: int) -> dict[str, Any]:
        funding = self._market.funding(instrument.id, now)
        return {
            "symbol": instrument.name,
            "markPrice": number(funding.mark, instrument.price_decimals),
            "indexPrice": f"{funding.index:.8f}",
            "estimatedSettlePrice": f"{funding.index:.8f}",
            "lastFundingRate": f"{funding.rate:.8f}",
            "interestRate": f"{INTEREST:.8f}",
            "nextFundingTime": funding.next_time,
            "time": now,
        }

    def funding_rates(self, values: dict[str, Any]) -> Any:
        """Return settlements of funding, oldest first; ``startTime`` and ``endTime`` are inclusive."""
        now, end, limit = self._venue.clock.now(), values.get("endTime"), rows_of(values, 100, 1_000)
        rows: list[dict[str, Any]] = []
        for instrument in self.chosen(values):
            found = self._market.funding_history(
                instrument.id,
                now,
                since=values.get("startTime"),
                until=None if end is None else end + 1,
                limit=limit,
            )
            rows += [
                {
                    "symbol": instrument.name,
                    "fundingTime": time,
                    "fundingRate": f"{rate:.8f}",
                    "markPrice": number(self._market.mark_price(instrument.id, time), instrument.price_decimals),
                }
                for time, rate in found
            ]
        rows.sort(key=lambda row: row["fundingTime"])
        return rows[:limit] if "startTime" in values else rows[max(0, len(rows) - limit) :]

    def funding_info(self, _values: dict[str, Any]) -> Any:
        """Tell how often funding is settled, and how far the rate may go."""
        return [
            {
                "symbol": instrument.name,
                "adjustedFundingRateCap": f"{FUNDING_CAP:.8f}",
                "adjustedFundingRateFloor": f"{-FUNDING_CAP:.8f}",
                "fundingIntervalHours": FUNDING_MS // 3_600_000,
                "disclaimer": False,
            }
            for instrument in self._traded.values()
        ]

    def open_interest(self, values: dict[str, Any]) -> Any:
        """Return what all hold together in a swap."""
        instrument, now = self.instrument(values["symbol"]), self._venue.clock.now()
        found = self._market.open_interest(instrument.id, now)
        amount = number(found.amount, instrument.amount_decimals)
        return {"symbol": instrument.name, "openInterest": amount, "time": now}

    def open_interest_history(self, values: dict[str, Any]) -> Any:
        """Return what was held, no further back than a month; a candle's length apart."""
        instrument, now = self.instrument(values["symbol"]), self._venue.clock.now()
        since, end = values.get("startTime"), values.get("endTime")
        if since is not None and since < now - _MONTH_MS:
            raise BinanceError(-1130, message="parameter 'startTime' is invalid.")
        frame = _timeframe.parse(values["period"])
        oldest = frame.ceil(now - _MONTH_MS)
        limit = rows_of(values, 30, 500)
        found = self._market.open_interest_history(
            instrument.id,
            frame.name,
            now,
            since=since,
            until=None if end is None else end + 1,
            limit=limit,
        )
        return [
            {
                "symbol": instrument.name,
                "sumOpenInterest": number(one.amount, instrument.amount_decimals),
                "sumOpenInterestValue": f"{one.value:.8f}",
                "timestamp": one.time,
            }
            for one in found
            if one.time >= oldest
        ]


def _without_volumes(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    told = [list(row) for row in rows]
    for row in told:
        for column in _PRICE_ONLY:
            row[column] = "0"
    return told


def _without(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return rows without a column that only spot has."""
    for row in rows:
        del row[name]
    return rows
