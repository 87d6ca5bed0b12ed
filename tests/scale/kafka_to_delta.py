"""A job for Spark: what a topic has, into a Delta table, from where the checkpoint stands; then it ends.

`kafka_to_delta.py REQUEST`: JSON with settings, bootstrap, topic, table and checkpoint.
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import SparkSession

if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    session = SparkSession.builder.config(map=request["settings"]).getOrCreate()
    messages = (
        session.readStream.format("kafka")
        .option("kafka.bootstrap.servers", request["bootstrap"])
        .option("subscribe", request["topic"])
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", 400)
        .load()
    )
    query = (
        messages.selectExpr("partition", "offset", "CAST(CAST(value AS STRING) AS INT) AS number")
        .writeStream.format("delta")
        .option("checkpointLocation", request["checkpoint"])
        .trigger(availableNow=True)
        .start(request["table"])
    )
    query.awaitTermination()
    session.stop()
