from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.crashes import Crash, dump_symbols, make_crash


@pytest.fixture(scope="session")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Crash:
    """A real crash."""
    return make_crash(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="session")
def symbols(crash: Crash, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the symbols of the crash."""
    root = tmp_path_factory.mktemp("symbols")
    dump_symbols(root, crash.binary)
    return root
