"""Queries written for the predecessors' databases, as DuckDB's SQL. What comes out still has to pass the fence."""
