"""SQL of users, from whatever route it comes: one list of what runs, one bound, one record of who read what."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from missioncontrol.access.reader import Reader
from missioncontrol.config import Config
from missioncontrol.errors import MissionControlError
from missioncontrol.query.formats import Format
from missioncontrol.query.running import RunningQueries, stopped
from missioncontrol.query.sql import SqlRunner
from missioncontrol.web.auth.visit import Record, reader_of
from missioncontrol.web.desk import Answer, Desk


def owner_key(reader: Reader) -> str:
    """What tells one reader from all others; empty for those who are not known."""
    if reader.kind == "anonymous":
        return ""
    return f"token:{reader.token_id}" if reader.kind == "token" else f"{reader.kind}:{reader.name}"


class SqlDesk:
    """Answers SQL of users over the lake."""

    def __init__(self, config: Config, runner: SqlRunner, record: Record | None = None) -> None:
        """`record` keeps who read protected columns; without it nobody does."""
        self.desk = Desk(config)
        self.running = RunningQueries()
        self.settings = config.query
        self._runner = runner
        self._record = record

    async def answer(
        self,
        request: Request,
        query: str,
        dialect: str,
        form: str,
        max_rows: int = 0,
        most_bytes: int = 0,
        query_id: str = "",
    ) -> Answer:
        """The written answer. `max_rows` and `most_bytes` lower the configured limits; 0: they hold.

        Raises as `SqlRunner.run` does, and `TooSlow` (`busy`), `BadRequest` (`answer_too_large`).
        """
        reader, record = reader_of(request), self._record
        with self.running.running(owner_key(reader), query, dialect, query_id) as entry:

            def work() -> Answer:
                paper = self.desk.paper(most_bytes) if most_bytes else self.desk.paper()
                outcome = self._runner.run(
                    query,
                    paper,
                    cast(Format, form),
                    "columns",
                    dialect,
                    max_rows or self.settings.max_rows,
                    with_protected=record is not None and reader.may("protected"),
                    seen=lambda tables: record.note(request, "sql", ", ".join(tables)) if record else None,
                    stop=entry.stop,
                )
                return Answer(paper, form, outcome.complete, outcome.rows)

            try:
                return await self.desk.sql(work)
            except MissionControlError:
                if entry.stop.asked:
                    raise stopped() from None
                raise
