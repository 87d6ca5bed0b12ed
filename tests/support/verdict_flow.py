"""A train of releases on its way through the installed command: written to files, imported, judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tests.support import form
from tests.support.release_trains import STRATA_TABLE, Story
from tests.support.server import SOURCES

from missioncontrol.simulate.trains.export import Written, write_train

START = datetime(2026, 1, 6, 14, 0, tzinfo=UTC)
OF = ("--application", "Firefox", "--channel", "release")


@dataclass(frozen=True)
class Installation:
    """A data folder and its command."""

    data: Path

    def run(self, *arguments: str, codes: Sequence[int] = (0,)) -> tuple[str, str, int]:
        """stdout, stderr and exit code of a command that ends with one of `codes` and never with a traceback."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
        done = subprocess.run(
            [sys.executable, "-m", "missioncontrol", *arguments],
            env={**clean, "PYTHONPATH": str(SOURCES), "MC_DATA": str(self.data), "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in codes, (arguments, done.returncode, done.stderr)
        return done.stdout, done.stderr, done.returncode

    def take(self, *files: Path, table: str = "error_aggregates") -> None:
        """Import rows."""
        self.run("import", "aggregates", "--table", table, *map(str, files))

    def publish(self, file: Path) -> None:
        """Import releases."""
        self.run("import", "releases", str(file))

    def verdict(self, *arguments: str, codes: Sequence[int] = (0, 3)) -> tuple[str, str, int]:
        """What `verdict` says of the channel."""
        return self.run("verdict", *OF, *arguments, codes=codes)

    def look(self, *arguments: str) -> dict[str, Any]:
        """One look as an object."""
        found: dict[str, Any] = json.loads(self.verdict("--measure", "main_crashes", "--json", *arguments)[0])
        return found

    def replay(self, *arguments: str) -> str:
        """All looks as they are printed."""
        return self.verdict("--measure", "main_crashes", "--replay", "--json", *arguments)[0]


def files_of(story: Story, folder: Path, kind: str = "parquet") -> Written:
    """A story as files."""
    releases = [*story.predecessors, story.candidate]
    return write_train(folder, releases, story.channel, STRATA_TABLE, START, form=kind)


def installed(story: Story, folder: Path) -> Installation:
    """An installation that knows a story."""
    written = files_of(story, folder / "files")
    here = Installation(form.installed(folder / "data"))
    here.take(written.aggregates)
    if written.activity:
        here.take(written.activity, table="usage_by_activity")
    here.publish(written.releases)
    return here


def known_by(written: Written, moment: datetime, folder: Path) -> Written:
    """The files with only those rows whose interval of arrival had ended by then."""
    folder.mkdir(parents=True)
    aggregates = pq.read_table(written.aggregates)
    ends = pc.add(aggregates["window_start"].cast(pa.int64()), 300_000_000)
    limit = int(moment.timestamp()) * 1_000_000
    pq.write_table(aggregates.filter(pc.less_equal(ends, limit)), folder / "aggregates.parquet")
    activity = None
    if written.activity:
        rows = pq.read_table(written.activity)
        length = pc.multiply(rows["arrival_length_s"], 1_000_000)
        ends = pc.add(rows["arrival"].cast(pa.int64()), length)
        activity = folder / "usage_by_activity.parquet"
        pq.write_table(rows.filter(pc.less_equal(ends, limit)), activity)
    return Written(folder / "aggregates.parquet", activity, written.releases)
