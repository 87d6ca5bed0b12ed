"""The bar of the evaluation of verdicts, line by line."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from missioncontrol.simulate.trains.scenarios import SCENARIOS
from verdict_tables import SIZES, Cases, Share, alarms, covered, delays, distinct, named, times

_DELAYS = {"x5": 1.25, "x2": 1.25, "x1.5": 1.75, "x1.25": 3.0}
_POWER = {"x1.5": 0.95, "x1.25": 0.60}
_COVERED, _RIGHT = 0.95, 0.90
_FEWEST = 500


class Goal(msgspec.Struct, frozen=True):
    """A line of the bar: what was asked, what was measured at one size, whether it holds."""

    name: str
    required: str
    size: str
    measured: str
    held: bool


def bar_rows(cases: Cases) -> Iterator[str]:
    """The required column as a table."""
    yield "| goal | required | users | measured | |"
    yield "|---|---|---|---|---|"
    for goal in (
        *_false_alarms(cases),
        *_delays(cases),
        *_power(cases),
        *_intervals(cases),
        *_branches(cases),
    ):
        held = "held" if goal.held else "**not held**"
        yield f"| {goal.name} | {goal.required} | {goal.size} | {goal.measured} | {held} |"


def _false_alarms(cases: Cases) -> Iterator[Goal]:
    for weight, size in SIZES.items():
        clean = cases.of(weight, "clean")
        share, candidates = alarms(clean), distinct(clean)
        held = share.value <= 0.01 and candidates >= _FEWEST
        required = f"at most 1 %, {_FEWEST} distinct candidates"
        yield Goal("false alarms in 14 d", required, size, f"{share}; {candidates} distinct", held)


def _delays(cases: Cases) -> Iterator[Goal]:
    for name, limit in _DELAYS.items():
        for weight, size in SIZES.items():
            ratio = delays(cases.of(weight, name))[2]
            yield Goal(
                f"delay over the oracle's, {name}", f"at most {limit:g}", size, times(ratio), ratio <= limit
            )


def _power(cases: Cases) -> Iterator[Goal]:
    for name, least in _POWER.items():
        share = alarms(cases.of(10, name), 48)
        yield Goal(
            f"power in 48 h, {name}", f"at least {least:.0%}", SIZES[10], str(share), share.value >= least
        )


def _intervals(cases: Cases) -> Iterator[Goal]:
    for weight, size in SIZES.items():
        shares = {name: covered(cases.of(weight, name)) for name in cases.scenarios}
        yield _lowest("interval holds at every look, every scenario", _COVERED, size, shares)


def _branches(cases: Cases) -> Iterator[Goal]:
    worse = [name for name in cases.scenarios if SCENARIOS[name].factor > 1 and name != "x1.1"]
    for weight, size in SIZES.items():
        shares = {name: named(cases.of(weight, name), name)[0] for name in worse}
        yield _lowest("right branch 12 h after the alarm", _RIGHT, size, shares)


def _lowest(name: str, least: float, size: str, shares: dict[str, Share]) -> Goal:
    shares = {scenario: share for scenario, share in shares.items() if share.n}
    worst = min(shares, key=lambda scenario: shares[scenario].value)
    pooled = Share(sum(share.k for share in shares.values()), sum(share.n for share in shares.values()))
    below = [scenario for scenario, share in shares.items() if share.value < least]
    text = f"pooled {pooled}; lowest: {worst}, {shares[worst]}"
    if below:
        text += f"; below {least:.0%}: {', '.join(below)}"
    return Goal(name, f"at least {least:.0%}", size, text, not below)
