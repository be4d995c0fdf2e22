"""Benchmarks as data: cards, published tables, lm-eval tasks. No engine code."""
