"""A state database of each kind, empty: SQLite's everywhere, PostgreSQL's where Debian's package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.apt)])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy address of an empty state database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database().replace("postgresql:", "postgresql+psycopg:")
