"""Verdicts, reasons, users, ratios and lengths of time in the words that the pages use.

Pure. A code that is not known here is shown as it is, never hidden.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import msgspec

from missioncontrol.web.numerals import NOTHING, amount


class Mark(msgspec.Struct, frozen=True):
    """How a verdict is shown: a sign and a word, so that colour is never the only sign."""

    verdict: str
    sign: str
    word: str
    means: str


_MARKS = {
    "worse": ("▲", "Worse", "Worse than its predecessors were at the same age, beyond harmless differences."),
    "data-problem": ("!", "Data problem", "Pings are or were lost, so nothing can be said about the release."),
    "environment": ("≈", "Environment", "All versions moved at once; it is not this release."),
    "too-early": ("⋯", "Too early", "Not decided: it may still be worse, better or the same."),
    "better": ("▼", "Better", "Better than its predecessors were at the same age, beyond chance."),
    "same": ("✓", "Same", "Within 20 % of what its predecessors had at the same age."),
}  # fmt: skip
ORDER = tuple(_MARKS)
"""Verdicts, those that need attention first."""

REASONS = {
    "no_history": "There is no accepted predecessor to compare with.",
    "short_history": "With fewer than 6 predecessors only twice as many (half, where less is worse) can be called.",
    "pings_lost": "Pings were lost within the last hour: far fewer came than at the same time a week before.",
    "no_hours": "Crashes came while usage hours stopped coming: what was counted then is left out.",
    "no_events": "Nothing is counted, although usage hours come: what counts it may be down. That time is left out.",
    "after_gap": "Data was missing not long ago: nothing new is said until as much time has passed again.",
    "no_activity": "Rows that tell when hours were used do not come, so hours that come late are not known.",
    "withdrawn": "It was called worse, and a person accepted it after that.",
    "no_data": "Nothing of it has arrived yet.",
    "not_published": "It is not published yet.",
    "used_early": "It was used before the time at which it was published: that time may be wrong.",
    "shock": "All versions moved at once not long ago, which makes this comparison less sure.",
    "odd_rollout": "It reaches its users otherwise than its predecessors: at another pace, or one country first.",
    "odd_mix": "Its users come from other countries than its predecessors' did at this age.",
}

_DIMENSIONS = {"os_name": "system", "os_version": "system version"}
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_STEPS = {
    "raw": ("Raw rate", "Per usage hour reported so far, against what predecessors had after their first day."),
    "strata": ("Same users", "Against predecessors' users of the same systems, countries, architectures and the like."),
    "age": ("Same age", "Against predecessors at this age, with the hours that are not reported yet."),
    "environment": ("Same days", "Without what moved all versions at once in these days."),
}  # fmt: skip


def mark_of(verdict: str) -> Mark:
    """The mark of a verdict."""
    sign, word, means = _MARKS.get(verdict, ("?", verdict.replace("-", " ").capitalize(), ""))
    return Mark(verdict, sign, word, means)


def reason_words(code: str) -> str:
    """A sentence for a reason's code."""
    return REASONS.get(code, code.replace("_", " ").capitalize() + ".")


def step_words(name: str) -> tuple[str, str]:
    """Title and explanation of a correction."""
    return _STEPS.get(name, (name.replace("_", " ").capitalize(), ""))


def where_words(where: Mapping[str, str] | None) -> str:
    """Some users: `Linux (system)`, `Linux 6.1 (system), x86 (architecture)`; no condition: everywhere."""
    if not where:
        return "everywhere"
    left = {name: value or "(empty)" for name, value in where.items()}
    if "os_name" in left and "os_version" in left:
        left["os_name"] += f" {left.pop('os_version')}"
    return ", ".join(f"{value} ({_DIMENSIONS.get(name, name)})" for name, value in left.items())


def times(ratio: float | None) -> str:
    """`1.62×`, `12×`; an en dash when unknown."""
    if ratio is None or not math.isfinite(ratio):
        return NOTHING
    return f"{ratio:,.2f}×" if ratio < 9.995 else f"{ratio:,.0f}×"


def between(low: float | None, high: float | None) -> str:
    """`1.31× to 2.05×`; `up to 2.05×` where the lower end is not known."""
    if low is None or high is None:
        return NOTHING
    return f"{times(low)} to {times(high)}" if low > 0 else f"up to {times(high)}"


def length(hours: float | None) -> str:
    """`5 min`, `3.5 h`, `14 h`, `2 days`; an en dash when unknown."""
    if hours is None:
        return NOTHING
    if hours < 1:
        return f"{max(1, round(hours * 60))} min"
    if hours < 48:
        return f"{hours:.1f} h" if hours < 9.95 and abs(hours - round(hours)) > 0.04 else f"{hours:.0f} h"
    days = hours / 24
    return f"{days:.1f} days" if days < 9.95 and abs(days - round(days)) > 0.04 else f"{days:.0f} days"


def evidence_words(evidence: float | None) -> str:
    """The e-value of a log10: `0.3`, `2,300`, `10¹²`."""
    if evidence is None or not math.isfinite(evidence):
        return NOTHING
    if evidence >= 6:
        return "10" + f"{evidence:.0f}".translate(_RAISED)
    return "under 0.01" if evidence < -2 else amount(float(f"{10**evidence:.2g}"))


def power_words(power: int) -> str:
    """A label of an axis of evidence: `0.1`, `100`, `10⁴`."""
    return evidence_words(power) if power <= 3 else "10" + str(power).translate(_RAISED)


def change_words(factor: float | None) -> str:
    """`+5 %`, `−6 %`, `0 %`; an en dash when unknown."""
    if factor is None:
        return NOTHING
    percent = round((factor - 1) * 100)
    return f"+{percent} %" if percent > 0 else f"−{-percent} %" if percent else "0 %"


def rounded(expected: float | None) -> float | None:
    """An expectation, to no more than is worth reading: a tenth below 100."""
    return None if expected is None else round(expected, 1) if expected < 100 else float(round(expected))


def instant_text(instant: datetime) -> str:
    """`2026-01-31T14:05Z`, with seconds where there are any."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ" if instant.second else "%Y-%m-%dT%H:%MZ")


FILTERS = {
    "times": times,
    "between_words": between,
    "length_words": length,
    "evidence_words": evidence_words,
    "where_words": where_words,
    "rounded": rounded,
    "change_words": change_words,
    "instant_text": instant_text,
}
"""What templates of verdicts print with."""
