"""The pipeline: from edge to verdict, as page and JSON."""
