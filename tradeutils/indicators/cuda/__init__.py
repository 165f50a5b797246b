"""Indicators on CUDA devices: kernels translated from those of the CPU, and what launches them."""
