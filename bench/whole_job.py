"""Part 1: files of pings to tables, against Spark. `python bench/whole_job.py [--quick]`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import duckdb

from figures import Part, figure, publish, ratio
from spark_tables import differences
from workspace import (
    Sizes,
    answer_of,
    by_type,
    corpus,
    corpus_copies,
    environment,
    product,
    scratch,
    sizes_from,
    spark,
)

NO_ARCHIVE = {"MC_LAKE__ARCHIVE": "false"}


def cold(source: Path, data: Path, **settings: str) -> float:
    """Seconds of the whole command, from nothing."""
    started = time.perf_counter()
    command = product(data, "import", "pings", str(source))
    subprocess.run(command, check=True, env=environment(**settings), capture_output=True)
    return time.perf_counter() - started


def warm(first: Path, second: Path, data: Path) -> float:
    """Seconds that a second file adds to an import: all but the start of processes."""
    command = [sys.executable, __file__, "--child", str(data), str(first), str(second)]
    return float(answer_of(command, **NO_ARCHIVE))


def warm_child(data: Path, files: list[Path]) -> None:
    from missioncontrol.config import load_config
    from missioncontrol.services import Services

    seconds = []
    for number in (1, 2):
        services = Services(load_config(data / str(number)))
        job = services.ping_import()
        started = time.perf_counter()
        job.run(files[:number])
        seconds.append(time.perf_counter() - started)
        services.close()
    print(seconds[1] - seconds[0])


def measure(sizes: Sizes) -> Part:
    source = corpus(sizes.pings)
    runs: dict[str, list[float]] = {}
    wrong: list[str] = []
    with scratch() as folder:
        copies, typed = corpus_copies(sizes.pings, 2, folder), by_type(source, folder)
        for number in range(sizes.rounds):
            target = folder / f"spark-{number}"
            for job in ("native", "native_once", "rdd", "old"):
                answer = spark(
                    "spark_pings.py",
                    {
                        "job": job,
                        "source": ",".join(map(str, typed)) if job == "old" else str(source),
                        "target": str(target),
                        "warm_runs": 1 if job in ("rdd", "old") else sizes.spark_warm_runs,
                    },
                )
                runs.setdefault(f"{job} cold", []).append(answer["cold_s"])
                runs.setdefault(f"{job} warm", []).extend(answer["warm_s"])
                data = folder / f"ours-{job}-{number}"
                runs.setdefault("cold", []).append(cold(source, data, **NO_ARCHIVE))
                runs.setdefault("warm", []).append(warm(*copies, folder / f"warm-{job}-{number}"))
                wrong += differences(data / "lake" / "error_aggregates", target)
            runs.setdefault("archive", []).append(cold(source, folder / f"archive-{number}"))
    if wrong:
        raise SystemExit("The two sides differ:\n" + "\n".join(wrong[:20]))
    return Part(
        "whole_job",
        "The whole job: a file of pings to tables",
        f"{sizes.pings:,} pings of about 40 kB in one plain file to sums in Parquet. Ours: `missioncontrol import "
        "pings` without the archive of bodies, which Spark's jobs do not write either. Spark `local[2]`: `from_json` "
        "with an explicit schema of exactly the fields that are used, as it is usually written and once more with a "
        "trick that keeps its optimiser from parsing a ping several times; the steps of the old daily job (an RDD of "
        "dicts for each document type, their union, a dict of properties a ping, sums and squares, maps); an RDD of "
        "dicts as lean as it can be written (`json.loads`, a list of sums). Ours does more in the same time: it looks "
        "for duplicates and writes experiments, usage by activity and discards, each with a transaction. Warm: Spark's "
        "second and later runs in one session; ours what a second file adds to an import. Cold: the whole process from "
        "its start.",
        [
            ratio("embedded over Spark from_json, warm", runs["native warm"], runs["warm"], at_least=6),
            ratio("embedded over Spark from_json, cold", runs["native cold"], runs["cold"]),
            ratio("embedded over Spark parsing once, warm", runs["native_once warm"], runs["warm"]),
            ratio("embedded over Spark parsing once, cold", runs["native_once cold"], runs["cold"]),
            ratio(
                "embedded over RDDs of dicts as in the old job, warm",
                runs["old warm"],
                runs["warm"],
                at_least=11,
            ),
            ratio("embedded over RDDs of dicts as in the old job, cold", runs["old cold"], runs["cold"]),
            ratio("embedded over a lean RDD of dicts, warm", runs["rdd warm"], runs["warm"]),
            ratio("embedded over a lean RDD of dicts, cold", runs["rdd cold"], runs["cold"]),
            ratio(
                "with the archive of all bodies over Spark from_json, cold",
                runs["native cold"],
                runs["archive"],
            ),
        ],
        [
            figure("embedded, warm", [sizes.pings / s for s in runs["warm"]], "pings/s"),
            figure("embedded, cold", [sizes.pings / s for s in runs["cold"]], "pings/s"),
            figure("embedded with archive, cold", [sizes.pings / s for s in runs["archive"]], "pings/s"),
            figure("Spark from_json, warm", [sizes.pings / s for s in runs["native warm"]], "pings/s"),
            figure("Spark from_json, cold", [sizes.pings / s for s in runs["native cold"]], "pings/s"),
            figure(
                "Spark parsing once, warm", [sizes.pings / s for s in runs["native_once warm"]], "pings/s"
            ),
            figure("old job's steps, warm", [sizes.pings / s for s in runs["old warm"]], "pings/s"),
            figure("old job's steps, cold", [sizes.pings / s for s in runs["old cold"]], "pings/s"),
            figure("lean RDD of dicts, warm", [sizes.pings / s for s in runs["rdd warm"]], "pings/s"),
            figure("lean RDD of dicts, cold", [sizes.pings / s for s in runs["rdd cold"]], "pings/s"),
        ],
        f"In each of {4 * sizes.rounds} pairs of runs every key of `error_aggregates` and all its sums were the same "
        f"on both sides (counts exactly, hours to 1e-9; DuckDB {duckdb.__version__} compared them).",
    )


if __name__ == "__main__":
    if "--child" in sys.argv:
        warm_child(Path(sys.argv[2]), [Path(sys.argv[3]), Path(sys.argv[4])])
    else:
        publish(measure(sizes_from(sys.argv)))
