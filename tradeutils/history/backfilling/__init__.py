"""Filling a history from a venue: what is asked for, piece by piece, and what became of it."""
