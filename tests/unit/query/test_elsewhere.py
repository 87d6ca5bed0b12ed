"""What other engines are told of the lake; that they understand it is seen in tests/scale."""

from pathlib import Path

import pytest
import sqlglot
from query_lake import SmallLake

from missioncontrol.config import LakePlace
from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query.elsewhere import ENGINES, statements


def told(lake: SmallLake, engine: str, url: str = "s3://bucket/lake", catalog: str = "lake") -> list[str]:
    return statements(lake.reader, lake.registry, LakePlace(lake.folder, url), engine, catalog)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_table_is_a_view_and_those_of_the_predecessors_too(filled: SmallLake, engine: str) -> None:
    trees = [sqlglot.parse_one(s, read=engine) for s in told(filled, engine) if s.startswith("CREATE OR")]
    names = [tree.this.name for tree in trees]
    more = {"aggregates", "error_aggregates_v2"} | ({"crash_free_users"} if engine == "spark" else set())
    assert set(names) == lake_tables(filled.registry).keys() | more and len(names) == len(set(names))


def test_trino_is_told_where_each_table_lies_in_a_catalog_of_any_name(filled: SmallLake) -> None:
    found = told(filled, "trino", catalog='an "old" one')
    catalog = '"an ""old"" one"'
    location = "s3://bucket/lake/pings"
    assert f"CALL {catalog}.system.register_table('tables', 'pings', '{location}')" in found
    views = [place for place, statement in enumerate(found) if statement.startswith("CREATE OR REPLACE VIEW")]
    assert views and found.index(f"USE {catalog}.views") < views[0]


def test_spark_is_told_of_a_bucket_and_of_a_folder(filled: SmallLake) -> None:
    assert any("FROM delta.`s3a://bucket/lake/pings`" in statement for statement in told(filled, "spark"))
    assert any(f"FROM delta.`{filled.folder}/pings`" in s for s in told(filled, "spark", url=""))


def test_trino_is_not_told_of_a_folder(filled: SmallLake) -> None:
    with pytest.raises(BadRequest) as refused:
        told(filled, "trino", url="")
    assert refused.value.code == "lake_not_in_bucket"


@pytest.mark.parametrize("engine", ENGINES)
def test_of_an_empty_lake_there_is_nothing_to_tell(tmp_path: Path, engine: str) -> None:
    assert told(SmallLake(tmp_path), engine) == []
