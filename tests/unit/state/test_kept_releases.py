"""Releases are kept in the state database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from missioncontrol.errors import BadRequest, StorageError
from missioncontrol.state.database import Database
from missioncontrol.state.release_file import parse_releases
from missioncontrol.state.releases import Releases

ONE = b'[{"application": "Firefox", "channel": "release", "version": "133.0", "build_id": "1", "published_at": "%s"}]'


@pytest.fixture
def releases(state_url: str) -> Releases:
    return Releases(Database(state_url))


def test_a_release_is_stored_once_and_its_time_can_be_corrected(releases: Releases) -> None:
    assert releases.put(parse_releases(ONE % b"2026-11-20T12:00:00Z", "x")).new == 1
    assert releases.put(parse_releases(ONE % b"2026-11-21T13:00:00+01:00", "x")).new == 0
    assert [r.published_at for r in releases.list()] == [datetime(2026, 11, 21, 12, tzinfo=UTC)]


def test_releases_are_listed_by_application_and_channel(releases: Releases) -> None:
    releases.put(parse_releases(ONE % b"2026-11-20T12:00:00", "x"))
    assert len(releases.list("Firefox", "release")) == 1
    assert releases.list("Firefox", "beta") == []


def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    assert Releases(Database(f"sqlite:///{tmp_path / 'deep' / 'state.sqlite'}")).list() == []


def test_another_process_finds_the_database_migrated(state_url: str) -> None:
    Releases(Database(state_url)).put(parse_releases(ONE % b"2026-11-20T12:00:00Z", "x"))
    assert len(Releases(Database(state_url)).list()) == 1


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'[{"application": "x"}]', ONE % b"soon", b'[{"aplication": "x"}]']
)
def test_what_is_no_list_of_releases_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_releases(text, "file.json")
    assert caught.value.message.startswith("file.json: ")
    assert "published_at" in caught.value.hint


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database" * 200)
    with pytest.raises(StorageError, match="State database"):
        Releases(Database(f"sqlite:///{tmp_path / 'state.sqlite'}")).list()
