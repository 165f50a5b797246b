"""
Tickers of many markets from one reply, column by column.

ccxt makes two dictionaries and thirty numbers of every row, 23 µs each, and only then drops those that nobody asked
for. Here one instance's ``parse_tickers`` is stood in for by one that drops them first, and takes the figures of all
others from where `tradeutils.exchange.tickers.plans` found them. ccxt keeps its routes, signatures and errors.

The first reply is parsed by ccxt and here, and all of it must be equal; ccxt must also hand on what the parser made
as it is. So must every row be whose market has not been seen before, and one row, drawn anew, of every later reply.
What names a market is every text in its row: with any other text the row counts as another. Whatever fails, or is
not to be told from rows (times as text, computed figures of an unknown kind), is left to ccxt's own parser, for one
row, or for all rows with the same keys; then the log says so once.

Measured on 2000 of Binance's tickers (1 MB), µs a row: JSON 1.0, the values 0.7, floats 0.7, checks 0.5, `Ticker` 0.6
(its slots are set column by column: a call of the class takes 2.0).
"""

from __future__ import annotations

import random
import types
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradeutils.errors import BadReply
from tradeutils.exchange.candles.hidden_rows import Path, RowReader, ask_hiding
from tradeutils.exchange.requests.calls import Call, current_call
from tradeutils.exchange.requests.replies import collector_paused
from tradeutils.exchange.tickers.layouts import Layout, Row, alike, declined
from tradeutils.exchange.tickers.texts import TextRows, ticker_reader
from tradeutils.exchange.venues import parse
from tradeutils.model import Ticker

__all__ = ["TickerRows"]

_NO_PARAMS: Final[Mapping[str, Any]] = types.MappingProxyType({})
_ATTEMPTS: Final = 3  # replies that may fail to prove anything before it is given up
_MOST_LAYOUTS: Final = 64  # sets of keys; each takes some 5 ms to learn, and stays


class _TooManyError(Exception):
    """Rows of ever other keys, which cannot be learnt."""


