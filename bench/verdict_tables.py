"""What the cases of the evaluation come to: shares with their bounds, medians, and the tables of the page."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from scipy.special import betaincinv

from missioncontrol.simulate.trains.scenarios import SCENARIOS
from verdict_cases import KIND_HOURS, WIDTH_HOURS, Case

SIZES = {1: "200 thousand", 10: "2 million"}
ODDITIES = ("shock", "outage", "no_hours", "no_crashes", "fast", "first_country")
FACTORS = ("x1.1", "x1.25", "x1.5", "x2", "x5")
NEVER = float("inf")


class Share(msgspec.Struct, frozen=True):
    """k of n, with the 95 % interval of Clopper and Pearson (Biometrika 26, 1934)."""

    k: int
    n: int

    @property
    def value(self) -> float:
        """The share; 0 of none is 0."""
        return self.k / self.n if self.n else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper bound."""
        low = float(betaincinv(self.k, self.n - self.k + 1, 0.025)) if self.k else 0.0
        high = float(betaincinv(self.k + 1, self.n - self.k, 0.975)) if self.k < self.n else 1.0
        return low, high

    def __str__(self) -> str:
        if not self.n:
            return "not run"
        low, high = self.bounds
        return f"{self.k} of {self.n}, {self.value:.1%} [{low:.1%}, {high:.1%}]"


class Cases:
    """Cases by what they have in common."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = sorted(cases, key=lambda each: (each.seed, each.place))

    def of(self, weight: int, scenario: str, activity: str = "fine") -> list[Case]:
        """Those of one size and scenario, in the order of their trains."""
        wanted = (weight, scenario, activity)
        return [each for each in self._cases if (each.weight, each.scenario, each.activity) == wanted]

    @property
    def scenarios(self) -> list[str]:
        """The scenarios that were run."""
        run = {each.scenario for each in self._cases}
        return [name for name in SCENARIOS if name in run]


def distinct(cases: Sequence[Case]) -> int:
    """How many different candidates there are."""
    return len({(each.seed, each.place) for each in cases})


def alarms(cases: Sequence[Case], within: float = NEVER) -> Share:
    """How many were called worse by an age in hours."""
    return Share(sum(each.alarm is not None and each.alarm <= within for each in cases), len(cases))


def covered(cases: Sequence[Case]) -> Share:
    """How many had an interval that held the truth at every look."""
    return Share(sum(each.missed is None for each in cases), len(cases))


def median(ages: Sequence[float | None]) -> float:
    """Median age where never counts as infinity."""
    return statistics.median([NEVER if age is None else age for age in ages]) if ages else NEVER


def delays(cases: Sequence[Case]) -> tuple[float, float, float]:
    """Median age of the alarm, of the oracle's, and their ratio (infinite when half were never found)."""
    own = median([each.alarm for each in cases])
    best = median([each.slice_oracle for each in cases])
    return own, best, own / best if best < NEVER else NEVER


def hours(value: float) -> str:
    """Hours as text."""
    return "over 336 h" if value == NEVER else f"{value:.1f} h"


def times(value: float) -> str:
    """A ratio as text."""
    return "not reached" if value == NEVER else f"{value:.2f}"


def named(cases: Sequence[Case], scenario: str, after: str = "12") -> tuple[Share, Share]:
    """Of those called worse: how many named the right branch, and the exact slice, so many hours after the alarm.

    A branch is right that holds all who are hit, or only some of them, and is not everyone (unless everyone is hit).
    """
    truth = {f"{name}={value}" for name, value in SCENARIOS[scenario].where.items()}
    said = [set(filter(None, each.named[after].split(","))) for each in cases if each.named]
    right = [
        (found == truth) or (bool(found) and bool(truth) and (found < truth or found > truth))
        for found in said
    ]
    return Share(sum(right), len(said)), Share(sum(found == truth for found in said), len(said))


def false_alarm_rows(cases: Cases) -> Iterator[str]:
    """The rule, and how many clean releases it called worse."""
    yield from ("| | " + " | ".join(SIZES.values()) + " |", "|---|---|---|")
    clean = {weight: cases.of(weight, "clean") for weight in SIZES}
    naive = {weight: [each for each in found if each.naive] for weight, found in clean.items()}
    rows = {
        "**this method, e of 100**": {w: alarms(found) for w, found in clean.items()},
        "the oracle, e of 100": {
            w: Share(sum(each.oracle is not None for each in found), len(found)) for w, found in clean.items()
        },
        "this method at e of 1000": {
            w: Share(sum(each.largest >= 3 for each in found), len(found)) for w, found in clean.items()
        },
    }
    for title, rule in (
        ("raw ratio over 1.2", "raw"),
        ("Poisson test at every look, p < 0.01", "poisson"),
        ("Mission Control's summary over 1.2x", "summary"),
    ):
        rows[title] = {
            w: Share(sum(getattr(each.naive, rule) is not None for each in found), len(found))
            for w, found in naive.items()
        }
    for title, by_size in rows.items():
        yield f"| {title} | " + " | ".join(str(by_size[weight]) for weight in SIZES) + " |"


