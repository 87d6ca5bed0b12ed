"""Crash reports: from a raw crash to a processed one with a signature."""
