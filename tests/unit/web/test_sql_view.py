"""What the SQL page shows of an answer and of the tables; its examples are those of the documentation."""

from __future__ import annotations

import io
from urllib.parse import parse_qsl, urlsplit

import msgspec
from tests.support.example_queries import examples
from tests.support.snippets import DOCS

from missioncontrol.errors import BadRequest
from missioncontrol.query.placeholders import filled
from missioncontrol.registry.load import load_registry
from missioncontrol.web.sql.examples import EXAMPLES
from missioncontrol.web.sql.tables import shown_tables
from missioncontrol.web.sql.view import SqlForm, error_place, read_form, short, shown_result

SHOWN_TOO = {
    "../README.md": ["Rates by version"],
    "how-to/sql-page.md": ["Crashes and hours by version"],
    "how-to/keep-it-small.md": ["Why pings were sent, out of their bodies"],
    "how-to/electron-crashes.md": ["The newest crashes"],
    "reference/tables.md": [
        "Clients with bounds",
        "Signatures of a version",
        "What was said of a release",
        "The same per hour, by the map and by the columns that stand beside it",
    ],
}
"""Pages that show some of the example queries, in DuckDB's SQL."""


def shown(columns: list[tuple[str, str]], rows: list[list[object]], complete: bool = True):  # type: ignore[no-untyped-def]
    names = [name for name, _ in columns]
    answer = {
        "columns": [{"name": name, "type": kind} for name, kind in columns],
        "results": [dict(zip(names, row, strict=True)) for row in rows],
    }
    return shown_result(io.BytesIO(msgspec.json.encode(answer)), complete, 0.5)


def test_values_are_shown_short_with_all_of_them_at_hand() -> None:
    columns = [
        ("d", "DOUBLE"),
        ("i", "BIGINT"),
        ("t", "VARCHAR"),
        ("m", "MAP(VARCHAR, DOUBLE)"),
        ("b", "BOOLEAN"),
    ]
    result = shown(
        columns, [[1 / 3, 20261126000000, "x" * 500, {"a": 1.5}, True], [0.5, None, "", None, False]]
    )
    first, second = result.rows
    assert (first[0].text, first[0].full) == ("0.333333", repr(1 / 3))
    assert first[1].text == "20261126000000"
    assert (len(first[2].text), len(first[2].full)) == (200, 500)
    assert (first[3].text, first[4].text) == ('{"a":1.5}', "true")
    assert (second[0].full, second[1].null, second[2].null) == ("", True, False)
    assert result.numeric == [True, True, False, False, False]


def test_wide_answers_are_cut_and_said_to_be() -> None:
    wide = shown([(f"c{n}", "BIGINT") for n in range(100)], [[1] * 100] * 400)
    assert (len(wide.rows), wide.complete) == (300, False)
    assert shown([("a", "BIGINT")], [[1]], complete=False).complete is False


def test_a_form_survives_its_link() -> None:
    form = read_form({"query": "SELECT {{a}}\r\n&+%\0", "dialect": "presto", "p_a": "x & y", "p_left": "1"})
    again = read_form(dict(parse_qsl(urlsplit(form.link).query)))
    assert (again.query, again.dialect, again.values) == ("SELECT {{a}}\n&+%", "presto", {"a": "x & y"})
    assert SqlForm("SELECT 1" + " " * 7000).link == ""
    assert SqlForm("{{a:date}} {{a:number}}").parameters == []
    assert short("SELECT\n  1") == "SELECT 1" and len(short("x" * 1000)) == 90


def test_the_place_of_an_error_is_read_from_its_message() -> None:
    assert error_place(BadRequest("sql_failed", "No such column (line 2, column 13)")) == ("2", "13")
    assert error_place(BadRequest("sql_failed", "A message (line up) of another kind")) is None


def test_tables_have_the_descriptions_of_the_registry_and_protected_columns_only_for_some() -> None:
    registry = load_registry()
    tables = {t.name: t for t in shown_tables(registry, "duckdb", False)}
    columns = {c.name: c for c in tables["error_aggregates"].columns}
    assert columns["main_crashes"].description == registry.measures["main_crashes"].description
    assert {"crash_free_users", "error_aggregates_v2", "aggregates"} <= tables.keys()
    assert "body" not in {c.name for c in tables["pings"].columns}
    with_protected = {t.name: t for t in shown_tables(registry, "duckdb", True)}
    assert next(c for c in with_protected["pings"].columns if c.name == "body").protected


def test_types_are_those_of_the_dialect() -> None:
    for dialect, expected in (("duckdb", "date"), ("presto", "text")):
        tables = {t.name: t for t in shown_tables(load_registry(), dialect, False)}
        assert (
            next(c.type for c in tables["crash_aggregates"].columns if c.name == "activity_date") == expected
        )


def test_the_queries_to_begin_with_are_those_of_the_documentation() -> None:
    documented = examples()
    for example in EXAMPLES:
        query = filled(example.form.query, example.form.values)
        assert (example.form.dialect, query) in documented[example.title], example.title


def test_what_other_pages_show_of_them_is_the_same() -> None:
    documented = examples()
    for page, titles in SHOWN_TOO.items():
        text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
        for title in titles:
            for dialect, query in documented[title]:
                assert dialect != "duckdb" or " ".join(query.split()) in text, f"{page}: {title}"
