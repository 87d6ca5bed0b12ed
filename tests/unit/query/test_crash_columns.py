"""Where fields of crashes live: those that come declared in columns of their own, by type and by mark."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.crash_lake import CrashLake, crash_id

from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.index import crash_row, home_of
from missioncontrol.errors import Forbidden
from missioncontrol.lake.tables import lake_tables
from missioncontrol.registry.load import load_registry

COLUMNS = {c.name: c for c in lake_tables(load_registry())["crashes"].columns}
KINDS = {
    "bool": "bool", "integer": "int64", "number": "float64", "date": "timestamp", "list": "string", "text": "string",
}  # fmt: skip


def test_every_shipped_searchable_field_is_a_column_of_its_type_and_mark() -> None:
    for field in load_fields():
        if field.search and field.name != "uuid":
            column = COLUMNS[field.name]
            assert (column.type, column.protected) == (KINDS[field.type], field.access == "protected"), (
                field.name
            )


def test_every_column_is_a_field() -> None:
    known = {field.name for field in load_fields()}
    assert set(COLUMNS) - known == {"submission_date", "revision", "fields", "protected_fields"}


def test_what_a_declaration_protects_leaves_its_public_column(tmp_path: Path) -> None:
    lake = CrashLake(tmp_path / "data", '[field.theme]\naccess = "protected"\n')
    field = lake.services.crash_fields()["theme"]
    assert home_of(field, COLUMNS["theme"]) == "protected_fields"
    lake.add({"signature": "A", "theme": "dark"})
    assert lake.signatures("theme=dark") == "A"
    with pytest.raises(Forbidden):
        lake.search("theme=dark", protected=False)
    lake.close()


def test_what_a_declaration_makes_public_can_be_searched_by_all(tmp_path: Path) -> None:
    lake = CrashLake(tmp_path / "data", '[field.url]\naccess = "public"\noverride = true\n')
    lake.add({"signature": "A", "url": "https://example.org/"})
    assert lake.search("url=^https", protected=False).total == 1
    lake.close()


def test_a_list_that_is_too_long_keeps_its_first_items() -> None:
    many = [f"addon{n}@example.org:{n}" for n in range(3000)]
    row = crash_row({"uuid": crash_id(1), "addons": many}, load_fields(), tuple(COLUMNS.values()))
    assert len(row["addons"]) <= 32_766
    assert row["addons"].startswith('["addon0@example.org:0",')
    assert row["addons"].endswith('"]')
