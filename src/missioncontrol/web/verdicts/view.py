"""The page of a verdict: from a `Course` to what the template prints.

Pure: nothing here reads a table or knows HTML. What is not known stays unknown and is printed as a dash.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from missioncontrol.health.crossing import doubted, guilty_of, now_of
from missioncontrol.health.model import (
    Account,
    Course,
    Crossing,
    Explanation,
    Forecast,
    Look,
    Predecessor,
    SignatureShare,
    SliceLook,
    Subject,
)
from missioncontrol.health.sentence import signatures_words
from missioncontrol.query.uncounted import Uncounted
from missioncontrol.state.release_model import StatusSince, Version
from missioncontrol.web.address import encode_part, measure_path
from missioncontrol.web.crashes.address import signature_href
from missioncontrol.web.reckoning import Reckoning
from missioncontrol.web.verdicts.bars import Forest, Waterfall, forest, waterfall
from missioncontrol.web.verdicts.figures import Figure, figures
from missioncontrol.web.verdicts.plots import Earlier, Plot, earlier_of, plots_of
from missioncontrol.web.verdicts.reckoned import expected_of, interval_of, ratio_of, seen_of
from missioncontrol.web.verdicts.source import Found
from missioncontrol.web.verdicts.words import Mark, instant_text, length, mark_of, reason_words

_TABLE_ROWS = 40
_LIFE_HOURS = 14 * 24.0
"""The last look at a release."""


class SignatureRow(msgspec.Struct, frozen=True):
    """A signature, where its page is, and its share of the excess."""

    signature: str
    href: str
    verdict_href: str
    """The verdict on the signature alone; empty where none can be asked for."""
    share: SignatureShare


class ForecastRow(msgspec.Struct, frozen=True):
    """When a ratio is decided; `when` is empty when it never is."""

    ratio: str
    when: str
    age: str
    usage_hours: float | None


class Moments(msgspec.Struct, frozen=True):
    """Addresses of the page as it was known at other times; empty: there is none."""

    earlier: str
    later: str
    alarm: str
    newest: str


class VerdictView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    account: Account
    subject: Subject
    measure_title: str
    mark: Mark
    look: Look
    past: bool
    """It is shown as it was known at an earlier time."""
    where: dict[str, str] | None
    guilty: Explanation | None
    """Where it is worse, and how much; None: everywhere, or not worse."""
    still: bool
    """It is worse from before, and its interval holds 1 by now."""
    crossed: Crossing | None
    """What was seen when it was first worse, where that is known."""
    now: SliceLook | Look | Explanation
    """What is seen at the look of those who are worse."""
    reasons: list[tuple[str, str]]
    plots: list[Plot]
    earlier: Earlier | None
    """The predecessors' lines in numbers; None: none is drawn."""
    waterfall: Waterfall
    forest: Forest
    less_is_worse: bool
    forecast: list[ForecastRow]
    figures: list[Figure]
    used: list[str]
    left_out: list[Predecessor]
    signatures: list[SignatureRow]
    signatures_words: str
    rows: list[Look]
    """Some looks for the table, newest first."""
    looks: int
    worked_out: int
    """Looks that nobody made at their time."""
    moments: Moments
    how_ratio: Reckoning | None
    how_seen: Reckoning | None
    how_expected: Reckoning | None
    how_interval: Reckoning | None
    path: str
    json_url: str
    csv_url: str
    measure_url: str
    releases_url: str
    release_url: str
    """The release itself among them."""
    command: str
    standing: StatusSince | None
    """The release's status at that time; None: it is not known."""
    withdrawn: bool
    """It was called worse, and a person accepted it after that."""
    withdrawal: str
    """Of a worse that is looked at again: `offered`, or `said`, when the next look will know of it; else empty."""
    whole_url: str
    """The verdict on the measure, where this one is on a signature."""
    signature_url: str
    """The page of its signature; empty: it is on all of them."""
    carried_url: str
    """All signatures of the version; empty where the measure has none, or this is of a time before."""


