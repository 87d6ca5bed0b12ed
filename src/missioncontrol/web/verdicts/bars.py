"""Ratios and their intervals as small horizontal bars, one beside each row of a table (a forest plot, a waterfall).

Pure. All bars of a table share one logarithmic axis, drawn from left to right in percent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec

from missioncontrol.health.model import Account, SliceLook
from missioncontrol.web.verdicts.axes import Axis, Tick, flat, ratio_axis
from missioncontrol.web.verdicts.words import step_words, where_words

_MOST_SLICES = 16
_LABEL_GAP = 170.0
_NARROW_GAP = 36.0
"""Percent of the axis between labels in a cell of a phone, 85 pixels wide."""
_TOO_FEW = 1.0
_EXPLAINED_FOR = timedelta(hours=12)
_NEAR = 3.0
"""Explanations whose scores differ by less are not told apart."""


class Bar(msgspec.Struct, frozen=True):
    """From `low` to `high` with a dot at `dot`, in percent; `cut`: it goes on beyond the axis."""

    low: float | None
    high: float | None
    dot: float | None
    cut_low: bool = False
    cut_high: bool = False


class Scale(msgspec.Struct, frozen=True):
    """What the bars of a table have in common."""

    ticks: list[Tick]
    crowded: list[Tick]
    """Those of the ticks that have no room beside their neighbours where the cell is narrow; 1 is never one of them."""
    one: float
    """Where a ratio of 1 is."""
    low: float
    high: float
    """Where the acceptable band begins and ends."""


class SliceRow(msgspec.Struct, frozen=True):
    """Some users in the forest plot; kind: `guilty`, `rest`, `all` or empty."""

    kind: str
    name: str
    observed: float | None
    expected: float | None
    usage_share: float | None
    ratio: float | None
    low: float | None
    high: float | None
    bar: Bar


class Forest(msgspec.Struct, frozen=True):
    """The forest plot: the guilty users, the rest, everyone, and all other slices."""

    scale: Scale
    rows: list[SliceRow]
    left_out: int
    share: float | None
    """Of the excess (of what is missing, where less is worse) that the guilty users have."""
    frozen: bool
    """The ratios of the guilty and the rest are those of half a day after the alarm."""
    near: list[str]
    """Other explanations that are not told apart from the best."""


class StepRow(msgspec.Struct, frozen=True):
    """One correction: the ratio after it, and the factor by which it changed; kind: `more` is towards what is bad."""

    name: str
    title: str
    means: str
    ratio: float | None
    change: float | None
    bar: Bar
    kind: str


class Waterfall(msgspec.Struct, frozen=True):
    """From the raw ratio to the verdict's, and the interval that ordinary differences leave."""

    scale: Scale
    rows: list[StepRow]


def bar_axis(values: Iterable[float | None], least: float = 0.5, most: float = 2.0) -> Axis:
    """Left to right, labelled for a cell of a table."""
    return flat(ratio_axis(values, least, most, _LABEL_GAP))


def scale_of(axis: Axis) -> Scale:
    """Marks that every bar has."""
    one = axis.share(1.0)
    kept: list[float] = []
    for tick in sorted(axis.ticks, key=lambda tick: abs(tick.at - one)):
        if all(abs(tick.at - other) >= _NARROW_GAP for other in kept):
            kept.append(tick.at)
    crowded = [tick for tick in axis.ticks if tick.at not in kept]
    return Scale(axis.ticks, crowded, one, axis.share(1 / 1.2), axis.share(1.2))


def bar(axis: Axis, low: float | None, high: float | None, dot: float | None) -> Bar:
    """A bar on a flat axis."""
    if low is None or high is None:
        return Bar(None, None, axis.share(dot) if dot is not None else None)
    return Bar(
        axis.share(low),
        axis.share(high),
        axis.share(dot) if dot is not None else None,
        low < axis.low,
        high > axis.high,
    )


