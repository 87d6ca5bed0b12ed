"""Which crash signatures carry the excess of a release: its crash reports against its predecessors' at the same age.

Each signature is expected as often per expected event of the measure as in the predecessors whose reports are known.
Reports are counted by the hour: an hour that has not ended is on neither side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from missioncontrol.health.case import Case
from missioncontrol.health.exposure import SYSTEM, Asked, asked_before, asked_of, counts_crashes, curve_at
from missioncontrol.health.looking import bounds, digits, maybe
from missioncontrol.health.model import Account, Due, SignatureBasis, SignatureShare, Where
from missioncontrol.health.published import Version, owner_of
from missioncontrol.health.sentence import sentence
from missioncontrol.health.sums import ChannelSums, find_version
from missioncontrol.query.engine import Engine
from missioncontrol.query.signature_counts import SignatureCount, Stretch, signature_counts
from missioncontrol.verdict.carriers import Carriers, Counts, carriers
from missioncontrol.verdict.tables import DOWN, Floats

_MOST = 8
_KNOWN_PART = 0.5
"""Of what was to be expected of a predecessor, whose reports must be known for it to count."""
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


def processes_of(measure: str) -> tuple[str | None, ...]:
    """What the processes of a measure are called in crash reports, None: not at all; empty: all processes."""
    return _PROCESSES.get(measure.partition("_")[0], ())


@dataclass(frozen=True)
class Weighed:
    """The crashes of a release by signature, and what of them was to be expected.

    names: [signatures]; counts: in the same order, of the predecessors whose reports are known; found: None where there
    are none of these; basis: what it rests on; stretches: the hours of the release, and of each of these predecessors.
    """

    names: list[str | None]
    counts: Counts
    found: Carriers | None
    basis: SignatureBasis
    stretches: list[Stretch]

    def shares(self) -> list[SignatureShare]:
        """Each signature as it is told, in the order of `names`; without predecessors only what was seen."""
        found, counts = self.found, self.counts
        if found is None:
            seen = zip(self.names, counts.crashes, strict=True)
            return [SignatureShare(name, round(float(crashes), 3), 0.0) for name, crashes in seen]
        excess = counts.crashes - found.expected
        whole = float(excess.sum())
        return [_share(self.names[n], n, counts, found, float(excess[n]), whole) for n in range(len(excess))]

    def named(self) -> list[bool]:
        """Whether each signature carries the excess, in the order of `names`."""
        return [bool(one) for one in self.found.named] if self.found else [False] * len(self.names)


def with_signatures(engine: Engine, sums: ChannelSums, case: Case, account: Account) -> Account:
    """The account with the signatures that carry the excess, if it is worse and the measure counts crashes.

    Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
    """
    subject, look = account.subject, account.look
    if (
        look.verdict != "worse"
        or subject.signature
        or not counts_crashes(case.measure)
        or case.bad == DOWN  # too few have none that carry them
        or case.baseline is None
    ):
        return account
    where = {name: value for name, value in (look.slice or {}).items() if name == SYSTEM}
    weighed = weigh(engine, sums.versions, account, where)
    told = _named(weighed)
    account = msgspec.structs.replace(account, signatures=told, reports=weighed.basis)
    return msgspec.structs.replace(
        account, sentence=sentence(account, case.measure.title, case.measure.worse)
    )


def weigh(engine: Engine, versions: Sequence[Version], account: Account, where: Where) -> Weighed:
    """The signatures of a release, weighed by its account's exposure; of the users of one system, or of all.

    versions: of its channel. Raises `NotFound` (`no_release`), `TooSlow`, `BadRequest` (`query_memory`) and
    `StorageError`.
    """
    subject, exposure = account.subject, account.exposure
    by_name = {each.version: each for each in versions}
    version = find_version(versions, subject.version, subject.application, subject.channel)
    due = [each for each in (exposure.due if exposure else ()) if each.version in by_name]
    asked = [asked_of(version, exposure.as_of if exposure else account.look.as_of)]
    if exposure is not None:
        asked += [asked_before(by_name[each.version], exposure.age_hours, version) for each in due]
    stretches = [each.stretch for each in asked]
    processes = processes_of(subject.measure)
    rows = signature_counts(engine, subject.application, subject.channel, stretches, processes, where)
    owner = owner_of(versions)
    rows = [row for row in rows if owner(row.version, row.build_id) == stretches[row.stretch].version]
    names, crashes, reports = _tables(rows, len(stretches))
    since = min((row.first_us for row in rows), default=0) / 1e6
    events = np.array(
        [_events(one, each, where, since) for one, each in zip(due, asked[1:], strict=True)], float
    )
    used = (events > 0) & (reports[1:].sum(axis=1) > 0)
    counts = Counts(
        crashes[0],
        reports[0],
        crashes[1:][used],
        reports[1:][used],
        _due_now(account, where),
        events[used],
    )
    found = carriers(counts, account.data.dispersion) if used.any() and reports[0].any() else None
    looked_at = found.looked_at if found else 0
    basis = SignatureBasis(int(reports[0].sum()), int(used.sum()), looked_at, where or None)
    known = [stretch for stretch, one in zip(stretches[1:], used, strict=True) if one]
    return Weighed(names, counts, found, basis, [stretches[0], *known])


def _tables(rows: list[SignatureCount], stretches: int) -> tuple[list[str | None], Floats, Floats]:
    """The signatures, and their crashes and reports [stretches, signatures]."""
    names = sorted({row.signature for row in rows}, key=lambda name: (name is None, name or ""))
    place = {name: n for n, name in enumerate(names)}
    crashes, reports = np.zeros((stretches, len(names))), np.zeros((stretches, len(names)))
    for row in sorted(rows, key=lambda row: (row.version or "", row.build_id or "")):
        crashes[row.stretch, place[row.signature]] += row.crashes
        reports[row.stretch, place[row.signature]] += row.reports
    return names, crashes, reports


def _events(due: Due, asked: Asked, where: Where, since: float) -> float:
    """Events that were to be expected at that age, since reports are known (seconds since the epoch).

    0: those of less than half of them are known. Users that are no slice of their own have those of all.
    """
    curve = np.array(due.curve)
    whole = curve_at(curve, asked.age_hours)
    known = whole - curve_at(curve, (since - asked.stretch.start.timestamp()) / 3600)
    if whole <= 0 or known < _KNOWN_PART * whole:
        return 0.0
    return due.systems.get(where.get(SYSTEM, ""), due.systems.get("", whole)) * known / whole


def _due_now(account: Account, where: Where) -> float:
    """Events to be expected of the release in the whole hours."""
    everyone = account.look.expected
    expected = next((s.expected for s in account.slices if s.where == where), everyone)
    return expected * (account.exposure.whole if account.exposure else 1.0)


def _share(
    name: str | None, n: int, counts: Counts, found: Carriers, excess: float, whole: float
) -> SignatureShare:
    new = not counts.before_crashes[:, n].any()
    ratio = None if new else float(counts.crashes[n] / found.expected[n])
    low, high = (None, None) if new else bounds(ratio, float(found.low[n]), float(found.high[n]))
    return SignatureShare(
        name,
        round(float(counts.crashes[n]), 3),
        digits(float(found.expected[n]), 4),
        share=digits(min(excess / whole, 1.0), 3) if whole > 0 else None,
        ratio=maybe(ratio),
        low=low,
        high=high,
        new=new,
    )


def _named(weighed: Weighed) -> list[SignatureShare]:
    """The largest excess first."""
    found, counts = weighed.found, weighed.counts
    if found is None:
        return []
    excess, names = counts.crashes - found.expected, weighed.names
    order = sorted(np.flatnonzero(found.named), key=lambda n: (-excess[n], names[n] or ""))[:_MOST]
    whole = float(excess.sum())
    return [_share(names[n], int(n), counts, found, float(excess[n]), whole) for n in order]
