"""The page of what carries a rate: from weighed crash reports to what the template prints.

Pure: nothing here reads a table or knows HTML. What is not known stays unknown and is printed as a dash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote, urlencode

import msgspec

from missioncontrol.health.model import Account, SignatureBasis, Subject
from missioncontrol.query.signature_counts import whole_hour
from missioncontrol.registry.model import Measure
from missioncontrol.web.address import encode_part, measure_path
from missioncontrol.web.carried.source import CarriedFacts, Carrier
from missioncontrol.web.crashes.address import MOST_DAYS, signature_href
from missioncontrol.web.crashes.bugs import BugLink
from missioncontrol.web.verdicts.view import verdict_address, verdict_path
from missioncontrol.web.verdicts.words import Mark, mark_of

ROWS = 50
"""So many signatures the page shows; its twins have all."""
SYSTEM = "os_name"
_PER = 1000.0


class CarriedRow(msgspec.Struct, frozen=True):
    """A signature of the release. Rates are per 1,000 of the measure's denominator; None: not known."""

    signature: str | None
    named: bool
    """It carries the excess, beyond chance."""
    new: bool
    """No predecessor had it."""
    observed: float
    reports: int
    expected: float | None
    excess: float | None
    share: float | None
    """Of the excess of crash reports; negative where there are fewer than expected."""
    ratio: float | None
    low: float | None
    high: float | None
    of_all: float | None
    """Of the release's crashes by reports."""
    rate: float | None
    rate_expected: float | None
    first_seen: datetime | None
    bugs: list[BugLink]
    href: str
    reports_href: str
    verdict_href: str
    """The verdict on the signature alone; empty: none can be asked for."""


class System(msgspec.Struct, frozen=True):
    """A choice of users."""

    title: str
    href: str
    chosen: bool


class CarriedView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    subject: Subject
    measure_title: str
    mark: Mark
    sentence: str
    published_at: datetime
    as_of: datetime
    age_hours: float
    system: str
    """Of these users; empty: all."""
    systems: list[System]
    basis: SignatureBasis
    compared: bool
    used: int
    """Predecessors that the measure is compared with."""
    rows: list[CarriedRow]
    observed: float
    expected: float | None
    named: int
    counted: float | None
    """Events that the measure counts, of the same users; by pings where it is a measure of pings. None: not known."""
    by_pings: bool
    per: str
    """Name of the denominator."""
    usage: float | None
    path: str
    verdict_url: str
    measure_url: str
    top_url: str
    json_url: str
    csv_url: str

    @property
    def counted_to(self) -> datetime:
        """The hour before which crashes are counted."""
        return whole_hour(self.as_of)

    @property
    def weight(self) -> float | None:
        """Crashes that a report stands for."""
        return self.observed / self.basis.reports if self.basis.reports else None

    @property
    def coverage(self) -> float | None:
        """Crashes by reports, over what the measure counts by pings."""
        return self.observed / self.counted if self.by_pings and self.counted else None


def carried_path(subject: Subject) -> str:
    """`/carried/<application>/<channel>/<version>/<measure>`."""
    parts = (subject.application, subject.channel, subject.version, subject.measure)
    return "/carried/" + "/".join(quote(encode_part(part), safe="~") for part in parts)


def carried_address(subject: Subject, system: str = "", **other: str) -> str:
    """The page with its query."""
    query = {**({"os": encode_part(system)} if system else {}), **other}
    return f"{carried_path(subject)}?{urlencode(query)}" if query else carried_path(subject)


def account_address(account: Account) -> str:
    """The page of an account's signatures, of the users on whose system it is worse."""
    return carried_address(account.subject, (account.look.slice or {}).get(SYSTEM, ""))


