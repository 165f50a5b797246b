"""Laws of resampling: a panel is its symbols, steps compose, days of any zone are whole, trades make the candles."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tradeutils as tu
from tradeutils import errors
from tradeutils import timeframe as tf

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ZONES = ("UTC", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Kolkata", "Europe/London")
START = 1_709_251_200_000  # 2024-03-01: summer time begins within the month


def panel_of(rng: np.random.Generator, bars: int, symbols: int, frame: str, holes: float) -> tu.Panel:
    """Return a random panel with missing candles, missing rows and unknown volumes."""
    step = tf.parse(frame).ms or DAY
    time = START + np.sort(rng.choice(bars * 2, bars, replace=False)) * step
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, (bars, symbols)), 0)), 2)
    open_ = np.round(close * (1 + rng.normal(0, 0.01, close.shape)), 2)
    fields = {
        "open": open_,
        "high": np.maximum(open_, close) + 0.5,
        "low": np.minimum(open_, close) - 0.5,
        "close": close,
        "volume": rng.lognormal(0, 2, close.shape),
    }
    gone = rng.random(close.shape) < holes
    for values in fields.values():
        values[gone] = np.nan
    fields["volume"][rng.random(close.shape) < holes / 4] = np.nan
    return tu.Panel(symbols=[f"S{i}/USDT" for i in range(symbols)], timeframe=frame, time=time, **fields)


days = st.one_of(
    st.none(),
    st.builds(
        tu.Day,
        st.sampled_from(["00:00", "08:00", "17:00", "23:00"]),
        st.sampled_from([zone for zone in ZONES if zone not in ("Asia/Kolkata", "Australia/Lord_Howe")]),
    ),
    st.just(tu.Day("09:00", "America/New_York", "16:00")),
    st.just(tu.Day("18:00", "America/New_York", "17:00")),
)


@given(st.integers(0, 2**32), st.sampled_from(["4h", "1d", "1w", "1M"]), days, st.booleans(), st.sampled_from([0, 0.3]))
def test_a_panel_gives_what_each_symbol_gives_alone(
    seed: int, frame: str, day: tu.Day | None, partial: bool, holes: float
) -> None:
    """To the last bit, missing candles and unknown volumes included; no bar of a symbol is lost or made up."""
    panel = panel_of(np.random.default_rng(seed), 90, 3, "1h", holes)
    made = panel.resample(frame, partial=partial, day=day)
    for symbol in panel.symbols:
        alone, column = panel.candles(symbol).resample(frame, day=day), made.candles(symbol)
        within = alone.between(int(made.time[0]), int(made.time[-1]) + 1) if len(made) else alone[:0]
        for name in ("time", "open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(within, name), getattr(column, name), equal_nan=True), name
    if partial:
        assert len(made) == len({int(t) for s in panel.symbols for t in panel.candles(s).resample(frame, day=day).time})


@given(st.integers(0, 2**32), days)
def test_steps_compose(seed: int, day: tu.Day | None) -> None:
    """Minutes to quarters to days are minutes to days; whole volumes to the last bit."""
    rng = np.random.default_rng(seed)
    panel = panel_of(rng, 300, 2, "1m", 0.1)
    for symbol in panel.symbols:
        one = panel.candles(symbol)
        one = tu.Candles(
            timeframe="1m", time=one.time, open=one.open, high=one.high, low=one.low, close=one.close,
            volume=np.round(np.nan_to_num(one.volume)),
        )  # fmt: skip
        direct, stepped = one.resample("1d", day=day), one.resample("15m", day=day).resample("1d", day=day)
        for name in ("time", "open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(direct, name), getattr(stepped, name)), name


@given(
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.sampled_from([0, 30]),
    st.integers(0, 400),
    st.sampled_from(["1d", "1w", "1M"]),
)
def test_days_begin_on_the_wall_clock(zone: str, hour: int, minute: int, day: int, frame: str) -> None:
    """Whatever daylight saving does, each bar opens at the hour asked for, and holds every candle up to the next."""
    time = START + day * DAY + np.arange(0, 45 * 48) * 30 * MINUTE
    ones = np.ones(len(time))
    candles = tu.Candles(timeframe="30m", time=time, open=ones, high=ones, low=ones, close=ones, volume=ones)
    made = candles.resample(frame, day=tu.Day(f"{hour:02d}:{minute:02d}", zone))
    here = zoneinfo.ZoneInfo(zone)
    for opened in made.time.tolist():
        local = dt.datetime.fromtimestamp(opened / 1000, here)
        skipped = local.utcoffset() != (local - dt.timedelta(hours=3)).utcoffset()  # the clocks have just changed
        assert (local.hour, local.minute) == (hour, minute) or skipped
    assert made.volume.sum() == len(time)
    assert made.closed[:-1].all()


def test_a_week_of_currencies_begins_on_sunday_in_new_york() -> None:
    """The day that opens on Sunday at 17:00 is Monday's; at the change of clocks it moves from 22:00 to 21:00 UTC."""
    time = np.arange(START, START + 21 * DAY, HOUR)
    ones = np.ones(len(time))
    candles = tu.Candles(timeframe="1h", time=time, open=ones, high=ones, low=ones, close=ones, volume=ones)
    weeks = candles.resample("1w", day="17:00 America/New_York", partial=False)
    told = [str(np.datetime64(int(t), "ms")) for t in weeks.time]
    assert told == ["2024-03-03T22:00:00.000", "2024-03-10T21:00:00.000"]
    assert weeks.volume.tolist() == [167.0, 168.0]


