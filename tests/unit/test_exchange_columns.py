"""Where columns must not be used: classes that do more than to find figures, and replies that are built otherwise."""

from __future__ import annotations

import json
import logging
from typing import Any

import ccxt.async_support
import numpy as np
import pytest
from told_exchange import MARKETS, NOW, envelope, run, told_exchange, under_way

from tradeutils.errors import BadReply
from tradeutils.exchange.candles.columns import CandleColumns
from tradeutils.exchange.tickers.rows import TickerRows
from tradeutils.exchange.tickers.texts import TextRows
from tradeutils.exchange.venues import parse

ROWS = [[NOW + 60_000 * at, "1.5", "2.5", "0.5", "1.0", str(100 + at), NOW, "7", 3, "4", "5", "0"] for at in range(5)]
LINE = [[float(cell) for cell in row[:6]] for row in ROWS]


class Doubling(ccxt.async_support.binance):
    """Counts contracts of two."""

    def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> Any:
        """Return a row whose volume is computed."""
        *rest, volume = super().parse_ohlcv(ohlcv, market)
        return [*rest, 2 * volume]

    def parse_ticker(self, ticker: Any, market: Any = None) -> Any:
        """Return a ticker whose volume is computed."""
        made = super().parse_ticker(ticker, market)
        return made | {"baseVolume": made["baseVolume"] and made["baseVolume"] ** 2}


class Copying(ccxt.async_support.binance):
    """Hands on something else than what its parser made."""

    async def fetch_ohlcv(self, *asked: Any, **options: Any) -> Any:
        """Leave the first row out."""
        return list(await super().fetch_ohlcv(*asked, **options))[1:]

    async def fetch_tickers(self, *asked: Any, **options: Any) -> Any:
        """Return a copy."""
        return dict(await super().fetch_tickers(*asked, **options))


class Changing(ccxt.async_support.binance):
    """Parses otherwise once it is told to."""

    changed = False

    def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> Any:
        """Return a row, the highest price doubled."""
        row = super().parse_ohlcv(ohlcv, market)
        return [row[0], row[1], row[2] * 2, *row[3:]] if self.changed else row

    def parse_ticker(self, ticker: Any, market: Any = None) -> Any:
        """Return a ticker, the last price doubled."""
        made = super().parse_ticker(ticker, market)
        return made | {"last": made["last"] * 2} if self.changed else made


class Curious(ccxt.async_support.binance):
    """Looks at the rows before its parser does, where it is told to."""

    look = ""

    def parse_ohlcvs(self, ohlcvs: Any, *rest: Any) -> Any:
        """Never asked: what stands in for it is."""
        return super().parse_ohlcvs(ohlcvs, *rest)

    def to_array(self, array: Any) -> Any:
        """Fail on, or replace, a list that is empty."""
        if self.look == "fail":
            assert array[0]
        return list(array) if self.look == "copy" else array

    async def fetch_tickers(self, symbols: Any = None, params: Any = None) -> Any:
        """Take the rows by themselves."""
        if not self.look:
            return await super().fetch_tickers(symbols)
        rows = await self.publicGetTicker24hr()
        if self.look == "fail":
            assert rows[0]
        return self.index_by([self.parse_ticker(row) for row in rows], "symbol")


async def _candles(columns: CandleColumns, since: int | None = None, limit: int | None = None) -> Any:
    with under_way("fetch_ohlcv") as call:
        ask = columns._ccxt.fetch_ohlcv
        return await columns.fetch(call, "BTC/USDT", lambda: ask("BTC/USDT", "1m", since, limit))


def _opened(cls: type[Any] | None = None) -> CandleColumns:
    exchange = told_exchange("binance", cls)
    exchange.told = envelope("binance", ROWS)
    return CandleColumns(exchange)


