"""The form that the tests run: embedded, all in a data folder; or with `pytest --scaled` the scaled form, where the log
is on Kafka, lake and blobs are on S3 and the state is on PostgreSQL, on servers that all tests share. With
`pytest --scaled --spark` topics have several partitions, and a stream on Spark moves them beside each server.

    data = installed(folder / "data")     # whatever is done with this data folder finds the places of its own
    write_settings(data, "[ingest]\\nthrottle = 'mozilla'")

The places stand in the `missioncontrol.toml` of the data folder, so the command, the server and `load_config()` find
them; keys and endpoint of S3 are in the environment, as everywhere.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from missioncontrol.config import Config, load_config
from missioncontrol.services import Services
from missioncontrol.state.database import Database

_KAFKA, _POSTGRES = "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"
_FORM, _STREAM = "MISSIONCONTROL_TEST_FORM", "MISSIONCONTROL_TEST_STREAM"
_SPARK_PARTITIONS = 3
_TEMPLATE = "state_template"
_base: dict[Path, str] = {}


def scaled() -> bool:
    """Whether the tests run the scaled form."""
    return os.environ.get(_FORM) == "scaled"


def on_spark() -> bool:
    """Whether the stream runs on Spark."""
    return os.environ.get(_STREAM) == "spark"


@contextmanager
def scaled_servers(folder: Path, spark: bool) -> Iterator[None]:
    """Servers of the scaled form for this process and those that it starts, told by the environment."""
    from tests.support.kafka_topics import running_broker
    from tests.support.postgres import running_postgres
    from tests.support.s3 import running_s3, s3_environment

    with ExitStack() as stack:
        # Hundreds of databases that live for a minute each: nothing is worth vacuuming.
        postgres = stack.enter_context(running_postgres(autovacuum="off", max_connections="300"))
        s3 = stack.enter_context(running_s3(folder / "s3"))
        kafka = stack.enter_context(running_broker(folder / "kafka"))
        postgres.execute(postgres.dsn(), f"CREATE DATABASE {_TEMPLATE}")
        template = Database(_state_url(postgres.dsn(_TEMPLATE)))
        template.engine().dispose()
        told = {
            _KAFKA: kafka.bootstrap,
            _POSTGRES: postgres.dsn(),
            **s3_environment(s3),
            _FORM: "scaled",
            _STREAM: "spark" if spark else "",
        }
        os.environ.update(told)
        try:
            yield
        finally:
            for name in told:
                del os.environ[name]


def installed(data: Path) -> Path:
    """This data folder, made unless it is there, with settings that give it places of its own."""
    data.mkdir(parents=True, exist_ok=True)
    if scaled() and not (data / "missioncontrol.toml").exists():
        _base[data.absolute()] = _places(f"t{uuid.uuid4().hex}")
        write_settings(data, "")
    return data


def write_settings(data: Path, text: str) -> None:
    """Give a data folder these settings, in place of those that it was given before."""
    data.mkdir(parents=True, exist_ok=True)
    if scaled() and data.absolute() not in _base:
        installed(data)
    (data / "missioncontrol.toml").write_text(_base.get(data.absolute(), "") + text)


def config_of(data: Path) -> Config:
    """The settings of a data folder, without those of the environment."""
    return load_config(data, environ={})


def state_of(data: Path) -> Database:
    """The state of a data folder."""
    return Database(config_of(data).state_url)


def change_state(data: Path, statement: str, **values: Any) -> None:
    """Change the state behind the product's back by SQL that both databases understand; `:name` stands for a value."""
    import sqlalchemy as sa

    with state_of(data).engine().begin() as connection:
        connection.execute(sa.text(statement), values)


def stored(data: Path, part: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file or object below a part of what is stored: `lake/crashes`, `blobs`."""
    top, _, below = part.partition("/")
    config = config_of(data)
    url = {"lake": config.lake.url, "blobs": config.blobs.url}[top]
    if url:
        yield from _objects(f"{url}/{below}".rstrip("/"))
        return
    folder = data / part
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError, IsADirectoryError):  # of what left meanwhile
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def bytes_of_state(data: Path) -> bytes:
    """All that the state holds, as it is stored."""
    config = config_of(data)
    if not config.state.url:
        return b"".join(path.read_bytes() for path in data.glob("state.sqlite*"))
    import psycopg

    with psycopg.connect(config.state.url.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return b"".join(_copied(connection, str(name)) for (name,) in tables)


def everything_stored(data: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of all that is stored on behalf of a data folder, wherever it lies."""
    for path in sorted(data.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()
    config = config_of(data)
    if not scaled():
        return
    for part in ("lake", "blobs"):
        yield from stored(data, part)
    yield "state", bytes_of_state(data)
    from tests.support.kafka_topics import read_to_ends

    for message in read_to_ends(config.log.bootstrap_servers, config.log.topic, _partitions()):
        yield "log", (message.key() or b"") + message.value() + str(message.headers()).encode()


def add_symbols(data: Path, *binaries: Path) -> None:
    """Give an installation the symbols of binaries: as files, or where these are in a bucket as its command does."""
    from tests.support.crashes import dump_symbols

    if not config_of(data).blobs.url:
        dump_symbols(data / "blobs" / "symbols", *binaries)
        return
    services = Services(config_of(data))
    with TemporaryDirectory() as folder:
        dump_symbols(Path(folder), *binaries)
        for path in Path(folder).rglob("*.sym"):
            with path.open("rb") as file:
                services.symbols.add(file, path.name)
    services.close()


def _copied(connection: Any, table: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(f'COPY "{table}" TO STDOUT (FORMAT binary)') as copy:
        return b"".join(bytes(piece) for piece in copy)


def _objects(url: str) -> Iterator[tuple[str, bytes]]:
    import obstore
    from obstore.store import from_url

    store: Any = from_url(url)
    for some in obstore.list(store):
        for each in some:
            with suppress(FileNotFoundError):
                yield each["path"], bytes(obstore.get(store, each["path"]).bytes())


def _places(name: str) -> str:
    """Settings with a topic, a database and prefixes of this name; topic and database are made."""
    import psycopg
    from tests.support.s3 import BUCKET

    from missioncontrol.log.kafka_cluster import Cluster

    Cluster(os.environ[_KAFKA], name).create(partitions=_partitions(), replication=1, retention_days=0)
    dsn = os.environ[_POSTGRES]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy".encode())
    state = _state_url(dsn.rpartition("/")[0] + f"/{name}")
    blocks = ""
    if on_spark():
        from tests.support.spark_blocks import spark_blocks

        blocks = spark_blocks(Path(gettempdir()))
    return f"""\
[log]
bootstrap_servers = "{os.environ[_KAFKA]}"
topic = "{name}"
[state]
url = "{state}"
[lake]
url = "s3://{BUCKET}/{name}/lake"
[blobs]
url = "s3://{BUCKET}/{name}/blobs"
{blocks}"""


def _partitions() -> int:
    return _SPARK_PARTITIONS if on_spark() else 1


def _state_url(dsn: str) -> str:
    return dsn.replace("postgresql:", "postgresql+psycopg:", 1)
