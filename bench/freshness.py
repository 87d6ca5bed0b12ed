"""Part 4: how long from the answer to a POST until the API shows the ping. `python bench/freshness.py [--quick]`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import msgspec
import uvloop

from figures import Part, figure, publish, quantile
from missioncontrol.simulate.connection import Connection
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.submission import Submission
from missioncontrol.simulate.traffic import send
from processes import free_port, server
from workspace import SEED, BenchError, Sizes, environment, product, scratch, sizes_from

MARK_EVERY_S = 0.25
POLL_S = 0.05
GIVE_UP_S = 30
UNDER_WAY_S = 3
"""Until the fleet is made and sends."""


@dataclass
class Marks:
    """Pings that the API is asked for: each has a display version of its own."""

    answered: dict[str, float] = field(default_factory=dict)
    """When the POST's answer came, of those not seen yet."""
    seconds: list[float] = field(default_factory=list)
    done: bool = False


def traffic_child(port: int, rate_per_s: int, seconds: int, seed: int) -> None:
    """The load: a fleet of clients, open loop. Another seed has other pings."""
    fleet = Fleet(seed, 5_000, time.time_ns(), glean_share=0.0, sizes=(40_000, 45_000))
    submissions = fleet.live(time.time_ns(), rate_per_s)
    url = f"http://127.0.0.1:{port}"
    report = uvloop.run(
        send(submissions, url, rate_per_s=rate_per_s, max_count=10**9, max_seconds=seconds, gzip_level=2)
    )
    print(msgspec.json.encode([report.rate_per_s, report.count(200), report.due, report.p99_ms]).decode())


def marked(seed: int) -> Iterator[tuple[str, Submission]]:
    """Main pings whose display version nobody else has."""
    fleet = Fleet(seed, 500, time.time_ns(), glean_share=0.0, sizes=(40_000, 45_000))
    for number, ping in enumerate(p for p in fleet.live(time.time_ns(), 100) if p.document_type == "main"):
        mark = f"mark-{seed}-{number}"
        decoded = msgspec.json.decode(ping.body)
        decoded["application"]["displayVersion"] = mark
        yield mark, msgspec.structs.replace(ping, body=msgspec.json.encode(decoded))


async def post_marks(
    port: int, marks: Marks, seconds: float, seed: int, every_s: float = MARK_EVERY_S
) -> None:
    """One at least."""
    connection = Connection("127.0.0.1", port)
    pings = marked(seed)
    first = next(pings)  # makes the fleet
    end = time.perf_counter() + seconds
    for mark, ping in chain([first], pings):
        head = f"POST {ping.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(ping.body)}\r\n\r\n"
        if await connection.post(head.encode() + ping.body) != 200:
            raise BenchError("A marked ping was not accepted.")
        marks.answered[mark] = time.perf_counter()
        await asyncio.sleep(every_s)
        if time.perf_counter() >= end:
            break
    await connection.close()
    marks.done = True


async def poll(port: int, marks: Marks, give_up_s: float = GIVE_UP_S) -> None:
    """Ask for all marks that are not seen yet, again and again."""
    give_up = None
    while not marks.done or marks.answered:
        if marks.done:
            give_up = give_up or time.perf_counter() + give_up_s
            if time.perf_counter() > give_up:
                raise BenchError(f"Not visible after {give_up_s:.0f} s: {', '.join(marks.answered)}")
        if marks.answered:
            for mark in await asyncio.to_thread(visible, port, list(marks.answered)):
                marks.seconds.append(time.perf_counter() - marks.answered.pop(mark))
        await asyncio.sleep(POLL_S)


def visible(port: int, wanted: list[str]) -> set[str]:
    from urllib.parse import urlencode
    from urllib.request import urlopen

    pairs = [("measurements", "count"), ("dimensions", "display_version")]
    query = urlencode([*pairs, *(("display_version", mark) for mark in wanted)])
    with urlopen(f"http://127.0.0.1:{port}/api/aggregates/?{query}", timeout=60) as answer:
        rows = json.load(answer)["results"]
    return {row["display_version"] for row in rows}


async def watch(
    port: int, seconds: float, seed: int, every_s: float = MARK_EVERY_S, give_up_s: float = GIVE_UP_S
) -> list[float]:
    """Seconds that each marked ping took."""
    marks = Marks()
    await asyncio.gather(post_marks(port, marks, seconds, seed, every_s), poll(port, marks, give_up_s))
    return marks.seconds


@contextmanager
def traffic(port: int, rate_per_s: int, seconds: int, seed: int) -> Iterator[subprocess.Popen[str]]:
    """The load in a process of its own; `told()` waits for its end."""
    arguments = map(str, (port, rate_per_s, seconds, seed))
    command = [sys.executable, __file__, "--traffic", *arguments]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(UNDER_WAY_S)
        yield process
    finally:
        process.kill()
        process.wait()


def told(process: subprocess.Popen[str]) -> tuple[float, int, float]:
    """(POSTs/s, POSTs, their p99 in ms) of the load. Ends the benchmark when one was not accepted."""
    rate, accepted, due, post_p99_ms = json.loads(process.communicate()[0].splitlines()[-1])
    if accepted != due:
        raise SystemExit(f"{due - accepted} of {due} POSTs were not accepted.")
    return rate, due, post_p99_ms


def measure(sizes: Sizes) -> Part:
    port = free_port()
    with (
        scratch() as folder,
        server(product(folder / "data", "serve", "--port", str(port)), port),
        traffic(port, sizes.rate_per_s, sizes.freshness_s, SEED) as load,
    ):
        seconds = asyncio.run(watch(port, sizes.freshness_s - 2 * UNDER_WAY_S, SEED + 1))
        rate, due, post_p99_ms = told(load)
    return Part(
        "freshness",
        "From the POST's answer to the API",
        f"`missioncontrol serve`, everything in one command; {sizes.rate_per_s} pings/s of 40 kB for "
        f"{sizes.freshness_s} s, open loop. {len(seconds)} of the pings in it had a display version of their own; the "
        "clock ran "
        f"from the answer to their POST until `/api/aggregates/` counted them, asked every {POLL_S * 1000:.0f} ms.",
        [
            figure("p99 from POST returned to visible", [quantile(seconds, 0.99)], "s", at_most=2),
            figure("p50 from POST returned to visible", [quantile(seconds, 0.5)], "s"),
        ],
        [
            figure("slowest of all", [max(seconds)], "s"),
            figure("answered", [rate], "POSTs/s"),
            figure("p99 of the POSTs under this load", [post_p99_ms], "ms"),
        ],
        f"All {due:,} POSTs were answered with 200.",
    )


if __name__ == "__main__":
    if "--traffic" in sys.argv:
        traffic_child(*(int(a) for a in sys.argv[2:6]))
    else:
        publish(measure(sizes_from(sys.argv)))
