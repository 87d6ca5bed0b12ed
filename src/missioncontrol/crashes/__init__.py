"""Crash reports: from a minidump to a processed crash."""
