"""The 48-hour query on Spark, over the same Parquet files; runs in the environment that has PySpark."""

import json
import sys
import time

from spark_runs import session

QUERY = """
    SELECT window_start, version, sum(main_crashes) AS main_crashes, sum(usage_hours) AS usage_hours FROM aggregates
    WHERE submission_date >= '{first_day}' AND submission_date <= '{last_day}'
      AND window_start >= timestamp '{first}' AND window_start <= timestamp '{last}'
      AND channel = '{channel}' AND os_name = '{os_name}'
    GROUP BY window_start, version ORDER BY window_start, version
"""


def main():
    request = json.loads(sys.argv[1])
    spark = session()
    spark.read.parquet(request["table"]).createOrReplaceTempView("aggregates")
    seconds, sums = [], []
    for question in request["questions"]:
        started = time.perf_counter()
        rows = spark.sql(QUERY.format(**question)).collect()
        seconds.append(time.perf_counter() - started)
        crashes = sum(row["main_crashes"] or 0 for row in rows)
        sums.append([len(rows), crashes, sum(row["usage_hours"] for row in rows)])
    spark.stop()
    print(json.dumps({"seconds": seconds, "sums": sums}))


if __name__ == "__main__":
    main()
