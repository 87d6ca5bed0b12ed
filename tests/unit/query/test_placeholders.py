"""Parameters of a query become literals, wherever they stand, whatever they hold."""

from __future__ import annotations

import duckdb
import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.query.placeholders import Placeholder, filled, placeholders

HOSTILE = "x'; DROP TABLE t; -- {{b}}"


def test_a_value_is_a_literal_and_comes_out_as_it_went_in() -> None:
    query = "SELECT {{a}}, '%{{ a }}%', {{n:number}}, {{d:date}}, 2 -{{n:number}}"
    values = {"a": HOSTILE, "n": "-1.5", "d": "2026-01-31"}
    row = duckdb.connect().execute(filled(query, values)).fetchone()
    assert row is not None
    assert [str(v) for v in row] == [HOSTILE, f"%{HOSTILE}%", "-1.5", "2026-01-31", "3.5"]


def test_comments_and_quoted_names_hold_none() -> None:
    query = """SELECT 1 AS "{{a}}" -- {{b}}\n/* {{c}} */ , '{{d}}', {'k': {'a': 1}}"""
    assert placeholders(query) == [Placeholder("d")]
    assert filled(query, {"d": "it's"}) == query.replace("{{d}}", "it''s")


def test_one_with_a_type_has_it_everywhere_and_two_types_are_refused() -> None:
    assert placeholders("{{a}} {{a:number}} {{b:date}}") == [
        Placeholder("a", "number"), Placeholder("b", "date"),
    ]  # fmt: skip
    with pytest.raises(BadRequest) as refusal:
        placeholders("{{a:number}} {{a:date}}")
    assert refusal.value.code == "bad_parameter"


@pytest.mark.parametrize(
    ("query", "values", "code"),
    [
        ("{{a}}", {}, "missing_parameter"),
        ("{{a:number}}", {"a": " "}, "missing_parameter"),
        ("{{a:number}}", {"a": "1; SELECT 2"}, "bad_parameter"),
        ("{{a:number}}", {"a": "1e999"}, "bad_parameter"),
        ("{{a:number}}", {"a": "٣"}, "bad_parameter"),
        ("{{a:date}}", {"a": "2026-02-30"}, "bad_parameter"),
        ("{{a}}", {"a": "x" * 1001}, "bad_parameter"),
        ("{{a}}", {"a": "\0"}, "bad_parameter"),
        (" ".join(f"{{{{a{n}}}}}" for n in range(31)), {}, "bad_parameter"),
    ],
)
def test_a_wrong_value_is_refused(query: str, values: dict[str, str], code: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        filled(query, values)
    assert refusal.value.code == code


def test_an_empty_text_is_a_value() -> None:
    assert filled("SELECT {{a}}", {"a": ""}) == "SELECT ''"
