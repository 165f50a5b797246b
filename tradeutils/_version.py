"""The version, read by the build and by ``tradeutils --version``."""

__version__ = "0.1.0"
