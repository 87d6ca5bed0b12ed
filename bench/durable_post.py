"""Part 3: what durability costs a POST. `python bench/durable_post.py [--quick]`."""

from __future__ import annotations

import sys
from typing import Any

from figures import Part, figure, publish, ratio
from processes import free_port, server
from workspace import BENCH, Sizes, answer_of, scratch, sizes_from

CONNECTIONS = 64


def posts(log: str, count: int, pings: int, rate_per_s: int = 0) -> dict[str, Any]:
    """One run of a fresh server. Its data is deleted: the next finds the disk as a log that is trimmed leaves it."""
    port = free_port()
    with (
        scratch() as data,
        server([sys.executable, str(BENCH / "edge_server.py"), str(data), str(port), log], port),
    ):
        arguments = map(str, (port, count, CONNECTIONS, rate_per_s, pings))
        answer: dict[str, Any] = answer_of([sys.executable, str(BENCH / "post_client.py"), *arguments])
        return answer


def measure(sizes: Sizes) -> Part:
    rates: dict[str, list[float]] = {"sqlite": [], "none": []}
    p99_ms: dict[str, list[float]] = {"sqlite": [], "none": []}
    steady_ms: dict[str, list[float]] = {"sqlite": [], "none": []}
    mean_bytes = 0.0
    posts("sqlite", sizes.posts, sizes.pings)  # a disk that has never held the data is slower the first time
    for _ in range(3 * sizes.rounds):  # short, and at the mercy of the disk: more of them
        for log in ("sqlite", "none"):
            answer = posts(log, sizes.posts, sizes.pings)
            rates[log].append(sizes.posts / answer["seconds"])
            p99_ms[log].append(answer["p99_ms"])
            mean_bytes = answer["mean_bytes"]
    even = int(min(rates["sqlite"]) / 2)
    for _ in range(sizes.rounds):
        for log in ("sqlite", "none"):
            answer = posts(log, sizes.posts // 4, sizes.pings, even)
            steady_ms[log].append(answer["p99_ms"])
    return Part(
        "durable_post",
        "A durable POST",
        f"{sizes.posts:,} POSTs of {mean_bytes / 1000:.1f} kB (gzip) over {CONNECTIONS} keep-alive connections from a "
        "process of its own, as fast as they are answered. The edge with its log (answered after the group's sync to "
        "the disk) against the same server and the same edge with a log that forgets. A fresh server each run, in "
        "turns, its data deleted afterwards.",
        [
            ratio("throughput with the log over without", rates["sqlite"], rates["none"], at_least=0.45),
            ratio(
                "p99 with the log over without, both at full speed",
                p99_ms["sqlite"],
                p99_ms["none"],
                at_most=2,
            ),
        ],
        [
            figure("with the log", rates["sqlite"], "POSTs/s"),
            figure("without a log", rates["none"], "POSTs/s"),
            figure("p99 with the log, full speed", p99_ms["sqlite"], "ms"),
            figure("p99 without a log, full speed", p99_ms["none"], "ms"),
            figure(f"p99 with the log at {even:,} POSTs/s", steady_ms["sqlite"], "ms"),
            figure(f"p99 without a log at {even:,} POSTs/s", steady_ms["none"], "ms"),
        ],
        "Every answer was 200.",
    )


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
