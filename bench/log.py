"""How fast the SQLite log appends, reads and trims: `python bench/log.py [--records N] [--folder DIR] [--follow]`.

64 concurrent appenders, bodies of 20 kB that do not compress, each with its own document id. With `--follow` a second
process reads and trims at the same time, as the stream does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.log.sqlite import SqliteLog

APPENDERS = 64
BODY_BYTES = 20_000
READ_BYTES = 64 * 1024 * 1024


def entries(count: int) -> list[Entry]:
    body = os.urandom(BODY_BYTES)
    return [
        Entry(
            Kind.PING,
            time.time_ns(),
            namespace="telemetry",
            document_type="main",
            document_id=str(uuid.uuid4()),
            application="Firefox",
            version="62.0",
            channel="release",
            build_id="20180830143136",
            country="DE",
            headers=(("user-agent", "pingsender/1.0"), ("x-pingsender-version", "1.0")),
            encoding="gzip",
            body=body,
        )
        for _ in range(count)
    ]


async def append_all(log: SqliteLog, todo: list[Entry]) -> list[float]:
    """Seconds that each append took, sorted."""
    queue, latencies_s = iter(todo), []

    async def appender() -> None:
        for entry in queue:
            started = time.perf_counter()
            await log.append(entry)
            latencies_s.append(time.perf_counter() - started)

    await asyncio.gather(*(appender() for _ in range(APPENDERS)))
    return sorted(latencies_s)


def follow(log: SqliteLog, count: int, trim: bool) -> float:
    """Read `count` records as they come, and trim; the seconds from the first record on."""
    started, after, done = 0.0, 0, 0
    while done < count:
        records = log.read(after, 5000, READ_BYTES)
        if not records:
            time.sleep(0.05)
            continue
        started = started or time.perf_counter()
        done, after = done + len(records), records[-1].offset
        if trim:
            log.trim(after)
    return time.perf_counter() - started


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--records", type=int, default=20_000)
    arguments.add_argument("--folder", type=Path, default=Path())
    arguments.add_argument("--follow", action="store_true")
    arguments.add_argument("--follower", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.follower:
        seconds = follow(SqliteLog(given.follower), given.records, trim=True)
        print(f"follow  {given.records / seconds:8.0f} records/s read and trimmed beside the appends")
        return
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        measure(SqliteLog(folder / "log.sqlite"), folder / "log.sqlite", given.records, given.follow)
    finally:
        shutil.rmtree(folder)


def measure(log: SqliteLog, path: Path, count: int, followed: bool) -> None:
    todo = entries(count)
    command = [sys.executable, __file__, "--records", str(count), "--follower", str(path)]
    follower = subprocess.Popen(command) if followed else None
    started = time.perf_counter()
    latencies_s = asyncio.run(append_all(log, todo))
    seconds = time.perf_counter() - started
    p50_ms, p99_ms = (latencies_s[int(count * share)] * 1000 for share in (0.5, 0.99))
    print(
        f"append  {count / seconds:8.0f} records/s, p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, {log.commits} commits"
    )
    if follower:
        follower.wait()
    else:
        print(f"read    {count / follow(log, count, trim=False):8.0f} records/s")
        started = time.perf_counter()
        log.trim(log.last_offset())
        print(f"trim    {count / (time.perf_counter() - started):8.0f} records/s")
    print(f"size    {log.size_bytes() / 1e6:8.0f} MB at the end")
    log.close()


if __name__ == "__main__":
    main()
