"""Bybit's v5 REST interface of spot markets and linear swaps, as ccxt's own class speaks to it."""

from tradeutils.sim.bybit.dialect import BybitDialect

__all__ = ["BybitDialect"]
