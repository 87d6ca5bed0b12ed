"""The overview of verdicts and the page of a calibration."""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec
import pytest
from tests.support.courses import outcome_of

from missioncontrol.errors import BadRequest
from missioncontrol.health.calibration import PastRelease, calibrated
from missioncontrol.health.model import Account, Course, Explanation
from missioncontrol.web.verdicts.calibration import build_calibration
from missioncontrol.web.verdicts.listed import VerdictsView, Wanted, build_verdicts, read_wanted


def account(
    course: Course, verdict: str, version: str, evidence: float = 0.0, measure: str = "main_crashes"
) -> Account:
    look = msgspec.structs.replace(course.account.look, verdict=verdict, evidence=evidence)
    subject = msgspec.structs.replace(course.account.subject, version=version, measure=measure)
    return msgspec.structs.replace(course.account, subject=subject, look=look)


def listed(accounts: list[Account], **wanted: str) -> VerdictsView:
    now = max((one.look.as_of for one in accounts), default=None)
    return build_verdicts(accounts, Wanted(**wanted), str.title, now + timedelta(minutes=1) if now else None)  # type: ignore[arg-type]


def test_what_needs_attention_comes_first(fine: Course) -> None:
    given = [
        account(fine, "same", "9.0"), account(fine, "worse", "8.0", 3.0), account(fine, "worse", "7.0", 30.0),
        account(fine, "too-early", "9.0b10"), account(fine, "too-early", "9.0b9"), account(fine, "data-problem", "6.0"),
        account(fine, "brand-new", "5.0"),
    ]  # fmt: skip
    view = listed(given)
    assert [(row.mark.verdict, row.version) for row in view.rows] == [
        ("worse", "7.0"), ("worse", "8.0"), ("data-problem", "6.0"), ("too-early", "9.0b10"), ("too-early", "9.0b9"),
        ("same", "9.0"), ("brand-new", "5.0"),
    ]  # fmt: skip
    assert [(mark.word, count) for mark, count in view.counts] == [
        ("Worse", 2), ("Data problem", 1), ("Too early", 2), ("Same", 1),
    ]  # fmt: skip


def test_filters_narrow_the_rows_and_not_what_can_be_chosen(fine: Course) -> None:
    given = [
        account(fine, "worse", "1.0"),
        account(fine, "same", "1.0", measure="hangs"),
        account(fine, "same", "2.0"),
    ]
    view = listed(given, verdict="same", measure="main_crashes")
    assert [(row.version, row.measure) for row in view.rows] == [("2.0", "main_crashes")]
    assert [(mark.verdict, count) for mark, count in view.counts] == [("worse", 1), ("same", 1)]
    assert view.filters == ["measure"] and view.choices["measure"] == ["hangs", "main_crashes"]
    assert view.wanted.url(verdict="worse") == "/verdicts?measure=main_crashes&verdict=worse"
    assert Wanted().url() == "/verdicts"


def test_a_verdict_on_some_users_shows_their_ratio_and_that_of_everyone(fine: Course) -> None:
    one = account(fine, "worse", "1.0", 4.0)
    look = msgspec.structs.replace(one.look, slice={"os_name": "Linux"})
    best = Explanation({"os_name": "Linux"}, 40.0, 2.5, 2.0, 3.1, 0.97, 0.9, 1.04, 0.9)
    (row,) = listed([msgspec.structs.replace(one, look=look, explanations=[best])]).rows
    assert (row.ratio, row.low, row.high, row.everyone) == (2.5, 2.0, 3.1, one.look.ratio)
    (row,) = listed([one]).rows
    assert (row.ratio, row.everyone) == (one.look.ratio, None)


def test_nothing_yet() -> None:
    view = listed([])
    assert not view.any and view.rows == [] and view.counts == [] and view.filters == []


@pytest.mark.parametrize("pair", [("colour", "red"), ("verdict", "terrible")])
def test_what_cannot_be_asked_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(BadRequest):
        read_wanted([pair])
    assert read_wanted([("verdict", ""), ("format", "json"), ("channel", "beta")]) == Wanted(channel="beta")


