"""Sign-ins under way on both databases: begun by one process, ended once by any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from missioncontrol.state.database import Database
from missioncontrol.state.sign_ins import SignIn, SignIns

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def way(name: str, ends_at: datetime = NOW + timedelta(minutes=10)) -> SignIn:
    return SignIn(f"browser of {name}", "nonce", "verifier", "/measures", ends_at)


def test_one_that_was_begun_here_is_ended_there_and_once(state_url: str) -> None:
    here, there = SignIns(Database(state_url)), SignIns(Database(state_url))
    here.begin("a", way("a"), NOW)
    here.begin("b", way("b"), NOW)
    assert there.end("a") == way("a")
    assert there.end("a") is None and here.end("a") is None
    assert here.end("b") == way("b")


def test_those_that_are_over_go(state_url: str) -> None:
    ways = SignIns(Database(state_url))
    ways.begin("old", way("old", NOW - timedelta(seconds=1)), NOW - timedelta(minutes=10))
    ways.begin("new", way("new"), NOW)
    assert ways.end("old") is None and ways.end("new") == way("new")
