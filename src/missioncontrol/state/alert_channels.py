"""Where alerts go, and by which rules.

Addresses and keys of signatures are secrets: they are kept as they are, since they are needed to send, and whoever
shows a channel shows `AlertChannel.shown_target`. A channel that was refused for good is `broken` until somebody
switches it on again.
"""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import (
    Database,
    alert_channels,
    alert_deliveries,
    alert_rules,
    alert_tellings,
    once_more,
    write_first,
)
from missioncontrol.state.moments import aware

Kind = Literal["webhook", "slack", "email"]
State = Literal["on", "off", "broken"]
Severity = Literal["critical", "warning", "info"]
Passing = Literal["critical", "warning", "none"]


class QuietHours(msgspec.Struct, frozen=True):
    """When a channel is not to be disturbed: from `begins` to `ends` by the clock of `zone`.

    An end that is not after the beginning is the next day's; equal ones are a whole day.
    """

    begins: str
    """`22:00`."""
    ends: str
    zone: str = "UTC"
    days: tuple[str, ...] = ()
    """On which it begins, `mon` to `sun`; empty: on all."""
    passing: Passing = "critical"
    """Least severity that is told all the same."""


class AlertChannel(msgspec.Struct, frozen=True):
    """One place where alerts go."""

    id: int
    name: str
    kind: Kind
    target: str
    """An address (webhook, slack), or e-mail addresses separated by commas. Secret."""
    secret: str
    """Key of the signatures of a webhook. Secret."""
    owner: str
    """Who made it."""
    owner_email: str
    """Who is told when it breaks; may be empty."""
    quiet: QuietHours | None
    state: State
    reason: str
    """Why it is off or broken."""
    created_at: datetime
    changed_at: datetime

    @property
    def shown_target(self) -> str:
        """Of an address no more than the server: the rest may be all that keeps others from sending there."""
        if self.kind == "email":
            return self.target
        parts = urlsplit(self.target)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}/…"


class AlertRule(msgspec.Struct, frozen=True):
    """Which changes go to a channel. An empty text is any."""

    id: int
    channel_id: int
    application: str
    release_channel: str
    measure: str
    severity: Severity
    """The least."""


