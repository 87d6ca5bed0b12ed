"""What the edge answers when the log cannot store, and what it hands to a log that can."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from missioncontrol import config
from missioncontrol.errors import ConfigError, StorageAway, StorageError, StorageFull
from missioncontrol.ingest.country import CountryLookup
from missioncontrol.ingest.edge import Edge
from missioncontrol.ingest.health import Health
from missioncontrol.log.protocol import Appended, Entry
from missioncontrol.log.sqlite import SqliteLog

PATH = b"/submit/telemetry/a/main/Firefox/61.0/nightly/20180328030202"


class FailingLog(SqliteLog):
    """A log whose disk is in the state of `error`; None: it works."""

    error: Exception | None = None
    trouble = ""

    async def append(self, entry: Entry) -> Appended:
        if self.error:
            raise self.error
        return await super().append(entry)

    def append_many(self, entries: Sequence[Entry]) -> list[Appended]:
        if self.error:
            raise self.error
        return super().append_many(entries)

    def check(self) -> str:
        if self.error:
            raise self.error
        return super().check() or self.trouble


@pytest.fixture
def log(tmp_path: Path) -> Any:
    log = FailingLog(tmp_path / "log")
    yield log
    log.close()


def call(
    app: Any, *messages: dict[str, Any], path: bytes = PATH, method: str = "POST", **headers: str
) -> tuple[int, Any]:
    """Run the application on one request; the status and the decoded body (JSON) or bytes."""
    status, _, body = answered(app, *messages, path=path, method=method, **headers)
    return status, body


def answered(
    app: Any, *messages: dict[str, Any], path: bytes = PATH, method: str = "POST", **headers: str
) -> tuple[int, dict[bytes, bytes], Any]:
    """The same with the headers of the answer."""
    sent: list[Any] = []
    incoming = list(messages)
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"v=4",
        "headers": raw,
        "client": ("203.0.113.5", 4711),
    }
    asyncio.run(app(scope, receive, send))
    if not sent:
        return 0, {}, None
    body = sent[1]["body"]
    decoded = msgspec.json.decode(body) if body.startswith(b"{") else body
    return sent[0]["status"], dict(sent[0]["headers"]), decoded


def whole(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StorageFull("log_full", "no room on /secret/place"), 507, "log_full"),
        (StorageError("log_unreadable", "broken /secret/place"), 507, "not_stored"),
        (StorageAway("spool_full", "as many wait in /secret/place as may"), 503, "spool_full"),
        (RuntimeError("anything"), 507, "not_stored"),
    ],
)
def test_whatever_keeps_a_ping_from_being_stored_is_told_until_it_is_over(
    log: FailingLog, error: Exception, status: int, code: str
) -> None:
    edge = Edge(config.Edge(), log, CountryLookup())
    log.error = error
    found, headers, answer = answered(edge, whole(b"{}"), content_length="2")
    assert (found, answer["code"]) == (status, code)
    assert headers[b"retry-after"] == b"60"
    assert "/secret" not in str(answer)
    log.error = None
    assert call(edge, whole(b"{}"), content_length="2") == (200, b"OK")
    assert edge.counts().refused == {code: 1}


def test_a_body_in_pieces_is_joined(log: FailingLog) -> None:
    edge = Edge(config.Edge(), log, CountryLookup())
    first = {"type": "http.request", "body": b'{"a"', "more_body": True}
    assert call(edge, first, whole(b":1}"), content_length="7") == (200, b"OK")
    assert [record.entry.body for record in log.read(0, 10, 1000)] == [b'{"a":1}']


@pytest.mark.parametrize("body", [b"", b"{", b"{}}"])
def test_a_body_of_another_length_than_announced_is_not_stored(log: FailingLog, body: bytes) -> None:
    edge = Edge(config.Edge(), log, CountryLookup())
    status, answer = call(edge, whole(body), content_length="2")
    assert (status, answer["code"]) == (400, "body_incomplete")
    assert log.last_offset() == 0


def test_a_client_that_leaves_is_counted_and_not_answered(log: FailingLog) -> None:
    edge = Edge(config.Edge(), log, CountryLookup())
    assert call(edge, {"type": "http.disconnect"}, content_length="2") == (0, None)
    assert edge.counts().refused == {"client_gone": 1}


def test_the_edge_stamps_entries_with_its_clock(log: FailingLog) -> None:
    edge = Edge(config.Edge(), log, CountryLookup(), clock=lambda: 1_800_000_000_123_456_789)
    call(edge, whole(b"{}"), content_length="2")
    assert [record.entry.received_ns for record in log.read(0, 10, 1000)] == [1_800_000_000_123_456_789]


@pytest.mark.parametrize(
    ("proxies", "country"), [([], "DE"), (["203.0.113.0/24"], "FR"), (["10.0.0.0/8"], "DE")]
)
def test_the_country_is_stored_and_the_address_is_not(
    log: FailingLog, database: Path, proxies: list[str], country: str
) -> None:
    edge = Edge(config.Edge(trusted_proxies=proxies), log, CountryLookup(str(database)))
    call(edge, whole(b"{}"), content_length="2", x_forwarded_for="192.0.2.1, 198.51.100.1")
    (record,) = log.read(0, 10, 1000)
    assert record.entry.country == country
    assert "203.0.113.5" not in repr(record) and "198.51.100.1" not in repr(record)


@pytest.mark.parametrize(
    ("path", "handled"),
    [
        ("/submit/telemetry/x", True),
        ("/submit", True),
        ("/submitted", False),
        ("/", False),
        ("/api/submit/", False),
    ],
)
def test_the_edge_handles_what_is_under_submit(path: str, handled: bool) -> None:
    assert Edge.handles(path) is handled


def test_wrong_proxies_are_told_at_start(log: FailingLog) -> None:
    with pytest.raises(ConfigError):
        Edge(config.Edge(trusted_proxies=["nonsense"]), log, CountryLookup())


@pytest.mark.parametrize(
    ("error", "status", "state"),
    [
        (None, 200, "ok"),
        (StorageFull("log_full", "no room"), 507, "log_full"),
        (StorageError("log_unreadable", "broken"), 503, "log_unreadable"),
        (StorageAway("spool_full", "as many wait as may"), 503, "spool_full"),
    ],
)
def test_the_heartbeat_says_whether_the_log_can_be_written(
    log: FailingLog, error: Exception | None, status: int, state: str
) -> None:
    log.error = error
    assert call(Health(log), path=b"/__heartbeat__", method="GET") == (status, {"log": state})
    assert call(Health(log), path=b"/__lbheartbeat__", method="GET") == (200, {})


def test_a_log_that_stores_elsewhere_for_a_while_beats_and_says_why(log: FailingLog) -> None:
    log.trouble = "log_topic_missing"
    expected = {"log": "spooled", "because": "log_topic_missing"}
    assert call(Health(log), path=b"/__heartbeat__", method="GET") == (200, expected)


def test_health_addresses_are_only_read(log: FailingLog) -> None:
    status, answer = call(Health(log), path=b"/__heartbeat__")
    assert (status, answer["code"]) == (405, "method_not_allowed")