def test_a_session_leaves_out_what_lies_outside() -> None:
    """Bars are counted from its open, the last ends with it, and is closed by then."""
    time = np.arange(START, START + 3 * DAY, 30 * MINUTE)
    ones = np.ones(len(time))
    candles = tu.Candles(timeframe="30m", time=time, open=ones, high=ones, low=ones, close=ones, volume=ones)
    made = candles.resample("1h", day="09:30-16:00 America/New_York")
    assert [str(np.datetime64(int(t), "ms"))[11:16] for t in made.time[:7]] == [
        "14:30", "15:30", "16:30", "17:30", "18:30", "19:30", "20:30",
    ]  # fmt: skip
    assert made.volume[:7].tolist() == [2, 2, 2, 2, 2, 2, 1]
    assert made.closed.all()
    daily = candles[:40].resample("1d", day="09:30-16:00 America/New_York")
    assert (daily.volume.tolist(), daily.closed.tolist()) == ([11.0], [False])


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("25:00", "opens was '25:00'"),
        ("9:30", "opens was '9:30'"),
        ("09:30-", "day was '09:30-'"),
        ("", "day was ''"),
        (17, "day was 17"),
        ("17:00 America/New_Yrok", "tz was 'America/New_Yrok'"),
        ("17:00 ../../etc/passwd", "write an IANA name"),
        ("09:30-09:30", "opens and closes were both 09:30"),
    ],
)
def test_days_that_are_none_say_what_to_write(day: object, told: str) -> None:
    """The value and the form."""
    ones = np.ones(1)
    candles = tu.Candles(
        timeframe="1h", time=np.array([START]), open=ones, high=ones, low=ones, close=ones, volume=ones
    )
    with pytest.raises(errors.UsageError) as caught:
        candles.resample("1d", day=day)  # type: ignore[arg-type]
    assert told in str(caught.value)


def test_times_beyond_all_calendars_say_so() -> None:
    """Time zones, and names of zones, end somewhere."""
    with pytest.raises(errors.UsageError, match="too far off for a time zone"):
        flat("1h", np.array([330 * 366 * DAY])).resample("1d", day="17:00 America/New_York")
    with pytest.raises(errors.UsageError, match="tz was"):
        tu.Day("17:00", ["UTC"])  # type: ignore[arg-type]


def test_a_day_that_begins_inside_a_candle_is_refused() -> None:
    """Half of an hour would belong to each day."""
    ones = np.ones(3)
    time = START + np.arange(3) * HOUR
    candles = tu.Candles(timeframe="1h", time=time, open=ones, high=ones, low=ones, close=ones, volume=ones)
    with pytest.raises(errors.UsageError, match="inside a bar of 1h"):
        candles.resample("1d", day="09:30 America/New_York")