def build_carried(
    facts: CarriedFacts,
    measure: Measure,
    system: str,
    bugs: Mapping[str, list[BugLink]],
    now: datetime,
    most: int | None = None,
) -> CarriedView:
    """Lay the facts out. `bugs`: by signature; most: so many rows, None: all."""
    account, subject = facts.account, facts.account.subject
    exposure, where = account.exposure, {SYSTEM: system} if system else {}
    part = next((one for one in account.slices if one.where == where), None)
    known = part is not None or not system  # of another system neither usage nor pings are told
    usage = exposure.usage * (part.usage_share if part else 1.0) if exposure and known else None
    observed = sum(one.share.observed for one in facts.carriers)
    expected = sum(one.share.expected for one in facts.carriers) if facts.compared else None
    days = min(max(math.ceil((now - account.published_at).total_seconds() / 86_400), 1), MOST_DAYS)
    whole = observed - expected if expected is not None else 0.0
    rows = [
        _row(one, subject, facts.compared, observed, whole, usage, days, bugs)
        for one in facts.carriers[:most]
    ]
    return CarriedView(
        subject=subject,
        measure_title=measure.title,
        mark=mark_of(account.look.verdict),
        sentence=account.sentence,
        published_at=account.published_at,
        as_of=exposure.as_of if exposure else account.look.as_of,
        age_hours=exposure.age_hours if exposure else account.look.age_hours,
        system=system,
        systems=_systems(account, system),
        basis=facts.basis,
        compared=facts.compared,
        used=sum(one.used for one in account.predecessors),
        rows=rows,
        observed=observed,
        expected=expected,
        named=sum(one.named for one in facts.carriers),
        counted=part.observed if part else account.look.observed if known else None,
        by_pings=measure.group == "crash",
        per=measure.per or "usage_hours",
        usage=usage or None,
        path=carried_path(subject),
        verdict_url=verdict_path(subject),
        measure_url=measure_path(subject.application, subject.channel, subject.measure),
        top_url="/topcrashers?" + urlencode({"product": subject.application, "version": subject.version}),
        json_url=carried_address(subject, system, format="json"),
        csv_url=carried_address(subject, system, format="csv"),
    )


def _row(
    one: Carrier,
    subject: Subject,
    compared: bool,
    observed: float,
    whole: float,
    usage: float | None,
    days: int,
    bugs: Mapping[str, list[BugLink]],
) -> CarriedRow:
    share = one.share
    expected = share.expected if compared else None
    excess = share.observed - share.expected if compared else None
    named = msgspec.structs.replace(subject, signature=share.signature or "")
    href = signature_href(
        share.signature,
        subject.application,
        version=subject.version,
        channel=subject.channel,
        days="" if days == 7 else str(days),
    )
    return CarriedRow(
        signature=share.signature,
        named=one.named,
        new=share.new,
        observed=share.observed,
        reports=one.reports,
        expected=expected,
        excess=round(excess, 3) if excess is not None else None,
        share=round(excess / whole, 4) if excess is not None and whole > 0 else None,
        ratio=share.ratio,
        low=share.low,
        high=share.high,
        of_all=share.observed / observed if observed else None,
        rate=_PER * share.observed / usage if usage else None,
        rate_expected=_PER * expected / usage if usage and expected is not None else None,
        first_seen=one.first_seen,
        bugs=bugs.get(share.signature or "", []),
        href=href,
        reports_href=f"{href}#reports",
        verdict_href=verdict_address(named) if share.signature else "",
    )


def _systems(account: Account, chosen: str) -> list[System]:
    """Everyone, and the systems that the verdict tells apart, the most used first."""
    slices = [one for one in account.slices if set(one.where) == {SYSTEM}]
    slices.sort(key=lambda one: -one.usage_share)
    names = [one.where[SYSTEM] for one in slices]
    names += [chosen] if chosen and chosen not in names else []
    offered = ["", *names] if names else []
    return [
        System(name or "All systems", carried_address(account.subject, name), name == chosen)
        for name in offered
    ]


CSV_HEAD = (
    "signature", "named", "new", "observed", "reports", "expected", "excess", "share_of_excess", "ratio", "low", "high",
    "share_of_crashes", "rate", "rate_expected", "first_seen", "bugs",
)  # fmt: skip


def csv_rows(rows: Sequence[CarriedRow]) -> list[list[object]]:
    """The table as rows of texts and numbers, the head first; what is not known is empty."""
    table: list[list[object]] = [list(CSV_HEAD)]
    for one in rows:
        seen = f"{one.first_seen:%Y-%m-%dT%H:%M:%SZ}" if one.first_seen else ""
        numbers = (one.expected, one.excess, one.share, one.ratio, one.low, one.high, one.of_all, one.rate)
        told = ["" if n is None else float(f"{n:.6g}") for n in (*numbers, one.rate_expected)]
        flags = [str(flag).lower() for flag in (one.named, one.new)]
        links = " ".join(bug.url or bug.label for bug in one.bugs)
        table.append([one.signature or "", *flags, one.observed, one.reports, *told, seen, links])
    return table
