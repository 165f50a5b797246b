"""Kraken's spot REST interface, as ccxt's own class speaks to it."""

from tradeutils.sim.kraken.dialect import KrakenDialect

__all__ = ["KrakenDialect"]
