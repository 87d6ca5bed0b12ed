"""Crash reports at a steady rate, from the POST to the search. `python bench/crash_line.py [--quick] [--seconds N]`."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from crash_client import Arguments
from crash_dumps import PLACES, make_dumps, put_symbols
from figures import Figure, Part, figure, publish, quantile
from missioncontrol.config import load_config
from missioncontrol.services import Services
from processes import cpu_s, free_port, highest_mb, server, tree
from workspace import BENCH, BenchError, Sizes, environment, product, scratch, sizes_from

RATE_PER_S = 38
CONNECTIONS = 64
MARK_EVERY = 10
POLL_S = 0.2
ASKED_AT_ONCE = 100
DRAIN_S = 30
"""How long after the last answer the line may take to end."""


class Crashes:
    """The accepted crashes as the client tells of them, and when one in ten of them was found by a search."""

    def __init__(self) -> None:
        self.accepted = 0
        self.by_place = [0] * PLACES
        self.waiting: dict[str, float] = {}
        """When the POST began, by crash id, of those that are looked for and not found yet."""
        self.seconds: list[float] = []
        self.answer: dict[str, Any] = {}
        """The client's last line."""

    def read(self, lines: Iterator[str]) -> None:
        """Take what the client says, until its end; in a thread of its own."""
        for line in lines:
            if line.startswith("{"):
                self.answer = json.loads(line)
                return
            started, crash_id, place = line.split()
            if self.accepted % MARK_EVERY == 0:
                self.waiting[crash_id] = float(started)
            self.accepted += 1
            self.by_place[int(place)] += 1

    def found(self, crash_ids: list[str]) -> None:
        """These are searchable now."""
        now = time.monotonic()
        self.seconds += [now - self.waiting.pop(crash_id) for crash_id in crash_ids]


