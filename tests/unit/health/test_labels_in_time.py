"""Statuses that are given while a release is judged: what they change of its looks, and from which look on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support import judged_train
from tests.support.judging_train import BAD, BORN, FAR, SUBJECT, Installation
from tests.support.small_channel import SmallChannel, published, rows_of

from missioncontrol.health.asking import courses
from missioncontrol.health.model import Course, Look, Subject
from missioncontrol.health.records import Records
from missioncontrol.health.turn import Turns
from missioncontrol.state.release_model import Change as Said
from missioncontrol.state.release_model import Status

OLD = [each.version for each in BAD.predecessors]
TICK = timedelta(minutes=5)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, FAR)
    yield installation
    installation.services.close()


def course(installed: Installation, ticks: int | None = None) -> Course:
    """The candidate's, as of an age."""
    until = None if ticks is None else BORN + ticks * TICK
    releases = installed.services.releases.list()
    asked = SUBJECT.application, SUBJECT.channel, SUBJECT.version, SUBJECT.measure
    (found,) = courses(installed.services.engine, releases, *asked, until)
    return found


def numbers(look: Look) -> tuple[float | None, ...]:
    return look.expected, look.ratio, look.low, look.high, look.evidence


def test_a_status_changes_looks_from_the_end_of_its_window_on_and_none_before(
    installed: Installation,
) -> None:
    plain = course(installed).looks
    installed.say(OLD[2], "excluded", 100)
    found = course(installed)
    after = found.looks
    assert after[:100] == plain[:100], "the window in which it was said had not ended"
    assert all(numbers(one) != numbers(other) for one, other in zip(after[100:], plain[100:], strict=True))
    assert [each.version for each in found.account.predecessors if not each.used] == [OLD[2]]
    for ticks, left_out in ((100, []), (101, [OLD[2]])):
        then = course(installed, ticks)
        assert [each.version for each in then.account.predecessors if not each.used] == left_out
        assert msgspec.json.encode(then.account.look) == msgspec.json.encode(after[ticks - 1])


def test_a_status_that_was_given_before_the_publication_or_with_the_release_acts_on_all_looks(
    tmp_path: Path, installed: Installation
) -> None:
    plain = course(installed).looks
    installed.say(OLD[2], "excluded", -5)
    before = course(installed).looks
    assert numbers(before[60]) != numbers(plain[60])
    releases = installed.services.releases
    (entry,) = [each for each in releases.list() if each.version == OLD[2]]
    releases.remove("Firefox", "release", OLD[2])
    assert len({len(each.statuses) for each in releases.list()}) == 1, "forgotten with its history"
    releases.put(
        [msgspec.structs.replace(entry, status="excluded", changed_by="kim", changed_at=BORN + FAR * TICK)]
    )
    assert course(installed).looks == before, "the first that is said of a version counts from ever"


def test_a_time_of_publication_is_a_correction_and_acts_on_everything(installed: Installation) -> None:
    plain = course(installed).looks
    releases = installed.services.releases
    (entry,) = [each for each in releases.list() if each.version == OLD[-1]]
    releases.put([msgspec.structs.replace(entry, published_at=entry.published_at + 12 * TICK)])
    assert numbers(course(installed).looks[50]) != numbers(plain[50])


def test_turns_say_what_the_replay_says_over_changes_also_when_they_were_missed(
    installed: Installation,
) -> None:
    installed.turn(1)
    for ticks in (99, 100):
        installed.turn(ticks)
    installed.say(OLD[2], "excluded", 100)
    for ticks in (100, 101, 102):
        installed.turn(ticks)
    installed.restart()
    installed.say(OLD[2], "accepted", 110)
    installed.say(OLD[4], "worse", 118)
    installed.turn(120)  # both at once
    installed.say(OLD[4], "accepted", 130)
    installed.say(OLD[4], "excluded", 132)
    installed.turn(150)  # there and back between two turns, with the channel in memory
    installed.restart()
    for ticks in (151, FAR - 1, FAR):
        assert installed.turn(ticks).failed == []
    kept, replayed = installed.looks(), installed.replayed()
    assert [round((look.as_of - BORN) / TICK) for look in kept] == [
        1, 99, 100, 101, 102, 120, 150, 151, FAR - 1, FAR,
    ]  # fmt: skip
    assert [replayed[look.as_of] for look in kept] == kept
    assert kept[-1].verdict == "worse"


def test_a_person_withdraws_what_was_called_worse_and_takes_it_back(installed: Installation) -> None:
    for ticks in (1, 240, 241):
        installed.turn(ticks)
    worse = installed.looks()[-1]
    assert worse.verdict == "worse" and worse.since is not None
    installed.say(SUBJECT.version, "accepted", 241)
    for ticks in (241, 242, 243):
        installed.turn(ticks)
    installed.restart()
    for ticks in (244, FAR - 2):
        installed.turn(ticks)
    for look in installed.looks()[3:]:
        assert (look.verdict, look.slice, look.since) == ("too-early", None, worse.since)
        assert "withdrawn" in look.reasons
    assert installed.looks()[-1].evidence > 2, "not from the same evidence again"
    installed.say(SUBJECT.version, "excluded", FAR - 2)
    installed.turn(FAR - 1)
    installed.restart()
    installed.turn(FAR)
    back = installed.looks()[-2:]
    assert [(look.verdict, look.since) for look in back] == [("worse", worse.since)] * 2
    assert all("withdrawn" not in look.reasons for look in back)
    kept, replayed = installed.looks(), installed.replayed()
    assert [replayed[look.as_of] for look in kept] == kept
    told = [change for change in installed.told if change.account.subject == SUBJECT]
    assert [change.account.look.verdict for change in told] == ["too-early", "worse", "too-early", "worse"]
    assert "until a person accepted it" in told[2].account.sentence
    assert told[2].account.explanations == []
    services, key = installed.services, msgspec.structs.astuple(SUBJECT)
    events = []
    for change in told:
        assert services.alerts.take([change], BORN) == 1
        event = services.alert_log.last(key)
        assert event is not None
        events.append((event.before, event.verdict, event.severity))
    assert events[1:] == [
        ("too-early", "worse", "critical"), ("worse", "too-early", "warning"), ("too-early", "worse", "critical"),
    ]  # fmt: skip


