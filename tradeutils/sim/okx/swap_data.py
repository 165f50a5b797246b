"""OKX's public endpoints about swaps: mark and index prices, funding and open interest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tradeutils import timeframe as _timeframe
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.okx.errors import OkxError
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.names import KINDS, Names, amounts, family, inst_id, prices
from tradeutils.sim.okx.paging import PAGE
from tradeutils.sim.swaps import FUNDING_CAP, INTEREST, OpenInterest

__all__ = ["SwapData"]

_PERIODS: Final = {
    "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h", "6Hutc": "6h", "12Hutc": "12h",
    "1Dutc": "1d",
}  # fmt: skip
_RATES: Final = 400
_DAY_MS: Final = 86_400_000
_KEPT_RATES_MS: Final = 92 * _DAY_MS  # three months
_KEPT_COUNTS: Final = 1_440
_HONG_KONG_DAY: Final = 16  # o'clock UTC


class SwapData:
    """The public endpoints about swaps by path; each takes the parameters of one call and returns its data."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._market, self._names = venue.clock, venue.market, names
        self.endpoints: dict[str, Callable[[Fields], Any]] = {
            "public/mark-price": self.mark_price,
            "market/index-tickers": self.index_tickers,
            "public/funding-rate": self.funding_rate,
            "public/funding-rate-history": self.past_rates,
            "public/open-interest": self.open_interest,
            "rubik/stat/contracts/open-interest-history": self.past_interest,
        }

    def mark_price(self, fields: Fields) -> Any:
        """Tell the mark price of a swap, or of all; of other types there is none."""
        now = self._clock.now()
        if fields.text("instId") is None:
            fields.choice("instType", KINDS)
        rows = []
        for one in self._swaps(fields):
            (price,) = prices([self._market.mark_price(one.id, now)], one)
            rows.append({"instType": "SWAP", "instId": inst_id(one), "markPx": price, "ts": str(now)})
        return rows

    def _swaps(self, fields: Fields) -> list[Instrument]:
        return [one for one in self._names.chosen(fields) if one.kind == "linear"]

    def index_tickers(self, fields: Fields) -> Any:
        """Tell an index, or those in a currency, and their last 24 hours."""
        now, currency = self._clock.now(), fields.text("quoteCcy")
        if fields.text("instId") is not None:
            chosen = [self._names.index(fields)]
        elif currency is not None:
            chosen = [one for one in self._names.of_type("SWAP") if one.quote == currency]
        else:
            raise OkxError("50015", "instId", "quoteCcy")
        rows = []
        for one in chosen:
            day = self._market.index_klines(one.id, "1h", now, limit=24).candles
            last = self._market.index_price(one.id, now)
            high, low, opened = (day.high.max(), day.low.min(), day.open[0]) if len(day) else (last, last, last)
            told = zip(("idxPx", "high24h", "low24h", "open24h"), prices((last, high, low, opened), one), strict=True)
            rows.append({"instId": family(one), **dict(told), "sodUtc0": "", "sodUtc8": "", "ts": str(now)})
        return rows

    def funding_rate(self, fields: Fields) -> Any:
        """Tell the rate that is on its way to the next settlement, of a swap or of ``ANY``."""
        every = fields.text("instId") == "ANY"
        chosen = self._names.of_type("SWAP") if every else [self._names.swap(fields)]
        return [self._rate(one, self._clock.now()) for one in chosen]

    def _rate(self, instrument: Instrument, now: int) -> dict[str, str]:
        funding = self._market.funding(instrument.id, now)
        before = self._market.funding_history(instrument.id, now, limit=1)
        premium = funding.mark / funding.index - 1 if funding.index else 0.0
        return {
            "instType": "SWAP",
            "instId": inst_id(instrument),
            "method": "current_period",
            "formulaType": "withRate",
            "fundingRate": f"{funding.rate:.8f}",
            "fundingTime": str(funding.next_time),
            "nextFundingRate": "",
            "nextFundingTime": str(funding.next_time + funding.interval_ms),
            "prevFundingTime": str(before[-1][0]) if before else "",
            "minFundingRate": f"{-FUNDING_CAP:.8f}",
            "maxFundingRate": f"{FUNDING_CAP:.8f}",
            "interestRate": f"{INTEREST:.8f}",
            "impactValue": "20000",
            "settState": "settled",
            "settFundingRate": f"{before[-1][1]:.8f}" if before else "",
            "premium": f"{premium:.8f}",
            "ts": str(now),
        }

    def past_rates(self, fields: Fields) -> Any:
        """Return the settlements of three months, newest first."""
        instrument, now = self._names.swap(fields), self._clock.now()
        after, oldest = fields.whole("after"), max(now - _KEPT_RATES_MS, fields.whole("before") or 0)
        limit = fields.limit(_RATES, _RATES)
        found = self._market.funding_history(instrument.id, now, until=after, limit=limit)
        return [
            {
                "instType": "SWAP",
                "instId": inst_id(instrument),
                "formulaType": "withRate",
                "method": "current_period",
                "fundingRate": f"{rate:.8f}",
                "realizedRate": f"{rate:.8f}",
                "fundingTime": str(time),
            }
            for time, rate in reversed(found)
            if time > oldest
        ]

    def open_interest(self, fields: Fields) -> Any:
        """Tell what is held in swaps now: contracts, base units and dollars."""
        fields.choice("instType", KINDS)
        now, rows = self._clock.now(), []
        for one in self._swaps(fields):
            contracts, base, value = _counted(self._market.open_interest(one.id, now), one)
            row = {"instType": "SWAP", "instId": inst_id(one), "oi": contracts, "oiCcy": base, "oiUsd": value}
            rows.append({**row, "ts": str(now)})
        return rows

    def past_interest(self, fields: Fields) -> Any:
        """Return what was held in a swap, newest first, between two moments that do not belong to it."""
        instrument, now = self._names.swap(fields), self._clock.now()
        period = fields.choice("period", (*_PERIODS, "1D"), "5m")
        begin, end, limit = fields.whole("begin"), fields.whole("end"), fields.limit(PAGE, PAGE)
        # Days open in Hong Kong unless one says otherwise: one hour in 24.
        every = 24 if period == "1D" else 1
        frame = _timeframe.parse(_PERIODS.get(period, "1h"))
        oldest = frame.shift(frame.floor(now), 1 - _KEPT_COUNTS * every)
        found = self._market.open_interest_history(instrument.id, frame.name, now, until=end, limit=limit * every)
        rows = [
            [str(one.time), *_counted(one, instrument)]
            for one in reversed(found)
            if one.time >= oldest
            and (begin is None or one.time > begin)
            and (every == 1 or one.time // 3_600_000 % 24 == _HONG_KONG_DAY)
        ]
        return rows[:limit]


def _counted(interest: OpenInterest, instrument: Instrument) -> tuple[str, str, str]:
    (contracts,) = amounts([interest.amount], instrument)
    return contracts, f"{interest.amount:.{instrument.amount_decimals}f}", f"{interest.value:.4f}"
