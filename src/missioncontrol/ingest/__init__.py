"""The HTTP edge: takes submissions, refuses by name what it cannot take, and hands the rest to the log."""
