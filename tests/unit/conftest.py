"""A state database of each kind, empty: SQLite's everywhere, PostgreSQL's where Debian's package is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.support.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.apt)])
def new_state(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives SQLAlchemy addresses of empty state databases, each another one."""
    if request.param == "sqlite":
        names = (f"state{n or ''}.sqlite" for n in count())
        return lambda: f"sqlite:///{tmp_path / next(names)}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_state


@pytest.fixture
def state_url(new_state: Callable[[], str]) -> str:
    """SQLAlchemy address of an empty state database."""
    return new_state()


@pytest.fixture
def state_setting(state_url: str) -> str:
    """The setting `state.url` for it: empty is SQLite, in the data folder."""
    return state_url if state_url.startswith("postgresql") else ""
