"""Files of aggregates come from many writers: nulls, late columns and types must not depend on the first rows."""

from __future__ import annotations

import gzip
import json
import resource
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
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


def parquet(tmp_path: Path, **columns: object) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"window_start": [START], **{name: [v] for name, v in columns.items()}}), path)
    return path


def take(tmp_path: Path, path: Path, table: str = "error_aggregates") -> int:
    return import_aggregates(load_registry([]), LakeWriter(tmp_path / "lake"), table, path).rows


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("main_crashes", -1, "is below 0"),
        ("main_crashes", 2**62, "is above 1,099,511,627,776"),
        ("main_crashes", 10**30, "cannot be a whole number"),
        ("main_crashes", 2.5, "cannot be a whole number"),
        ("main_crashes", "many", "cannot be a whole number"),
        ("main_crashes", True, "cannot be a whole number"),
        ("main_crashes", [1], "cannot be a whole number"),
        ("usage_hours", -0.5, "is below 0"),
        ("usage_hours", 1e300, "is above 8,000,000"),
        ("window_start", "9999-12-31T23:55:00Z", "is more than a year in the future"),
        ("window_start", "1989-12-31T23:55:00Z", "is before 1990"),
        ("window_start", 1522202700, "cannot be a time"),
        ("window_start", "yesterday", "cannot be a time"),
        ("version", 60.0, "cannot be a text"),
        ("version", "9" * 201, "is longer than 200 characters"),
    ],
)
def test_a_value_that_no_row_can_have_is_refused_by_file_row_column_and_value(
    tmp_path: Path, column: str, value: object, why: str
) -> None:
    fine = {"window_start": START, "main_crashes": 1, "usage_hours": 1.5, "version": "60.0"}
    lines = [json.dumps(fine)] * 3 + [json.dumps({**fine, column: value})] + [json.dumps(fine)]
    with pytest.raises(BadRequest) as caught:
        imported(tmp_path, "rows.ndjson", "\n".join(lines), "*")
    assert caught.value.code == "import_value"
    shown = str(value)[:80]
    assert f"rows.ndjson: row 4, column `{column}`: '{shown}" in caught.value.message
    assert why in caught.value.message
    assert caught.value.hint
    snapshot = LakeReader(tmp_path / "lake", tmp_path / "cache").snapshot("error_aggregates")
    assert snapshot is not None and snapshot.files == ()


def test_what_was_written_before_a_wrong_row_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("missioncontrol.telemetry.import_aggregates._STAGE_ROWS", 2)
    text = "window_start,main_crashes\n" + f"{START},2\n" * 2 * MANY + f"{START},-7\n"
    with pytest.raises(BadRequest, match="is below 0"):
        imported(tmp_path, "rows.csv", text, "*")
    assert not list((tmp_path / "lake" / "error_aggregates").rglob("*.parquet"))


def test_a_wrong_row_is_told_by_its_number_in_the_whole_file(tmp_path: Path) -> None:
    text = "window_start,main_crashes\n" + f"{START},2\n" * 3 * MANY + f"{START},-7\n"
    with pytest.raises(BadRequest, match=rf"row {3 * MANY + 1:,}, column `main_crashes`: '-7' is below 0"):
        imported(tmp_path, "rows.csv", text, "*")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_parquet_with_no_number_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(BadRequest, match=r"row 1, column `usage_hours`: '.*' is NaN or infinite"):
        take(tmp_path, parquet(tmp_path, usage_hours=value))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", None])
@pytest.mark.parametrize("ticks", [2**62, -(2**62)])
def test_times_that_no_calendar_has_are_refused(
    tmp_path: Path, unit: str, zone: str | None, ticks: int
) -> None:
    times = pa.array([ticks], pa.timestamp(unit, zone))
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"window_start": times}), path, version="2.6")
    with pytest.raises(BadRequest, match="row 1, column `window_start`"):
        take(tmp_path, path)


