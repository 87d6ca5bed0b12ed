"""The peer of the stream on Spark: from_json over the same topic, in the same kind of query, with the same settings.

    scale_from_json.py DATA BATCH_RECORDS TARGET once|often

Structured Streaming, all that the topic holds in batches, each of them summed and written as Parquet. The rules and
sums are those of `spark_pings.py`; `once` is with its trick that keeps the optimiser from parsing a ping several times.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

from missioncontrol.config import load_config
from missioncontrol.spark.session import open_session
from processes import cpu_s
from spark_pings import sums_of


def main() -> None:
    data, batch_records, target, how = sys.argv[1:]
    config = load_config(data)
    session = open_session(config.spark, "from_json")
    ended: list[tuple[float, float]] = []

    def take(frame: Any, _: int) -> None:
        lines = frame.selectExpr("CAST(value AS STRING) AS value")
        sums_of(lines, once=how == "once").write.mode("append").parquet(target)
        ended.append((time.time(), cpu_s(os.getpid())))

    source = (
        session.readStream.format("kafka")
        .option("kafka.bootstrap.servers", config.log.bootstrap_servers)
        .option("subscribe", config.log.topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", batch_records)
        .load()
    )
    with tempfile.TemporaryDirectory() as scratch:
        writing = source.writeStream.foreachBatch(take).option("checkpointLocation", scratch)
        query = writing.trigger(availableNow=True).start()
        query.awaitTermination()
        pings = [progress["numInputRows"] for progress in query.recentProgress if progress["numInputRows"]]
    session.stop()
    print(json.dumps([(count, *end) for count, end in zip(pings, ended, strict=True)]))


if __name__ == "__main__":
    main()