def test_an_acceptance_of_before_withdraws_nothing_until_it_is_said_again(installed: Installation) -> None:
    installed.say(SUBJECT.version, "accepted", 5)
    looks = course(installed).looks
    first = next(place for place, look in enumerate(looks) if look.verdict == "worse")
    assert {look.verdict for look in looks[first:]} == {"worse"}
    installed.say(SUBJECT.version, "accepted", first, seconds=290)  # in the window whose end crosses
    assert course(installed).looks == looks
    installed.say(SUBJECT.version, "accepted", first + 1, seconds=0)
    after = course(installed).looks
    assert after[: first + 1] == looks[: first + 1]
    assert {look.verdict for look in after[first + 1 :]} == {"too-early"}


def test_what_a_verdict_says_by_itself_accepts_nothing_and_stays_over_imports(
    installed: Installation,
) -> None:
    installed.turn(300)
    releases = installed.services.releases
    labelled = releases.list()
    assert {each.version: each.status for each in labelled}[SUBJECT.version] == "worse"
    written = judged_train.write(BAD, installed.services.config.data / "again", 1)
    assert judged_train.put_releases(installed.services, written) == labelled
    installed.turn(301)
    assert installed.looks()[-1].verdict == "worse"
    assert releases.list() == labelled


def test_worse_stays_though_nothing_is_left_to_compare_with(installed: Installation) -> None:
    for version in OLD:
        installed.say(version, "excluded", 300)
    for ticks in (299, 300, 301):
        installed.turn(ticks)
    installed.restart()
    installed.turn(302)
    kept, replayed = installed.looks(), installed.replayed()
    assert [replayed[look.as_of] for look in kept] == kept
    for look in kept[2:]:
        assert (look.verdict, look.since, look.ratio) == ("worse", kept[0].since, None)
        assert look.reasons == ["no_history"]
    installed.say(SUBJECT.version, "accepted", 302)
    installed.turn(303)
    last = installed.looks()[-1]
    assert (last.verdict, last.reasons) == ("too-early", ["no_history", "withdrawn"])


def test_where_it_is_worse_is_as_it_was_explained_in_its_era_also_after_a_restart(tmp_path: Path) -> None:
    far = 40 * 12
    installed = Installation(tmp_path, far, judged_train.story(6.0, "Linux"))
    looks = course(installed).looks
    first = next(place for place, look in enumerate(looks) if look.verdict == "worse") + 1
    assert first + 160 < far
    installed.say(OLD[3], "excluded", first + 30)
    installed.say(OLD[1], "worse", first + 150)  # it is explained to 144 windows after the alarm
    for place, ticks in enumerate(
        (1, first - 1, first, first + 29, first + 31, first + 149, first + 151, far)
    ):
        installed.turn(ticks)
        if place % 2 or ticks > first + 149:
            installed.restart()
    kept, replayed = installed.looks(), installed.replayed()
    assert [replayed[look.as_of] for look in kept] == kept
    assert kept[-1].slice == {"os_name": "Linux"}
    known = Records(installed.services.engine).known_at(SUBJECT)
    assert known is not None and known.account == course(installed).account
    installed.services.close()


def test_a_status_that_makes_the_history_reach_further_back_chooses_other_strata_from_then_on(
    tmp_path: Path,
) -> None:
    channel = SmallChannel(tmp_path / "small")
    channel.history(18)
    # Only versions that are too old to be compared with, as long as those after them may be, had this system.
    channel.take({**row, "os_name": "BeOS"} for nth in (2, 3) for row in rows_of(nth))
    services, born = channel.services, published(17)
    services.releases.put(channel.releases)
    turns = Turns(
        services.config.lake_path,
        services.engine,
        services.writer,
        services.releases,
        lambda changes, now: None,
    )
    for ticks in (1, 300):
        turns.run(born + ticks * TICK, born)
    changes: list[tuple[Status, int]] = [("excluded", 400), ("accepted", 550)]
    for status, said_at in changes:
        when = born + said_at * TICK
        for version in ("15.0", "16.0"):
            services.releases.change("Firefox", "release", version, Said(status=status), "kim", when)
        turns.run(when + 24 * TICK, born)
    channel.releases = services.releases.list()
    kept = Records(services.engine).history(Subject("Firefox", "release", "18.0", "main_crashes"))
    found = {look.as_of: look for look in channel.course("18.0", kept[-1].as_of).looks}
    assert len(kept) == 4 and [found[look.as_of] for look in kept] == kept
    for ticks, first in ((400, "6.0"), (401, "4.0")):
        account = channel.course("18.0", born + ticks * TICK).account
        assert account.look == found[account.look.as_of]
        assert account.predecessors[0].version == first
        assert ({"os_name": "BeOS"} in [each.where for each in account.slices]) == (ticks == 401)
    services.close()
