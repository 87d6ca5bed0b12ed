"""Which crash signatures carry the excess of a release: its crash reports against its predecessors' at the same age.

Each signature is expected as often per expected event of the measure as in the predecessors whose reports are known.
Reports are counted by the hour: an hour that has not ended is on neither side.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import numpy as np

from missioncontrol.health.case import Case
from missioncontrol.health.looking import bounds, digits, maybe
from missioncontrol.health.model import Account, SignatureBasis, SignatureShare, Where
from missioncontrol.health.published import Version, owner_of, tick_of
from missioncontrol.health.sentence import sentence
from missioncontrol.health.sums import ChannelSums
from missioncontrol.query.engine import Engine
from missioncontrol.query.signature_counts import SignatureCount, Stretch, signature_counts, whole_hour
from missioncontrol.registry.model import Measure
from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.carriers import Carriers, Counts, carriers
from missioncontrol.verdict.grid import at
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Floats

_MOST = 8
_KNOWN_PART = 0.5
"""Of what was to be expected of a predecessor, whose reports must be known for it to count."""
_CRASHES = ("crash", "crash_report")
_MAIN = ("parent", "browser", "main", None)
_PROCESSES: dict[str, tuple[str | None, ...]] = {
    "main": _MAIN,
    "startup": _MAIN,
    "content": ("content", "renderer"),
    "gpu": ("gpu", "gpu-process"),
    "plugin": ("plugin", "ppapi"),
    "gmplugin": ("gmplugin",),
}
"""First word of a measure's name -> what its processes are called in crash reports; others: all of them."""
_SAID_BY_REPORTS = ("os_name",)
"""Dimensions of users that crash_signature_counts has."""


def counts_crashes(measure: Measure) -> bool:
    """Whether crash reports have a share in what the measure counts."""
    return measure.group in _CRASHES


def processes_of(measure: str) -> tuple[str | None, ...]:
    """What the processes of a measure are called in crash reports, None: not at all; empty: all processes."""
    return _PROCESSES.get(measure.partition("_")[0], ())


@dataclass(frozen=True)
class _Asked:
    """A version's stretch, and the version's age at its end."""

    stretch: Stretch
    age_hours: float


def with_signatures(engine: Engine, sums: ChannelSums, case: Case, account: Account) -> Account:
    """The account with the signatures that carry the excess, if it is worse and the measure counts crashes.

    Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
    """
    subject, look = account.subject, account.look
    if (
        look.verdict != "worse"
        or subject.signature
        or not counts_crashes(case.measure)
        or case.baseline is None
    ):
        return account
    where = {name: value for name, value in (look.slice or {}).items() if name in _SAID_BY_REPORTS}
    asked = [_asked(case.version, look.as_of)]
    asked += [
        _asked(each, min(each.published_at + timedelta(hours=look.age_hours), case.version.published_at))
        for each in map(sums.version, case.baseline.used)
    ]
    stretches = [each.stretch for each in asked]
    processes = processes_of(subject.measure)
    rows = signature_counts(engine, subject.application, subject.channel, stretches, processes, where)
    owner = owner_of(sums.versions)
    rows = [row for row in rows if owner(row.version, row.build_id) == stretches[row.stretch].version]
    names, crashes, reports = _tables(rows, len(stretches))
    since = min((row.first_us for row in rows), default=0) / 1e6
    events = _events(case.baseline, where, asked[1:], since)
    used = (events > 0) & (reports[1:].sum(axis=1) > 0)
    told: list[SignatureShare] = []
    looked_at = 0
    if used.any() and reports[0].any():
        counts = Counts(
            crashes[0],
            reports[0],
            crashes[1:][used],
            reports[1:][used],
            _due(sums, case, account, where, since),
            events[used],
        )
        found = carriers(counts, account.data.dispersion)
        told, looked_at = _named(names, counts, found), found.looked_at
    basis = SignatureBasis(int(reports[0].sum()), int(used.sum()), looked_at, where or None)
    account = msgspec.structs.replace(account, signatures=told, reports=basis)
    return msgspec.structs.replace(account, sentence=sentence(account, case.measure.title))


