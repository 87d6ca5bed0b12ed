"""What a verdict on a release rests on beside its own rows: its predecessors and the baseline.

Of their rows that is what was known when the release came out, of their statuses what the looks of an era know.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from missioncontrol.errors import BadRequest
from missioncontrol.health.model import METHOD, Subject
from missioncontrol.health.picking import Picked
from missioncontrol.health.published import Version
from missioncontrol.health.sums import ChannelSums
from missioncontrol.registry.model import Measure
from missioncontrol.verdict.baseline import Baseline, learn
from missioncontrol.verdict.tables import DOWN, TICKS_PER_HOUR, UP, Release

_UNSEEN_TICKS = 12 * TICKS_PER_HOUR
"""Of the life of a predecessor from before the channel's first row: an installation begins to see at some time."""
_DAY = 24 * TICKS_PER_HOUR


@dataclass(frozen=True)
class Case:
    """What the looks of an era at a release rest on.

    baseline: None when there is no history; left_out: versions that are no predecessors, and why; replaced: the version
    that its users come from.
    """

    version: Version
    measure: Measure
    picked: Picked
    baseline: Baseline | None
    left_out: tuple[tuple[str, str], ...]
    replaced: Version | None
    nowcast: bool

    @property
    def bad(self) -> int:
        """The direction that is bad of the measure."""
        return bad_of(self.measure)


def bad_of(measure: Measure) -> int:
    """The direction that is bad of a measure, as the method takes it."""
    return DOWN if measure.worse == "down" else UP


def prepare(sums: ChannelSums, subject: Subject) -> Case:
    """Learn the baseline of a release from sums as an era knows them (`ChannelSums.known_in()`).

    Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`).
    """
    version = sums.version(subject.version)
    measure = sums.measures.get(subject.measure)
    if measure is None:
        hint = f"Measures: {', '.join(sums.measures)}."
        raise BadRequest("not_judged", f"There are no verdicts on `{subject.measure}`.", hint)
    before = list(sums.chain(version))
    # The first tells which they are: in another era there may be others, and then other strata.
    picked = sums.picked(version, measure)
    picked = replace(picked, key="\0".join((before[0].version if before else "", picked.key)))
    unfit = {each.version: why for each in before if (why := _unfit(sums, each, measure, version.published))}
    fit = [each for each in before if each.version not in unfit]
    with_activity = [each for each in fit if sums.has_activity(each, version.published)]
    nowcast = 2 * len(with_activity) > len(fit)
    replaced = _replaced(sums, version, before)
    left_out = tuple(unfit.items())
    if not fit:
        return Case(version, measure, picked, None, left_out, replaced, False)
    releases = [_before(sums, each, measure, picked, version, nowcast) for each in before]
    bad = bad_of(measure)
    baseline = learn(releases, sums.pings, picked.strata, version.published, excluded=left_out, bad=bad)
    return Case(version, measure, picked, baseline, left_out, replaced, nowcast)


def baseline_hash(baseline: Baseline | None) -> str:
    """What was learned from predecessors, and the method, as a short text."""
    digest = hashlib.blake2b(METHOD.encode(), digest_size=8)
    if baseline is not None:
        digest.update(repr((baseline.used, baseline.left_out, baseline.strata.values)).encode())
        if baseline.bad == DOWN:
            digest.update(b"down")
        for array in (
            baseline.rates,
            baseline.bias,
            baseline.whole.growth,
            baseline.whole.tau,
            baseline.slice_tau,
        ):
            digest.update(b" ".join(f"{value:.6g}".encode() for value in array.ravel()))
    return digest.hexdigest()


def _before(
    sums: ChannelSums, each: Version, measure: Measure, picked: Picked, version: Version, nowcast: bool
) -> Release:
    """A predecessor as it was known when the release came out."""
    release = sums.release(each, measure, picked, version.published, nowcast)
    # One without activity would count as if no hours came late.
    known = sums.has_activity(each, version.published)
    return release if known else replace(release, activity=None)


def _unfit(sums: ChannelSums, each: Version, measure: Measure, published: int) -> str:
    """Why a version is no predecessor; empty: it is one."""
    if each.unfit or each.version in sums.left_out:
        return each.unfit or sums.left_out[each.version]
    if measure.comparable_since and each.published_at.date().isoformat() < measure.comparable_since:
        return f"comparable only since {measure.comparable_since}"
    if measure.name not in sums.cells.measured.get(each.version, frozenset()):
        return "not measured"
    unseen = sums.pings.first - each.published
    if len(sums.pings.counts) and unseen > _UNSEEN_TICKS:
        # Its first ages would count as ages at which nothing happens.
        return f"nothing is known of its first {unseen // TICKS_PER_HOUR} hours"
    if not sums.has(each, measure.per or "usage_hours", each.published, published):
        return f"no {measure.per or 'usage_hours'} before this release"
    return ""


def _replaced(sums: ChannelSums, version: Version, before: list[Version]) -> Version | None:
    """The version with most hours in the day before: its users are those who come."""
    start = version.published - _DAY
    hours = [(sums.by_tick(each, "usage_hours", start, version.published).sum(), each) for each in before]
    found = max(hours, key=lambda pair: (pair[0], pair[1].published), default=None)
    return found[1] if found is not None and found[0] > 0 else None
