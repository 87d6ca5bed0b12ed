"""Alerts as page and API show them: everything to those who set them up, no addresses and no answers to others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from missioncontrol.services import Services
    from missioncontrol.state.alert_channels import AlertChannel, AlertRule, QuietHours
    from missioncontrol.state.alert_log import Delivery, Event

MOST_DELIVERIES = 50
MOST_CHANGES = 20


class RuleView(msgspec.Struct, frozen=True):
    """Which changes go to a channel; an empty text is any."""

    id: int
    application: str
    channel: str
    measure: str
    severity: str


class ChannelView(msgspec.Struct, frozen=True):
    """An alert channel. What is null only administrators see."""

    name: str
    kind: str
    state: str
    quiet: dict[str, Any] | None
    rules: list[RuleView]
    created_at: datetime
    changed_at: datetime
    target: str | None
    """Of an address the server alone."""
    reason: str | None
    owner: str | None
    owner_email: str | None


class DeliveryView(msgspec.Struct, frozen=True):
    """A message that was sent, or is to be."""

    id: str
    channel: str
    kind: str
    text: str
    status: str
    attempts: int
    created_at: datetime
    due_at: datetime | None
    """When it is tried next."""
    tried_at: datetime | None
    to: str | None
    """`owner` for a notice by e-mail to the owner of the channel."""
    answer: str | None


class ChangeView(msgspec.Struct, frozen=True):
    """A change of a verdict."""

    severity: str
    application: str
    channel: str
    version: str
    measure: str
    before: str | None
    verdict: str
    title: str
    sentence: str
    as_of: datetime
    url: str


class AlertsView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    channels: list[ChannelView]
    deliveries: list[DeliveryView]
    changes: list[ChangeView]
    now: datetime

    @property
    def broken(self) -> list[ChannelView]:
        """The channels that refused a message for good."""
        return [channel for channel in self.channels if channel.state == "broken"]


class AlertDesk:
    """The alerts of one installation, for pages and API. Nothing of them is loaded before the first question."""

    def __init__(self, services: Services, now: Callable[[], datetime]) -> None:
        self.services, self.now = services, now

    def view(self, full: bool) -> AlertsView:
        """What a reader sees; `full`: one who may set alerts up."""
        return AlertsView(
            self.channels(full),
            self.deliveries(full, MOST_DELIVERIES),
            self.changes(MOST_CHANGES),
            self.now(),
        )

    def channels(self, full: bool) -> list[ChannelView]:
        """All channels by name, with their rules."""
        store = self.services.alert_channels
        rules = store.rules()
        return [channel_view(c, [r for r in rules if r.channel_id == c.id], full) for c in store.list()]

    def channel(self, name: str) -> ChannelView:
        """One channel, in full; raises `NotFound`."""
        store = self.services.alert_channels
        known = store.get(name)
        return channel_view(known, [r for r in store.rules() if r.channel_id == known.id], True)

    def deliveries(self, full: bool, limit: int, channel: str = "") -> list[DeliveryView]:
        """The newest messages; those that quote what others answered only in full."""
        found = self.services.alert_log.deliveries(limit, channel)
        return [_delivery_view(d, full) for d in found if full or d.kind == "alerts"]

    def changes(self, limit: int) -> list[ChangeView]:
        """The newest changes that somebody may be told."""
        return [_change_view(event) for event in self.services.alert_log.events(limit)]


def channel_view(channel: AlertChannel, rules: list[AlertRule], full: bool) -> ChannelView:
    """A channel as it is shown."""
    return ChannelView(
        name=channel.name,
        kind=channel.kind,
        state=channel.state,
        quiet=msgspec.to_builtins(channel.quiet) if channel.quiet else None,
        rules=[RuleView(r.id, r.application, r.release_channel, r.measure, r.severity) for r in rules],
        created_at=channel.created_at,
        changed_at=channel.changed_at,
        target=channel.shown_target if full else None,
        reason=channel.reason if full else None,
        owner=channel.owner if full else None,
        owner_email=channel.owner_email if full else None,
    )


def quiet_words(quiet: dict[str, Any] | None) -> str:
    """Quiet hours in a line."""
    if quiet is None:
        return "none"
    days = f" on {', '.join(quiet['days'])}" if quiet["days"] else ""
    passing = {"critical": "critical alerts are told all the same", "none": "nothing is told"}.get(
        quiet["passing"], "warnings and critical alerts are told all the same"
    )
    return f"{quiet['begins']} to {quiet['ends']}{days} ({quiet['zone']}); {passing}"


def rule_words(rule: RuleView) -> str:
    """A rule in a line."""
    least = {"critical": "Critical", "warning": "Warning or worse", "info": "Everything"}[rule.severity]
    where = " ".join(
        filter(None, [rule.application or "any application", rule.channel and f"on {rule.channel}"])
    )
    return f"{least}: {where}, {rule.measure or 'any measure'}"


def _delivery_view(delivery: Delivery, full: bool) -> DeliveryView:
    return DeliveryView(
        id=delivery.id,
        channel=delivery.channel_name,
        kind=delivery.kind,
        text=delivery.text,
        status=delivery.status,
        attempts=delivery.attempts,
        created_at=delivery.created_at,
        due_at=delivery.due_at if delivery.status == "waiting" else None,
        tried_at=delivery.tried_at,
        to=("owner" if delivery.address else "channel") if full else None,
        answer=delivery.answer if full else None,
    )


def _change_view(event: Event) -> ChangeView:
    from missioncontrol.alerts.alert import Alert

    alert = msgspec.json.decode(event.alert, type=Alert)
    return ChangeView(
        event.severity, event.application, event.channel, event.version, event.measure, alert.before,
        event.verdict, alert.title, alert.sentence, event.as_of, alert.url,
    )  # fmt: skip


def quiet_of(given: dict[str, Any] | None) -> QuietHours | None:
    """Quiet hours out of JSON; raises `BadRequest` (`bad_quiet_hours`)."""
    from missioncontrol.errors import BadRequest
    from missioncontrol.state.alert_channels import QuietHours

    if given is None:
        return None
    try:
        return msgspec.convert(given, QuietHours)
    except msgspec.ValidationError as error:
        hint = "Fields: begins, ends, zone, days (mon to sun), passing (critical, warning or none)."
        raise BadRequest("bad_quiet_hours", f"The quiet hours are none: {str(error)[:200]}.", hint) from None
