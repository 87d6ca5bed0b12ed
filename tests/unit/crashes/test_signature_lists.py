"""Lists are text files: a user's stand in for the shipped ones, count at once, and cannot break what runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.crash_stacks import document

from missioncontrol.crashes.signature import Signatures, try_lists
from missioncontrol.crashes.signature.lists import KINDS, load_lists
from missioncontrol.errors import ConfigError

CRASH = document("raise", "Den::dig", "main")


def write(folder: Path, kind: str, text: str, profile: str = "general") -> Path:
    path = folder / profile / f"{kind}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("profile", ["general", "firefox"])
def test_shipped_lists_are_all_expressions_and_no_line_matches_everything(profile: str) -> None:
    lists = load_lists(profile)
    for kind in KINDS:
        shipped = getattr(lists, kind)
        assert shipped.lines
        if kind != "sentinels":
            assert not shipped.find("Otter::name_of_a_function_that_is_on_no_list")
            assert not any(re.match(line.text, "") for line in shipped.lines)


def test_no_line_of_the_general_lists_stands_twice() -> None:
    lists = load_lists("general")
    for kind in KINDS:
        texts = [line.text for line in getattr(lists, kind).lines]
        assert sorted({t for t in texts if texts.count(t) > 1}) == []


def test_every_sentinel_is_named_with_what_stands_below_it() -> None:
    lists = load_lists("general")
    for line in lists.sentinels.lines:
        assert lists.prefix.find(line.text), f"{line.where}: {line.text} would end the signature"


def test_a_users_list_counts_at_once(tmp_path: Path) -> None:
    signatures = Signatures(tmp_path)
    assert signatures.generate(CRASH).signature == "Den::dig"
    write(tmp_path, "irrelevant", "raise$\nDen::\n")
    assert signatures.generate(CRASH).signature == "main:7"
    write(tmp_path, "irrelevant", "# nothing is irrelevant\n")
    assert signatures.generate(CRASH).signature == "raise"
    (tmp_path / "general" / "irrelevant.txt").unlink()
    assert signatures.generate(CRASH).signature == "Den::dig"


def test_the_shipped_lines_can_be_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "prefix", "@shipped\nDen::\n")
    lists = load_lists("general", tmp_path)
    assert lists.prefix.names == (*load_lists("general").prefix.names, "Den::")
    line = lists.prefix.find("Den::dig")
    assert line is not None and line.where == f"{path}:2"
    assert Signatures(tmp_path).generate(CRASH).signature == "Den::dig | main:7"


def test_lists_of_one_profile_do_not_touch_another(tmp_path: Path) -> None:
    write(tmp_path, "irrelevant", "Den::\n", profile="firefox")
    assert Signatures(tmp_path).generate(CRASH, "general").signature == "Den::dig"
    assert "Den::dig" not in Signatures(tmp_path).generate(CRASH, "firefox").signature


def test_a_profile_of_ones_own_starts_from_the_general_lists(tmp_path: Path) -> None:
    assert Signatures(tmp_path).generate(CRASH, "otter").signature == "Den::dig"
    write(tmp_path, "irrelevant", "@shipped\nDen::\n", profile="otter")
    assert Signatures(tmp_path).generate(CRASH, "otter").signature == "main:7"


@pytest.mark.parametrize("profile", ["", "../x", "a/b", ".hidden", "x" * 100])
def test_a_profile_cannot_name_another_folder(tmp_path: Path, profile: str) -> None:
    with pytest.raises(ConfigError):
        Signatures(tmp_path).generate(CRASH, profile)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fine\nbad(\n", "unterminated"),
        ("fine\n(?P<name>x)\n", "not possible"),
        ("fine\n(x)\\1\n", "not possible"),
        ("fine\n(?i)x\n", "flags"),
    ],
)
def test_a_line_that_is_wrong_is_told_with_its_place_and_the_last_good_lists_stay(
    tmp_path: Path, text: str, problem: str
) -> None:
    signatures = Signatures(tmp_path)
    write(tmp_path, "irrelevant", "raise$\nDen::\n")
    assert signatures.generate(CRASH).signature == "main:7"
    path = write(tmp_path, "irrelevant", text)
    assert signatures.generate(CRASH).signature == "main:7"
    assert (
        f"{path}:2" in signatures.errors["general"].message
        and problem in signatures.errors["general"].message
    )
    assert Signatures(tmp_path).generate(CRASH).signature == "Den::dig", "at first, the shipped ones"
    write(tmp_path, "irrelevant", "raise$\n")
    assert signatures.generate(CRASH).signature == "Den::dig" and not signatures.errors


def test_lists_are_tried_on_crashes_before_they_are_in_force(tmp_path: Path) -> None:
    signatures = Signatures()
    path = tmp_path / "irrelevant.txt"
    path.write_text("@shipped\nDen::\n")
    documents = [CRASH, document("Burrow::dig") | {"uuid": "b"}]
    trials = list(try_lists(documents, signatures.engine("general"), signatures.engine_with("general", path)))
    assert [(t.uuid, t.old, t.new, t.same) for t in trials] == [
        (CRASH["uuid"], "Den::dig", "main:7", False),
        ("b", "Burrow::dig", "Burrow::dig", True),
    ]
    path.rename(tmp_path / "unknown.txt")
    with pytest.raises(ConfigError, match="does not say which list"):
        signatures.engine_with("general", tmp_path / "unknown.txt")