def verdict_path(subject: Subject) -> str:
    """`/verdict/<application>/<channel>/<version>/<measure>`."""
    parts = (subject.application, subject.channel, subject.version, subject.measure)
    return "/verdict/" + "/".join(quote(encode_part(part), safe="~") for part in parts)


def verdict_address(subject: Subject, as_of: datetime | None = None, **other: str) -> str:
    """The page of a verdict with its query: the signature that it is of, the time, and what else is asked for."""
    at = {"as_of": instant_text(as_of)} if as_of else {}
    query = {**({"signature": subject.signature} if subject.signature else {}), **at, **other}
    return f"{verdict_path(subject)}?{urlencode(query)}" if query else verdict_path(subject)


def build_verdict(
    found: Found,
    measure_title: str,
    now: datetime,
    as_of: datetime | None,
    dropped: Uncounted | None = None,
    release: Version | None = None,
    worse: str = "up",
) -> VerdictView:
    """Lay out a course. `as_of`: the time it was asked for; None: the newest look. `release`: what is said of it.

    worse: the direction that is bad of the measure.
    """
    course = found.course
    account, look = course.account, course.account.look
    subject, down = account.subject, worse == "down"
    channel = {"application": subject.application, "channel": subject.channel}
    used = [one.version for one in account.predecessors if one.used]
    return VerdictView(
        account=account,
        subject=subject,
        measure_title=measure_title,
        mark=mark_of(look.verdict),
        look=look,
        past=as_of is not None,
        where=look.slice,
        guilty=guilty_of(account),
        still=doubted(account),
        crossed=None if account.crossed is msgspec.UNSET else account.crossed,
        now=now_of(account),
        reasons=[(code, reason_words(code)) for code in look.reasons],
        plots=plots_of(course, down),
        earlier=earlier_of(course),
        waterfall=waterfall(account, down),
        forest=forest(account, down),
        less_is_worse=down,
        forecast=_forecast(look.forecast),
        figures=figures(account, None if as_of else now, dropped),
        used=used,
        left_out=[one for one in account.predecessors if not one.used],
        signatures=_signatures(account, as_of),
        signatures_words=signatures_words(account),
        rows=thinned(course.looks)[::-1],
        looks=len(course.looks),
        worked_out=found.worked_out,
        moments=_moments(course, subject, as_of),
        how_ratio=ratio_of(account),
        how_seen=seen_of(account, measure_title, release),
        how_expected=expected_of(account),
        how_interval=interval_of(account),
        path=verdict_path(subject),
        json_url=verdict_address(subject, as_of, format="json"),
        csv_url=verdict_address(subject, as_of, format="csv"),
        measure_url=_measure_url(subject, [subject.version, *used[:-5:-1]]),
        releases_url=f"/releases?{urlencode(channel)}",
        release_url=f"/releases?{urlencode({**channel, 'version': subject.version})}",
        command=command_of(subject, as_of),
        standing=_standing(release, as_of),
        withdrawn="withdrawn" in look.reasons,
        withdrawal=_withdrawal(look, release) if as_of is None else "",
        whole_url=verdict_address(replace(subject, signature=""), as_of),
        signature_url=_signature_url(subject) if subject.signature else "",
        carried_url=_carried_url(account) if as_of is None else "",
    )


def _standing(release: Version | None, as_of: datetime | None) -> StatusSince | None:
    """The status that was given last, by a time if one is said."""
    given = release.statuses if release else ()
    known = [one for one in given if as_of is None or one.since is None or one.since < as_of]
    return known[-1] if known else None


def _withdrawal(look: Look, release: Version | None) -> str:
    if release is None or look.verdict != "worse" or look.since is None or look.age_hours >= _LIFE_HOURS:
        return ""
    last = release.statuses[-1]
    accepted = last.status == "accepted" and last.by and last.since is not None and last.since >= look.since
    return "said" if accepted else "offered"


