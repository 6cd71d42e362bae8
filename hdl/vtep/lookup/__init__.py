"""Lookups: the Toeplitz flow hash and exact-match tables."""
