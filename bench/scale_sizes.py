"""What an operator needs for sizing: bytes, identities, commits, requests. `python bench/scale_sizes.py [--quick]`."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from figures import Figure, Part, figure, publish
from processes import cpu_s
from scale_servers import Installation, batch_records, entries, running, send, stream
from workspace import Sizes, answer_of, sizes_from

BATCHES = 4
CHUNK = 5_000
COMMITS = 4
ALONE, AFTER = "partitions", "partitions after somebody else's"
PARTITIONS = (2, 100, 1_000)
FILES = 1_000
TASKS = 2
WRITES = ("Put", "Create", "Upload", "Complete", "Copy")
SUMS = ("error_aggregates", "experiment_aggregates", "client_aggregates", "usage_by_activity")


def claims_child(count: int, data: Path) -> None:
    """Claims by chunks as the stream makes them: new ids, the same ids by the same records, copies of them."""
    from missioncontrol.config import load_config
    from missioncontrol.services import Services

    services = Services(load_config(data))
    store = services.identities
    rng = random.Random(1)
    chunks = [[rng.randbytes(16) for _ in range(CHUNK)] for _ in range(count // CHUNK)]
    store.claim([b"first of all    "], [-1], [1])
    found: dict[str, list[float]] = {}
    bytes_an_id = 0.0
    for name, shift in (("new", 0), ("again", 0), ("copies", count)):
        for number, ids in enumerate(chunks):
            places = [-(2 + number * CHUNK + each + shift) for each in range(CHUNK)]
            started = time.perf_counter()
            told = store.claim(ids, places, [1_000] * CHUNK)
            found.setdefault(name, []).append(CHUNK / (time.perf_counter() - started))
            if sum(told) != (CHUNK if shift else 0):
                raise SystemExit(f"{name}: {sum(told)} of {CHUNK} were told as duplicates")
        if name == "new":
            with services.database.engine().connect() as connection:
                size = connection.exec_driver_sql("SELECT pg_total_relation_size('identities')").scalar_one()
                bytes_an_id = size / count
    print(json.dumps([found, bytes_an_id]))


def compaction_child(data: Path) -> None:
    """Merge the partial sums of a lake, table by table; rows of each, and the processor's time of all."""
    from missioncontrol.config import load_config
    from missioncontrol.lake.compaction import compact
    from missioncontrol.lake.tables import lake_tables
    from missioncontrol.services import Services

    services = Services(load_config(data))
    config, tables = services.config, lake_tables(services.registry())
    started = time.process_time()
    done = [
        each
        for name in SUMS
        for each in compact(
            config.lake_place, config.cache_path, tables[name], config.lake.target_file_bytes, full=True
        )
    ]
    seconds = time.process_time() - started
    print(
        json.dumps([seconds, sum(each.rows_before for each in done), sum(each.rows_after for each in done)])
    )


def commits_child(data: Path, lake: str) -> None:
    """Commits to a table on S3: with the places of so many partitions, then with so many files.

    A writer knows how far its applications are until somebody else commits, as compaction does; then it reads what was
    committed.

    The files are one file under many names: what a commit costs does not depend on what they hold.
    """
    import obstore

    from missioncontrol.config import load_config
    from missioncontrol.lake.writer import LakeWriter, Move
    from missioncontrol.s3 import store
    from missioncontrol.services import Services

    services = Services(load_config(data))
    writer, log = services.writer, store(lake)
    writer.ensure(services.registry())
    rows = pa.table(
        {"window_start": pa.array([0], pa.timestamp("us", "UTC")), "submission_date": [date(1970, 1, 1)]}
    )
    [file] = writer.stage("notes", rows)
    found: dict[str, list[list[float]]] = {}
    other = LakeWriter(services.config.lake_place)
    cases = [(count, what) for count in PARTITIONS for what in (ALONE, AFTER)]
    for count, what in (*cases, (FILES, "files")):
        for number in range(COMMITS):
            apps = [f"{what} {p} of {count}" for p in range(2 if what == "files" else count)]
            moves = [Move(app, number + 1) for app in apps]
            names = [f"{number}-{n}-{file.path}" for n in range(count)] if what == "files" else []
            files = [msgspec.structs.replace(file, path=name) for name in names]
            if what == AFTER:
                other.commit_moves("notes", [], [Move("other", 1 + number + COMMITS * count)])
            started = time.perf_counter()
            was_made = writer.commit_moves("notes", files, moves)
            seconds = time.perf_counter() - started
            if not number:
                continue  # it looks up each application, and finds none
            if not was_made:
                raise SystemExit("A commit was not made.")
            listed = [one for some in obstore.list(log, "notes/_delta_log") for one in some]
            newest = max(
                (one for one in listed if one["path"].endswith(".json")), key=lambda one: one["path"]
            )
            found.setdefault(f"{count:,} {what}", []).append([seconds, newest["size"]])
    print(json.dumps(found))


def table_bytes(servers: Any, lake: str) -> dict[str, tuple[int, int, int]]:
    """By table: files, their bytes and rows."""
    from deltalake import DeltaTable

    found = {}
    for table in (*SUMS, "pings"):
        options = servers.s3.client_settings()
        adds = DeltaTable(f"{lake}/{table}", storage_options=options).get_add_actions(flatten=True)
        columns = {name: adds.column(name).to_pylist() for name in ("size_bytes", "num_records")}
        found[table] = (adds.num_rows, sum(columns["size_bytes"]), sum(columns["num_records"]))
    return found


