"""Verdicts: the list, one verdict with all that it rests on, the calibration, and the API."""
