"""The parts that take, process, search, count and delete crashes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from missioncontrol.config import Config
from missioncontrol.services.lake import LakeServices

if TYPE_CHECKING:
    from missioncontrol.crashes.bug_trackers import BugTrackers
    from missioncontrol.crashes.counts import CrashCounts
    from missioncontrol.crashes.deletion import CrashDeletion
    from missioncontrol.crashes.fields import FieldsWatcher
    from missioncontrol.crashes.import_crashes import CrashImport
    from missioncontrol.crashes.processing import Settings as ProcessingSettings
    from missioncontrol.crashes.signature import Signatures
    from missioncontrol.crashes.symbols.copies import SymbolCopies
    from missioncontrol.crashes.symbols.folders import SymbolFolders
    from missioncontrol.crashes.symbols.missing import MissingModule
    from missioncontrol.crashes.symbols.store import SymbolStore
    from missioncontrol.crashes.worker import Worker
    from missioncontrol.query.supersearch import CrashSearch, SearchFields


class CrashServices(LakeServices):
    """Crashes of one installation."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._missing_turns = threading.BoundedSemaphore(2)

    @cached_property
    def crash_fields(self) -> FieldsWatcher:
        """The declared fields of crashes in force."""
        from missioncontrol.crashes.fields import FieldsWatcher

        return FieldsWatcher(self.config.field_files)

    @cached_property
    def crash_search(self) -> CrashSearch:
        """Searches crashes."""
        from missioncontrol.clock import system_clock, utc
        from missioncontrol.query.supersearch import CrashSearch

        return CrashSearch(self.engine, self._search_fields, lambda: utc(system_clock()))

    def _search_fields(self) -> SearchFields:
        """The searchable fields in force, as the query layer knows them."""
        from missioncontrol.crashes.index import KEYS, home_of
        from missioncontrol.lake.tables import CRASHES, lake_tables
        from missioncontrol.query.supersearch import SearchField, SearchFields

        columns = {c.name: c for c in lake_tables(self.registry())[CRASHES].columns}
        found = []
        for field in self.crash_fields():
            if field.search and (field.name == "uuid" or field.name not in KEYS):
                home = home_of(field, columns.get(field.name))
                kept = SearchField(
                    name=field.name,
                    kind=field.search,
                    home=home,
                    stored=columns[home].type,
                    description=field.description,
                    whole=field.type == "integer",
                    many=field.type == "list",
                    protected=field.access == "protected",
                    facet=field.facet,
                )
                found.append(kept)
        return SearchFields(found)

    @cached_property
    def signatures(self) -> Signatures:
        """Makes and explains signatures."""
        from missioncontrol.crashes.signature import Signatures

        return Signatures(self.config.signature_lists_path)

    def crash_counts(self) -> CrashCounts:
        """Counts crashes in the aggregates."""
        from missioncontrol.crashes.counts import CrashCounts

        config = self.config
        return CrashCounts(
            config.lake_place, config.cache_path, self.writer, self.registry, self.crash_recounts
        )

    def crash_settings(self) -> ProcessingSettings:
        """What crashes are processed by, as it is now."""
        from missioncontrol.crashes.processing import MOZILLA_PRODUCTS
        from missioncontrol.crashes.processing import Settings as ProcessingSettings

        profiles = {**MOZILLA_PRODUCTS, **self.config.crashes.profiles}
        return ProcessingSettings(
            self.crash_fields(),
            self.signatures,
            profiles,
            lambda *build: self.releases.version_of(*build),
            rule_timeout_s=self.config.crashes.rule_timeout_s,
        )

    @contextmanager
    def crash_worker(self) -> Iterator[Worker]:
        """A worker that processes crashes; raises `MissionControlError` when its stackwalker is not installed."""
        import uuid

        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.index import CrashIndex
        from missioncontrol.crashes.stackwalk import Stackwalker
        from missioncontrol.crashes.symbols.room import limit_mb
        from missioncontrol.crashes.symbols.servers import make_servers
        from missioncontrol.crashes.symbols.watch import Forgetful, SymbolWatch
        from missioncontrol.crashes.work import CrashWork, SymbolSource
        from missioncontrol.crashes.worker import Worker

        def now() -> datetime:
            return utc(system_clock())

        settings = self.config.stackwalk
        servers = make_servers(self.config.crashes, self.config.fetched_symbols_path)
        copies = self._symbol_copies()
        index = CrashIndex(self.writer, self.registry(), uuid.uuid4().hex, self.crash_recounts)
        with Stackwalker(
            Path(settings.program) if settings.program else None,
            self._symbol_roots(),
            settings.cache_mb,
            limit_mb(settings.memory_limit_mb),
            settings.timeout_s,
            settings.missing_ttl_s,
        ) as walker:
            told: list[Forgetful] = [walker] if copies is None else [copies, walker]
            watch = SymbolWatch(self.symbol_changes, told)
            if copies is not None:
                copies.begin_true()
            sources: list[SymbolSource] = [one for one in (copies, servers) if one is not None]
            work = CrashWork(self.blobs, walker, self.crash_settings, now, watch, sources)
            yield Worker(self.crash_queue, work, index, self.crash_fields, now, self.crash_counts())

    def _symbol_copies(self) -> SymbolCopies | None:
        """Copies of the symbols that are in a bucket; None: they lie in a folder here."""
        if not self.config.blobs.url:
            return None
        from missioncontrol.crashes.symbols.copies import SymbolCopies

        most_bytes = self.config.crashes.symbol_cache_bytes
        missing_s = self.config.stackwalk.missing_ttl_s
        return SymbolCopies(self._bucket_blobs, self.config.copied_symbols_path, most_bytes, missing_s)

    @cached_property
    def symbols(self) -> SymbolStore:
        """The symbols that were uploaded."""
        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.symbols.room import limit_mb
        from missioncontrol.crashes.symbols.store import SymbolStore

        most_bytes = self.config.crashes.symbol_max_bytes
        walks_with_mb = limit_mb(self.config.stackwalk.memory_limit_mb)
        return SymbolStore(
            self.blobs, self.symbol_changes, most_bytes, lambda: utc(system_clock()), walks_with_mb
        )

    @cached_property
    def symbol_folders(self) -> SymbolFolders:
        """Where walkers look for symbols."""
        from missioncontrol.crashes.symbols.folders import SymbolFolders
        from missioncontrol.crashes.symbols.room import limit_mb

        limit, roots = limit_mb(self.config.stackwalk.memory_limit_mb), self._symbol_roots()
        if self.config.blobs.url:  # of which the first root has some copies only
            return SymbolFolders(roots[1:], limit, self.symbols.list)
        return SymbolFolders(roots, limit)

    def _symbol_roots(self) -> list[Path]:
        fetched = [self.config.fetched_symbols_path] if self.config.crashes.symbol_servers else []
        stored = self.config.copied_symbols_path if self.config.blobs.url else self.config.symbols_path
        return [stored, *map(Path, self.config.crashes.symbol_paths), *fetched]

    def crash_import(self) -> CrashImport:
        """Brings in crash reports from files."""
        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.import_crashes import CrashImport

        return CrashImport(self.blobs, self.crash_queue, self.crash_deletions, lambda: utc(system_clock()))

    @cached_property
    def bug_trackers(self) -> BugTrackers:
        """Where bugs are kept; raises `ConfigError` for wrong settings of trackers."""
        from missioncontrol.crashes.bug_trackers import BugTrackers

        return BugTrackers(self.config.crashes.bug_trackers)

    def crash_deletion(self) -> CrashDeletion:
        """Deletes crashes."""
        import uuid

        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.deletion import CrashDeletion
        from missioncontrol.crashes.index import CrashIndex
        from missioncontrol.lake.removal import RowRemoval
        from missioncontrol.lake.tables import CRASHES

        return CrashDeletion(
            self.blobs,
            self.crash_queue,
            lambda: CrashIndex(
                self.writer, self.registry(), f"deletion-{uuid.uuid4().hex}", self.crash_recounts
            ),
            RowRemoval(self.config.lake_place, self.config.cache_path, CRASHES, "uuid"),
            self.crash_deletions,
            lambda: utc(system_clock()),
            lambda: self.crash_counts().run(),
        )

    def missing_symbols(self, days: int, limit: int) -> list[MissingModule]:
        """The modules that crashes received since so many days met most often without symbols; raises as SQL does."""
        import io
        from datetime import timedelta

        import msgspec

        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.symbols.missing import QUERY, MissingRow, debug_ids_of, missing_modules
        from missioncontrol.errors import TooSlow

        since = utc(system_clock()) - timedelta(days=days)
        answer = io.BytesIO()
        if not self._missing_turns.acquire(timeout=2):
            raise TooSlow("busy", "Too many queries are running.", "Try again in a few seconds.")
        try:
            self.sql.run(QUERY.format(since=f"{since:%Y-%m-%d %H:%M:%S}", limit=limit), answer)
        finally:
            self._missing_turns.release()
        rows = msgspec.json.decode(answer.getvalue(), type=list[MissingRow])
        folders = self.symbol_folders
        return missing_modules(rows, folders.find(debug_ids_of(rows)), folders.memory_limit_mb)

    def crashes_without(self, debug_id: str) -> list[str]:
        """Ids of all crashes that were processed without the symbols of this build, those that are kept no longer too.

        Raises `BadRequest` (`symbols_bad_id`), and as SQL does.
        """
        import io

        import msgspec

        from missioncontrol.crashes.symbols.missing import crashes_query

        answer = io.BytesIO()
        self.sql.run(crashes_query(debug_id), answer)
        return [row["uuid"] for row in msgspec.json.decode(answer.getvalue(), type=list[dict[str, str]])]