@pytest.mark.parametrize(
    ("cls", "expected", "words"),
    [
        (Doubling, [[*row[:5], 2 * row[5]] for row in LINE], "computes"),
        (Copying, LINE[1:], "nothing could be proved"),
    ],
)
def test_candles_of_a_class_that_does_more_are_left_to_it(
    cls: type[Any], expected: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own figures, reply after reply, and one line in the log."""
    columns = _opened(cls)
    with caplog.at_level(logging.INFO, "tradeutils"):
        for _ in range(6):
            assert np.array_equal(np.array(run(_candles(columns)), dtype=np.float64), expected)
    assert [words in record.getMessage() for record in caplog.records] == [True]


def test_candles_that_come_to_be_parsed_otherwise_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """One row of each reply is compared."""
    columns = _opened(Changing)
    for _ in range(3):
        assert np.array_equal(np.array(run(_candles(columns)), dtype=np.float64), LINE)
    assert isinstance(run(_candles(columns)), np.ndarray)
    columns._ccxt.changed = True
    with caplog.at_level(logging.INFO, "tradeutils"):
        for _ in range(3):
            found = np.array(run(_candles(columns)), dtype=np.float64)
            assert np.array_equal(found, [[*row[:2], 2 * row[2], *row[3:]] for row in LINE])
    assert ["differently" in record.getMessage() for record in caplog.records] == [True]


def test_a_list_where_rows_stood_within_is_an_error() -> None:
    """To okx's class, and kraken's, it would be a reply without candles."""
    exchange = told_exchange("okx")
    columns = CandleColumns(exchange)
    exchange.told = envelope("okx", [row[:9] for row in ROWS])
    for _ in range(3):
        assert len(run(_candles(columns))) == len(ROWS)
    exchange.told = envelope("okx", [])
    assert len(run(_candles(columns))) == 0
    exchange.told = '[{"x":1},{"y":2}]'
    with pytest.raises(BadReply, match="instead of one with candles"):
        run(_candles(columns))


@pytest.mark.parametrize("look", ["fail", "copy"])
def test_a_class_that_looks_at_the_rows_is_given_them(look: str) -> None:
    """The call is made once more, and the rows are not hidden from it again."""
    columns = _opened(Curious)
    for _ in range(3):
        run(_candles(columns))
    columns._ccxt.look, columns._ccxt.asked = look, 0
    for _ in range(3):
        assert np.array_equal(np.array(run(_candles(columns)), dtype=np.float64), LINE)
    assert columns._ccxt.asked == 4


@pytest.mark.parametrize(
    "reply",
    [
        [[*row[:1], f"{row[1]}", *row[2:-1], True] for row in ROWS],
        [[*row[:2], "1,5", *row[3:]] for row in ROWS],
        [[*row[:2], "", *row[3:]] for row in ROWS],
        [[*row[:2], None, *row[3:]] for row in ROWS],
        [[*row[:2], "é", *row[3:]] for row in ROWS],
        [[*row[:2], "1e-7", *row[3:]] for row in ROWS],
        [[*row[:2], "9" * 400, *row[3:]] for row in ROWS],
        [[*row, "1"] for row in ROWS],
        [row[:7] for row in ROWS],
        [ROWS[0][:-1], [*ROWS[1], "1"], *ROWS[2:]],
        [[row[0] * 10**6, *row[1:]] for row in ROWS],
        [{"openTime": row[0], "open": row[1], "high": "2", "low": "1", "close": "1", "volume": "9"} for row in ROWS],
        ROWS[::-1],
        ROWS[:1],
        [],
    ],
)
def test_any_later_reply_is_what_ccxt_makes_of_it(reply: Any) -> None:
    """Of other widths, with nulls, letters, commas and brackets where figures were."""
    columns, theirs = _opened(), told_exchange("binance")
    for _ in range(3):
        run(_candles(columns))
    columns._ccxt.told = theirs.told = json.dumps(reply)
    for _ in range(2):
        found = [[None if one is None else float(one) for one in row] for row in run(_candles(columns, NOW - 1, 3))]
        expected = [list(row) for row in run(theirs.fetch_ohlcv("BTC/USDT", "1m", NOW - 1, 3))]
        assert str(found).replace("nan", "None") == str(
            [[None if one is None else float(one) for one in row] for row in expected]
        )


def test_times_in_seconds_become_milliseconds() -> None:
    """As kraken sends them."""
    exchange = told_exchange("binance", ccxt.async_support.binance)
    exchange.parse_ohlcv = lambda row, _=None: [exchange.safe_timestamp(row, 0), *map(float, row[1:6])]
    columns = CandleColumns(exchange)
    exchange.told = json.dumps([[row[0] // 1000, *row[1:]] for row in ROWS])
    for _ in range(3):
        assert np.array_equal(np.array(run(_candles(columns)), dtype=np.float64), LINE)
    assert columns._proved


FIGURES = ("priceChange", "priceChangePercent", "weightedAvgPrice", "lastPrice", "bidPrice", "bidQty", "askPrice")
FIGURES += ("askQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume")


def _row(id_: str, **other: Any) -> dict[str, Any]:
    figures = {name: f"{at}.25" for at, name in enumerate(FIGURES, 2)}
    return {"symbol": id_, **figures, "closeTime": NOW, **other}


TICKERS = [_row(id_) for id_, _, _ in MARKETS["binance"]]


def _tickers_of(cls: type[Any] | None = None) -> TickerRows:
    exchange = told_exchange("binance", cls)
    exchange.told = json.dumps(TICKERS, separators=(",", ":"))
    return TickerRows(exchange)


async def _fetched(rows: TickerRows, symbols: list[str] | None = None) -> Any:
    with under_way("fetch_tickers") as call:
        return await rows.fetch(call, symbols)


def _expected(rows: TickerRows, symbols: list[str] | None = None) -> Any:
    """Return what the class makes of the reply on its own."""
    theirs = told_exchange("binance", type(rows._ccxt))
    theirs.told = rows._ccxt.told
    theirs.__dict__.update({key: rows._ccxt.__dict__[key] for key in ("changed",) if key in rows._ccxt.__dict__})
    return {symbol: parse.ticker(raw) for symbol, raw in run(theirs.fetch_tickers(symbols)).items()}


@pytest.mark.parametrize(("cls", "words"), [(Doubling, "computes"), (Copying, "changes what")])
def test_tickers_of_a_class_that_does_more_are_left_to_it(
    cls: type[Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own figures, reply after reply, and one line in the log."""
    rows = _tickers_of(cls)
    with caplog.at_level(logging.INFO, "tradeutils"):
        for _ in range(6):
            assert run(_fetched(rows)) == _expected(rows)
    assert [words in record.getMessage() for record in caplog.records] == [True]


def test_tickers_that_come_to_be_parsed_otherwise_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """One row of each reply is compared."""
    rows = _tickers_of(Changing)
    for _ in range(3):
        run(_fetched(rows))
    rows._ccxt.changed = True
    with caplog.at_level(logging.INFO, "tradeutils"):
        for _ in range(3):
            assert run(_fetched(rows)) == _expected(rows)
    assert ["differently" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("look", ["fail", "copy"])
def test_a_class_that_looks_at_tickers_is_given_them(look: str) -> None:
    """The call is made once more, and the rows are not hidden from it again."""
    rows = _tickers_of(Curious)
    for _ in range(3):
        expected = run(_fetched(rows))
    rows._ccxt.look, rows._ccxt.asked = look, 0
    for _ in range(3):
        assert run(_fetched(rows)) == expected
    assert rows._ccxt.asked == 4


@pytest.mark.parametrize(
    "reply",
    [
        [_row("BTCUSDT", inner=[{"a": 1}, {"b": 2}])],
        [*TICKERS, _row("NEWUSDT")],
        [_row("BTCUSDT", lastPrice="0.000", openPrice="0", priceChange="0.0", priceChangePercent="0.000")],
        [_row("BTCUSDT", priceChangePercent="0.000")],
        [_row("BTCUSDT", lastPrice=None, bidPrice="")],
        [_row("BTCUSDT", lastPrice=True)],
        [_row("BTCUSDT", lastPrice="1e400")],
        [_row("BTCUSDT", bidPrice="NaN")],
        [_row("BTCUSDT", lastPrice=12.5, volume=3)],
        [{key: value for key, value in _row("BTCUSDT").items() if key != "bidQty"}],
        [{"other" if key == "lastPrice" else key: value for key, value in _row("BTCUSDT").items()}],
        [_row("BTCUSDT", weightedAvgPrice=None)],
        [TICKERS[0], TICKERS[0] | {"lastPrice": "9"}],
        [TICKERS[1] | {"closeTime": "1700000000000"}],
        [],
    ],
)
@pytest.mark.parametrize("symbols", [None, ["BTC/USDT", "ETH/BTC"]])
def test_any_later_tickers_are_what_ccxt_makes_of_them(reply: Any, symbols: list[str] | None) -> None:
    """Dead markets, flat days, nulls, other keys, other types, the same market twice."""
    rows = _tickers_of()
    for _ in range(3):
        run(_fetched(rows))
    rows._ccxt.told = json.dumps(reply, separators=(",", ":"))
    for _ in range(2):
        assert repr(run(_fetched(rows, symbols))) == repr(_expected(rows, symbols))
    assert all(layout._trusted for layout in rows._layouts.values())


@pytest.mark.parametrize(
    "text", ["[{]", '[{"a":1},{"b":}]', '[{"symbol":"BTCUSDT"},{]}]', '[{"a":1},5,{"b":1},{"c":1}]']
)
def test_rows_that_are_broken_are_an_error(text: str) -> None:
    """Also where the reply around them is whole."""
    rows = _tickers_of()
    for _ in range(3):
        run(_fetched(rows))
    rows._ccxt.told = text
    with pytest.raises(BadReply):
        run(_fetched(rows))


@pytest.mark.parametrize("symbols", [None, ["BTC/USDT"]])
def test_an_error_between_the_rows_is_not_dropped_with_them(symbols: list[str] | None) -> None:
    """Neither where only some of the rows are wanted."""
    exchange = told_exchange("okx")
    row = {"instType": "SPOT", "last": "1.5", "askPx": "1.6", "bidPx": "1.4", "ts": str(NOW)}
    told = [{"instType": "SPOT", "instId": id_, **row} for id_, _, _ in MARKETS["okx"]]
    exchange.told = envelope("okx", told)
    rows = TickerRows(exchange)
    for _ in range(3):
        run(_fetched(rows))
    assert rows._path == ("data",)
    assert list(run(_fetched(rows, symbols))) == (symbols or ["BTC/USDT", "1INCH/USDT", "ETH/BTC"])
    data = json.dumps(told, separators=(",", ":"))
    exchange.told = f'{{"data":{data},"code":"50011","x":[{{"a":1}},{{"b":1}}]}}'
    with pytest.raises(BadReply):
        run(_fetched(rows, symbols))


def test_a_reply_of_a_single_row_is_shown_to_the_class() -> None:
    """It may be an error: so binance answers at times, with a status of 200."""
    rows = _tickers_of()
    for _ in range(3):
        run(_fetched(rows))
    seen: list[Any] = []
    fetch2 = rows._ccxt.fetch2

    async def looking(*asked: Any, **more: Any) -> Any:
        seen.append(await fetch2(*asked, **more))
        return seen[-1]

    rows._ccxt.fetch2 = looking
    rows._ccxt.told = '[{"code":-1121,"msg":"Invalid symbol."}]'
    assert run(_fetched(rows, ["BTC/USDT"])) == {}
    assert seen == [[{"code": -1121, "msg": "Invalid symbol."}]]


def _dump(*rows: Any) -> str:
    return f"[{','.join(json.dumps(row, separators=(',', ':')) for row in rows)}]"


TWICE = _dump(_row("ETHBTC"), TICKERS[1])[:-1].replace("}", ',"symbol":"BTCUSDT"}', 1) + "]"


@pytest.mark.parametrize(
    "text",
    [
        TWICE,
        _dump(_row("ETHBTC"), _row("BTCUSDT")).replace("},{", "}, {"),
        _dump(*TICKERS, _row("1INCHUSDT")).replace("BTCUSDT", "\\u0042TCUSDT"),
        _dump(_row("ETHBTC", note='},{"symbol":"BTCUSDT"'), _row("BTCUSDT", note="x")),
        _dump(_row("BTCUSDT"), _row("1INCHUSDT", legs=[{"a": 1}, {"symbol": "ETHBTC"}]), _row("ETHBTC")),
        _dump(_row("BTCUSDT", closeTime=[1]), _row("ETHBTC", closeTime={"a": 1})),
        _dump(_row("BTCUSDT", lastPrice="1e-400"), _row("ETHBTC", lastPrice="0")),
        _dump(_row("BTCUSDT"), {**_row("BTCUSDT", x="1"), "lastPrice": "9"}),
    ],
)
@pytest.mark.parametrize("symbols", [None, ["BTC/USDT"], ["1INCH/USDT", "ETH/BTC"]])
def test_any_later_text_of_tickers_is_what_ccxt_makes_of_it(text: str, symbols: list[str] | None) -> None:
    """Keys twice, spaces, escapes, rows within rows and within texts, a market twice with other keys."""
    rows = _tickers_of()
    for _ in range(3):
        run(_fetched(rows))
    rows._ccxt.told = text
    for _ in range(2):
        assert repr(run(_fetched(rows, symbols))) == repr(_expected(rows, symbols))


def test_a_row_with_another_key_among_its_likes_is_given_to_the_class() -> None:
    """As many keys, and all figures that are needed: but the class looks for the one that is new."""

    class Looking(ccxt.async_support.binance):
        def parse_ticker(self, ticker: Any, market: Any = None) -> Any:
            made = super().parse_ticker(ticker, market)
            return made | {"last": 7.0} if "special" in ticker else made

    rows = _tickers_of(Looking)
    told = [row | {"count": at + 1, "firstId": 100 + at} for at, row in enumerate(TICKERS)]
    rows._ccxt.told = _dump(*told)
    for _ in range(3):
        run(_fetched(rows))
    changed = {("special" if key == "count" else key): value for key, value in told[1].items()}
    rows._ccxt.told = _dump(told[0], changed, told[2])
    for symbols in (None, ["1INCH/USDT"], None):
        assert run(_fetched(rows, symbols)) == _expected(rows, symbols)
    assert run(_fetched(rows))["1INCH/USDT"].last == 7.0


@pytest.mark.parametrize("symbols", [None, ["BTC/USDT"]])
def test_one_name_in_two_parts_of_a_venue_is_told_apart(symbols: list[str] | None) -> None:
    """A row of another part that was seen does not speak for this one."""
    same = {id_: id_ for id_, _, _ in MARKETS["binance"]}
    named_by = {"a": same, "b": same | {"ETHBTC": "BTCUSDT", "BTCUSDT": "ETHBTC"}}

    class Parted(ccxt.async_support.binance):
        def parse_ticker(self, ticker: Any, market: Any = None) -> Any:
            return super().parse_ticker(ticker | {"symbol": named_by[ticker["category"]][ticker["symbol"]]})

    rows = _tickers_of(Parted)
    rows._ccxt.told = _dump(*({"category": "a", **row} for row in TICKERS))
    for _ in range(3):
        run(_fetched(rows))
    for told in ("b", "a", "ba", "b"):
        rows._ccxt.told = _dump(
            *({"category": one, **row, "lastPrice": f"{ord(one)}"} for one in told for row in TICKERS)
        )
        assert run(_fetched(rows, symbols)) == _expected(rows, symbols)


def test_texts_that_become_lists_are_read_by_the_class() -> None:
    """A list is nothing to look a market up by."""
    rows = _tickers_of()
    rows._ccxt.told = _dump(*(row | {"note": "x"} for row in TICKERS))
    for _ in range(3):
        run(_fetched(rows))
    rows._ccxt.told = _dump(*(row | {"note": note} for row, note in zip(TICKERS, ([1], {"a": 1}, "x"), strict=True)))
    for symbols in (None, ["BTC/USDT"]):
        assert run(_fetched(rows, symbols)) == _expected(rows, symbols)


def test_rows_of_ever_other_keys_are_given_up_for_good(caplog: pytest.LogCaptureFixture) -> None:
    """Each set of keys is learnt once, and some dozens of them at most; the log says so once."""
    rows = _tickers_of()
    with caplog.at_level(logging.INFO, "tradeutils"):
        for seed in range(80):
            more = [{f"x{seed}_{key}": "1" for key in range(at)} for at in range(1, 4)]
            rows._ccxt.told = _dump(*(row | one for row, one in zip(TICKERS, more, strict=True)))
            if seed > 2 or seed == 0:
                assert run(_fetched(rows)) == _expected(rows)
    assert ["too many sets of keys" in record.getMessage() for record in caplog.records] == [True]
    assert not rows._layouts
    assert rows._trusted is False


def test_rows_of_hundreds_of_figures_are_left_to_ccxt(caplog: pytest.LogCaptureFixture) -> None:
    """To try every formula on them would take minutes."""
    rows = _tickers_of()
    rows._ccxt.told = _dump(*(row | {f"f{at}": f"{at}.5" for at in range(300)} for row in TICKERS))
    with caplog.at_level(logging.INFO, "tradeutils"):
        for _ in range(4):
            assert run(_fetched(rows)) == _expected(rows)
    assert ["too many figures" in record.getMessage() for record in caplog.records] == [True]


def test_rows_in_many_pieces_are_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long they are, and wherever they are cut."""
    texts = [f'{{"n":{at},"x":"{"y" * (at % 7)}"}}' for at in range(500)]
    for size in (1, 10, 1_000, 10**6):
        monkeypatch.setattr("tradeutils.exchange.tickers.texts._PIECE", size)
        rows = [row["n"] for piece in TextRows(",".join(texts)).pieces() for row in piece]
        assert rows == list(range(500))
    assert list(TextRows("").pieces()) == []


def test_tickers_by_their_names_are_learnt_too() -> None:
    """Some venues send a mapping; the names are all that tells the rows apart."""

    class Named(ccxt.async_support.binance):
        def parse_ticker(self, ticker: Any, market: Any = None) -> Any:
            return super().parse_ticker({"symbol": market["id"], **ticker}, market)

        async def fetch_tickers(self, symbols: Any = None, params: Any = None) -> Any:
            return self.parse_tickers(await self.publicGetTicker24hr(), symbols)

    rows = _tickers_of(Named)
    named = {row["symbol"]: {key: row[key] for key in row if key != "symbol"} for row in TICKERS}
    rows._ccxt.told = json.dumps(named)
    for symbols in (None, None, ["ETH/BTC"], None):
        assert run(_fetched(rows, symbols)) == _expected(rows, symbols)
    (layout,) = rows._layouts.values()
    assert all(reading is not None and len(reading.symbols) == 3 for reading in layout._readings.values())


def test_rows_that_name_themselves_anew_each_time_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would fill the memory."""
    monkeypatch.setattr("tradeutils.exchange.tickers.layouts._MOST_NAMES", 10)
    rows = _tickers_of()
    for at in range(12):
        rows._ccxt.told = json.dumps([row | {"note": f"at {at}"} for row in TICKERS], separators=(",", ":"))
        assert run(_fetched(rows)) == _expected(rows)
    (layout,) = rows._layouts.values()
    assert not layout._trusted
    assert not layout._known


def test_what_is_asked_for_by_others_is_left_alone() -> None:
    """One ticker, or ccxt's own calls: ccxt's class gets what it expects."""
    rows = _tickers_of()
    for _ in range(3):
        run(_fetched(rows))
    raw = run(rows._ccxt.fetch_tickers())
    assert raw["BTC/USDT"]["info"]["symbol"] == "BTCUSDT"
    with under_way("fetch_ticker"):
        assert isinstance(run(rows._ccxt.fetch_tickers())["BTC/USDT"], dict)
