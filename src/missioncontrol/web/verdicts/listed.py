"""The overview of verdicts: current versions and their measures, those that need attention first.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import urlencode

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.health.crossing import doubted, guilty_of, now_of
from missioncontrol.health.model import Account, Crossing, Look
from missioncontrol.query.versions import VersionKey, version_key
from missioncontrol.web.address import read_once
from missioncontrol.web.verdicts.axes import Axis
from missioncontrol.web.verdicts.bars import Bar, Scale, bar, bar_axis, scale_of
from missioncontrol.web.verdicts.view import verdict_path
from missioncontrol.web.verdicts.words import ORDER, Mark, mark_of

_NAMES = ("application", "channel", "measure")
FILTERS = (*_NAMES, "verdict")
_WIDEST = (0.3, 4.0)
_FRESH_S = 3600.0


class Wanted(msgspec.Struct, frozen=True):
    """What the page is asked for; empty: all."""

    application: str = ""
    channel: str = ""
    measure: str = ""
    verdict: str = ""

    def url(self, **changes: str) -> str:
        """The address with changes."""
        wanted = msgspec.structs.replace(self, **changes)
        pairs = [(name, getattr(wanted, name)) for name in FILTERS if getattr(wanted, name)]
        return f"/verdicts?{urlencode(pairs)}" if pairs else "/verdicts"


class VerdictRow(msgspec.Struct, frozen=True):
    """One measure of one version."""

    mark: Mark
    application: str
    channel: str
    version: str
    measure: str
    measure_title: str
    href: str
    sentence: str
    look: Look
    ratio: float | None
    """Of those who are worse where it is not everyone, as the interval and the bar."""
    low: float | None
    high: float | None
    everyone: float | None
    """The ratio of all users, where that is another."""
    still: bool
    """It is worse from before, and its interval holds 1 by now."""
    crossed: Crossing | None
    """What was seen when it was first worse, where that is known."""
    bar: Bar
    fresh: bool
    """Looked at within the last hour."""


class VerdictsView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    wanted: Wanted
    rows: list[VerdictRow]
    scale: Scale
    counts: list[tuple[Mark, int]]
    """By verdict, the other filters applied."""
    choices: dict[str, list[str]]
    filters: list[str]
    """The filters that have something to choose."""
    any: bool
    """There are verdicts at all."""


def read_wanted(pairs: Sequence[tuple[str, str]]) -> Wanted:
    """What an address asks for; raises `BadRequest` (`unknown_parameter`, `repeated_parameter`, `bad_parameter`)."""
    asked = read_once(pairs, (*FILTERS, "format"))
    if (value := asked.get("verdict")) and value not in ORDER:
        hint = f"Choose one of: {', '.join(ORDER)}."
        raise BadRequest("bad_parameter", f"`verdict` cannot be `{value[:60]}`.", hint)
    return Wanted(**{name: value for name, value in asked.items() if name in FILTERS})


def matching(accounts: Sequence[Account], wanted: Wanted) -> list[Account]:
    """Those that pass the filters, in the order of the page."""
    newest = sorted((one for one in accounts if _passes(one, wanted)), key=_newest, reverse=True)
    return sorted(newest, key=_need)


def build_verdicts(
    accounts: Sequence[Account], wanted: Wanted, title: Callable[[str], str], now: datetime
) -> VerdictsView:
    """Lay out the overview."""
    found = matching(accounts, wanted)
    axis = bar_axis([], *_WIDEST)
    whole = msgspec.structs.replace(wanted, verdict="")
    choices = {name: sorted({getattr(one.subject, name) for one in accounts}) for name in _NAMES}
    counted = [one.look.verdict for one in accounts if _passes(one, whole)]
    return VerdictsView(
        wanted=wanted,
        rows=[_row(one, axis, title, now) for one in found],
        scale=scale_of(axis),
        counts=[(mark_of(name), counted.count(name)) for name in ORDER if name in counted],
        choices=choices,
        filters=[name for name in choices if len(choices[name]) > 1 or getattr(wanted, name)],
        any=bool(accounts),
    )


def _row(one: Account, axis: Axis, title: Callable[[str], str], now: datetime) -> VerdictRow:
    subject, look, guilty = one.subject, one.look, guilty_of(one)
    still = doubted(one)
    of = now_of(one) if still else guilty or look
    return VerdictRow(
        mark=mark_of(look.verdict),
        application=subject.application,
        channel=subject.channel,
        version=subject.version,
        measure=subject.measure,
        measure_title=title(subject.measure),
        href=verdict_path(subject),
        sentence=one.sentence,
        look=look,
        ratio=of.ratio,
        low=of.low,
        high=of.high,
        everyone=look.ratio if guilty else None,
        still=still,
        crossed=None if one.crossed is msgspec.UNSET else one.crossed,
        bar=bar(axis, of.low, of.high, of.ratio),
        fresh=(now - look.as_of).total_seconds() < _FRESH_S,
    )


def _passes(account: Account, wanted: Wanted) -> bool:
    subject = account.subject
    return all(
        not value or value == has
        for value, has in (
            (wanted.application, subject.application),
            (wanted.channel, subject.channel),
            (wanted.measure, subject.measure),
            (wanted.verdict, account.look.verdict),
        )
    )


def _need(account: Account) -> tuple[int, bool, float]:
    """Worse first, then what may become so; within a verdict the strongest evidence, and what has none last."""
    look = account.look
    place = ORDER.index(look.verdict) if look.verdict in ORDER else len(ORDER)
    return place, look.ratio is None, -look.evidence


def _newest(account: Account) -> tuple[VersionKey, str, str, str]:
    subject = account.subject
    return version_key(subject.version), subject.application, subject.channel, subject.measure
