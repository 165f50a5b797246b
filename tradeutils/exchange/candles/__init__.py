"""Candles as columns, over any range and of many symbols."""
