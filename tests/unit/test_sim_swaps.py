"""The laws of swaps on simulated markets: mark, index, funding and open interest are one story with their prices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils import timeframe
from tradeutils.errors import UsageError
from tradeutils.model import Candles
from tradeutils.sim import DEFAULT_NOW, HISTORY_START, GeneratedMarket, ReplayMarket, SimulatedVenue
from tradeutils.sim.catalogue import MAX_SYMBOLS, generated_instruments, generated_swaps
from tradeutils.sim.instruments import index_by_id
from tradeutils.sim.swaps import FUNDING_CAP, FUNDING_MS

_SPOT, _SWAP = "BTCUSDT", "BTCUSDT-PERP"
_LISTED = [*generated_instruments(3), *generated_swaps(["BTC/USDT", "ADA/BTC:BTC"])]
_MARKET = GeneratedMarket(_LISTED, seed=5)
_MOMENTS = st.integers(HISTORY_START + 21 * 86_400_000, DEFAULT_NOW)


def _candles(opens: list[float], closes: list[float], *, start: int = FUNDING_MS * 1_000) -> Candles:
    """Return candles of an hour that only rise or fall."""
    one, other = np.array(opens), np.array(closes)
    return Candles(
        timeframe="1h",
        time=start + 3_600_000 * np.arange(len(one)),
        open=one,
        high=np.maximum(one, other),
        low=np.minimum(one, other),
        close=other,
        volume=np.full(len(one), 5.0),
    )


def test_a_swap_shares_its_name_and_not_its_key_with_spot() -> None:
    """Keys, symbols and rules of the two markets of a pair."""
    spot, swap = generated_instruments(1)[0], generated_swaps(1)[0]
    assert (spot.id, spot.name, spot.symbol, spot.kind, spot.settle) == (_SPOT, _SPOT, "BTC/USDT", "spot", None)
    assert (swap.id, swap.name, swap.symbol, swap.kind, swap.settle) == (
        _SWAP, _SPOT, "BTC/USDT:USDT", "linear", "USDT",
    )  # fmt: skip
    assert (swap.contract_size, swap.price_step, swap.amount_step) == (1, spot.price_step, spot.amount_step)
    assert list(index_by_id([spot, swap])) == [_SPOT, _SWAP]
    assert list(_MARKET.traded("linear")) == ["BTCUSDT", "ADABTC"]
    assert list(_MARKET.traded("spot")) == ["BTCUSDT", "ETHUSDT", "BNBUSDT"]


@pytest.mark.parametrize(
    "linear", [-1, MAX_SYMBOLS + 1, True, "BTC/USDT", ["BTC/USDT:BTC"], ["BTC"], ["BTC/BTC"], ["BTC/USDT:"]]
)
def test_swaps_that_cannot_be_made_are_refused(linear: Any) -> None:
    """Numbers out of range, text in place of a list, and contracts that are not settled in their quote."""
    with pytest.raises(UsageError):
        generated_swaps(linear)


@pytest.mark.parametrize(
    ("options", "swaps"),
    [
        ({}, 10),
        ({"symbols": 3}, 3),
        ({"symbols": 3, "linear": 20}, 20),
        ({"linear": 0}, 0),
        ({"linear": []}, 0),
        ({"symbols": ["BTC/USDT"]}, 0),
        ({"symbols": ["BTC/USDT"], "linear": ["ETH/USDT"]}, 1),
        ({"venue": "kraken"}, 0),
    ],
)
def test_a_venue_has_swaps_unless_told_otherwise(options: dict[str, Any], swaps: int) -> None:
    """Ten by default, no more than spot markets, none where markets are named or the dialect has none."""
    assert len(SimulatedVenue(**options).market.traded("linear")) == swaps


@settings(max_examples=30, deadline=None)
@given(now=_MOMENTS)
def test_mark_lies_with_the_index_and_the_swap(now: int) -> None:
    """All three are the same price but for some basis points, and so is the swap of a pair without a spot market."""
    for key in (_SWAP, "ADABTC-PERP"):
        last, mark, index = float(_MARKET.last(key, now).price[0]), *_prices(key, now)
        assert mark == pytest.approx(index, rel=6e-3)
        assert last == pytest.approx(mark, rel=6e-3)
    assert _MARKET.index_price(_SWAP, now) == float(_MARKET.last(_SPOT, now).price[0])


def _prices(key: str, now: int) -> tuple[float, float]:
    return _MARKET.mark_price(key, now), _MARKET.index_price(key, now)


@settings(max_examples=25, deadline=None)
@given(now=_MOMENTS, frame=st.sampled_from(["1m", "5m", "1h", "4h", "1d"]))
def test_newest_mark_and_index_candles_close_at_the_prices_now(now: int, frame: str) -> None:
    """The candle that is forming ends where the price is, and says that it is not over."""
    for fetch, price in (
        (_MARKET.mark_klines, _MARKET.mark_price(_SWAP, now)),
        (_MARKET.index_klines, _MARKET.index_price(_SWAP, now)),
    ):
        candles = fetch(_SWAP, frame, now, limit=3).candles
        assert candles.close[-1] == price
        assert candles.closed.tolist() == [timeframe.parse(frame).next(int(t)) <= now for t in candles.time]


@settings(max_examples=25, deadline=None)
@given(now=_MOMENTS, frame=st.sampled_from(["5m", "1h", "4h", "1d"]))
def test_coarser_mark_candles_are_the_minutes_in_them(now: int, frame: str) -> None:
    """As of any market: `Candles.resample` of the minutes."""
    since = timeframe.parse(frame).floor(now) - timeframe.parse(frame).nominal_ms
    minutes = _MARKET.mark_klines(_SWAP, "1m", now, since=since, limit=10_000).candles.resample(frame)
    coarse = _MARKET.mark_klines(_SWAP, frame, now, since=since, limit=10).candles
    for name in ("time", "open", "high", "low", "close"):
        assert np.array_equal(getattr(coarse, name), getattr(minutes, name))


def test_index_is_the_same_whether_spot_is_listed_or_not() -> None:
    """A venue of swaps alone has the prices of one that lists spot too."""
    alone = GeneratedMarket(generated_swaps(["BTC/USDT"]), seed=5)
    for frame in ("1m", "1d"):
        one, other = (market.index_klines(_SWAP, frame, DEFAULT_NOW, limit=50).candles for market in (alone, _MARKET))
        assert np.array_equal(one.close, other.close)
    assert alone.funding(_SWAP, DEFAULT_NOW) == _MARKET.funding(_SWAP, DEFAULT_NOW)
    assert list(alone.instruments) == [_SWAP]


@settings(max_examples=25, deadline=None)
@given(now=_MOMENTS, page=st.integers(1, 9), settlements=st.integers(0, 40))
def test_pages_of_funding_add_up_to_the_whole(now: int, page: int, settlements: int) -> None:
    """From a moment on, page by page as at once; the newest are its end; each lies on the grid and within bounds."""
    since = now - settlements * FUNDING_MS
    whole = _MARKET.funding_history(_SWAP, now, since=since, limit=1_000)
    pages: list[tuple[int, float]] = []
    start = since
    while found := _MARKET.funding_history(_SWAP, now, since=start, limit=page):
        assert len(found) <= page
        pages += found
        start = found[-1][0] + 1
    assert pages == whole
    assert [time for time, _ in whole] == list(range(-(-since // FUNDING_MS) * FUNDING_MS, now + 1, FUNDING_MS))
    assert (
        _MARKET.funding_history(_SWAP, now, limit=page)
        == (_MARKET.funding_history(_SWAP, now, since=0, limit=10_000)[-page:])
    )
    assert all(abs(rate) <= FUNDING_CAP for _, rate in whole)


def test_funding_is_told_from_its_first_settlement_on() -> None:
    """Not before eight hours have passed; until is exclusive, and nothing is empty."""
    first = HISTORY_START + FUNDING_MS
    assert _MARKET.funding_history(_SWAP, first - 1) == []
    assert [time for time, _ in _MARKET.funding_history(_SWAP, first)] == [first]
    assert _MARKET.funding_history(_SWAP, DEFAULT_NOW, since=first, until=first) == []
    assert len(_MARKET.funding_history(_SWAP, DEFAULT_NOW, since=first, until=first + 1)) == 1
    assert _MARKET.funding_history(_SWAP, DEFAULT_NOW, limit=0) == []
    assert _MARKET.funding_history(_SWAP, DEFAULT_NOW, since=DEFAULT_NOW + FUNDING_MS) == []


@settings(max_examples=20, deadline=None)
@given(now=_MOMENTS)
def test_what_was_settled_is_what_was_on_its_way(now: int) -> None:
    """The last prediction before a settlement is the settlement, and knows nothing of what comes after."""
    settles = _MARKET.funding(_SWAP, now).next_time
    assert settles - FUNDING_MS <= now < settles
    predicted = _MARKET.funding(_SWAP, settles - 1).rate
    for later in (settles, settles + 1, settles + 5 * FUNDING_MS):
        assert dict(_MARKET.funding_history(_SWAP, later, since=settles))[settles] == predicted


@settings(max_examples=20, deadline=None)
@given(now=_MOMENTS, frame=st.sampled_from(["5m", "1h", "1d"]), page=st.integers(1, 7))
def test_open_interest_is_the_same_however_it_is_asked_for(now: int, frame: str, page: int) -> None:
    """A row of the history is what was told at its moment; pages add up."""
    since = now - 20 * timeframe.parse(frame).nominal_ms
    whole = _MARKET.open_interest_history(_SWAP, frame, now, since=since, limit=100)
    assert len(whole) == 20 + (since % timeframe.parse(frame).nominal_ms == 0)
    assert whole[3] == _MARKET.open_interest(_SWAP, whole[3].time)
    rows, start = [], since
    while found := _MARKET.open_interest_history(_SWAP, frame, now, since=start, limit=page):
        rows += found
        start = found[-1].time + 1
    assert rows == whole
    assert whole[-page:] == _MARKET.open_interest_history(_SWAP, frame, now, limit=page)
    assert all(one.amount > 0 and one.value == pytest.approx(one.amount * _price(one.time), rel=1e-9) for one in whole)


def _price(time: int) -> float:
    return _MARKET.mark_price(_SWAP, time)


@settings(max_examples=10, deadline=None)
@given(now=_MOMENTS, order=st.permutations(["mark", "index", "funding", "history", "interest"]))
def test_answers_do_not_depend_on_the_order_of_questions(now: int, order: list[str]) -> None:
    """Two markets of one seed agree, though one is asked in another order; another seed is another market."""
    one, other, third = (GeneratedMarket(_LISTED, seed=seed) for seed in (2, 2, 3))

    def ask(market: GeneratedMarket, what: str) -> object:
        if what in ("mark", "index"):
            return getattr(market, f"{what}_klines")(_SWAP, "15m", now, limit=5).candles.close.tolist()
        if what == "funding":
            return market.funding(_SWAP, now)
        if what == "history":
            return market.funding_history(_SWAP, now, limit=5)
        return market.open_interest(_SWAP, now)

    first = {what: ask(one, what) for what in order}
    assert first == {what: ask(other, what) for what in sorted(order)}
    assert all(first[what] != ask(third, what) for what in ("mark", "funding", "interest"))


def test_replayed_swap_beside_its_spot_market() -> None:
    """The index is the spot market's candles, the mark the swap's own; funding follows what lies between them."""
    spot = _candles([100.0] * 24, [100.0] * 24)
    swap = _candles([100.1] * 24, [100.1] * 24)
    market = ReplayMarket({"AAA/USDT": spot, "AAA/USDT:USDT": swap})
    key, now = "AAAUSDT-PERP", market.now
    assert sorted(market.instruments) == ["AAAUSDT", key]
    assert (market.mark_price(key, now), market.index_price(key, now)) == (100.1, 100.0)
    assert market.index_klines(key, "1h", now, limit=1).candles.close.tolist() == [100.0]
    history = market.funding_history(key, now)
    assert [time // FUNDING_MS for time, _ in history] == [1_001, 1_002, 1_003]
    # A premium of 0.1 %, pulled towards the interest rate by 0.05 % at most; the first hour had no close yet.
    assert history[-1][1] == pytest.approx(0.001 - 0.0005, abs=1e-8)
    assert 0 < history[0][1] < history[-1][1]


def test_replayed_swap_alone_is_its_own_index() -> None:
    """Nothing to compare with: the rate is the interest rate; what is not settled in its quote is served as spot."""
    market = ReplayMarket({"AAA/USDT:USDT": _candles([100.0] * 30, [101.0] * 30)})
    assert market.funding("AAAUSDT-PERP", market.now).rate == 0.0001
    assert market.index_price("AAAUSDT-PERP", market.now) == 101.0
    assert market.mark_price("AAAUSDT-PERP", 0) == 0.0
    inverse = ReplayMarket({"AAA/USD:AAA": _candles([100.0], [101.0])})
    assert list(inverse.traded("spot")) == ["AAAUSD"]


def test_swap_without_candles_has_no_prices() -> None:
    """A market that is listed and not replayed: no mark, no settlement, and no error."""
    listed = [*generated_swaps(["BBB/USDT"]), *generated_instruments(["AAA/USDT"])]
    market = ReplayMarket({"AAA/USDT": _candles([100.0] * 30, [101.0] * 30)}, instruments=listed)
    key = "BBBUSDT-PERP"
    assert (market.mark_price(key, market.now), market.index_price(key, market.now)) == (0.0, 0.0)
    assert market.funding_history(key, market.now) == []
    assert market.open_interest_history(key, "1h", market.now) == []
    assert market.open_interest(key, market.now).value == 0.0
