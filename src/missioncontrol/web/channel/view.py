"""All that the page of a channel shows, with its CSV. Takes what was read, gives Structs; knows no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from missioncontrol.query.versions import version_key
from missioncontrol.registry.model import Registry
from missioncontrol.web.address import SPANS, Filter, MeasureState, Span
from missioncontrol.web.channel.address import PLATFORMS, ChannelState
from missioncontrol.web.channel.breakdown import Against, Breakdown, Value
from missioncontrol.web.channel.source import Read
from missioncontrol.web.channel.sums import systems_of
from missioncontrol.web.channel.table import Table, build_table
from missioncontrol.web.home.cards import SILENT, age_words
from missioncontrol.web.home.said import PLATFORMS as PLATFORM_TITLES
from missioncontrol.web.home.view import application_title, channel_title
from missioncontrol.web.verdicts.words import between, times

COLUMN_TITLES = {
    "releases": "Majors and points",
    "majors": "Majors",
    "points": "Each version",
    "betas": "Betas",
}
_JUST_OUT_H = 24.0


class ChannelView(msgspec.Struct, frozen=True):
    """The page."""

    application: str | None
    channel: str | None
    title: str
    platform: str
    platform_title: str
    columns: str
    show: str
    age: str
    updated_at: datetime | None
    notes: list[str]
    table: Table
    breakdown: Breakdown | None
    platforms: list[tuple[str, str]]
    """Those with data: name and title."""
    offered: list[tuple[str, str]]
    """Kinds of columns: name and title."""
    systems: list[str]
    """The systems of the platform, as clients call them; empty: all."""


def build_channel(
    registry: Registry, read: Read, state: ChannelState, breakdown: Breakdown | None, now: datetime
) -> ChannelView:
    """Lay the page out."""
    table = build_table(registry, read.facts, state, now)
    updated_at = datetime.fromtimestamp(min(read.last_s, int(now.timestamp())), UTC) if read.last_s else None
    systems = [one for one in systems_of(read.parts, state.platform) if one] if state.platform else []
    return ChannelView(
        application=state.application,
        channel=state.channel,
        title=f"{application_title(state.application, registry)} {channel_title(state.channel)}",
        platform=state.platform,
        platform_title=PLATFORM_TITLES.get(state.platform, "All systems"),
        columns=read.which,
        show=state.show,
        age=state.age,
        updated_at=updated_at,
        notes=_notes(read, table, updated_at, now),
        table=table,
        breakdown=breakdown,
        platforms=[(one, PLATFORM_TITLES[one]) for one in PLATFORMS if one in read.platforms],
        offered=[(one, COLUMN_TITLES[one]) for one in read.offered],
        systems=systems,
    )


def _notes(read: Read, table: Table, updated_at: datetime | None, now: datetime) -> list[str]:
    notes = []
    newest = table.heads[0] if table.heads else None
    if newest and newest.published_at:
        hours = (now - newest.published_at).total_seconds() / 3600
        if hours < _JUST_OUT_H:
            notes.append(
                f"{newest.name} went out {age_words(hours)} ago and has {newest.usage_hours or 0:,.0f} usage hours so "
                "far. Rates of the first day run high: crashes arrive before the hours, and the first users are others."
            )
    if newest and read.waiting and read.waiting.published_at:
        hours = (now - read.waiting.published_at).total_seconds() / 3600
        notes.append(f"{read.waiting.version} went out {age_words(hours)} ago, and nothing of it is here.")
    if newest and not read.published:
        notes.append(
            "Nobody said when these versions were published: ages count from the first day with data, of the last 14."
        )
    if read.facts.cut_days:
        notes.append(f"Only the last {read.facts.cut_days} days are added up.")
    if updated_at and now - updated_at > SILENT:
        notes.append(f"Nothing has arrived since {updated_at:%Y-%m-%d %H:%M} UTC; the numbers end there.")
    return notes


def measure_href(
    view: ChannelView,
    measure: str,
    where: Sequence[tuple[str, str | None]] = (),
    versions: Sequence[str] = (),
    hours: int = 0,
) -> str:
    """The page of a measure for these users; of versions since their release where some are named."""
    filters = [
        Filter(name, () if value is None else (value,), True if value is None else None)
        for name, value in where
    ]
    if view.systems and "os_name" not in dict(where):
        filters.append(Filter("os_name", tuple(view.systems)))
    series = [one for one in versions if version_key(one)[0] and "x" not in one]
    state = MeasureState(view.application, view.channel, measure, filters=tuple(filters))
    if series:
        state = msgspec.structs.replace(state, time="release", range=_span(hours), series=tuple(series))
    return state.url()


def _span(hours: int) -> Span:
    return next((name for name, length in SPANS.items() if hours * 3600 <= length.total_seconds()), "14d")


def value_title(dimensions: Sequence[str], value: Value) -> str:
    """`Windows_NT 10.0`, `DE`, `unknown`, `12 others`."""
    if value.pooled:
        return f"{value.pooled:,} other{'s' if value.pooled != 1 else ''}"
    return " ".join("unknown" if one is None else one or "(empty)" for one in value.values)


def span_text(one: Against) -> str:
    """`0.80× to 1.31×`, `up to 1.31×`, `0.80× or more`; empty where anything may be."""
    if one.high is None:
        return f"{times(one.low)} or more" if one.low else ""
    return between(one.low, one.high)


def where_of(dimensions: Sequence[str], value: Value) -> list[tuple[str, str | None]]:
    """The dimensions with their values; empty for those that were pooled, or that no address can say."""
    there = value.values and "" not in value.values
    return list(zip(dimensions, value.values, strict=True)) if there else []


_HEAD = (
    "application", "channel", "platform", "version", "published_at", "hours_of_age", "measure", "count", "per",
    "per_sum", "rate", "version_before", "ratio_before", "verdict", "verdict_ratio", "verdict_low", "verdict_high",
    "users_last_day", "users_low", "users_high", "all_users_last_day",
)  # fmt: skip


def table_csv(view: ChannelView) -> list[Sequence[Any]]:
    """A row for each measure and version, the head first; what is not known is empty."""
    rows: list[Sequence[Any]] = [_HEAD]
    for group in view.table.groups:
        for row in group.rows:
            for head, cell in zip(view.table.heads, row.cells, strict=True):
                published = f"{head.published_at:%Y-%m-%dT%H:%M:%SZ}" if head.published_at else None
                said, users = cell.said, cell.users
                verdict = (said.mark.verdict, said.ratio, said.low, said.high) if said else (None,) * 4
                people = (users.number, users.low, users.high, users.of) if users else (None,) * 4
                of = (view.application, view.channel, view.platform, head.name, published, head.hours)
                numbers = (
                    row.measure,
                    cell.count,
                    row.per,
                    cell.per,
                    cell.rate,
                    cell.before,
                    cell.ratio_before,
                )
                rows.append((*of, *numbers, *verdict, *people))
    return rows


def breakdown_csv(found: Breakdown) -> list[Sequence[Any]]:
    """A row for each value, the head first; the last is of those that were pooled, without a value."""
    against = ("ratio", "low", "high", "evidence", "differs")
    head = (
        *found.dimensions, "pooled", "count", "per", "share", "rate", "rate_before", "ratio_before",
        *(f"rest_{name}" for name in against), *(f"since_{name}" for name in against),
    )  # fmt: skip
    rows: list[Sequence[Any]] = [head]
    for one in found.values:
        numbers = (one.pooled, one.count, one.per, one.share, one.rate, one.rate_before, one.ratio_before)
        both = [getattr(each, name) for each in (one.rest, one.since) for name in against]
        rows.append((*(one.values or (None,) * len(found.dimensions)), *numbers, *both))
    return rows


def titles(registry: Registry) -> Mapping[str, str]:
    """What measures and dimensions are called."""
    named = {one.name: one.title for one in registry.measures.values()}
    return named | {one.name: one.title for one in registry.dimensions.values()}
