"""Three brokers, reached over TLS and SCRAM: leaders that are killed or move, too few replicas, and who may not get in.

One edge with pages and one stream on Spark run through all tests of this file, in one data folder. Clients judge: what
was answered 200 is in the tables once, after each test all that was sent until then.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ElectionType, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from deploy.local.fetch import java, kafka_jars
from deploy.local.kafka_cluster import Access, KafkaCluster, Member
from tests.support.certificates import Authority
from tests.support.judging_clients import Load, Sent, address, check, document
from tests.support.server import RunningServer
from tests.support.spark import SparkInstallation, wait_until

from missioncontrol.spark.topic import java_options

pytestmark = [pytest.mark.apt, pytest.mark.timeout(600)]

TOPIC, PARTITIONS = "pings", 3
USER, EDGE = "missioncontrol", "edge"
BROKERS = FIRST, SECOND, THIRD = 1, 2, 3
PINGS_PER_S = 80
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    authority, another = Authority("tests"), Authority("another")
    trusted = another.write(folder / "authorities.pem")
    trusted.write_bytes(trusted.read_bytes() + authority.write(folder / "authority.pem").read_bytes())
    access = Access(
        authority.issue(folder / "broker.pem", "127.0.0.1"),
        trusted,
        {USER: "s3cret of the tests", EDGE: "the old one"},
    )
    made = KafkaCluster(folder, access)
    try:
        made.create()
        made.start()
        yield made
    finally:
        made.kill()


class Secured:
    """The edge and the stream, and what clients sent."""

    def __init__(self, folder: Path, cluster: KafkaCluster) -> None:
        self.cluster = cluster
        self.admin = AdminClient(cluster.client_settings(USER))
        self.wait_for(lambda: len(self.admin.list_topics(timeout=10).brokers) == len(BROKERS))
        self.server = RunningServer(folder / "machine", {"MC_LOG__SPOOL_BYTES": "8000000"})
        self.server.only = "edge,web"
        self.installation = SparkInstallation(self.server.data, cluster.bootstrap, TOPIC)
        self.settings = self.server.data / "missioncontrol.toml"
        with self.settings.open("a") as file:
            file.write("[log.kafka]\n")
            for name, value in cluster.access.client_settings(USER).items():
                file.write(f'"{name}" = "{value}"\n')
        made = self.server.run("log", "create-topic", "--partitions", str(PARTITIONS), "--replication", "3")
        assert "made" in made.stderr
        self.wait_for(lambda: set(self.in_sync().values()) == {BROKERS})
        self.documents: list[Sent] = []
        self.others: list[RunningServer] = []
        self.server.start()
        self.running = self.installation.start("--trigger-s", "0.5")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < ends
            time.sleep(0.1)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Fails when the stream ends meanwhile."""
        wait_until(condition, self.running, self.installation, every_s=0.1)

    def leaders(self) -> dict[int, int]:
        """The broker that leads each partition; -1: none."""
        return {n: p.leader for n, p in self._partitions().items()}

    def in_sync(self) -> dict[int, tuple[int, ...]]:
        """The brokers that have all of each partition."""
        return {n: tuple(sorted(p.isrs)) for n, p in self._partitions().items()}

    def replicas(self) -> dict[int, list[int]]:
        return {n: list(p.replicas) for n, p in self._partitions().items()}

    def _partitions(self) -> Mapping[int, Any]:
        """Asked until a broker answers that knows the topic: one may die meanwhile, or have just begun."""
        found: dict[int, Any] = {}

        def asked() -> bool:
            with suppress(KafkaException):
                found.update(self.admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions)
            return len(found) == PARTITIONS

        self.wait_for(asked)
        return found

    def member(self, number: int) -> Member:
        return self.cluster.members[number - 1]

    @contextmanager
    def pings(self) -> Iterator[Load]:
        """Pings that come meanwhile, each of which is answered 200 at last."""
        load = Load(self.server.port, PINGS_PER_S)
        load.start()
        try:
            self.answered(load, 50)
            yield load
            self.answered(load, 50)
        finally:
            load.stop()
        self.documents += load.documents
        assert set(load.statuses) == {200}
        assert all(sent.answered for sent in load.documents)

    def answered(self, load: Load, more: int) -> None:
        """Wait until so many more were."""
        goal = load.statuses[200] + more
        self.wait_until(lambda: load.statuses[200] >= goal)

    def spooled(self) -> float:
        """How many records wait for Kafka."""
        return metric_of(self.server, "mc_spool_records")

    def check(self) -> None:
        """All that was acknowledged comes into the tables, once."""
        self.wait_until(lambda: self.spooled() == 0)
        self.wait_until(lambda: self.server.get("/api/v1/pipeline").json()["backlog_records"] == 0)
        check(self.server, self.documents)
        assert "Traceback" not in self.server.talk
        assert "FOREACH_BATCH" not in self.installation.talk, "one line says what a batch failed with"

    def close(self) -> None:
        self.running.kill()
        self.running.wait()
        for server in (self.server, *self.others):
            server.kill()


