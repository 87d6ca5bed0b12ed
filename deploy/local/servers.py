"""All servers of the scaled form together, in one folder, which remembers their ports and secrets."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .kafka import KafkaBroker
from .postgres import PostgresServer
from .process import Server, free_ports
from .s3 import S3Server
from .spark import properties, spark_settings
from .trino import TrinoServer

BUCKET = "missioncontrol"


class _Places(msgspec.Struct, frozen=True):
    """What clients keep in their settings, so that it must not change from one start to the next."""

    kafka_port: int
    controller_port: int
    s3_port: int
    postgres_port: int
    s3_access_key: str
    s3_secret_key: str
    postgres_password: str
    trino_port: int = 0
    """0: not yet chosen, by an older version."""


class Servers:
    """PostgreSQL, S3 and Kafka, and `beside` them Trino. Start them one by one or all; stop ends all that run, the
    last one first."""

    def __init__(self, folder: Path, beside: Sequence[str] = ()) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        places = _places(self.folder / "places.json", "trino" in beside)
        self.kafka = KafkaBroker(self.folder / "kafka", places.kafka_port, places.controller_port)
        self.s3 = S3Server(self.folder / "s3", places.s3_port, places.s3_access_key, places.s3_secret_key)
        self.postgres = PostgresServer(
            self.folder / "postgres",
            places.postgres_port,
            places.postgres_password,
            {"max_connections": "50"},
        )
        self.trino = (
            TrinoServer(self.folder / "trino", places.trino_port, self.s3) if "trino" in beside else None
        )
        self._started: list[Server] = []

    @property
    def all(self) -> list[Server]:
        """Each of them, the quick ones first."""
        return [self.postgres, self.s3, self.kafka, *([self.trino] if self.trino else [])]

    def start(self, server: Server) -> None:
        """Start one, with its data made when there is none. Raises `SetupError`."""
        server.create()
        self._started.append(server)  # first: it may be interrupted while it starts
        server.start()
        if server is self.s3:
            self.s3.create_bucket(BUCKET)

    def stop(self) -> None:
        """End all that run."""
        while self._started:
            self._started.pop().stop()

    def environment(self) -> dict[str, str]:
        """Where they are, by the names that clients of each kind read from their environment."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "AWS_ENDPOINT_URL": self.s3.endpoint,
            "AWS_ALLOW_HTTP": "true",
            **{n.upper(): v for n, v in self.s3.client_settings().items() if n in _STANDARD},
            "LAKE_URL": f"s3://{BUCKET}/lake",
            "DATABASE_URL": self.postgres.dsn(),
            **({"TRINO_URL": self.trino.url} if self.trino else {}),
        }

    def write_settings(self) -> tuple[Path, Path]:
        """Write the environment as a shell reads it, and Spark's settings; the two files, for the owner only."""
        environment = self.folder / "environment"
        spark = self.folder / "spark-defaults.conf"
        _write_private(environment, "".join(f"export {n}={v}\n" for n, v in self.environment().items()))
        _write_private(spark, properties(spark_settings(self.s3, self.folder / "spark")))
        return environment, spark


_STANDARD = ("aws_access_key_id", "aws_secret_access_key", "aws_region")


def _places(path: Path, with_trino: bool) -> _Places:
    """The places kept in a file, made at first use."""
    if path.exists():
        places = msgspec.json.decode(path.read_bytes(), type=_Places)
        if with_trino and not places.trino_port:
            places = msgspec.structs.replace(places, trino_port=free_ports(1)[0])
            _write_private(path, msgspec.json.encode(places).decode())
        return places
    kafka, controller, s3, postgres, trino = free_ports(5)
    places = _Places(
        kafka, controller, s3, postgres, secrets.token_hex(10), secrets.token_hex(20), secrets.token_hex(16), trino
    )  # fmt: skip
    _write_private(path, msgspec.json.encode(places).decode())
    return places


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
