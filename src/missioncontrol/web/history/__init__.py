"""The history: days of the archive, runs, and days made again, as page and API."""
