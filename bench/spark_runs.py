"""One job on Spark, once cold and then warm; runs in the environment that has PySpark, nothing else."""

import json
import shutil
import sys
import time

from pyspark.sql import SparkSession


def session():
    """Spark as every benchmark has it: two cores, as many partitions."""
    return (
        SparkSession.builder.master("local[2]")
        .appName("bench")
        .config("spark.driver.memory", "6g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.default.parallelism", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )


def run(jobs):
    """Do the job that the request (JSON, the first argument) names; print the seconds of each run."""
    request = json.loads(sys.argv[1])
    started = time.perf_counter()
    spark, seconds = session(), []
    for _ in range(1 + request["warm_runs"]):
        shutil.rmtree(request["target"], ignore_errors=True)
        jobs[request["job"]](spark, request["source"], request["target"])
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    spark.stop()
    print(json.dumps({"cold_s": seconds[0], "warm_s": seconds[1:]}))
