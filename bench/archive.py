"""Part 8: how much smaller the sealed archive is than the bodies as sent. `python bench/archive.py [--quick]`."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from figures import Part, figure, publish
from workspace import BenchError, Sizes, corpus, scratch, sizes_from

DAY = date(2026, 1, 1)
BATCH = 500
TARGET_BYTES = 128 * 1024 * 1024
LEVELS = (6, 9)
"""What Firefox and most clients use, and what Python's gzip does by itself."""


def measure(sizes: Sizes) -> Part:
    figures, rates, reads = [], [], []
    for level in LEVELS:
        with scratch() as folder:
            sent = fill(folder, sizes, level)
            plain = size(folder)
            started = time.process_time()
            seal_all(folder)
            rates.append(len(sent) / (time.process_time() - started))
            started = time.process_time()
            check(folder, sent)
            reads.append(len(sent) / (time.process_time() - started))
            gzip_bytes = sum(map(len, sent.values()))
            name = f"sealed table / gzip bodies as sent (zlib level {level})"
            figures.append(figure(name, [size(folder) / gzip_bytes], at_most=0.8))
            figures.append(figure(f"the same before sealing (zlib level {level})", [plain / gzip_bytes]))
    return Part(
        "archive",
        "The archive on disk",
        f"{sizes.stream_pings:,} simulated pings of about 40 kB, each compressed on its own as clients do. Simulated "
        "pings resemble each other more than those of real clients do: expect less of a gain from real ones.",
        figures,
        [
            figure("pings sealed a second of one core", rates, "pings/s"),
            figure("pings given back as sent a second of one core", reads, "pings/s"),
        ],
        checked="Every body was given back byte for byte as it was sent.",
    )


def bodies(sizes: Sizes) -> Iterator[bytes]:
    with corpus(sizes.pings).open("rb") as lines:
        for line in islice(lines, sizes.stream_pings):
            yield line.rstrip()


def fill(folder: Path, sizes: Sizes, level: int) -> dict[str, bytes]:
    """Write the pings as the stream does; the bodies as sent by document id."""
    from missioncontrol.lake.writer import LakeWriter
    from missioncontrol.registry.load import load_registry

    writer = LakeWriter(folder / "lake")
    writer.ensure(load_registry())
    sent = {str(n): zlib.compress(body, level, wbits=31) for n, body in enumerate(bodies(sizes))}
    everything = iter(sent.items())
    version = 0
    while batch := list(islice(everything, BATCH)):
        version += 1
        rows = pa.table(
            {
                "submission_date": [DAY] * len(batch),
                "doc_type": ["main"] * len(batch),
                "received_ns": [int(n) for n, _ in batch],
                "document_id": [n for n, _ in batch],
                "encoding": ["gzip"] * len(batch),
                "body": pa.array([body for _, body in batch], pa.binary()),
            }
        )
        writer.append("pings", rows, "bench", version)
    return sent


def seal_all(folder: Path) -> None:
    from missioncontrol.lake.seal import seal

    seal(folder / "lake", folder / "cache", TARGET_BYTES, full=True)


def files(folder: Path) -> list[Path]:
    from missioncontrol.lake.snapshot import LakeReader

    snapshot = LakeReader(folder / "lake", folder / "cache").snapshot("pings")
    return [Path(file.path) for file in snapshot.files] if snapshot else []


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in files(folder))


def check(folder: Path, sent: dict[str, bytes]) -> None:
    """Raises `BenchError` unless the archive gives back every body as it was sent."""
    from missioncontrol.lake.packing import as_sent

    found = 0
    for path in files(folder):
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                columns = ["document_id", "body", "packing", "sent_crc32"]
                for row in file.read_row_group(number, columns=columns, use_threads=False).to_pylist():
                    body = as_sent(row["body"], row["packing"], row["sent_crc32"])
                    found += body == sent[row["document_id"]]
    if found != len(sent):
        raise BenchError(f"{len(sent) - found} of {len(sent)} bodies came back changed.")


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