def test_a_calibration_says_who_said_what_and_what_was_wrong(fine: Course, bad: Course) -> None:
    at = fine.account.published_at
    past = [
        (PastRelease("1.0", at), fine), (PastRelease("2.0", at + timedelta(days=1)), bad),
        (PastRelease("3.0", at + timedelta(days=2), "worse", "crashed", "ann"), bad),
        (PastRelease("4.0", at + timedelta(days=3), "worse", "", "ann"), fine),
        (PastRelease("5.0", at + timedelta(days=4), "worse"), bad),
        (PastRelease("6.0", at + timedelta(days=5), "excluded", "", "ann"), fine),
    ]  # fmt: skip
    made = calibrated(
        "Firefox", "release", "main_crashes", [(one, outcome_of(one, course)) for one, course in past], at
    )
    view = build_calibration([made], "", "", "")
    rows = {row.version: row for row in view.rows}
    assert [row.version for row in view.rows] == ["6.0", "5.0", "4.0", "3.0", "2.0", "1.0"]
    assert {v: (row.label, row.false_alarm, row.missed) for v, row in rows.items()} == {
        "1.0": ("nobody objected", False, False), "2.0": ("nobody objected", True, False),
        "3.0": ("judged worse", False, False), "4.0": ("judged worse", False, True),
        "5.0": ("judged worse, nobody confirmed it", True, False), "6.0": ("excluded", False, False),
    }  # fmt: skip
    assert (made.accepted, made.false_alarms, view.rate) == (3, 2, "66.7 %")
    assert "too short a history to support another threshold than 100" in view.advice
    assert "2 of 3 called worse allow" in view.advice and not view.threshold_interval
    assert "there are 3" in view.advice and view.suggested_at is None
    assert rows["2.0"].worse_at and [mark.word for mark in rows["2.0"].stages if mark][-1] == "Worse"
    assert sum(dot.kind == "alarm" for dot in view.dots) == 2 and len(view.dots) == 6
    assert (
        view.command
        == "missioncontrol calibrate --application Firefox --channel release --measure main_crashes"
    )


@pytest.mark.parametrize(
    ("scale", "meant"),
    [
        (0.05, "is on the safe side here"),
        (0.4, "cannot be told from the threshold"),
        (1.6, "too easily here"),
    ],
)
def test_a_calibration_says_what_threshold_the_releases_support(
    fine: Course, scale: float, meant: str
) -> None:
    at = fine.account.published_at
    spread = [scale * -math.log((n + 0.5) / 40) for n in range(40)]
    past = [PastRelease(f"{n}.0", at + timedelta(days=n)) for n in range(40)]
    outcomes = []
    for one, largest in zip(past, [spread[0] + 6, *spread[1:]], strict=True):
        kept = outcome_of(one, fine)
        assert kept is not None
        outcomes.append((one, msgspec.structs.replace(kept, largest=largest)))
    made = calibrated("Firefox", "release", "main_crashes", outcomes, at)
    without = calibrated("Firefox", "release", "main_crashes", outcomes[1:], at)
    assert meant in build_calibration([without], "", "", "").advice
    view = build_calibration([made], "", "", "")
    assert made.suggestion is not None and made.suggestion.beyond == 1
    assert "; beyond that went 1 (0.0 by " in view.advice
    rows = {row.version: row for row in view.rows}
    assert rows["0.0"].beyond and rows["0.0"].supported and not rows["1.0"].beyond
    assert view.threshold_interval.endswith("; worse is said at 100")
    assert "0 of 40 called worse allow a false-alarm rate of up to 8.8 %" in view.advice


def test_without_a_calibration_the_page_says_how_to_make_one() -> None:
    view = build_calibration([], "My App", "beta", "")
    assert view.calibration is None and view.rows == []
    assert view.command == "missioncontrol calibrate --application 'My App' --channel beta"