class TickerRows:
    """
    Stands in for ``parse_tickers`` of one instance of ccxt, while ``fetch_tickers`` is under way.

    Parameters
    ----------
    ccxt : ccxt.async_support.Exchange
        Its ``parse_tickers`` is replaced; its ``parse_ticker`` is what is learnt from and compared with.
    info : bool
        Whether tickers keep what the venue sent: then all is left to ccxt's parser.
    """

    def __init__(self, ccxt: Any, *, info: bool = False) -> None:
        self._ccxt = ccxt
        self._info = info
        self._parse_all, ccxt.parse_tickers = ccxt.parse_tickers, self._parse
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._markets: Any = None  # what the symbols of the layouts were learnt from
        self._trusted = False if info else None  # None: not proved yet
        self._proving: list[Any] = []  # what ccxt must hand on for it to be proved
        self._path: Path | None = None  # to the rows of a reply, where they can be read in pieces
        self._hides = True

    async def fetch(
        self, call: Call, symbols: Sequence[str] | None, params: Mapping[str, Any] = _NO_PARAMS
    ) -> dict[str, Ticker]:
        """Return tickers by symbol. One call of ccxt's ``fetch_tickers``."""
        asked = None if symbols is None else list(symbols)
        answer, reader = await ask_hiding(
            call, lambda: self._ccxt.fetch_tickers(asked, dict(params)), self._path, ticker_reader, self._hide_no_more
        )
        told = self._told(answer)
        if symbols is None and not told and reader.says_something:
            raise BadReply("no row of the reply is a ticker")
        return told

    def _hide_no_more(self) -> None:
        self._path, self._hides = None, False

    def _told(self, answer: Any) -> dict[str, Ticker]:
        """Return what ccxt's ``fetch_tickers`` came to; a proof ends with that."""
        if isinstance(next(iter(answer.values()), None), Ticker):
            ours: dict[str, Ticker] = answer
            return ours
        if self._trusted is None and any(made is answer for made in self._proving):
            self._trusted = True
        elif self._trusted is None and len(self._proving) >= _ATTEMPTS:
            self._trusted = False
            declined(self._ccxt.id, "its class changes what the parser made")
        if self._trusted is not None:
            self._proving.clear()
        return {symbol: parse.ticker(entry, info=self._info) for symbol, entry in answer.items()}

    def _parse(self, tickers: Any, symbols: Any = None, params: Any = None) -> Any:
        """Do what ccxt's ``parse_tickers`` does: tickers by symbol, of those asked for."""
        call = current_call.get()
        told = (tickers, symbols, params or {})
        if self._trusted is False or call is None or call.operation != "fetch_tickers" or params:
            return self._parse_all(*told)
        try:
            return self._pieces(tickers, symbols) if isinstance(tickers, TextRows) else self._rows(*told)
        except _TooManyError:
            self._layouts, self._trusted = {}, False
            declined(self._ccxt.id, "rows have too many sets of keys")
        return self._parse_all(tickers.whole() if isinstance(tickers, TextRows) else tickers, *told[1:])

    def _rows(self, *told: Any) -> Any:
        """Return the tickers of rows that ccxt has seen."""
        tickers, symbols, _ = told
        named = isinstance(tickers, dict)
        rows = list(tickers.values()) if named else tickers
        if not isinstance(rows, list) or not rows or not {dict}.issuperset(map(type, rows)):
            return self._parse_all(*told)
        self._check_markets()
        names: list[str | None] = list(tickers) if named else [None] * len(rows)
        if self._trusted is None:
            return self._prove(told, rows, names)
        call = current_call.get()
        if not named and self._hides and call is not None and isinstance(call.decode, RowReader):
            self._path = call.decode.path_to(rows)
        with collector_paused():
            return self._tickers(rows, names, self._wanted(symbols))

    def _pieces(self, rows: TextRows, symbols: Any) -> dict[str, Ticker]:
        """Return the tickers of rows that are still text."""
        rows.taken = True
        self._check_markets()
        wanted = self._wanted(symbols)
        layout = self._layouts.get(rows.keys()) if wanted is not None else None
        if wanted is not None and layout is not None and layout.prefix is not None:
            found = self._read(rows.only(layout.prefix, layout.symbols, wanted), wanted)
            if found.keys() == wanted:
                return found
        return self._read(rows, wanted)  # a row may name its market in another way today

    def _read(self, rows: TextRows, wanted: frozenset[str] | None) -> dict[str, Ticker]:
        found: dict[str, Ticker] = {}
        sampled = random.randrange(rows.piece_count)  # noqa: S311  # no secret
        with collector_paused():
            for number, piece in enumerate(rows.pieces()):
                if not {dict}.issuperset(map(type, piece)):
                    raise BadReply("a row of tickers is none")
                found |= self._tickers(piece, [None] * len(piece), wanted, sampled=number == sampled)
        return found

    def _check_markets(self) -> None:
        """Forget what was learnt where the markets were loaded anew since."""
        if self._markets is not self._ccxt.markets_by_id:
            self._layouts, self._markets = {}, self._ccxt.markets_by_id

    def _wanted(self, symbols: Any) -> frozenset[str] | None:
        return None if symbols is None else frozenset(self._ccxt.market_symbols(symbols))

    def _prove(self, told: tuple[Any, ...], rows: list[Row], names: list[str | None]) -> Any:
        """Parse a whole reply both ways; what ccxt made is what is returned."""
        theirs = self._parse_all(told[0], None, told[2])
        ours = self._tickers(rows, names, None)
        if alike(ours, {symbol: parse.ticker(entry) for symbol, entry in theirs.items()}):
            made = theirs if told[1] is None else self._parse_all(*told)
            del self._proving[:-_ATTEMPTS]  # of calls that failed after all
            self._proving.append(made)
            return made
        self._trusted = False
        declined(self._ccxt.id, "the values differ")
        return self._parse_all(*told)

    def _tickers(
        self,
        rows: Sequence[Row],
        names: Sequence[str | None],
        wanted: frozenset[str] | None,
        *,
        sampled: bool = True,
    ) -> dict[str, Ticker]:
        """Return tickers in the order of their rows; ``sampled``: as in `Layout.tickers`."""
        made: list[Ticker | None] = [None] * len(rows)
        for keys, places in _by_keys(rows).items():
            own, own_names = rows, names
            if len(places) < len(rows):
                own, own_names = [rows[at] for at in places], [names[at] for at in places]
            layout = self._layouts.get(keys)
            if layout is None:
                if len(self._layouts) >= _MOST_LAYOUTS:
                    raise _TooManyError
                layout = self._layouts[keys] = Layout(self._ccxt, own, own_names)
            if wanted is not None:
                chosen = layout.wanted(own, own_names, wanted)
                places = [places[at] for at in chosen]
                own, own_names = [own[at] for at in chosen], [own_names[at] for at in chosen]
            found = layout.tickers(own, own_names, sampled=sampled)
            if len(places) == len(rows):
                made = found
                break
            for at, ticker in zip(places, found, strict=True):
                made[at] = ticker
        told = {ticker.symbol: ticker for ticker in made if ticker is not None}
        return told if wanted is None else {symbol: one for symbol, one in told.items() if symbol in wanted}


def _by_keys(rows: Sequence[Row]) -> dict[tuple[str, ...], Sequence[int]]:
    """
    Return the places of rows by their keys.

    Where all rows have as many keys, they are taken for the same: one that lacks a key that is needed is noticed later,
    and to compare them all is a tenth of all that is done here.
    """
    if not rows:
        return {}
    if len(set(map(len, rows))) == 1:
        return {tuple(rows[0]): range(len(rows))}
    found: dict[tuple[str, ...], list[int]] = {}
    for at, keys in enumerate(map(tuple, rows)):
        found.setdefault(keys, []).append(at)
    return dict(found)
