"""The laws of simulated markets: one story, the same in whatever order and pages it is asked for."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils import timeframe
from tradeutils.errors import DataError, UsageError
from tradeutils.model import Candles
from tradeutils.sim import DEFAULT_NOW, HISTORY_START, GeneratedMarket, ReplayMarket
from tradeutils.sim.bars import TRADES_PER_BAR, Klines
from tradeutils.sim.catalogue import MAX_SYMBOLS, generated_instruments
from tradeutils.sim.instruments import Instrument, instruments_of_listing
from tradeutils.sim.market import Market

_FRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
_GENERATED = GeneratedMarket(generated_instruments(8), seed=5)
_MOMENTS = st.integers(HISTORY_START + 40 * 86_400_000, DEFAULT_NOW)


def _with_gaps() -> Candles:
    """Return an hour-and-a-half of minutes of which some are missing and some were without a trade."""
    rng = np.random.default_rng(1)
    time = HISTORY_START + 60_000 * np.sort(rng.choice(5_000, 3_000, replace=False))
    close = np.round(100 + rng.standard_normal(3_000).cumsum() * 0.01, 2)
    opened = np.round(close + rng.choice([-0.01, 0.0, 0.01], 3_000), 2)
    volume = np.round(rng.choice([0.0, 1.0, 2.5], 3_000) * rng.random(3_000), 3)
    return Candles(
        symbol="AAA/BBB",
        timeframe="1m",
        time=time,
        open=opened,
        high=np.maximum(opened, close) + 0.02,
        low=np.minimum(opened, close) - 0.02,
        close=close,
        volume=volume,
    )


_SERIES = _with_gaps()
_REPLAYED = ReplayMarket({"AAA/BBB": _SERIES})
_MARKETS = {"generated": (_GENERATED, "BTCUSDT"), "replayed": (_REPLAYED, "AAABBB")}


def _same(one: Klines, other: Klines) -> bool:
    return one.candles == other.candles and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("quote_volume", "trades", "taker_volume", "taker_quote")
    )


@pytest.mark.parametrize("kind", _MARKETS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), frame=st.sampled_from(_FRAMES[:9]), page=st.integers(1, 50))
def test_pages_add_up_to_the_whole(kind: str, data: st.DataObject, frame: str, page: int) -> None:
    """Any span fetched page by page from its start equals the same span fetched at once."""
    market, name = _MARKETS[kind]
    length = timeframe.parse(frame).nominal_ms
    since = data.draw(st.integers(HISTORY_START, HISTORY_START + 4_000 * 60_000))
    now = since + length * data.draw(st.integers(0, 120)) + data.draw(st.integers(0, length))
    whole = market.klines(name, frame, now, since=since, limit=1_000)
    pages: list[Klines] = []
    start = since
    while len(part := market.klines(name, frame, now, since=start, limit=page)):
        assert len(part) <= page
        pages.append(part)
        start = int(part.candles.time[-1]) + 1
    assert sum(map(len, pages)) == len(whole)
    at = 0
    for part in pages:
        assert _same(part, whole[at : at + len(part)])
        at += len(part)


@pytest.mark.parametrize("kind", _MARKETS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), frame=st.sampled_from(_FRAMES))
def test_coarser_candles_are_the_minutes_in_them(kind: str, data: st.DataObject, frame: str) -> None:
    """Every timeframe equals `Candles.resample` of the minutes, the candle that is still forming included."""
    market, name = _MARKETS[kind]
    target = timeframe.parse(frame)
    now = data.draw(st.integers(HISTORY_START, HISTORY_START + 3 * 86_400_000))
    since = target.floor(now) - 2 * target.nominal_ms
    minutes = market.klines(name, "1m", now, since=since, limit=1_000_000).candles
    coarse = market.klines(name, frame, now, since=max(since, HISTORY_START), limit=1_000).candles
    expected = minutes.resample(frame).between(since=max(since, HISTORY_START))
    assert np.array_equal(coarse.time, expected.time)
    for field in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(coarse, field), getattr(expected, field))
    assert np.allclose(coarse.volume, expected.volume, rtol=1e-9, atol=1e-9)
    assert coarse.closed.tolist() == [target.next(int(t)) <= now for t in coarse.time]


@settings(max_examples=15, deadline=None)
@given(now=_MOMENTS, seed=st.integers(0, 3), order=st.permutations(["1m", "1h", "1d", "book", "trades"]))
def test_answers_do_not_depend_on_the_order_of_questions(now: int, seed: int, order: list[str]) -> None:
    """Two markets of one seed agree on everything, though one is asked in another order than the other."""
    instruments = generated_instruments(["BTC/USDT", "ETH/BTC"])
    one, other = GeneratedMarket(instruments, seed=seed), GeneratedMarket(instruments, seed=seed)

    def ask(market: Market, what: str) -> list[object]:
        if what == "book":
            return [side.tolist() for side in market.book("ETHBTC", now, 20)]
        if what == "trades":
            return [market.trades("ETHBTC", now, limit=30).id.tolist(), market.day("ETHBTC", now)]
        return [market.klines("ETHBTC", what, now, limit=3).candles.close.tolist()]

    first = {what: ask(one, what) for what in order}
    assert first == {what: ask(other, what) for what in sorted(order)}


def test_seeds_make_different_markets() -> None:
    """Another seed is another market."""
    instruments = generated_instruments(["BTC/USDT"])
    closes = [
        GeneratedMarket(instruments, seed=seed).klines("BTCUSDT", "1m", DEFAULT_NOW, limit=50).candles.close
        for seed in (1, 2)
    ]
    assert not np.array_equal(*closes)


@pytest.mark.parametrize("kind", _MARKETS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_trades_make_up_the_candle_they_lie_in(kind: str, data: st.DataObject) -> None:
    """The prices and amounts of a minute's trades give its candle, forming or closed; none lies after the moment."""
    market, name = _MARKETS[kind]
    now = data.draw(st.integers(HISTORY_START + 60_000, HISTORY_START + 4_000 * 60_000))
    candle = market.klines(name, "1m", now, limit=1).candles
    if not len(candle):
        return
    opened = int(candle.time[0])
    trades = market.trades(name, now, since=opened, until=opened + 59_999, limit=1_000)
    assert np.all(trades.time <= now)
    assert np.all(np.diff(trades.time) >= 0)
    assert np.all(np.diff(trades.id) >= 1)
    assert round(float(trades.amount.sum()), 6) == pytest.approx(float(candle.volume[0]), abs=1e-6)
    if len(trades) and candle.volume[0] > 0:
        assert trades.price.max() <= candle.high[0]
        assert trades.price.min() >= candle.low[0]
    last = market.last(name, now)
    assert last.price[0] == candle.close[0]
    if len(trades) == TRADES_PER_BAR:
        assert (trades.price[0], trades.price[-1]) == (candle.open[0], candle.close[0])
        assert (trades.price.max(), trades.price.min()) == (candle.high[0], candle.low[0])