def test_intervals_of_activity_have_bounds_too(tmp_path: Path) -> None:
    for name, value in (("arrival_hour", "9999-01-01T00:00:00Z"), ("activity_hour", "1970-01-01T00:00:00Z")):
        line = {"arrival_hour": START, "activity_hour": START, "usage_hours": 1.0, name: value}
        path = tmp_path / f"{name}.ndjson"
        path.write_text(json.dumps(line))
        with pytest.raises(BadRequest, match=f"row 1, column `{name}`"):
            take(tmp_path, path, "usage_by_activity")
    for length in (0, -300, 2**40):
        path = tmp_path / f"{length}.ndjson"
        path.write_text(json.dumps({"arrival": START, "arrival_length_s": length, "usage_hours": 1.0}))
        with pytest.raises(BadRequest, match="row 1, column `arrival_length_s`"):
            take(tmp_path, path, "usage_by_activity")


def test_a_column_without_any_value_is_missing(tmp_path: Path) -> None:
    line = f'{{"window_start":"{START}","usage_hours":null,"main_crashes":null,"version":null}}\n'
    assert (
        imported(tmp_path, "rows.ndjson", line * 2, "usage_hours, main_crashes, version") == [(None,) * 3] * 2
    )
    (tmp_path / "csv").mkdir()
    text = f"window_start,usage_hours,main_crashes,version\n{START},,,\n"
    assert imported(tmp_path / "csv", "rows.csv", text, "usage_hours, main_crashes, version") == [(None,) * 3]
    path = parquet(tmp_path, usage_hours=None, main_crashes=None, version=None)
    (tmp_path / "parquet").mkdir()
    assert take(tmp_path / "parquet", path) == 1


def test_types_that_differ_from_row_to_row_are_judged_one_by_one(tmp_path: Path) -> None:
    line = '{{"window_start":"{}","main_crashes":{},"version":{}}}\n'
    text = line.format(START, 3, '"60.0"') + line.format(START, '"4"', 61)
    assert imported(tmp_path, "rows.ndjson", text, "main_crashes, version") == [(3, "60.0"), (4, "61")]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    text = f"window_start,main_crashes,main_crashes\n{START},1,2\n"
    with pytest.raises(BadRequest, match="several columns `main_crashes`"):
        imported(tmp_path, "rows.csv", text, "*")


@pytest.mark.parametrize("name", ["rows.ndjson.gz", "rows.csv.gz"])
def test_a_packed_file_that_ends_early_is_refused_whole(tmp_path: Path, name: str) -> None:
    text = f'{{"window_start":"{START}","main_crashes":1}}\n' * MANY
    if "csv" in name:
        text = "window_start,main_crashes\n" + f"{START},1\n" * MANY
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode())[:-20])
    with pytest.raises(BadRequest) as caught:
        take(tmp_path, path)
    assert caught.value.code in ("import_unreadable", "import_value")


@pytest.mark.parametrize("name", ["rows.ndjson.gz", "rows.csv.gz"])
def test_a_small_file_that_unpacks_to_one_endless_line_is_refused_without_holding_it(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", 9) as file:
        for _ in range(128):
            file.write(b"9" * (1 << 21))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadRequest):
        take(tmp_path, path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; the line has 256 MiB


def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path: Path) -> None:
    text = f'window_start,version,main_crashes\n{START},60.0,1\n{START},"61.0,2\n{START},62.0,3\n'
    with pytest.raises(
        BadRequest, match=r"row 2, column `version`: '61\.0,2\\n.* has a line break"
    ) as caught:
        imported(tmp_path, "rows.csv", text + f'{START},"63.0",4\n', "*")
    assert "quote" in caught.value.hint


def test_what_a_file_holds_is_told_without_what_a_terminal_obeys(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        imported(tmp_path, "rows.csv", f"window_start\n{START},\x1b]0;owned\x07\n", "*")
    assert caught.value.code == "import_unreadable" and caught.value.message.isprintable()
    with pytest.raises(BadRequest) as caught:
        imported(tmp_path, "more.ndjson", json.dumps({"window_start": START, "\x1b[2J": 1}), "*")
    assert caught.value.code == "import_column" and caught.value.message.isprintable()
