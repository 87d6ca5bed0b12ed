"""Whatever a lake holds, a verdict or a reason in words: never an error, never a confident answer without data."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.support.small_channel import SYSTEMS, SmallChannel, published, release, rows_of

from missioncontrol.health.model import Course


def kinds(course: Course) -> set[str]:
    return {look.verdict for look in course.looks}


def reasons(course: Course) -> set[str]:
    return {reason for look in course.looks for reason in look.reasons}


def with_candidate(channel: SmallChannel, **odd: object) -> Course:
    """Eight ordinary versions and a ninth."""
    channel.history()
    channel.take(rows_of(8, **odd))
    channel.releases.append(release(8))
    return channel.course("9.0")


def test_an_ordinary_release_is_not_worse(channel: SmallChannel) -> None:
    found = with_candidate(channel)
    assert kinds(found) <= {"too-early", "same"}
    assert 0.85 < found.looks[-1].ratio < 1.15
    assert [each.version for each in found.account.predecessors if each.used] == [
        f"{n}.0" for n in range(1, 9)
    ]
    assert found.account.predecessors[0].ratios
    assert [step.name for step in found.account.steps] == ["raw", "strata", "age", "environment"]
    assert {tuple(part.where.items()) for part in found.account.slices} == {
        (), *((("os_name", system),) for system in SYSTEMS)
    }  # fmt: skip


def test_three_times_as_many_are_worse(channel: SmallChannel) -> None:
    found = with_candidate(channel, ratio=3.0)
    look = found.looks[-1]
    assert (look.verdict, look.slice) == ("worse", None)
    assert look.low < 3 < look.high
    assert found.account.explanations[0].where == {}
    assert look.since == next(each.as_of for each in found.looks if each.verdict == "worse")


def test_no_history(channel: SmallChannel) -> None:
    channel.history(1)
    found = channel.course("1.0")
    assert kinds(found) == {"too-early"}
    assert reasons(found) == {"no_history"}
    assert all(look.forecast for look in found.looks)
    assert found.account.sentence == (
        "1.0 main crashes: too early to say, no earlier release is known (455 seen at 3 days)."
    )


def test_one_predecessor_may_call_only_what_is_twice_as_bad(channel: SmallChannel) -> None:
    channel.history(1)
    channel.take(rows_of(1, ratio=1.5))
    channel.releases.append(release(1))
    found = channel.course("2.0")
    assert "worse" not in kinds(found)
    assert reasons(found) >= {"short_history"}
    assert (
        "with one earlier release to compare with, only twice as many can be called" in found.account.sentence
    )


def test_a_version_without_usage_hours_is_too_early_and_no_predecessor(channel: SmallChannel) -> None:
    found = with_candidate(channel, usage_hours=0.0, main_crashes=0)
    assert kinds(found) == {"too-early"}
    channel.take(rows_of(9))
    channel.releases.append(release(9))
    after = channel.course("10.0")
    left = {each.version: each.why for each in after.account.predecessors if not each.used}
    assert left == {"9.0": "no usage_hours before this release"}


def test_a_version_without_any_row(channel: SmallChannel) -> None:
    channel.history()
    channel.releases.append(release(8))
    found = channel.course("9.0")
    assert found.looks == []
    assert found.account.look.verdict == "too-early"
    assert found.account.look.reasons == ["no_data"]
    assert found.account.look.forecast["2"].age_hours is not None


def test_counts_without_hours_are_a_problem_of_the_data(channel: SmallChannel) -> None:
    found = with_candidate(channel, usage_hours=0.0)
    assert "worse" not in kinds(found)
    assert found.looks[-1].verdict == "data-problem"
    assert "no_hours" in found.looks[-1].reasons
    assert "usage hours stopped arriving" in found.account.sentence


def test_hours_without_counts_are_a_problem_and_not_better(channel: SmallChannel) -> None:
    found = with_candidate(channel, main_crashes=0)
    assert kinds(found) <= {"too-early", "data-problem"}
    assert "no_events" in found.looks[-1].reasons
    assert "events stopped arriving where many were to be expected" in found.account.sentence


def test_a_measure_that_earlier_versions_did_not_have_has_no_history(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8, content_crashes=3))
    channel.releases.append(release(8))
    found = channel.course("9.0", measure="content_crashes")
    assert reasons(found) == {"no_history"}
    assert {each.why for each in found.account.predecessors} == {"not measured"}
    assert "none of 8 earlier releases can be compared with" in found.account.sentence


def test_two_in_flight_and_a_rollback(channel: SmallChannel) -> None:
    """A second version hours after the first, then users go back to the version before."""
    channel.history()
    soon = published(8) + timedelta(hours=5)
    channel.take(rows_of(8))
    channel.take([*rows_of(8, "8.0.1", seed=1, build_id="dot"), *rows_of(8, "7.0", seed=2, build_id="b6")])
    channel.releases += [release(8), release(8, "8.0.1", build_id="dot", published_at=soon)]
    for version in ("9.0", "8.0.1"):
        assert kinds(channel.course(version)) <= {"too-early", "same", "better"}


@pytest.mark.parametrize("version", ["кот.exe", "v??", "9" * 200, "9.0' OR 1=1 --", "{0}"])
def test_version_strings_that_nobody_can_parse(channel: SmallChannel, version: str) -> None:
    channel.history()
    channel.take(rows_of(8, version))
    channel.releases.append(release(8, version))
    assert kinds(channel.course(version)) <= {"too-early", "same"}


def test_users_that_first_appear_with_the_release_do_not_decide(channel: SmallChannel) -> None:
    """A new country on a known system: 5 % of the hours, ten times as crashy as anyone."""
    channel.history()
    new = rows_of(8, country="XX", usage_hours=5.0, seed=3)
    channel.take([*rows_of(8), *new])
    channel.releases.append(release(8))
    found = channel.course("9.0")
    assert found.looks[-1].ratio == pytest.approx(2.0, abs=0.25)
    assert all("country" not in part.where for part in found.account.slices)


def test_ten_thousand_strata(channel: SmallChannel) -> None:
    def scattered(nth: int) -> list[dict[str, object]]:
        rows = rows_of(nth)
        many = [
            {**rows[n % len(rows)], "country": f"C{n % 500}", "os_version": f"{n % 20}", "usage_hours": 1.0, "main_crashes": 0}
            for n in range(10_000)
        ]  # fmt: skip
        return [*rows, *many]

    for nth in range(7):
        channel.take(scattered(nth))
        channel.releases.append(release(nth))
    found = channel.course("7.0")
    assert kinds(found) <= {"too-early", "same"}
    assert 0.8 < found.looks[-1].ratio < 1.25


def test_the_order_of_rows_and_imports_does_not_show(channel: SmallChannel) -> None:
    found = with_candidate(channel, ratio=1.7)
    other = SmallChannel(channel.folder / "other")
    rows = [row for nth in range(8) for row in rows_of(nth)] + rows_of(8, ratio=1.7)
    other.releases = list(channel.releases)
    for part in (rows[1::3], rows[::3][::-1], rows[2::3]):
        other.take(part)
    assert msgspec.json.encode(other.course("9.0")) == msgspec.json.encode(found)


def test_publication_within_a_window_counts_the_whole_window(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8))
    channel.releases.append(release(8, published_at=published(8) + timedelta(minutes=2)))
    found = channel.course("9.0")
    assert found.looks[0].as_of == published(8) + timedelta(minutes=5)
    assert found.looks[0].age_hours == 0.05
    assert found.looks[0].observed == sum(row["main_crashes"] for row in rows_of(8)[:3])


def test_use_before_the_publication_is_told(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8))
    channel.releases.append(release(8, published_at=published(8) + timedelta(hours=24)))
    found = channel.course("9.0")
    assert "used_early" in found.looks[-1].reasons
    assert "it was in use before its publication" in found.account.sentence
    assert found.looks[-1].observed == sum(row["main_crashes"] for row in rows_of(8)[72:])


def test_a_build_counts_for_the_version_that_it_was_published_as(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8, "8.0", build_id="rc"))
    channel.releases.append(release(8, "9.0b1", build_id="rc"))
    found = channel.course("9.0b1")
    assert found.looks[-1].observed == sum(row["main_crashes"] for row in rows_of(8, hours=71))


def test_a_version_that_is_left_gives_no_new_alarm(channel: SmallChannel) -> None:
    """One in a hundred users stays, and crashes ten times as often, once the next version has everyone."""
    channel.history()
    few = rows_of(8, "8.0", hours=260, usage_hours=1.0, ratio=0.1, seed=4, build_id="b7")
    channel.take([*rows_of(8, hours=260), *few])
    channel.releases.append(release(8))
    assert "worse" not in kinds(channel.course("8.0"))


def test_an_excluded_version_is_no_predecessor(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8))
    channel.releases.append(release(8))
    channel.releases[4] = msgspec.structs.replace(channel.releases[4], status="excluded")
    found = channel.course("9.0")
    assert {each.version: each.why for each in found.account.predecessors if not each.used} == {
        "5.0": "it was excluded"
    }
    channel.releases[8] = msgspec.structs.replace(channel.releases[8], origin="inferred")
    guessed = channel.course("9.0").account
    assert guessed.inferred
    assert "the time of publication is a guess from its first users" in guessed.sentence


def activity_of_rows(nth: int) -> list[dict[str, object]]:
    """The hours of `rows_of` by when they happened: in the hour before they arrived."""
    return [
        {
            "channel": "release",
            "version": row["version"],
            "build_id": row["build_id"],
            "os_name": row["os_name"],
            "arrival_window": row["window_start"],
            "activity_hour": row["window_start"] - timedelta(hours=1),
            "usage_hours": row["usage_hours"],
            "starts": 100,
        }
        for row in rows_of(nth, hours=150)
    ]


def test_activity_that_stops_coming_is_a_problem_of_the_data(channel: SmallChannel) -> None:
    channel.take(row for nth in range(9) for row in rows_of(nth, hours=150))
    channel.releases += [release(nth) for nth in range(9)]
    channel.take([row for nth in range(8) for row in activity_of_rows(nth)], table="usage_by_activity")
    without = channel.course("9.0")
    late = [look for look in without.looks if look.age_hours > 4]
    assert {look.verdict for look in late} == {"data-problem"}
    assert all("no_activity" in look.reasons for look in late)
    assert "usage by activity time does not arrive" in without.account.sentence
    channel.take(activity_of_rows(8), table="usage_by_activity")
    assert "no_activity" not in reasons(channel.course("9.0"))


def test_predecessors_of_whose_first_days_no_activity_is_known_leave_numbers(channel: SmallChannel) -> None:
    """Of each of them usage by activity time is known from its fifth day on alone."""
    channel.take(row for nth in range(9) for row in rows_of(nth, hours=150))
    channel.releases += [release(nth) for nth in range(9)]
    late = [
        row
        for nth in range(8)
        for row in activity_of_rows(nth)
        if row["arrival_window"] > published(nth) + timedelta(days=4)
    ]
    channel.take([*late, *activity_of_rows(8)], table="usage_by_activity")
    account = channel.course("9.0").account
    assert account.slices and all(math.isfinite(part.expected) for part in account.slices)
    assert account.look.ratio is not None and 0.7 < account.look.ratio < 1.3


def test_what_moves_all_versions_is_not_the_releases_fault(channel: SmallChannel) -> None:
    """Half of the users stay on the version before; from the 30th hour on everybody crashes three times as often."""
    channel.history()
    stay = [
        row
        for nth in range(7)
        for row in rows_of(nth, hours=144)
        if row["window_start"] >= published(nth + 1)
    ]
    channel.take(stay)
    after = published(8) + timedelta(hours=30)

    def shaken(nth: int, hours: int) -> list[dict[str, object]]:
        rows = rows_of(nth, hours=hours)
        loud = rows_of(nth, hours=hours, ratio=3.0, seed=1)
        return [b if b["window_start"] >= after else a for a, b in zip(rows, loud, strict=True)]

    channel.take([row for row in shaken(7, 144) if row["window_start"] >= published(8)])
    channel.take(shaken(8, 72))
    channel.releases.append(release(8))
    found = channel.course("9.0")
    assert "worse" not in kinds(found)
    assert found.account.data.environment > 1.5
    assert found.looks[-1].verdict == "environment"
    assert not any("shock" in look.reasons for look in found.looks), (
        "other versions say too little to name it"
    )


def test_events_that_name_no_country_are_compared_by_the_dimensions_that_they_name(
    channel: SmallChannel,
) -> None:
    """As crash reports: in rows of their own, without a country and without hours."""
    for nth in range(9):
        channel.take({**row, "country": "DE", "main_crashes": None} for row in rows_of(nth))
        reports = rows_of(nth, usage_hours=0.0, count=None, ratio=2.0 if nth == 8 else 1.0)
        channel.take({**row, "crash_reports": row["main_crashes"], "main_crashes": None} for row in reports)
        channel.releases.append(release(nth))
    found = channel.course("9.0", measure="crash_reports")
    assert found.account.look.verdict == "worse"
    assert found.account.look.ratio == pytest.approx(2.0, rel=0.15)
    assert found.account.look.expected == pytest.approx(72 * 3 * 2, rel=0.15)
    assert all("country" not in each.where for each in found.account.slices)


def test_values_that_cannot_be_break_nothing(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8))
    odd = rows_of(8, seed=5, hours=2)
    channel.force({**row, "usage_hours": 1e300, "main_crashes": -(2**62), "count": None} for row in odd)
    channel.force({**row, "version": None, "build_id": None, "os_name": None} for row in odd)
    channel.force({**row, "window_start": published(5000)} for row in odd)
    channel.releases.append(release(8))
    found = channel.course("9.0")
    assert "worse" not in kinds(found)
    assert found.looks[-1].age_hours == 71  # windows of the future are none
    assert channel.course("8.0").looks


def test_versions_from_before_the_installation_are_no_predecessors(channel: SmallChannel) -> None:
    began = published(7) + timedelta(hours=20)
    late = [
        {**row, "window_start": row["window_start"] + timedelta(days=2)}
        for nth in range(6, 8)
        for row in rows_of(nth)
    ]
    channel.take(row for row in [*late, *rows_of(8), *rows_of(9)] if row["window_start"] >= began)
    channel.releases += [release(nth) for nth in range(10)]
    found = channel.course("9.0")
    assert kinds(found) == {"too-early"} and "no_history" in reasons(found)
    left = {each.version: each.why for each in found.account.predecessors}
    assert left["8.0"] == "nothing is known of its first 20 hours"
    following = channel.course("10.0")
    assert [each.version for each in following.account.predecessors if not each.why] == ["9.0"]
    assert "worse" not in kinds(following)


def test_a_question_from_before_the_epoch_or_after_the_end_of_time(channel: SmallChannel) -> None:
    channel.history()
    for year in (1, 1969, 9999):
        found = channel.course("8.0", as_of=datetime(year, 12, 31, 23, 59, tzinfo=UTC))
        assert found.account.look.verdict in {"too-early", "same"}
    channel.releases.append(release(8, published_at=datetime(9999, 12, 31, tzinfo=UTC)))
    channel.releases.append(release(9, published_at=datetime(1, 1, 1, tzinfo=UTC)))
    assert channel.course("9.0").account.look.verdict == "too-early"
    assert channel.course("10.0").account.look.verdict == "too-early"
