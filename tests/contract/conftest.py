"""What the contract suites share: a place of its own for each backend, opened as often as a test likes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from log_backends import BACKENDS, open_log

from missioncontrol.log.protocol import Log

CHILD = Path(__file__).with_name("log_child.py")


class LogBackend:
    """One store of one backend; every log opened on it is closed at the end of the test."""

    def __init__(self, name: str, place: Path) -> None:
        self.name = name
        self.place = place
        self._opened: list[Log] = []
        self._children: list[subprocess.Popen[bytes]] = []

    def open(self, **settings: Any) -> Log:
        log = open_log(self.name, self.place, **settings)
        self._opened.append(log)
        return log

    def child(self, prefix: str, count: int = 0, *flags: str) -> subprocess.Popen[bytes]:
        """A process that appends `count` entries; 0: until it is killed."""
        command = [sys.executable, str(CHILD), self.name, str(self.place), prefix, str(count), *flags]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._children.append(child)
        return child

    def close(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        for log in self._opened:
            log.close()


@pytest.fixture(params=BACKENDS)
def log_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogBackend]:
    backend = LogBackend(request.param, tmp_path / "log")
    yield backend
    backend.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own, where mounting is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
