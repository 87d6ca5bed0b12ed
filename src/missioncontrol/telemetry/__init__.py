"""From submissions to partial sums: inflate, extract, aggregate, commit; as a stream of the log or from files."""
