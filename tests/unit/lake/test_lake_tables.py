"""The tables of the lake follow from the registry alone."""

from __future__ import annotations

import subprocess
import sys

from missioncontrol.lake.tables import lake_tables


def test_error_aggregates_has_window_date_every_enabled_dimension_and_every_measure(registry_of):
    table = lake_tables(registry_of(gc_pauses="int64"))["error_aggregates"]
    assert [(c.name, c.type) for c in table.columns] == [
        ("window_start", "timestamp"),
        ("submission_date", "date"),
        *(
            (name, "string")
            for name in ("channel", "application", "version", "build_id", "os_name", "country")
        ),
        ("count", "int64"),
        ("usage_hours", "float64"),
        ("gc_pauses", "int64"),
    ]
    assert table.summed == ("count", "usage_hours", "gc_pauses")
    assert table.sort_by == ("channel", "os_name", "version", "window_start")


def test_application_is_a_column_of_experiment_aggregates_once(registry_of):
    table = lake_tables(registry_of())["experiment_aggregates"]
    assert [c.name for c in table.columns] == [
        "window_start",
        "submission_date",
        "application",
        "channel",
        "experiment_id",
        "experiment_branch",
        "count",
        "usage_hours",
    ]


def test_only_numbers_that_are_no_keys_are_summed(registry_of):
    tables = lake_tables(registry_of())
    assert tables["usage_by_activity"].summed == ("usage_hours", "starts")
    assert "arrival_length_s" in tables["usage_by_activity"].keys
    assert tables["discards"].summed == ("count",)
    assert tables["pings"].summed == ()
    assert not tables["pings"].sums


def test_pings_are_partitioned_by_day_and_document_type(registry_of):
    tables = lake_tables(registry_of())
    assert tables["pings"].partition_by == ("submission_date", "doc_type")
    assert {t.partition_by for n, t in tables.items() if n != "pings"} == {("submission_date",)}


def test_sorting_leaves_out_dimensions_that_are_not_declared(registry_of):
    table = lake_tables(registry_of(dimensions=("version",)))["error_aggregates"]
    assert table.sort_by == ("version", "window_start")


def test_neither_tables_nor_snapshots_import_arrow_or_duckdb():
    code = (
        "import sys, missioncontrol.lake.tables, missioncontrol.lake.snapshot;"
        "sys.exit(bool({'pyarrow', 'duckdb', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