def forest(account: Account, down: bool = False) -> Forest:
    """The slices with what explains best on top and "the rest" under it. down: less is worse of the measure."""
    best = account.explanations[0] if account.explanations else None
    shown = _by_interest(account.slices, best.where if best else None, down)
    kept = [one for one in shown if one.low is not None and one.expected >= _TOO_FEW][:_MOST_SLICES]
    values: list[float | None] = [one.ratio for one in kept]
    if best:
        values += [best.ratio, best.high, best.low, best.rest]
    everyone = next((one for one in account.slices if not one.where), None)
    axis = bar_axis([*values, *((everyone.low, everyone.high) if everyone else ())])
    rows = []
    look = account.look
    frozen = look.since is not None and look.as_of - look.since > _EXPLAINED_FOR
    if best and best.where:
        own = next((one for one in account.slices if one.where == best.where), None)
        rows.append(
            SliceRow(
                "guilty",
                where_words(best.where),
                own.observed if own and not frozen else None,
                own.expected if own and not frozen else None,
                own.usage_share if own else None,
                best.ratio,
                best.low,
                best.high,
                bar(axis, best.low, best.high, best.ratio),
            )
        )
        seen, expected, share = _less(everyone, own) if everyone and own else (None, None, None)
        rows.append(
            SliceRow(
                "rest",
                "the rest",
                None if frozen else seen,
                None if frozen else expected,
                share,
                best.rest,
                best.rest_low,
                best.rest_high,
                bar(axis, best.rest_low, best.rest_high, best.rest),
            )
        )
    if everyone:
        rows.append(_row(axis, everyone, "all"))
    rows += [_row(axis, one, "") for one in kept]
    near = [
        where_words(one.where) for one in account.explanations[1:] if best and one.score >= best.score - _NEAR
    ]
    of_excess = best.share if best and best.where else None
    return Forest(scale_of(axis), rows, max(0, len(shown) - len(kept)), of_excess, frozen, near)


def waterfall(account: Account, down: bool = False) -> Waterfall:
    """The corrections one after another. down: less is worse of the measure."""
    look = account.look
    axis = bar_axis([*(step.ratio for step in account.steps), look.ratio, look.low, look.high])
    rows = []
    before: float | None = 1.0
    for n, step in enumerate(account.steps):
        title, means = step_words(step.name)
        change = step.ratio / before if step.ratio is not None and before and n else None
        grew = False
        if step.ratio is not None and before:
            grew = step.ratio < before if down else step.ratio > before
        rows.append(
            StepRow(
                step.name,
                title,
                means,
                step.ratio,
                change,
                _from_to(axis, before, step.ratio),
                "more" if grew else "less",
            )
        )
        before = step.ratio if step.ratio is not None else before
    rows.append(
        StepRow(
            "spread",
            "What is sure",
            "The 95 % interval: chance, and what releases with nothing wrong differ by.",
            look.ratio,
            None,
            bar(axis, look.low, look.high, look.ratio),
            "interval",
        )
    )
    return Waterfall(scale_of(axis), rows)


def _from_to(axis: Axis, start: float | None, end: float | None) -> Bar:
    if start is None or end is None:
        return Bar(None, None, None)
    return bar(axis, min(start, end), max(start, end), end)


def _row(axis: Axis, one: SliceLook, kind: str) -> SliceRow:
    return SliceRow(
        kind,
        "everyone" if not one.where else where_words(one.where),
        one.observed,
        one.expected,
        one.usage_share,
        one.ratio,
        one.low,
        one.high,
        bar(axis, one.low, one.high, one.ratio),
    )


def _less(whole: SliceLook, part: SliceLook) -> tuple[float, float, float]:
    return (
        max(whole.observed - part.observed, 0.0),
        max(whole.expected - part.expected, 0.0),
        max(whole.usage_share - part.usage_share, 0.0),
    )


def _by_interest(
    slices: Iterable[SliceLook], guilty: dict[str, str] | None, down: bool
) -> Sequence[SliceLook]:
    """Those whose interval is furthest above 1 (`down`: below) first; without everyone and without the guilty."""
    others = [one for one in slices if one.where and one.where != guilty]
    if down:
        unknown = math.inf
        return sorted(
            others,
            key=lambda one: (
                unknown if one.high is None else one.high,
                unknown if one.ratio is None else one.ratio,
                where_words(one.where),
            ),
        )
    return sorted(others, key=lambda one: (-(one.low or 0.0), -(one.ratio or 0.0), where_words(one.where)))
