"""What could be known of a candidate at best: its true ratio, and the evidence of who knows what is to be expected.

The oracle is given the expectation that each tick and stratum of the candidate had without its story, and the
dispersion of bursts (`TRUE_PHI`); it has no predecessors, no late hours and no luck of releases to fear. A method is
measured by how much later than the oracle it calls what is worse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.simulate.trains.crashes import TRUE_PHI
from missioncontrol.simulate.trains.history import Story
from missioncontrol.verdict.evidence import e_worse, log_likelihood
from missioncontrol.verdict.grid import cumulative
from missioncontrol.verdict.tables import Floats, Ints

# Next to no spread of releases, known as well as from a thousand of them.
_EXACT_TAU, _EXACT_RELEASES = 1e-3, 1000


@dataclass(frozen=True)
class Truth:
    """By look: log of the true ratio so far; e-values for worse with it known, of the whole and of who is hit."""

    log_ratio: Floats
    whole: Floats
    hit: Floats


def oracle(story: Story, ticks: Ints) -> Truth:
    """The truth of a story's candidate at ages `ticks` (ascending), from what had been counted by then.

    The e-values are those of the verdicts (`verdict.evidence`), with the truth in place of what is learned. Before
    anything is to be expected the ratio counts as 1.
    """
    harmless, factor = story.candidate.expected.astype(np.float64), story.factor
    expected = cumulative(harmless, ticks)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log(cumulative(harmless * factor, ticks).sum(axis=1) / expected.sum(axis=1))
    counts = cumulative(story.candidate.counts.astype(np.float64), ticks)
    members = story.scenario.members()
    return Truth(
        np.nan_to_num(ratio),
        _e_value(counts.sum(axis=1), expected.sum(axis=1)),
        _e_value(counts[:, members].sum(axis=1), expected[:, members].sum(axis=1)),
    )


def _e_value(counts: Floats, expected: Floats) -> Floats:
    tau = np.full(len(counts), _EXACT_TAU)
    return e_worse(log_likelihood(counts, expected, tau, TRUE_PHI, _EXACT_RELEASES))
