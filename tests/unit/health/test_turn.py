"""Turns of judging over a real lake: what is kept, what is told, and what a kill or late rows change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support import judged_train
from tests.support.judging_train import BAD, BORN, FAR, SUBJECT, Installation
from tests.support.lake import rows as lake_rows

from missioncontrol.config import load_config
from missioncontrol.errors import StorageFull
from missioncontrol.health import turn as turn_module
from missioncontrol.health.model import Subject
from missioncontrol.health.records import Records
from missioncontrol.health.turn import Turns
from missioncontrol.services import Services
from missioncontrol.state.release_model import Change as Said


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, FAR)
    yield installation
    installation.services.close()


def test_each_look_that_is_kept_is_that_of_the_replay_also_after_a_restart(installed: Installation) -> None:
    for place, ticks in enumerate((1, 2, 3, 60, 61, 150, 151, 200, 201, 202, FAR)):
        if place in (3, 8):
            installed.restart()
        turn = installed.turn(ticks)
        assert turn.failed == []
        assert turn.looks == (2 if ticks == 1 else 1), "the one before has said its last once"
    kept, replayed = installed.looks(), installed.replayed()
    assert len(kept) == 11
    assert [replayed[look.as_of] for look in kept] == kept
    assert kept[-1].verdict == "worse"
    assert kept[-1].since in replayed


def test_a_change_is_told_once_with_its_account_and_labels_the_version(installed: Installation) -> None:
    for ticks in (1, 2, FAR - 1, FAR, FAR):
        installed.turn(ticks)
    mine = [change for change in installed.told if change.account.subject == SUBJECT]
    assert [(each.before and each.before.verdict, each.account.look.verdict) for each in mine] == [
        (None, "too-early"),
        ("too-early", "worse"),
    ]
    assert SUBJECT.version in mine[-1].account.sentence
    status = {each.version: each.status for each in installed.services.releases.versions()}
    assert status[SUBJECT.version] == "worse"
    assert set(status.values()) == {"worse", "accepted"}


def test_what_a_person_said_of_a_version_stays(installed: Installation) -> None:
    said = Said(status="accepted", note="we know")
    key = (SUBJECT.application, SUBJECT.channel, SUBJECT.version)
    installed.services.releases.change(*key, said, "kim", BORN)
    installed.turn(FAR)
    assert installed.looks()[-1].verdict == "worse"
    assert {each.version: each.status for each in installed.services.releases.versions()}[
        SUBJECT.version
    ] == "accepted"


def test_accounts_are_kept_at_changes_and_once_an_hour(installed: Installation) -> None:
    for ticks in range(24, 49):
        installed.turn(ticks)
    rows = [
        row
        for row in lake_rows(installed.services.config.lake_path, "verdicts")
        if row["version"] == SUBJECT.version
    ]
    with_account = sorted(row["as_of"] for row in rows if row["account"])
    assert len(rows) == 25
    assert [b - a for a, b in pairwise(with_account)] == [timedelta(hours=1)] * 2
    known = Records(installed.services.engine).known_at(SUBJECT, BORN + timedelta(minutes=5 * 30))
    assert known is not None
    assert known.look.as_of == BORN + timedelta(minutes=150)
    assert known.account is not None
    assert known.account.look.as_of == BORN + timedelta(minutes=120)


def test_a_turn_that_is_repeated_or_earlier_adds_nothing(installed: Installation) -> None:
    installed.turn(100)
    before = lake_rows(installed.services.config.lake_path, "verdicts")
    for again in (100, 100, 99, 7):
        assert installed.turn(again).looks == 0
    installed.restart()
    for again in (100, 50):
        assert installed.turn(again).looks == 0
    assert lake_rows(installed.services.config.lake_path, "verdicts") == before


def test_two_that_judge_at_once_keep_each_look_once(installed: Installation) -> None:
    other = Turns(
        installed.services.config.lake_path,
        installed.services.engine,
        installed.services.writer,
        installed.services.releases,
        lambda changes, now: None,
    )
    installed.turn(50)
    until = BORN + timedelta(minutes=5 * 51)
    other.run(BORN + timedelta(minutes=5 * 50), until)
    assert other.run(until, until).looks == 1
    installed.turn(51)
    installed.turn(52)
    other.run(until + timedelta(minutes=5), until)
    times = [look.as_of for look in installed.looks()]
    assert len(times) == len(set(times)) == 3


def test_rows_that_come_late_change_later_looks_only(tmp_path: Path) -> None:
    installed = Installation(tmp_path, 100)
    installed.turn(99)
    installed.turn(100)
    before = installed.looks()
    # Two hours of age 80 to 100 come a second time, and what follows.
    again = judged_train.write(BAD, tmp_path / "late", 130, since=80)
    judged_train.put(installed.services, again, "late")
    installed.turn(110)
    after = installed.looks()
    assert after[:2] == before
    replayed = installed.replayed(BORN + timedelta(minutes=5 * 110))
    assert replayed[before[-1].as_of] != before[-1], "the replay takes what came late as if it had been there"
    then = replayed[after[2].as_of]
    # The replay may have called it worse at a look of before; nobody did.
    assert [after[2].observed, after[2].expected, after[2].ratio, after[2].evidence] == [
        then.observed, then.expected, then.ratio, then.evidence,
    ]  # fmt: skip
    installed.services.close()


def test_rows_of_before_the_publication_that_come_late_are_learned_from(tmp_path: Path) -> None:
    installed = Installation(tmp_path, 100)
    installed.turn(99)
    old = judged_train.write(BAD, tmp_path / "late", 0, since=-3 * 288)
    judged_train.put(installed.services, old, "late")
    installed.turn(100)
    kept = installed.looks()[-1]
    assert kept == installed.replayed(kept.as_of)[kept.as_of]
    hashes = [
        r["baseline"]
        for r in lake_rows(installed.services.config.lake_path, "verdicts")
        if r["version"] == SUBJECT.version
    ]
    assert len(set(hashes)) == 2
    installed.services.close()


def test_worse_stays_though_rows_that_come_late_speak_for_the_release(tmp_path: Path) -> None:
    installed = Installation(tmp_path, FAR)
    installed.turn(FAR - 1)
    assert installed.looks()[-1].verdict == "worse"
    for n in range(4):  # the hours of it, five times over, and with them what is to be expected
        quiet = judged_train.write(judged_train.story(1.0), tmp_path / f"quiet{n}", FAR, since=0)
        judged_train.put(installed.services, quiet, f"quiet{n}")
    installed.restart()
    installed.turn(FAR)
    first, last = installed.looks()
    assert (last.verdict, last.since) == ("worse", first.since)
    assert last.expected > 3 * first.expected
    installed.services.close()


def test_a_full_disk_loses_no_look_and_no_change(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.turn(1)

    def full(*_: object) -> bool:
        raise StorageFull("lake_full", "There is no room.")

    with monkeypatch.context() as patch:
        patch.setattr(turn_module, "append", full)
        with pytest.raises(StorageFull):
            installed.turn(FAR)
    installed.turn(FAR)
    assert [look.verdict for look in installed.looks()] == ["too-early", "worse"]


def test_what_fails_of_one_measure_stops_no_other(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from missioncontrol.health import following

    real = following.prepare

    def prepare(sums: object, subject: Subject) -> object:
        if subject.version == SUBJECT.version:
            raise ValueError("odd numbers")
        return real(sums, subject)  # type: ignore[arg-type]

    monkeypatch.setattr(following, "prepare", prepare)
    turn = installed.turn(5)
    assert turn.looks == 1
    assert [(each.subject, each.code) for each in turn.failed] == [(SUBJECT, "internal_error")]
    monkeypatch.undo()
    installed.restart()
    assert installed.turn(6).failed == []


def test_an_installation_with_nothing_has_nothing_to_say(tmp_path: Path) -> None:
    services = Services(load_config(tmp_path / "data", environ={}))
    turns = Turns(
        services.config.lake_path, services.engine, services.writer, services.releases, lambda c, n: None
    )
    turn = turns.run(BORN, BORN)
    assert (turn.looks, turn.failed, turn.changes) == (0, [], [])
    records = Records(services.engine)
    assert records.current() == []
    assert records.history(SUBJECT) == []
    assert records.known_at(SUBJECT) is None
    services.close()
