"""Files of aggregates come from many writers: nulls, late columns and types must not depend on the first rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.import_aggregates import import_aggregates

START = "2018-03-28T02:05:00Z"
MANY = 40_000
"""Rows of more than a megabyte, which is what Arrow's readers look at first."""


def imported(tmp_path: Path, name: str, text: str, columns: str) -> list[tuple[object, ...]]:
    path = tmp_path / name
    path.write_text(text)
    import_aggregates(load_registry([]), LakeWriter(tmp_path / "lake"), "error_aggregates", path)
    snapshot = LakeReader(tmp_path / "lake", tmp_path / "cache").snapshot("error_aggregates")
    assert snapshot is not None
    files = [file.path for file in snapshot.files]
    return duckdb.sql(f"SELECT {columns} FROM read_parquet({files!r})").fetchall()


def test_namibia_is_a_country(tmp_path: Path) -> None:
    text = f"window_start,country\n{START},NA\n"
    assert imported(tmp_path, "rows.csv", text, "country") == [("NA",)]


def test_csv_measures_that_are_empty_or_whole_at_first_may_have_values_later(tmp_path: Path) -> None:
    early, late = f"{START},,2\n", f"{START},3,2.5\n"
    text = "window_start,main_crashes,usage_hours\n" + early * MANY + late
    sums = imported(tmp_path, "rows.csv", text, "sum(main_crashes), sum(usage_hours)")
    assert sums == [(3, 2 * MANY + 2.5)]


def test_ndjson_columns_may_come_late_and_change_from_null_or_whole_numbers(tmp_path: Path) -> None:
    early = f'{{"window_start":"{START}","usage_hours":2,"gpu_crashes":null}}\n'
    late = f'{{"window_start":"{START}","usage_hours":2.5,"gpu_crashes":4,"main_crashes":3}}\n'
    columns = "sum(main_crashes), sum(usage_hours), sum(gpu_crashes)"
    assert imported(tmp_path, "rows.ndjson", early * MANY + late, columns) == [(3, 2 * MANY + 2.5, 4)]


def test_integers_written_as_text_are_integers(tmp_path: Path) -> None:
    text = f'{{"window_start":"{START}","main_crashes":"3"}}\n'
    assert imported(tmp_path, "rows.ndjson", text, "main_crashes") == [(3,)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("grid.csv", "window_start\n2018-03-28T02:07:33Z\n", "start of a window"),
        ("half.csv", f"window_start,main_crashes\n{START},2.5\n", "main_crashes"),
        ("line.ndjson", f'{{"window_start":"{START}"}}\nno json\n', "line 2"),
        (
            "mixed.ndjson",
            f'{{"window_start":"{START}","count":1}}\n{{"window_start":"{START}","count":"x"}}\n',
            "count",
        ),
    ],
)
def test_a_file_with_one_wrong_row_is_refused_whole_and_told_where(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        imported(tmp_path, name, text, "*")
    snapshot = LakeReader(tmp_path / "lake", tmp_path / "cache").snapshot("error_aggregates")
    assert snapshot is not None and snapshot.files == ()


def test_rows_of_the_predecessors_view_are_taken_as_far_as_they_are_population_totals(tmp_path: Path) -> None:
    head = "window_start,window_end,submission_date_s3,channel,experiment_id,experiment_branch,count\n"
    row = f"{START},2018-03-28T02:10:00Z,20180328,release,"
    assert imported(tmp_path, "rows.csv", head + row + ",,3\n", "channel, count") == [("release", 3)]
    with pytest.raises(BadRequest, match="no population totals") as caught:
        imported(tmp_path, "more.csv", head + row + "exp,a,3\n", "count")
    assert "experiment_aggregates" in caught.value.hint


def test_hours_that_are_no_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="NaN"):
        imported(tmp_path, "rows.csv", f"window_start,usage_hours\n{START},inf\n", "usage_hours")