def metric_of(server: RunningServer, name: str) -> float:
    [line] = [line for line in server.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def beat_of(server: RunningServer) -> tuple[int, dict[str, str]]:
    beat = server.get("/__heartbeat__")
    return beat.status_code, beat.json()


@pytest.fixture(scope="module")
def secured(cluster: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("secured"), cluster)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def java_admin(cluster: KafkaCluster) -> Iterator[Any]:
    """Kafka's own client for what librdkafka cannot do, signed in as Spark does."""
    # Not installed where these tests are collected and not run.
    import pyspark
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

    [py4j] = (Path(pyspark.__file__).parent / "jars").glob("py4j-*.jar")
    classes = ":".join(map(str, kafka_jars()))
    port, process = launch_gateway(
        jarpath=str(py4j), classpath=classes, java_path=java(), die_on_exit=True, return_proc=True
    )
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))
    try:
        options = gateway.jvm.java.util.HashMap()
        for name, value in java_options(cluster.client_settings(USER)).items():
            options.put(name, value)
        yield gateway.jvm, gateway.jvm.org.apache.kafka.clients.admin.AdminClient.create(options)
    finally:
        gateway.shutdown()
        process.kill()
        process.wait()


def move(java: Any, wanted: Mapping[int, list[int]]) -> None:
    """Give partitions these replicas, the preferred leader first."""
    jvm, admin = java
    asked = jvm.java.util.HashMap()
    for partition, brokers in wanted.items():
        place = jvm.org.apache.kafka.common.TopicPartition(TOPIC, partition)
        change = jvm.org.apache.kafka.clients.admin.NewPartitionReassignment(brokers)
        asked.put(place, jvm.java.util.Optional.of(change))
    admin.alterPartitionReassignments(asked).all().get()


def test_partitions_and_their_leaders_move_while_pings_come(secured: Secured) -> None:
    before = secured.leaders()
    assert set(before.values()) <= set(BROKERS)
    with secured.pings() as load, java_admin(secured.cluster) as admin:
        away = {p: [b for b in BROKERS if b != leader] for p, leader in before.items()}
        move(admin, away)
        secured.wait_until(lambda: secured.replicas() == away)
        secured.wait_until(lambda: all(secured.leaders()[p] in away[p] for p in away))
        secured.answered(load, 50)
        back = {p: [brokers[1], brokers[0], before[p]] for p, brokers in away.items()}
        move(admin, back)
        secured.wait_until(lambda: set(secured.in_sync().values()) == {BROKERS})
        secured.answered(load, 50)
        places = [TopicPartition(TOPIC, partition) for partition in back]
        secured.admin.elect_leaders(ElectionType.PREFERRED, places).result(30)
        secured.wait_until(lambda: secured.leaders() == {p: brokers[0] for p, brokers in back.items()})
    secured.check()


def test_a_leader_is_killed_and_comes_back_with_an_empty_disk_while_pings_come(secured: Secured) -> None:
    killed = secured.leaders()[0]
    member = secured.member(killed)
    with secured.pings() as load:
        member.kill()
        secured.wait_until(
            lambda: killed not in secured.leaders().values() and -1 not in secured.leaders().values()
        )
        secured.answered(load, 50)
        shutil.rmtree(member.folder / "data")
        member.create()
        member.start()
        secured.wait_until(lambda: set(secured.in_sync().values()) == {BROKERS})
    secured.check()


