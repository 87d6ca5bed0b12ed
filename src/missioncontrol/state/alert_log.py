"""Changes of verdicts, and what each alert channel was told of them.

    change -> event (one for each change) -> telling (one for each event and channel) -> delivery (one message)

An event is never taken twice, and a channel is never told an event by two deliveries that both arrived: that is what
the keys of the tables hold, whoever is killed when. A delivery that was sent and not recorded is sent again under
the same id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from missioncontrol.state.alert_channels import Severity
from missioncontrol.state.database import (
    Database,
    alert_channels,
    alert_deliveries,
    alert_events,
    alert_tellings,
    once_more,
    write_first,
)
from missioncontrol.state.moments import aware

Status = Literal["waiting", "sent", "given_up", "refused", "outdated", "remade", "left"]
"""given_up: a passing trouble, for a day or of a test; refused: for good; outdated: no longer true when it could be
sent; remade: what of it still holds is in another message; left: the channel was switched off."""
DeliveryKind = Literal["alerts", "test", "notice"]
_MOST_WAITING = 5000
_LONGEST_WAIT = timedelta(days=1)
"""Nothing waits longer at a time, neither for a repeat nor for another attempt."""


class Event(msgspec.Struct, frozen=True):
    """One change of a verdict."""

    id: int
    application: str
    channel: str
    version: str
    measure: str
    as_of: datetime
    verdict: str
    before: str
    """Empty: it is the first verdict."""
    severity: Severity | Literal[""]
    """Empty: nobody is told."""
    taken_at: datetime
    alert: str
    """What is told, as JSON."""

    @property
    def subject(self) -> tuple[str, str, str, str]:
        """What was judged."""
        return (self.application, self.channel, self.version, self.measure)


class Telling(msgspec.Struct, frozen=True):
    """An event that a channel is still to be told."""

    channel_id: int
    event: Event
    due_at: datetime
    holds: bool
    """Whether it is the newest event of its subject."""


class Delivery(msgspec.Struct, frozen=True):
    """One message to a channel, or to its owner."""

    id: str
    channel_id: int
    channel_name: str
    kind: DeliveryKind
    address: str
    """E-mail address that it goes to in place of the channel; mostly empty."""
    text: str
    """What it says, in short."""
    status: Status
    attempts: int
    created_at: datetime
    due_at: datetime
    tried_at: datetime | None
    answer: str
    """What the other side, or the network, said last."""


class AlertLog:
    """The events, tellings and deliveries of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, subject: tuple[str, str, str, str]) -> Event | None:
        """The newest event of a subject."""
        with self._database.engine().connect() as connection:
            return _last(connection, subject)

    def take(self, event: Event, after: int | None, due: Mapping[int, datetime]) -> bool:
        """Keep an event, whose id does not count, and that channels (by id) are to be told it, each from a time on.

        `after`: id of the event that was the subject's newest when this was decided. False, and nothing is kept, when
        it no longer is, or when there is one of the same subject and time.
        """
        values = msgspec.structs.asdict(event)
        del values["id"]
        with self._database.engine().begin() as connection:
            write_first(connection, alert_events)
            last = _last(connection, event.subject)
            if (last.id if last else None) != after:
                return False
            if connection.execute(sa.select(alert_events.c.id).where(*_same(event))).first():
                return False  # an old change that came again
            made = connection.execute(sa.insert(alert_events).values(values)).inserted_primary_key
            assert made is not None
            tellings = [
                {"channel_id": number, "event_id": made[0], "status": "waiting", "due_at": at, "delivery": ""}
                for number, at in due.items()
            ]
            if tellings:
                connection.execute(sa.insert(alert_tellings), tellings)
        return True

    def told(self, channel_id: int, subject: tuple[str, str, str, str], verdict: str) -> datetime | None:
        """When the channel was last sent that the subject's verdict became this one."""
        e, t, d = alert_events.c, alert_tellings.c, alert_deliveries.c
        which = sa.and_(
            t.channel_id == channel_id,
            t.status == "sent",
            t.event_id == e.id,
            t.delivery == d.id,
            _of(subject),
            e.verdict == verdict,
        )
        with self._database.engine().connect() as connection:
            return aware(connection.execute(sa.select(sa.func.max(d.tried_at)).where(which)).scalar())

    def waiting(self, now: datetime) -> list[Telling]:
        """What channels are to be told now and no delivery holds yet, in the order in which it happened.

        Of channels that are not on, only what no longer holds: the rest waits, and must not keep others waiting.
        """
        t, e, c = alert_tellings.c, alert_events.c, alert_channels.c
        can = sa.or_(sa.exists().where(c.id == t.channel_id, c.state == "on"), sa.not_(_newest()))
        which = sa.and_(t.status == "waiting", t.delivery == "", _due(t.due_at, now), t.event_id == e.id, can)
        query = sa.select(t.channel_id, t.due_at, _holds(), alert_events).where(which)
        with self._database.engine().connect() as connection:
            rows = connection.execute(query.order_by(e.id).limit(_MOST_WAITING)).all()
        return [Telling(row.channel_id, _event(row), aware(row.due_at), bool(row.holds)) for row in rows]

    @once_more
    def close(self, channel_id: int, event_ids: Sequence[int], status: Status) -> None:
        """Tell a channel these events no more."""
        t = alert_tellings.c
        which = sa.and_(t.channel_id == channel_id, t.event_id.in_(event_ids), t.status == "waiting")
        with self._database.engine().begin() as connection:
            connection.execute(sa.update(alert_tellings).where(which).values(status=status))

    @once_more
    def add(self, delivery: Delivery, event_ids: Sequence[int] = ()) -> None:
        """Keep a message that is to be sent, or was, with the events that it tells."""
        t = alert_tellings.c
        which = sa.and_(t.channel_id == delivery.channel_id, t.event_id.in_(event_ids), t.status == "waiting")
        with self._database.engine().begin() as connection:
            connection.execute(sa.insert(alert_deliveries).values(msgspec.structs.asdict(delivery)))
            if event_ids:
                connection.execute(sa.update(alert_tellings).where(which).values(delivery=delivery.id))

    def knows(self, delivery_id: str) -> bool:
        """Whether there is a message of that id."""
        query = sa.select(alert_deliveries.c.id).where(alert_deliveries.c.id == delivery_id)
        with self._database.engine().connect() as connection:
            return connection.execute(query).first() is not None

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        """Messages to send now, the oldest first; those of channels that are not on wait."""
        d, c = alert_deliveries.c, alert_channels.c
        can = sa.or_(d.address != "", sa.exists().where(c.id == d.channel_id, c.state == "on"))
        query = sa.select(alert_deliveries).where(d.status == "waiting", _due(d.due_at, now), can)
        with self._database.engine().connect() as connection:
            return [_delivery(row) for row in connection.execute(query.order_by(d.due_at).limit(limit))]

    def events_of(self, delivery_id: str) -> list[Telling]:
        """The events that a message tells, in the order in which they happened."""
        t, e = alert_tellings.c, alert_events.c
        query = sa.select(t.channel_id, t.due_at, _holds(), alert_events)
        query = query.where(t.delivery == delivery_id, t.event_id == e.id).order_by(e.id)
        with self._database.engine().connect() as connection:
            return [
                Telling(row.channel_id, _event(row), aware(row.due_at), bool(row.holds))
                for row in connection.execute(query)
            ]

    @once_more
    def tried(self, delivery: Delivery, status: Status, answer: str, due_at: datetime, now: datetime) -> None:
        """Note how an attempt went. Events of a message that was refused for good are free for another.

        A message that was dropped meanwhile stays dropped, unless it arrived.
        """
        d, t = alert_deliveries.c, alert_tellings.c
        values = {
            "status": status, "attempts": delivery.attempts + 1, "answer": answer, "due_at": due_at, "tried_at": now
        }  # fmt: skip
        with self._database.engine().begin() as connection:
            which = sa.and_(d.id == delivery.id, sa.true() if status == "sent" else d.status == "waiting")
            noted = connection.execute(sa.update(alert_deliveries).where(which).values(values)).rowcount
            if status == "waiting" or not noted:
                return
            told = {"delivery": ""} if status == "refused" else {"status": status}
            connection.execute(sa.update(alert_tellings).where(t.delivery == delivery.id).values(told))

    @once_more
    def remake(self, delivery: Delivery, answer: str) -> None:
        """Drop a message that did not arrive as it is; its events are free for another. One that was dropped meanwhile
        stays so.
        """
        d, t = alert_deliveries.c, alert_tellings.c
        which = sa.and_(d.id == delivery.id, d.status == "waiting")
        values = {"status": "remade", "answer": answer}
        with self._database.engine().begin() as connection:
            if connection.execute(sa.update(alert_deliveries).where(which).values(values)).rowcount:
                freed = sa.update(alert_tellings).where(t.delivery == delivery.id)
                connection.execute(freed.values(delivery=""))

    def deliveries(self, limit: int, channel: str = "") -> list[Delivery]:
        """Messages, the newest first; of one channel or all."""
        query = sa.select(alert_deliveries).order_by(
            alert_deliveries.c.created_at.desc(), alert_deliveries.c.id
        )
        if channel:
            query = query.where(alert_deliveries.c.channel_name == channel)
        with self._database.engine().connect() as connection:
            return [_delivery(row) for row in connection.execute(query.limit(limit))]

    def events(self, limit: int) -> list[Event]:
        """Changes that somebody may be told, the newest first."""
        e = alert_events.c
        query = sa.select(alert_events).where(e.severity != "").order_by(e.id.desc()).limit(limit)
        with self._database.engine().connect() as connection:
            return [_event(row) for row in connection.execute(query)]

    def events_between(
        self,
        first: datetime,
        last: datetime,
        limit: int,
        application: str | None = None,
        channel: str | None = None,
    ) -> list[Event]:
        """Changes that somebody may be told, of looks from `first` to `last`: at most `limit`, the newest first.

        Of an application and channel; None: of any.
        """
        e = alert_events.c
        query = sa.select(alert_events).where(e.severity != "", e.as_of >= first, e.as_of <= last)
        query = query.where(*_of_place(application, channel))
        with self._database.engine().connect() as connection:
            return [
                _event(row) for row in connection.execute(query.order_by(e.as_of.desc(), e.id).limit(limit))
            ]

    def told_between(
        self,
        first: datetime,
        last: datetime,
        limit: int,
        application: str | None = None,
        channel: str | None = None,
    ) -> list[tuple[Delivery, Event]]:
        """Messages that were tried from `first` to `last` with each change that they tell; the newest first.

        Of changes of an application and channel; None: of any.
        """
        t, d, e = alert_tellings.c, alert_deliveries.c, alert_events.c
        pairs = sa.select(d.id.label("message"), e.id.label("event")).where(
            t.delivery == d.id,
            t.event_id == e.id,
            d.tried_at >= first,
            d.tried_at <= last,
            *_of_place(application, channel),
        )
        with self._database.engine().connect() as connection:
            found = connection.execute(pairs.order_by(d.tried_at.desc(), e.id).limit(limit)).all()
            messages = sa.select(alert_deliveries).where(d.id.in_({row.message for row in found}))
            deliveries = {row.id: _delivery(row) for row in connection.execute(messages)}
            changes = sa.select(alert_events).where(e.id.in_({row.event for row in found}))
            events = {row.id: _event(row) for row in connection.execute(changes)}
        return [(deliveries[row.message], events[row.event]) for row in found]

    def counts(self) -> dict[str, int]:
        """How many deliveries the log holds, by status."""
        query = sa.select(alert_deliveries.c.status, sa.func.count()).group_by(alert_deliveries.c.status)
        with self._database.engine().connect() as connection:
            return dict(connection.execute(query).tuples().all())

    @once_more
    def forget(self, before: datetime) -> None:
        """Drop what is older and done. The newest event of a subject stays: the next change is measured by it."""
        e, d, t = alert_events.c, alert_deliveries.c, alert_tellings.c
        old = sa.select(e.id).where(e.taken_at < before, sa.not_(_newest()))
        with self._database.engine().begin() as connection:
            done = sa.and_(d.created_at < before, d.status != "waiting")
            connection.execute(sa.delete(alert_deliveries).where(done))
            connection.execute(sa.delete(alert_tellings).where(t.event_id.in_(old), t.status != "waiting"))
            kept = sa.exists().where(t.event_id == e.id)
            connection.execute(sa.delete(alert_events).where(e.id.in_(old), sa.not_(kept)))