class Line:
    """The server under load, as the benchmark watches it."""

    def __init__(self, data: Path, port: int, pid: int) -> None:
        self.pid, self._services = pid, Services(load_config(data))
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.backlogs: list[int] = []

    def backlog(self) -> int:
        """Crashes in the queue: waiting, held by a worker or set aside."""
        now = self._services.crash_queue.backlog(datetime.now(UTC))
        self.backlogs.append(now.waiting + now.held + now.set_aside)
        return self.backlogs[-1]

    def search(self, *pairs: tuple[str, str]) -> dict[str, Any]:
        """What SuperSearch answers."""
        self._connection.request("GET", "/api/SuperSearch/?" + urlencode(pairs))
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise BenchError(f"The search answered {response.status}: {body[:300]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def look_for(self, crashes: Crashes) -> None:
        """Search once for all that is looked for."""
        wanted = list(crashes.waiting)[:ASKED_AT_ONCE]
        if wanted:
            pairs = [("uuid", crash_id) for crash_id in wanted]
            hits = self.search(*pairs, ("_columns", "uuid"), ("_facets_size", "0"))["hits"]
            crashes.found([hit["uuid"] for hit in hits])

    def memory_mb(self) -> dict[str, float]:
        """The most memory that each process ever had, by what it does."""
        return {role(pid): highest_mb(pid) for pid in tree(self.pid)}

    def close(self) -> None:
        """Done with it."""
        self._connection.close()
        self._services.close()


def role(pid: int) -> str:
    """What a process of the server does, by its command line."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    if command[0].endswith("missioncontrol-stackwalk"):
        return "stackwalker"
    if "crash" in command:
        return "crash worker"
    return "stream, jobs and the pool of workers" if "--only" in command else "server"


def measure(sizes: Sizes, seconds: int) -> Part:
    symbols_mb = 20 if sizes.name == "quick" else 130
    crashes = Crashes()
    port = free_port()
    with scratch() as folder:
        data = folder / "data"
        binary, _ = make_dumps(folder)
        put_symbols(binary, load_config(data).symbols_path, folder, symbols_mb)
        with server(product(data, "serve", "--port", str(port)), port) as pid:
            line = Line(data, port, pid)
            wanted = Arguments(
                port, str(folder / "dumps"), RATE_PER_S * seconds, CONNECTIONS, RATE_PER_S, told=True
            )
            try:
                before_s = cpu_s(pid)
                ran_s = post(wanted, crashes, line)
                behind = line.backlog()
                drained_s = drain(crashes, line)
                used_s = cpu_s(pid) - before_s
                lost, left = check(crashes, line), line.backlog()
                memory_mb = line.memory_mb()
            finally:
                line.close()
    return Part(
        "crash_line",
        "Crashes from the POST to the search",
        f"`missioncontrol serve`, everything in one command, settings as they come; {RATE_PER_S} reports/s of "
        f"{crashes.answer['bytes'] / 1000:.0f} kB for {seconds} s, open loop, each on a connection of its own. The "
        f"dumps are real, of 25 threads and {PLACES} places; symbols of {symbols_mb} MB. One in {MARK_EVERY} crashes "
        f"({len(crashes.seconds):,}) was looked for by SuperSearch over HTTP, every {POLL_S * 1000:.0f} ms; the clock "
        "ran from the begin of its POST until it was found: stored, walked, named and indexed. The first crash finds "
        "no worker and no symbols in memory.",
        [
            figure(
                "p95 from POST begun to found by a search", [quantile(crashes.seconds, 0.95)], "s", at_most=5
            ),
            figure("crashes accepted and not found at the end", [lost], "", at_most=0),
            figure(f"crashes in the queue {DRAIN_S} s after the last answer", [left], "", at_most=0),
        ],
        [
            figure("p50 from POST begun to found by a search", [quantile(crashes.seconds, 0.5)], "s"),
            figure("p99 from POST begun to found by a search", [quantile(crashes.seconds, 0.99)], "s"),
            figure("slowest of all", [max(crashes.seconds)], "s"),
            figure("accepted", [crashes.accepted / crashes.answer["seconds"]], "reports/s"),
            figure("p50 of the POSTs", [crashes.answer["p50_ms"]], "ms"),
            figure("p99 of the POSTs", [crashes.answer["p99_ms"]], "ms"),
            figure("crashes in the queue", line.backlogs, ""),
            figure("crashes in the queue at the last answer", [behind], ""),
            figure("from the last answer until the queue was empty", [drained_s], "s"),
            figure("CPU for a crash, all processes of the server", [used_s / crashes.accepted * 1000], "ms"),
            figure("CPUs busy for the server", [used_s / (ran_s + drained_s)], ""),
            *memory(memory_mb),
        ],
        f"All {crashes.accepted:,} POSTs were answered with 200, and each of the {PLACES} signatures was counted as "
        "often as its crash had been sent.",
    )


def post(wanted: Arguments, crashes: Crashes, line: Line) -> float:
    """Send it all and look meanwhile; seconds that it took."""
    begun = time.monotonic()
    command = [sys.executable, str(BENCH / "crash_client.py"), msgspec.json.encode(wanted).decode()]
    client = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    reader = threading.Thread(target=crashes.read, args=(client.stdout,))
    reader.start()
    try:
        while reader.is_alive():
            line.look_for(crashes)
            line.backlog()
            time.sleep(POLL_S)
    finally:
        if client.poll() is None and sys.exc_info()[0] is not None:
            client.kill()
        client.wait()
        reader.join()
    if client.returncode or crashes.accepted != wanted.count:
        raise BenchError(f"{crashes.accepted} of {wanted.count} reports were accepted.")
    return time.monotonic() - begun


def drain(crashes: Crashes, line: Line) -> float:
    """Seconds until nothing is left to do."""
    begun = time.monotonic()
    while (line.backlog() or crashes.waiting) and time.monotonic() < begun + DRAIN_S:
        line.look_for(crashes)
        time.sleep(POLL_S)
    return time.monotonic() - begun


def check(crashes: Crashes, line: Line) -> int:
    """How many of all crashes no search finds; raises `BenchError` when signatures are not those that were sent."""
    answer = line.search(("product", "Firefox"), ("_results_number", "0"), ("_facets", "signature"))
    terms = {term["term"]: term["count"] for term in answer["facets"]["signature"]}
    lost = crashes.accepted - int(answer["total"])
    if not lost and sorted(terms.values()) != sorted(crashes.by_place):
        raise BenchError(f"{crashes.by_place} crashes of each place were sent, and found were {terms}.")
    return lost


def memory(by_role: dict[str, float]) -> list[Figure]:
    return [figure(f"most memory: {name}", [mb], "MB") for name, mb in sorted(by_role.items())]


def seconds_of(sizes: Sizes, arguments: list[str]) -> int:
    if "--seconds" in arguments:
        return int(arguments[arguments.index("--seconds") + 1])
    return sizes.line_s


if __name__ == "__main__":
    chosen = sizes_from(sys.argv)
    publish(measure(chosen, seconds_of(chosen, sys.argv)))
