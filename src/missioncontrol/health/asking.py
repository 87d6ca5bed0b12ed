"""A verdict asked for by hand: from what was said on the command line to the courses of one or all measures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.health.cells import TABLE, TICK, of_channel
from missioncontrol.health.crossing import with_crossing
from missioncontrol.health.judging import judged
from missioncontrol.health.model import Course, Subject
from missioncontrol.health.one_signature import REPORTS, of_signature
from missioncontrol.health.published import Version, moment_of, tick_of, versions_of
from missioncontrol.health.sentence import sentence
from missioncontrol.health.signatures import with_signatures
from missioncontrol.health.sums import ChannelSums, find_version, read_sums
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.state.releases import Release
from missioncontrol.verdict.grid import LIFE_TICKS

ALL = "all"
"""In place of a measure's name: every measure."""


def courses(
    engine: Engine,
    known: Sequence[Release],
    application: str,
    channel: str,
    version: str | None,
    measure: str | None,
    as_of: datetime | None,
    signature: str = "",
) -> list[Course]:
    """The course of each measure asked for, with the signatures of what is worse; or of one crash signature alone.

    version None: the one that was published last, by now and by `as_of`; measure None: the first that any version has,
    main crashes before others; `ALL`: every one of them; as_of None: the newest window of the channel, or now for a
    version that is not published yet; signature: only crashes with it, of the measure's processes, by crash reports.
    Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`, `query_memory`), `TooSlow` and `StorageError`.
    """
    now = utc(system_clock())
    published = versions_of(known, application, channel)
    asked_of = _asked(published, version, application, channel, now, as_of)
    life_end = moment_of(asked_of.published + LIFE_TICKS + 1)
    until = life_end if as_of is None else as_of
    if signature:
        measure = _of_crashes(measure)
    wanted = None if measure is None or measure == ALL else [measure, *([REPORTS] if signature else [])]
    sums = read_sums(engine, known, application, channel, min(until, life_end), [asked_of.version], wanted)
    # Nothing is known of a time without data: neither of the future, nor of one after the last window that arrived.
    newest = max(_newest(engine, sums, now), min(asked_of.published_at, now))
    until = newest if as_of is None else min(as_of, newest)

    def of_era(known: ChannelSums) -> ChannelSums:
        if not signature or measure is None:
            return known
        return of_signature(engine, known, asked_of, known.measures[measure], signature)

    found = []
    for name in [measure] if signature and measure is not None else _told(sums, measure):
        subject = Subject(application, channel, asked_of.version, name, signature)
        told, case, known_then, _ = judged(sums, subject, until, of_era)
        account = with_signatures(engine, known_then, case, with_crossing(told.account, told.looks))
        words = sentence(account, case.measure.title, case.measure.worse)
        account = msgspec.structs.replace(account, sentence=words)
        found.append(msgspec.structs.replace(told, account=account))
    return found


def _of_crashes(measure: str | None) -> str:
    """The measure whose processes' crashes are meant; raises `BadRequest` (`not_judged`)."""
    if measure == ALL:
        hint = "Name one measure: main_crashes, content_crashes."
        raise BadRequest("not_judged", "A signature is judged by one measure at a time.", hint)
    return measure or "main_crashes"


def _newest(engine: Engine, sums: ChannelSums, now: datetime) -> datetime:
    """End of the channel's newest window, also of one after what was read; windows of the future are none."""
    mine, values = of_channel(sums.application, sums.channel)
    start = moment_of(sums.until)
    (row,) = engine.over(
        TABLE,
        f"SELECT max({TICK}) FROM {{relation}} WHERE {mine} AND window_start >= ? AND window_start <= ?",
        [*values, start, now],
        Span(start),
    )
    if row[0] is not None:
        return moment_of(row[0] + 1)
    return moment_of(sums.newest or 0)


def _told(sums: ChannelSums, measure: str | None) -> list[str]:
    """The measures to tell of; at least one."""
    names = list(sums.measures)
    if measure is not None and measure != ALL:
        return names
    had = frozenset[str]().union(*sums.cells.measured.values())
    found = [name for name in names if name in had] or names[:1]
    return found if measure == ALL else found[:1]


def _asked(
    published: Sequence[Version],
    version: str | None,
    application: str,
    channel: str,
    now: datetime,
    as_of: datetime | None,
) -> Version:
    if version is not None:
        return find_version(published, version, application, channel)
    out = [each for each in published if each.published_at <= now]
    if as_of is not None:
        out = [each for each in out if each.published <= tick_of(as_of)]
    if not out:
        planned = next((each for each in published if each.published_at > now), None)
        raise NotFound(
            "no_release",
            f"No release of {application} is known to have been published on {channel}.",
            f"{planned.version} is to be published on {planned.published_at:%Y-%m-%d at %H:%M} UTC."
            if planned
            else "Say what was published: missioncontrol import releases FILE.",
        )
    return out[-1]
