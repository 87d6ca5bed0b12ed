"""From a rate to the crash signatures that carry it."""
