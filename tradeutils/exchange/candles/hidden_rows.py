"""
Replies whose rows ccxt never sees: an empty list stands for them, and remembers their text.

What ccxt's classes do between the JSON and their parser of rows, errors and envelopes, they do all the same. That such
a class hands on the list as it found it, to a parser that is ours, is seen from its first reply, where the list is
still full; and where a later call looks into it after all, `RowReader.untaken` tells, and the call is made once more
with the rows in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from tradeutils.exchange.requests.calls import Call
from tradeutils.exchange.requests.replies import data_json, rough_json

__all__ = ["HiddenRows", "Path", "RowReader", "ask_hiding"]

Path: TypeAlias = tuple[str, ...]
"""Under which keys of a reply its rows stand; none, where the reply is the list of them."""

_DEEPEST: Final = 4


class _NotHiddenError(ValueError):
    """A reply whose rows cannot be hidden from ccxt."""


class HiddenRows(list[Any]):
    """
    An empty list that stands for rows.

    Parameters
    ----------
    text : str
        The JSON of the rows, with commas between, without the brackets around them all.

    Attributes
    ----------
    taken : bool
        Whether the parser that is ours has been given it.
    """

    __slots__ = ("taken", "text")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.taken = False


class RowReader:
    """
    Reads the JSON of one call for rows.

    Parameters
    ----------
    path : Path or None
        Where the rows stand in a reply; ``None``: it is read as a whole.
    edges : str
        What the text of rows begins and ends with: ``"[]"`` or ``"{}"``.
    hide : callable
        Makes `HiddenRows` of the text of rows; ``ValueError`` where it cannot be used.
    """

    __slots__ = ("_answers", "_edges", "_hide", "_path")

    def __init__(
        self, path: Path | None = None, edges: str = "[]", hide: Callable[[str], HiddenRows] = HiddenRows
    ) -> None:
        self._path = path
        self._edges = edges
        self._hide = hide
        self._answers: list[Any] = []

    def __call__(self, text: str) -> Any:
        """Return what a reply says; `BadReply` where that is nothing."""
        try:
            answer = self._without_rows(text)
        except ValueError:
            answer = data_json(text)
        self._answers.append(answer)
        return answer

    def path_to(self, rows: Any) -> Path | None:
        """Return where these very rows stand in the only reply so far; ``None`` where they do not."""
        return _path_to(self._answers[0], rows, _DEEPEST) if len(self._answers) == 1 else None

    @property
    def says_something(self) -> bool:
        """Whether some reply is a list of something: what comes of it should not be nothing."""
        return any(isinstance(answer, list) and (isinstance(answer, HiddenRows) or answer) for answer in self._answers)

    @property
    def untaken(self) -> bool:
        """Whether rows were hidden that no parser of ours was given: ccxt's class looked at an empty list."""
        return self._path is not None and any(
            isinstance(rows := _at(answer, self._path), HiddenRows) and not rows.taken for answer in self._answers
        )

    def _without_rows(self, text: str) -> Any:
        """Return a reply with its rows hidden; ``ValueError`` where there are none, or not where they used to be."""
        begin, end = text.find(f"[{self._edges[0]}"), text.rfind(f"{self._edges[1]}]")
        if self._path is None or begin < 0 or end < begin:
            raise _NotHiddenError("no rows")
        if f"{self._edges[1]},{self._edges[0]}" not in text:
            raise _NotHiddenError("a single one, which may be an error")  # so says binance what is wrong
        if not self._path:
            if begin or end + 2 != len(text):
                raise _NotHiddenError("more than rows")
            return self._hide(text[1:-1])
        answer = rough_json(f"{text[:begin]}[]{text[end + 2 :]}")
        holder = _at(answer, self._path[:-1])
        if not isinstance(holder, dict) or holder.get(self._path[-1]) != []:
            raise _NotHiddenError("rows in another place")
        holder[self._path[-1]] = self._hide(text[begin + 1 : end + 1])
        return answer


async def ask_hiding(
    call: Call,
    ask: Callable[[], Awaitable[Any]],
    path: Path | None,
    reader_of: Callable[[Path | None], RowReader],
    show: Callable[[], None],
) -> tuple[Any, RowReader]:
    """
    Return what ``ask`` comes to with the rows at ``path`` hidden, and the reader that hid them.

    Where ccxt's class looked at the rows by itself, ``show`` is called, so that they are hidden no more, and it is
    asked again with the rows in the reply.
    """
    reader = call.decode = reader_of(path)
    answer: Any = None
    try:
        answer = await ask()
    except Exception:
        if not reader.untaken:
            raise
    if reader.untaken:
        show()
        call.decode = reader_of(None)
        answer = await ask()
    return answer, reader


def _at(answer: Any, path: Path) -> Any:
    for key in path:
        answer = answer.get(key) if isinstance(answer, Mapping) else None
    return answer


def _path_to(answer: Any, rows: Any, depth: int) -> Path | None:
    if answer is rows:
        return ()
    if isinstance(answer, dict) and depth:
        for key, inner in answer.items():
            found = _path_to(inner, rows, depth - 1)
            if found is not None:
                return (key, *found)
    return None
