"""Experiments: who is compared with whom, what is told, and what is drawn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.build_days import experiment_rows
from tests.support.form import scaled
from tests.support.small_channel import SmallChannel

from missioncontrol.errors import BadRequest
from missioncontrol.query.experiment_sums import Branch, Experiment
from missioncontrol.registry.load import load_registry
from missioncontrol.web.builds.view import interval_words, rate_words
from missioncontrol.web.experiments.compare import Numbers, base_of, branches_of, compare_experiment
from missioncontrol.web.experiments.pages import read_experiment_wanted
from missioncontrol.web.experiments.source import LakeExperiments
from missioncontrol.web.experiments.view import ExperimentWanted, build_experiment

END = datetime(2026, 3, 20, 22, 5, tzinfo=UTC)
REGISTRY = load_registry()
Made = tuple[LakeExperiments, Experiment]


def made(folder: Path, rows: list[dict[str, Any]]) -> Iterator[Made]:
    channel = SmallChannel(folder)
    channel.take(rows, "experiment_aggregates")
    source = LakeExperiments(channel.services.engine)
    yield source, source.current(END)[0]
    channel.services.close()


@pytest.fixture(scope="module")
def bad_branch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    rows = experiment_rows(END, {"control": 1.0, "crashes": 2.0, "same": 1.0}, days=4)
    yield from made(tmp_path_factory.mktemp("bad"), rows)


def numbers(of: Made, against: str = "", measure: str = "main_crashes") -> Numbers:
    source, one = of
    return compare_experiment(source, REGISTRY, one, base_of(branches_of(one), against), measure)


def test_the_branch_that_crashes_is_told_and_no_other(bad_branch: Made) -> None:
    found = numbers(bad_branch)
    assert [branch.name for branch in found.branches] == ["control", "crashes", "same"] and found.base == 0
    assert found.comparisons == 4
    answers = {
        (row.measure, branch.name): cell.difference.answer
        for row in found.rows
        for branch, cell in zip(found.branches, row.cells, strict=True)
        if cell.difference
    }
    assert answers.pop(("main_crashes", "crashes")) == "more"
    assert set(answers.values()) <= {"same", "too-early"} and len(answers) == 3


def test_against_another_branch_ratios_turn_round(bad_branch: Made) -> None:
    there, back = numbers(bad_branch), numbers(bad_branch, "crashes")
    one, other = there.rows[0].cells[1].difference, back.rows[0].cells[0].difference
    assert one and other and one.ratio and other.ratio
    assert one.ratio * other.ratio == pytest.approx(1) and other.answer == "less"


def test_the_course_ends_at_the_table_and_covers_the_experiment(bad_branch: Made) -> None:
    found = numbers(bad_branch)
    course = next(one for one in found.timelines if one.branch == 1)
    told = found.rows[0].cells[1].difference
    assert told and course.points[-1].ratio == pytest.approx(told.ratio)
    assert course.points[-1].low == pytest.approx(told.low) and course.points[-1].hours >= 95


def test_it_is_told_by_users_of_every_dimension_that_differs(bad_branch: Made) -> None:
    found = numbers(bad_branch)
    assert {(row.dimension, row.value) for row in found.slices} == {
        ("os_name", "Windows_NT"), ("os_name", "Darwin"), ("os_name", "Linux"),
        ("country", "DE"), ("country", "US"), ("country", "FR"),
    }  # fmt: skip
    windows = next(row for row in found.slices if row.value == "Windows_NT")
    assert windows.ratios[0] is None and windows.ratios[1] and windows.ratios[1].low
    assert windows.ratios[1].low > 1


def test_the_page_says_it_in_words(bad_branch: Made) -> None:
    wanted = ExperimentWanted("pref-flip-tabs", "main_crashes")
    view = build_experiment(wanted, REGISTRY, bad_branch[1], numbers(bad_branch))
    assert view.heading == "1 of 4 comparisons differ" and view.base == "control"
    ((mark, words, href),) = view.said
    assert mark.verdict == "worse" and words.startswith("crashes: Main crashes ") and "of control" in words
    assert href == "/experiments/pref-flip-tabs?measure=main_crashes#course"
    assert [title for title, _ in view.plots] == ["crashes", "same"]
    assert [row.branch for row in view.blocks[0].rows] == ["control", "crashes", "same"]


def test_one_branch_and_branches_without_a_name(tmp_path: Path) -> None:
    alone = next(made(tmp_path / "alone", experiment_rows(END, {"only": 1.0}, days=1)))
    found = numbers(alone)
    view = build_experiment(ExperimentWanted("pref-flip-tabs"), REGISTRY, alone[1], found)
    assert view.heading.startswith("One branch only") and not found.timelines and len(found.rows) == 2
    rows = [
        *experiment_rows(END, {"b": 1.0}, days=1),
        *experiment_rows(END, {"x": 1.0}, days=1, experiment_branch=None),
    ]
    unnamed = next(made(tmp_path / "unnamed", rows))
    assert [branch.name for branch in numbers(unnamed).branches] == ["b", None]
    assert numbers(unnamed, "~").base == 1


def test_a_branch_of_few_hours_has_open_ends(tmp_path: Path) -> None:
    rows = experiment_rows(END, {"control": 1.0}, days=2)
    start = END.replace(minute=0) - timedelta(hours=3)
    few = {
        **rows[0],
        "experiment_branch": "few",
        "window_start": start,
        "usage_hours": 0.1,
        "main_crashes": 0,
    }
    found = numbers(next(made(tmp_path / "few", [*rows, few])))
    told = found.rows[0].cells[1].difference
    assert told and told.answer == "too-early" and told.ratio == 0 and told.low == 0


def test_the_control_is_found_by_its_name_or_has_most_usage() -> None:
    def branch(name: str | None, hours: float) -> Branch:
        return Branch(name, END, END, hours)

    branches = [branch("a", 1.0), branch("Control", 2.0), branch("b", 3.0), branch(None, 4.0)]
    assert base_of(branches, "") == 1 and base_of(branches, "b") == 2 and base_of(branches, "~") == 3
    assert base_of(branches, "nobody") == -1 and base_of([branches[0], branches[2]], "") == 1


def test_of_many_branches_those_with_most_usage_are_compared() -> None:
    many = Experiment("x", [Branch(f"b{n:02d}", END, END, 100.0 - n) for n in range(40)], [])
    assert [branch.name for branch in branches_of(many)] == [f"b{n:02d}" for n in range(12)]


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("branch", "x")], "unknown_parameter"),
        ([("against", "a"), ("against", "b")], "repeated_parameter"),
        ([("measure", "count")], "unknown_measure"),
    ],
)
def test_wrong_parameters_are_refused(pairs: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_experiment_wanted("x", pairs, REGISTRY)
    assert caught.value.code == code and caught.value.hint


def test_open_intervals_have_words() -> None:
    assert interval_words(1.2, 3.0) == "1.20× to 3.00×" and interval_words(0, 2.0) == "up to 2.00×"
    assert interval_words(2.0, None) == interval_words(2.0, 300.0) == "2.00× and more"
    assert interval_words(0, None) == interval_words(0.001, 2415) == "not known yet"
    assert interval_words(None, None) == "–"
    assert rate_words(18.4, 21.25) == "18.40 to 21.25" and rate_words(0, 3) == "up to 3.00"
    assert rate_words(0.11, 943) == rate_words(0.5, None) == "too few to say" and rate_words(None, None) == ""


def test_what_is_new_is_there_at_once_and_what_was_read_is_kept(tmp_path: Path) -> None:
    channel = SmallChannel(tmp_path)
    source = LakeExperiments(channel.services.engine)
    assert source.current(END) == []
    rows = experiment_rows(END, {"control": 1.0, "b": 1.0}, days=1)
    channel.take(rows[: len(rows) // 2], "experiment_aggregates")
    (one,) = source.current(END)
    _, first = source.by_time(one, ("usage_hours",))
    channel.take(rows[len(rows) // 2 :], "experiment_aggregates")
    if scaled():  # a table in a bucket is asked for news four times a second
        time.sleep(0.3)
    (later,) = source.current(END)
    assert later.hours == pytest.approx(sum(row["usage_hours"] for row in rows)) and later.hours > one.hours
    _, again = source.by_time(one, ("usage_hours",))
    assert {id(row) for row in first} < {id(row) for row in again}
    channel.services.close()
