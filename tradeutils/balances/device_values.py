"""
What many accounts hold, resident on a device, and valued there.

The amounts lie in one matrix, a row an account and a column an asset, and stay there: of a new balance its row alone
travels, of new prices one number an asset, and back come the totals. A warp reads an account's row in lines and adds up
with what rounding loses, so a total is that of exact sums of the rounded products, however many assets there are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.balances.cells import Floats, Held, Row
from tradeutils.device import Device, DeviceArray
from tradeutils.errors import DeviceOutOfMemory, UsageError
from tradeutils.indicators.cuda.handwritten import handwritten

__all__ = ["DeviceHoldings"]

_LINE: Final = 32  # float64 in the lines that a warp reads
_BLOCK: Final = 256  # threads: eight accounts
_STAGED: Final = 1 << 22  # cells that are made on the host at once: 32 MiB
_SPARE: Final = 4  # a matrix that grows gets a quarter more than it needs
_LARGEST: Final = 1e150  # of a price: times an amount it is a float still


class DeviceHoldings:
    """
    The amounts of `Holdings` in a device's memory; ``holdings.to_device()`` makes it.

    It follows its `Holdings`: what was updated or removed there since is brought over at the next valuation, the rows
    that changed and no others. 8 bytes a cell, for accounts times assets: 0.8 GB for 100,000 accounts and 1,000 assets.

    Parameters
    ----------
    current : callable
        Returns what the accounts hold now.
    device : Device
    """

    def __init__(self, current: Callable[[], Held], device: Device) -> None:
        self._current = current
        self.device = device
        self._lock = threading.RLock()
        self.free()

    def __repr__(self) -> str:
        return f"<DeviceHoldings of {len(self)} accounts on {self.device.name}>"

    def __len__(self) -> int:
        return len(self._current().rows)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, in the order of the totals."""
        return tuple(self._current().rows)

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets, in the order of the prices."""
        return tuple(self._current().assets)

    @property
    def nbytes(self) -> int:
        """Bytes of the device's memory that are taken."""
        return sum(int(array.nbytes) for array in (self._cells, self._order) if array is not None)

    def free(self) -> None:
        """Give the device's memory back; the next valuation takes it again and uploads all rows."""
        with self._lock:
            self._cells: DeviceArray | None = None  # (at least accounts, at least assets)
            self._order: DeviceArray | None = None  # the row of each account
            self._listed = np.empty(0, np.int64)  # the same, on the host
            self._odd: list[int] = []
            self._known: dict[str, Row] = {}
            self._places: dict[str, int] = {}
            self._version: int | None = None

    def update(self) -> int:
        """
        Bring over what has changed; return how many rows were uploaded. Valuations do this by themselves.

        Raises
        ------
        DeviceOutOfMemory : the matrix does not fit; says what it needs.
        """
        with self._lock:
            now = self._current()
            if now.version == self._version:
                return 0
            self._make_room(now)
            for account in [account for account in self._places if account not in now.rows]:
                del self._places[account]
                self._known.pop(account, None)
            changed = {account: row for account, row in now.rows.items() if self._known.get(account) is not row}
            self._give_places(changed)
            uploaded = sum(self._upload(part) for part in _parts(changed, self._pitch))
            if uploaded:
                self.device.synchronize()  # another thread, on a stream of its own, may be the next to read
            order = np.fromiter(map(self._places.__getitem__, now.rows), np.int64, len(now.rows))
            if self._order is None or not np.array_equal(order, self._listed):
                self._order, self._listed = self.device.upload(order), order
            self._odd = [at for at, row in enumerate(now.rows.values()) if row.odd]
            self._version = now.version
            return uploaded

    def value(self, prices: npt.ArrayLike, *, gross: bool = False) -> Floats:
        """
        Return what each account is worth.

        Parameters
        ----------
        prices : array (N,) or (N, Q)
            Of each asset, in the order of ``assets``, 0 for one without; a column for each of Q quotes.
        gross : bool
            Whether to add up the sizes of what is held and owed.

        Returns
        -------
        float64 array, shape (A,) or (A, Q), in the order of ``accounts``
            Within 1e-15 of the gross value. NaN for an account with an amount that a float does not hold (beyond
            1e150, or no number): `value_many` values those in decimals.

        Raises
        ------
        UsageError : prices that do not fit the assets, or are not finite.
        DeviceOutOfMemory, BackendUnavailable : as for `update`, and where the device fails.
        """
        with self._lock:
            self.update()
            totals = self._product(_checked(prices, len(self._current().assets)), gross=gross)
            totals[self._odd] = np.nan
        return totals

    def product(self, prices: Floats, *, gross: bool = False, version: int) -> Floats | None:
        """Return the sums of amounts times prices at the time of this `Held`; ``None`` where the device has another."""
        with self._lock:
            return self._product(prices, gross=gross) if version == self._version else None

    def _product(self, prices: Floats, *, gross: bool) -> Floats:
        with self.device as device:
            # A quote's prices in one piece, as a warp reads them beside an account's amounts.
            columns = prices[:, None] if prices.ndim == 1 else prices
            sent = device.upload(np.ascontiguousarray(columns.T))
            accounts, quotes = len(self._listed), columns.shape[1]
            totals = device.xp.empty((accounts, quotes), dtype=np.float64)
            words = [accounts, len(prices), device.address(self._cells), self._pitch, device.address(self._order)]
            words += [device.address(sent), quotes, device.address(totals), int(gross)]
            if totals.size:
                blocks = -(-accounts // (_BLOCK // _LINE))
                table = device.upload(np.array(words, dtype=np.int64))
                device.compile(handwritten()).launch("tu_value", (blocks, 1, 1), _BLOCK, table)
            made: Floats = device.download(totals)
        return made[:, 0] if prices.ndim == 1 else made

    @property
    def _pitch(self) -> int:
        return 0 if self._cells is None else int(self._cells.shape[1])

    def _make_room(self, now: Held) -> None:
        """Make the matrix, or a larger one, to which all rows are to be uploaded."""
        accounts, width = len(now.rows), -(-max(len(now.assets), 1) // _LINE) * _LINE
        rows = 0 if self._cells is None else len(self._cells)
        if self._cells is not None and accounts <= rows and width <= self._pitch:
            return
        if self._cells is not None:
            accounts = rows if accounts <= rows else accounts + accounts // _SPARE
            width = self._pitch if width <= self._pitch else -(-(width + width // _SPARE) // _LINE) * _LINE
        self.free()
        needed = 8 * max(accounts, 1) * width
        try:
            with self.device:
                self._cells = self.device.xp.empty((max(accounts, 1), width), dtype=np.float64)
        except DeviceOutOfMemory as error:
            raise DeviceOutOfMemory(
                f"the amounts of {len(now.rows):,} accounts in {len(now.assets):,} assets take {needed:,} bytes, and "
                f"{self.device.name} has {self.device.free_bytes():,} free; "
                'value them in parts, or with backend="cpu"',
                needed=needed,
                free=self.device.free_bytes(),
            ) from error

    def _give_places(self, changed: Mapping[str, Row]) -> None:
        """Give each new account a row that no other has."""
        assert self._cells is not None  # noqa: S101  # after _make_room
        new = [account for account in changed if account not in self._places]
        if not new:
            return
        taken = set(self._places.values())
        free = (place for place in range(len(self._cells)) if place not in taken)
        self._places.update(zip(new, free, strict=False))

    def _upload(self, part: Mapping[str, Row]) -> int:
        """Bring some rows over."""
        device, places = self.device, np.array([self._places[account] for account in part], dtype=np.int64)
        staged = np.zeros((len(part), self._pitch))
        for at, row in enumerate(part.values()):
            staged[at, row.columns] = row.amounts
        cells = self._cells
        assert cells is not None  # noqa: S101  # after _make_room
        if (np.diff(places) == 1).all():
            device.upload(staged, out=cells[places[0] : places[0] + len(part)])
        else:
            with device:
                cells[device.upload(places)] = device.upload(staged)
        self._known.update(part)
        return len(part)


def _parts(changed: Mapping[str, Row], pitch: int) -> Iterator[dict[str, Row]]:
    """Yield rows in groups that are made on the host at once."""
    listed, size = list(changed.items()), max(1, _STAGED // pitch)
    for first in range(0, len(listed), size):
        yield dict(listed[first : first + size])


def _checked(prices: npt.ArrayLike, assets: int) -> Floats:
    """Return prices as float64, once they fit."""
    try:
        columns = np.asarray(prices, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"prices was {type(prices).__name__}; give an array (N,) or (N, Q) of float64") from error
    if columns.ndim not in (1, 2) or len(columns) != assets:
        raise UsageError(
            f"prices had the shape {columns.shape}; there are {assets} assets: give ({assets},) or ({assets}, Q)"
        )
    if not (np.abs(columns) <= _LARGEST).all():
        at = int(np.flatnonzero(~(np.abs(columns) <= _LARGEST).reshape(assets, -1).all(axis=1))[0])
        raise UsageError(f"the price of asset {at} was {columns[at]}; give a finite number, 0 where it has none")
    return columns
