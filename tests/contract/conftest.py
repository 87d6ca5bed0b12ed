"""What the contract suites share: a place of its own for each backend, opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from log_backends import BACKENDS, LogBackend
from tests.support import disk


@pytest.fixture(params=BACKENDS)
def log_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogBackend]:
    backend = LogBackend(request.param, tmp_path / "log")
    yield backend
    backend.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own, where mounting is allowed."""
    with disk.small_disk(tmp_path / "disk", 24) as place:
        yield place
