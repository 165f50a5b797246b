"""
What candles tell beyond indicators: `quality`, `trend`, `levels` and `patterns`, over Candles and Panel.

Every function is causal: what it says of a bar never changes when later bars come. Where a finding needs bars after
the one it is about (a swing high), it is reported at the bar that confirms it, and the delay is stated.
"""
