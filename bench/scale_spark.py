"""The shared extractor on Spark against from_json on Spark. `python bench/scale_spark.py [--quick]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import duckdb

from figures import Part, figure, publish, ratio
from scale_servers import (
    Installation,
    batch_records,
    cpu_us,
    entries,
    running,
    send,
    spark_answer,
    steady,
    stream,
)
from spark_tables import differences
from workspace import BENCH, Sizes, sizes_from

NO_ARCHIVE = {"MC_LAKE__ARCHIVE": "false"}
BATCHES = 3
TOPIC = "lines"


def from_json(installation: Installation, batch_records: int, target: Path, how: str) -> Any:
    command = [sys.executable, str(BENCH / "scale_from_json.py"), str(installation.data)]
    return spark_answer([*command, str(batch_records), str(target), how], installation.settings)


def measure(sizes: Sizes) -> Part:
    batch, total = sizes.scale_batch, BATCHES * sizes.scale_batch
    rates: dict[str, list[float]] = {"ours": [], "often": [], "once": []}
    used: dict[str, list[float]] = {"ours": [], "often": [], "once": []}
    wrong: list[str] = []
    with running("postgres", "kafka") as servers:
        first = Installation(servers, TOPIC)
        size_bytes = send(servers, TOPIC, entries(sizes.pings, total, packed=False))
        for number in range(sizes.scale_rounds):
            ours = Installation(servers, f"ours-{number}", topic=TOPIC)
            ours.settings |= NO_ARCHIVE
            batches = stream(ours, most=batch_records(batch))
            if sum(batch[0] for batch in batches) != total:
                wrong.append(f"ours counted {batches}, of {total} pings")
            rates["ours"].append(steady(batches))
            used["ours"].append(cpu_us(batches))
            for how in ("often", "once"):
                target = servers.folder / f"{how}-{number}"
                batches = from_json(first, batch_records(batch), target, how)
                rates[how].append(steady(batches))
                used[how].append(cpu_us(batches))
                wrong += differences(ours.data / "lake" / "error_aggregates", target)
    if wrong:
        raise SystemExit("The two sides differ:\n" + "\n".join(wrong[:20]))
    return Part(
        "scale_spark",
        "Spark with the shared extractor",
        f"{total:,} pings of {size_bytes / total / 1000:.0f} kB in a topic of Kafka of two partitions, in {BATCHES} "
        "micro-batches of Structured Streaming, of which the first is not timed; Spark `local[2]`, the same settings "
        "on both sides. Ours: `missioncontrol spark stream` as it is, but without the archive: extraction in "
        "`mapInArrow`, duplicates told by PostgreSQL, partial sums of five tables staged as Parquet, a Delta commit a "
        "table. `from_json` with an explicit schema of exactly the fields that are used, `groupBy`, sums of one table "
        "written as Parquet; as it is usually written, and once more with a trick that keeps Spark's optimiser from "
        "parsing a ping several times. Bodies are not compressed here, and hold the server's `meta`, since Spark's "
        "expressions can unpack neither bodies nor our headers: that costs ours most, whose executors get four times "
        "the bytes that clients send.",
        [
            ratio("ours over from_json", rates["ours"], rates["often"], at_least=1.2),
            ratio("ours over from_json parsing once", rates["ours"], rates["once"]),
            ratio("CPU of from_json for a ping over that of ours", used["often"], used["ours"]),
            ratio("CPU of from_json parsing once over that of ours", used["once"], used["ours"]),
        ],
        [
            figure("ours", rates["ours"], "pings/s"),
            figure("from_json", rates["often"], "pings/s"),
            figure("from_json parsing once", rates["once"], "pings/s"),
            figure("CPU of ours for a ping, JVM and Python", used["ours"], "us"),
            figure("CPU of from_json for a ping", used["often"], "us"),
            figure("CPU of from_json parsing once for a ping", used["once"], "us"),
        ],
        f"In each of {2 * sizes.scale_rounds} pairs of runs every key of `error_aggregates` and all its sums were the "
        f"same on both sides (counts exactly, hours to 1e-9; DuckDB {duckdb.__version__} compared them).",
    )


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
