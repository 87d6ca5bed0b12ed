"""What the contract suites share: a place of its own for each backend, opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy.local.kafka import KafkaBroker
from log_backends import BACKENDS, LogBackend
from tests.support import disk
from tests.support.kafka_topics import running_broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.apt if name == "kafka" else ()) for name in BACKENDS]
)
def new_backend(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], LogBackend]]:
    """Gives stores of one backend, each in a place of its own."""
    broker = request.getfixturevalue("kafka") if request.param == "kafka" else None
    made: list[LogBackend] = []

    def make(place: Path) -> LogBackend:
        made.append(LogBackend(request.param, place, broker.bootstrap if broker else ""))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def log_backend(new_backend: Callable[[Path], LogBackend], tmp_path: Path) -> LogBackend:
    return new_backend(tmp_path / "log")


@pytest.fixture
def bounded_backend(tmp_path: Path) -> Iterator[LogBackend]:
    """A store whose room is of this machine, and may end."""
    backend = LogBackend("sqlite", tmp_path / "log")
    yield backend
    backend.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own, where mounting is allowed."""
    with disk.small_disk(tmp_path / "disk", 24) as place:
        yield place