def _of_place(application: str | None, channel: str | None) -> list[sa.ColumnElement[bool]]:
    """Conditions on changes; None: of any."""
    given = ((alert_events.c.application, application), (alert_events.c.channel, channel))
    return [column == value for column, value in given if value is not None]


def _due(due_at: sa.ColumnElement[datetime], now: datetime) -> sa.ColumnElement[bool]:
    """What waits for longer than anything does was noted by a clock that has been put back since: it is due."""
    return sa.or_(due_at <= now, due_at > now + _LONGEST_WAIT)


def _of(subject: tuple[str, str, str, str]) -> sa.ColumnElement[bool]:
    e = alert_events.c
    return sa.and_(
        e.application == subject[0], e.channel == subject[1], e.version == subject[2], e.measure == subject[3]
    )


def _same(event: Event) -> tuple[sa.ColumnElement[bool], ...]:
    return (_of(event.subject), alert_events.c.as_of == event.as_of)


def _last(connection: sa.Connection, subject: tuple[str, str, str, str]) -> Event | None:
    query = sa.select(alert_events).where(_of(subject)).order_by(alert_events.c.id.desc()).limit(1)
    row = connection.execute(query).first()
    return _event(row) if row else None


def _newest() -> sa.ColumnElement[bool]:
    later, e = alert_events.alias(), alert_events.c
    return sa.not_(
        sa.exists().where(
            later.c.application == e.application, later.c.channel == e.channel,
            later.c.version == e.version, later.c.measure == e.measure, later.c.id > e.id,
        )
    )  # fmt: skip


def _holds() -> sa.ColumnElement[bool]:
    return _newest().label("holds")


def _event(row: sa.Row[Any]) -> Event:
    values = {name: row._mapping[name] for name in Event.__struct_fields__}
    return Event(**{**values, "as_of": aware(row.as_of), "taken_at": aware(row.taken_at)})


def _delivery(row: sa.Row[Any]) -> Delivery:
    moments = {name: aware(row._mapping[name]) for name in ("created_at", "due_at", "tried_at")}
    return Delivery(**{**row._mapping, **moments})
