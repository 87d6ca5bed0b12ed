"""The disk is full while verdicts are written: nothing is kept by half, nothing is told twice, and it goes on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.support import judged_train
from tests.support.disk import fill, small_disk
from tests.support.receivers import http_receiver
from tests.support.verdict_flow import Installation

pytestmark = pytest.mark.embedded_only("fills the disk that lake and state share")

BAD = judged_train.story(2.0)


def rows(channel: Installation) -> int:
    out, _, _ = channel.run("sql", "SELECT count(*)::INT AS n FROM verdicts")
    found: int = json.loads(out)[0]["n"]
    return found


def test_a_turn_on_a_full_disk_is_made_when_there_is_room_again(tmp_path: Path) -> None:
    written = judged_train.write(BAD, tmp_path / "train", 360)
    with small_disk(tmp_path / "disk", 48) as disk, http_receiver() as receiver:
        channel = Installation(disk / "data")
        channel.take(written.aggregates)
        channel.take(written.activity, table="usage_by_activity")
        channel.publish(written.releases)
        channel.run("alert", "channel", "add", "ops", "--kind", "webhook", "--to", receiver.url)
        filler = fill(disk)
        for _ in range(2):
            _, said, _ = channel.run("jobs", "verdicts", codes=(1,))
            assert "room" in said or "No space left" in said, said
        _, said, _ = channel.run("import", "releases", str(written.releases), codes=(0, 1))
        assert not said.startswith("Error") or "room" in said, said
        filler.unlink()
        assert rows(channel) == 0
        out, _, _ = channel.run("jobs", "verdicts", "--json")
        assert '"looks":2' in out
        assert rows(channel) == 2
        out, _, _ = channel.run("jobs", "verdicts", "--json")
        assert '"looks":0' in out and rows(channel) == 2
        listed, _, _ = channel.run("release", "list", "--json")
        worse = [each["version"] for each in json.loads(listed) if each["status"] == "worse"]
        assert worse == [judged_train.version(BAD)]
        with closing(sqlite3.connect(channel.data / "state.sqlite")) as state:
            told = state.execute(
                "SELECT measure, verdict, count(*) FROM alert_events GROUP BY 1, 2"
            ).fetchall()
        assert ("main_crashes", "worse", 1) in told and {number for _, _, number in told} == {1}
