"""The whole move: the log drained, lake and files of crashes copied, the state copied and compared.

The old installation stays as it is; the new one is whole when `run()` returns, and nobody may use it before. What was
stopped is begun again and goes on: a note in the old data folder says where to.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from deltalake import DeltaTable

from missioncontrol.config import Config
from missioncontrol.errors import BadRequest, ConfigError, StorageError
from missioncontrol.lake.delta import open_table
from missioncontrol.lake.place import place_of
from missioncontrol.moving.files import Checked, Copied, copy_files, files_below, is_unused, remove_others
from missioncontrol.moving.state import copy_state, is_empty
from missioncontrol.presence import presences
from missioncontrol.services import Services
from missioncontrol.small_file import replace_file
from missioncontrol.telemetry.stream import StreamLock

NOTE = "moved.json"
_CHECKED = "moved-{}.jsonl"
"""Beside it, while it lasts: what had to be read back of a step (`Checked`)."""
_DECLARATIONS = ("registry.toml", "fields.toml", "probes.json", "signature-lists")
_LEFT = ("_locks", "drafts")
"""Folders of lake and blobs that are of processes at work, or of some that were killed."""
Told = Callable[[str, int, int], None]
"""(step, bytes that are there now, bytes of all)."""


class Moved(msgspec.Struct, frozen=True):
    """What is in its new place."""

    records: int
    """Of the log, that the stream brought into the lake first."""
    lake: Copied
    tables: dict[str, int]
    """Version of each table of the lake, the same in both places."""
    blobs: Copied
    blobs_removed: int
    """Files that an earlier attempt had brought and that were deleted here since."""
    state: dict[str, int]
    """Rows by table."""
    identities: int
    """Documents that the log knew, by which duplicates are told."""
    files: list[str]
    """Declarations, and the log where it stays a file, that were copied into the new data folder."""


class _Note(msgspec.Struct, frozen=True):
    lake: str
    blobs: str
    done: bool = False


class Move:
    """From an embedded installation to one whose settings name S3 and PostgreSQL."""

    def __init__(self, old: Services, new: Services, told: Told = lambda *_: None) -> None:
        self._old, self._new, self._told = old, new, told
        self._note = old.config.data / NOTE

    def run(self) -> Moved:
        """Move everything.

        Raises `ConfigError` (`move_nowhere`, `move_same_folder`), `BadRequest` (`move_running`, `move_not_empty`,
        `move_done`), and what reading and writing raise.
        """
        _require_targets(self._old.config, self._new.config)
        lock = self._require_stopped()
        try:
            self._begin()
            records = self._old.stream().run_until_idle()
            lake = self._copy("lake", self._old.config.lake_path, self._new.config.lake.url)
            tables = self._compare_tables()
            blobs, removed = self._copy_blobs()
            state, identities = self._copy_state()
            files = self._copy_folders()
            self._write_note(done=True)
            self._forget_checked()
        finally:
            lock.release()
        return Moved(records, lake, tables, blobs, removed, state, identities, files)

    def _require_stopped(self) -> StreamLock:
        lock = StreamLock(self._old.config.data)
        at_work = presences(self._old.config.data)
        if at_work or not lock.acquire():
            lock.release()
            raise BadRequest(
                "move_running",
                f"The installation in {self._old.config.data} is at work.",
                "Stop its server first: what is accepted meanwhile would be left behind.",
            )
        return lock

    def _begin(self) -> None:
        """Refuse what somebody may use already; what an attempt of ours began is gone on with."""
        new = self._new.config
        note = self._read_note()
        if note is not None and note.done:
            raise BadRequest(
                "move_done",
                f"This installation was moved already ({self._note}).",
                "To move it once more, over what the new one has by now, delete that file.",
            )
        if note != _Note(new.lake.url, new.blobs.url):
            used = [url for url in (new.lake.url, new.blobs.url) if url and not is_unused(url)]
            if not is_empty(self._new.database):
                used.append("state.url")
            if used:
                raise BadRequest(
                    "move_not_empty",
                    f"There is something already: {', '.join(used)}.",
                    "Give empty places: what is there would be mixed with what comes.",
                )
            self._forget_checked()
            self._write_note()

    def _copy(self, step: str, folder: Path, url: str) -> Copied:
        if not url:
            return Copied()
        names = files_below(folder, _LEFT.__contains__)
        total, there = sum((folder / name).stat().st_size for name in names), 0

        def told(size_bytes: int) -> None:
            nonlocal there
            there += size_bytes
            self._told(step, there, total)

        # The log of a table names its files: it comes behind them.
        logs = [name for name in names if "/_delta_log/" in name]
        data = sorted(set(names) - set(logs))
        checked = Checked(self._note.with_name(_CHECKED.format(step)))
        return copy_files(folder, data, url, checked, told) + copy_files(folder, logs, url, checked, told)

    def _compare_tables(self) -> dict[str, int]:
        old, new = place_of(self._old.config.lake_place), place_of(self._new.config.lake_place)
        found = {}
        for folder in sorted(self._old.config.lake_path.iterdir()):
            table = open_table(old, folder.name)
            if table is None:
                continue
            found[folder.name] = table.version()
            copy = open_table(new, folder.name) if self._new.config.lake.url else table
            if copy is None or copy.version() != table.version() or _files(copy) != _files(table):
                raise StorageError(
                    "move_table_differs",
                    f"The table {folder.name} is not the same in both places.",
                    "Repeat.",
                )
        return found

    def _copy_blobs(self) -> tuple[Copied, int]:
        folder, url = self._old.config.blobs_path, self._new.config.blobs.url
        copied = self._copy("blobs", folder, url)
        return copied, remove_others(files_below(folder, _LEFT.__contains__), url) if url else 0

    def _copy_state(self) -> tuple[dict[str, int], int]:
        if self._old.config.state_url == self._new.config.state_url:
            return {}, 0
        on_kafka = bool(self._new.config.log.bootstrap_servers)
        with _seen(self._old.config) as rows:
            return copy_state(self._old.database, self._new.database, rows if on_kafka else iter(()))

    def _copy_folders(self) -> list[str]:
        """What stays in a data folder: declarations, and a log that stays a file, for what it knows."""
        if self._old.config.data.absolute() == self._new.config.data.absolute():
            return []
        copied = []
        log = () if self._new.config.log.bootstrap_servers else ("log",)
        for name in (*_DECLARATIONS, *log):
            old, new = self._old.config.data / name, self._new.config.data / name
            if old.is_dir():
                shutil.copytree(old, new, dirs_exist_ok=True)
            elif old.exists():
                self._new.config.data.mkdir(parents=True, exist_ok=True)
                shutil.copy2(old, new)
            else:
                continue
            copied.append(name)
        return copied

    def _read_note(self) -> _Note | None:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _forget_checked(self) -> None:
        for step in ("lake", "blobs"):
            self._note.with_name(_CHECKED.format(step)).unlink(missing_ok=True)

    def _write_note(self, done: bool = False) -> None:
        new = self._new.config
        replace_file(self._note, msgspec.json.encode(_Note(new.lake.url, new.blobs.url, done)))


def _require_targets(old: Config, new: Config) -> None:
    if not (new.lake.url or new.blobs.url or new.state.url):
        raise ConfigError(
            "move_nowhere",
            "The new settings name no other place.",
            "Set lake.url, blobs.url or state.url in them.",
        )
    if old.lake.url or old.blobs.url or old.state.url:
        raise ConfigError(
            "move_scaled_already",
            "The old installation is not one in a folder: its settings name other places.",
            "Copy buckets and database with their own tools.",
        )
    apart = new.data.absolute() != old.data.absolute()
    if apart and not (new.lake.url and new.blobs.url):
        raise ConfigError(
            "move_part",
            "With another data folder lake.url and blobs.url both have to be set: nothing of the old one is used.",
            "Set both, or give the old data folder.",
        )
    if (new.lake.url or new.blobs.url) and not apart:
        raise ConfigError(
            "move_same_folder",
            f"Both installations would use {old.data}: the old files would be taken for those at hand of the new one.",
            "Give the new one a data folder of its own: --to-data DIR.",
        )


def _files(table: DeltaTable) -> set[str]:
    """Its files, relative to it."""
    base = table.table_uri.rstrip("/").removeprefix("file://")
    return {uri.removeprefix("file://").removeprefix(base).lstrip("/") for uri in table.file_uris()}


@contextmanager
def _seen(config: Config) -> Iterator[Iterator[tuple[bytes, int, int]]]:
    """The identities that the log knows: (id, claimant, noted_s)."""
    if not config.log_path.exists():
        yield iter(())
        return
    with closing(sqlite3.connect(f"{config.log_path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        yield connection.execute("SELECT id, claimant, noted_s FROM seen ORDER BY id")
