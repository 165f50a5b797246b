"""
Levels of prices: swings, support and resistance, volume by price, pivot points; of one symbol or thousands.

Every function takes Candles or a Panel, and those that need no times also arrays by name, (T,) or (T, S). Every one is
causal: what it says of a bar never changes when later bars come. Each says how many bars pass between what it reports
and the report, in its description and as ``delay`` of its result: ``right`` for swings by the bars on both sides and
for the support and resistance made of them, as many as the turn takes for a zig-zag, none for the others.
"""

from __future__ import annotations

from tradeutils.analysis.pivot_points import PivotPoints, pivot_points
from tradeutils.analysis.support_resistance import Level, Levels, support_resistance
from tradeutils.analysis.swings import Swing, Swings, swings, zigzag
from tradeutils.analysis.volume_profile import Node, ValueAreas, VolumeProfile, value_areas, volume_profile

__all__ = [
    "Level",
    "Levels",
    "Node",
    "PivotPoints",
    "Swing",
    "Swings",
    "ValueAreas",
    "VolumeProfile",
    "pivot_points",
    "support_resistance",
    "swings",
    "value_areas",
    "volume_profile",
    "zigzag",
]
