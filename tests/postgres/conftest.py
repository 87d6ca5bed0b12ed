"""One PostgreSQL server for all of these tests; each test has a database and a lake of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from published_lake import PublishedLake
from tests.support.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """Address of an empty database."""
    return postgres.new_database()


@pytest.fixture
def lake(tmp_path: Path) -> PublishedLake:
    return PublishedLake(tmp_path / "data")
