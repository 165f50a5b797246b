"""A venue through ccxt: its instance, its quirks, and its answers in our types."""