def _asked(version: Version, until: datetime) -> _Asked:
    end = max(whole_hour(until), version.published_at)
    age_hours = (end - version.published_at).total_seconds() / 3600
    return _Asked(Stretch(version.version, version.builds, version.published_at, end), age_hours)


def _tables(rows: list[SignatureCount], stretches: int) -> tuple[list[str | None], Floats, Floats]:
    """The signatures, and their crashes and reports [stretches, signatures]."""
    names = sorted({row.signature for row in rows}, key=lambda name: (name is None, name or ""))
    place = {name: n for n, name in enumerate(names)}
    crashes, reports = np.zeros((stretches, len(names))), np.zeros((stretches, len(names)))
    for row in sorted(rows, key=lambda row: (row.version or "", row.build_id or "")):
        crashes[row.stretch, place[row.signature]] += row.crashes
        reports[row.stretch, place[row.signature]] += row.reports
    return names, crashes, reports


def _slice(baseline: Baseline, where: Where) -> int:
    """Place of the users in the baseline's slices; those of the whole where they are none of their own."""
    return next((v for v, part in enumerate(baseline.slices) if dict(part.where) == where), 0)


def _events(baseline: Baseline, where: Where, asked: list[_Asked], since: float) -> Floats:
    """[predecessors] events that were to be expected at that age, since reports are known (seconds since the epoch).

    0: those of less than half of them are known.
    """
    v = _slice(baseline, where)
    events = np.zeros(len(asked))
    for j, each in enumerate(asked):
        curve = baseline.by_slice[j, :, v]
        before = (since - each.stretch.start.timestamp()) / 3600
        whole = _at(curve, each.age_hours)
        known = whole - _at(curve, before)
        events[j] = known if known >= _KNOWN_PART * whole else 0.0
    return events


def _at(curve: Floats, age_hours: float) -> float:
    """A cumulative curve; before the first knot it grows evenly."""
    first = 1 / TICKS_PER_HOUR
    if age_hours <= first:
        return float(curve[0]) * max(age_hours, 0.0) / first
    return float(at(np.array([age_hours]), curve)[0])


def _due(sums: ChannelSums, case: Case, account: Account, where: Where, since: float) -> float:
    """Events to be expected of the release in the whole hours of which reports are known."""
    look, version = account.look, case.version
    expected = next((s.expected for s in account.slices if s.where == where), look.expected)
    per, end = case.measure.per or "usage_hours", tick_of(look.as_of)
    hours = sums.by_tick(version, per, version.published, end)
    known = slice(
        max(int(since // 300) - version.published, 0), tick_of(whole_hour(look.as_of)) - version.published
    )
    total = float(hours.sum())
    return expected * float(hours[known].sum()) / total if total > 0 else expected


def _named(names: list[str | None], counts: Counts, found: Carriers) -> list[SignatureShare]:
    """The largest excess first."""
    excess = counts.crashes - found.expected
    whole = float(excess.sum())
    order = sorted(np.flatnonzero(found.named), key=lambda n: (-excess[n], names[n] or ""))[:_MOST]
    told = []
    for n in order:
        new = not counts.before_crashes[:, n].any()
        ratio = None if new else float(counts.crashes[n] / found.expected[n])
        low, high = (None, None) if new else bounds(ratio, float(found.low[n]), float(found.high[n]))
        told.append(
            SignatureShare(
                names[n],
                round(float(counts.crashes[n]), 3),
                digits(float(found.expected[n]), 4),
                share=digits(min(float(excess[n]) / whole, 1.0), 3) if whole > 0 else None,
                ratio=maybe(ratio),
                low=low,
                high=high,
                new=new,
            )
        )
    return told
