"""The edge with its log on Kafka and with its log in a file. `python bench/scale_edge.py [--quick]`."""

from __future__ import annotations

import sys
from typing import Any

from durable_post import CONNECTIONS
from figures import Part, figure, publish, ratio
from processes import cpu_s, free_port, server
from scale_servers import Installation, messages, running
from workspace import BENCH, Sizes, answer_of, scratch, sizes_from


def posts(log: str, installation: Installation | None, broker: int, count: int, pings: int) -> dict[str, Any]:
    """One run of a fresh server: what its client says, and seconds of CPU."""
    port = free_port()
    settings = installation.settings if installation else {}
    with scratch() as data:
        command = [sys.executable, str(BENCH / "edge_server.py"), str(data), str(port), log]
        with server(command, port, **settings) as edge:
            before = cpu_s(edge), cpu_s(broker)
            arguments = map(str, (port, count, CONNECTIONS, 0, pings))
            answer: dict[str, Any] = answer_of([sys.executable, str(BENCH / "post_client.py"), *arguments])
            return {**answer, "edge_s": cpu_s(edge) - before[0], "broker_s": cpu_s(broker) - before[1]}


def measure(sizes: Sizes) -> Part:
    runs: dict[str, list[dict[str, Any]]] = {"kafka": [], "sqlite": []}
    with running("postgres", "kafka") as servers:
        for number in range(-1, 2 * sizes.scale_rounds):  # the first of each is not counted
            for log in runs:
                installation = Installation(servers, f"posts-{number + 1}") if log == "kafka" else None
                answer = posts(log, installation, servers.kafka.pid, sizes.posts, sizes.pings)
                if installation:
                    taken = messages(servers, f"posts-{number + 1}")
                    if taken != sizes.posts:
                        raise SystemExit(
                            f"{sizes.posts} POSTs were answered, {taken} messages are in the topic."
                        )
                if number >= 0:
                    runs[log].append(answer)
    rates = {log: [sizes.posts / one["seconds"] for one in found] for log, found in runs.items()}
    p99_ms = {log: [one["p99_ms"] for one in found] for log, found in runs.items()}
    mean_bytes = runs["kafka"][0]["mean_bytes"]

    def cpu_us(log: str, whose: str) -> list[float]:
        return [1e6 * one[whose] / sizes.posts for one in runs[log]]

    return Part(
        "scale_edge",
        "The edge with its log on Kafka",
        f"{sizes.posts:,} POSTs of {mean_bytes / 1000:.1f} kB (gzip) over {CONNECTIONS} keep-alive connections from a "
        "process of its own, as fast as they are answered. The same server, answering after Kafka's acknowledgement "
        "(`acks=all`, one broker on the same two cores and the same disk) against answering after its own log's sync "
        "to the disk. One broker acknowledges what it has written, without a sync: what a second and a third broker "
        "would add to an answer is not in these figures. A fresh server and a new topic each run, in turns.",
        [
            ratio("throughput to Kafka over to the log in a file", rates["kafka"], rates["sqlite"]),
            ratio("p99 to Kafka over to the log in a file, full speed", p99_ms["kafka"], p99_ms["sqlite"]),
        ],
        [
            figure("to Kafka", rates["kafka"], "POSTs/s"),
            figure("to the log in a file", rates["sqlite"], "POSTs/s"),
            figure("p99 to Kafka, full speed", p99_ms["kafka"], "ms"),
            figure("p99 to the log in a file, full speed", p99_ms["sqlite"], "ms"),
            figure("CPU of the edge for a POST to Kafka", cpu_us("kafka", "edge_s"), "us"),
            figure("CPU of the edge for a POST to the log in a file", cpu_us("sqlite", "edge_s"), "us"),
            figure("CPU of the broker for a POST", cpu_us("kafka", "broker_s"), "us"),
        ],
        "Every answer was 200, and the topic had each POST as one message.",
    )


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