def command_of(subject: Subject, as_of: datetime | None = None) -> str:
    """The command that prints the same, safe to paste into a shell."""
    words = ["missioncontrol", "verdict", "--application", subject.application, "--channel", subject.channel]
    words += ["--version", subject.version, "--measure", subject.measure]
    words += ["--signature", subject.signature] if subject.signature else []
    return shlex.join([*words, *(["--as-of", instant_text(as_of)] if as_of else [])])


def thinned(looks: Sequence[Look]) -> list[Look]:
    """At most `_TABLE_ROWS` looks: the last, every change of the verdict, and between them evenly by square root."""
    if len(looks) <= _TABLE_ROWS:
        return list(looks)
    changes = {n for n in range(1, len(looks)) if looks[n].verdict != looks[n - 1].verdict}
    kept = {0, len(looks) - 1, *sorted(changes)[: _TABLE_ROWS // 2]}
    room = _TABLE_ROWS - len(kept)
    kept |= {round((n / room) ** 2 * (len(looks) - 1)) for n in range(1, room + 1)}
    return [looks[n] for n in sorted(kept)]


def _forecast(forecast: dict[str, Forecast]) -> list[ForecastRow]:
    rows = []
    for ratio, one in sorted(forecast.items(), key=lambda item: _distance(item[0])):
        left = one.hours_left
        when = "" if left is None else "now" if left <= 0 else f"in about {_about(left)}"
        rows.append(ForecastRow(f"{ratio}×", when, length(one.age_hours), one.usage_hours_left))
    return rows


def _distance(ratio: str) -> float:
    """How far from 1 a ratio is, as a logarithm; 0 of what is none."""
    try:
        return abs(math.log(float(ratio)))
    except ValueError:
        return 0.0


def _about(hours: float) -> str:
    """A forecast is no better than to the hour, or to the day."""
    if hours < 1:
        return "an hour"
    if hours < 36:
        return f"{hours:.0f} h"
    days = round(hours / 24)
    return f"{days} days" if days != 1 else "a day"


def _signatures(account: Account, as_of: datetime | None) -> list[SignatureRow]:
    """Those with the largest excess first."""
    subject = account.subject
    return [
        SignatureRow(
            one.signature or "(no signature)",
            signature_href(one.signature, subject.application, version=subject.version),
            verdict_address(replace(subject, signature=one.signature), as_of) if one.signature else "",
            one,
        )
        for one in sorted(account.signatures, key=lambda one: one.expected - one.observed)
    ]


def _signature_url(subject: Subject) -> str:
    return signature_href(subject.signature, subject.application, version=subject.version)


def _carried_url(account: Account) -> str:
    """Of the users on whose system it is worse."""
    from missioncontrol.web.carried.view import account_address  # which knows the addresses of this module

    if account.subject.signature or (account.exposure is None and account.reports is None):
        return ""
    return account_address(account)


def _moments(course: Course, subject: Subject, as_of: datetime | None) -> Moments:
    """Where one can go in time: an hour back and forth to 48 h of age, then a day."""
    look, published = course.account.look, course.account.published_at
    step = timedelta(hours=1) if look.age_hours <= 48 else timedelta(days=1)
    since = look.since
    return Moments(
        earlier=verdict_address(subject, look.as_of - step) if look.as_of > published + step else "",
        later=verdict_address(subject, look.as_of + step) if as_of else "",
        alarm=verdict_address(subject, since) if since and since != look.as_of else "",
        newest=verdict_address(subject) if as_of else "",
    )


def _measure_url(subject: Subject, versions: Sequence[str]) -> str:
    pairs = [
        ("range", "7d"),
        ("time", "release"),
        *(("series", encode_part(version)) for version in versions),
    ]
    return f"{measure_path(subject.application, subject.channel, subject.measure)}?{urlencode(pairs)}"
