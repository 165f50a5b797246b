"""Streams that are never silently dead: lines to the venue, what is assembled of them, and what users read."""
