"""A job for Spark: statements, then queries whose rows it prints as JSON, a line a query.

`query_in_spark.py REQUEST`: JSON with settings, statements and queries; times are those of the process.
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import SparkSession

if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    session = SparkSession.builder.config(map=request["settings"]).getOrCreate()
    for statement in request["statements"]:
        session.sql(statement)
    for query in request["queries"]:
        rows = [list(row) for row in session.sql(query).collect()]
        print(json.dumps(rows, default=str), flush=True)
    session.stop()
