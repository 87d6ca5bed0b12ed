"""The place of an error is where DuckDB marks it, also in lines that it shows only a part of."""

from __future__ import annotations

import duckdb
import pytest

from missioncontrol.query.error_place import place

LONG = f"SELECT {', '.join(str(n) for n in range(80))}, foo, {', '.join('1' for _ in range(80))}"


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("SELECT 1 +\n  foo FROM range(3)", "foo"),
        ("SELECT 1 FROM\n WHERE x", "WHERE"),
        (LONG, "foo"),
        ("SELECT 'LINE 7: x',\n\n nowhere", "nowhere"),
    ],
)
def test_it_is_found(query: str, marked: str) -> None:
    with pytest.raises(duckdb.Error) as error:
        duckdb.connect().execute(query)
    found = place(str(error.value), query)
    assert found is not None
    line, column = found
    assert query.split("\n")[line - 1][column - 1 :].startswith(marked)


@pytest.mark.parametrize("message", ["", "no line", "x\nLINE 9: y\n        ^", "x\nLINE 1: other\n        ^"])
def test_what_marks_nothing_of_the_query_has_none(message: str) -> None:
    assert place(message, "SELECT y") is None
