"""A card of the first page: the newest version of a channel on a platform.

Takes facts, gives Structs; knows no HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from missioncontrol.health.model import Account
from missioncontrol.query.hour_sums import HOUR_S, hour_after
from missioncontrol.registry.model import Registry
from missioncontrol.state.release_model import Version
from missioncontrol.web.address import measure_path
from missioncontrol.web.home import numbers
from missioncontrol.web.home.numbers import Field, Numbers, Place, hour_of
from missioncontrol.web.home.said import PLATFORMS, Said, need_of, place_of, said_of, shown_of, together

REPORTS = "crash_reports"
"""The measure of all crash reports."""
SILENT = timedelta(hours=1)
"""After so long without anything a page says so."""
_SHOWN_H = 24 * numbers.DAYS_SHOWN
SPANS = {
    "life": "since publication",
    "first": f"in its first {numbers.DAYS_SHOWN} days",
    "last": f"over the last {numbers.DAYS_SHOWN} days",
}
"""What a rate and its course are of."""
Points = list[tuple[float, float | None]]


class CrashFree(msgspec.Struct, frozen=True):
    """Share of the clients of the last day without a main crash, with the bounds of the estimate."""

    share: float
    low: float | None
    high: float | None
    clients: float = 0.0
    end: datetime | None = None
    """End of that day."""


class Facts(msgspec.Struct, frozen=True):
    """What the page is made of. `versions`: of all channels, oldest first; `end`: the end of what arrived."""

    numbers: Numbers
    versions: Sequence[Version]
    accounts: Sequence[Account]
    crash_free: Mapping[tuple[Place, str | None], CrashFree]
    end: datetime | None


class Card(msgspec.Struct, frozen=True):
    """The newest version of a channel on a platform. Times of courses are hours of age, or of what is shown."""

    application: str | None
    channel: str | None
    platform: str
    platform_title: str
    version: str | None
    published_at: datetime | None
    inferred: bool
    age_hours: float | None
    need: str
    """The verdict here that needs attention most; empty: none is known."""
    said: list[Said]
    earlier: list[Said]
    """What is worse here of versions before."""
    share: float | None
    """Of the usage of the last day."""
    adoption: list[tuple[int, float | None]]
    """(hour since the epoch, share of the usage)."""
    crash_free: CrashFree | None
    measure: str
    measure_title: str
    rate: float | None
    """Per 1,000 usage hours, over the course."""
    crashes: float
    hours: float
    """What the rate is of."""
    counted: tuple[datetime, datetime]
    """Start and end of what the rate is of, whole hours."""
    span: str
    """What that is: one of `SPANS`. `first`: the version is older, `last`: it was not known when it was published, or
    nothing is known of its first days."""
    rate_before: float | None
    before: str | None
    """The version whose course is `course_before`, at the same ages."""
    counted_before: tuple[datetime, datetime] | None
    """Start and end of what `rate_before` is of."""
    course: Points
    course_before: Points
    day_end: datetime
    """End of the last day: the hour that is filling is whole in it."""
    rate_day: float | None
    """As `rate`, of the last day, with what it is of."""
    crashes_day: float
    hours_day: float
    usage_hours_day: float
    """Of all versions, as are pings and reports."""
    usage_hours: float
    pings_day: float
    reports_day: float
    reports: bool
    """Nothing tells of usage: the course is of crash reports an hour."""
    updated_at: datetime
    silent: bool
    """Nothing came for an hour."""
    href: str


def card_of(
    registry: Registry, facts: Facts, place: Place, field: Field, known: Sequence[Version], now: datetime
) -> Card | None:
    """The card of a place; `known`: the versions of its channel, oldest first. None where nothing came lately."""
    end = hour_after(min(facts.end or now, now))
    version, published = numbers.newest_of(field.totals(), known, now)
    line, whole = field.line(version), field.whole()
    recent, place_day = line.total(end - _SHOWN_H, end), whole.total(end - 24, end)
    day = line.total(end - 24, end)
    if not (recent.hours or recent.reports or recent.pings):
        return None
    reports = not any(sums.hours or sums.pings for sums in whole.hours.values())
    by = "reports" if reports else "hours"
    measure = REPORTS if reports else drawn_measure(registry)
    drawn = _course(field, version, published, known, end, reports)
    own = [
        one
        for one in facts.accounts
        if (one.subject.application, one.subject.channel) == (place.application, place.channel)
    ]

    def title(name: str) -> str:
        found = registry.measures.get(name)
        return found.title if found else name

    newest = [one for one in own if one.subject.version == version]
    said = together((said_of(one, place.platform, title, now) for one in shown_of(newest)), newest)
    said.sort(key=lambda one: place_of(one.mark.verdict))
    worse = [a for a in own if a.look.verdict == "worse" and a.subject.version != version]
    earlier = [one for a in worse if (one := said_of(a, place.platform, title, now)).mark.verdict == "worse"]
    last_s = min(whole.last_s, int(now.timestamp()))
    updated_at = datetime.fromtimestamp(last_s, UTC)
    return Card(
        application=place.application,
        channel=place.channel,
        platform=place.platform,
        platform_title=PLATFORMS[place.platform],
        version=version,
        published_at=published.published_at if published else None,
        inferred=published is not None and published.origin == "inferred",
        age_hours=(now - published.published_at).total_seconds() / 3600 if published else None,
        need=need_of([*said, *earlier]),
        said=said,
        earlier=earlier,
        share=numbers.share_now(whole, line, by, end),
        adoption=numbers.adoption(whole, line, by, end),
        crash_free=facts.crash_free.get((place, version)),
        measure=measure,
        measure_title=title(measure),
        rate=drawn.sums.rate,
        crashes=drawn.sums.crashes,
        hours=drawn.sums.hours,
        counted=(_time_of(drawn.first), _time_of(drawn.last)),
        span=drawn.span,
        rate_before=drawn.rate_before,
        before=drawn.before,
        counted_before=drawn.counted_before,
        course=drawn.course,
        course_before=drawn.course_before,
        day_end=_time_of(end),
        rate_day=day.rate,
        crashes_day=day.crashes,
        hours_day=day.hours,
        usage_hours_day=place_day.hours,
        usage_hours=recent.hours,
        pings_day=place_day.pings,
        reports_day=place_day.reports,
        reports=reports,
        updated_at=updated_at,
        silent=now - updated_at > SILENT,
        href=measure_path(place.application, place.channel, measure),
    )


class _Drawn(msgspec.Struct, frozen=True):
    course: Points
    sums: numbers.Sums
    first: int
    last: int
    """Hours that are summed, from the first to before the last."""
    span: str
    course_before: Points = []
    rate_before: float | None = None
    before: str | None = None
    counted_before: tuple[datetime, datetime] | None = None


def _course(
    field: Field,
    version: str | None,
    published: Version | None,
    known: Sequence[Version],
    end: int,
    reports: bool,
) -> _Drawn:
    """Since publication, at most as long as is shown, with the predecessor at the same ages: what a verdict is of. By
    clock where it is not known when that was, or where the data begins later."""
    line = field.line(version)
    draw = numbers.reports_course if reports else numbers.course
    start, length = course_hours(published, end) if published else (end, 0)
    own = line.total(start, start + length)
    over = start + length < end
    if published is None or (over and not (own.reports if reports else own.hours)):
        first = end - _SHOWN_H
        drawn = draw(line, first, _SHOWN_H, numbers.bin_hours(_SHOWN_H))
        return _Drawn(drawn, line.total(first, end), first, end, "last")
    wide = numbers.bin_hours(length)
    drawn = draw(line, start, length, wide)
    alone = _Drawn(drawn, own, start, start + length, "first" if over else "life")
    before = predecessor(known, published)
    if before is None:
        return alone
    other, began = field.line(before.version), hour_of(before.published_at)
    sums = other.total(began, began + length)
    if not (sums.hours or sums.reports):
        return alone
    return msgspec.structs.replace(
        alone,
        course_before=draw(other, began, length, wide),
        rate_before=sums.rate,
        before=before.version,
        counted_before=(_time_of(began), _time_of(began + length)),
    )


def course_hours(published: Version, end: int) -> tuple[int, int]:
    """The first hour of a course, and how many there are: from the hour of publication on, to 14 days of age."""
    start = hour_of(published.published_at)
    return start, max(1, min(end - start, _SHOWN_H))


def hours_drawn(known: Sequence[Version], published: Version | None, end: int) -> list[tuple[int, int]]:
    """First hours and lengths of all that is drawn by age: of the version, and of its predecessor at the same ages."""
    if published is None:
        return []
    start, length = course_hours(published, end)
    before = predecessor(known, published)
    return [(start, length), *([(hour_of(before.published_at), length)] if before else [])]


def _time_of(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_S, UTC)


def predecessor(known: Sequence[Version], of: Version) -> Version | None:
    """The version that was published before; one that was excluded is none."""
    earlier = [
        one
        for one in known
        if one.published_at < of.published_at and one.version != of.version and one.status != "excluded"
    ]
    return earlier[-1] if earlier else None


def drawn_measure(registry: Registry) -> str:
    """Main crashes, or the first measure of crashes per usage hour."""
    measures = [m.name for m in registry.measures.values() if m.group == "crash" and m.per == "usage_hours"]
    return "main_crashes" if "main_crashes" in measures else next(iter(measures), REPORTS)


def age_words(hours: float) -> str:
    """`5 min`, `3 h`, `12 days`."""
    if hours < 1:
        return f"{max(1, int(hours * 60))} min"
    return f"{int(hours)} h" if hours < 48 else f"{int(hours // 24)} days"
