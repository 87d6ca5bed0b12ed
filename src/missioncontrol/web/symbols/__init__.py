"""Symbols: uploads, downloads, and the page of what is missing."""
