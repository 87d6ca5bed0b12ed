"""The product's stream on Spark until the topic is in the lake: `scale_stream.py DATA MASTER BATCH_RECORDS`.

It is `missioncontrol spark stream --until-idle`, which tells when each batch was visible, and the CPU so far.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from missioncontrol.config import load_config
from missioncontrol.services import Services
from missioncontrol.telemetry.batch import BatchReport
from processes import cpu_s


def main() -> None:
    data, master, batch_records = sys.argv[1:]
    spark = {"master": master, "batch_records": int(batch_records) or None}
    services = Services(load_config(data, overrides={"spark": spark}))
    batches: list[tuple[int, float, float]] = []

    def told(batch: BatchReport) -> None:
        batches.append((batch.counted, batch.visible_ns / 1e9, cpu_s(os.getpid())))

    running = services.spark_stream(told)
    running.run(threading.Event(), until_idle=True)
    services.close()
    print(json.dumps(batches))


if __name__ == "__main__":
    main()
