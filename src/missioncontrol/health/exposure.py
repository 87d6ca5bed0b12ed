"""What the crash reports of a release are weighed by: how many events were to be expected of it and before.

Kept with an account, so that a page can weigh reports anew without learning a baseline. Reads no table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from missioncontrol.health.case import Case
from missioncontrol.health.looking import digits
from missioncontrol.health.model import Due, Exposure, Look
from missioncontrol.health.published import Version, tick_of
from missioncontrol.health.sums import ChannelSums
from missioncontrol.query.signature_counts import Stretch, whole_hour
from missioncontrol.registry.model import Measure
from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.grid import KNOT_HOURS, at
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Floats

_CRASHES = ("crash", "crash_report")
SYSTEM = "os_name"
"""The dimension of users that crash_signature_counts has too."""


@dataclass(frozen=True)
class Asked:
    """A version's stretch, and the version's age at its end."""

    stretch: Stretch
    age_hours: float


def counts_crashes(measure: Measure) -> bool:
    """Whether crash reports have a share in what the measure counts."""
    return measure.group in _CRASHES


def asked_of(version: Version, until: datetime) -> Asked:
    """The whole hours of a version's life up to a time."""
    end = max(whole_hour(until), version.published_at)
    age_hours = (end - version.published_at).total_seconds() / 3600
    return Asked(Stretch(version.version, version.builds, version.published_at, end), age_hours)


def asked_before(each: Version, age_hours: float, release: Version) -> Asked:
    """The whole hours of a predecessor's life up to an age, none of them after the release came out."""
    return asked_of(each, min(each.published_at + timedelta(hours=age_hours), release.published_at))


def exposure_of(sums: ChannelSums, case: Case, look: Look) -> Exposure | None:
    """The exposure at a look; None where the measure does not count crashes, or nothing can be compared."""
    baseline = case.baseline
    if baseline is None or not counts_crashes(case.measure):
        return None
    version, per = case.version, case.measure.per or "usage_hours"
    hours = sums.by_tick(version, per, version.published, tick_of(look.as_of))
    usage = float(hours[: tick_of(whole_hour(look.as_of)) - version.published].sum())
    total = float(hours.sum())
    whole = usage / total if total > 0 else 1.0
    due = [
        _due(baseline, j, asked_before(sums.version(name), look.age_hours, version), look.age_hours)
        for j, name in enumerate(baseline.used)
    ]
    return Exposure(look.as_of, look.age_hours, digits(whole), digits(usage), due)


def curve_at(curve: Floats, age_hours: float) -> float:
    """A cumulative curve kept at the first of the knots; before the first it grows evenly."""
    first = 1 / TICKS_PER_HOUR
    if age_hours <= first:
        return float(curve[0]) * max(age_hours, 0.0) / first
    known = np.concatenate([curve, np.full(len(KNOT_HOURS) - len(curve), curve[-1])])
    return float(at(np.array([age_hours]), known)[0])


def _due(baseline: Baseline, j: int, asked: Asked, age_hours: float) -> Due:
    curves = baseline.by_slice[j]
    needed = min(int(np.searchsorted(KNOT_HOURS, age_hours)) + 1, len(KNOT_HOURS))
    systems = {
        dict(part.where).get(SYSTEM, ""): digits(curve_at(curves[:, v], asked.age_hours))
        for v, part in enumerate(baseline.slices)
        if {name for name, _ in part.where} <= {SYSTEM}
    }
    return Due(baseline.used[j], [digits(float(x), 5) for x in curves[:needed, 0]], systems)
