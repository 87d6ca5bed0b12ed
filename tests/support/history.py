"""A history with every state that a day can be in, made by the product's own commands and writer.

days = fill(data)        # imports pings of many days, makes most of them, spoils some
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec
from tests.support.form import config_of, installed, state_of
from tests.support.lake import read_lake_file, write_lake_file
from tests.support.pings import main_ping

from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.state.runs import BuiltDay, Runs
from missioncontrol.telemetry.backfill_plan import CRASHES, JOB, Plan, arguments

SOURCES = Path(__file__).parents[2] / "src"
_whole: dict[str, bytes] = {}


def today() -> date:
    """The UTC day."""
    return datetime.now(UTC).date()


def ago(days: int) -> date:
    """The day so many days ago."""
    return today() - timedelta(days=days)


def command(data: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command of the product on a data folder."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
    done = subprocess.run(
        [sys.executable, "-m", "missioncontrol", *arguments, "--data", str(installed(data))],
        env={**environment, "PYTHONPATH": str(SOURCES)}, cwd=data.parent, text=True, capture_output=True,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done


def archive(data: Path, days: Iterable[date], pings: int = 3) -> None:
    """Archive so many main pings of each day, as an import does."""
    file = data.parent / f"{uuid.uuid4()}.ndjson"
    file.write_bytes(b"".join(_line(day) for day in days for _ in range(pings)))
    command(data, "import", "pings", str(file))
    file.unlink()


def backfill(data: Path, first: date, last: date, *options: str, check: bool = True) -> None:
    """Make days again from the command line."""
    days = ["--min-submission-date", str(first), "--max-submission-date", str(last)]
    command(data, "backfill", "--workers", "1", *days, *options, check=check)


def spoil(data: Path, day: date) -> None:
    """Break the archive's files of a day, so that making it fails; `mend` repairs them."""
    for path in _files(data, day):
        _whole[path] = read_lake_file(data, path)
        write_lake_file(data, path, b"no Parquet")


def mend(data: Path, day: date) -> None:
    """Undo `spoil`."""
    for path in _files(data, day):
        write_lake_file(data, path, _whole.pop(path))


def runs_of(data: Path) -> Runs:
    """The runs of a data folder."""
    return Runs(state_of(data))


def note(data: Path, days: Iterable[date]) -> None:
    """Note days as made by scheduled runs, without making them: a long history at little cost."""
    runs = runs_of(data)
    for day in days:
        at = datetime.combine(day + timedelta(days=1), time(1, 0, 20), UTC)
        run = runs.start(JOB, arguments(Plan((CRASHES,), day, day)), "schedule", at)
        runs.built([BuiltDay(CRASHES, day, run.id, "default", "r", 3, 3, 412, 12.5, at)])
        runs.finish(run, "done", "", at + timedelta(seconds=13))


def _files(data: Path, day: date) -> list[str]:
    """Paths below the folder of the lake."""
    config = config_of(data)
    snapshot = LakeReader(config.lake_place, config.cache_path).snapshot("pings")
    assert snapshot
    return [
        str(Path(f.path).relative_to(config.lake_path))
        for f in snapshot.files
        if dict(f.partition)["submission_date"] == str(day)
    ]


def _line(day: date) -> bytes:
    received = datetime.combine(day, time(12, 10), UTC)
    build = f"{day - timedelta(days=3):%Y%m%d}120000"
    changes = {"application__buildId": build, "environment__build__buildId": build}
    meta = {
        "Timestamp": int(received.timestamp() * 1e9), "submissionDate": f"{day:%Y%m%d}", "geoCountry": "DE",
        "normalizedChannel": "release", "appName": "Firefox", "appVersion": "133.0", "appBuildId": build,
        "docType": "main", "documentId": str(uuid.uuid4()),
    }  # fmt: skip
    ping = main_ping(3600, payload__info__subsessionStartDate=f"{day}T10:00:00Z", **changes)
    return msgspec.json.encode({**json.loads(json.dumps(ping)), "meta": meta}) + b"\n"
