"""Opening an exchange as the settings and the command line say."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradeutils.cache import Cache
    from tradeutils.exchange import Exchange
    from tradeutils.settings import Account, Settings

__all__ = ["load_settings", "open_exchange"]


def load_settings(config: pathlib.Path | None) -> Settings:
    """Read the settings and keep their secrets out of everything that is printed."""
    from tradeutils import logs
    from tradeutils.settings import Settings

    settings = Settings.load(config)
    logs.protect(*settings.secrets())
    return settings


@contextlib.asynccontextmanager
async def open_exchange(
    venue: str,
    settings: Settings,
    *,
    url: str | None = None,
    account: Account | None = None,
    cache: Cache | None = None,
) -> AsyncIterator[Exchange]:
    """
    Open an exchange with what the settings say of it, their cache and so their budget; ``url`` of the command wins.

    Sends nothing by itself.
    """
    from tradeutils.exchange import Exchanges
    from tradeutils.exchange.requests.endpoints import parse_target
    from tradeutils.settings import ExchangeSettings

    if url is not None:
        parse_target(url)  # says what is wrong with it, as no setting is
    own = settings.exchanges.get(venue, ExchangeSettings())
    chosen = dataclasses.replace(
        settings,
        exchanges={**settings.exchanges, venue: own if url is None else dataclasses.replace(own, url=url)},
        accounts={} if account is None else {account.name: account},
    )
    async with Exchanges(chosen, cache=cache) as exchanges:
        yield exchanges[venue] if account is None else exchanges.account(account.name)
