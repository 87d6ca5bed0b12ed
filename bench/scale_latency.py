"""From the POST's answer to the API by way of Kafka, Spark and S3. `python bench/scale_latency.py [--quick]`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from figures import Figure, Part, figure, publish, quantile
from freshness import MARK_EVERY_S, UNDER_WAY_S, told, traffic, watch
from processes import free_port, server
from scale_servers import Installation, running
from workspace import SEED, WORK, BenchError, Sizes, environment, product, sizes_from

START_S = 600
"""What a stream may take until its first ping is visible, beside its trigger."""


@contextmanager
def streaming(installation: Installation, trigger_s: int) -> Iterator[None]:
    """`missioncontrol spark stream` in the background."""
    command = product(installation.data, "spark", "stream", "--trigger-s", str(trigger_s))
    with (WORK / "stream.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(**installation.settings), stdout=log, stderr=log)
    try:
        yield
        if process.poll() is not None:
            raise BenchError("The stream ended; see bench/.work/stream.log")
    finally:
        process.terminate()
        try:
            process.wait(240)
        finally:
            process.kill()
            process.wait()


def watched(installation: Installation, port: int, trigger_s: int, sizes: Sizes) -> list[float]:
    """Seconds that each marked ping took under a stream with this trigger, once it is under way."""
    every_s, give_up_s = max(MARK_EVERY_S, trigger_s / 60), trigger_s + START_S
    seconds, seed = sizes.triggers[trigger_s], SEED + 10 * trigger_s
    with streaming(installation, trigger_s):
        asyncio.run(watch(port, every_s, seed, every_s, give_up_s))
        with traffic(port, sizes.scale_rate_per_s, seconds, seed + 1) as load:
            found = asyncio.run(watch(port, seconds - 2 * UNDER_WAY_S, seed + 2, every_s, give_up_s))
            told(load)
    return found


def measure(sizes: Sizes) -> Part:
    ratios: list[Figure] = []
    absolute: list[Figure] = []
    marks = 0
    port = free_port()
    with running("postgres", "s3", "kafka") as servers:
        installation = Installation(servers, "latency", on_s3=True)
        command = product(installation.data, "serve", "--only", "edge,web", "--port", str(port))
        with server(command, port, **installation.settings):
            for trigger_s in sizes.triggers:
                found = watched(installation, port, trigger_s, sizes)
                marks += len(found)
                p50, p95 = quantile(found, 0.5), quantile(found, 0.95)
                name = f"trigger of {trigger_s} s"
                ratios.append(figure(f"{name}: p95 over the trigger", [p95 / trigger_s]))
                absolute += [
                    figure(f"{name}: p50 from POST returned to visible", [p50, min(found), max(found)], "s"),
                    figure(f"{name}: p95 from POST returned to visible", [p95], "s"),
                    figure(f"{name}: p95 beyond the trigger", [p95 - trigger_s], "s"),
                ]
    return Part(
        "scale_latency",
        "From the POST's answer to the API, by the scaled form",
        f"`missioncontrol serve --only edge,web`, Kafka with a topic of two partitions, `missioncontrol spark stream` "
        f"(`local[2]`) with different triggers, the lake on S3, state on PostgreSQL: all on the same two cores. "
        f"{sizes.scale_rate_per_s} pings/s of 40 kB, open loop. {marks} of the pings had a display version of their "
        "own; the clock ran from the answer to their POST until `/api/aggregates/` counted them. A ping waits for half "
        "a trigger in the mean and for a whole one at most, then for its batch: what is beyond the trigger is the "
        "batch and the look of the web server.",
        ratios,
        absolute,
        "All POSTs were answered with 200, and each marked ping was seen.",
    )


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
