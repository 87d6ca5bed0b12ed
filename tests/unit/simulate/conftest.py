from __future__ import annotations

import pytest

from missioncontrol.simulate.fleet import Fleet

NOW_NS = 1_669_000_000 * 10**9


@pytest.fixture(scope="session")
def now_ns() -> int:
    return NOW_NS


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    return Fleet(7, 600, NOW_NS)