def flat(frame: str, time: np.ndarray, **columns: np.ndarray) -> tu.Candles:
    """Return candles of 1 each, but for the columns that are given."""
    ones = {name: np.ones(len(time)) for name in ("open", "high", "low", "close", "volume")}
    return tu.Candles(timeframe=frame, time=time, **(ones | columns))


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        ("14:30-21:00", ["2024-03-01T14:30", "2024-04-01T14:30"]),
        ("22:30-04:00", ["2024-02-29T22:30", "2024-03-31T22:30"]),
        ("18:00-17:00", ["2024-02-29T18:00", "2024-03-31T18:00"]),
        ("12:00", ["2024-02-29T12:00", "2024-03-31T12:00"]),
        ("11:30", ["2024-03-01T11:30", "2024-04-01T11:30"]),
    ],
)
def test_a_day_has_the_date_on_which_most_of_it_lies(day: str, opens: list[str]) -> None:
    """Of its trading, where that ends before the next day: an afternoon of the 31st is not the next month's."""
    months = flat("30m", np.arange(START - DAY, START + 40 * DAY, 30 * MINUTE)).resample("1M", day=day)
    assert [str(np.datetime64(int(t), "ms"))[:16] for t in months.time if t >= START - DAY // 2 - 1][-2:] == opens


@pytest.mark.parametrize(
    ("frame", "target", "day", "told"),
    [
        ("1h", "1d", "10:00-16:30", "16:30 UTC, inside a bar of 1h"),
        ("1d", "1w", "09:30-16:00 America/New_York", "14:30 UTC, inside a bar of 1d"),
        ("4h", "1d", "00:00-18:00", "18:00 UTC, inside a bar of 4h"),
        ("1h", "36h", "08:00", "some whole ones"),
    ],
)
def test_a_bar_that_reaches_out_of_the_day_is_refused(frame: str, target: str, day: str, told: str) -> None:
    """Else what was traded after the close would be in it, candles of days be lost, or bars differ in length."""
    candles = flat(frame, START + np.arange(30) * (tf.parse(frame).ms or 0))
    with pytest.raises(errors.UsageError) as caught:
        candles.resample(target, day=day)
    assert told in str(caught.value)


def told_by_the_calendar(time: np.ndarray, day: tu.Day, frame: str) -> dict[tuple[int, ...], int]:
    """Return how many candles each day, week or month has, by plain dates and clocks."""
    zone, opens = zoneinfo.ZoneInfo(day.tz), dt.time.fromisoformat(day.opens)
    closes = None if day.closes is None else dt.time.fromisoformat(day.closes)
    made: dict[tuple[int, ...], int] = {}
    for moment in time.tolist():
        now = dt.datetime.fromtimestamp(moment / 1000, dt.UTC)
        date = now.astimezone(zone).date() + dt.timedelta(days=1)
        while dt.datetime.combine(date, opens, zone).astimezone(dt.UTC) > now:
            date -= dt.timedelta(days=1)
        end = dt.datetime.combine(date + dt.timedelta(days=closes is None or closes <= opens), closes or opens, zone)
        if now >= end.astimezone(dt.UTC):
            continue
        begin = dt.datetime.combine(date, opens)  # on clocks that nobody moves
        middle = (begin + (end.replace(tzinfo=None) - begin) / 2).date()
        key = {
            "1d": (middle.year, middle.month, middle.day),
            "1w": tuple(middle.isocalendar()[:2]),
            "1M": (middle.year, middle.month),
        }
        made[key[frame]] = made.get(key[frame], 0) + 1
    return made


@given(
    st.sampled_from([*ZONES, "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo"]),
    st.sampled_from(["00:00", "03:30", "09:30", "12:00", "14:00", "17:00", "22:30"]),
    st.sampled_from([None, "04:00", "11:30", "16:00", "21:00", "23:30"]),
    st.integers(-400, 400),
    st.sampled_from(["1d", "1w", "1M"]),
)
@settings(max_examples=40)
def test_days_weeks_and_months_are_those_of_the_calendar(
    zone: str, opens: str, closes: str | None, first: int, frame: str
) -> None:
    """Whatever the clocks do, a session that ends the same day or the next included."""
    day, time = tu.Day(opens, zone, closes), START + first * DAY + np.arange(0, 40 * 24) * HOUR
    made = flat("30m", time).resample(frame, day=day)
    assert made.volume.tolist() == list(told_by_the_calendar(time, day, frame).values())
    assert made.closed[:-1].all()


def test_bars_of_whole_days_make_longer_ones_of_a_day_elsewhere() -> None:
    """08:00 in Shanghai is 00:00 UTC."""
    days = flat("1d", np.arange(START, START + 60 * DAY, DAY))
    for frame in ("3d", "1w", "2w", "1M"):
        made, plain = days.resample(frame, day="08:00 Asia/Shanghai"), days.resample(frame)
        assert (made.time.tolist(), made.volume.tolist()) == (plain.time.tolist(), plain.volume.tolist())


def test_what_comes_after_the_last_candle_of_a_session_closes_it() -> None:
    """Nobody traded in its last half hour, and a candle of the evening shows that it is over."""
    time = START + 14 * HOUR + np.arange(1, 10) * 30 * MINUTE
    open_ = flat("30m", time).resample("1d", day="14:30-21:00")
    over = flat("30m", np.append(time, START + 22 * HOUR)).resample("1d", day="14:30-21:00", partial=False)
    assert (open_.closed.tolist(), over.closed.tolist()) == ([False], [True])


def test_candles_without_a_price_cover_their_time() -> None:
    """A closed one that nobody traded ends the bar as any other, in candles as in a panel; a forming one does not."""
    time, price = START + np.arange(24) * HOUR, np.r_[np.nan, np.ones(22), np.nan]
    columns = dict.fromkeys(("open", "high", "low", "close"), price)
    closed = np.r_[np.ones(23, dtype=np.bool_), False]
    for candles, kept in ((flat("1h", time, **columns), 1), (flat("1h", time, **columns, closed=closed), 0)):
        whole = {n: getattr(candles, n)[:, None] for n in ("open", "high", "low", "close", "volume")}
        panel = tu.Panel(symbols=["A"], timeframe="1h", time=time, closed=candles.closed, **whole)
        assert candles.resample("1d").closed.tolist() == panel.resample("1d").closed.tolist() == [bool(kept)]
        assert len(candles.resample("1d", partial=False)) == len(panel.resample("1d", partial=False)) == kept


def test_the_largest_prices_are_prices() -> None:
    """Sums of them overflow, differences are nothing, and neither says that a price is missing."""
    most = np.full(4, 1.7e308)
    candles = flat("1h", START + np.arange(4) * HOUR, high=most, open=most, low=-most, close=most, volume=most)
    made = candles.resample("1d")
    assert (made.high.tolist(), made.low.tolist(), made.volume.tolist()) == ([1.7e308], [-1.7e308], [np.inf])
    endless = flat("1h", START + np.arange(2) * HOUR, high=np.array([np.inf, 1.0]), low=np.array([-np.inf, 1.0]))
    assert endless.resample("1d").volume.tolist() == [2.0]


@given(st.integers(0, 2**32), st.sampled_from(["30m", "1d", "1M"]), st.integers(1, 2))
def test_volumes_are_added_in_order_of_time(seed: int, frame: str, symbols: int) -> None:
    """Few long bars or many short ones, to the last bit."""
    panel = panel_of(np.random.default_rng(seed), 400, symbols, "1m", 0.1)
    made = panel.resample(frame)
    for s, symbol in enumerate(panel.symbols):
        expected: dict[int, float] = {}
        own = panel.candles(symbol)
        for opened, volume in zip(tf.parse(frame).floor(own.time).tolist(), own.volume.tolist(), strict=True):
            expected[opened] = expected[opened] + volume if opened in expected else volume
        got = dict(zip(made.time.tolist(), made.volume[:, s].tolist(), strict=True))
        assert all(np.array_equal(got[opened], total, equal_nan=True) for opened, total in expected.items())


def trades_of(rng: np.random.Generator, count: int) -> list[tu.Trade]:
    """Return random trades in order, several at one moment."""
    time = START + np.sort(rng.integers(0, 40 * MINUTE, count))
    return [
        tu.Trade(symbol="A/B", id=str(900 + i), time=int(t), price=float(rng.integers(90, 110)), amount=float(a))
        for i, (t, a) in enumerate(zip(time, rng.integers(1, 9, count), strict=True))
    ]


@given(st.integers(0, 2**32), st.integers(0, 60), st.sampled_from(["1m", "5m", "1h"]))
def test_trades_make_the_same_candles_in_any_order(seed: int, count: int, frame: str) -> None:
    """Shuffled, doubled, and as columns; equal to a loop over them; bars of nobody are absent."""
    rng = np.random.default_rng(seed)
    trades = trades_of(rng, count)
    made = tu.Candles.from_trades(trades, frame, symbol="A/B")
    mixed = trades + trades[: count // 2]
    rng.shuffle(mixed)  # type: ignore[arg-type]
    assert tu.Candles.from_trades(mixed, frame, symbol="A/B") == made
    columns = {name: np.array([getattr(one, name) for one in trades]) for name in ("price", "amount")}
    columns["time"] = np.array([one.time for one in trades], dtype=np.int64)
    assert tu.Candles.from_trades(columns, frame, symbol="A/B") == made
    expected: dict[int, list[float]] = {}
    for one in trades:
        bar = expected.setdefault(tf.parse(frame).floor(one.time), [one.price, one.price, one.price, one.price, 0.0])
        bar[1], bar[2], bar[3] = max(bar[1], one.price), min(bar[2], one.price), one.price
        bar[4] += one.amount
    assert made.time.tolist() == list(expected)
    rows = np.column_stack([made.open, made.high, made.low, made.close, made.volume]) if len(made) else []
    assert [list(row) for row in rows] == list(expected.values())
    assert made.closed[:-1].all()
    assert not made.closed[-1:].any()


def test_trades_known_up_to_a_moment_close_the_last_bar() -> None:
    """``now`` says that nothing is missing before it."""
    trade = tu.Trade(symbol="A/B", id=None, time=START + 30_000, price=1.0, amount=1.0)
    assert tu.Candles.from_trades([trade], "1m", now=START + MINUTE - 1).closed.tolist() == [False]
    assert tu.Candles.from_trades([trade], "1m", now=START + MINUTE).closed.tolist() == [True]


@pytest.mark.parametrize(
    ("ids", "volume"),
    [
        ([None, None, "7", "7"], 3.0),
        (["", "", "a", "a"], 3.0),
        ([7, np.nan, np.nan, 7], 3.0),
        (np.array([1.0, np.nan, np.nan, 1.0]), 3.0),
        ([2**62 + 1, 2**62 + 2, None, 2**62 + 1], 3.0),
        (["9" * 5000, "9" * 4999 + "8", "1", "1"], 3.0),
        (["01", "1", "001", "1"], 3.0),
        (np.array([5, 6, 2**63, 5], dtype=np.uint64), 3.0),
        (np.array([-5, -6, 2, -5]), 3.0),
    ],
)
def test_trades_without_an_id_are_each_their_own(ids: object, volume: float) -> None:
    """Only an id that is known and comes twice makes two of them one."""
    columns = {"time": np.full(4, START), "price": np.ones(4), "amount": np.ones(4), "id": ids}
    assert tu.Candles.from_trades(columns, "1m").volume.tolist() == [volume]


@pytest.mark.parametrize("digits", [1, 17, 18, 19, 30])
def test_trades_of_one_moment_are_in_order_of_their_numbers(digits: int) -> None:
    """By value, not by the first digit, however long they are."""
    ids = [str(10**digits + 1), str(10**digits - 1), str(10**digits)]
    for told in (ids, np.array(ids), [int(one) for one in ids]):
        columns = {"time": np.full(3, START), "price": [3.0, 1.0, 2.0], "amount": np.ones(3), "id": told}
        made = tu.Candles.from_trades(columns, "1m")
        assert (made.open.tolist(), made.close.tolist()) == ([1.0], [3.0])


@pytest.mark.parametrize(
    ("trades", "told"),
    [
        ({"time": START, "price": 1.0, "amount": 1.0}, "shapes (), (), ()"),
        ({"time": [START], "price": [1.0], "amount": [1.0], "id": [1, 2]}, "(2,)"),
        ({"time": [START], "price": [1.0], "amount": [1.0], "id": np.array([1e17])}, "id had dtype float64"),
        ({"time": [START * 1000], "price": [1.0], "amount": [1.0]}, "not micro"),
        ({"time": [START // 1000], "price": [1.0], "amount": [1.0]}, "looks like seconds"),
        ({"time": np.array([2**64 - 1], dtype=np.uint64), "price": [1.0], "amount": [1.0]}, "dtype uint64"),
        ({"time": [START], "price": [1.0]}, "lacked amount"),
        ({"time": [1.5], "price": [1.0], "amount": [1.0]}, "time had dtype float64"),
        ({"time": [START], "price": ["x"], "amount": [1.0]}, "cannot be read"),
        ({"time": [START], "price": [1.0, 2.0], "amount": [1.0]}, "shapes (1,), (2,), (1,)"),
        ({"time": [START], "price": [0.0], "amount": [1.0]}, "had price 0.0"),
        ({"time": [START], "price": [1.0], "amount": [-1.0]}, "amount -1.0"),
        ({"time": [START], "price": [np.nan], "amount": [1.0]}, "had price nan"),
        ([1, 2], "give a list of Trade"),
        (7, "give a list of Trade"),
    ],
)
def test_what_is_no_trade_is_refused(trades: object, told: str) -> None:
    """The first one that is wrong, and what to write."""
    with pytest.raises((errors.UsageError, errors.DataError)) as caught:
        tu.Candles.from_trades(trades, "1m")  # type: ignore[arg-type]
    assert told in str(caught.value)