class AlertChannels:
    """The channels and rules of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def any(self) -> bool:
        """Whether there is a channel at all."""
        with self._database.engine().connect() as connection:
            return connection.execute(sa.select(alert_channels.c.id).limit(1)).first() is not None

    def list(self) -> builtins.list[AlertChannel]:
        """All channels by name."""
        with self._database.engine().connect() as connection:
            rows = connection.execute(sa.select(alert_channels).order_by(alert_channels.c.name))
            return [_channel(row) for row in rows]

    def get(self, name: str) -> AlertChannel:
        """The channel of that name; raises `NotFound` (`unknown_alert_channel`)."""
        with self._database.engine().connect() as connection:
            row = connection.execute(sa.select(alert_channels).where(alert_channels.c.name == name)).first()
        if row is None:
            raise NotFound(
                "unknown_alert_channel",
                f"There is no alert channel {name[:60]!r}.",
                "`missioncontrol alert channels` and /alerts list all.",
            )
        return _channel(row)

    def add(self, channel: AlertChannel) -> AlertChannel:
        """Keep a new channel, whose id does not count; raises `BadRequest` (`alert_channel_exists`)."""
        values = _values(channel)
        del values["id"]
        try:
            with self._database.engine().begin() as connection:
                connection.execute(sa.insert(alert_channels).values(values))
        except sa.exc.IntegrityError:
            hint = "Change that one, or choose another name."
            raise BadRequest(
                "alert_channel_exists", f"There is an alert channel {channel.name} already.", hint
            ) from None
        return self.get(channel.name)

    def change(self, channel: AlertChannel) -> AlertChannel:
        """Keep a channel as it is now."""
        values = _values(channel)
        with self._database.engine().begin() as connection:
            connection.execute(
                sa.update(alert_channels).where(alert_channels.c.id == channel.id).values(values)
            )
        return self.get(channel.name)

    @once_more
    def switch(self, channel_id: int, state: State, reason: str, now: datetime) -> bool:
        """On, off or broken; false when it was so already. One that is off does not break."""
        c = alert_channels.c
        which = sa.and_(c.id == channel_id, c.state == "on" if state == "broken" else c.state != state)
        with self._database.engine().begin() as connection:
            query = sa.update(alert_channels).where(which)
            changed = connection.execute(query.values(state=state, reason=reason, changed_at=now))
            if state == "off":
                _forget_waiting(connection, channel_id)
            return changed.rowcount > 0

    @once_more
    def remove(self, channel: AlertChannel) -> None:
        """Forget a channel, its rules and what it still was to be told; what it was told stays in the log."""
        with self._database.engine().begin() as connection:
            connection.execute(sa.delete(alert_rules).where(alert_rules.c.channel_id == channel.id))
            connection.execute(sa.delete(alert_tellings).where(alert_tellings.c.channel_id == channel.id))
            _forget_waiting(connection, channel.id)
            connection.execute(sa.delete(alert_channels).where(alert_channels.c.id == channel.id))

    def rules(self) -> builtins.list[AlertRule]:
        """All rules, as they were made."""
        with self._database.engine().connect() as connection:
            rows = connection.execute(sa.select(alert_rules).order_by(alert_rules.c.id))
            return [AlertRule(**row._mapping) for row in rows]

    def add_rule(self, rule: AlertRule) -> AlertRule:
        """Keep a rule, whose id does not count; of the same changes to the same channel the severity is changed."""
        c = alert_rules.c
        which = sa.and_(
            c.channel_id == rule.channel_id, c.application == rule.application,
            c.release_channel == rule.release_channel, c.measure == rule.measure,
        )  # fmt: skip
        values = msgspec.structs.asdict(rule)
        del values["id"]
        with self._database.engine().begin() as connection:
            write_first(connection, alert_rules)
            if not connection.execute(
                sa.update(alert_rules).where(which).values(severity=rule.severity)
            ).rowcount:
                connection.execute(sa.insert(alert_rules).values(values))
            return AlertRule(**connection.execute(sa.select(alert_rules).where(which)).one()._mapping)

    def remove_rule(self, rule_id: int) -> AlertRule:
        """Take a rule away; gives what it was. Raises `NotFound` (`unknown_alert_rule`)."""
        which = alert_rules.c.id == rule_id
        with self._database.engine().begin() as connection:
            row = (
                connection.execute(sa.select(alert_rules).where(which)).first()
                if 0 < rule_id < 2**31
                else None
            )
            if row is None:
                hint = "`missioncontrol alert rules` lists all."
                raise NotFound("unknown_alert_rule", f"There is no alert rule {rule_id}.", hint)
            connection.execute(sa.delete(alert_rules).where(which))
        return AlertRule(**row._mapping)


def _forget_waiting(connection: sa.Connection, channel_id: int) -> None:
    c, d = alert_tellings.c, alert_deliveries.c
    waiting = sa.and_(c.channel_id == channel_id, c.status == "waiting")
    connection.execute(sa.update(alert_tellings).where(waiting).values(status="left"))
    waiting = sa.and_(d.channel_id == channel_id, d.status == "waiting")
    left = {"status": "left", "answer": "The channel was switched off or removed."}
    connection.execute(sa.update(alert_deliveries).where(waiting).values(left))


def _values(channel: AlertChannel) -> dict[str, Any]:
    quiet = msgspec.json.encode(channel.quiet).decode() if channel.quiet else ""
    return {**msgspec.structs.asdict(channel), "quiet": quiet}


def _channel(row: sa.Row[Any]) -> AlertChannel:
    values = dict(row._mapping)
    quiet = msgspec.json.decode(values["quiet"], type=QuietHours) if values["quiet"] else None
    moments = {name: aware(values[name]) for name in ("created_at", "changed_at")}
    return AlertChannel(**{**values, **moments, "quiet": quiet})
