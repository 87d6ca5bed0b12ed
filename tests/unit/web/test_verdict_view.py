"""The page of a verdict: what it says of courses with much, little and no data."""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from missioncontrol.alerts.alert import verdict_path as alert_path
from missioncontrol.errors import BadRequest
from missioncontrol.health.model import (
    Account,
    Course,
    DataHealth,
    Explanation,
    Forecast,
    Look,
    Predecessor,
    SignatureShare,
    SliceLook,
    Step,
    Subject,
)
from missioncontrol.query.uncounted import Uncounted
from missioncontrol.state.release_model import Release, StatusSince, Version, group
from missioncontrol.web.address import decode_part
from missioncontrol.web.verdicts.bars import bar_axis, scale_of
from missioncontrol.web.verdicts.figures import Figure
from missioncontrol.web.verdicts.pages import read_moment
from missioncontrol.web.verdicts.source import Found
from missioncontrol.web.verdicts.view import VerdictView, build_verdict, command_of, thinned, verdict_path
from missioncontrol.web.verdicts.words import (
    REASONS,
    between,
    change_words,
    evidence_words,
    length,
    mark_of,
    reason_words,
    times,
    where_words,
)

LINUX = {"os_name": "Linux"}
SOURCES = Path(__file__).parents[3] / "src" / "missioncontrol"


def view_of(course: Course, **more: Any) -> VerdictView:
    now = course.account.look.as_of + timedelta(minutes=2)
    return build_verdict(Found(course), "Main crashes", now, more.get("as_of"), worse=more.get("worse", "up"))


def test_labels_of_bars_that_have_no_room_on_a_phone_are_told_and_1_has_it() -> None:
    scale = scale_of(bar_axis([0.3, 12.0]))
    kept = [tick for tick in scale.ticks if tick not in scale.crowded]
    assert scale.crowded and "1×" in {tick.label for tick in kept}
    assert all(later.at - earlier.at >= 36 for earlier, later in pairwise(kept))


def bare(course: Course, **look: Any) -> Course:
    """A release of which nothing is known yet."""
    unknown = Look(
        as_of=course.looks[0].as_of, age_hours=1 / 12, verdict="too-early", ratio=None, low=None, high=None,
        evidence=0.0, observed=0.0, expected=0.0, **look,
    )  # fmt: skip
    account = Account(
        subject=Subject("Firefox", "release", "1.0", "main_crashes"),
        published_at=course.account.published_at,
        inferred=True,
        look=unknown,
        sentence="1.0: too early.",
        steps=[],
        slices=[],
        explanations=[],
        ages=[],
        predecessors=[],
        data=DataHealth(1.0, 0.0, None, 1.0, 1.0, 0.0),
        baseline="00",
    )
    return Course(account, [unknown])


def in_linux(course: Course, since_hours: float = 1.0) -> Course:
    look = msgspec.structs.replace(
        course.account.look,
        verdict="worse",
        slice=LINUX,
        since=course.account.look.as_of - timedelta(hours=since_hours),
    )
    account = msgspec.structs.replace(
        course.account,
        look=look,
        slices=[
            SliceLook({}, 1000, 900, 1.11, 0.8, 1.5, 1.0),
            SliceLook(LINUX, 200, 80, 2.5, 1.6, 3.7, 0.08),
            SliceLook({"country": "BR"}, 90, 80, 1.12, 0.7, 1.7, 0.09),
            SliceLook({"country": "FR"}, 0, 0.4, 0.0, None, None, 0.01),
        ],
        explanations=[
            Explanation(LINUX, 40.0, 2.5, 2.0, 3.1, 0.97, 0.9, 1.04, 0.9),
            Explanation({"os_name": "Linux", "os_version": "6.1"}, 38.5, 2.6, 2.0, 3.3, 0.98, 0.9, 1.1, 0.8),
            Explanation({}, 3.0, 1.1, 0.9, 1.3, None, None, None, 1.0),
        ],
    )
    return Course(account, [*course.looks[:-1], look])


def test_a_bad_release_is_told_from_top_to_bottom(bad: Course) -> None:
    view = view_of(bad)
    assert (view.mark.word, view.mark.sign) == ("Worse", "▲")
    assert len(view.plots) == 3 and view.looks == len(bad.looks)
    assert [row.name for row in view.waterfall.rows] == ["raw", "strata", "age", "environment", "spread"]
    assert view.waterfall.rows[-1].bar.low is not None
    assert view.moments.alarm and not view.moments.newest and not view.past
    told = [one.version for one in bad.account.predecessors]
    assert (
        sorted([*view.used, *(one.version for one in view.left_out)]) == sorted(told) and len(view.used) >= 6
    )
    assert view.measure_url.startswith(
        "/measure/Firefox/release/main_crashes?range=7d&time=release&series=108.0"
    )


