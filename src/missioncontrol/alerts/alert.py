"""What is told of one change of a verdict: the sentence, the numbers and where to look. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal
from urllib.parse import quote

import msgspec

from missioncontrol.health.model import Account, SignatureShare, Subject, Where
from missioncontrol.state.alert_channels import Severity

_MOST_SIGNATURES = 5


class Alert(msgspec.Struct, frozen=True):
    """One change, as it is told. Numbers are those of `health.model.Look`."""

    id: str
    """The same whenever this change is told."""
    severity: Severity | Literal[""]
    application: str
    channel: str
    version: str
    measure: str
    before: str | None
    """The verdict so far; null: it is the first."""
    verdict: str
    sentence: str
    as_of: datetime
    age_hours: float
    ratio: float | None
    low: float | None
    high: float | None
    evidence: float
    observed: float
    expected: float
    slice: Where | None
    since: datetime | None
    signatures: list[SignatureShare]
    """Those that carry most of the excess, for crashes."""
    url: str
    """The page of the verdict; in the state database its path alone."""
    measure_title: str = ""
    """As the registry had it then; empty: the measure was in no registry."""

    @property
    def title(self) -> str:
        """`Worse: Firefox 61.0 on release, Main crashes`."""
        return f"{verdict_words(self.before, self.verdict)}: {self.about}"

    @property
    def about(self) -> str:
        """What was judged."""
        return f"{self.application} {self.version} on {self.channel}, {self.measure_title or self.measure}"


def alert_of(account: Account, title: str, before: str, severity: Severity | Literal[""]) -> Alert:
    """What is told of an account whose verdict was another one so far; `before` empty: it is the first. title: the
    measure's."""
    subject, look = account.subject, account.look
    excess = sorted(account.signatures, key=lambda s: s.expected - s.observed)
    return Alert(
        id=_id(subject, look.verdict, look.as_of),
        severity=severity,
        application=subject.application,
        channel=subject.channel,
        version=subject.version,
        measure=subject.measure,
        before=before or None,
        verdict=look.verdict,
        sentence=account.sentence,
        as_of=look.as_of,
        age_hours=look.age_hours,
        ratio=look.ratio,
        low=look.low,
        high=look.high,
        evidence=look.evidence,
        observed=look.observed,
        expected=look.expected,
        slice=look.slice,
        since=look.since,
        signatures=[s for s in excess[:_MOST_SIGNATURES] if s.observed > s.expected],
        url=verdict_path(subject),
        measure_title=title,
    )


def verdict_path(subject: Subject) -> str:
    """The page of the verdict on this server."""
    names = (subject.application, subject.channel, subject.version, subject.measure)
    return "/verdict/" + "/".join(quote(_part(name), safe="~") for name in names)


def _part(name: str) -> str:
    """A name as one part of a path, as the pages read it."""
    if name in (".", ".."):
        return name.replace(".", "~2")
    return name.replace("~", "~0").replace("/", "~1") or "~e"


def verdict_words(before: str | None, verdict: str) -> str:
    """A change in two words."""
    if before == "worse":
        return "No longer worse"
    return {
        "worse": "Worse",
        "better": "Better",
        "same": "As good as before",
        "environment": "Surroundings changed",
        "data-problem": "Data problem",
        "too-early": "Too early to say",
    }.get(verdict, verdict)


def numbers(alert: Alert) -> str:
    """The numbers of an alert in a line."""
    parts = []
    if alert.ratio is not None:
        between = (
            f" ({alert.low:.2f} to {alert.high:.2f})"
            if alert.low is not None and alert.high is not None
            else ""
        )
        parts.append(f"ratio {alert.ratio:.2f}{between}")
    parts.append(f"{_amount(alert.observed)} seen where {_amount(alert.expected)} were expected")
    parts.append(f"evidence {alert.evidence:.1f} (2 is an alarm)")
    if alert.slice:
        parts.append("where " + ", ".join(f"{name} is {value}" for name, value in alert.slice.items()))
    parts.append(f"{alert.age_hours:.0f} hours after publication, at {alert.as_of:%Y-%m-%d %H:%M} UTC")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"


def _id(subject: Subject, verdict: str, as_of: datetime) -> str:
    text = msgspec.json.encode(
        [subject.application, subject.channel, subject.version, subject.measure, verdict, as_of]
    )
    return hashlib.sha256(text).hexdigest()[:24]