@pytest.mark.parametrize("kind", _MARKETS)
@settings(max_examples=30, deadline=None)
@given(data=st.data(), limit=st.integers(1, 200))
def test_trades_by_id_page_without_loss(kind: str, data: st.DataObject, limit: int) -> None:
    """Asking from the last id on gives each trade once, over gaps and minutes without a trade."""
    market, name = _MARKETS[kind]
    now = HISTORY_START + data.draw(st.integers(60, 3_000)) * 60_000
    newest = market.trades(name, now, limit=600)
    if not len(newest):
        return
    seen: list[int] = []
    start = int(newest.id[0])
    while len(page := market.trades(name, now, from_id=start, limit=limit)):
        seen += page.id.tolist()
        start = int(page.id[-1]) + 1
    assert seen == newest.id.tolist()


@pytest.mark.parametrize("kind", _MARKETS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_day_is_that_of_its_minutes(kind: str, data: st.DataObject) -> None:
    """High, low, open, last and volume of the ticker are those of the minutes of the last 24 hours."""
    market, name = _MARKETS[kind]
    now = HISTORY_START + data.draw(st.integers(60_000, 4_500 * 60_000))
    day = market.day(name, now)
    opened = now // 60_000 * 60_000
    minutes = market.klines(name, "1m", now, since=max(0, opened - 86_399_999), limit=1_440).candles
    if day is None:
        assert not len(minutes)
        return
    if not len(minutes):
        assert (day.volume, day.first_id, day.trades) == (0.0, -1, 0)
        return
    assert (day.open, day.high, day.low) == (minutes.open[0], minutes.high.max(), minutes.low.min())
    assert day.last == minutes.close[-1]
    assert day.volume == pytest.approx(minutes.volume.sum(), abs=1e-6)
    assert day.last_id - day.first_id + 1 == day.trades


@settings(max_examples=30, deadline=None)
@given(now=_MOMENTS, name=st.sampled_from(sorted(_GENERATED.instruments)), depth=st.integers(1, 300))
def test_books_do_not_cross_and_begin_alike_at_any_depth(now: int, name: str, depth: int) -> None:
    """Bids fall, asks rise, the best bid is below the best ask, and a shallow book is the top of a deep one."""
    bids, asks = _GENERATED.book(name, now, depth)
    deeper = _GENERATED.book(name, now, 400)
    assert bids[0, 0] < asks[0, 0]
    assert np.all(np.diff(bids[:, 0]) < 0)
    assert np.all(np.diff(asks[:, 0]) > 0)
    assert min(bids.min(), asks.min()) > 0
    assert np.array_equal(bids, deeper[0][: len(bids)])
    assert np.array_equal(asks, deeper[1][: len(asks)])
    last = float(_GENERATED.last(name, now).price[0])
    assert bids[0, 0] <= last <= asks[0, 0]


def test_routes_through_other_markets_give_the_same_price() -> None:
    """ETH in USDT is ETH in BTC times BTC in USDT, to the steps of their prices."""
    moment = DEFAULT_NOW
    eth, btc, cross = (
        float(_GENERATED.klines(name, "1m", moment, limit=2).candles.close[0])
        for name in ("ETHUSDT", "BTCUSDT", "ETHBTC")
    )
    assert eth == pytest.approx(cross * btc, rel=1e-4)


def test_markets_move_with_bitcoin_and_are_not_its_copy() -> None:
    """Daily returns of another coin are correlated with BTC's, as they are in life, and volatility clusters."""
    returns = {
        name: np.diff(np.log(_GENERATED.klines(name, "1d", DEFAULT_NOW, limit=400).candles.close))
        for name in ("BTCUSDT", "ETHUSDT")
    }
    correlation = np.corrcoef(returns["BTCUSDT"], returns["ETHUSDT"])[0, 1]
    assert 0.3 < correlation < 0.95
    size = np.abs(np.log(_GENERATED.klines("BTCUSDT", "5m", DEFAULT_NOW, limit=20_000).candles.close))
    moves = np.abs(np.diff(size))
    assert np.corrcoef(moves[1:], moves[:-1])[0, 1] > 0.05


def test_nothing_is_known_before_the_history_starts() -> None:
    """Before the first candle there are no candles, trades, ticker, book or mean price."""
    moment = HISTORY_START - 1
    assert not len(_GENERATED.klines("BTCUSDT", "1m", moment))
    assert not len(_GENERATED.klines("BTCUSDT", "1M", moment))
    assert not len(_GENERATED.trades("BTCUSDT", moment))
    assert _GENERATED.day("BTCUSDT", moment) is None
    assert _GENERATED.mean_price("BTCUSDT", moment, 5) is None
    assert [len(side) for side in _GENERATED.book("BTCUSDT", moment)] == [0, 0]
    assert _GENERATED.first_cross("BTCUSDT", 1.0, moment, after=0, falling=True) is None


def test_limit_one_is_the_candle_that_is_forming() -> None:
    """The newest candle is the one that contains the moment; of the oldest it is the first."""
    newest = _GENERATED.klines("BTCUSDT", "1h", DEFAULT_NOW, limit=1).candles
    oldest = _GENERATED.klines("BTCUSDT", "1h", DEFAULT_NOW, since=0, limit=1).candles
    assert (int(newest.time[0]), bool(newest.closed[0])) == (DEFAULT_NOW // 3_600_000 * 3_600_000, False)
    assert int(oldest.time[0]) == HISTORY_START


def test_first_cross_is_the_first_trade_at_the_price() -> None:
    """It is found among the trades after a moment, however far away, and not where no trade reaches the price."""
    market, name = _GENERATED, "BTCUSDT"
    after = DEFAULT_NOW - 3 * 86_400_000
    lows = market.klines(name, "1m", DEFAULT_NOW, since=after, limit=10_000).candles.low
    price = float(np.quantile(lows, 0.02))
    found = market.first_cross(name, price, DEFAULT_NOW, after=after, falling=True)
    assert found is not None
    trades = market.trades(name, found, since=after + 1, limit=10**7)
    assert int(trades.time[trades.price <= price][0]) == found
    assert market.first_cross(name, float(lows.min()) - 1, DEFAULT_NOW, after=after, falling=True) is None
    assert market.first_cross(name, 1e9, DEFAULT_NOW, after=after, falling=False) is None


@pytest.mark.parametrize(
    "symbols", [0, -1, MAX_SYMBOLS + 1, True, [], "BTC/USDT", ["BTCUSDT"], ["BTC/BTC"], ["B-C/USDT"]]
)
def test_symbols_that_name_no_markets_are_refused(symbols: int) -> None:
    """The message says what to give instead."""
    with pytest.raises(UsageError, match=r"symbols? was"):
        generated_instruments(symbols)


def test_two_symbols_of_one_id_are_refused() -> None:
    """AB/CUSDT and ABC/USDT cannot both be ABCUSDT."""
    with pytest.raises(UsageError, match="both ABCUSDT"):
        GeneratedMarket(generated_instruments(["ABC/USDT", "AB/CUSDT"]))


def test_many_symbols_have_different_names_and_steps_that_suit_them() -> None:
    """20,000 names, all different; prices have at least three digits that matter."""
    instruments = generated_instruments(MAX_SYMBOLS)
    assert len({one.id for one in instruments}) == MAX_SYMBOLS
    market = GeneratedMarket(instruments[:60])
    for one in instruments[:60]:
        last = float(market.last(one.id, DEFAULT_NOW).price[0])
        assert last >= 100 * float(one.price_step), one.symbol


def test_replayed_candles_are_served_as_they_are() -> None:
    """Prices, volumes and gaps of the candles given are those served, and the moment is the end of the last."""
    served = _REPLAYED.klines("AAABBB", "1m", _REPLAYED.now, since=0, limit=10_000).candles
    assert served.time.tolist() == _SERIES.time.tolist()
    assert np.array_equal(served.close, _SERIES.close)
    assert np.array_equal(served.volume, _SERIES.volume)
    assert _REPLAYED.now == _SERIES.time[-1] + 90_000
    instrument = _REPLAYED.instruments["AAABBB"]
    assert (instrument.price_decimals, instrument.amount_decimals) == (3, 3)  # five digits of about 99.9


def test_market_in_which_nothing_is_traded_any_more_keeps_its_last_price() -> None:
    """Days after the last candle the ticker is flat and without volume, and the candle of the moment is absent."""
    moment = _REPLAYED.now + 3 * 86_400_000
    day = _REPLAYED.day("AAABBB", moment)
    assert day is not None
    assert (day.open, day.high, day.low, day.last) == (_SERIES.close[-1],) * 4
    assert (day.volume, day.first_id, day.trades) == (0.0, -1, 0)
    newest = _REPLAYED.klines("AAABBB", "1m", moment, limit=1).candles
    assert newest.time[0] == _SERIES.time[-1]
    assert _REPLAYED.mean_price("AAABBB", moment, 5) == _SERIES.close[-1]


def test_finer_timeframes_than_the_candles_have_none() -> None:
    """Hours are not split into minutes that nobody recorded."""
    market = ReplayMarket({"AAA/BBB": _SERIES.resample("1h")})
    assert not len(market.klines("AAABBB", "1m", market.now))
    assert len(market.klines("AAABBB", "4h", market.now))


def test_candles_off_the_grid_are_merged_into_their_bar() -> None:
    """A bar named by a moment inside it is served at its open."""
    shifted = Candles(
        timeframe="1m",
        time=HISTORY_START + np.array([7_000, 61_000, 90_000]),
        **{name: np.array([1.0, 2.0, 3.0]) for name in ("open", "high", "low", "close", "volume")},
    )
    market = ReplayMarket({"AAA/BBB": shifted})
    served = market.klines("AAABBB", "1m", market.now, since=0).candles
    assert (served.time - HISTORY_START).tolist() == [0, 60_000]
    assert served.volume.tolist() == [1.0, 5.0]


def test_unknown_volume_is_served_as_none_traded() -> None:
    """NaN is no volume that a venue could show."""
    columns = {name: np.array([1.0, 1.0]) for name in ("open", "high", "low", "close")}
    time = HISTORY_START + np.array([0, 60_000])
    series = Candles(timeframe="1m", time=time, **columns, volume=np.array([np.nan, 2.0]))
    market = ReplayMarket({"AAA/BBB:BBB": series})
    assert market.klines("AAABBB-PERP", "1m", market.now, since=0).candles.volume.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("candles", "error"),
    [
        ({}, UsageError),
        ({"AAA": _SERIES}, UsageError),
        ({"AAA/BBB": _SERIES[:0]}, UsageError),
        ({"AAA/BBB": "path"}, UsageError),
        ({"AAA/BBB": _SERIES, "aaa/bbb": _SERIES}, UsageError),
    ],
)
def test_candles_that_make_no_market_are_refused(candles: dict[str, Candles], error: type[Exception]) -> None:
    """Nothing to replay, names without a quote, and two series of one market."""
    with pytest.raises(error):
        ReplayMarket(candles)


@pytest.mark.parametrize("price", [0.0, -1.0, 1e-9])
def test_prices_that_a_venue_cannot_show_are_refused(price: float) -> None:
    """Prices must be positive and not below the eighth digit."""
    columns = {name: np.array([price]) for name in ("open", "high", "low", "close", "volume")}
    with pytest.raises(DataError, match="8 digits"):
        ReplayMarket({"AAA/BBB": Candles(timeframe="1m", time=np.array([HISTORY_START]), **columns)})


@pytest.mark.parametrize("listing", [{}, {"symbols": []}, {"symbols": [{"symbol": "X"}]}, {"symbols": [7]}])
def test_listing_that_is_none_is_refused(listing: dict[str, object]) -> None:
    """A recorded list of markets without what a market needs names the market."""
    with pytest.raises(DataError, match="listing"):
        instruments_of_listing(listing)


def test_instrument_says_its_steps() -> None:
    """Steps follow from the digits."""
    one = Instrument(
        base="A", quote="BTC", price_decimals=3, amount_decimals=0, min_amount=Decimal(1), min_cost=Decimal(0)
    )
    assert (one.price_step, one.amount_step, one.symbol, one.id) == (Decimal("0.001"), Decimal(1), "A/BTC", "ABTC")
