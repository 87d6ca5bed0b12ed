"""Part 6: memory over ten times as many pings with the same keys. `python bench/memory.py [--quick]`."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import msgspec
from isal import igzip

from figures import Part, figure, publish
from missioncontrol.config import load_config
from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.services import Services
from missioncontrol.telemetry.import_lines import read_line
from processes import peak_mb
from workspace import Sizes, corpus, corpus_copies, product, scratch, sizes_from

TIMES = 10
_APPENDED = 500


def fill(data: Path, pings: int, copies: int) -> None:
    """Put the corpus's first pings into the log as the edge would, each copy under other document ids."""
    with corpus(pings).open("rb") as file:
        entries = [entry_of(line) for line in islice(file, pings)]
    services = Services(load_config(data))
    for copy in range(copies):
        for start in range(0, len(entries), _APPENDED):
            part = entries[start : start + _APPENDED]
            services.log.append_many([renamed(entry, copy) for entry in part])
    services.close()


def entry_of(line: bytes) -> Entry:
    ping, _ = read_line(line, 0)
    return Entry(
        Kind.PING,
        ping.received_ns,
        namespace="telemetry",
        document_type=ping.document_type,
        document_id=ping.document_id,
        application=ping.application or "",
        version=ping.version or "",
        channel=ping.channel or "",
        build_id=ping.build_id or "",
        country=ping.country or "??",
        headers=(("user-agent", "pingsender/1.0"),),
        encoding="gzip",
        body=igzip.compress(line.rstrip(), 2),
    )


def renamed(entry: Entry, copy: int) -> Entry:
    return msgspec.structs.replace(entry, document_id=f"{copy:08x}{entry.document_id[8:]}")


def measure(sizes: Sizes) -> Part:
    peaks: dict[str, list[float]] = {}
    with scratch() as folder:
        copies = corpus_copies(sizes.pings, TIMES, folder)
        for times in (1, TIMES):
            command = product(folder / f"import-{times}", "import", "pings", *map(str, copies[:times]))
            peaks[f"import {times}"] = [peak_mb(command)[0]]
        for path in copies:
            path.unlink()
        for times in (1, TIMES):
            data = folder / f"stream-{times}"
            fill(data, sizes.stream_pings, times)
            peaks[f"stream {times}"] = [peak_mb(product(data, "stream", "--until-idle"))[0]]
    growth = {w: peaks[f"{w} {TIMES}"][0] / peaks[f"{w} 1"][0] for w in ("import", "stream")}
    return Part(
        "memory",
        "Memory over ten times the corpus",
        f"Peak of the resident memory summed over all processes, seen every 50 ms: the import (archive included) of "
        f"{sizes.pings:,} and of {TIMES * sizes.pings:,} pings, the stream over a log of {sizes.stream_pings:,} and of "
        f"{TIMES * sizes.stream_pings:,}. The larger set has the same keys as the smaller one.",
        [
            figure("import: peak over ten times the corpus", [growth["import"]], at_most=1.25),
            figure("stream: peak over ten times the log", [growth["stream"]], at_most=1.25),
        ],
        [figure(f"{name}x, peak", found, "MB") for name, found in peaks.items()],
    )


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
