"""Where the registry page gets its facts, and who changes the registry file for it.

Looks at pings only through `Previews`, in a process of its own. The survey of the last day is made in the background
and kept for a while, so that the page itself never waits long for it.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import structlog

from missioncontrol.errors import BadRequest, ConfigError, MissionControlError, NotFound, StorageError
from missioncontrol.registry.model import Registry
from missioncontrol.telemetry.backfill_plan import JOB, Plan, arguments, refuse_future
from missioncontrol.telemetry.backfill_tables import tables_with
from missioncontrol.web.history.model import RunRow, read_day
from missioncontrol.web.history.runs import asked_of, run_row
from missioncontrol.web.registry.forms import Candidate, read_candidate
from missioncontrol.web.registry.view import Entry, Origin, entries_of

if TYPE_CHECKING:
    from missioncontrol.registry.probes import ProbeDictionary
    from missioncontrol.services import Services
    from missioncontrol.telemetry.preview import Preview, Survey
    from missioncontrol.telemetry.preview_process import Previews

KEPT_FOR = timedelta(minutes=10)
"""How long a survey is shown before it is made again."""
_FIRST_WAIT_S = 1.5
"""A page waits so long for a survey that is under way."""
_RUNS_READ = 200
_MOST_RUNS = 5
_MOST_PREVIEWS = 4
_SHIPPED = {
    "firefox.toml": "built in: Firefox profile",
    "glean.toml": "built in: Glean",
    "crash_reports.toml": "built in: crash reports",
}
_logger = structlog.get_logger()


class Kept(msgspec.Struct, frozen=True):
    """A survey, or why there is none."""

    revision: str
    made_at: datetime
    survey: Survey | None
    error: str = ""


class RegistryDesk:
    """The registry of one installation. Thread-safe; calls block."""

    def __init__(self, services: Services, now: Callable[[], datetime]) -> None:
        self.services = services
        self.now = now
        self._lock = threading.Lock()
        self._kept: Kept | None = None
        self._worker: threading.Thread | None = None
        self._origins: tuple[str, dict[tuple[str, str], Origin]] = ("", {})

    @cached_property
    def previews(self) -> Previews:
        """Looks at pings."""
        from missioncontrol.telemetry.preview_process import Previews

        config = self.services.config
        return Previews(config.lake_place, config.cache_path, config.stream.max_inflated_bytes)

    # ---- what is declared

    def trouble(self) -> ConfigError | None:
        """Why the registry files, as they are now, are not in force."""
        self.services.registry()
        return self.services.registry.error

    def entries(self, survey: Survey | None) -> list[Entry]:
        """All measures and dimensions."""
        registry = self.services.registry()
        return entries_of(registry, self._origins_of(registry), survey)

    def entry(self, name: str, survey: Survey | None) -> Entry:
        """One of them; raises `NotFound` (`registry_unknown`)."""
        entries = {entry.name: entry for entry in self.entries(survey)}
        if name in entries:
            return entries[name]
        close = difflib.get_close_matches(name[:80], entries, 1)
        hint = f"Did you mean `{close[0]}`?" if close else "The page /registry lists what is declared."
        raise NotFound("registry_unknown", f"No measure or dimension {name[:80]!r} is declared.", hint)

    def probes(self) -> ProbeDictionary:
        """The imported probes; raises `ConfigError`."""
        from missioncontrol.registry.probes import load_probes

        return load_probes(self.services.config.probes_path)

    def _origins_of(self, registry: Registry) -> Mapping[tuple[str, str], Origin]:
        """Who declared what, under the registry in force."""
        from missioncontrol.registry.load import names_in, shipped_files, user_files

        if self._origins[0] == registry.revision:
            return self._origins[1]
        own_path = str(self.services.config.registry_files[-1])
        files = shipped_files()
        if not self.services.registry.error:
            files += user_files(self.services.config.registry_files)
        found: dict[tuple[str, str], Origin] = {}
        for file in files:
            title = _SHIPPED.get(file.name) or f"registry file {file.name.rsplit('/', 1)[-1]}"
            for section, names in names_in([file]).items():
                for name in names:
                    before = found.get((section, name))
                    said = f"{before.title}, changed in {title}" if before else title
                    found[section, name] = Origin(said, file.name == own_path, before is None)
        known = [("measure", n) for n in registry.measures] + [("dimension", n) for n in registry.dimensions]
        complete = {key: found.get(key, Origin("registry file", own=False)) for key in known}
        if not self.services.registry.error:
            self._origins = registry.revision, complete
        return complete

    # ---- what is in the pings

    def survey(self) -> tuple[Kept | None, bool]:
        """The newest survey of this registry, if there is one, and whether another is under way."""
        registry, now = self.services.registry(), self.now()
        with self._lock:
            kept = self._kept if self._kept and self._kept.revision == registry.revision else None
            is_due = kept is None or now - kept.made_at > KEPT_FOR
            if is_due and (self._worker is None or not self._worker.is_alive()):
                self._worker = threading.Thread(
                    target=self._survey, args=(registry,), name="survey", daemon=True
                )
                self._worker.start()
            worker = self._worker
        if kept is None and worker is not None:
            worker.join(_FIRST_WAIT_S)
            kept = self._kept if self._kept and self._kept.revision == registry.revision else None
        return kept, bool(worker and worker.is_alive())

    def _survey(self, registry: Registry) -> None:
        origins = self._origins_of(registry)
        measures = [
            m.name for m in registry.measures.values() if origins["measure", m.name].own and not m.of_reports
        ]
        survey, said = None, ""
        try:
            survey = self.previews.survey(registry, [d.name for d in registry.keys], measures)
        except MissionControlError as error:
            said = f"{error.message} {error.hint}".rstrip()
        except Exception:
            _logger.exception("survey_failed")
            said = "It failed; the server's log says more."
        self._kept = Kept(registry.revision, self.now(), survey, said)

    def look(self, entry: Entry) -> Preview:
        """What the newest pings have of something that is declared; of a dimension that is off, as if it were on."""
        registry = self.services.registry()
        if entry.section == "dimension":
            on = msgspec.structs.replace(registry.dimensions[entry.name], enabled=True)
            dimensions = {**registry.dimensions, entry.name: on}
            registry = msgspec.structs.replace(registry, dimensions=dimensions)
        return self.previews.preview(registry, entry.name)

    def preview(self, candidate: Candidate) -> list[tuple[str, Preview | None]]:
        """What the newest pings hold of each block; None for a measure of crash reports, which no ping has."""
        found: list[tuple[str, Preview | None]] = []
        for name in candidate.names[:_MOST_PREVIEWS]:
            measure = candidate.registry.measures.get(name)
            of_reports = measure is not None and measure.of_reports
            found.append((name, None if of_reports else self.previews.preview(candidate.registry, name)))
        return found

    # ---- changes

    def read(self, how: str, fields: Mapping[str, str]) -> Candidate:
        """What a form asks for. Raises `BadRequest`; what the registry refuses keeps its code."""
        config = self.services.config
        try:
            return read_candidate(
                how, fields, config.registry_files, config.probes_path, self.services.registry()
            )
        except ConfigError as error:
            raise BadRequest(error.code, error.message, error.hint) from None

    def save(self, candidate: Candidate, by: str) -> None:
        """Write it into the registry file. Raises `BadRequest`, `StorageError` (`registry_unwritable`)."""
        from missioncontrol.registry.edit import add_text

        with self._writing():
            names = add_text(self.services.config.registry_files, candidate.file, is_new=True)
        _logger.info("registry_changed", by=by, added=names)

    def remove(self, entry: Entry, by: str) -> None:
        """Take it out of the registry file. Raises as `save`."""
        from missioncontrol.registry.edit import remove_block

        name = f"{entry.section}.{entry.name}"
        with self._writing():
            remove_block(self.services.config.registry_files, name)
        _logger.info("registry_changed", by=by, removed=name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Says refusals as the page does."""
        try:
            yield
        except ConfigError as error:
            raise BadRequest(error.code, error.message, error.hint) from None
        except OSError as error:
            path = self.services.config.registry_files[-1]
            raise StorageError(
                "registry_unwritable", f"{path} cannot be written: {error.strerror}.", "Nothing was changed."
            ) from None

    # ---- its past

    def plan(self, name: str, since: str, until: str) -> Plan:
        """The backfill of a measure or dimension. Raises `BadRequest`."""
        tables = tables_with(name, self.services.registry())
        if not tables:
            hint = f"Use the command: missioncontrol registry backfill {name} --since DAY"
            raise BadRequest("backfill_of_reports", "Crash reports are counted again by the command.", hint)
        today = self.now().date()
        first = read_day(since)
        last = read_day(until) if until else max(first, today)
        if first > last:
            raise BadRequest("days_out_of_order", f"{first} comes after {last}.", "Swap the two days.")
        refuse_future(first, today)
        return Plan(tables, first, last)

    def want(self, plan: Plan) -> None:
        """Ask for a run of it, unless one waits or runs already."""
        self.services.runs.want(JOB, arguments(plan), "page", self.now())

    def runs(self, name: str) -> list[RunRow]:
        """The newest runs that made, or are to make, all tables that hold it."""
        try:
            tables = set(tables_with(name, self.services.registry()))
        except BadRequest:
            return []
        found = asked_of(self.services.runs.list(self.now(), _RUNS_READ)) if tables else []
        return [run_row(each.run) for each in found if tables <= set(each.plan.tables)][:_MOST_RUNS]

    def first_archived(self) -> date | None:
        """The first day that can be made again."""
        snapshot = self.services.reader.snapshot("pings")
        days = [dict(file.partition)["submission_date"] for file in snapshot.files] if snapshot else []
        return min(map(date.fromisoformat, filter(None, days)), default=None)
