"""The page of builds: from days to what the template prints. Pure; what is not known stays unknown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from missioncontrol.query.build_hours import LIFE
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.address import builds_path, encode_part, measure_path, range_from
from missioncontrol.web.builds.days import DAYS, BuildDay, BuildTotal
from missioncontrol.web.builds.plot import DayPlot, plot_of
from missioncontrol.web.builds.source import Field
from missioncontrol.web.home.said import PLATFORMS
from missioncontrol.web.home.view import silence
from missioncontrol.web.numerals import NOTHING, amount, rate
from missioncontrol.web.verdicts.words import Mark, between, length, mark_of, times

if TYPE_CHECKING:
    from missioncontrol.verdict.days import Against

SHOWN_BUILDS = 8
_OPEN = {"too-early": "too early to say", "undecided": "not used enough to tell"}
_TURNED = {"worse": "better", "better": "worse"}
_LIFE_HOURS, _USED_HOURS = 168.0, 96.0
_LEAST, _MOST = 0.01, 100.0
UNDECIDED = Mark("undecided", "○", "Not told", "It was not used enough to tell.")


class BuildsWanted(msgspec.Struct, frozen=True):
    """What the page is asked for."""

    application: str | None
    channel: str | None
    measure: str
    platform: str = ""

    def url(self, **changes: str) -> str:
        """The address, with changes and further parameters."""
        asked = {"measure": self.measure, "platform": self.platform, **changes}
        pairs = [(name, value) for name, value in asked.items() if value]
        return f"{builds_path(self.application, self.channel)}?{urlencode(pairs)}"


class BuildRow(msgspec.Struct, frozen=True):
    """A build, with where more of it is."""

    total: BuildTotal
    rate: float | None
    measure_href: str
    signatures_href: str


class DayRow(msgspec.Struct, frozen=True):
    """A day of the table; without builds only its date."""

    day: date
    of: BuildDay | None
    mark: Mark | None
    earlier_mark: Mark | None
    rate: float | None
    """Per 1,000 of what it is per, as the bounds are."""
    low: float | None
    high: float | None
    builds: list[BuildRow]
    more_builds: int


class BuildsView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    wanted: BuildsWanted
    title: str
    measure: Measure
    per_title: str
    end: datetime | None
    mark: Mark | None
    """Of the newest build; None: there is nothing to say."""
    heading: str
    sentence: str
    notes: list[str]
    silence: list[str]
    """Says so where nothing came for an hour."""
    days: list[DayRow]
    """The newest first; runs of days without a build are rows too."""
    plot: DayPlot | None
    platforms: list[tuple[str, str]]
    measures: list[tuple[str, str]]
    verdicts_href: str
    measure_href: str


def judged_measures(registry: Registry) -> list[Measure]:
    """Measures that have a rate and a bad direction."""
    return [one for one in registry.measures.values() if one.per and one.worse]


def build_builds(
    wanted: BuildsWanted, registry: Registry, field: Field, title: str, now: datetime
) -> BuildsView:
    """Lay out the days of a channel. Today is that of `now`, however old the data is."""
    measure = registry.measures[wanted.measure]
    days = [_turned(day) for day in field.days] if measure.worse == "down" else field.days
    rows = _rows(days, wanted, field.end) if field.end and days else []
    newest = next((day for day in reversed(days) if day.hours), None)
    names = {"application": wanted.application or "", "channel": wanted.channel or ""}
    per = registry.measures.get(measure.per)
    per_title = per.title.lower() if per else measure.per
    mark = _mark(newest.before, _old(newest)) if newest else None
    return BuildsView(
        wanted=wanted,
        title=title,
        measure=measure,
        per_title=per_title,
        end=field.end,
        mark=mark,
        heading=_heading(newest, mark, now.date()),
        sentence=_sentence(newest, mark, measure, per_title, days),
        notes=_notes(newest),
        silence=silence(field.end, now),
        days=rows,
        plot=plot_of(rows[::-1], measure.title, per_title) if newest else None,
        platforms=[(name, PLATFORMS.get(name, name)) for name in field.platforms],
        measures=[(one.name, one.title) for one in judged_measures(registry)],
        verdicts_href=f"/verdicts?{urlencode({n: v for n, v in names.items() if v})}",
        measure_href=measure_path(wanted.application, wanted.channel, measure.name)
        + "?group=build_id&interval=day&range=14d",
    )


def _turned(day: BuildDay) -> BuildDay:
    """The day of a measure that is bad when it falls: more of it is better."""
    before, earlier = (
        msgspec.structs.replace(one, answer=_TURNED.get(one.answer, one.answer)) if one else None
        for one in (day.before, day.earlier)
    )
    return msgspec.structs.replace(day, before=before, earlier=earlier)


def _mark(against: Against | None, old: bool) -> Mark | None:
    if against is None:
        return None
    return UNDECIDED if against.answer == "too-early" and old else mark_of(against.answer)


def _old(day: BuildDay) -> bool:
    """Little more will come."""
    return day.age_hours >= _USED_HOURS


def _rows(days: Sequence[BuildDay], wanted: BuildsWanted, end: datetime) -> list[DayRow]:
    by_day = {day.day: day for day in days}
    first = days[0].day
    found = []
    for n in range(DAYS):
        day = end.date() - timedelta(days=n)
        if day < first:
            break
        of = by_day.get(day)
        found.append(_row(day, of, wanted, end))
    return found


def _row(day: date, of: BuildDay | None, wanted: BuildsWanted, end: datetime) -> DayRow:
    if of is None:
        return DayRow(day, None, None, None, None, None, None, [], 0)
    builds = [_build(one, wanted, end) for one in of.builds[:SHOWN_BUILDS]]
    rate, low, high = (None if one is None else one * 1000 for one in (of.rate, of.rate_low, of.rate_high))
    before, earlier = (_mark(one, _old(of)) for one in (of.before, of.earlier))
    return DayRow(day, of, before, earlier, rate, low, high, builds, len(of.builds) - len(builds))


def _build(one: BuildTotal, wanted: BuildsWanted, end: datetime) -> BuildRow:
    rate = (one.events or 0.0) / one.hours * 1000 if one.hours else None
    day = str(one.built_at.date())
    # The time that its numbers here are of: a build of weeks ago has no data of the last days.
    series = {"group": "build_id", "series": encode_part(one.build_id), **range_from(one.built_at, LIFE, end)}
    crashes = {"start": day, "end": day, "by": "build"}
    crashes |= {"product": wanted.application} if wanted.application else {}
    crashes |= {"channel": wanted.channel} if wanted.channel else {}
    return BuildRow(
        one,
        rate,
        f"{measure_path(wanted.application, wanted.channel, wanted.measure)}?{urlencode(series)}",
        f"/topcrashers?{urlencode(crashes)}",
    )


def day_words(day: date) -> str:
    """`Fri 27 Nov`."""
    return f"{day:%a} {day.day} {day:%b}"


def _heading(newest: BuildDay | None, mark: Mark | None, now: date) -> str:
    if newest is None:
        return "No build of the last 30 days"
    today = newest.day == now
    subject = "Today's build" if today else f"The build of {day_words(newest.day)}"
    if mark is None or newest.before_day is None:
        return f"{subject} has none before it to compare with"
    before = (
        "yesterday's"
        if today and (newest.day - newest.before_day).days == 1
        else (f"that of {day_words(newest.before_day)}")
    )
    if mark.verdict in _OPEN:
        return f"{subject} against {before}: {_OPEN[mark.verdict]}"
    if mark.verdict == "same":
        return f"{subject} is like {before}"
    return f"{subject} is {mark.verdict} than {before}"


def _sentence(
    newest: BuildDay | None, mark: Mark | None, measure: Measure, per_title: str, days: Sequence[BuildDay]
) -> str:
    if newest is None:
        return ""
    what, age = measure.title.lower(), length(newest.age_hours)
    against = newest.before
    if against is None or mark is None:
        return f"{amount(newest.events or 0.0)} {what} in {_hours(newest.hours)} {per_title} at {age} of age."
    seen = f"{amount(against.events)} {what} in {_hours(against.hours)} {per_title} at {age} of age"
    if against.ratio is None:
        return (
            f"{seen}; {amount(against.base_events)} in {_hours(against.base_hours)} before, at the same age."
        )
    ratio = (
        f"{times(against.ratio)} the rate of the build day before at the same age, 95 % interval "
        f"{interval_words(against.low, against.high)}, which holds at every look"
    )
    return f"{seen}: {ratio}. {_outlook(against, mark, newest, per_title, _usual_hours(days))}".rstrip()


def interval_words(low: float | None, high: float | None) -> str:
    """`1.31× to 2.05×`, `0.80× and more`, `up to 2.00×`; wider than a hundredfold it says nothing."""
    if low is None and high is None:
        return NOTHING
    least = low if low and low >= _LEAST else 0.0
    if high is None or high > _MOST:
        return f"{times(least)} and more" if least else "not known yet"
    return between(least, high)


def rate_words(low: float | None, high: float | None) -> str:
    """`18.40 to 21.25` per 1,000, `up to 3.00`; of a hundredfold and more nothing is known."""
    if high is None or (low and high > 100 * low):
        return "too few to say" if low is not None else ""
    return f"{rate(low)} to {rate(high)}" if low else f"up to {rate(high)}"


def _outlook(
    against: Against, mark: Mark, newest: BuildDay, per_title: str, usual_hours: float | None
) -> str:
    if mark.verdict == "same":
        usual = f"what builds of successive days usually differ by (±{against.spread * 100:.0f} %)"
        return (
            f"By what was counted the two are within {times(against.within)}; the interval has in it {usual}."
        )
    if mark.verdict not in _OPEN:
        return "Chance and the usual difference between days explain that in under 1 of 100 days."
    if against.hours_needed is None:
        usual = f"±{against.spread * 100:.0f} %"
        return f"Builds of successive days usually differ by {usual}, so 1.5× is never told for sure."
    if not against.hours_needed:
        return "A ratio of 1.5× would have been told by now; a smaller one may be there."
    more = f"To tell 1.5× takes about {_hours(against.hours_needed)} more {per_title}"
    if usual_hours is None:
        return f"{more}."
    return f"{more}; the builds of a day usually get {_hours(usual_hours)} in all."


def _usual_hours(days: Sequence[BuildDay]) -> float | None:
    """What the builds of a day got within a week, by those that are so old."""
    old = [day.hours for day in days if day.hours and day.age_hours >= _LIFE_HOURS]
    return median(old) if old else None


def _notes(newest: BuildDay | None) -> list[str]:
    if newest is None or newest.earlier is None:
        return []
    mark = _mark(newest.earlier, _old(newest))
    if mark is None or newest.earlier.ratio is None:
        return []
    words = {**_OPEN, "same": "like them"}.get(mark.verdict, mark.verdict)
    low, high = newest.earlier.low, newest.earlier.high
    return [
        f"Against up to seven build days before that: {words}, {times(newest.earlier.ratio)} "
        f"({interval_words(low, high)})."
    ]


def _hours(value: float | None) -> str:
    """Two significant digits tell enough of hours."""
    if value is None or value < 10:
        return amount(value)
    return f"{float(f'{value:.3g}'):,.0f}"