def test_with_one_broker_of_three_pings_go_to_the_spool_and_to_kafka_when_a_second_returns(
    secured: Secured,
) -> None:
    spooled = (200, {"log": "spooled", "because": "log_unwritable"})
    with secured.pings() as load:
        # Two controllers go with them: the last broker says for ever that all are in sync.
        secured.member(FIRST).kill()
        secured.member(SECOND).kill()
        secured.wait_until(lambda: beat_of(secured.server) == spooled)
        assert secured.spooled() > 0
        secured.answered(load, 50)
        secured.member(SECOND).start()
        secured.wait_until(lambda: beat_of(secured.server) == (200, {"log": "ok"}))
        secured.wait_until(lambda: set(secured.in_sync().values()) == {(SECOND, THIRD)})
        secured.member(SECOND).stop()  # and says so before
        secured.wait_until(lambda: beat_of(secured.server) == spooled)
        secured.answered(load, 50)
    taken = []
    for size_bytes in (200_000, 5_000):
        while (
            answer := post(secured.server, id_ := str(uuid.uuid4()), os.urandom(size_bytes))
        ).status_code == 200:
            taken.append(id_)
            assert len(taken) < 1000
        assert (answer.status_code, answer.json()["code"]) == (503, "spool_full")
        assert answer.headers["retry-after"] == "60"
    assert beat_of(secured.server) == (503, {"log": "spool_full"})
    secured.member(SECOND).start()
    secured.wait_until(lambda: secured.spooled() == 0)
    secured.wait_until(lambda: beat_of(secured.server) == (200, {"log": "ok"}))
    secured.member(FIRST).start()
    secured.wait_until(lambda: set(secured.in_sync().values()) == {BROKERS})
    secured.check()
    kept = Counter(row["document_id"] for row in secured.server.sql("SELECT document_id FROM pings"))
    assert {kept[id_] for id_ in taken} == {1}


def post(server: RunningServer, document_id: str, body: bytes) -> Any:
    return server.post(f"/submit/telemetry/{document_id}/main/Firefox/133.0/release/20261101093000?v=4", body)


def test_who_may_not_get_in_is_told_why_and_an_edge_that_runs_keeps_what_comes(
    secured: Secured, tmp_path: Path
) -> None:
    stranger = Authority("strangers").write(tmp_path / "stranger.pem")
    user = {"MC_LOG__KAFKA__SASL_USERNAME": EDGE, "MC_LOG__KAFKA__SASL_PASSWORD": "the new one"}
    why = {
        edge_of(secured, tmp_path / "user", user): ("log_forbidden", "SASL authentication error"),
        edge_of(secured, tmp_path / "authority", {"MC_LOG__KAFKA__SSL_CA_LOCATION": str(stranger)}): (
            "log_tls_failed", "certificate verify failed"
        ),
    }  # fmt: skip
    assert (
        "ok    log: topic pings, 3 partitions, 3 replicas" in secured.server.run("doctor", check=False).stdout
    )
    commands = (["doctor"], ["spark", "stream"], ["serve", "--only", "edge", "--port", "0"])
    with ThreadPoolExecutor() as pool:
        runs = [(edge, pool.submit(edge.run, *command, check=False)) for edge in why for command in commands]
    for edge, run in runs:
        done = run.result()
        said = done.stdout + done.stderr
        assert done.returncode == 1 and why[edge][1] in said and "Check " in said, said
        assert "Traceback" not in said

    secured.member(FIRST).kill()
    for edge in why:
        edge.start()  # that Kafka is away is no reason not to
    secured.member(FIRST).start()
    for edge, (code, text) in why.items():
        told = (200, {"log": "spooled", "because": code})
        edge.wait_until(lambda edge=edge, told=told: beat_of(edge) == told, PATIENCE_S)
        sent = document(len(secured.documents))
        assert edge.post(address(sent), sent.body).status_code == 200
        sent.answered = True
        secured.documents.append(sent)
        edge.wait_until(lambda edge=edge, text=text: text in edge.talk)
    by_user, by_authority = why
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    change = UserScramCredentialUpsertion(EDGE, scram, b"the new one")
    secured.admin.alter_user_scram_credentials([change])[EDGE].result(30)
    by_authority.stop()
    mended = edge_of(secured, tmp_path / "authority", {})
    mended.start()
    for edge in (by_user, mended):
        edge.wait_until(lambda edge=edge: metric_of(edge, "mc_spool_drained_total") > 0, PATIENCE_S)
        edge.stop()
    assert "Traceback" not in by_user.talk + mended.talk
    secured.check()


def edge_of(secured: Secured, folder: Path, settings: Mapping[str, str]) -> RunningServer:
    """Another edge, which knows the first broker alone. Not started."""
    edge = RunningServer(folder, {"MC_LOG__BOOTSTRAP_SERVERS": secured.member(FIRST).bootstrap, **settings})
    shutil.copy(secured.settings, edge.data)
    edge.only = "edge"
    secured.others.append(edge)
    return edge
