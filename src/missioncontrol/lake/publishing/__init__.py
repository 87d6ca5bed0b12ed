"""Publishing: tables of the lake copied into a PostgreSQL database, so that other tools can query them there.

A day of a table is the unit: it is replaced whole or stays as it was. Never writes to the lake and never reads back
what it has published, only its own list of days. Flow: snapshot -> days that differ -> rows as CSV -> COPY.
"""
