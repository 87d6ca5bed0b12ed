"""The account of one look: what its numbers rest on, for the people who must believe it."""

from __future__ import annotations

import msgspec
import numpy as np

from missioncontrol.health.case import Case, baseline_hash
from missioncontrol.health.exposure import exposure_of
from missioncontrol.health.looking import bounds, digits, maybe
from missioncontrol.health.model import (
    Account,
    DataHealth,
    Explanation,
    Look,
    Predecessor,
    SliceLook,
    Step,
    Subject,
)
from missioncontrol.health.sentence import sentence
from missioncontrol.health.sums import ChannelSums
from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.evidence import blurred, interval, log_likelihood
from missioncontrol.verdict.grid import KNOT_HOURS
from missioncontrol.verdict.judge import REFRESH_TICKS, WORSE, Verdict
from missioncontrol.verdict.outage import ping_health
from missioncontrol.verdict.replay import Looks
from missioncontrol.verdict.tables import Bools, Floats

_LEAST_EXPECTED = 0.5


def account_of(
    sums: ChannelSums, subject: Subject, case: Case, look: Look, verdicts: list[Verdict], found: Looks | None
) -> Account:
    """All that the last look rests on. `found` None: nothing could be compared, `verdicts` then says why."""
    baseline = case.baseline
    full = baseline is not None and found is not None
    seen = _seen(sums, case, verdicts)
    data = _data(baseline, found, seen) if baseline and found else _nothing(seen)
    account = Account(
        subject=subject,
        published_at=case.version.published_at,
        inferred=case.version.inferred,
        look=look,
        sentence="",
        steps=_steps(baseline, found) if baseline and found else [],
        slices=_slices(baseline, found) if baseline and found else [],
        explanations=_explanations(baseline, found, verdicts) if baseline and found else [],
        ages=[digits(age) for age in KNOT_HOURS] if full else [],
        predecessors=_predecessors(sums, case, full),
        data=data,
        baseline=baseline_hash(baseline),
        exposure=exposure_of(sums, case, look) if full and not subject.signature else None,
    )
    return _with_sentence(account, case)


def _with_sentence(account: Account, case: Case) -> Account:
    said = sentence(account, case.measure.title, case.measure.worse)
    return msgspec.structs.replace(account, sentence=said)


def _steps(baseline: Baseline, found: Looks) -> list[Step]:
    counts, hours = found.life.counts[-1].sum(), found.life.hours[-1]
    expected = found.expected[-1, 0]
    wanted = {
        "raw": baseline.pooled_rate * hours.sum(),
        "strata": (hours * baseline.rates).sum(),
        "age": expected / found.life.factor[-1],
        "environment": expected,
    }
    return [Step(name, digits(counts / m) if m > 1e-9 else None) for name, m in wanted.items()]


def _slices(baseline: Baseline, found: Looks) -> list[SliceLook]:
    counts, expected = found.counts[-1], found.expected[-1]
    low, high = _intervals(baseline, found, -1, counts, expected, found.tau[-1])
    hours = found.life.hours[-1]
    total = max(float(hours.sum()), 1e-9)
    told = []
    for v, part in enumerate(baseline.slices):
        ratio = float(counts[v] / expected[v]) if expected[v] > 1e-9 else None
        ends = (
            bounds(ratio, float(low[v]), float(high[v]), baseline.bad) if ratio is not None else (None, None)
        )
        told.append(
            SliceLook(
                where=dict(part.where),
                observed=digits(float(counts[v]), 12),
                expected=digits(float(expected[v])),
                ratio=maybe(ratio),
                low=ends[0],
                high=ends[1],
                usage_share=digits(float(hours[part.members].sum()) / total, 4),
            )
        )
    return told


