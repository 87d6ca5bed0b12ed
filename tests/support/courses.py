"""Courses of simulated releases, for pages that show them: what `health` makes of the lake, made of a `Story`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.health.calibration import PastRelease, Replayed, replayed
from missioncontrol.health.model import (
    Account,
    Course,
    DataHealth,
    Explanation,
    Forecast,
    Look,
    Predecessor,
    SignatureShare,
    SliceLook,
    Step,
    Subject,
)
from missioncontrol.verdict.baseline import Baseline, learn
from missioncontrol.verdict.grid import KNOT_HOURS, KNOTS, at, looks
from missioncontrol.verdict.judge import Verdict, judge
from missioncontrol.verdict.replay import Looks, replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Release

PUBLISHED = datetime(2026, 11, 17, 6, 0, tzinfo=UTC)


def course_of(
    story: Story,
    hours: float = 14 * 24,
    measure: str = "main_crashes",
    version: str | None = None,
    signatures: list[SignatureShare] | None = None,
) -> Course:
    """The course of the candidate to an age of `hours`."""
    candidate = story.candidate
    baseline = learn(story.predecessors, story.channel, STRATA_TABLE, candidate.published)
    ticks = looks(int(hours * TICKS_PER_HOUR))
    seen = replay(baseline, candidate, story.channel, story.controls(baseline), ticks)
    told = [_look(verdict) for verdict in judge(baseline, seen)]
    last, look = judge(baseline, seen)[-1], told[-1]
    subject = Subject("Firefox", "release", version or candidate.version, measure)
    account = Account(
        subject=subject,
        published_at=PUBLISHED,
        inferred=False,
        look=look,
        sentence=_sentence(subject, look, baseline.releases),
        steps=_steps(baseline, seen, story.predecessors, look.ratio),
        slices=_slices(baseline, seen),
        explanations=[
            Explanation(dict(e.where), e.score, e.ratio, e.ratio * 0.85, e.ratio * 1.18, e.rest, e.rest * 0.93, e.rest * 1.07, e.share)
            for e in last.explanations
        ],
        ages=[float(hour) for hour in KNOT_HOURS],
        predecessors=_predecessors(baseline, story.predecessors),
        data=DataHealth(
            completeness=min(1.0, 1 / float(seen.life.inflation[-1])),
            imputed=float(seen.life.imputed[-1]),
            seen=0.98,
            environment=float(seen.life.factor[-1]),
            dispersion=baseline.phi,
            spread=float(seen.tau[-1, 0]),
        ),
        baseline="5d41402abc4b2a76",
        signatures=signatures or [],
    )  # fmt: skip
    return Course(account, told)


def _look(verdict: Verdict) -> Look:
    age = verdict.age_ticks / TICKS_PER_HOUR
    return Look(
        as_of=PUBLISHED + timedelta(hours=age),
        age_hours=age,
        verdict=verdict.verdict,
        ratio=verdict.ratio,
        low=verdict.low,
        high=verdict.high,
        evidence=verdict.evidence,
        observed=verdict.observed,
        expected=verdict.expected,
        slice=dict(verdict.where) if verdict.where else None,
        forecast={
            f"{f.ratio:g}": Forecast(f.age_hours, f.age_hours - age if f.age_hours else None, f.usage_hours)
            for f in verdict.forecast
        },
        reasons=list(verdict.reasons),
        since=PUBLISHED + timedelta(hours=verdict.first / TICKS_PER_HOUR) if verdict.first else None,
    )


def _sentence(subject: Subject, look: Look, releases: int) -> str:
    if look.ratio is None or look.low is None or look.high is None:
        return f"{subject.version} {subject.measure}: too early to say."
    return (
        f"{subject.version} main crashes: {look.verdict}, {look.ratio:.2f}x what the last {releases} releases had at "
        f"{look.age_hours:.0f} h, 95 % interval {look.low:.2f}-{look.high:.2f}, {look.observed:,.0f} crashes seen "
        f"against {look.expected:,.0f} expected."
    )


def _steps(baseline: Baseline, seen: Looks, predecessors: list[Release], last: float | None) -> list[Step]:
    hours, counts = seen.life.hours[-1], float(seen.life.counts[-1].sum())
    used = [r for r in predecessors if r.version in baseline.used]
    rate = sum(float(r.counts.sum()) for r in used) / max(sum(float(r.hours.sum()) for r in used), 1e-9)
    plain = float((hours * baseline.rates).sum())
    factor = float(seen.life.factor[-1])
    return [
        Step("raw", counts / max(float(hours.sum()) * rate, 1e-9)),
        Step("strata", counts / max(plain, 1e-9)),
        Step("age", last * factor if last is not None else None),
        Step("environment", last),
    ]


def _slices(baseline: Baseline, seen: Looks) -> list[SliceLook]:
    hours = seen.life.hours[-1]
    found = []
    for place, part in enumerate(baseline.slices):
        observed, expected = float(seen.counts[-1, place]), float(seen.expected[-1, place])
        wide = 2.3 * float(np.sqrt(seen.tau[-1, place] ** 2 + baseline.phi / (observed + 1)))
        ratio = observed / expected if expected > 0 else None
        found.append(
            SliceLook(
                dict(part.where),
                observed,
                expected,
                ratio,
                ratio * float(np.exp(-wide)) if ratio else None,
                ratio * float(np.exp(wide)) if ratio else None,
                float(hours[part.members].sum() / max(hours.sum(), 1e-9)),
            )
        )
    return found


def _predecessors(baseline: Baseline, releases: list[Release]) -> list[Predecessor]:
    found = []
    for release in releases:
        if release.version not in baseline.used:
            why = dict(baseline.left_out).get(release.version, "older than the last 12")
            found.append(Predecessor(release.version, False, why, [None] * len(KNOTS)))
            continue
        sums = np.cumsum(release.counts.sum(axis=1))
        counts = sums[np.minimum(KNOTS, len(sums)) - 1]
        expected = baseline.raw[baseline.used.index(release.version)] * baseline.bias[0]
        ratios = counts / np.maximum(expected * at(KNOT_HOURS, baseline.whole.growth), 1e-9)
        found.append(
            Predecessor(release.version, True, "", [float(r) if e > 1 else None for r, e in zip(ratios, expected, strict=True)])
        )  # fmt: skip
    return found


def past_of(story: Story, hours: float = 14 * 24) -> dict[str, Course]:
    """The course of every release of a story that has a predecessor, each with those before it as history."""
    everyone = [*story.predecessors, story.candidate]
    found = {}
    for place in range(1, len(everyone)):
        known = replace(story, predecessors=everyone[:place], candidate=everyone[place])
        found[everyone[place].version] = course_of(known, hours)
    return found


def outcome_of(release: PastRelease, course: Course) -> Replayed | None:
    """What a calibration keeps of a simulated course."""
    held = {"after_gap", "pings_lost", "no_hours", "no_events"}
    claims = [
        None
        if held & set(look.reasons) or look.ratio is None
        else 0.0
        if "short_history" in look.reasons and look.ratio < 2
        else look.evidence
        for look in course.looks
    ]
    return replayed(release, course, claims)
