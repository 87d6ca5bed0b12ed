"""Part 8: a day made again from the archive, against the daily batch on Spark. `python bench/backfill.py [--quick]`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import aggregate_lake
from figures import Part, figure, publish, ratio
from workspace import Sizes, answer_of, corpus, environment, product, scratch, sizes_from, spark

DAY = date(2025, 11, 12)
_DATE = re.compile(rb'"submissionDate":"\d{8}"')
_CLIENT = re.compile(rb'"clientId":"([^"]+)"')


def one_day(source: Path, folder: Path) -> list[Path]:
    """The corpus with one submission date: main pings, then crash pings, in a file each."""
    paths = [folder / "main.ndjson", folder / "crash.ndjson"]
    wanted = b'"submissionDate":"%s"' % DAY.strftime("%Y%m%d").encode()
    with source.open("rb") as lines, paths[0].open("wb") as main, paths[1].open("wb") as crash:
        for line in lines:
            tail = _DATE.sub(wanted, line[-2048:])
            (crash if b'"docType":"crash"' in tail else main).write(line[:-2048] + tail)
    return paths


def archived(files: list[Path], data: Path) -> None:
    """An installation that has the day's pings in its archive."""
    command = product(data, "import", "pings", *map(str, files))
    subprocess.run(command, check=True, env=environment(), capture_output=True)


def cold(data: Path, *tables: str) -> float:
    """Seconds of the whole command."""
    chosen = [part for table in tables for part in ("--table", table)]
    started = time.perf_counter()
    days = ["--min-submission-date", DAY.isoformat(), "--max-submission-date", DAY.isoformat()]
    subprocess.run(
        product(data, "backfill", *days, *chosen), check=True, env=environment(), capture_output=True
    )
    return time.perf_counter() - started


def warm(data: Path) -> list[float]:
    """Seconds of a day once the worker processes run, as for all but the first day of a range."""
    found: list[float] = answer_of([sys.executable, __file__, "--child", str(data)])
    return found


def warm_child(data: Path) -> None:
    from missioncontrol.config import load_config
    from missioncontrol.services import Services
    from missioncontrol.telemetry.backfill import Backfill
    from missioncontrol.telemetry.backfill_plan import CRASHES, Plan
    from missioncontrol.telemetry.backfill_sums import Workers
    from missioncontrol.telemetry.stream import app_name

    services = Services(load_config(data))
    plan = Plan((CRASHES,), DAY, DAY)
    with Backfill(
        services.config,
        services.registry(),
        services.writer,
        [app_name(services.log)],
        Workers(services.config, services.registry(), 2),
    ) as backfill:
        seconds = [backfill.run_day(plan, DAY).duration_s for _ in range(4)]
    services.close()
    print(json.dumps(seconds[1:]))


Rows = dict[tuple[Any, ...], dict[str, float]]


def rows(folder: Path) -> Rows:
    """Every row of crash_aggregates by its key."""
    found: Rows = {}
    for path in folder.rglob("*.parquet"):
        for row in pq.read_table(path, partitioning=None).to_pylist():
            key = (str(row["activity_date"]), tuple(sorted(row["dimensions"])))
            assert key not in found, "a key twice"
            found[key] = dict(row["stats"])
    return found


def differences(ours: Rows, theirs: Rows) -> list[str]:
    """Keys of one side only, and sums that differ: counts exactly, hours to 1e-9."""
    wrong = [f"only one side has {key}" for key in ours.keys() ^ theirs.keys()]
    for key in ours.keys() & theirs.keys():
        for stat in ours[key].keys() | theirs[key].keys():
            a, b = ours[key].get(stat), theirs[key].get(stat)
            if a is None or b is None or abs(a - b) > (1e-9 * max(1, abs(b)) if "usage" in stat else 0):
                wrong.append(f"{key} {stat}: {a} and {b}")
    return wrong


def newest(data: Path, table: str) -> Path:
    """A folder of links to the files that the table consists of now."""
    from deltalake import DeltaTable

    folder = data / f"newest-{table}"
    folder.mkdir(exist_ok=True)
    for number, uri in enumerate(DeltaTable(data / "lake" / table).file_uris()):
        link = folder / f"{number}.parquet"
        link.unlink(missing_ok=True)
        link.symlink_to(uri)
    return folder


def bytes_per_row(lake: Path, table: str) -> float:
    """Size of the files over their rows."""
    from deltalake import DeltaTable

    files = [Path(uri) for uri in DeltaTable(lake / table).file_uris()]
    return sum(f.stat().st_size for f in files) / sum(pq.read_metadata(f).num_rows for f in files)


