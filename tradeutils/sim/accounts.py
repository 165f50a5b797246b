"""What an account of the venue is given, and what it holds: assets, positions, orders and fills."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Final

from tradeutils.errors import UsageError
from tradeutils.sim.instruments import KINDS, Kind
from tradeutils.sim.orders import Change, Fill, FundingPayment, PlacedOrder, money, part_of

__all__ = ["DEFAULT_ACCOUNT", "Book", "Holding", "Margin", "Position", "SimulatedAccount", "account_of"]

_ZERO: Final = Decimal(0)
_WIDE: Final = Context(prec=28)
_MAX_KEPT: Final = 100_000  # orders of an account; the oldest that are over are forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAccount:
    """
    An account as it is when the venue opens.

    Parameters
    ----------
    name : str
        For our own use; the venue knows accounts by their keys.
    key, secret : str
        What signed requests are made with.
    balances : mapping of asset to amount
        What it holds: Decimal, int, or decimal text. On bybit and okx swaps are paid from the same; on binance from
        the wallet ``"swap"``, in which is nothing unless ``wallets`` moved it there.
    wallets : mapping of wallet to mapping of asset to amount
        What of it was moved to other wallets before the venue opened: ``{"funding": {"USDT": 500}}``. Binance has
        ``"funding"``, ``"margin"`` and ``"swap"``, bybit and okx have ``"funding"``.
    borrowed : mapping of asset to amount
        What it owes in its margin wallet, and holds there beside its own.
    unified : bool
        Whether swaps are paid from what spot is on binance too. Its wallets of spot and swaps then tell of the same
        money, and whoever adds them up counts it twice.
    maker, taker : Decimal
        Fees on spot as a fraction of what is received.
    futures_maker, futures_taker : Decimal
        Fees on swaps as a fraction of what is traded.
    passphrase : str
        What venues that have one (okx) want to be sent beside the key.
    """

    name: str
    key: str
    secret: str = field(repr=False)
    balances: Mapping[str, Decimal | int | str] = field(default_factory=dict)
    wallets: Mapping[str, Mapping[str, Decimal | int | str]] = field(default_factory=dict)
    borrowed: Mapping[str, Decimal | int | str] = field(default_factory=dict)
    unified: bool = False
    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")
    futures_maker: Decimal = Decimal("0.0002")
    futures_taker: Decimal = Decimal("0.0005")
    passphrase: str = field(default="SimulatedVenueDemoPassphrase", repr=False)


DEFAULT_ACCOUNT: Final = SimulatedAccount(
    name="demo",
    key="SimulatedVenueDemoKeyNotARealKey00000000000000000000000000000000",
    secret="SimulatedVenueDemoSecretNotARealSecret00000000000000000000000000",  # noqa: S106  # opens nothing
    balances={
        "BTC": "0.5", "ETH": "4", "USDT": "10000", "BNB": "12.5",
        "LDUSDT": "250",  # as Binance names what is lent out in its flexible savings
        "XDROP": "1000",  # an asset that no market trades, as airdrops leave behind
    },
)  # fmt: skip
"""The account that a venue has unless told otherwise; its key and secret are plainly fake and open nothing."""


@dataclass(slots=True)
class Holding:
    """What an account holds of an asset: free, and locked in orders on spot; losses on swaps may make it negative."""

    free: Decimal = _ZERO
    locked: Decimal = _ZERO


@dataclass(slots=True)
class Position:
    """
    What an account holds of a swap, or held.

    Attributes
    ----------
    market : str
        The id of the instrument.
    amount : Decimal
        Base units; negative: short.
    cost : Decimal
        What was paid for it in quote, with the sign of the amount.
    realised : Decimal
        What the parts that were closed gained, before fees and funding.
    updated : int
        When it last changed, ms UTC.
    """

    market: str
    amount: Decimal = _ZERO
    cost: Decimal = _ZERO
    realised: Decimal = _ZERO
    updated: int = 0

    @property
    def entry(self) -> Decimal:
        """The mean price that was paid; 0 without a position."""
        return _WIDE.divide(self.cost, self.amount) if self.amount else _ZERO

    def reducible(self, side: str) -> Decimal:
        """Return how much an order of a side can close: base units, 0 where it would open."""
        return max(_ZERO, -self.amount if side == "buy" else self.amount)

    def trade(self, side: str, size: Decimal, cost: Decimal, time: int) -> Decimal:
        """
        Add a trade of ``size`` for ``cost``, both positive, and return what the part of it that closes gains.

        What is closed leaves with its share of what was paid, to the eighth digit; the last part leaves with the rest,
        so that from flat to flat the gains are exactly what was received less what was paid.
        """
        closing, gained = min(size, self.reducible(side)), _ZERO
        sign = Decimal(1 if side == "buy" else -1)
        if closing:
            paid = part_of(self.cost, closing, abs(self.amount))
            received = part_of(cost, closing, size)
            gained = -(paid + sign * received)
            self.amount += sign * closing
            self.cost -= paid
            size, cost = size - closing, cost - received
        self.amount += sign * size
        self.cost += sign * cost
        self.realised += gained
        self.updated = time
        return gained


@dataclass(frozen=True, slots=True)
class Margin:
    """
    How an account stands in an asset that swaps are settled in.

    Attributes
    ----------
    wallet : Decimal
        What it holds, locked or not, before gains and losses that are not realised.
    unrealised : Decimal
        Those, at the mark prices.
    positions, orders : Decimal
        Margin for its positions, and for what its open orders would open.
    maintenance : Decimal
        Below which a venue would liquidate; here nothing is liquidated.
    available : Decimal
        What is left for new orders, not negative.
    """

    wallet: Decimal
    unrealised: Decimal
    positions: Decimal
    orders: Decimal
    maintenance: Decimal
    available: Decimal


class Book:
    """
    The holdings, positions and orders of one account; of orders, fills and funding, the newest `_MAX_KEPT`.

    Attributes
    ----------
    wallets : dict of str to dict of str to Holding
        What lies elsewhere; ``holdings`` is the wallet that spot is traded from.
    swap_holdings : dict of str to Holding
        What swaps are paid from: a wallet of their own, or the same as spot.
    debts : dict of str to Decimal
        What is owed in the margin wallet.
    journal : deque of Change or None
        What happened to its orders since it was last read, while anyone reads it.
    """

    def __init__(self, account: SimulatedAccount, *, own_swap: bool = False) -> None:
        self.account = account
        self.holdings = {asset: Holding(_amount(account.name, asset, held)) for asset, held in account.balances.items()}
        self.wallets: dict[str, dict[str, Holding]] = {name: {} for name in account.wallets}
        if own_swap and not account.unified:
            self.wallets.setdefault("swap", {})
        self.swap_holdings = self.wallets.get("swap", self.holdings)
        for name, moved in account.wallets.items():
            for asset, amount in moved.items():
                self.transfer(asset, _amount(account.name, asset, amount), "spot", name)
        self.debts = {asset: _amount(account.name, asset, owed) for asset, owed in account.borrowed.items()}
        if any(self.debts.values()):
            margin = self.wallets.setdefault("margin", {})
            for asset, owed in self.debts.items():
                margin.setdefault(asset, Holding()).free += owed
        self.positions: dict[str, Position] = {}
        self.leverage: dict[str, int] = {}
        self.orders: dict[int, PlacedOrder] = {}
        self.lying: dict[int, PlacedOrder] = {}
        self.by_client_id: dict[tuple[Kind, str], PlacedOrder] = {}
        self.fills: collections.deque[Fill] = collections.deque(maxlen=_MAX_KEPT)
        self.payments: collections.deque[FundingPayment] = collections.deque(maxlen=_MAX_KEPT)
        self.journal: collections.deque[Change] | None = None
        self.funded: int | None = None
        self.updated = 0

    def holding(self, asset: str) -> Holding:
        """Return what is held of an asset, to be changed."""
        return self.holdings.setdefault(asset, Holding())

    def swap_holding(self, asset: str) -> Holding:
        """Return what is held of an asset that swaps are settled in, to be changed."""
        return self.swap_holdings.setdefault(asset, Holding())

    def transfer(self, asset: str, amount: Decimal, source: str, target: str) -> None:
        """
        Move an amount between wallets; that of spot is ``"spot"``.

        Raises
        ------
        UsageError : the account has no such wallet, or not so much in it.
        """
        places = {"spot": self.holdings, **self.wallets}
        for place in (source, target):
            if place not in places:
                raise UsageError(f"wallet was {place!r}; account {self.account.name!r} has {', '.join(places)}")
        held = places[source].setdefault(asset, Holding())
        if not 0 <= amount <= held.free:
            raise UsageError(
                f"account {self.account.name!r} was to move {amount} {asset} to {target!r} and has {held.free} free in "
                f"{source!r}; a part of what it holds may lie in another wallet"
            )
        held.free -= amount
        places[target].setdefault(asset, Holding()).free += amount

    def position(self, market: str) -> Position:
        """Return the position in a swap, to be changed."""
        return self.positions.setdefault(market, Position(market))

    def add(self, order: PlacedOrder, kind: Kind) -> None:
        """Enter an order; a client id may be used once on spot and once among swaps, as those are APIs of their own."""
        self.orders[order.id] = self.lying[order.id] = self.by_client_id[kind, order.client_id] = order
        if len(self.orders) > _MAX_KEPT:
            oldest = next((known for known in self.orders.values() if not known.open), order)
            del self.orders[oldest.id]
            for each in KINDS:
                if self.by_client_id.get((each, oldest.client_id)) is oldest:
                    del self.by_client_id[each, oldest.client_id]


def account_of(given: SimulatedAccount) -> SimulatedAccount:
    """Return an account, made of anything with its attributes; raise `UsageError` without a key or secret."""
    for name in ("key", "secret"):
        value = getattr(given, name, None)
        if not isinstance(value, str) or not value:
            raise UsageError(f"account {getattr(given, 'name', given)!r} has no {name}; give it as text")
    if isinstance(given, SimulatedAccount):
        return given
    optional = {name: getattr(given, name) for name in ("wallets", "borrowed", "unified") if hasattr(given, name)}
    return SimulatedAccount(
        name=str(given.name), key=given.key, secret=given.secret, balances=given.balances, **optional
    )


def _amount(account: str, asset: str, held: Decimal | int | str) -> Decimal:
    try:
        amount = Decimal(held) if not isinstance(held, float) else Decimal(str(held))
    except (ArithmeticError, TypeError, ValueError):
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0 or amount > Decimal(10) ** 18:
        raise UsageError(f"account {account!r} held {held!r} {asset}; give an amount such as Decimal('0.5')")
    return money(amount)
