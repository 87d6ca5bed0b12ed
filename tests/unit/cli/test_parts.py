"""Which parts of the server run, and what is said of them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from missioncontrol.cli.parts import ALL, PARTS, completed, told
from missioncontrol.cli.serve import command


@pytest.mark.parametrize(
    ("named", "parts", "added"),
    [
        ("web", "web", ""),
        ("crashes", "crashes", ""),
        ("web,crashes", "collector,web,stream,crashes", "collector,stream"),
        ("web,crashes,collector", "collector,web,stream,crashes", "stream"),
        ("edge,crashes,web", "edge,web,crashes", ""),
        ("collector", "collector", ""),
    ],
)
def test_what_is_of_no_use_alone_gets_what_it_lacks(named: str, parts: str, added: str) -> None:
    chosen = completed(named.split(","))
    assert ",".join(chosen.parts) == parts
    assert ",".join(chosen.added) == added


def test_everything_is_told_in_a_line() -> None:
    assert told(completed(ALL)) == "Runs: edge, web, stream, crashes, jobs."


def test_the_help_explains_every_part() -> None:
    said = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    for part, meaning in PARTS.items():
        assert f"{part} {meaning}" in said