def test_nothing_known_is_no_error_and_no_number(fine: Course) -> None:
    view = view_of(bare(fine, reasons=["no_history", "odd_one"]))
    assert view.plots == [] and view.forest.rows == [] and view.signatures == []
    assert [row.name for row in view.waterfall.rows] == ["spread"]
    assert [words for _, words in view.reasons] == [REASONS["no_history"], "Odd one."]
    assert not view.moments.earlier and view.forecast == []


def test_the_guilty_users_stand_on_top_and_the_rest_below(bad: Course) -> None:
    view = view_of(in_linux(bad))
    rows = view.forest.rows
    assert [(row.kind, row.name) for row in rows[:4]] == [
        ("guilty", "Linux (system)"), ("rest", "the rest"), ("all", "everyone"), ("", "BR (country)"),
    ]  # fmt: skip
    assert (rows[0].ratio, rows[0].observed, rows[1].observed) == (2.5, 200, 800)
    assert view.forest.near == ["Linux 6.1 (system)"] and view.forest.left_out == 1
    assert view.guilty is not None and view.guilty.rest == 0.97
    assert not view.forest.frozen


def test_what_was_found_at_the_alarm_is_not_mixed_with_what_is_counted_now(bad: Course) -> None:
    forest = view_of(in_linux(bad, since_hours=40)).forest
    assert forest.frozen
    assert (forest.rows[0].ratio, forest.rows[0].observed, forest.rows[1].expected) == (2.5, None, None)


def test_where_less_is_worse_what_is_missing_is_what_stands_out(bad: Course) -> None:
    usual, turned = view_of(in_linux(bad)), view_of(in_linux(bad), worse="down")
    assert not usual.less_is_worse and turned.less_is_worse
    names = [[row.name for row in view.forest.rows if not row.kind] for view in (usual, turned)]
    assert names == [["BR (country)"], ["BR (country)"]]
    fewer = msgspec.structs.replace(
        bad.account,
        slices=[
            SliceLook({}, 900, 1000, 0.9, 0.8, 1.0, 1.0),
            SliceLook({"country": "BR"}, 40, 80, 0.5, 0.3, 0.7, 0.5),
            SliceLook({"country": "FR"}, 60, 80, 0.75, 0.6, 0.9, 0.3),
            SliceLook({"country": "DE"}, 90, 80, 1.1, 1.0, 1.3, 0.2),
        ],
    )
    for worse, order in (("up", ["DE", "FR", "BR"]), ("down", ["BR", "FR", "DE"])):
        rows = view_of(Course(fewer, bad.looks), worse=worse).forest.rows
        assert [row.name[:2] for row in rows if not row.kind] == order
    kinds = [[row.kind for row in view.waterfall.rows[:-1]] for view in (usual, turned)]
    assert all(one != other for one, other in zip(*kinds, strict=True))
    paths = [view.plots[1].shapes[0].path for view in (usual, turned)]
    assert paths[0] and paths[0] != paths[1]


def test_forecasts_below_one_begin_with_what_takes_longest(fine: Course) -> None:
    due = {ratio: Forecast(9.0, 1.0, 10.0) for ratio in ("0.5", "0.67", "0.8")}
    look = msgspec.structs.replace(fine.looks[-1], forecast=due)
    course = Course(msgspec.structs.replace(fine.account, look=look), [look])
    assert [row.ratio for row in view_of(course, worse="down").forecast] == ["0.8×", "0.67×", "0.5×"]


def test_a_forecast_is_in_words(fine: Course) -> None:
    look = msgspec.structs.replace(
        fine.looks[-1],
        forecast={
            "2": Forecast(9.0, 0.0, 0.0),
            "1.5": Forecast(14.0, 5.2, 12_000.0),
            "1.25": Forecast(60.0, 50.0, 90_000.0),
            "1.1": Forecast(None, None, None),
        },
    )
    course = Course(msgspec.structs.replace(fine.account, look=look), [look])
    assert [(row.ratio, row.when) for row in view_of(course).forecast] == [
        ("1.1×", ""), ("1.25×", "in about 2 days"), ("1.5×", "in about 5 h"), ("2×", "now"),
    ]  # fmt: skip


