"""Opening an exchange as the settings and the command line say."""

from __future__ import annotations

import pathlib
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


def open_exchange(
    venue: str,
    settings: Settings,
    *,
    url: str | None = None,
    account: Account | None = None,
    cache: Cache | None = None,
) -> Exchange:
    """Return an exchange with what the settings say of it; ``url`` of the command line wins. Sends nothing."""
    from tradeutils.exchange import Exchange

    return Exchange(venue, account=account, cache=cache, url=url, settings=settings.exchanges.get(venue))
