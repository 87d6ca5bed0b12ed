"""A lake of processed crashes, written as the workers write it, and searches over it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.form import config_of, installed

from missioncontrol.crashes.index import CrashIndex, crash_row
from missioncontrol.query.supersearch import CrashSearch
from missioncontrol.query.supersearch.search import Found
from missioncontrol.services import Services

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
Json = dict[str, Any]


def crash_id(number: int, received: datetime = NOW) -> str:
    """The id of the crash of that number, received on that day."""
    return f"{number:08x}-0000-4000-8000-000000{received:%y%m%d}"


class CrashLake:
    """Crashes in a data folder of their own; `declared` is the user's file of fields."""

    def __init__(self, folder: Path, declared: str = "") -> None:
        installed(folder)
        (folder / "fields.toml").write_text(declared)
        self.services = Services(config_of(folder))
        self.index = CrashIndex(self.services.writer, self.services.registry(), "tests")
        self._searching = CrashSearch(self.services.engine, self.services.crash_search.fields, lambda: NOW)
        self._count = 0

    def add(self, *documents: Mapping[str, Any], revision: int = 0) -> list[str]:
        """Index processed crashes in one commit, received an hour ago unless they say `hours_ago`; their ids."""
        rows, ids = [], []
        for document in documents:
            self._count += 1
            received = NOW - timedelta(hours=document.get("hours_ago", 1))
            known = document.get("uuid", crash_id(self._count, received))
            made = {
                "date_processed": received.isoformat(),
                "processing_revision": revision,
                **document,
                "uuid": known,
            }
            rows.append(crash_row(made, self.services.crash_fields(), self.index.columns))
            ids.append(known)
        self.index.add(rows, NOW)
        return ids

    def search(self, *pairs: str, protected: bool = True) -> Found:
        """The answer to parameters written `name=value`."""
        given = [(p.partition("=")[0], p.partition("=")[2]) for p in pairs]
        return self._searching.run(self._searching.parse(given, protected))

    def signatures(self, *pairs: str) -> str:
        """The signatures of the hits, in alphabetical order, joined."""
        return " ".join(sorted(hit["signature"] for hit in self.search(*pairs, "_columns=signature").hits))

    def close(self) -> None:
        """Close what is open."""
        self.services.engine.close()
        self.services.close()
