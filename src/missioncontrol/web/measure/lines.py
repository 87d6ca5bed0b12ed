"""The lines of the page: versions or builds with data, which of them are drawn, and when each began."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query.versions import version_key
from missioncontrol.registry.model import Registry
from missioncontrol.web.address import MAX_SERIES, decode_part, encode_part
from missioncontrol.web.measure.lookup import GroupTotal, Lookup, Selection
from missioncontrol.web.measure.question import WINDOW, Question, ceil, floor
from missioncontrol.web.measure.sums import observed, rate
from missioncontrol.web.measure.view import Line

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release

DEFAULT_SERIES = 5
SMALL_SHARE = 0.02
"""A group with less than this share of the usage in the range is not drawn unless asked for."""
RELEASE_LOOKBACK = timedelta(days=180)
"""How old the data of a version may be for it to be offered when time counts from the release."""
Releases = Callable[[str | None, str | None], "Sequence[Release]"]


def lines_of(question: Question, lookup: Lookup) -> list[Line]:
    """Every group with data, newest first; the asked-for or else the usual of them drawn."""
    state = question.state
    start = question.now - RELEASE_LOOKBACK if state.time == "release" else question.start
    end = ceil(question.now, WINDOW) if state.time == "release" else question.end
    totals = lookup.totals(question.of, question.measure.name, question.per, state.group, start, end)
    totals = [total for total in totals if total.value or total.per]
    if question.measure.of_reports and not any(total.value for total in totals):
        return []  # usage without any report is no rate of 0: reports may not be sent here, or not say what is filtered
    totals.sort(key=lambda total: (total.group is not None, version_key(total.group or "")), reverse=True)
    wanted = [total.group for total in totals if total.group in state.series][:MAX_SERIES]
    usual = _usual(totals)
    return [_line(total, question, wanted or usual, total.group in usual) for total in totals]


def without_per(question: Question, registry: Registry, lines: Sequence[Line]) -> str:
    """The title of what rates are per, if none of the lines has any; else the empty text."""
    per = registry.measures.get(question.measure.per)
    return per.title if per and lines and not any(line.per for line in lines) else ""


def with_starts(lines: Sequence[Line], question: Question, lookup: Lookup, releases: Releases) -> list[Line]:
    """The lines with their time of release or else of their first data, filters aside."""
    state = question.state
    published = releases(state.application, state.channel)
    started = [_published(line, state.group, published) for line in lines]
    unknown = [group_of(line) for line in started if line.drawn and line.started is None]
    of = Selection(state.application, state.channel)
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
    if not line.drawn:
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
        label="unknown" if total.group is None else total.group or "(empty)",
        value=value,
        per=total.per,
        rate=rate(value, total.per) if question.measure.per else None,
        first=total.first,
        last=total.last,
        drawn=drawn,
        usual=usual,
        index=wanted.index(total.group) if drawn else -1,
    )
