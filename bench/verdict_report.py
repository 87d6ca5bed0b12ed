"""The page of the evaluation of verdicts: the bar, what was measured, and what does not hold."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

import verdict_tables as tables
from missioncontrol.simulate.trains.scenarios import SCENARIOS, said
from verdict_cases import Case
from verdict_tables import SIZES, Cases, Share, alarms, covered, delays, distinct, named, times

PAGE = "docs/reference/verdict-evaluation.md"
NOTES = Path(__file__).with_name("verdict_notes.md")
_DELAYS = {"x5": 1.25, "x2": 1.25, "x1.5": 1.75, "x1.25": 3.0}
_POWER = {"x1.5": 0.95, "x1.25": 0.60}
_FEWEST = 500


class Goal(msgspec.Struct, frozen=True):
    """A line of the bar: what was asked, what was measured at one size, whether it holds."""

    name: str
    required: str
    size: str
    measured: str
    held: bool


def page(found: Sequence[Case], clients: int, seeds: range) -> str:
    """The whole page."""
    cases = Cases(found)
    lines = [
        "# How well verdicts judge",
        "",
        "Made by `python bench/verdicts.py`; do not edit. The method is described in [verdicts](verdicts.md), its choices in"
        " [decision 19](../adr/0019-verdict-method.md).",
        "",
        *_intro(cases, clients, seeds),
        "## The bar",
        "",
        *_bar(cases),
        "",
    ]
    for title, text, rows in (
        (
            "False alarms",
            "Clean releases that were called worse at any look of their 14 days. In brackets: 95 % bounds of Clopper and"
            " Pearson; candidates of one train share a world and predecessors, so read them as a little too narrow. The"
            " naive rules were run on some of the candidates only.",
            tables.false_alarm_rows,
        ),
        (
            "Regressions of everyone: delay and power",
            "The oracle knows the true expected counts, the release's own luck and the dispersion, and has the same"
            " threshold. Ratios are of medians over all candidates, those never found included.",
            tables.delay_rows,
        ),
        (
            "Other regressions: delay and power",
            "The oracle also knows who is hit. Ages count from publication, with `late` too (it begins at 30 h).",
            tables.other_delay_rows,
        ),
        (
            "Harmless oddities",
            "Releases that look odd and are not worse, called worse at any look.",
            tables.oddity_rows,
        ),
        (
            "Interval",
            "Whether the 95 % interval held the true ratio at every one of the 864 looks, and how wide it was (high less"
            " low in the logarithm, median).",
            tables.interval_rows,
        ),
        (
            "Attribution",
            "What is named 12 hours after the alarm, of those that had one. The right branch holds all who are hit or some"
            " of them, and is not everyone unless everyone is hit.",
            tables.attribution_rows,
        ),
        ("What is said, by age", "Share of the candidates.", tables.kind_rows),
        (
            "Without fine activity tables",
            "The same candidates with `usage_by_activity` by 5 minutes of arrival, by the hour, and without it.",
            tables.activity_rows,
        ),
    ):
        lines += [f"## {title}", "", text, "", *rows(cases), ""]
    lines += ["## Cost", "", *_cost(found), ""]
    lines.append(NOTES.read_text(encoding="utf-8").strip())
    return "\n".join(lines) + "\n"


def _intro(cases: Cases, clients: int, seeds: range) -> Iterator[str]:
    clean = cases.of(1, "clean")
    yield (
        f"Simulated release trains (`missioncontrol simulate trains`): {len({each.seed for each in clean})} worlds of"
        f" {clients:,} distinct clients, each client standing for 1 (200 thousand) or for 10 (2 million); releases two weeks"
        f" apart, each judged against the 12 before it; {distinct(clean)} distinct candidates, each followed for the full"
        " 14 days at every look (5 minutes to 48 h, hourly afterwards). One configuration for all scenarios and sizes."
    )
    yield ""
    yield (
        f"Settings were chosen on seeds 1 to 99; all figures here are of seeds {seeds.start} to {seeds.stop - 1}, on which"
        " nothing was chosen. Harmless releases differ by a spread of 0.045 in the logarithm, 0.025 more for each"
        " operating system, and by a swell of 0.025 that all versions share. Figures are of simulations, not of Firefox."
    )
    yield ""
    yield from ("| scenario | what it is |", "|---|---|")
    for name in cases.scenarios:
        yield f"| {name} | {said(SCENARIOS[name])} |"
    yield ""


def _bar(cases: Cases) -> Iterator[str]:
    yield "| goal | required | users | measured | |"
    yield "|---|---|---|---|---|"
    for goal in goals(cases):
        yield (
            f"| {goal.name} | {goal.required} | {goal.size} | {goal.measured} |"
            f" {'held' if goal.held else '**not held**'} |"
        )


def goals(cases: Cases) -> Iterator[Goal]:
    """The required column, line by line."""
    for weight, size in SIZES.items():
        clean = cases.of(weight, "clean")
        share = alarms(clean)
        enough = distinct(clean) >= _FEWEST
        yield Goal(
            "false alarms in 14 d",
            f"at most 1 %, n of {_FEWEST}",
            size,
            str(share),
            share.value <= 0.01 and enough,
        )
    for name, limit in _DELAYS.items():
        for weight, size in SIZES.items():
            found = cases.of(weight, name)
            if found:
                ratio = delays(found)[2]
                yield Goal(
                    f"delay over the oracle's, {name}",
                    f"at most {limit:g}",
                    size,
                    times(ratio),
                    ratio <= limit,
                )
    for name, least in _POWER.items():
        found = cases.of(10, name)
        if found:
            share = alarms(found, 48)
            yield Goal(
                f"power in 48 h, {name}", f"at least {least:.0%}", SIZES[10], str(share), share.value >= least
            )
    for weight, size in SIZES.items():
        shares = {name: covered(cases.of(weight, name)) for name in cases.scenarios}
        worst = min(shares, key=lambda name: shares[name].value)
        below = [name for name, share in shares.items() if share.value < 0.95]
        text = f"lowest: {worst}, {shares[worst]}" + (f"; below 95 %: {', '.join(below)}" if below else "")
        yield Goal("interval holds at every look, every scenario", "at least 95 %", size, text, not below)
    for weight, size in SIZES.items():
        rights: dict[str, Share] = {}
        for name in cases.scenarios:
            if SCENARIOS[name].factor > 1 and name != "x1.1":
                right = named(cases.of(weight, name), name)[0]
                if right.n:
                    rights[name] = right
        if rights:
            worst = min(rights, key=lambda name: rights[name].value)
            below = [name for name, share in rights.items() if share.value < 0.90]
            text = f"lowest: {worst}, {rights[worst]}" + (
                f"; below 90 %: {', '.join(below)}" if below else ""
            )
            yield Goal("right branch 12 h after the alarm", "at least 90 %", size, text, not below)


def _cost(found: Sequence[Case]) -> Iterator[str]:
    learned = statistics.median(each.learn_s for each in found)
    told = statistics.median(each.replay_s for each in found)
    yield (
        "CPU seconds of one core, of the pure method (reading tables is not in it), with 80 strata and 21 slices; medians:"
        f" learning a baseline from 12 predecessors {learned:.2f} s, once when a release is published; a replay of all 864"
        f" looks with their verdicts {told:.2f} s, so {told / 864 * 1000:.2f} ms a look. 200 pairs at that price are"
        f" {told / 864 * 200:.2f} s a tick. A single look that goes on from the last one has costs of its own, which this"
        " does not measure."
    )


def quick_text(found: Sequence[Case]) -> str:
    """A line for each size, kind of table and scenario."""
    cases = Cases(found)
    lines = []
    for weight in SIZES:
        for activity in ("fine", "hourly", "none"):
            for name in cases.scenarios:
                some = cases.of(weight, name, activity)
                if not some:
                    continue
                own, best, ratio = delays(some)
                right, exact = named(some, name)
                wide = " ".join(f"{statistics.median(each.widths[i] for each in some):.2f}" for i in range(4))
                missed = " ".join(
                    f"{each.missed:.0f}{'+' if each.above else '-'}" for each in some if each.missed
                )
                lines.append(
                    f"{SIZES[weight]:12} {activity:6} {name:20} n {len(some):3} worse {alarms(some).value:4.0%}"
                    f" in 48 h {alarms(some, 48).value:4.0%} median {own:6.1f} oracle {best:6.1f} ratio {ratio:5.2f}"
                    f" holds {covered(some).value:4.0%} width {wide} right {right.k}/{right.n} exact {exact.k}"
                    f" missed at {missed}"
                )
    return "\n".join(lines)
