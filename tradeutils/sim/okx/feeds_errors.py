"""What OKX's websockets say no with: an event, a code and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FeedError"]

_WORDS: Final[Mapping[str, str]] = {
    "60004": "Invalid timestamp",
    "60005": "Invalid apiKey",
    "60006": "Timestamp request expired",
    "60007": "Invalid sign",
    "60011": "Please log in",
    "60012": "Invalid request: {}",
    "60013": "Invalid args",
    "60014": "Requests too frequent",
    "60018": "Wrong URL or {} doesn't exist. Please use the correct URL, channel and parameters referring to API "
    "document.",
    "60019": "Invalid op: {}",
    "60024": "Wrong passphrase",
    "60029": "Only users who are {} and above in trading fee tier are allowed to subscribe to {} channel",
    "60030": "Only users who are {} and above in trading fee tier are allowed to subscribe to {} channel",
    "60031": "The WebSocket endpoint does not allow multiple or repeated logins.",
}
_MOST: Final = 256  # characters of what a client sent that are told back


class FeedError(Exception):
    """
    An answer that says no: ``{"event": "error", "code": "60012", "msg": "Invalid request: ..."}``.

    Parameters
    ----------
    code : str
        One of those that are known here.
    *parts : str
        What stands in the gaps of its words; what is long is cut.
    """

    def __init__(self, code: str, *parts: str) -> None:
        self.code = code
        self.message = _WORDS[code].format(*(part[:_MOST].encode("utf-8", "replace").decode() for part in parts))
        super().__init__(code, self.message)
