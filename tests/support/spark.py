"""The stream on Spark as its users run it, `missioncontrol spark stream`, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.accepted import accepted
from tests.support.kafka_topics import send_entries
from tests.support.lake import Lake, everything, rows
from tests.support.server import COMMAND, SOURCES
from tests.support.spark_blocks import spark_blocks

from missioncontrol.config import Config
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.registry.load import load_registry
from missioncontrol.registry.model import Registry
from missioncontrol.telemetry.stream import Stream

TIMEOUT_S = 480
NOW_NS = time.time_ns()


class SparkInstallation:
    """A data folder whose log is a topic."""

    def __init__(
        self, data: Path, bootstrap: str, topic: str, batch_records: int = 200_000, **environment: str
    ) -> None:
        self.data, self._bootstrap, self.topic = data, bootstrap, topic
        self._environment = environment
        data.mkdir(parents=True, exist_ok=True)
        (data / "missioncontrol.toml").write_text(
            f"""
            [log]
            bootstrap_servers = "{bootstrap}"
            topic = "{topic}"
            {spark_blocks(data / "spill", batch_records)}
            """
        )

    def send(self, entries: Sequence[Entry]) -> None:
        """Into the topic; all are acknowledged when this returns."""
        send_entries(self._bootstrap, self.topic, entries)

    def start(self, *arguments: str, command: Sequence[str] = ("spark", "stream")) -> subprocess.Popen[str]:
        """The command, which is left running; its talk is in `talk`."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCES),
            "SPARK_LOCAL_IP": "127.0.0.1",
            **self._environment,
        }
        with self.talk_path.open("a") as talk:
            return subprocess.Popen(
                [*COMMAND, *command, "--data", str(self.data), *arguments],
                env=environment, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk, text=True,
            )  # fmt: skip

    def run(self, *arguments: str, command: Sequence[str] = ("spark", "stream")) -> int:
        """The command to its end; its exit code."""
        running = self.start(*arguments, command=command)
        try:
            return running.wait(TIMEOUT_S)
        finally:
            running.kill()
            running.wait()

    @property
    def talk_path(self) -> Path:
        """What the commands said."""
        return self.data.with_name(self.data.name + "-talk")

    @property
    def talk(self) -> str:
        """What the commands said so far."""
        return self.talk_path.read_text()


def embedded(folder: Path, entries: list[Entry], registry: Registry | None = None) -> Path:
    """The lake that the embedded stream makes of them; by the shipped registry if none is given."""
    config = Config(data=folder)
    log = SqliteLog(config.log_path)
    for start in range(0, len(entries), 500):
        log.append_many(entries[start : start + 500])
    used = registry or load_registry()
    Stream(log, LakeWriter(config.lake_path), lambda: used, config).run_until_idle()
    log.close()
    return config.lake_path


def compare(scaled: Lake, lake: Path) -> None:
    """Every table, cell by cell; sums of hours but for the order in which they were added."""
    compare_tables(everything(scaled), everything(lake))


def compare_tables(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same of what `everything()` found."""
    assert found.keys() == expected.keys()
    assert found.pop("pings") == expected.pop("pings")
    for table, sums in expected.items():
        assert found[table].keys() == sums.keys(), table
        for key, row in sums.items():
            own = found[table][key]
            assert own.keys() == row.keys(), (table, key)
            for column, value in row.items():
                same = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
                assert own[column] == same, (table, key, column)


def pings_only(count: int, seed: int) -> list[Entry]:
    return [entry for entry in accepted(count, seed, NOW_NS) if entry.kind is Kind.PING]


def reasons(lake: Lake) -> Counter[str]:
    """Discards by reason."""
    found: Counter[str] = Counter()
    for row in rows(lake, "discards"):
        found[row["reason"]] += row["count"]
    return found


def accounted(lake: Lake) -> int:
    """Messages of pings that are in the lake: each is archived, a duplicate, or lost."""
    found = reasons(lake)
    return len(rows(lake, "pings")) + found["duplicate"] + found["log_gap"]


def by_dimensions(lake: Lake) -> dict[str, dict[str, float]]:
    """The statistics of crash_aggregates by day and dimensions."""
    return {
        str((row["activity_date"], sorted(row["dimensions"]))): dict(row["stats"])
        for row in rows(lake, "crash_aggregates")
    }


def wait_until(
    condition: Callable[[], bool],
    running: subprocess.Popen[str],
    installation: SparkInstallation,
    every_s: float = 0.2,
) -> None:
    ends = time.monotonic() + TIMEOUT_S
    while not condition():
        assert running.poll() is None and time.monotonic() < ends, installation.talk
        time.sleep(every_s)
