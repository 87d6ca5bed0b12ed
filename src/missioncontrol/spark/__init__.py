"""The stream and the backfill on Spark: the same extraction, sums and files as on one machine.

Executors stage Parquet files by the shared code; only the driver commits, by the lake's own writer. Spark never writes
a table itself.
"""
