"""Symbols: names, files, the store, what is taken in, what is missing, and other servers that have some."""
