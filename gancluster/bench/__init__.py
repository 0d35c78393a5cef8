"""Benchmarks: the papers' tables as cells, carried out as runs, published figures beside measured ones."""
