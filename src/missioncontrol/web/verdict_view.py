"""The page of a verdict: from a `Course` to what the template prints.

Pure: nothing here reads a table or knows HTML. What is not known stays unknown and is printed as a dash.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import msgspec

from missioncontrol.health.model import Account, Course, Explanation, Forecast, Look, Predecessor, Subject
from missioncontrol.query.uncounted import Uncounted
from missioncontrol.web.address import encode_part, measure_path
from missioncontrol.web.crash_address import signature_href
from missioncontrol.web.verdict_bars import Forest, Waterfall, forest, guilty_of, waterfall
from missioncontrol.web.verdict_figures import Figure, figures
from missioncontrol.web.verdict_plots import Plot, plots_of
from missioncontrol.web.verdict_source import Found
from missioncontrol.web.verdict_words import Mark, instant_text, length, mark_of, reason_words

_TABLE_ROWS = 40


class SignatureRow(msgspec.Struct, frozen=True):
    """A signature and where its page is."""

    signature: str
    href: str
    observed: float
    expected: float
    excess: float


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
    reasons: list[tuple[str, str]]
    plots: list[Plot]
    waterfall: Waterfall
    forest: Forest
    forecast: list[ForecastRow]
    figures: list[Figure]
    used: list[str]
    left_out: list[Predecessor]
    signatures: list[SignatureRow]
    rows: list[Look]
    """Some looks for the table, newest first."""
    looks: int
    worked_out: int
    """Looks that nobody made at their time."""
    moments: Moments
    path: str
    json_url: str
    csv_url: str
    measure_url: str
    releases_url: str
    release_url: str
    """The release itself among them."""
    command: str


def verdict_path(subject: Subject) -> str:
    """`/verdict/<application>/<channel>/<version>/<measure>`."""
    parts = (subject.application, subject.channel, subject.version, subject.measure)
    return "/verdict/" + "/".join(quote(encode_part(part), safe="~") for part in parts)


def build_verdict(
    found: Found,
    measure_title: str,
    now: datetime,
    as_of: datetime | None,
    dropped: Uncounted | None = None,
) -> VerdictView:
    """Lay out a course. `as_of`: the time it was asked for; None: the newest look."""
    course = found.course
    account, look = course.account, course.account.look
    subject = account.subject
    path = verdict_path(subject)
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
        reasons=[(code, reason_words(code)) for code in look.reasons],
        plots=plots_of(course),
        waterfall=waterfall(account),
        forest=forest(account),
        forecast=_forecast(look.forecast),
        figures=figures(account, None if as_of else now, dropped),
        used=used,
        left_out=[one for one in account.predecessors if not one.used],
        signatures=_signatures(account),
        rows=thinned(course.looks)[::-1],
        looks=len(course.looks),
        worked_out=found.worked_out,
        moments=_moments(course, path, as_of),
        path=path,
        json_url=_at(path, as_of, format="json"),
        csv_url=_at(path, as_of, format="csv"),
        measure_url=_measure_url(subject, [subject.version, *used[:-5:-1]]),
        releases_url=f"/releases?{urlencode(channel)}",
        release_url=f"/releases?{urlencode({**channel, 'version': subject.version})}",
        command=command_of(subject, as_of),
    )


def command_of(subject: Subject, as_of: datetime | None = None) -> str:
    """The command that prints the same, safe to paste into a shell."""
    words = ["missioncontrol", "verdict", "--application", subject.application, "--channel", subject.channel]
    words += ["--version", subject.version, "--measure", subject.measure]
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
    for ratio, one in sorted(forecast.items(), key=lambda item: _number(item[0])):
        left = one.hours_left
        when = "" if left is None else "now" if left <= 0 else f"in about {_about(left)}"
        rows.append(ForecastRow(f"{ratio}×", when, length(one.age_hours), one.usage_hours_left))
    return rows


def _number(text: str) -> float:
    try:
        return float(text)
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


def _signatures(account: Account) -> list[SignatureRow]:
    """Those with the largest excess first."""
    product, version = account.subject.application, account.subject.version
    rows = [
        SignatureRow(
            one.signature or "(no signature)",
            signature_href(one.signature, product, version=version),
            one.observed,
            one.expected,
            one.observed - one.expected,
        )
        for one in account.signatures
    ]
    return sorted(rows, key=lambda row: -row.excess)


def _moments(course: Course, path: str, as_of: datetime | None) -> Moments:
    """Where one can go in time: an hour back and forth to 48 h of age, then a day."""
    look, published = course.account.look, course.account.published_at
    step = timedelta(hours=1) if look.age_hours <= 48 else timedelta(days=1)
    since = look.since
    return Moments(
        earlier=_at(path, look.as_of - step) if look.as_of > published + step else "",
        later=_at(path, look.as_of + step) if as_of else "",
        alarm=_at(path, since) if since and since != look.as_of else "",
        newest=path if as_of else "",
    )


def _at(path: str, as_of: datetime | None, **other: str) -> str:
    query = {**({"as_of": instant_text(as_of)} if as_of else {}), **other}
    return f"{path}?{urlencode(query)}" if query else path


def _measure_url(subject: Subject, versions: Sequence[str]) -> str:
    pairs = [
        ("range", "7d"),
        ("time", "release"),
        *(("series", encode_part(version)) for version in versions),
    ]
    return f"{measure_path(subject.application, subject.channel, subject.measure)}?{urlencode(pairs)}"
