"""What is said of releases: times, statuses of versions, and who may change what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import Database
from missioncontrol.state.release_file import parse_releases
from missioncontrol.state.release_model import group, with_entry
from missioncontrol.state.releases import Change, Release, Releases, StatusSince

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = DAY + timedelta(days=9)
HOUR = timedelta(hours=1)
V = ("Firefox", "release", "61.0")
EVER = (StatusSince("accepted"),)


@pytest.fixture
def releases(state_url: str) -> Releases:
    return Releases(Database(state_url))


def build(build_id: str, when: datetime = DAY, **more: object) -> Release:
    return msgspec.structs.replace(Release(*V, build_id, when), **more)


def inferred(build_id: str, when: datetime = DAY, **more: object) -> Release:
    return build(build_id, when, origin="inferred", **more)


def test_a_status_is_of_the_version_and_of_builds_that_come_later(releases: Releases) -> None:
    releases.put([build("1"), build("2", DAY + HOUR)])
    version = releases.change(*V, Change(status="worse", note=" crashes\n at start "), "olga", NOW)
    assert (version.status, version.note, version.changed_by) == ("worse", "crashes at start", "olga")
    releases.put([build("3", DAY + 2 * HOUR), inferred("4", DAY + 3 * HOUR)])
    found = releases.list()
    assert [r.build_id for r in found] == ["1", "2", "3", "4"]
    assert {(r.status, r.note, r.changed_by, r.changed_at) for r in found} == {
        ("worse", "crashes at start", "olga", NOW)
    }
    assert releases.list("Firefox", "beta") == []


def test_what_somebody_labelled_is_not_changed_by_an_import_that_says_nothing_of_it(
    releases: Releases,
) -> None:
    releases.put([build("1")])
    releases.change(*V, Change(status="excluded", note="halted"), "olga", NOW)
    releases.put([build("1", DAY + HOUR)])
    [version] = releases.versions()
    assert (version.status, version.note, version.published_at) == ("excluded", "halted", DAY + HOUR)
    said = msgspec.json.encode([{**_plain("1"), "status": "accepted"}])
    releases.put(parse_releases(said, "x", "pavel", NOW + HOUR))
    [version] = releases.versions()
    assert (version.status, version.note, version.changed_by) == ("accepted", "", "pavel")


def test_an_inferred_build_gives_way_to_what_is_said_and_never_the_other_way_round(
    releases: Releases,
) -> None:
    guess = inferred("1", status="excluded", note="older than the history")
    assert releases.put([guess]).new == 1
    assert releases.version_of("Firefox", "release", "1") is None, "nobody said so"
    stored = releases.put([build("1", DAY - HOUR)])
    assert (stored.new, stored.replaced) == (0, 1)
    releases.put([guess])
    assert releases.list() == [build("1", DAY - HOUR, statuses=EVER)]
    assert releases.version_of("Firefox", "release", "1") == "61.0"


def test_the_time_of_a_version_is_the_earliest_that_was_said(releases: Releases) -> None:
    releases.put([inferred("0", DAY - 9 * HOUR), build("2", DAY + HOUR), build("1", DAY)])
    [version] = releases.versions()
    assert (version.published_at, version.origin) == (DAY, "imported")
    assert version.build_ids == ["0", "1", "2"]
    releases.remove(*V, "1")
    releases.remove(*V, "2")
    [version] = releases.versions()
    assert (version.published_at, version.origin) == (DAY - 9 * HOUR, "inferred")


def test_a_time_that_is_set_moves_the_first_build_and_those_before_it(releases: Releases) -> None:
    releases.put([build("1", DAY), build("2", DAY + 2 * HOUR), build("3", DAY + 5 * HOUR)])
    version = releases.change(*V, Change(published_at=DAY + 3 * HOUR), "olga", NOW)
    assert version.published_at == DAY + 3 * HOUR
    assert [(b.build_id, (b.published_at - DAY) // HOUR, b.origin) for b in version.builds] == [
        ("1", 3, "set"), ("2", 3, "set"), ("3", 5, "imported"),
    ]  # fmt: skip
    version = releases.change(*V, Change(published_at=DAY - HOUR), "olga", NOW)
    assert [(b.published_at - DAY) // HOUR for b in version.builds] == [-1, 3, 5]
    version = releases.change(*V, Change(("3", "4"), DAY + 9 * HOUR), "olga", NOW)
    assert [(b.build_id, (b.published_at - DAY) // HOUR) for b in version.builds][2:] == [("3", 9), ("4", 9)]


def test_setting_the_time_of_what_was_inferred_accepts_it_unless_said_otherwise(releases: Releases) -> None:
    guess = inferred("1", status="excluded", note="older than the history")
    releases.put([guess])
    version = releases.change(*V, Change(published_at=DAY), "olga", NOW)
    assert (version.status, version.note, version.origin) == ("accepted", "", "set")
    releases.remove(*V)
    releases.put([guess])
    assert releases.change(*V, Change(note="who knows"), "olga", NOW).status == "excluded"
    assert releases.change(*V, Change(published_at=DAY), "olga", NOW).status == "excluded"


def test_a_version_can_be_set_before_any_build_of_it_is_known(releases: Releases) -> None:
    version = releases.change(*V, Change(published_at=DAY.replace(tzinfo=None)), "olga", NOW)
    assert (version.build_ids, version.published_at, version.origin) == ([], DAY, "set")
    releases.put([inferred("1", DAY - HOUR)])
    [version] = releases.versions()
    assert (version.build_ids, version.published_at, version.changed_by) == (["1"], DAY, "olga")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (Change(), "no_change"),
        (Change(status="excluded"), "no_publication_time"),
        (Change(published_at=datetime(1, 1, 1, tzinfo=UTC)), "bad_time"),
        (Change(published_at=datetime(9999, 12, 31, 23, tzinfo=UTC)), "bad_time"),
        (Change(published_at=DAY, note="x" * 501), "bad_release"),
        (Change(("\0",), DAY), "bad_release"),
    ],
)
def test_what_cannot_be_kept_is_refused(releases: Releases, change: Change, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        releases.change(*V, change, "olga", NOW)
    assert caught.value.code == code
    assert caught.value.hint
    assert releases.list() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb"])
def test_names_are_printable_texts(releases: Releases, name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        releases.change("Firefox", "release", name, Change(published_at=DAY), "olga", NOW)
    assert caught.value.code == "bad_release"
    with pytest.raises(BadRequest):
        releases.put([Release("Firefox", name, "1", "1", DAY)])


def test_a_status_can_be_changed_while_the_clock_is_anywhere(releases: Releases) -> None:
    releases.put([build("1")])
    changed = releases.change(*V, Change(status="worse"), "olga", datetime(1970, 1, 1, tzinfo=UTC))
    assert changed.status == "worse"


def test_removing_what_is_not_there_is_told(releases: Releases) -> None:
    releases.put([build("1"), build("2")])
    with pytest.raises(NotFound, match=r"no build 3 of 61\.0"):
        releases.remove(*V, "3")
    assert [r.build_id for r in releases.remove(*V)] == ["1", "2"]
    with pytest.raises(NotFound) as caught:
        releases.remove(*V)
    assert caught.value.code == "unknown_release"


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (
            {"published_at": "2026-11-21T00:00:00Z"},
            "$[0] and $[1] say different things of Firefox release 61.0 1.",
        ),
        ({"build_id": "2", "status": "worse"}, ""),
        ({"build_id": "2", "status": "bad"}, "Invalid enum value 'bad'"),
        ({"build_id": "2", "note": "a\0b"}, "$[1]: note: "),
        ({"build_id": "2", "channel": ""}, "$[1]: channel: ''"),
        ({"published_at": "2026-13-01T00:00:00Z"}, "$[1].published_at"),
        ({"published_at": "0001-01-01T00:00:00Z"}, "$[1]: Nothing was published at 0001-01-01"),
    ],
)
def test_a_file_is_taken_whole_or_refused_with_the_entry_that_is_wrong(
    second: dict[str, str], says: str
) -> None:
    text = msgspec.json.encode([_plain("1"), {**_plain("1"), **second}])
    if not says:
        assert [r.changed_by for r in parse_releases(text, "x")] == ["", "import"]
        return
    with pytest.raises(BadRequest) as caught:
        parse_releases(text, "x")
    assert caught.value.message.startswith("x: ")
    assert says in caught.value.message


def test_two_entries_that_label_a_version_differently_are_refused() -> None:
    entries = [{**_plain("1"), "status": "worse"}, {**_plain("2"), "status": "accepted"}]
    with pytest.raises(BadRequest, match=r"\$\[0\] and \$\[1\] say different things of Firefox release 61.0"):
        parse_releases(msgspec.json.encode(entries), "x")
    same = [{**_plain("1"), "status": "worse"}] * 2
    assert len(parse_releases(msgspec.json.encode(same), "x")) == 1


def test_versions_are_in_the_order_of_their_publication(releases: Releases) -> None:
    entries = [Release("Firefox", "release", v, "1", DAY - n * HOUR) for n, v in enumerate(("62.0", "61.0"))]
    releases.put(entries)
    assert [v.version for v in releases.versions("Firefox")] == ["61.0", "62.0"]


def test_an_older_database_is_brought_up_to_date_with_its_releases(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    import missioncontrol.state.database as database

    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
        connection.exec_driver_sql(
            "INSERT INTO releases VALUES ('Firefox', 'release', '61.0', '1', '2026-11-20 12:00:00')"
        )
    assert Releases(Database(url)).list() == [build("1", statuses=EVER)]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0009")
        assert len(connection.exec_driver_sql("SELECT * FROM releases").keys()) == 5


ENTRIES = st.builds(
    Release,
    st.just("F"), st.just("c"), st.just("1"), st.sampled_from("ab"),
    st.sampled_from([DAY, DAY + HOUR]), st.sampled_from(["accepted", "excluded"]),
    st.sampled_from(["imported", "set", "inferred"]), st.just(""), st.sampled_from(["", "olga"]), st.none(),
)  # fmt: skip


@given(st.lists(ENTRIES, max_size=6))
def test_builds_of_a_version_always_agree_and_a_label_outlives_what_nobody_said(
    entries: list[Release],
) -> None:
    builds: list[Release] = []
    for entry in entries:
        before = builds
        builds = with_entry(before, entry)
        assert len({(b.status, b.note, b.changed_by) for b in builds}) == 1
        assert len({b.build_id for b in builds}) == len(builds)
        assert with_entry(builds, entry) == builds or not entry.changed_by
        if before and before[0].changed_by and not entry.changed_by:
            assert builds[0].status == before[0].status
        if entry.origin == "inferred":
            assert {b.build_id: b.published_at for b in before}.items() <= {
                b.build_id: b.published_at for b in builds
            }.items()
    if builds:
        [version] = group(builds)
        said = [b.published_at for b in builds if b.origin != "inferred"]
        assert version.published_at == min(said or [b.published_at for b in builds])


def _plain(build_id: str) -> dict[str, str]:
    return {
        "application": "Firefox", "channel": "release", "version": "61.0", "build_id": build_id,
        "published_at": "2026-11-20T12:00:00Z",
    }  # fmt: skip
