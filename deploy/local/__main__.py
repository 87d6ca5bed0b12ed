"""`make scale-up`: start the servers of the scaled form on this machine, say where they are, stop them at Ctrl-C."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .fetch import CACHE, SetupError, kafka_jars, s3_program, spark_jars, trino_folder, trino_java
from .postgres import programs
from .servers import Servers


def main() -> int:
    """Run until SIGINT or SIGTERM; 1 when a part is missing or does not start."""
    parser = argparse.ArgumentParser(prog="make scale-up", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=CACHE / "data", help="folder of all their data [%(default)s]"
    )
    parser.add_argument(
        "--with",
        dest="beside",
        choices=["trino"],
        nargs="*",
        default=[],
        help="servers beside those that are always started",
    )
    parser.add_argument("--fetch-only", action="store_true", help="bring the programs and start nothing")
    arguments = parser.parse_args()
    # SIGINT too: a shell has it ignored by what it runs in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        kafka_jars()
        spark_jars()
        s3_program()
        if "trino" in arguments.beside:
            trino_java()
            trino_folder()
        if not arguments.fetch_only:
            programs()
            _run(arguments.data, arguments.beside)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    return 0


def _run(data: Path, beside: Sequence[str]) -> None:
    servers = Servers(data, beside)
    with (servers.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                f"The servers of {servers.folder} run already. Take another DATA=folder."
            ) from None
        try:
            for server in servers.all:
                begun = time.monotonic()
                servers.start(server)
                took = time.monotonic() - begun
                print(
                    f"{server.name:<10}  port {server.port:<5}  process {server.pid}  in {took:.1f} s",
                    file=sys.stderr,
                )
            _tell(servers)
            while True:
                signal.pause()
        finally:
            # A second Ctrl-C would leave some of them running.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("\nStopping.", file=sys.stderr)
            servers.stop()


def _tell(servers: Servers) -> None:
    environment, spark = servers.write_settings()
    for name, value in servers.environment().items():
        print(f"{name}={value}")
    print(
        f"\nThese are in {environment}: `. {environment}` in a shell.\n"
        f"Spark reaches Kafka and S3 with: spark-submit --properties-file {spark} JOB.py\n"
        + (f"Trino is asked with: {servers.trino.program} --execute QUERY\n" if servers.trino else "")
        + f"All data is in {servers.folder}, which can be deleted when they are stopped. Ctrl-C stops them.",
        file=sys.stderr,
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
