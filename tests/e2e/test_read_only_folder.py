"""A data folder that may only be read: one message that says so, nothing half done, no traceback."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from tests.support import batch_oracle, judged_train
from tests.support.server import SOURCES
from tests.support.verdict_flow import Installation

pytestmark = pytest.mark.embedded_only("takes away the rights to the folder of state and lake")

_PR_CAPBSET_DROP, _DAC_OVERRIDE, _DAC_READ_SEARCH = 24, 1, 2
DAY = date(2026, 3, 2)
OF = ("--application", "Firefox", "--channel", "release")
COMMANDS = (
    ("verdict", *OF),
    ("verdict", *OF, "--json"),
    ("release", "list"),
    ("release", "set", *OF, "--version", "1.0", "--published-at", "2026-01-01"),
    ("release", "remove", *OF, "--version", "107.0"),
    ("release", "infer"),
    ("jobs", "verdicts"),
    ("alert", "channels"),
    ("alert", "rules"),
    ("alert", "log"),
    ("alert", "test", "ops"),
    ("alert", "channel", "add", "more", "--kind", "webhook", "--to", "http://127.0.0.1:9/"),
    ("alert", "rule", "add", "ops", "--severity", "info"),
    ("calibrate", *OF),
)


def without_rights() -> None:
    """Also where tests run as root, who may write anywhere: as its commands begin, they no longer may."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
    return subprocess.run(
        [sys.executable, "-m", "missioncontrol", *arguments],
        env={**clean, "PYTHONPATH": str(SOURCES), "MC_DATA": str(data)},
        preexec_fn=without_rights,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def allow(folder: Path, write: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        rights = 0o700 if path.is_dir() else 0o600
        path.chmod(rights if write else rights & 0o500)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("read-only")
    written = judged_train.write(judged_train.story(2.0), folder / "train", 60)
    channel = Installation(folder / "data")
    channel.take(written.aggregates)
    channel.publish(written.releases)
    channel.run("alert", "channel", "add", "ops", "--kind", "webhook", "--to", "http://127.0.0.1:9/")
    yield channel.data
    allow(channel.data, True)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_folder_that_may_only_be_read_is_told(installed: Path, command: tuple[str, ...]) -> None:
    allow(installed, False)
    done = run(installed, *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"Error: The state database {installed / 'state.sqlite'} cannot be written."
    )
    assert "mounted for writing" in done.stderr and "sqlalche" not in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 2


def test_a_lake_that_may_only_be_read_takes_no_looks_and_no_rows(installed: Path, tmp_path: Path) -> None:
    allow(installed, True)
    allow(installed / "lake", False)
    judged = run(installed, "jobs", "verdicts")
    assert judged.returncode == 1 and "Traceback" not in judged.stderr
    assert "No permission for the lake" in judged.stderr and "mounted for writing" in judged.stderr
    rows = tmp_path / "rows.csv"
    rows.write_text("window_start,channel\n2026-01-05T00:00:00Z,release\n")
    taken = run(installed, "import", "aggregates", str(rows))
    assert taken.returncode == 1 and taken.stderr.startswith("Error: No permission for the lake")
    allow(installed, True)
    again = run(installed, "jobs", "verdicts", "--json")
    assert again.returncode == 0 and '"looks":2' in again.stdout, "nothing was lost"
    assert run(installed, "import", "aggregates", str(rows)).returncode == 0


def test_a_lake_that_may_not_even_be_read_is_told(installed: Path) -> None:
    allow(installed, True)
    log = installed / "lake" / "error_aggregates" / "_delta_log"
    log.parent.chmod(0)
    try:
        for command in (("verdict", *OF), ("jobs", "verdicts"), ("calibrate", *OF)):
            done = run(installed, *command)
            assert done.returncode == 1 and "Traceback" not in done.stderr
            assert done.stderr.startswith("Error: No permission for the lake"), done.stderr
    finally:
        log.parent.chmod(0o700)


def test_a_lake_that_only_may_not_be_written_is_told_by_imports_too(installed: Path, tmp_path: Path) -> None:
    allow(installed, True)
    file = tmp_path / "pings.ndjson"
    file.write_text("\n".join(json.dumps(ping) for ping in batch_oracle.make_pings(5, seed=1, day=DAY)))
    allow(installed / "lake", False)
    done = run(installed, "import", "pings", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr and "No permission for the lake" in done.stderr
    assert "mounted for writing" in done.stderr
    allow(installed, True)
    assert run(installed, "import", "pings", str(file)).returncode == 0
