from collections.abc import Iterator
from pathlib import Path

import pytest
from query_lake import SmallLake, row

from missioncontrol.config import Query
from missioncontrol.query.engine import Engine


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    return SmallLake(tmp_path)


@pytest.fixture
def engine(lake: SmallLake) -> Iterator[Engine]:
    engine = Engine(lake.reader, lambda: lake.registry, Query(threads=1, memory_limit_mb=256))
    yield engine
    engine.close()


@pytest.fixture
def filled(lake: SmallLake) -> SmallLake:
    """Two versions on two platforms; partial rows of one key; a measure that nobody reported."""
    lake.add(
        [row(0, main_crashes=1, usage_hours=2.0), row(0, os_name="Windows", main_crashes=5, usage_hours=10.0)]
    )
    lake.add([row(0, main_crashes=2, usage_hours=0.5), row(5, version="60.0", usage_hours=1.0)])
    lake.add([row(24 * 60, channel="beta", version="61.0b2", main_crashes=7)])
    return lake
