"""
The valuation of many accounts as one product of a matrix of amounts and a vector of prices, in float64.

`value` is what it is held to: the totals differ from the exact ones by less than 1e-9 of an account's gross value, the
sum of what it holds and owes by amount (debts are subtracted in decimals, asset by asset, before anything is a float;
what cancels between two assets cannot be told more exactly than their size allows).

Where the time goes, 10,000 accounts with 300 assets each: to read 3,000,000 decimals takes half a second, 0.1 µs of
each 0.16 to make it a float, which goes through its text; the product takes 1 ms. So amounts are read once, by
`Holdings`, and again only those of a balance that is another object than the last: prices change more often than
balances do.

Tried for the reading, in ns a decimal, where ``float`` row by row takes 99 to 103: ``struct.pack`` 94, ``array.array``
96, ``numpy.fromiter`` without ``float`` 104, ``numpy.array`` 157, pyarrow's ``decimal128`` 220, an integer ratio 304.
By way of texts, which take 122 to write: ``orjson`` of a row joined 136 in all, ``numpy.array`` 58 more. Floats made
of the venue's texts when a balance is parsed take 59, and would be paid for by all who never value so; and a total is
often a sum, of which the venue wrote no text. What helped, from 200 a cell to 160: an asset is looked up once, and
balances with the same assets in the same order share one array of columns.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tradeutils.balances.cells import Block, Floats, Held, Places, Resident, Row, odd_of
from tradeutils.balances.routes import EXACT, Routes
from tradeutils.balances.valuation import Locked, amounts_of, check_terms, priced, value
from tradeutils.errors import UnknownName, UsageError
from tradeutils.model import Balance
from tradeutils.model.readonly import ReadOnlyDict
from tradeutils.model.valuations import Valuation

if TYPE_CHECKING:
    from tradeutils.balances.device_values import DeviceHoldings
    from tradeutils.device import Device

__all__ = ["Holdings", "ValuationTable", "value_many"]

_LARGEST, _SMALLEST = 1e150, 1e-150  # of an amount; beyond, an account is valued in decimals


class Holdings:
    """
    What many accounts hold, as columns: read once, valued as often as prices change.

    Parameters
    ----------
    balances : mapping from account to Balance
        As for `update`.

    Examples
    --------
    >>> holdings = Holdings(balances)  # doctest: +SKIP
    >>> value_many(holdings, "USDT", prices.routes("USDT"), prices.time).totals  # doctest: +SKIP
    array([1234.56, ...])
    """

    __slots__ = ("_block", "_columns", "_layout", "_resident", "_rows", "_stale", "_then", "_there", "_version")

    def __init__(self, balances: Mapping[str, Balance] | None = None) -> None:
        self._rows: dict[str, Row] = {}
        self._columns: dict[str, int] = {}
        self._layout: tuple[tuple[str, ...], Places] = (), np.empty(0, np.int32)  # of the balance that was read last
        self._block = Block.of({}, 0)
        self._stale = False
        self._version = 0
        self._then = Held({}, (), 0)
        self._resident: DeviceHoldings | None = None
        self._there: tuple[Held, Block] | None = None  # as they are valued on a device
        if balances is not None:
            self.update(balances)

    def __repr__(self) -> str:
        return f"<Holdings of {len(self._rows)} accounts in {len(self._columns)} assets>"

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        # A copy, in this process or another, is on no device: its amounts are its own.
        return None, {name: getattr(self, name) for name in self.__slots__} | {"_resident": None, "_there": None}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, in the order in which they came."""
        return tuple(self._rows)

    @property
    def assets(self) -> tuple[str, ...]:
        """Every asset that an account holds, or has held since."""
        return tuple(self._columns)

    @property
    def balances(self) -> dict[str, Balance]:
        """The balances, by account."""
        return {account: row.balance for account, row in self._rows.items()}

    def update(self, balances: Mapping[str, Balance]) -> int:
        """
        Take balances in; return how many were read: those that are the same object as before are not.

        Costs some 0.2 µs an asset that is read, and a copy of all amounts at the next valuation. Where one of
        ``balances`` is refused, those before it have been taken in.
        """
        read = 0
        for account, balance in balances.items():
            known = self._rows.get(account)
            if known is not None and known.balance is balance:
                continue
            if not isinstance(balance, Balance):
                raise UsageError(f"balances held a {type(balance).__name__} for {account!r}; give Balance objects")
            self._rows[account] = self._read(balance)
            self._changed()
            read += 1
        return read

    def remove(self, accounts: Iterable[str]) -> None:
        """Forget accounts; those that are not there are no error."""
        for account in [accounts] if isinstance(accounts, str) else accounts:
            if self._rows.pop(account, None) is not None:
                self._changed()

    def to_device(self, device: Device | None = None) -> DeviceHoldings:
        """
        Keep the amounts on a GPU too, where they are valued from now on; later calls return the same.

        What `update` and `remove` change is brought over at the next valuation. 8 bytes for each account and asset.

        Parameters
        ----------
        device : Device, optional
            Default: the first.

        Raises
        ------
        BackendUnavailable : there is no GPU.
        DeviceOutOfMemory : the amounts do not fit.
        """
        from tradeutils.balances.device_values import DeviceHoldings
        from tradeutils.device import default_device

        chosen = default_device() if device is None else device
        if self._resident is None or self._resident.device is not chosen:
            self._resident, self._there = DeviceHoldings(self._held, chosen), None
        self._resident.update()
        return self._resident

    def _changed(self) -> None:
        self._stale = True
        self._version += 1

    def _held(self) -> Held:
        """Return all rows as they are now; made anew after a change."""
        if self._then.version != self._version:
            self._then = Held(dict(self._rows), tuple(self._columns), self._version)
        return self._then

    def _on(self, backend: str) -> Block:
        """Return all rows, where they are to be valued."""
        if backend not in ("auto", "cpu", "cuda"):
            raise UnknownName("backend", backend, ("auto", "cpu", "cuda"))
        resident = self._resident
        if backend == "cpu" or (backend == "auto" and (resident is None or not resident.nbytes)):
            return self._assembled()
        resident, held = self.to_device(None if resident is None else resident.device), self._held()
        if self._there is None or self._there[0] is not held:
            self._there = held, Block(held.rows, len(held.assets), Resident(resident, held), odd_of(held.rows))
        return self._there[1]

    def _places(self, assets: tuple[str, ...]) -> Places:
        """Return the columns of assets; many venues list all that they have, in one order, for every account."""
        if assets == self._layout[0]:
            return self._layout[1]
        columns = self._columns
        try:
            places = np.fromiter(map(columns.__getitem__, assets), np.int32, len(assets))
        except KeyError:
            for asset in assets:
                if asset not in columns:
                    columns[asset] = len(columns)
            places = np.fromiter(map(columns.__getitem__, assets), np.int32, len(assets))
        self._layout = assets, places
        return places

    def _read(self, balance: Balance) -> Row:
        places = self._places(tuple(balance.assets))
        decimals = amounts_of(balance.assets.values())
        try:
            amounts = np.fromiter(map(float, decimals), np.float64, len(decimals))
        except ValueError:  # a signalling NaN
            return Row(balance, places, np.zeros(len(decimals)), True)
        sizes = np.abs(amounts)
        inside = (sizes <= _LARGEST) & (sizes >= _SMALLEST)
        if inside.all() or not any(decimals[at] for at in np.flatnonzero(~inside)):
            return Row(balance, places, amounts, False)
        return Row(balance, places, np.zeros(len(decimals)), True)

    def _assembled(self) -> Block:
        """Return all rows in one; made anew after a change."""
        if self._stale:
            self._block = self._block.replaced(dict(self._rows), len(self._columns))
            self._stale = False
        return self._block

    def valued(self, quote: str, routes: Routes, now: int, locked: Locked, backend: str = "auto") -> ValuationTable:
        """Return what `value_many` does."""
        check_terms(routes, quote, locked)
        found = routes.of(self._columns)
        if None in found:
            how = [priced(routes, asset, locked) for asset in self._columns]
            found = [None if one is None else one.route for one in how]
        prices = np.array([0.0 if route is None else float(route.price) for route in found])
        lacking = frozenset(asset for asset, route in zip(self._columns, found, strict=True) if route is None)
        return ValuationTable(self._on(backend), prices, lacking, _Terms(quote, routes, now, locked))


