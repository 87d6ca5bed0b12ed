"""Crash reports accepted per second, beside Antenna. `python bench/crash_collector.py [--quick]`.

The peer is run out of the folder that ANTENNA_SOURCE names (see antenna.py); without it ours is measured alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import antenna
from crash_client import Arguments
from crash_dumps import PLACES, make_dumps
from figures import Part, Unmeasured, figure, publish, ratio
from missioncontrol.blobs.crash_keys import MINIDUMP, dump_key
from missioncontrol.config import load_config
from missioncontrol.services import Services
from processes import cpu_s, free_port, server
from workspace import BENCH, BenchError, Sizes, answer_of, product, scratch, sizes_from

CONNECTIONS = 16
ROUNDS = 5
WARM = 32
BAR = 1.0
_RATIO = "reports/s, ours over Antenna"

Running = Callable[[Path], AbstractContextManager[tuple[int, int]]]
"""Starts a collector that keeps its reports in a folder: (port, process id)."""


class Run(NamedTuple):
    """What one run of a fresh server was like."""

    rate_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """Of the server, for each report."""
    client_share: float
    """The client's part of the CPU time of both."""
    mean_bytes: int


def measure(sizes: Sizes) -> Part:
    peer = antenna.source()
    ours: list[Run] = []
    theirs: list[Run] = []
    with scratch() as folder:
        make_dumps(folder)
        post(own_collector, own_stored, folder, sizes.reports)  # a disk that never held the data is slower
        for _ in range(ROUNDS if sizes.name == "full" else 1):
            ours.append(post(own_collector, own_stored, folder, sizes.reports))
            if peer is not None:
                theirs.append(
                    post(lambda files: antenna.running(peer, files), antenna.stored, folder, sizes.reports)
                )
    ratios = [ratio(_RATIO, rates(ours), rates(theirs), at_least=BAR)] if theirs else []
    lack = Unmeasured(
        _RATIO, f"at least {BAR:g}", f"It needs a checkout of Antenna, named by {antenna.SOURCE}."
    )
    return Part(
        "crash_collector",
        "Crash reports accepted",
        f"{sizes.reports:,} reports of {ours[0].mean_bytes / 1000:.0f} kB (annotations as JSON and a real minidump, "
        f"not compressed), {CONNECTIONS} at once, each on a connection of its own, as fast as they are answered, from "
        "a process of its own. Ours (`serve --only edge`, settings as they come) answers when minidump, annotations "
        "and place in the queue are synced to the disk, and knows resends. "
        f"{promised(peer)} A fresh server each run, after {WARM} reports that do not count; in turns, the disk "
        "synced between them.",
        ratios,
        [*told("ours", ours), *(told("Antenna", theirs) if theirs else [])],
        f"Every answer had a crash id; each run stored all of its reports, of {PLACES} minidumps.",
        [] if theirs else [lack],
    )


def promised(peer: Path | None) -> str:
    """What the peer was, and what its answer says."""
    if peer is None:
        return "The peer, Antenna, was not there."
    return (
        f"Antenna ({antenna.version(peer)}, {antenna.WORKERS} gunicorn workers, file storage, every report taken) "
        "answers when it has written its files; it syncs none of them and has no queue here."
    )


def post(running: Running, stored: Callable[[Path], int], folder: Path, count: int) -> Run:
    """One run. What it stored is counted, and stays: to make files where many were deleted just now is slow."""
    files = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    os.sync()  # nobody shall write for the run before
    with running(files) as (port, pid):
        # What a server makes at its first report is made now. One at a time: Antenna's workers make folders unguarded.
        send(port, folder, WARM, connections=1)
        before = cpu_s(pid)
        answer = send(port, folder, count)
        used = cpu_s(pid) - before
        found = stored(files)
    if found != WARM + count:
        raise BenchError(f"{WARM + count} reports were accepted, and {found} are stored.")
    return Run(
        count / answer["seconds"],
        answer["p50_ms"],
        answer["p99_ms"],
        used / count * 1000,
        answer["cpu_s"] / (answer["cpu_s"] + used),
        answer["bytes"],
    )


def send(port: int, folder: Path, count: int, connections: int = CONNECTIONS) -> dict[str, Any]:
    """What the client says of so many reports."""
    wanted = Arguments(port, str(folder / "dumps"), count, connections)
    answer: dict[str, Any] = answer_of(
        [sys.executable, str(BENCH / "crash_client.py"), msgspec.json.encode(wanted).decode()]
    )
    return answer


@contextmanager
def own_collector(files: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    with server(product(files, "serve", "--port", str(port), "--only", "edge"), port) as pid:
        yield port, pid


def own_stored(files: Path) -> int:
    """How many crashes are queued whose files are there."""
    services = Services(load_config(files))
    try:
        waiting = services.crash_queue.backlog(datetime.now(UTC)).waiting
        ids = [Path(key).stem for key in services.blobs.list("raw_crash/")]
        whole = sum(services.blobs.exists(dump_key(crash_id, MINIDUMP)) for crash_id in ids)
    finally:
        services.close()
    return min(waiting, whole)


def rates(runs: list[Run]) -> list[float]:
    return [run.rate_per_s for run in runs]


def told(who: str, runs: list[Run]) -> list[Any]:
    return [
        figure(who, rates(runs), "reports/s"),
        figure(f"p50, {who}", [run.p50_ms for run in runs], "ms"),
        figure(f"p99, {who}", [run.p99_ms for run in runs], "ms"),
        figure(f"CPU for a report, {who}", [run.cpu_ms for run in runs], "ms"),
        figure(f"the client's share of the CPU time, {who}", [run.client_share * 100 for run in runs], "%"),
    ]


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
