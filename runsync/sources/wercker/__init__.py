"""Wercker: the v3 runs API."""
