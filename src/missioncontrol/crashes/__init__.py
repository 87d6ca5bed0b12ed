"""From a stored crash report to a processed, named and searchable crash."""
