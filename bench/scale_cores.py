"""What a second core gives: the stream on Spark, and the import. `python bench/scale_cores.py [--quick]`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from figures import Part, figure, publish, ratio
from scale_servers import Installation, batch_records, cpu_us, entries, running, send, steady, stream
from workspace import BenchError, Sizes, corpus_copies, environment, sizes_from

BATCHES = 4
TOPIC = "sent"
NO_ARCHIVE = {"MC_LAKE__ARCHIVE": "false"}


def imported(workers: int, cpus: str, data: Path, files: list[Path]) -> float:
    """Seconds that the second half of the files adds to an import: all but the start of processes."""
    command = ["taskset", "-c", cpus, sys.executable, __file__, "--child", str(workers), str(data)]
    done = subprocess.run(
        [*command, *map(str, files)], env=environment(**NO_ARCHIVE), capture_output=True, text=True
    )
    if done.returncode:
        raise BenchError(f"The import failed:\n{done.stderr[-3000:]}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def import_child(workers: int, data: Path, files: list[Path]) -> None:
    from missioncontrol.config import load_config
    from missioncontrol.services import Services
    from missioncontrol.telemetry.import_pings import PingImport

    seconds = []
    for number in (1, 2):
        services = Services(load_config(data / str(number)))
        job = PingImport(services.config, services.registry(), services.writer, services.log, workers)
        started = time.perf_counter()
        job.run(files[: number * len(files) // 2])
        seconds.append(time.perf_counter() - started)
        services.close()
    print(seconds[1] - seconds[0])


def measure(sizes: Sizes) -> Part:
    batch, total = sizes.scale_batch, BATCHES * sizes.scale_batch
    rates: dict[int, list[float]] = {1: [], 2: []}
    used: dict[int, list[float]] = {1: [], 2: []}
    imports: dict[int, list[float]] = {1: [], 2: []}
    with running("postgres", "s3", "kafka") as servers:
        Installation(servers, TOPIC)
        size_bytes = send(servers, TOPIC, entries(sizes.pings, total, packed=True))
        for number in range(sizes.scale_rounds):
            for cores, cpus in ((1, "0"), (2, "0,1")):
                installation = Installation(servers, f"stream-{cores}-{number}", on_s3=True, topic=TOPIC)
                batches = stream(installation, f"local[{cores}]", batch_records(batch), cpus)
                if sum(batch[0] for batch in batches) != total:
                    raise SystemExit(f"Of {total} pings these were counted: {batches}")
                rates[cores].append(steady(batches))
                used[cores].append(cpu_us(batches))
        copies = corpus_copies(sizes.pings, 2, servers.folder)
        for number in range(sizes.scale_rounds):
            for cores, cpus in ((1, "0"), (2, "0,1")):
                seconds = imported(cores, cpus, servers.folder / f"import-{cores}-{number}", copies)
                imports[cores].append(sizes.pings / seconds)
    return Part(
        "scale_cores",
        "A second core",
        f"The stream on Spark: {total:,} pings of {size_bytes / total / 1000:.1f} kB (gzip, as clients do) from a "
        f"topic of two partitions into a lake on S3 with its archive, in {BATCHES} micro-batches of which the first is "
        "not timed. `local[1]` may run on one core of the machine only (`taskset`), the JVM with its Python process; "
        "Kafka, PostgreSQL and the S3 server have the other one. `local[2]` shares both cores with them, so that its "
        "ratio is less than two machines would reach. The import of a file of lines, without archive: one process that "
        "decodes, and all on one core, against two on two; nothing else runs beside it.",
        [
            ratio("stream on Spark: two cores over one", rates[2], rates[1]),
            ratio("import: two cores over one", imports[2], imports[1]),
        ],
        [
            figure("stream on Spark, one core", rates[1], "pings/s"),
            figure("stream on Spark, two cores with all servers", rates[2], "pings/s"),
            figure("CPU of the stream for a ping, one core", used[1], "us"),
            figure("CPU of the stream for a ping, two cores", used[2], "us"),
            figure("import, one core", imports[1], "pings/s"),
            figure("import, two cores", imports[2], "pings/s"),
        ],
        "Every ping was counted in every run.",
    )


if __name__ == "__main__":
    if "--child" in sys.argv:
        import_child(int(sys.argv[2]), Path(sys.argv[3]), [Path(path) for path in sys.argv[4:]])
    else:
        publish(measure(sizes_from(sys.argv)))
