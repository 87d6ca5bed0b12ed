"""Marks on a time axis: releases, changes of verdicts, alerts that were sent, and what people noted.

    sources -> annotations of a span of time, oldest first

A further kind of mark is a further source in the list that `api.py` is given.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.state.release_model import Release, Version, group
from missioncontrol.web.grafana.asked import Asked, milliseconds
from missioncontrol.web.verdicts.words import mark_of

if TYPE_CHECKING:
    from missioncontrol.state.alert_log import AlertLog, Delivery, Event
    from missioncontrol.state.annotations import Annotation as Note
    from missioncontrol.state.annotations import Annotations

_LAST = datetime(9999, 12, 31, tzinfo=UTC)
MOST = 1000
"""Annotations of one source, the newest; more are no help to anybody."""


class Annotation(msgspec.Struct, frozen=True, rename={"time_end": "timeEnd"}):
    """One mark, in the fields that Grafana knows. Times in milliseconds since the epoch."""

    time: int
    time_end: int
    title: str
    text: str
    tags: str
    """Separated by commas, as Grafana reads them from a column of text."""


class Source(msgspec.Struct, frozen=True):
    """A kind of annotations, and what reads it."""

    kind: str
    read: Callable[[Asked], Iterable[Annotation]]


def collect(sources: Sequence[Source], kinds: Sequence[str], asked: Asked) -> list[Annotation]:
    """The annotations of these kinds (none: all), oldest first."""
    wanted = [source for source in sources if not kinds or source.kind in kinds]
    return sorted((a for source in wanted for a in source.read(asked)), key=lambda a: (a.time, a.title))


def of_releases(
    releases: Callable[[], Iterable[Release]], base_url: str, now: Callable[[], datetime]
) -> Source:
    """A mark for each version that was published, or is to be."""

    def said(version: Version, by: datetime) -> str:
        when = "Published" if version.published_at <= by else "To be published"
        return f"{when}{' (inferred)' if version.origin == 'inferred' else ''}. {version.note}".strip()

    def read(asked: Asked) -> list[Annotation]:
        by = now()
        found = [
            mark(
                version.published_at,
                f"{version.application} {version.version} on {version.channel}",
                said(version, by),
                ("release", version.application, version.channel, version.version),
                f"{base_url}/releases",
            )
            for version in group(releases())
            if asked.wants(version.application, version.channel) and asked.holds(version.published_at)
        ]
        return found[-MOST:]

    return Source("release", read)


def of_verdicts(log: Callable[[], AlertLog], base_url: str) -> Source:
    """A mark for each verdict that became another, and that somebody may be told of."""

    def read(asked: Asked) -> list[Annotation]:
        found = log().events_between(asked.first, asked.last, MOST, asked.application, asked.channel)
        return [_change(event, base_url) for event in found]

    return Source("verdict", read)


def of_alerts(log: Callable[[], AlertLog], base_url: str) -> Source:
    """A mark for each message that was sent, or could not be, at the time of the last attempt."""

    def read(asked: Asked) -> list[Annotation]:
        told = log().told_between(asked.first, asked.last, MOST, asked.application, asked.channel)
        wanted = {delivery.id: (delivery, event) for delivery, event in told}
        return [_alert(delivery, event, base_url) for delivery, event in wanted.values()]

    return Source("alert", read)


def of_people(annotations: Callable[[], Annotations]) -> Source:
    """A mark for each annotation that somebody added to a chart."""

    def read(asked: Asked) -> list[Annotation]:
        end = min(asked.last, _LAST) + timedelta(microseconds=1)
        found = annotations().list(asked.first, end, asked.application, asked.channel, MOST)
        return [
            mark(note.at, note.text, "Noted.", tags_of(note)) for note in found
        ]  # not by whom: see the API

    def tags_of(note: Note) -> tuple[str, ...]:
        return ("note", note.application or "", note.channel or "")

    return Source("note", read)


def _change(event: Event, base_url: str) -> Annotation:
    from missioncontrol.alerts.alert import Alert  # loads the state database

    alert = msgspec.json.decode(event.alert, type=Alert)
    tags = (
        "verdict",
        event.verdict,
        event.severity,
        event.application,
        event.channel,
        event.version,
        event.measure,
    )
    return mark(event.as_of, alert.title, alert.sentence, tags, base_url + alert.url)


def _alert(delivery: Delivery, event: Event, base_url: str) -> Annotation:
    word = {"sent": "Told", "waiting": "Not told yet"}.get(delivery.status, "Not told")
    tags = ("alert", delivery.status, event.application, event.channel, event.version)
    return mark(
        delivery.tried_at or delivery.created_at,
        f"{word}: {delivery.channel_name}",
        f"{mark_of(event.verdict).word}: {event.application} {event.version} on {event.channel}",
        tags,
        f"{base_url}/alerts",
    )


def mark(moment: datetime, title: str, text: str, tags: Sequence[str], href: str = "") -> Annotation:
    """An annotation of one instant. Grafana shows texts as HTML that it cleans; what comes from clients is escaped."""
    at = milliseconds(moment)
    link = f' <a href="{html.escape(href)}">Mission Control</a>' if href else ""
    named = ",".join(tag.replace(",", " ") for tag in tags if tag)
    return Annotation(at, at, html.escape(title), f"{html.escape(text)}{link}", named)
