"""
Settings from a TOML file and the environment; secrets that never print.

Sources, each overriding the one before: the defaults, the TOML file, the environment. All keys are optional::

    [cache]
    url = "redis://localhost:6379/0"   # "memory://" where not given: this process alone
    namespace = "tu"
    timeout = 0.25                     # seconds

    [history]
    path = "candles/"                  # relative paths in a file start at the file's folder

    [exchanges.binance]
    url = "http://127.0.0.1:8080"      # scheme and host that replace the venue's own
    rate_limit_ms = 500                # milliseconds between requests, instead of the venue's windows
    timeout = 10.0                     # seconds
    options = { fetchMarkets = { types = ["spot"] } }
    windows = [{ name = "weight", limit = 1200, seconds = 60, scope = "ip" }]   # instead of the venue's own
    egress = "frankfurt"               # who leaves from one address shares what the venue allows it

    [exchanges.kraken]
    tier = "pro"                       # the account's, where limits depend on it

    [accounts.alice]
    exchange = "binance"
    key = "..."                        # or key_env = "ALICE_KEY", or key_file = "/run/secrets/alice_key"
    secret = "..."                     # likewise password, uid, wallet_address, private_key, token
    sandbox = false
    options = {}

    [log]
    level = "INFO"
    json = false

In the environment the same keys are ``TRADEUTILS_CACHE__URL``, ``TRADEUTILS_EXCHANGES__BINANCE__RATE_LIMIT_MS`` or
``TRADEUTILS_ACCOUNTS__ALICE__KEY``: two underscores part the names, case does not matter, and whatever a variable
cannot spell is one underscore (``TRADEUTILS_ACCOUNTS__ALICE_2__KEY`` is the file's ``[accounts.alice-2]``; a name that
the file does not have becomes lower case). ``options`` and ``windows`` are JSON there. ``TRADEUTILS_CONFIG`` names the
file.
"""

from tradeutils.settings.accounts import Account, Credentials, Vault
from tradeutils.settings.load import Settings
from tradeutils.settings.secret import Secret, SecretUrl, redact_url
from tradeutils.settings.sections import CacheSettings, ExchangeSettings, HistorySettings, LogSettings, WindowSettings

__all__ = [
    "Account",
    "CacheSettings",
    "Credentials",
    "ExchangeSettings",
    "HistorySettings",
    "LogSettings",
    "Secret",
    "SecretUrl",
    "Settings",
    "Vault",
    "WindowSettings",
    "redact_url",
]
