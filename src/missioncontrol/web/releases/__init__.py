"""Releases: the page, its forms and the API."""
