"""Snapshots of several tables that hold the same batches, while stream and imports go on.

On one machine a lock keeps commits away meanwhile. Of a lake on S3 that does not hold for other machines: there the
snapshots are good when the last batch of each application was in all tables before they were taken, and was still the
last one afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from missioncontrol.config import Config
from missioncontrol.errors import StorageError
from missioncontrol.lake.locks import commit_gate
from missioncontrol.lake.place import announced
from missioncontrol.lake.snapshot import LakeReader, Snapshot
from missioncontrol.lake.tables import STREAMED
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.telemetry.import_run import app_of, running_names

_WAIT_S = 30.0


def consistent_snapshots(
    config: Config, writer: LakeWriter, stream_apps: Sequence[str], tables: Sequence[str]
) -> dict[str, Snapshot]:
    """The tables as of a moment in which each batch is in all of them or in none.

    `stream_apps`: the applications of the stream, one for each partition of the log.
    Waits a while for a stream that is about to finish a batch. Raises `StorageError` (`batch_unfinished`) when a
    process was killed between two commits of a batch and has not been started again.
    """
    deadline = time.monotonic() + _WAIT_S
    while True:
        with commit_gate(config.lake_place, alone=True):
            held = _held(config, writer, stream_apps)
            unfinished = next((app for app, versions in held.items() if len(versions) > 1), "")
            if not unfinished:
                reader = LakeReader(config.lake_place, config.cache_path)
                found = {name: reader.snapshot(name) for name in tables}
                if not config.lake.url or _held(config, writer, stream_apps) == held:
                    return {name: snapshot for name, snapshot in found.items() if snapshot is not None}
        if time.monotonic() > deadline:
            raise _refused(unfinished) if unfinished else _busy()
        time.sleep(0.5)


def _held(config: Config, writer: LakeWriter, stream_apps: Sequence[str]) -> dict[str, frozenset[int]]:
    """The last batches of each application that is not finished; one, where it is the same in all tables."""
    names = sorted({*running_names(config.data), *announced(config.lake_place)})
    apps = (*stream_apps, *map(app_of, names))
    by_table = [writer.committed_each(table, apps) for table in STREAMED]
    return {app: frozenset(versions) for app, versions in zip(apps, zip(*by_table, strict=True), strict=True)}


def _busy() -> StorageError:
    return StorageError(
        "lake_busy",
        "Other machines commit to the lake without a pause.",
        "Try again when an import has ended.",
    )


def _refused(app: str) -> StorageError:
    kind = app.partition(":")[0]
    if kind == "stream":
        hint = "Run the server, or `missioncontrol stream` (`spark stream`) with --until-idle, and repeat."
    else:
        hint = "Start that import again with the same files, and repeat."
    return StorageError("batch_unfinished", f"A batch of the {kind} is in some tables only.", hint)
