"""A lake in which every published example query finds something, written by the product's own code."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from tests.support.crash_rows import document
from tests.support.pings import crash_ping, main_ping
from tests.support.server import RunningServer

from missioncontrol.config import load_config
from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.index import CrashIndex, crash_row
from missioncontrol.health.model import Look, Subject
from missioncontrol.health.records import Record, append, turns
from missioncontrol.lake.snapshot import Snapshot
from missioncontrol.lake.tables import Column, lake_tables
from missioncontrol.services import Services
from missioncontrol.simulate.corpus import make_corpus
from missioncontrol.simulate.tally import Defects

PI_DAY = datetime(2016, 3, 14, 23, 30, tzinfo=UTC)
"""The day that queries of the predecessors' documentation ask for."""
_PINGS = 4500
"""So many that the clients of some versions are counted exactly, and those of others estimated."""
_TURNS = 60
"""Commits of one table: so many that there is a checkpoint, and readers begin with that."""
_REVISED, _DELETED = 3, 5
"""Every so manieth crash was processed again, or deleted."""


def _nightly(received: datetime) -> Iterator[bytes]:
    """Lines to import: pings of the channel that those queries ask for, main and crash ones, with plugin crashes."""
    build = f"{received - timedelta(days=3):%Y%m%d}120000"
    changes = {"application__buildId": build, "environment__build__buildId": build}
    changes |= {"application__channel": "nightly"}
    for number in range(24):
        meta = {
            "Timestamp": int(received.timestamp() * 1e9) + number, "submissionDate": f"{received:%Y%m%d}", "geoCountry": "DE",
            "normalizedChannel": "nightly", "appName": "Firefox", "appVersion": "133.0", "appBuildId": build,
            "docType": "crash" if number % 3 else "main", "documentId": str(uuid.uuid4()),
        }  # fmt: skip
        begun = f"{received:%Y-%m-%d}T10:00:00Z"
        ping = crash_ping(payload__crashDate=begun[:10], **changes)
        if meta["docType"] == "main":
            ping = main_ping(3600 + number, payload__info__subsessionStartDate=begun, **changes)
        yield msgspec.json.encode({**ping, "meta": meta}) + b"\n"


class AskedLake:
    """An installation below a folder, whose lake lies where `environment` says."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.commands = RunningServer(folder, environment)
        self.services = Services(load_config(str(self.commands.data), None, environment))

    def fill(self) -> None:
        """Pings of two weeks, one of them in 2016, days of the batch job, crashes, verdicts; then the care of a night."""
        folder = self.commands.data.parent
        for name, now in (("past", PI_DAY), ("present", datetime.now(UTC))):
            path = folder / f"{name}.ndjson"
            make_corpus(
                path,
                _PINGS,
                seed=len(name),
                now_ns=int(now.timestamp()) * 10**9,
                light=True,
                defects=Defects(malformed=5, old_build=5, duplicates=5),
            )
            with path.open("ab") as file:
                file.writelines(_nightly(now - timedelta(hours=2)))
            self.commands.run("import", "pings", str(path))
        self._add_crashes()
        self._add_looks()
        self.commands.run(
            "backfill", "--min-submission-date", "2016-03-01", "--max-submission-date", "2099-01-01"
        )
        self.commands.run("lake", "compact")

    def answer(self, query: str, dialect: str) -> list[list[Any]]:
        """The rows that the product answers."""
        sink = io.BytesIO()
        self.services.sql.run(query, sink, "json", dialect=dialect, timeout_s=0)
        return [list(row.values()) for row in msgspec.json.decode(sink.getvalue())]

    def tables(self) -> dict[str, tuple[Column, ...]]:
        """The tables with the columns that they have."""
        return {name: self._snapshot(name).columns for name in lake_tables(self.services.registry())}

    def version(self, table: str) -> int:
        """How many commits a table has had, less one."""
        return self._snapshot(table).version

    def rows(self, table: str) -> int:
        """How many rows a table has, those too that do not count."""
        return sum(file.rows for file in self._snapshot(table).files)

    def add_crash(self, signature: str) -> None:
        """One more processed crash, the newest of all."""
        now = datetime.now(UTC)
        row = crash_row(document(now, signature, random.Random()), load_fields([]), self._index.columns)
        self._index.add([row], now)

    def declare(self, block: str) -> None:
        """A block more in the registry, which the tables take up."""
        (self.commands.data / "registry.toml").write_text(block)
        self.services.writer.ensure(self.services.registry())

    @cached_property
    def _index(self) -> CrashIndex:
        services = self.services
        return CrashIndex(services.writer, services.registry(), "tests", services.crash_recounts)

    def _snapshot(self, table: str) -> Snapshot:
        found = self.services.reader.snapshot(table)
        assert found is not None
        return found

    def close(self) -> None:
        """Close what is open."""
        self.services.close()

    def _add_crashes(self) -> None:
        chance, now = random.Random(1), datetime.now(UTC)
        products: tuple[dict[str, Any], ...] = (
            {"product": "Firefox", "version": "57.0", "release_channel": "release", "os_version": "10.0"},
            {"product": "Notes", "version": "2.3.1", "process_type": "parent", "throttle_rate": 0.1},
        )
        made = [
            document(
                now - timedelta(minutes=30 * number), f"{other['product']}::fall{number % 4}", chance, **other
            )
            for number, other in enumerate(products * 60)
        ]
        again = [{**each, "signature": "found later", "processing_revision": 1} for each in made[::_REVISED]]
        for documents in (made, again):
            self._index.add([crash_row(d, load_fields([]), self._index.columns) for d in documents], now)
        self._index.delete([each["uuid"] for each in made[::_DELETED]], now)
        self.services.crash_counts().run()

    def _add_looks(self) -> None:
        services, published = self.services, datetime(2017, 11, 14, 14, tzinfo=UTC)
        subject, registry = Subject("Firefox", "release", "57.0", "main_crashes"), services.registry()
        after = turns(services.writer, registry)
        for turn in range(_TURNS):
            look = Look(
                as_of=published + timedelta(minutes=5 * turn),
                age_hours=turn / 12,
                verdict="same" if turn else "too-early",
                ratio=1 + turn / 7 if turn else None,
                low=0.5,
                high=2.0,
                evidence=turn / 3,
                observed=1.0,
                expected=1.0,
            )
            record = Record(subject, published, look, "baseline", "1")
            assert append(services.writer, registry, [record], after + turn)
