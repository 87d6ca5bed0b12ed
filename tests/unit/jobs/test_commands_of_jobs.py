"""What commands that run as processes of their own say at last, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from missioncontrol.jobs.command import run_command
from missioncontrol.processes import PARENT

SOURCES = Path(__file__).parents[3] / "src"


def test_the_last_line_is_known_though_it_comes_after_the_end() -> None:
    command = ["sh", "-c", "(sleep 0.5; echo first >&2; echo why >&2) & exit 3"]
    assert run_command(command, threading.Event()) == (3, "why")


@pytest.mark.parametrize(
    "command",
    [
        ["release", "infer", "--recent"],
        ["backfill", "--min-submission-date", "2026-01-01", "--max-submission-date", "2026-01-02"],
    ],
)
def test_a_command_ends_when_the_server_that_began_it_is_gone(command: list[str], tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = subprocess.run(
        [sys.executable, "-m", "missioncontrol", "--data", str(tmp_path), *command],
        env={**os.environ, "PYTHONPATH": str(SOURCES), PARENT: str(gone.pid)}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == -signal.SIGTERM
