"""
Rows of tickers as text, read a piece at a time.

All rows of 2000 tickers at once are 5 MB of small objects, more than a core's cache; read, used and dropped in pieces
they cost two thirds of the CPU. Those of markets that nobody asked for are not read at all.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

from tradeutils.errors import BadReply
from tradeutils.exchange.candles.hidden_rows import HiddenRows, Path, RowReader
from tradeutils.exchange.requests.replies import rough_json

__all__ = ["TextRows", "ticker_reader"]

_PIECE: Final = 64_000  # characters; measured 16,000 to 256,000: a tenth more outside of 32,000 to 128,000
_UNKNOWN: Final[Any] = object()


class TextRows(HiddenRows):
    """Rows of tickers, JSON objects."""

    __slots__ = ()

    @property
    def piece_count(self) -> int:
        """About how many pieces there will be, at least one."""
        return len(self.text) // _PIECE + 1

    def keys(self) -> tuple[str, ...]:
        """Return the keys of the first row; none where it is no flat mapping."""
        try:
            row = rough_json(self.text[: self.text.find("}") + 1])
        except ValueError:
            return ()
        return tuple(row) if isinstance(row, dict) else ()

    def only(self, prefix: str, symbols: Mapping[str, str | None], wanted: Container[str]) -> TextRows:
        """
        Return the rows without those that begin with a prefix and the name of a market that is not wanted.

        ``symbols``: by the names that are known; rows of others stay. So do all where there is anything in them but
        flat rows, or between them: an error, say.
        """
        at = len(prefix)
        rows = self.text[1:-1].split("},{")
        if self.text.count("{") != len(rows):
            return self
        kept = [
            row
            for row in rows
            if not row.startswith(prefix)
            or (symbol := symbols.get(row[at : row.find('"', at)], _UNKNOWN)) is _UNKNOWN
            or symbol in wanted
        ]
        return TextRows(f"{{{'},{'.join(kept)}}}" if kept else "")

    def whole(self) -> list[Any]:
        """Return all rows; `BadReply` where they are no JSON."""
        return _rest(self.text)

    def pieces(self) -> Iterator[list[Any]]:
        """Yield the rows, some at a time; `BadReply` where they are no JSON."""
        begin, end = 0, len(self.text)
        while begin < end:
            cut = self.text.find("},{", begin + _PIECE)
            stop = end if cut < 0 else cut + 1
            try:
                rows = rough_json(f"[{self.text[begin:stop]}]")
            except ValueError:  # what looks like the space between two rows can be within one
                stop = end
                rows = _rest(self.text[begin:])
            yield rows
            begin = stop + 1


def ticker_reader(path: Path | None) -> RowReader:
    """Return what reads the JSON of one call for tickers."""
    return RowReader(path, "{}", TextRows)


def _rest(text: str) -> list[Any]:
    try:
        rows: list[Any] = rough_json(f"[{text}]")
    except ValueError as error:
        raise BadReply(f"answered with broken JSON instead of data ({error})") from error
    return rows