def test_signatures_lead_to_their_pages_the_largest_excess_first(bad: Course) -> None:
    shares = [
        SignatureShare("a | b", 10, 9.0), SignatureShare(None, 3, 4.0), SignatureShare("<i>&x", 50, 2.0),
    ]  # fmt: skip
    rows = view_of(Course(msgspec.structs.replace(bad.account, signatures=shares), bad.looks)).signatures
    assert [row.signature for row in rows] == ["<i>&x", "a | b", "(no signature)"]
    assert rows[0].href == "/signature?signature=%3Ci%3E%26x&product=Firefox&version=108.0"
    assert rows[2].href.startswith("/signature?signature=~&")
    verdict = "/verdict/Firefox/release/108.0/main_crashes?signature="
    assert [row.verdict_href for row in rows] == [f"{verdict}%3Ci%3E%26x", f"{verdict}a+%7C+b", ""]


def test_a_verdict_on_one_signature_keeps_it_in_every_address(bad: Course) -> None:
    subject = msgspec.structs.replace(bad.account.subject, signature="a | b")
    course = Course(msgspec.structs.replace(bad.account, subject=subject), bad.looks)
    view = view_of(course, as_of=bad.account.look.as_of)
    kept = (view.json_url, view.csv_url, view.moments.earlier, view.moments.later, view.moments.newest)
    assert all("?signature=a+%7C+b" in address for address in kept)
    assert "--signature 'a | b'" in view.command
    assert view.whole_url.split("?")[0] == view.path and "signature" not in view.whole_url
    assert view.signature_url == "/signature?signature=a+%7C+b&product=Firefox&version=108.0"
    assert view_of(bad).signature_url == ""


def test_odd_data_is_marked(bad: Course) -> None:
    data = DataHealth(0.3, 0.2, 0.5, 1.4, 2.0, 0.4)
    account = msgspec.structs.replace(
        bad.account,
        data=data,
        predecessors=[Predecessor("1.0", True, "", []), Predecessor("0.9", False, "old", [])],
    )
    view = view_of(Course(account, bad.looks))
    assert [one.odd for one in view.figures] == [True] * 6 + [False]
    assert view_of(bad).figures[-1].name == "Age of this look"
    assert view_of(bad, as_of=bad.account.look.as_of).figures[-1].name == "Compared with"


def test_steps_that_are_not_known_are_left_empty(bad: Course) -> None:
    steps = [Step("raw", None), Step("strata", 2.0), Step("new_step", 1.0)]
    rows = view_of(Course(msgspec.structs.replace(bad.account, steps=steps), bad.looks)).waterfall.rows
    assert [(row.title, row.change) for row in rows[:3]] == [
        ("Raw rate", None),
        ("Same users", 2.0),
        ("New step", 0.5),
    ]
    assert rows[0].bar.dot is None


def test_a_past_time_is_carried_along(bad: Course) -> None:
    as_of = bad.account.look.as_of
    view = view_of(bad, as_of=as_of)
    assert view.past and view.moments.newest == view.path
    assert view.json_url == f"{view.path}?as_of={as_of:%Y-%m-%dT%H}%3A00Z&format=json"
    assert view.command.endswith(f"--as-of {as_of:%Y-%m-%dT%H:%MZ}")


def test_the_table_holds_a_few_looks_with_every_change_and_both_ends(bad: Course) -> None:
    rows = thinned(bad.looks)
    assert 20 <= len(rows) <= 40 and (rows[0], rows[-1]) == (bad.looks[0], bad.looks[-1])
    first = next(look for look in bad.looks if look.verdict == "worse")
    assert first in rows
    assert thinned(bad.looks[:1]) == bad.looks[:1] and thinned([]) == []


@pytest.mark.parametrize("version", ["1/2", "~", "..", "a b?c#d%", "x" * 200, "<b>", ""])
def test_any_name_has_an_address_and_a_command_of_its_own(version: str) -> None:
    subject = Subject("My App", "release", version, "main_crashes")
    path = verdict_path(subject)
    assert [decode_part(unquote(part)) for part in path.split("/")[2:]] == [
        "My App",
        "release",
        version,
        "main_crashes",
    ]
    words = shlex.split(command_of(subject))
    assert words[words.index("--version") + 1] == version


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-11-26T14:05Z", 14), ("2026-11-26T14:05", 14), ("2026-11-26T14:05:00+02:00", 12), ("2026-11-26 14:05 +02:00", 12)],
)  # fmt: skip
def test_a_time_is_read_as_utc(text: str, hour: int) -> None:
    assert read_moment(text).hour == hour


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "0001-01-01T00:00+14:00", "NaN"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="as_of"):
        read_moment(text)


