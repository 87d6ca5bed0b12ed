"""Crashes: products and queue, top crashers, search, signatures, single reports, and the Crash Stats API."""
