"""The edge's spool, where there is no Kafka: a port that nobody listens on. With one: tests/scale/test_log_on_kafka.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy.local.process import free_ports
from tests.support.disk import fill, small_disk

from missioncontrol.errors import BadRequest, ConfigError, StorageAway, StorageError, StorageFull
from missioncontrol.log.kafka import KafkaLog
from missioncontrol.log.kafka_cluster import MESSAGE_BYTES, Cluster, options
from missioncontrol.log.protocol import Appended, Entry, Kind
from missioncontrol.log.spooled import SpooledLog
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.state.database import Database
from missioncontrol.state.identities import KnownIdentities

LIMIT_BYTES = 2 << 20


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Callable[[], SpooledLog]]:
    opened: list[SpooledLog] = []

    def make() -> SpooledLog:
        opened.append(SpooledLog(nowhere(tmp_path), tmp_path / "spool" / "spool.sqlite", LIMIT_BYTES))
        return opened[-1]

    yield make
    for spool in opened:
        spool.close()


def nowhere(folder: Path) -> KafkaLog:
    """A log on a Kafka that is not there."""
    known = KnownIdentities(Database(f"sqlite:///{folder / 'state.sqlite'}"), 7)
    return KafkaLog(Cluster(f"127.0.0.1:{free_ports(1)[0]}", "log"), known, timeout_s=0.3)


def ping(number: int, body: bytes = b"{}") -> Entry:
    return Entry(Kind.PING, 1, document_id=f"id-{number}", body=body)


def test_what_kafka_does_not_take_is_in_the_spool_as_it_was_and_there_after_a_restart(
    open_spool: Callable[[], SpooledLog], tmp_path: Path
) -> None:
    spool = open_spool()
    entries = [
        ping(1),
        ping(1),
        *(ping(number) for number in range(2, 5)),
        Entry(Kind.REFUSED, 5, detail="edge_x"),
    ]

    async def append_all() -> list[Appended]:
        return list(await asyncio.gather(*(spool.append(entry) for entry in entries[:3])))

    assert asyncio.run(append_all()) == [Appended(None, None)] * 3
    errors = spool.counts().errors
    assert errors >= 1 and spool.counts().away
    assert spool.append_many(entries[3:]) == [Appended(None, None)] * 3
    assert spool.append_many([]) == []
    assert spool.counts().errors == errors  # nothing is tried while Kafka is away
    spool.start()
    spool.close()
    spool = open_spool()
    counts = spool.counts()
    assert (counts.records, counts.drained, counts.away) == (6, 0, False)
    log = SqliteLog(tmp_path / "spool" / "spool.sqlite")
    kept = [record.entry for record in log.read(0, 100, 1 << 20)]
    log.close()
    # Of copies in one commit the second needs no body: the first is in the same spool.
    first = [entry.document_id for entry in kept if entry.kind is not Kind.DUPLICATE]
    assert sorted(set(first)) == ["", "id-1", "id-2", "id-3", "id-4"] and kept[-1] == entries[-1]


def test_a_full_spool_says_so_and_keeps_what_it_has(open_spool: Callable[[], SpooledLog]) -> None:
    spool = open_spool()
    assert spool.check() == "log_unreadable", "it can store, and says what is wrong"
    taken = 0
    with pytest.raises(StorageAway) as refusal:
        for number in range(1000):
            spool.append_many([ping(number, os.urandom(50_000))])
            taken += 1
    assert refusal.value.code == "spool_full" and taken > 10
    for refused in (spool.check, lambda: asyncio.run(spool.append(ping(2000, os.urandom(50_000))))):
        with pytest.raises(StorageAway) as refusal:
            refused()
        assert refusal.value.code == "spool_full"
    assert (spool.counts().records, spool.counts().spooled) == (taken, taken)
    assert spool.counts().size_bytes <= LIMIT_BYTES


def test_a_full_disk_is_no_full_spool(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        spool = SpooledLog(nowhere(tmp_path), disk / "spool" / "spool.sqlite", 1 << 30)
        spool.append_many([ping(1)])
        fill(disk)
        for refused in (spool.check, lambda: spool.append_many([ping(2, os.urandom(50_000))])):
            with pytest.raises(StorageFull) as refusal:
                refused()
            assert refusal.value.code == "log_full"
        spool.close()


def test_what_kafka_would_refuse_for_ever_does_not_get_into_the_spool(
    open_spool: Callable[[], SpooledLog],
) -> None:
    spool = open_spool()
    spool.append_many([ping(1)])
    for refused in (
        ping(2, bytes(MESSAGE_BYTES)),
        ping(3, bytes(MESSAGE_BYTES - 1024)),
        Entry(Kind.PING, 1 << 70),
    ):
        with pytest.raises(BadRequest):
            asyncio.run(spool.append(refused))
        with pytest.raises(BadRequest):
            spool.append_many([refused])
    assert spool.counts().records == 1


def test_one_process_drains_a_spool_that_several_share(open_spool: Callable[[], SpooledLog]) -> None:
    spools = [open_spool(), open_spool()]
    assert [spool._may_drain() for spool in spools] == [True, False]
    spools[0].close()
    assert spools[1]._may_drain()


def test_a_log_whose_kafka_is_not_there_says_so(open_spool: Callable[[], SpooledLog]) -> None:
    kafka = open_spool()._kafka
    for use in (kafka.check, kafka.last_offset, kafka.identity, lambda: kafka.read(0, 1, 1)):
        with pytest.raises(StorageError) as refusal:
            use()
        assert refusal.value.code == "log_unreadable"
    with pytest.raises(StorageError) as refusal:
        kafka.append_many([ping(1)])
    assert refusal.value.code == "log_unwritable"
    kafka.close()
    with pytest.raises(StorageError) as refusal:
        kafka.append_many([ping(1)])
    assert refusal.value.code == "log_closed"


def test_options_come_with_dots_or_underscores_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("pass word\n")
    given = {"sasl.mechanism": "PLAIN", "sasl_username": "u", "sasl_password_file": str(tmp_path / "secret")}
    assert options(given) == {"sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "pass word"}
    assert options({"sasl.password_file": str(tmp_path / "secret")}) == {"sasl.password": "pass word"}
    with pytest.raises(ConfigError, match="sasl_password_file"):
        options({"sasl_password_file": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match=r"cannot set acks, partitioner"):
        Cluster("127.0.0.1:1", "log", {"partitioner": "random", "acks": "0", "client.id": "x"})
