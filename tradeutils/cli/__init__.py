"""The ``tradeutils`` command: what the library does, from a shell."""

from tradeutils.cli.app import main

__all__ = ["main"]
