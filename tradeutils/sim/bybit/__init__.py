"""Bybit's v5 REST and websocket interfaces of spot markets and linear swaps, as ccxt's own class speaks to them."""

from tradeutils.sim.bybit.dialect import BybitDialect

__all__ = ["BybitDialect"]
