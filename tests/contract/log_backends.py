"""The backends of the log that the contract suite runs on, for the tests and for their child processes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from missioncontrol.log.kafka import KafkaLog
from missioncontrol.log.kafka_cluster import Cluster
from missioncontrol.log.protocol import Appended, Entry, Kind, Log
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.state.database import Database
from missioncontrol.state.identities import KnownIdentities

BACKENDS = ("sqlite", "kafka")
DAY_NS = 86_400 * 10**9
NOW_NS = 1_763_800_000 * 10**9


def open_log(backend: str, place: Path, **settings: Any) -> Log:
    if backend == "sqlite":
        return SqliteLog(place / "log.sqlite", **settings)
    servers, topic = (place / "kafka").read_text().split()
    known = KnownIdentities(Database(f"sqlite:///{place / 'state.sqlite'}"), settings.pop("dedup_days", 7))
    return KafkaLog(Cluster(servers, topic), known, **settings)


def make_store(servers: str, place: Path) -> None:
    """A topic that takes any clock and keeps all, and a folder that says where it is."""
    topic = f"log-{uuid.uuid4().hex}"
    Cluster(servers, topic).create(partitions=1, replication=1, retention_days=0)
    place.mkdir(parents=True, exist_ok=True)
    (place / "kafka").write_text(f"{servers} {topic}")


class SetClock:
    """A clock that stands where the test puts it."""

    def __init__(self, now_ns: int = NOW_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def ping(document_id: str = "", body: bytes = b"{}", **fields: Any) -> Entry:
    return Entry(kind=Kind.PING, received_ns=NOW_NS, document_id=document_id, body=body, **fields)


def body_of(document_id: str, size_bytes: int = 2000) -> bytes:
    """A body that can be told from every other by its id."""
    digest = hashlib.sha256(document_id.encode()).digest()
    return (digest * (size_bytes // len(digest) + 1))[:size_bytes]


def told(log: Log, appended: Sequence[Appended], before: int) -> list[bool]:
    """Which of what was appended after the offset `before` are duplicates: as reading says, and appending if it does."""
    kinds = {record.offset: record.entry.kind for record in log.read(before, 1_000_000, 1 << 40)}
    duplicates = []
    for one in appended:
        assert one.offset is not None
        duplicates.append(kinds[one.offset] is Kind.DUPLICATE)
        assert one.duplicate in (None, duplicates[-1])
    return duplicates


CHILD = Path(__file__).with_name("log_child.py")


class LogBackend:
    """One store of one backend; every log opened on it is closed at the end of the test."""

    def __init__(self, name: str, place: Path, servers: str = "") -> None:
        self.name = name
        self.place = place
        if servers:
            make_store(servers, place)
        self._opened: list[Log] = []
        self._children: list[subprocess.Popen[bytes]] = []

    def open(self, **settings: Any) -> Log:
        log = open_log(self.name, self.place, **settings)
        self._opened.append(log)
        return log

    def child(self, prefix: str, count: int = 0, *flags: str) -> subprocess.Popen[bytes]:
        """A process that appends `count` entries; 0: until it is killed."""
        command = [sys.executable, str(CHILD), self.name, str(self.place), prefix, str(count), *flags]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._children.append(child)
        return child

    def close(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        for log in self._opened:
            log.close()
