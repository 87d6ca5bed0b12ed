"""The table `verdicts`: what is written is read as it was said, as it was known at any time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.lake import rows as lake_rows

from missioncontrol.config import load_config
from missioncontrol.health.model import Account, DataHealth, Forecast, Look, SliceLook, Subject
from missioncontrol.health.records import Filter, Record, Records, append, turns
from missioncontrol.services import Services

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BORN = NOON - timedelta(hours=1)
SUBJECT = Subject("Firefox", "release", "57.0", "main_crashes")
OTHER = Subject("Firefox", "beta", "58.0", "main_crashes")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services(load_config(tmp_path / "data", environ={}))
    yield services
    services.close()


def look(minutes: int, verdict: str = "too-early", **more: object) -> Look:
    as_of = NOON + timedelta(minutes=minutes)
    hours = (as_of - BORN).total_seconds() / 3600
    given = {
        "ratio": 1.5,
        "low": 0.5,
        "high": None,
        "evidence": -0.25,
        "observed": 3.0,
        "expected": 2.0,
        **more,
    }
    return Look(as_of, hours, verdict, **given)  # type: ignore[arg-type]


def account(subject: Subject, said: Look) -> Account:
    part = SliceLook({"os_name": "Linux"}, 1.0, 2.0, 0.5, None, None, 0.25)
    data = DataHealth(1.0, 0.0, None, 1.0, 1.5, 0.06)
    return Account(subject, BORN, False, said, "It is so.", [], [part], [], [], [], data, "hash")


def record(subject: Subject, said: Look, with_account: bool = False) -> Record:
    return Record(subject, BORN, said, "hash", "1", account(subject, said) if with_account else None)


def keep(services: Services, *records: Record) -> bool:
    registry = services.registry()
    return append(services.writer, registry, records, turns(services.writer, registry))


def test_what_was_said_is_read_as_it_was_said(services: Services) -> None:
    worse = look(5, "worse", slice={"os_name": "Linux"}, reasons=["shock"], since=NOON, ratio=None, low=None)
    early = look(0, forecast={"1.5": Forecast(9.0, 8.0, None), "2": Forecast(None, None, None)})
    keep(services, record(SUBJECT, early, True))
    keep(services, record(SUBJECT, worse), record(OTHER, early))
    records = Records(services.engine)
    assert records.history(SUBJECT) == [early, worse]
    assert records.history(SUBJECT, until=NOON) == [early]
    assert records.history(SUBJECT, since=NOON + timedelta(minutes=1)) == [worse]
    assert records.history(SUBJECT, most=1) == [worse]
    (beta, release) = records.current()
    assert (beta.subject, beta.look, beta.account) == (OTHER, early, None)
    assert (release.look, release.published_at) == (worse, BORN)
    assert release.account == account(SUBJECT, early)
    assert [each.subject for each in records.current(Filter(channel="release"))] == [SUBJECT]
    assert records.current(Filter(version="' OR 1=1")) == []


def test_what_was_known_at_a_time(services: Services) -> None:
    keep(
        services,
        record(SUBJECT, look(0), True),
        record(SUBJECT, look(5)),
        record(SUBJECT, look(10, "same"), True),
    )
    records = Records(services.engine)
    assert records.known_at(SUBJECT, NOON - timedelta(seconds=1)) is None
    known = records.known_at(SUBJECT, NOON + timedelta(minutes=9))
    assert known is not None
    assert known.look == look(5)
    assert known.account == account(SUBJECT, look(0))
    newest = records.known_at(SUBJECT)
    assert newest is not None
    assert newest.look.verdict == "same"
    assert records.known_at(OTHER) is None


def test_states_say_when_the_newest_account_was_kept(services: Services) -> None:
    keep(services, record(SUBJECT, look(0), True), record(SUBJECT, look(5)), record(OTHER, look(5)))
    states = {state.record.subject: state for state in Records(services.engine).states()}
    assert states[SUBJECT].accounted_at == NOON
    assert states[SUBJECT].record.look == look(5)
    assert states[OTHER].accounted_at is None


def test_a_turn_follows_one_turn_only(services: Services) -> None:
    registry = services.registry()
    assert append(services.writer, registry, [record(SUBJECT, look(0))], 0)
    assert not append(services.writer, registry, [record(SUBJECT, look(0))], 0), "a repeated turn"
    assert not append(services.writer, registry, [record(SUBJECT, look(5))], 7)
    assert append(services.writer, registry, [record(SUBJECT, look(5))], 1)
    assert turns(services.writer, registry) == 2
    assert len(lake_rows(services.config.lake_path, "verdicts")) == 2


def test_rows_lie_under_the_day_of_the_look(services: Services) -> None:
    midnight = look(12 * 60)
    keep(services, record(SUBJECT, look(12 * 60 - 5)), record(SUBJECT, midnight))
    days = [row["submission_date"].isoformat() for row in lake_rows(services.config.lake_path, "verdicts")]
    assert sorted(days) == ["2026-11-20", "2026-11-21"]


def test_an_account_that_cannot_be_read_is_as_none_and_keeps_no_other_back(services: Services) -> None:
    said = look(5)
    broken = account(SUBJECT, said)
    part = msgspec.structs.replace(broken.slices[0], expected=float("nan"))  # JSON has null for it
    broken = msgspec.structs.replace(broken, slices=[part])
    keep(services, Record(SUBJECT, BORN, said, "hash", "1", broken), record(OTHER, said, True))
    beta, release = Records(services.engine).current()
    assert (release.look, release.account) == (said, None)
    assert beta.account == account(OTHER, said)
