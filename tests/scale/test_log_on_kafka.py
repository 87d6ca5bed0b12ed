"""The product with its log on Kafka, as its users run it: posts to the lake, and a broker, an edge and a stream that die.

The client is the judge, as in tests/e2e/test_killed.py.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from confluent_kafka.admin import AdminClient
from deploy.local.kafka import KafkaBroker
from tests.support.judging_clients import Load, address, check, document, kill_tree, one, stream_of
from tests.support.kafka_topics import make_topic
from tests.support.server import RunningServer

from missioncontrol.config import load_config
from missioncontrol.jobs.judging import Windows
from missioncontrol.lake.tables import STREAMED
from missioncontrol.log.kafka import KafkaLog
from missioncontrol.log.kafka_cluster import Cluster
from missioncontrol.log.protocol import Kind, Record
from missioncontrol.services import Services
from missioncontrol.state.database import Database
from missioncontrol.state.identities import KnownIdentities

pytestmark = [pytest.mark.apt, pytest.mark.timeout(600)]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def settings(kafka: KafkaBroker, **more: str) -> dict[str, str]:
    topic = f"log-{uuid.uuid4().hex[:8]}"
    return {
        "MC_LOG__BOOTSTRAP_SERVERS": kafka.bootstrap,
        "MC_LOG__TOPIC": topic,
        "MC_STREAM__TRIM_INTERVAL_S": "0.5",
    } | more


@pytest.fixture
def server(kafka: KafkaBroker, tmp_path: Path) -> Iterator[RunningServer]:
    """Not started; its topic has one partition."""
    server = RunningServer(tmp_path, settings(kafka, MC_LOG__SPOOL_BYTES="8000000"))
    assert "made" in server.run("log", "create-topic").stderr
    yield server
    server.stop()


@pytest.fixture
def broker(kafka: KafkaBroker) -> Iterator[KafkaBroker]:
    """The broker, to be killed; it runs again after the test."""
    yield kafka
    if not kafka.answers():
        kafka.kill()
        kafka.start()


def metric(server: RunningServer, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def beat_of(server: RunningServer) -> tuple[int, dict[str, str]]:
    beat = server.get("/__heartbeat__")
    return beat.status_code, beat.json()


def drain(server: RunningServer) -> None:
    server.wait_until(lambda: metric(server, "mc_spool_records") == 0, 60)


def topic_of(server: RunningServer) -> str:
    return server._environment["MC_LOG__TOPIC"]


def in_topic(kafka: KafkaBroker, server: RunningServer, tmp_path: Path) -> list[Record]:
    """All that the topic holds, by an identity store of its own."""
    known = KnownIdentities(Database(f"sqlite:///{tmp_path / uuid.uuid4().hex}.sqlite"), 7)
    log = KafkaLog(Cluster(kafka.bootstrap, topic_of(server)), known)
    records = log.read(0, 1_000_000, 1 << 40)
    log.close()
    return records


def post(server: RunningServer, document_id: str, body: bytes) -> httpx.Response:
    return server.post(f"/submit/telemetry/{document_id}/main/Firefox/133.0/release/20261101093000?v=4", body)


def test_nothing_acknowledged_is_lost_or_counted_twice_when_broker_server_and_stream_are_killed(
    broker: KafkaBroker, server: RunningServer
) -> None:
    server.start()
    load = Load(server.port)
    load.start()
    try:
        time.sleep(1)
        broker.kill()
        time.sleep(4)
        kill_tree(server)  # with a full spool, and submissions under way
        server.start()
        time.sleep(1)
        broker.start()
        drain(server)
        os.kill(stream_of(server), signal.SIGKILL)
        time.sleep(1)
        broker.kill()
        broker.start()
        time.sleep(1)
        kill_tree(server)
        server.start()
        time.sleep(2)
    finally:
        load.stop()
    drain(server)
    server.settle()
    assert set(load.statuses) == {200}
    assert all(d.answered for d in load.documents)
    assert any(d.sent > 1 for d in load.documents), "no kill ever cut a request off"
    assert "go to the spool" in server.talk
    check(server, load.documents)


def test_copies_are_counted_once_whoever_sees_them_and_however_often_the_stream_is_killed(
    kafka: KafkaBroker, server: RunningServer
) -> None:
    server.start()
    documents = [document(number) for number in range(120)]
    for round_ in range(3):
        for sent in documents:
            assert server.post(address(sent), sent.body).status_code == 200
            sent.answered = True
        os.kill(stream_of(server), signal.SIGKILL)
        if round_ == 1:
            kill_tree(server)
            server.start()
    server.settle()
    check(server, documents)
    assert one(server, "SELECT sum(\"count\") AS n FROM discards WHERE reason = 'duplicate'") == {"n": 240}
    offsets = [row["log_offset"] for row in server.sql("SELECT log_offset FROM pings ORDER BY 1")]
    assert offsets == list(range(1, 121))


def test_a_full_spool_refuses_and_what_it_took_reaches_the_lake(
    broker: KafkaBroker, server: RunningServer
) -> None:
    server.start()
    broker.kill()
    answered = []
    for size_bytes in (200_000, 5_000):
        while (answer := post(server, id_ := str(uuid.uuid4()), os.urandom(size_bytes))).status_code == 200:
            answered.append(id_)
            assert len(answered) < 200
        assert (answer.status_code, answer.json()["code"]) == (503, "spool_full")
        assert answer.headers["retry-after"] == "60"
    assert len(answered) > 10
    assert metric(server, "mc_spool_kafka_away") == 1
    held = metric(server, "mc_spool_records") - len(answered)
    assert 0 <= held <= 3  # counts of what was refused
    assert beat_of(server) == (503, {"log": "spool_full"})
    broker.start()
    drain(server)
    assert post(server, str(uuid.uuid4()), b"{}").status_code == 200
    server.settle()
    rows = server.sql("SELECT document_id FROM pings")
    assert Counter(answered) <= Counter(row["document_id"] for row in rows)
    assert max(Counter(row["document_id"] for row in rows).values()) == 1
    assert metric(server, "mc_spool_drained_total") >= len(answered) + held


def test_a_spool_that_a_killed_edge_left_is_drained_by_the_next_without_any_post(
    broker: KafkaBroker, server: RunningServer, tmp_path: Path
) -> None:
    server.only = "edge,web"
    server.start()
    before = [str(uuid.uuid4()) for _ in range(20)]
    assert {post(server, id_, b"{}").status_code for id_ in before} == {200}
    broker.kill()
    after = [str(uuid.uuid4()) for _ in range(50)]
    assert {post(server, id_, b"{}").status_code for id_ in after} == {200}
    server.kill()
    server.start()
    assert metric(server, "mc_spool_records") == 50
    assert server.get("/pipeline").status_code == 200
    broker.start()
    drain(server)
    records = in_topic(broker, server, tmp_path)
    pings = [record.entry.document_id for record in records if record.entry.kind is Kind.PING]
    assert pings == [*before, *after]
    # The one that was under way when Kafka went may have been written there, and its answer lost.
    copies = [record.entry for record in records if record.entry.kind is Kind.DUPLICATE]
    assert {copy.document_id for copy in copies} <= {after[0]}


def test_the_pages_say_what_is_known_of_the_log_whether_kafka_answers_or_not(
    broker: KafkaBroker, server: RunningServer
) -> None:
    server.only = "edge,web"
    server.start()
    for _ in range(7):
        assert post(server, str(uuid.uuid4()), b"{}").status_code == 200
    state = server.get("/api/v1/pipeline").json()
    assert (state["last_offset"], state["backlog_records"], state["backlog_bytes"]) == (7, 7, None)
    assert metric(server, "mc_log_backlog_records") == 7
    assert "mc_log_bytes" not in server.get("/metrics").text
    broker.kill()
    state = server.get("/api/v1/pipeline").json()
    assert (state["last_offset"], state["backlog_records"]) == (None, None)
    assert server.get("/pipeline").status_code == 200
    assert metric(server, "mc_spool_kafka_away") == 0  # nobody has posted
    assert post(server, str(uuid.uuid4()), b"{}").status_code == 200
    assert metric(server, "mc_spool_kafka_away") == 1 and metric(server, "mc_spool_produce_errors_total") >= 1
    assert beat_of(server) == (200, {"log": "spooled", "because": "log_unreadable"})


def test_a_topic_of_several_partitions_is_shown_and_waited_for_as_the_tables_hold_it_and_the_stream_refuses_it(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    with_topic = settings(kafka)
    server = RunningServer(tmp_path, with_topic)
    server.run("log", "create-topic", "--partitions", "3")
    for command in (["stream"], ["stream", "--until-idle"], ["serve", "--port", "0"]):
        refused = server.run(*command, check=False)
        assert (
            refused.returncode == 1 and "3 partitions" in refused.stderr and "spark stream" in refused.stderr
        )
    server.only = "edge,web"
    server.start()
    try:
        ids = [str(uuid.uuid4()) for _ in range(30)]
        assert {post(server, id_, b"{}").status_code for id_ in ids} == {200}
        assert post(server, ids[0].upper(), b"{}").status_code == 200
        at_first = server.get("/api/v1/pipeline").json()
        assert (at_first["last_offset"], at_first["committed_offset"]) == (None, None)
        assert at_first["backlog_records"] == 31
        waiting = {each["partition"]: each["backlog_records"] for each in at_first["partitions"]}
        assert sum(waiting.values()) == 31 and min(waiting.values()) > 0
        assert metric(server, "mc_log_backlog_records") == 31
        for partition, records in waiting.items():
            assert metric(server, f'mc_log_partition_backlog_records{{partition="{partition}"}}') == records
        assert "31" in server.get("/pipeline").text
        services = Services(load_config(server.data, environ=with_topic))
        windows, held = Windows(services), services.kafka_held()
        services.writer.ensure(services.registry())
        assert windows.settled(NOON + timedelta(seconds=3)) is None
        for table in STREAMED:
            assert windows.settled(NOON + timedelta(seconds=4)) is None, "a table lacks them"
            services.writer.commit_moves(table, [], held.moves(table, {0: held.ends[0].next, 1: 1, 2: 1}))
        left = sum(waiting.values()) - waiting[0] - 2
        assert server.get("/api/v1/pipeline").json()["backlog_records"] == left
        assert windows.settled(NOON + timedelta(seconds=5)) is None
        for table in STREAMED:
            services.writer.commit_moves(table, [], services.kafka_held().moves(table, held.goal().next))
        assert windows.settled(NOON + timedelta(seconds=6)) == NOON
        assert server.get("/api/v1/pipeline").json()["backlog_records"] == 0
        ids.append(str(uuid.uuid4()))
        assert post(server, ids[-1], b"{}").status_code == 200
        assert metric(server, "mc_log_backlog_records") == 1
        assert windows.settled(NOON + timedelta(seconds=7)) == NOON, "that is of the next window"
        services.close()
    finally:
        server.stop()
    known = KnownIdentities(Database(f"sqlite:///{tmp_path / 'mine.sqlite'}"), 7)
    logs = [
        KafkaLog(Cluster(kafka.bootstrap, with_topic["MC_LOG__TOPIC"]), known, number) for number in range(3)
    ]
    parts = [log.read(0, 100, 1 << 30) for log in logs]
    assert all(parts) and len({log.identity() for log in logs}) == 3
    assert [[r.offset >> 48 for r in part] for part in parts] == [
        [n] * len(part) for n, part in enumerate(parts)
    ]
    records = [record for part in parts for record in part]
    assert sorted(r.entry.document_id for r in records if r.entry.kind is Kind.PING) == sorted(ids)
    assert [r.entry.document_id for r in records if r.entry.kind is Kind.DUPLICATE] == [ids[0].upper()]
    for log in logs:
        assert log.count_after(0) == len(log.read(0, 100, 1 << 30))
        log.close()


def test_a_missing_topic_and_another_one_are_told_with_what_to_do(kafka: KafkaBroker, tmp_path: Path) -> None:
    server = RunningServer(tmp_path, settings(kafka))
    for command in (["serve", "--port", "0"], ["serve", "--only", "edge", "--port", "0"], ["stream"]):
        missing = server.run(*command, check=False)
        assert missing.returncode == 1 and "missioncontrol log create-topic" in missing.stderr
    make_topic(kafka.bootstrap, topic_of(server), 1)
    other = server.run("log", "create-topic", check=False)
    assert other.returncode == 2
    assert "message.timestamp.after.max.ms" in other.stderr and "replication" not in other.stderr
    (server.data / "missioncontrol.toml").write_text('[log.kafka]\n"client.id" = "mine"\nacks = "0"\n')
    assert "cannot set acks" in server.run("stream", check=False).stderr


def test_a_topic_that_was_made_anew_is_read_from_its_beginning_and_copies_of_the_old_ones_pings_are_known(
    kafka: KafkaBroker, server: RunningServer
) -> None:
    server.start()
    documents = [document(number) for number in range(40)]

    def send(count: int) -> None:
        for sent in documents[:count]:
            assert server.post(address(sent), sent.body).status_code == 200
            sent.answered = True

    send(30)
    server.settle()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    [gone] = admin.delete_topics([topic_of(server)]).values()
    gone.result(30)
    missing = (200, {"log": "spooled", "because": "log_topic_missing"})
    server.wait_until(lambda: beat_of(server) == missing)
    server.wait_until(lambda: server.run("log", "create-topic", check=False).returncode == 0)
    send(40)
    drain(server)
    server.settle()
    check(server, documents)
    assert one(server, "SELECT sum(\"count\") AS n FROM discards WHERE reason = 'duplicate'") == {"n": 30}


def test_a_message_that_is_none_of_ours_is_counted_and_passed(
    kafka: KafkaBroker, server: RunningServer
) -> None:
    from tests.support.kafka_topics import durable_producer

    server.start()
    producer = durable_producer(kafka.bootstrap)
    producer.produce(topic_of(server), json.dumps({"some": "thing"}).encode(), b"key")
    producer.produce(topic_of(server), b"x", headers=[("kind", b"1"), ("meta", b"\xff")])
    assert producer.flush(60) == 0
    sent = document(1)
    assert server.post(address(sent), sent.body).status_code == 200
    server.settle()
    reasons = server.sql('SELECT reason, sum("count") AS n FROM discards GROUP BY 1')
    assert reasons == [{"reason": "log_message_unreadable", "n": 2}]
    assert one(server, "SELECT count(*) AS n FROM pings WHERE discarded IS NULL") == {"n": 1}
