"""A data folder that is not there is told, and not made by a command that was only given the wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.test_backfill_commands import Installation
from tests.support.pings import main_ping

pytestmark = pytest.mark.embedded_only("there is no data folder whose settings could name other places")

HINT = "Give its folder: --data DIR or MC_DATA."


@pytest.mark.parametrize(
    "arguments",
    [
        ("backfill",),
        ("registry", "backfill", "main_crashes", "--since", "2016-03-14"),
        ("sql", "SELECT 1"),
        ("jobs", "list"),
        ("jobs", "retry", "1"),
        ("lake", "tables"),
        ("lake", "retention"),
        ("lake", "expire"),
        ("lake", "compact"),
        ("lake", "vacuum"),
        ("lake", "publish-postgres", "postgresql://nobody@127.0.0.1:1/nothing"),
        ("stream", "--until-idle"),
    ],
)
def test_a_command_on_a_folder_that_is_not_there_says_so_and_makes_none(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    _, complaint = Installation(tmp_path).run(*arguments, code=1)
    assert complaint.splitlines() == [f"Error: There is no installation in {tmp_path / 'data'}.", HINT]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "arguments", [("registry", "list"), ("registry", "check"), ("lake", "schema"), ("config", "show")]
)
def test_what_needs_no_installation_makes_none_either(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    Installation(tmp_path).run(*arguments)
    assert not (tmp_path / "data" / "lake").exists()


def test_an_import_begins_an_installation_and_an_empty_folder_is_one(tmp_path: Path) -> None:
    empty = Installation(tmp_path / "empty")
    (tmp_path / "empty" / "data").mkdir(parents=True)
    assert json.loads(
        empty.run("sql", "--format", "json", "SELECT count(*) AS n FROM error_aggregates")[0]
    ) == [{"n": 0}]
    begun = Installation(tmp_path)
    begun.take(
        {
            **main_ping(),
            "meta": {
                "Timestamp": 1457950000 * 10**9,
                "submissionDate": "20160314",
                "docType": "main",
                "documentId": "a",
            },
        }
    )
    assert "pings" in begun.run("lake", "tables")[0]


@pytest.mark.parametrize("command", ["retention", "expire"])
def test_a_day_that_is_none_is_told_as_everywhere(tmp_path: Path, command: str) -> None:
    _, complaint = Installation(tmp_path).run("lake", command, "--as-of", "yesterday", code=2)
    assert "'yesterday' is no day; as in 2016-03-14 or 20160314." in complaint


def test_the_help_says_which_days_are_meant_when_none_are_given(tmp_path: Path) -> None:
    said = " ".join(Installation(tmp_path).run("backfill", "--help")[0].split())
    assert "First day [yesterday, or the last day if that is earlier]." in said
    assert "Last day [yesterday, or the first day if that is later]." in said