def _explanations(baseline: Baseline, found: Looks, verdicts: list[Verdict]) -> list[Explanation]:
    """Those of the last look at which they were made: at the alarm and 12 h after."""
    last = verdicts[-1]
    if last.first is None or last.verdict != WORSE:
        return []
    place = int(np.searchsorted(found.ticks, last.first + REFRESH_TICKS, side="right")) - 1
    counts = found.life.counts[place]
    expected = found.life.hours[place] * baseline.rates
    expected = expected * found.expected[place, 0] / max(expected.sum(), 1e-12)
    told = []
    for each in last.explanations:
        members = _members(baseline, each.where)
        inside = _one(baseline, found, place, counts[members].sum(), expected[members].sum())
        rest = _one(baseline, found, place, counts[~members].sum(), expected[~members].sum())
        alone = bool(members.all())
        told.append(
            Explanation(
                where=dict(each.where),
                score=digits(each.score, 4),
                ratio=digits(each.ratio),
                low=inside[0],
                high=inside[1],
                rest=None if alone else digits(each.rest),
                rest_low=None if alone else rest[0],
                rest_high=None if alone else rest[1],
                share=digits(each.share, 4),
            )
        )
    return told


def _one(
    baseline: Baseline, found: Looks, place: int, counts: float, expected: float
) -> tuple[float | None, float | None]:
    if expected <= 1e-9:
        return None, None
    tau = found.tau[place, :1]
    low, high = _intervals(baseline, found, place, np.array([counts]), np.array([expected]), tau)
    return bounds(counts / expected, float(low[0]), float(high[0]), baseline.bad)


def _intervals(
    baseline: Baseline, found: Looks, place: int, counts: Floats, expected: Floats, tau: Floats
) -> tuple[Floats, Floats]:
    logs = log_likelihood(counts, expected, tau, baseline.phi, baseline.releases, bad=baseline.bad)
    chances = np.repeat(found.chances[place][None, :], len(counts), axis=0)
    low, high = interval(blurred(logs, chances), baseline.bad)
    return np.exp(low), np.exp(high)


def _members(baseline: Baseline, where: tuple[tuple[str, str], ...]) -> Bools:
    places = [(baseline.strata.dimensions.index(name), value) for name, value in where]
    return np.array(
        [all(stratum[i] == value for i, value in places) for stratum in baseline.strata.values], bool
    )


def _predecessors(sums: ChannelSums, case: Case, full: bool) -> list[Predecessor]:
    baseline = case.baseline
    left = dict(baseline.left_out if baseline else case.left_out)
    used = {version: place for place, version in enumerate(baseline.used)} if baseline else {}
    told = []
    for each in sums.chain(case.version):
        if each.version in used and baseline is not None:
            place = used[each.version]
            seen, expected, known = (
                table[place] for table in (baseline.seen, baseline.expected, baseline.known)
            )
            ratios = [
                digits(float(o / m), 4) if k and m > _LEAST_EXPECTED else None
                for o, m, k in zip(seen, expected, known, strict=True)
            ]
            told.append(Predecessor(each.version, True, "", ratios if full else []))
        elif each.version in left:
            told.append(Predecessor(each.version, False, left[each.version], []))
    return told


def _seen(sums: ChannelSums, case: Case, verdicts: list[Verdict]) -> float | None:
    if not verdicts:
        return None
    end = case.version.published + verdicts[-1].age_ticks
    share = float(ping_health(sums.pings, end - 1, end).share[0])
    return None if np.isnan(share) else digits(share, 4)


def _data(baseline: Baseline, found: Looks, seen: float | None) -> DataHealth:
    return DataHealth(
        completeness=digits(min(1.0 / float(found.life.inflation[-1]), 1.0), 4),
        imputed=digits(float(found.life.imputed[-1]), 4),
        seen=seen,
        environment=digits(float(found.life.factor[-1]), 4),
        dispersion=digits(baseline.phi, 4),
        spread=digits(float(found.tau[-1, 0]), 4),
    )


def _nothing(seen: float | None) -> DataHealth:
    return DataHealth(1.0, 0.0, seen, 1.0, 1.0, 0.0)
