"""Snapshots of several tables that hold the same batches, while stream and imports go on."""

from __future__ import annotations

import time
from collections.abc import Sequence

from missioncontrol.config import Config
from missioncontrol.errors import StorageError
from missioncontrol.lake.locks import commit_gate
from missioncontrol.lake.snapshot import LakeReader, Snapshot
from missioncontrol.lake.tables import lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry import Registry
from missioncontrol.telemetry.import_run import app_of, running_names

_WAIT_S = 30.0


def consistent_snapshots(
    config: Config, registry: Registry, writer: LakeWriter, stream_app: str, tables: Sequence[str]
) -> dict[str, Snapshot]:
    """The tables as of a moment in which each batch is in all of them or in none.

    Waits a while for a stream that is about to finish a batch. Raises `StorageError` (`batch_unfinished`) when a
    process was killed between two commits of a batch and has not been started again.
    """
    streamed = [name for name, table in lake_tables(registry).items() if not table.daily]
    deadline = time.monotonic() + _WAIT_S
    while True:
        with commit_gate(config.lake_place, alone=True):
            unfinished = _unfinished(config, writer, stream_app, streamed)
            if not unfinished:
                reader = LakeReader(config.lake_place, config.cache_path)
                found = {name: reader.snapshot(name) for name in tables}
                return {name: snapshot for name, snapshot in found.items() if snapshot is not None}
        if time.monotonic() > deadline:
            raise _refused(unfinished)
        time.sleep(0.5)


def _unfinished(config: Config, writer: LakeWriter, stream_app: str, streamed: Sequence[str]) -> str:
    """The application whose last batch is in some tables and not in others; empty: none."""
    for app in (stream_app, *(app_of(name) for name in running_names(config.data))):
        if len({writer.committed(table, app) for table in streamed}) > 1:
            return app
    return ""


def _refused(app: str) -> StorageError:
    kind = app.partition(":")[0]
    if kind == "stream":
        hint = "Run `missioncontrol stream --until-idle`, or the server, and repeat."
    else:
        hint = "Start that import again with the same files, and repeat."
    return StorageError("batch_unfinished", f"A batch of the {kind} is in some tables only.", hint)
