"""Part 7: memory of the whole product when nothing happens. `python bench/idle.py [--quick]`."""

from __future__ import annotations

import sys
import time

from figures import Part, figure, publish
from processes import free_port, memory_mb, server, tree
from workspace import Sizes, product, scratch, sizes_from

SETTLE_S = 15


def measure(sizes: Sizes) -> Part:
    port = free_port()
    rss: list[float] = []
    pss: list[float] = []
    with scratch() as folder:
        for number in range(2 if sizes.name == "quick" else 3):
            command = product(folder / f"data-{number}", "serve", "--port", str(port))
            with server(command, port) as pid:
                time.sleep(SETTLE_S)
                rss.append(memory_mb(pid, "Rss"))
                pss.append(memory_mb(pid, "Pss"))
                processes = len(tree(pid))
    return Part(
        "idle",
        "Memory when nothing happens",
        f"`missioncontrol serve` with all its parts ({processes} processes), {SETTLE_S} s after it began to answer.",
        [
            figure("resident memory, shared pages counted in each process", rss, "MB", at_most=250),
            figure("resident memory, shared pages counted once", pss, "MB"),
        ],
    )


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