def topic_bytes(servers: Any, topic: str) -> int:
    """Bytes of the topic's segments on the broker's disk."""
    folders = (servers.folder / "kafka" / "data").glob(f"{topic}-*")
    return sum(path.stat().st_size for folder in folders for path in folder.glob("*.log"))


def requests(log: Path) -> tuple[int, int]:
    """(requests that write objects, others) that the S3 server has taken so far."""
    kinds = re.findall(r" s3_(\w+) ", log.read_text(errors="replace"))
    writes = sum(kind.startswith(WRITES) for kind in kinds)
    return writes, len(kinds) - writes


def identities(servers: Any, count: int) -> tuple[dict[str, list[float]], float, float]:
    """(ids a second of each kind by chunks, bytes of the table and its indexes for an id, s of CPU of the server)."""
    installation = Installation(servers, "identities")
    before = cpu_s(servers.postgres.pid)
    command = [sys.executable, __file__, "--claims", str(count), str(installation.data)]
    rates, bytes_an_id = answer_of(command, **installation.settings)
    used_s = cpu_s(servers.postgres.pid) - before
    return rates, bytes_an_id, used_s / (3 * count)


def measure(sizes: Sizes) -> Part:
    batch, total = sizes.scale_batch, BATCHES * sizes.scale_batch
    with running("postgres", "s3", "kafka", access_log="requests") as servers:
        installation = Installation(servers, "sizes", on_s3=True)
        body_bytes = send(servers, "sizes", entries(sizes.pings, total, packed=True))
        in_topic = topic_bytes(servers, "sizes")
        log = servers.folder / "requests"
        before = requests(log)
        made = stream(installation, most=batch_records(batch))
        after = requests(log)
        if sum(each[0] for each in made) != total:
            raise SystemExit(f"Of {total} pings these were counted: {made}")
        tables = table_bytes(servers, installation.lake)
        command = [sys.executable, __file__, "--compact", str(installation.data)]
        merging_s, rows_before, rows_after = answer_of(command, **installation.settings)
        rates, id_bytes, id_cpu_s = identities(servers, sizes.identities)
        other = Installation(servers, "commits", on_s3=True)
        command = [sys.executable, __file__, "--commits", str(other.data), other.lake]
        commits = answer_of(command, **other.settings)
    sums_rows, sums_bytes = (sum(tables[name][n] for name in SUMS) for n in (2, 1))
    files = sum(found[0] for found in tables.values())
    return Part(
        "scale_sizes",
        "Figures for sizing",
        f"{total:,} pings of {body_bytes / total / 1000:.1f} kB (gzip) through a topic of two partitions and the "
        f"stream on Spark into a lake on S3, {len(made)} micro-batches, nothing sealed. Identities: "
        f"{sizes.identities:,} random ones in chunks of {CHUNK:,} by one connection, into an empty table of "
        f"PostgreSQL on the same two cores; low and high are of chunks. Commits to one table on S3, "
        f"{COMMITS - 1} in turn, with one transaction for each partition of the topic; those with files have two. "
        "After somebody else's commit the writer first reads what that was: so beside compaction.",
        [
            figure("bytes in the topic / bodies as sent", [in_topic / body_bytes]),
            figure("bytes in the archive before sealing / bodies as sent", [tables["pings"][1] / body_bytes]),
        ],
        [
            *per_ping("topic", in_topic, total),
            *per_ping("archive before sealing", tables["pings"][1], total),
            *per_ping("tables of sums before compaction", sums_bytes, total),
            figure("identities, a million pings", [id_bytes], "MB"),
            figure("rows of the tables of sums before compaction, a ping", [sums_rows / total], ""),
            figure("the same once they are compacted, a ping", [rows_after / total], ""),
            figure("rows of sums merged a second of one core", [rows_before / merging_s], "rows/s"),
            figure("files of a task", [files / len(made) / TASKS], ""),
            figure("puts to S3 of a micro-batch", [(after[0] - before[0]) / len(made)], ""),
            figure("other requests to S3 of a micro-batch", [(after[1] - before[1]) / len(made)], ""),
            figure("identities, new", rates["new"], "ids/s"),
            figure("identities, claimed again by the same records", rates["again"], "ids/s"),
            figure("identities, copies", rates["copies"], "ids/s"),
            figure("CPU of PostgreSQL for an id", [1e6 * id_cpu_s], "us"),
            *(each for what, found in commits.items() for each in per_commit(what, found)),
        ],
        "Every ping was counted, every copy of an identity was told, and nothing else was.",
    )


def per_ping(what: str, size_bytes: int, pings: int) -> list[Figure]:
    return [figure(f"{what}, a million pings", [size_bytes / pings], "MB")]


def per_commit(what: str, found: Sequence[Sequence[float]]) -> list[Figure]:
    seconds, sizes_bytes = zip(*found, strict=True)
    return [
        figure(f"a commit, {what}", [1000 * s for s in seconds], "ms"),
        figure(f"bytes of a commit in the log, {what}", sizes_bytes, "bytes"),
    ]


if __name__ == "__main__":
    if "--claims" in sys.argv:
        claims_child(int(sys.argv[2]), Path(sys.argv[3]))
    elif "--compact" in sys.argv:
        compaction_child(Path(sys.argv[2]))
    elif "--commits" in sys.argv:
        commits_child(Path(sys.argv[2]), sys.argv[3])
    else:
        publish(measure(sizes_from(sys.argv)))