def delay_rows(cases: Cases) -> Iterator[str]:
    """Regressions of every user: how soon they are found."""
    yield "| users | scenario | n | found in 14 d | found in 48 h | median | oracle | ratio |"
    yield "|---|---|---|---|---|---|---|---|"
    for weight, size in SIZES.items():
        for name in FACTORS:
            yield _delay(size, name, cases.of(weight, name))


def _delay(size: str, name: str, found: Sequence[Case]) -> str:
    own, best, ratio = delays(found)
    return (
        f"| {size} | {name} | {len(found)} | {alarms(found).value:.0%} | {alarms(found, 48).value:.0%} | "
        f"{hours(own)} | {hours(best)} | {times(ratio)} |"
    )


def other_delay_rows(cases: Cases) -> Iterator[str]:
    """Regressions in odd circumstances, or of some users: the oracle knows who is hit."""
    yield "| users | scenario | n | found in 14 d | found in 48 h | median | oracle | ratio |"
    yield "|---|---|---|---|---|---|---|---|"
    others = [name for name in cases.scenarios if SCENARIOS[name].factor > 1 and name not in FACTORS]
    for weight, size in SIZES.items():
        for name in others:
            yield _delay(size, name, cases.of(weight, name))


def interval_rows(cases: Cases) -> Iterator[str]:
    """Whether intervals held the truth at every look, by scenario; log widths and errors."""
    widths = ", ".join(f"{age}" for age in WIDTH_HOURS)
    yield f"| users | scenario | holds at every look | log width at {widths} h | sd of the log ratio's error at 48 h |"
    yield "|---|---|---|---|---|"
    for weight, size in SIZES.items():
        for name in cases.scenarios:
            found = cases.of(weight, name)
            wide = ", ".join(
                f"{statistics.median(each.widths[i] for each in found):.2f}" for i in range(len(WIDTH_HOURS))
            )
            error = float(np.std([each.error for each in found]))
            yield f"| {size} | {name} | {covered(found)} | {wide} | {error:.3f} |"


def oddity_rows(cases: Cases) -> Iterator[str]:
    """Harmless oddities: false alarms of each, and of the four that the bar pools."""
    yield from ("| scenario | " + " | ".join(SIZES.values()) + " |", "|---|---|---|")
    harmless = [name for name in cases.scenarios if SCENARIOS[name].harmless and name != "clean"]
    for name in harmless:
        yield f"| {name} | " + " | ".join(str(alarms(cases.of(weight, name))) for weight in SIZES) + " |"
    pooled = [str(alarms([each for name in ODDITIES for each in cases.of(weight, name)])) for weight in SIZES]
    yield f"| {', '.join(ODDITIES)} pooled | " + " | ".join(pooled) + " |"
    like = [str(alarms(cases.of(weight, "adopters"))) for weight in SIZES]
    yield "| adopters 10 % more crash-prone (looks like 1.1x: power, not error) | " + " | ".join(like) + " |"


def attribution_rows(cases: Cases) -> Iterator[str]:
    """What is named 12 hours after the alarm."""
    yield "| users | scenario | right branch | exactly right |"
    yield "|---|---|---|---|"
    worse = [name for name in cases.scenarios if SCENARIOS[name].factor > 1 and name != "x1.1"]
    for weight, size in SIZES.items():
        for name in worse:
            right, exact = named(cases.of(weight, name), name)
            if right.n:
                yield f"| {size} | {name} | {right} | {exact.k} of {exact.n}, {exact.value:.0%} |"


def kind_rows(cases: Cases) -> Iterator[str]:
    """What is said at some ages, in per cent of the candidates."""
    yield "| users | scenario | " + " | ".join(f"{age} h" for age in KIND_HOURS) + " |"
    yield "|---|---|" + "---|" * len(KIND_HOURS)
    for weight, size in SIZES.items():
        for name in ("clean", "x0.8", "x0.67", "x1.25", "shock", "outage"):
            found = cases.of(weight, name)
            if not found:
                continue
            cells = []
            for i in range(len(KIND_HOURS)):
                kinds = [each.kinds[i] for each in found]
                order = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))
                cells.append(", ".join(f"{kind} {kinds.count(kind) / len(kinds):.0%}" for kind in order))
            yield f"| {size} | {name} | " + " | ".join(cells) + " |"


def activity_rows(cases: Cases) -> Iterator[str]:
    """The same candidates with activity tables by 5 minutes, by the hour, and without any."""
    yield "| users | scenario | activity tables | n | worse in 14 d | median | holds at every look | width at 6, 24 h |"
    yield "|---|---|---|---|---|---|---|---|"
    for weight, size in SIZES.items():
        for name in ("clean", "x1.5", "x2"):
            few = {(each.seed, each.place) for each in cases.of(weight, name, "none")}
            for activity, title in (("fine", "5 minutes"), ("hourly", "hourly"), ("none", "none")):
                found = [each for each in cases.of(weight, name, activity) if (each.seed, each.place) in few]
                if not found:
                    continue
                wide = [statistics.median(each.widths[i] for each in found) for i in range(2)]
                yield (
                    f"| {size} | {name} | {title} | {len(found)} | {alarms(found).value:.0%} | "
                    f"{hours(median([each.alarm for each in found]))} | {covered(found).value:.0%} | "
                    f"{wide[0]:.2f}, {wide[1]:.2f} |"
                )
