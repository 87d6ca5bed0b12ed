"""The lake: Delta tables of Parquet files, how they are written, cared for and listed.

Never parses pings and never answers queries: rows come in as Arrow tables, file lists go out.
"""