def crash_free(data: Path, files: list[Path]) -> tuple[float, float, float, float]:
    """(low, estimate, high) of crash-free users over all of the corpus by the sketches, and the exact share."""
    query = (
        "SELECT crash_free_low(clients, main_crashes_clients) AS low, crash_free(clients, main_crashes_clients) AS"
        " estimate, crash_free_high(clients, main_crashes_clients) AS high FROM client_aggregates"
    )
    done = subprocess.run(
        product(data, "sql", "--format", "json", query), env=environment(), capture_output=True, check=True
    )
    [found] = json.loads(done.stdout)
    everyone, crashed = set(), set()
    for path in files:
        for line in path.open("rb"):
            client = _CLIENT.search(line)
            assert client
            everyone.add(client[1])
            if (
                path.name == "crash.ndjson"
                and json.loads(line)["payload"].get("processType", "main") == "main"
            ):
                crashed.add(client[1])
    return found["low"], found["estimate"], found["high"], 1 - len(crashed) / len(everyone)


def measure(sizes: Sizes) -> Part:
    runs: dict[str, list[float]] = {}
    wrong: list[str] = []
    with scratch() as folder:
        files, data = one_day(corpus(sizes.pings), folder), folder / "data"
        archived(files, data)
        for number in range(sizes.rounds):
            for job in ("native", "old"):
                target = folder / f"spark-{job}-{number}"
                request = {
                    "job": job,
                    "source": ",".join(map(str, files)),
                    "target": str(target),
                    "warm_runs": 2,
                }
                answer = spark("spark_crash_aggregates.py", request)
                runs.setdefault(f"{job} cold", []).append(answer["cold_s"])
                runs.setdefault(f"{job} warm", []).extend(answer["warm_s"])
                runs.setdefault("cold", []).append(cold(data, "crash_aggregates"))
                runs.setdefault("warm", []).extend(warm(data))
                wrong += differences(rows(newest(data, "crash_aggregates")), rows(target))
            runs.setdefault("all", []).append(cold(data, "all"))
        low, estimate, high, exact = crash_free(data, files)
        sizes_of = {t: bytes_per_row(data / "lake", t) for t in ("crash_aggregates", "error_aggregates")}
        month = bytes_per_row(aggregate_lake.make(sizes) / "lake", "error_aggregates")
    if wrong:
        raise SystemExit("The two sides differ:\n" + "\n".join(wrong[:20]))
    outside = 0.0 if low <= exact <= high else 1.0
    return Part(
        "backfill",
        "A day made again from the archive",
        f"A day of {sizes.pings:,} pings of about 40 kB to `crash_aggregates`. Ours: `missioncontrol backfill` from "
        "the archive, as a Delta commit that takes the place of the day before. Spark `local[2]`, from plain files of "
        "lines to one Parquet file: `from_json` with an explicit schema of exactly the fields that are used; the "
        "steps of the old daily job (an RDD of dicts for each document type, their union, a dict of properties a "
        "ping, sums and squares, maps). Warm: Spark's second and later runs in one session; ours each day of a range "
        "but the first. Cold: the whole process from its start. Bytes a row: a month of error aggregates, compacted.",
        [
            ratio("backfill over Spark from_json, warm", runs["native warm"], runs["warm"], at_least=6),
            ratio("backfill over Spark from_json, cold", runs["native cold"], runs["cold"]),
            ratio(
                "backfill over RDDs of dicts as in the old job, warm",
                runs["old warm"],
                runs["warm"],
                at_least=11,
            ),
            ratio("backfill over RDDs of dicts as in the old job, cold", runs["old cold"], runs["cold"]),
            ratio("all five tables over Spark from_json, cold", runs["native cold"], runs["all"]),
            figure(
                f"bytes a row of error_aggregates, {sizes.aggregate_rows:,} rows",
                [month],
                "bytes",
                at_most=10,
            ),
            figure(
                "crash-free users by sketches outside of their bounds of the exact share",
                [outside],
                "",
                at_most=0,
            ),
        ],
        [
            figure("backfill, warm", [sizes.pings / s for s in runs["warm"]], "pings/s"),
            figure("backfill, cold", [sizes.pings / s for s in runs["cold"]], "pings/s"),
            figure("backfill of all five tables, cold", [sizes.pings / s for s in runs["all"]], "pings/s"),
            figure("Spark from_json, warm", [sizes.pings / s for s in runs["native warm"]], "pings/s"),
            figure("old job's steps, warm", [sizes.pings / s for s in runs["old warm"]], "pings/s"),
            figure(
                "bytes a row of this day's error_aggregates (a ping a row)",
                [sizes_of["error_aggregates"]],
                "bytes",
            ),
            figure("bytes a row of this day's crash_aggregates", [sizes_of["crash_aggregates"]], "bytes"),
            figure("crash-free users, exact", [100 * exact], "%"),
            figure("crash-free users, by sketches", [100 * low, 100 * estimate, 100 * high], "%"),
        ],
        f"In each of {2 * sizes.rounds} pairs of runs every key of `crash_aggregates` and all its statistics with "
        "their squares were the same on both sides (counts exactly, hours to 1e-9).",
    )


if __name__ == "__main__":
    if "--child" in sys.argv:
        warm_child(Path(sys.argv[2]))
    else:
        publish(measure(sizes_from(sys.argv)))
