"""The page of the evaluation of verdicts: the bar, what was measured, and what does not hold."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import verdict_tables as tables
from missioncontrol.simulate.trains.scenarios import SCENARIOS, said
from verdict_bar import bar_rows
from verdict_cases import Case
from verdict_tables import SIZES, Cases, alarms, covered, delays, distinct, named

PAGE = "docs/reference/verdict-evaluation.md"
NOTES = Path(__file__).with_name("verdict_notes.md")
_WIDTH = 118
_SHARED_S = 0.001

_HEAD = """
Made by `python bench/verdicts.py`; do not edit. The method is described in [verdicts](verdicts.md), its choices in
[decision 19](../adr/0019-verdict-method.md).
"""
_ABOUT = """
Simulated release trains (`missioncontrol simulate trains`): {worlds} worlds of {clients:,} distinct clients, each
standing for 1 (200 thousand) or for 10 (2 million); releases two weeks apart, each judged against the 12 before it;
{candidates} distinct candidates, each followed for the full 14 days at every look (5 minutes to 48 h, hourly
afterwards). One configuration for all scenarios and sizes.
"""
_SEEDS = """
Settings were chosen on seeds below 2000 (1 to 5 and 1000 to 1012); all figures here are of seeds {first} to {last},
on which nothing was chosen.
Harmless releases differ by a spread of 0.045 in the logarithm, by 0.025 more for each operating system, and all
versions share a swell of 0.025. Figures are of simulations, not of Firefox.
"""
_SECTIONS: tuple[tuple[str, str, Callable[[Cases], Iterator[str]]], ...] = (
    ("The bar", "The required column. The lowest of several scenarios decides.", bar_rows),
    (
        "False alarms",
        """
        Clean releases that were called worse at any look of their 14 days. In brackets: 95 % bounds of Clopper and
        Pearson; candidates of one train share a world and predecessors, so read them as a little too narrow. The naive
        rules were run on some of the candidates only.
        """,
        tables.false_alarm_rows,
    ),
    (
        "Regressions of everyone: delay and power",
        """
        The oracle knows the true expected counts, the release's own luck and the dispersion, and has the same
        threshold. Ratios are of medians over all candidates, those never found included.
        """,
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
        """
        Whether the 95 % interval held the true ratio at every one of the 864 looks, and how wide it was (high less low
        in the logarithm, median).
        """,
        tables.interval_rows,
    ),
    (
        "Attribution",
        """
        What is named 12 hours after the alarm, of those that had one. The right branch holds all who are hit or some of
        them, and is not everyone unless everyone is hit.
        """,
        tables.attribution_rows,
    ),
    ("What is said, by age", "Share of the candidates.", tables.kind_rows),
    (
        "Without fine activity tables",
        "The same candidates with `usage_by_activity` by 5 minutes of arrival, by the hour, and without it.",
        tables.activity_rows,
    ),
)
_COST = """
CPU seconds of one core on a busy machine, of the pure method (reading tables is not in it), with 80 strata and 21
slices, medians: learning a baseline from 12 predecessors {learned:.2f} s, once when a release is published; a replay of
all 864 looks with their verdicts {told:.2f} s, {look:.2f} ms a look (a replay of a pair may take 2 s). A look that
goes on from the one before has costs of its own, which this does not measure.
"""


def page(found: Sequence[Case], clients: int, seeds: range) -> str:
    """The whole page."""
    cases = Cases(found)
    clean = cases.of(1, "clean")
    lines = ["# How well verdicts judge", "", *_wrapped(_HEAD), ""]
    worlds = len({each.seed for each in clean})
    lines += [*_wrapped(_ABOUT.format(worlds=worlds, clients=clients, candidates=distinct(clean))), ""]
    lines += [*_wrapped(_SEEDS.format(first=seeds.start, last=seeds.stop - 1)), ""]
    lines += ["| scenario | what it is |", "|---|---|"]
    lines += [f"| {name} | {said(SCENARIOS[name])} |" for name in cases.scenarios]
    lines.append("")
    for title, text, rows in _SECTIONS:
        lines += [f"## {title}", "", *_wrapped(text), "", *rows(cases), ""]
    # Stories that leave the predecessors as they were share a baseline.
    learned = statistics.median(each.learn_s for each in found if each.learn_s > _SHARED_S)
    told = statistics.median(each.replay_s for each in found)
    lines += ["## Cost", "", *_wrapped(_COST.format(learned=learned, told=told, look=told / 0.864)), ""]
    lines.append(NOTES.read_text(encoding="utf-8").strip())
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)


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
