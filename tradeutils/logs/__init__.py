"""
Logging on request, and redaction of secrets from any text.

The library logs to ``tradeutils.<room>`` and is silent until :func:`setup` is called or the application attaches
handlers of its own. Loggers from :func:`get_logger` redact at the source, so handlers that this module never saw get
clean records too. What is redacted: every value given to :func:`protect`, in whatever escaping it appears, and what
looks like a secret by its name or form (signatures, API keys, passwords, Authorization headers, listen keys, logins in
URLs, private keys). The root logger is never touched. ::

    settings = tradeutils.Settings.load()
    logs.setup(settings.log.level, json=settings.log.json, secrets=settings.secrets())
"""

from tradeutils.logs.output import get_logger, reset, setup
from tradeutils.logs.redaction import Revealing, protect, redact

__all__ = ["Revealing", "get_logger", "protect", "redact", "reset", "setup"]
