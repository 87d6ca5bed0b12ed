"""Two that delete the same crash at once."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.busy_state import at_once

from missioncontrol.state.crash_deletions import CrashDeletions
from missioncontrol.state.database import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_two_that_delete_the_same_crash_at_once_both_may(state_url: str) -> None:
    records = [CrashDeletions(Database(state_url)) for _ in range(2)]
    for record in records:
        record.newest()  # it is open
    at_once(state_url, [lambda record=record: record.begin(["a", "b"], "ada", NOW) for record in records])
    assert [deletion.crash_id for deletion in records[0].newest()] == ["a", "b"]