class _Terms(NamedTuple):
    """In what and over which routes accounts were valued."""

    quote: str
    routes: Routes
    time: int
    locked: Locked


class ValuationTable:
    """
    What many accounts are worth.

    Attributes
    ----------
    totals : float64 array, shape (N,), read-only
        What each account is worth, within 1e-9 of its gross value. `exact` tells it to the last digit.
    """

    __slots__ = ("_block", "_gross", "_lacking", "_prices", "_terms", "_unpriced", "totals")

    def __init__(self, block: Block, prices: Floats, lacking: frozenset[str], terms: _Terms) -> None:
        self._block = block
        self._prices = prices
        self._lacking = lacking
        self._terms = terms
        self._gross: Floats | None = None
        self._unpriced: Mapping[str, Mapping[str, Decimal]] | None = None
        self.totals = block.matrix.product(prices)
        for at, account in self._block.odd:
            self.totals[at] = float(self.exact(account).total)
        self.totals.flags.writeable = False

    def __repr__(self) -> str:
        return f"<ValuationTable of {len(self)} accounts in {self.quote}>"

    def __len__(self) -> int:
        return len(self._block.rows)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, (N,)."""
        return tuple(self._block.rows)

    @property
    def quote(self) -> str:
        """The currency."""
        return self._terms.quote

    @property
    def time(self) -> int:
        """Milliseconds UTC, by the venue's clock."""
        return self._terms.time

    @property
    def gross(self) -> Floats:
        """Float64 array, shape (N,), read-only: the sum of what is held and owed by amount, without the unpriced."""
        if self._gross is None:
            gross = self._block.matrix.product(self._prices, gross=True)
            for at, account in self._block.odd:
                values = (one.value.copy_abs() for one in self.exact(account).assets.values())
                gross[at] = float(functools.reduce(EXACT.add, values, Decimal(0)))
            gross.flags.writeable = False
            self._gross = gross
        return self._gross

    @property
    def unpriced(self) -> Mapping[str, Mapping[str, Decimal]]:
        """By account the assets that are not counted and their amounts; accounts without any are absent."""
        if self._unpriced is None:
            odd = {account for _, account in self._block.odd}
            found = {
                account: self.exact(account).unpriced if account in odd else self._lacking_of(row.balance)
                for account, row in self._block.rows.items()
                if account in odd or self._lacking
            }
            self._unpriced = ReadOnlyDict({name: assets for name, assets in found.items() if assets})
        return self._unpriced

    def _lacking_of(self, balance: Balance) -> Mapping[str, Decimal]:
        held = {asset: one for asset, one in balance.assets.items() if asset in self._lacking}
        return ReadOnlyDict(zip(held, amounts_of(held.values()), strict=True))

    def exact(self, account: str) -> Valuation:
        """
        Return what one account is worth to the last digit, by asset, with routes and ages.

        Raises
        ------
        UnknownName : no account of this name.
        """
        if account not in self._block.rows:
            raise UnknownName("account", account, self._block.rows)
        terms = self._terms
        return value(self._block.rows[account].balance, terms.quote, terms.routes, terms.time, locked=terms.locked)


def value_many(
    balances: Mapping[str, Balance] | Holdings,
    quote: str,
    routes: Routes,
    now: int,
    *,
    locked: Locked = "unpriced",
    backend: str = "auto",
) -> ValuationTable:
    """
    Return what many accounts of one venue are worth.

    Parameters
    ----------
    balances : mapping from account to Balance, or Holdings
        `Holdings` where they are valued more than once: a mapping is read anew each time.
    quote, routes, now, locked
        As for `value`.
    backend : str
        ``"cpu"``, ``"cuda"``: a GPU, to which amounts are taken that are not there yet, or ``"auto"``: the GPU that
        `Holdings.to_device` took them to, else the CPU. Totals are within the same bounds on both.

    Raises
    ------
    UsageError : the routes lead to another currency, or ``locked`` is no such word.
    UnknownName : no such backend.
    BackendUnavailable, DeviceOutOfMemory : ``"cuda"`` without a GPU, or with amounts that do not fit one.
    """
    holdings = balances if isinstance(balances, Holdings) else Holdings(balances)
    return holdings.valued(quote, routes, now, locked, backend)
