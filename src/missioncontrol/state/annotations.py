"""What people noted at a time, such as an outage or the start of a study: drawn in charts, and judged by nobody."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import Database, chart_annotations, write_first
from missioncontrol.state.moments import aware
from missioncontrol.state.release_model import check_time

LONGEST_TEXT = 200
MOST_LISTED = 1000
_LONGEST_NAME = 200
_MOST = 100_000


class Annotation(msgspec.Struct, frozen=True):
    """A note at an instant (UTC). Without an application or channel it is of all of them."""

    id: int
    at: datetime
    text: str
    application: str | None
    channel: str | None
    who: str
    added_at: datetime


class Annotations:
    """The annotations of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, at: datetime, text: str, application: str | None, channel: str | None, who: str, now: datetime
    ) -> Annotation:
        """Keep a note; the same one once more is kept once.

        Raises `BadRequest` (`bad_text`, `bad_time`, `bad_scope`, `too_many_annotations`).
        """
        c = chart_annotations.c
        values = {
            "at": check_time(at), "text": checked_text(text),
            "application": _scope("application", application), "channel": _scope("channel", channel),
        }  # fmt: skip
        same = sa.and_(*(c[name].is_not_distinct_from(value) for name, value in values.items()))
        with self._database.engine().begin() as connection:
            write_first(connection, chart_annotations)
            if not connection.execute(sa.select(c.id).where(same)).first():
                total = connection.execute(
                    sa.select(sa.func.count()).select_from(chart_annotations)
                ).scalar_one()
                if total >= _MOST:
                    message = f"{_MOST:,} annotations are kept, and more are not."
                    raise BadRequest("too_many_annotations", message, "Remove some.")
                row = {**values, "who": who[:_LONGEST_NAME], "added_at": now}
                connection.execute(sa.insert(chart_annotations).values(**row))
            found = connection.execute(sa.select(chart_annotations).where(same)).first()
        assert found is not None
        return _annotation(found)

    def remove(self, annotation_id: int) -> Annotation:
        """Delete one; gives what it was. Raises `NotFound` (`unknown_annotation`)."""
        which = chart_annotations.c.id == annotation_id
        found = None
        if 0 < annotation_id < 2**31:
            with self._database.engine().begin() as connection:
                write_first(connection, chart_annotations)
                found = connection.execute(sa.select(chart_annotations).where(which)).first()
                connection.execute(sa.delete(chart_annotations).where(which))
        if found is None:
            hint = "GET /api/v1/annotations lists them."
            raise NotFound("unknown_annotation", f"There is no annotation {annotation_id} (any more).", hint)
        return _annotation(found)

    def list(
        self,
        first: datetime | None = None,
        end: datetime | None = None,
        application: str | None = None,
        channel: str | None = None,
        most: int = MOST_LISTED,
    ) -> builtins.list[Annotation]:
        """The newest `most` in [first, end), oldest first; of an application or channel with those of all of them."""
        c = chart_annotations.c
        query = sa.select(chart_annotations)
        if first is not None:
            query = query.where(c.at >= first)
        if end is not None:
            query = query.where(c.at < end)
        for column, value in ((c.application, application), (c.channel, channel)):
            if value is not None:
                query = query.where(sa.or_(column.is_(None), column == value))
        with self._database.engine().connect() as connection:
            rows = connection.execute(query.order_by(c.at.desc(), c.id.desc()).limit(most)).all()
        return [_annotation(row) for row in reversed(rows)]


def checked_text(text: str) -> str:
    """The text on one line. Raises `BadRequest` (`bad_text`)."""
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_TEXT or not text.isprintable():
        hint = f"Printable text of 1 to {LONGEST_TEXT} characters."
        raise BadRequest("bad_text", f"{text[:80]!r} cannot be an annotation.", hint)
    return text


def _scope(name: str, value: str | None) -> str | None:
    if value is None or not value.strip():
        return None
    if len(value) > _LONGEST_NAME or not value.isprintable():
        hint = f"Printable text of at most {_LONGEST_NAME} characters, or nothing for all."
        raise BadRequest("bad_scope", f"{name}: {value[:80]!r} cannot be kept.", hint)
    return value.strip()


def _annotation(row: sa.Row[Any]) -> Annotation:
    return Annotation(
        row.id, aware(row.at), row.text, row.application, row.channel, row.who, aware(row.added_at)
    )
