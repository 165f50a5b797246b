"""OKX's v5 REST interface of spot markets and linear swaps, as ccxt's own class speaks to it."""

from tradeutils.sim.okx.dialect import OkxDialect

__all__ = ["OkxDialect"]
