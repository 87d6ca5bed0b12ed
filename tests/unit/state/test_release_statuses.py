"""The statuses that a version had: which are kept, from when on they count, and what begins them anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from missioncontrol.state.database import Database
from missioncontrol.state.release_file import parse_releases
from missioncontrol.state.releases import Change, Release, Releases, StatusSince

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
V = ("Firefox", "release", "61.0")


@pytest.fixture
def releases(state_url: str) -> Releases:
    return Releases(Database(state_url))


def build(build_id: str = "1", **more: object) -> Release:
    return msgspec.structs.replace(Release(*V, build_id, DAY), **more)


def history(releases: Releases) -> list[tuple[str, int | None, str]]:
    """Status, hours after DAY and who, of each that the version had."""
    every = {release.statuses for release in releases.list()}
    (statuses,) = every
    [version] = releases.versions()
    assert version.statuses == statuses and version.status == statuses[-1].status
    return [
        (one.status, None if one.since is None else (one.since - DAY) // HOUR, one.by) for one in statuses
    ]


def say(releases: Releases, hours: int, who: str = "olga", **change: object) -> None:
    releases.change(*V, Change(**change), who, DAY + hours * HOUR)  # type: ignore[arg-type]


def entries(**more: str) -> bytes:
    named = dict(zip(("application", "channel", "version"), V, strict=True))
    return msgspec.json.encode([{**named, "build_id": "1", "published_at": DAY, **more}])


def test_each_change_is_kept_with_its_time_and_who_made_it(releases: Releases) -> None:
    releases.put([build(), build("2")])
    assert history(releases) == [("accepted", None, "")]
    say(releases, 1, "", status="worse", note="Judged worse")
    say(releases, 2, note="looked at")
    say(releases, 3, status="excluded")
    say(releases, 4, "pavel", status="excluded")
    releases.put([build("3", origin="inferred")])
    assert history(releases) == [("accepted", None, ""), ("worse", 1, ""), ("excluded", 3, "olga")]


def test_somebody_who_accepts_again_is_kept_and_a_program_that_says_nothing_of_it_is_not(
    releases: Releases,
) -> None:
    releases.put([build()])
    say(releases, 1, status="accepted")
    say(releases, 2, "", status="accepted")
    say(releases, 3, "bot", published_at=DAY)
    say(releases, 4, "pavel", status="accepted")
    assert history(releases) == [("accepted", None, ""), ("accepted", 1, "olga"), ("accepted", 4, "pavel")]


def test_the_first_that_is_said_of_a_version_counts_from_ever(releases: Releases) -> None:
    say(releases, 9, published_at=DAY, status="excluded")
    assert history(releases) == [("excluded", None, "olga")]
    releases.remove(*V)
    releases.put(parse_releases(entries(status="worse"), "x", "olga", DAY + 9 * HOUR))
    assert history(releases) == [("worse", None, "olga")]
    releases.remove(*V)
    say(releases, 9, published_at=DAY)
    assert history(releases) == [("accepted", None, "")]


def test_the_same_file_once_more_changes_nothing_and_another_word_does(releases: Releases) -> None:
    releases.put(parse_releases(entries(status="accepted", note="fine"), "x", "olga", DAY + HOUR))
    known = releases.list()
    say(releases, 2, "", status="worse")
    assert releases.list() == known, "what somebody said is not changed by itself"
    releases.put(parse_releases(entries(status="accepted", note="fine"), "x", "pavel", DAY + 2 * HOUR))
    assert releases.list() == known
    releases.remove(*V)
    releases.put(parse_releases(entries(), "x", "olga", DAY + HOUR))
    say(releases, 3, "", status="worse")
    known = releases.list()
    releases.put(parse_releases(entries(), "x", "olga", DAY + 5 * HOUR))
    assert releases.list() == known
    assert history(releases) == [("accepted", None, ""), ("worse", 3, "")]
    releases.put(parse_releases(entries(status="accepted"), "x", "pavel", DAY + 6 * HOUR))
    assert history(releases)[2:] == [("accepted", 6, "pavel")]


def test_what_was_inferred_ends_with_the_first_word_on_the_time(releases: Releases) -> None:
    guess = build(origin="inferred", status="excluded", note="older than the history", changed_at=DAY)
    for replaced in (
        lambda: releases.put([build()]),
        lambda: say(releases, 9, published_at=DAY),
    ):
        releases.put([guess])
        say(releases, 2, "", status="worse")
        assert history(releases) == [("excluded", None, ""), ("worse", 2, "")]
        replaced()
        assert history(releases) == [("accepted", None, "")]
        releases.remove(*V)
    releases.put([guess])
    say(releases, 3, status="worse")
    releases.put([build()])
    assert history(releases) == [("excluded", None, ""), ("worse", 3, "olga")], "somebody said so"


def test_a_clock_that_goes_back_puts_nothing_before_what_is_known(releases: Releases) -> None:
    releases.put([build()])
    say(releases, 5, status="worse")
    say(releases, 2, status="accepted")
    assert history(releases) == [("accepted", None, ""), ("worse", 5, "olga"), ("accepted", 5, "olga")]


def test_what_is_forgotten_has_no_history_when_it_comes_again(releases: Releases) -> None:
    releases.put([build(), build("2")])
    say(releases, 1, status="worse")
    releases.remove(*V, "1")
    assert history(releases) == [("accepted", None, ""), ("worse", 1, "olga")]
    releases.remove(*V, "2")
    releases.put([build()])
    assert history(releases) == [("accepted", None, "")]


def test_statuses_of_before_the_history_was_kept_count_from_ever_but_for_those_of_verdicts(
    tmp_path: Path,
) -> None:
    from alembic import command
    from alembic.config import Config

    import missioncontrol.state.database as database

    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = sa.create_engine(url)
    rows = [
        ("60.0", "1", "excluded", "olga"), ("61.0", "1", "worse", ""), ("61.0", "2", "worse", ""),
        ("62.0", "1", "worse", "olga"),
    ]  # fmt: skip
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
        for version, build_id, status, who in rows:
            connection.exec_driver_sql(
                "INSERT INTO releases VALUES ('Firefox', 'release', ?, ?, '2026-11-20 12:00:00', ?, 'imported', '', ?, "
                "'2026-11-20 13:00:00')",
                (version, build_id, status, who),
            )
    found = {version.version: version.statuses for version in Releases(Database(url)).versions()}
    assert found == {
        "60.0": (StatusSince("excluded", None, "olga"),),
        "61.0": (StatusSince("accepted"), StatusSince("worse", DAY + HOUR, "")),
        "62.0": (StatusSince("worse", None, "olga"),),
    }
