"""
What is on an account: its orders, its trades and what it holds.

Times are int milliseconds UTC, money is `decimal.Decimal`; ``None`` says that the venue did not tell.

Each has ``info``: what the venue itself sent, read-only, where the exchange was opened with ``info=True``. It takes
no part in comparisons and is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tradeutils.errors import UsageError
from tradeutils.model.info import Raw, freeze_info
from tradeutils.model.readonly import ReadOnlyDict
from tradeutils.model.records import Side
from tradeutils.model.rounding import EXACT

__all__ = ["AssetBalance", "Balance", "Fill", "Order"]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    An order on an account.

    Attributes
    ----------
    id, client_id : str or None
        The venue's id and ours.
    type : str
        ``"limit"``, ``"market"`` or one of the venue's own.
    status : str or None
        ``"open"``, ``"closed"``, ``"canceled"``, ``"expired"``, ``"rejected"``.
    amount, filled, remaining : Decimal or None
        In base units or contracts.
    price, average, cost : Decimal or None
        Limit price, mean price paid, and quote paid so far.
    fee, fee_currency : Decimal, str or None
        Fee paid so far.
    time : int or None
        Milliseconds UTC at which the venue took it.
    """

    symbol: str
    id: str | None = None
    client_id: str | None = None
    type: str | None = None
    side: Side | None = None
    status: str | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    filled: Decimal | None = None
    remaining: Decimal | None = None
    average: Decimal | None = None
    cost: Decimal | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    time: int | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """
    A trade of an account: one order, or a part of it, met another.

    Attributes
    ----------
    id, order_id : str or None
        The venue's ids of the trade and of the account's order.
    time : int
        Milliseconds UTC.
    side : str or None
        The account's: ``"buy"`` or ``"sell"``.
    price, amount, cost : Decimal or None
        In quote, in base units or contracts, and their product in quote.
    fee, fee_currency : Decimal, str or None
        What was paid for it; negative where the venue paid.
    maker : bool or None
        Whether the order lay in the book and the other came.
    """

    symbol: str
    id: str | None
    time: int
    price: Decimal
    amount: Decimal
    order_id: str | None = None
    side: Side | None = None
    cost: Decimal | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    maker: bool | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBalance:
    """
    What an account holds of one asset.

    Attributes
    ----------
    free, used, total : Decimal
        What may be spent, what is held for orders and positions, and all of it as the venue counts it: on contracts
        gains and losses that are not realised are in it.
    debt : Decimal
        Borrowed and owed, interest with it; what was borrowed is in ``total`` as well.
    """

    free: Decimal = _ZERO
    used: Decimal = _ZERO
    total: Decimal = _ZERO
    debt: Decimal = _ZERO

    def __add__(self, other: AssetBalance) -> AssetBalance:
        """Return both together, to the last digit."""
        if not isinstance(other, AssetBalance):
            return NotImplemented
        return AssetBalance(
            free=EXACT.add(self.free, other.free),
            used=EXACT.add(self.used, other.used),
            total=EXACT.add(self.total, other.total),
            debt=EXACT.add(self.debt, other.debt),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance(Mapping[str, AssetBalance]):
    """
    What an account holds: a mapping from asset to `AssetBalance`; assets that it does not hold are absent.

    Attributes
    ----------
    time : int or None
        Milliseconds UTC at which the venue said so; of several wallets the oldest.
    wallet : str or None
        Which of the account's wallets this is; ``None``: several together, or nobody said.
    wallets : mapping from wallet to Balance
        The parts of several together; empty for a single one.
    age : float
        Seconds since the venue said so, when this was handed out: 0 for what was just asked for.
    stale : bool
        Whether it is older than it should be, as the venue could not be asked. Neither this nor ``age`` takes part in
        comparisons.

    Examples
    --------
    >>> balance = Balance(venue="binance", account="alice", time=0, assets={"BTC": AssetBalance(total=Decimal(1))})
    >>> balance["BTC"].total
    Decimal('1')
    """

    venue: str
    account: str | None
    time: int | None
    assets: Mapping[str, AssetBalance] = field(default_factory=dict)
    info: Raw | None = field(default=None, compare=False, repr=False)
    wallet: str | None = None
    wallets: Mapping[str, Balance] = field(default_factory=dict)
    age: float = field(default=0.0, compare=False)
    stale: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        freeze_info(self)
        object.__setattr__(self, "assets", ReadOnlyDict(self.assets))
        object.__setattr__(self, "wallets", ReadOnlyDict(self.wallets))

    @classmethod
    def combined(cls, wallets: Mapping[str, Balance]) -> Balance:
        """
        Return wallets of one account as one balance, which keeps them as its parts; every sum is exact.

        Raises
        ------
        UsageError : no wallet, or wallets of several accounts or venues.
        """
        parts = list(wallets.values())
        whose = {(part.venue, part.account) for part in parts}
        if len(whose) != 1:
            raise UsageError(f"wallets were those of {len(whose)} accounts; give those of one")
        assets: dict[str, AssetBalance] = {}
        for part in parts:
            for asset, held in part.assets.items():
                assets[asset] = assets[asset] + held if asset in assets else held
        times = [part.time for part in parts]
        return cls(
            venue=parts[0].venue,
            account=parts[0].account,
            time=None if None in times else min(time for time in times if time is not None),
            assets=assets,
            wallets=wallets,
            age=max(part.age for part in parts),
            stale=any(part.stale for part in parts),
        )

    def __getitem__(self, asset: str) -> AssetBalance:
        return self.assets[asset]

    def __iter__(self) -> Iterator[str]:
        return iter(self.assets)

    def __len__(self) -> int:
        return len(self.assets)

    def __hash__(self) -> int:
        parts = frozenset(self.assets.items()), self.wallet, frozenset(self.wallets.items())
        return hash((self.venue, self.account, self.time, *parts))
