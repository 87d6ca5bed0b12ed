import datetime as dt
import io
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest

from missioncontrol.query.formats import unique_names, write
from missioncontrol.query.plain import plain
from missioncontrol.query.rows import Deadline, ResultColumn, Rows


class Cursor:
    """Rows that are made up while they are read."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.largest = 0

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        taken = min(size, self.left)
        self.left -= taken
        self.largest = max(self.largest, taken)
        return [("ü", 1.5, None)] * taken

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


COLUMNS = (ResultColumn("s", "string"), ResultColumn("f", "float64"), ResultColumn("n", "int64"))


def written(count: int, form: str, limit: int | None = None, **more: Any) -> tuple[bytes, Rows]:
    cursor = cast(Any, Cursor(count))
    sink = io.BytesIO()
    with Rows(cursor, COLUMNS, Deadline(cursor, 60), limit) as rows:
        write(rows, form, sink, **more)
    assert cursor.largest <= 2000
    return sink.getvalue(), rows


def test_json_is_a_list_of_objects() -> None:
    assert written(2, "json")[0] == '[{"s":"ü","f":1.5,"n":null},{"s":"ü","f":1.5,"n":null}]\n'.encode()


@pytest.mark.parametrize(
    ("envelope", "body"),
    [
        ("list", b"[]\n"),
        ("results", b'{"results":[],"complete":true}'),
        (
            "columns",
            b'{"columns":[{"name":"s","type":"string"},{"name":"f","type":"float64"},{"name":"n","type":"int64"}],'
            b'"results":[],"complete":true}',
        ),
    ],
)
def test_no_rows_are_an_empty_list(envelope: str, body: bytes) -> None:
    assert written(0, "json", envelope=envelope)[0] == body


def test_a_cut_says_where() -> None:
    body, rows = written(5000, "json", 2500, envelope="results")
    assert body.endswith(b'],"complete":false,"limit":2500}')
    assert (rows.count, rows.complete) == (2500, False)


@pytest.mark.parametrize(("count", "limit"), [(1, 1), (2000, 2000), (4000, 4000), (2001, 2001)])
def test_as_many_rows_as_the_limit_are_complete(count: int, limit: int) -> None:
    _, rows = written(count, "ndjson", limit)
    assert (rows.count, rows.complete) == (count, True)


def test_csv_has_a_header_even_without_rows() -> None:
    assert written(0, "csv")[0] == b"s,f,n\r\n"
    assert written(1, "csv")[0] == "s,f,n\r\nü,1.5,\r\n".encode()


def test_a_table_ends_and_says_so() -> None:
    body = written(1500, "table")[0].decode()
    assert "The first 1000 rows" in body
    assert body.count("ü") == 1000


def test_repeated_names_are_numbered_without_a_new_clash() -> None:
    names = unique_names([ResultColumn(n, "") for n in ("a", "a", "a_1", "a")])
    assert len(set(names)) == 4
    assert names[0] == "a"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("NaN"), None),
        (Decimal("1.50"), Decimal("1.50")),
        (2**100, 2**100),
        (b"\xaa", "qg=="),
        (
            dt.datetime(2018, 3, 28, 12),  # noqa: DTZ001 - as DuckDB gives it
            "2018-03-28T12:00:00Z",
        ),
        (dt.datetime(2018, 3, 28, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2018-03-28T10:00:00Z"),
        (dt.date(2018, 3, 28), "2018-03-28"),
        (dt.timedelta(days=1), "P1D"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({dt.date(2018, 3, 28): [float("nan")], 7: {"a": b""}}, {"2018-03-28": [None], "7": {"a": ""}}),
    ],
)
def test_values_become_what_json_can_hold(value: Any, text: Any) -> None:
    assert plain(value) == text