def test_words() -> None:
    assert [times(r) for r in (None, 1.619, 9.996, 123.4, float("inf"))] == ["–", "1.62×", "10×", "123×", "–"]
    assert between(None, 2.0) == "–" and between(1.31, 2.05) == "1.31× to 2.05×"
    assert between(0.0, 2.05) == "up to 2.05×"
    assert [length(h) for h in (None, 1 / 12, 3.5, 40, 336, 60)] == [
        "–",
        "5 min",
        "3.5 h",
        "40 h",
        "14 days",
        "2.5 days",
    ]
    assert [evidence_words(e) for e in (None, 0.0, 2.7709, 12.3, -3.0)] == [
        "–",
        "1",
        "590",
        "10¹²",
        "under 0.01",
    ]
    assert [change_words(f) for f in (None, 1.05, 0.94, 1.001)] == ["–", "+5 %", "−6 %", "0 %"]
    assert where_words(None) == "everywhere"
    assert (
        where_words({"os_name": "Linux", "os_version": "6.1", "architecture": "x86"})
        == "Linux 6.1 (system), x86 (architecture)"
    )
    assert mark_of("something-new").word == "Something new"
    assert reason_words("brand_new") == "Brand new."


def test_every_reason_that_the_method_gives_has_words() -> None:
    texts = [
        (SOURCES / name).read_text()
        for name in ("verdict/judge.py", "health/judging.py", "health/looking.py")
    ]
    given = {code for text in texts for code in re.findall(r'"([a-z]+(?:_[a-z]+)+)"', text)} - {"usage_hours"}
    assert {"no_history", "no_events", "used_early", "not_published"} <= given
    assert given <= set(REASONS)
    page = (SOURCES.parents[1] / "docs" / "reference" / "verdicts.md").read_text()
    listed = re.findall(
        r"^\| `(\w+)` \|", page[page.index("| reason | with") :].split("\n\n")[0], re.MULTILINE
    )
    assert set(listed) == set(REASONS)


def test_a_worse_is_offered_to_be_withdrawn_until_somebody_accepted_it_or_nobody_looks_again(
    bad: Course,
) -> None:
    subject = bad.account.subject
    ended, look = bad, msgspec.structs.replace(bad.account.look, age_hours=335.9)
    bad = Course(msgspec.structs.replace(bad.account, look=look), [*bad.looks[:-1], look])
    assert look.verdict == "worse" and look.since is not None

    def release(*statuses: StatusSince) -> Version:
        names = subject.application, subject.channel, subject.version
        entry = Release(*names, "1", bad.account.published_at, statuses[-1].status, statuses=statuses)
        return group([entry])[0]

    def shown(course: Course, *statuses: StatusSince, as_of: datetime | None = None) -> VerdictView:
        known = release(*statuses) if statuses else None
        return build_verdict(Found(course), "Main crashes", look.as_of, as_of, None, known)

    ever, labelled = StatusSince("accepted"), StatusSince("worse", look.since)
    early = StatusSince("accepted", look.since - timedelta(seconds=1), "kim")
    late = StatusSince("accepted", look.as_of + timedelta(seconds=5), "kim")
    assert [shown(bad, *known).withdrawal for known in ((ever, labelled), (early,), (labelled, late), ())] == [
        "offered", "offered", "said", "",
    ]  # fmt: skip
    assert shown(bad, ever, labelled).standing == labelled
    past = shown(bad, ever, labelled, late, as_of=look.since)
    assert (past.standing, past.withdrawal) == (ever, "")
    assert shown(ended, ever, labelled).withdrawal == ""
    quiet = msgspec.structs.replace(look, verdict="too-early", reasons=["withdrawn"])
    accepted = Course(msgspec.structs.replace(bad.account, look=quiet), [*bad.looks[:-1], quiet])
    assert (shown(accepted, labelled, late).withdrawal, shown(accepted, labelled, late).withdrawn) == (
        "",
        True,
    )


@pytest.mark.parametrize("name", [".", "..", "", "~", "~2", "a/b", "%2F", "кот", "<script>", "a b?c#d"])
def test_alerts_lead_to_the_page_whatever_a_version_is_called(name: str) -> None:
    subject = Subject("Firefox", "release", name, "main_crashes")
    assert alert_path(subject) == verdict_path(subject)


def test_pings_that_were_not_counted_are_a_figure_with_a_link(fine: Course) -> None:
    now = fine.account.look.as_of

    def told(*numbers: int | None) -> Figure | None:
        view = build_verdict(Found(fine), "Main crashes", now, None, Uncounted(*numbers) if numbers else None)
        return next((one for one in view.figures if one.name == "Pings not counted"), None)

    assert told() is None
    few, many, unknown = told(90, 5, 2, 995), told(90, 20, 2, 80), told(90, None, 0, 80)
    assert few and many and unknown
    assert (few.value, few.odd, few.href) == ("5", False, "/pipeline#discards")
    assert " (0.5 %); 2 of this version; 90 of any application" in few.note
    assert many.odd and not unknown.odd
    assert unknown.value == "90" and "of any application" in unknown.note
