"""
A venue that exists only here: real HTTP and websockets on loopback, spoken as ccxt's own classes expect it.

Its market is generated from a seed or replayed from candle files, its clock can be set and stepped, and its accounts
hold money that is none. What it serves at a frozen moment depends on the seed and the request alone. It refuses and
bans those who ask too much, as the venue does, and fails on demand.
"""

from tradeutils.sim.clock import VirtualClock
from tradeutils.sim.faults import Fault, Faults
from tradeutils.sim.feeds.faults import FeedFault, FeedFaults
from tradeutils.sim.feeds.log import FeedLog
from tradeutils.sim.feeds.recorded import RecordedFeeds
from tradeutils.sim.generate import DEFAULT_NOW, HISTORY_START, GeneratedMarket
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import DEFAULT_ACCOUNT, SimulatedAccount
from tradeutils.sim.limits import Limits
from tradeutils.sim.replay import ReplayMarket
from tradeutils.sim.running import run, serve
from tradeutils.sim.server import VENUES, SimulatedVenue
from tradeutils.sim.swaps import Funding, OpenInterest
from tradeutils.sim.usage import RequestLog, RequestRecord

__all__ = [
    "DEFAULT_ACCOUNT",
    "DEFAULT_NOW",
    "HISTORY_START",
    "VENUES",
    "Fault",
    "Faults",
    "FeedFault",
    "FeedFaults",
    "FeedLog",
    "Funding",
    "GeneratedMarket",
    "Instrument",
    "Limits",
    "OpenInterest",
    "RecordedFeeds",
    "ReplayMarket",
    "RequestLog",
    "RequestRecord",
    "SimulatedAccount",
    "SimulatedVenue",
    "VirtualClock",
    "run",
    "serve",
]
