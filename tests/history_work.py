"""What tests have workers do: importable by its plain name in every process that a test starts."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradeutils.model import Candles, Panel

Symbols = tuple[str, ...]


def lengths(symbols: Symbols) -> list[int]:
    """Return how long each name is."""
    return [len(symbol) for symbol in symbols]


def where(symbols: Symbols) -> tuple[int, int]:
    """Return which process and which thread this is."""
    return os.getpid(), threading.get_ident()


@dataclass(frozen=True)
class Slow:
    """Takes so many seconds for each symbol."""

    seconds: float

    def __call__(self, symbols: Symbols) -> int:
        time.sleep(self.seconds * len(symbols))
        return len(symbols)


@dataclass(frozen=True)
class Marking:
    """Leaves a file for each symbol it is called for, then takes so many seconds."""

    folder: str
    seconds: float

    def __call__(self, symbols: Symbols) -> int:
        for symbol in symbols:
            (pathlib.Path(self.folder) / symbol).touch()
        time.sleep(self.seconds)
        return len(symbols)


@dataclass(frozen=True)
class Dying:
    """Kills its process at one symbol, so many times; each time leaves a file."""

    folder: str
    symbol: str
    times: int

    def __call__(self, symbols: Symbols) -> list[str]:
        deaths = pathlib.Path(self.folder)
        if self.symbol in symbols and len(list(deaths.iterdir())) < self.times:
            (deaths / str(time.monotonic_ns())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return list(symbols)


@dataclass(frozen=True)
class Raising:
    """Raises at one symbol."""

    symbol: str

    def __call__(self, symbols: Symbols) -> int:
        if self.symbol in symbols:
            raise LookupError(f"nothing known of {self.symbol}")
        return len(symbols)


def made_of_two(what: str, of: str) -> TwoPartError:
    """Return an error of two parts."""
    return TwoPartError(f"{what} of {of}")


class _Part:
    """What pickle writes and cannot read back: it keeps one argument, and two are needed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return made_of_two, ("end",)


class TwoPartError(Exception):
    """An error that pickle writes and cannot read back, whatever other packages teach it of errors (as Dask does)."""

    def __init__(self, text: str) -> None:
        super().__init__(text, _Part())

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class RaisingWhatCannotCome:
    """Raises at one symbol what other processes cannot read."""

    symbol: str

    def __call__(self, symbols: Symbols) -> int:
        if self.symbol in symbols:
            raise TwoPartError(f"end of {self.symbol}")
        return len(symbols)


def newest_closes(panel: Panel) -> list[float]:
    """Return the last close of each symbol."""
    return [float(close) for close in panel.close[-1]]


def rows_of(candles: Candles) -> tuple[str, int]:
    """Return whose candles these are, and how many."""
    return candles.symbol, len(candles)


def panel_shape(panel: Panel) -> tuple[int, ...]:
    """Return bars and symbols."""
    return panel.shape


def widest_range(panel: Panel, field: str = "close", *, scale: float = 1.0) -> Any:
    """Return something of one's own: the widest range of a bar, as a share of a column."""
    return scale * np.nanmax((panel.high - panel.low) / getattr(panel, field), axis=0)


def no_panel(panel: Panel) -> None:
    """Refuse the panel of one symbol."""
    if "C/USDT" in panel.symbols:
        raise ValueError("C is not wanted")


def threads_of(panel: Panel) -> tuple[int, int]:
    """Return which process this is, and how many threads indicators would use here."""
    from tradeutils.indicators.threads import thread_count

    return os.getpid(), thread_count(None)


@dataclass(frozen=True)
class DyingAt:
    """Kills its process at one symbol, once; else returns the shape of the panel."""

    mark: str
    symbol: str

    def __call__(self, panel: Panel) -> tuple[int, ...]:
        if self.symbol in panel.symbols and not pathlib.Path(self.mark).exists():
            pathlib.Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return panel.shape
