"""The lines of the page: versions or builds with data, which of them are drawn, and when each began."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query.versions import version_key
from missioncontrol.registry.model import Registry
from missioncontrol.web.address import decode_part, encode_part
from missioncontrol.web.measure.lookup import GroupTotal, Lookup
from missioncontrol.web.measure.question import WINDOW, Question, ceil, floor
from missioncontrol.web.measure.sums import observed, rate
from missioncontrol.web.measure.view import Absent, Line

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release

DEFAULT_SERIES = 5
SMALL_SHARE = 0.02
"""A group with less than this share of the usage in the range is not drawn unless asked for."""
RELEASE_LOOKBACK = timedelta(days=180)
"""How old the data of a version may be for it to be offered when time counts from the release."""
_MOST_DAYS = timedelta(days=13)
"""From the first to the last day of a range that is offered: of two weeks five minutes can be drawn, too."""
Releases = Callable[[str | None, str | None], "Sequence[Release]"]


def lines_of(question: Question, lookup: Lookup) -> list[Line]:
    """Every group with data, newest first, then those asked for that have none; what was asked for is drawn, else the
    usual of those with data.
    """
    state = question.state
    start = question.now - RELEASE_LOOKBACK if state.time == "release" else question.start
    end = ceil(question.now, WINDOW) if state.time == "release" else question.end
    totals = lookup.totals(question.of, question.measure.name, question.per, state.group, start, end)
    totals = [total for total in totals if total.value or total.per]
    if question.measure.of_reports and not any(total.value for total in totals):
        # Usage without any report is no rate of 0: reports may not be sent here, or not say what is filtered.
        totals = []
    totals.sort(key=lambda total: (total.group is not None, version_key(total.group or "")), reverse=True)
    held = [total.group for total in totals]
    lacking = [group for group in state.series if group not in held]
    wanted = [group for group in held if group in state.series]
    usual = _usual(totals)
    lines = [
        _line(total, question, wanted if state.series else usual, total.group in usual) for total in totals
    ]
    return [*lines, *(_lacking(group, n) for n, group in enumerate(lacking, len(wanted)))]


def absent_of(lines: Sequence[Line], question: Question, lookup: Lookup) -> list[Absent]:
    """What is said of the lines that were asked for and have no data in what is shown, and where they have some."""
    state, of = question.state, question.of
    lacking = [line for line in lines if line.first is None]
    if not lacking:
        return []
    since_release = state.time == "release"
    where = f"in the last {RELEASE_LOOKBACK.days} days" if since_release else "in this range"
    where += " with these filters" if of.filters else ""
    held = {} if since_release else _days_with_data(question, lookup)
    found = []
    for line in lacking:
        said = f"No data of {line.label} {where}."
        days = held.get(group_of(line))
        if days is None and of.filters:
            found.append(Absent(line.label, said, "Without filters", state.url(filters=(), zoom="")))
        elif days is None:
            older = "" if since_release else f" Nor in the {RELEASE_LOOKBACK.days} days before now."
            found.append(Absent(line.label, f"{said}{older}"))
        else:
            first, last = days
            text = f"{first}" if first == last else f"{first} to {last}"
            found.append(Absent(line.label, said, f"Show {text}", _range_address(first, last, question)))
    return found


def _days_with_data(question: Question, lookup: Lookup) -> dict[str | None, tuple[date, date]]:
    """The first and the last day with data of each group, of those days that are looked back upon."""
    state, end = question.state, ceil(question.now, WINDOW)
    start = floor(question.now - RELEASE_LOOKBACK, timedelta(days=1))
    of, measure = question.of, question.measure.name
    totals = lookup.totals(of, measure, question.per, state.group, start, end)
    return {total.group: (total.first, total.last) for total in totals if total.value or total.per}


def _range_address(first: date, last: date, question: Question) -> str:
    """The same lines on these days; of more than two weeks on the last of them."""
    first = max(first, last - _MOST_DAYS)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    return question.state.url(range="custom", start=start, end=min(end, ceil(question.now, WINDOW)), zoom="")


def without_per(question: Question, registry: Registry, lines: Sequence[Line]) -> str:
    """The title of what rates are per, if none of the lines has any; else the empty text."""
    per = registry.measures.get(question.measure.per)
    held = [line for line in lines if line.first]
    return per.title if per and held and not any(line.per for line in held) else ""


def with_starts(lines: Sequence[Line], question: Question, lookup: Lookup, releases: Releases) -> list[Line]:
    """The lines with their time of release or else of their first data, filters aside."""
    state = question.state
    published = releases(state.application, state.channel)
    started = [_published(line, state.group, published) for line in lines]
    unknown = [group_of(line) for line in started if line.drawn and line.first and line.started is None]
    of = msgspec.structs.replace(question.of, filters=())
    first = {f.group: f.start for f in lookup.first_data(of, state.group, unknown)} if unknown else {}
    return [
        msgspec.structs.replace(line, started=first[group_of(line)], started_by="first data")
        if line.drawn and line.started is None and group_of(line) in first
        else line
        for line in started
    ]


def group_of(line: Line) -> str | None:
    """The version or build id of a line."""
    return decode_part(line.key)


def _published(line: Line, group: str, published: Sequence[Release]) -> Line:
    if not line.drawn or line.first is None:
        return line
    began = publication(published, group, line.label)
    return msgspec.structs.replace(line, started=began[0], started_by=began[1]) if began else line


def publication(published: Sequence[Release], group: str, name: str) -> tuple[datetime, str] | None:
    """When a version or build was published, on a border of windows, and who says so; None: nobody does."""
    of_name = [r for r in published if (r.version if group == "version" else r.build_id) == name]
    said = [r.published_at for r in of_name if r.origin != "inferred"]
    # An inferred one that is excluded has a time that nobody could see.
    inferred = [r.published_at for r in of_name if r.origin == "inferred" and r.status == "accepted"]
    if not said and not inferred:
        return None
    return floor(min(said or inferred), WINDOW), "release" if said else "inferred release"


def _usual(totals: Sequence[GroupTotal]) -> list[str | None]:
    """The newest groups, but of those with hardly any usage only the very newest: their rates are noise."""
    enough = SMALL_SHARE * sum(total.per or 0 for total in totals)
    busy = [total.group for total in totals[1:] if (total.per or 0) >= enough]
    return [total.group for total in totals[:1]] + busy[: DEFAULT_SERIES - 1]


def _line(total: GroupTotal, question: Question, wanted: Sequence[str | None], usual: bool) -> Line:
    drawn = total.group in wanted
    value = observed(total.value, total.per, question.measure)
    return Line(
        key=encode_part(total.group),
        label=_label(total.group),
        value=value,
        per=total.per,
        rate=rate(value, total.per) if question.measure.per else None,
        first=total.first,
        last=total.last,
        drawn=drawn,
        usual=usual,
        index=wanted.index(total.group) if drawn else -1,
    )


def _lacking(group: str | None, index: int) -> Line:
    """A line that was asked for and has no data."""
    return Line(
        encode_part(group), _label(group), None, None, None, None, None, drawn=True, usual=False, index=index
    )


def _label(group: str | None) -> str:
    return "unknown" if group is None else group or "(empty)"
