"""Thresholds as people write them (`150ms`, `4MiB`) and as pings hold them; where the buckets of a probe begin.

Glean sends time distributions in nanoseconds and memory distributions in bytes, whatever their unit; a histogram of
Firefox is in the unit that its name says, if any. Sources of the bucket formulas: the Glean book, "Timing Distribution"
and "Memory Distribution" (8 and 16 buckets for every power of two), and Firefox's histogram documentation.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from missioncontrol.errors import BadRequest
from missioncontrol.registry.probes import Probe

_TIME = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9}
_MEMORY = {
    "B": 1, "kB": 10**3, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30,
}  # fmt: skip
_THRESHOLD = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-zµ]*)")
_NAMED_UNIT = re.compile(r"_(NS|US|MS|S|SECONDS|B|BYTES|KB|MB)(?:_\d+)?$")
_UNITS_IN_NAMES = {"SECONDS": "s", "BYTES": "B", "KB": "KiB", "MB": "MiB"}
_BUCKETS_A_DOUBLING = {"timing_distribution": 8, "memory_distribution": 16}
_MOST_BUCKETS = 100_000


def unit_of(probe: Probe) -> str:
    """The unit in which a ping holds the samples; empty when it is not known."""
    kind = probe.kind.removeprefix("labeled_")
    if kind in _BUCKETS_A_DOUBLING:
        return "ns" if kind == "timing_distribution" else "B"
    match = _NAMED_UNIT.search(probe.name) if probe.family == "histogram" else None
    return _UNITS_IN_NAMES.get(match[1], match[1].lower()) if match else ""


def parse_threshold(probe: Probe, text: str) -> int:
    """The threshold in the ping's unit. Raises `BadRequest` (`probe_threshold`) for what cannot be one."""
    match = _THRESHOLD.fullmatch(text.strip())
    if match is None:
        raise _wrong(f"`{text}` is no threshold.", "Give a number, with or without a unit: 150, 150ms, 4MiB.")
    number, unit = Fraction(match[1]), match[2]
    value = number * _factor(probe, unit, text) if unit or _needs_unit(probe) else number
    if value.denominator != 1 or value >= 2**63:
        in_unit = unit_of(probe) or "the histogram's unit"
        raise _wrong(f"`{text}` is no whole number in {in_unit}, which pings are in.")
    return int(value)


def _needs_unit(probe: Probe) -> bool:
    """A bare number would be nanoseconds or bytes, which nobody means."""
    return probe.kind.removeprefix("labeled_") in _BUCKETS_A_DOUBLING


def _factor(probe: Probe, unit: str, text: str) -> Fraction:
    own = unit_of(probe)
    if not own:
        hint = "Leave the unit out, and give the number as the histogram's samples are."
        raise _wrong(f"The unit of {probe.name} is not known, so {unit} cannot be converted.", hint)
    scale = _TIME if own in _TIME else _MEMORY
    if unit not in scale:
        hint = f"Units: {', '.join(scale)}; for example {text}{'ms' if own in _TIME else 'MiB'}."
        message = f"{probe.name} is in {own}: " + (
            f"{unit} is no such unit." if unit else f"{text} needs a unit."
        )
        raise _wrong(message, hint if not unit else f"Units: {', '.join(scale)}.")
    return Fraction(scale[unit], scale[own])


def check_threshold(probe: Probe, threshold: int) -> None:
    """Raise `BadRequest` (`probe_threshold`) when every sample or none would count."""
    if probe.low is not None and threshold < probe.low:
        hint = "Leave --at-least out to count all samples."
        raise _wrong(
            f"{threshold} is below the first bucket of {probe.name}, which begins at {probe.low}.", hint
        )
    if probe.high is not None and threshold > probe.high:
        hint = f"{probe.name} goes from {probe.low} to {probe.high}."
        raise _wrong(
            f"No bucket of {probe.name} begins at {threshold} or above: nothing would be counted.", hint
        )


def first_bucket(probe: Probe, threshold: int) -> int | None:
    """Where the first bucket begins that counts under a threshold, if the probe's buckets are known.

    May be 1 less than the threshold: Glean sends the bucket that begins at 4 MiB as 4194303.
    """
    per_doubling = _BUCKETS_A_DOUBLING.get(probe.kind.removeprefix("labeled_"))
    if per_doubling:
        index = max(0, math.ceil(per_doubling * math.log2(max(threshold, 1))) - 1)
        while threshold > max(2 ** (index / per_doubling), _glean_bound(index, per_doubling)):
            index += 1
        return _glean_bound(index, per_doubling)
    return next((b for b in bucket_bounds(probe) if b >= threshold), None)


def _glean_bound(index: int, per_doubling: int) -> int:
    """Lower bound of a bucket as Glean sends it: powers of two come out just below, and are cut to whole numbers."""
    whole, rest = divmod(index, per_doubling)
    return int(2 ** (index / per_doubling)) if rest or not whole else 2**whole - 1


def in_words(number: int, unit: str) -> str:
    """A number of a ping's unit for people: 159612677 ns as `159.6 ms`."""
    larger = {"ns": ("us", "ms", "s"), "B": ("KiB", "MiB", "GiB")}.get(unit, ())
    scale = {**_TIME, **_MEMORY}
    fitting = [u for u in larger if number >= scale[u]]
    if not fitting:
        return f"{number:,} {unit}".strip()
    return f"{number / scale[fitting[-1]]:,.4g} {fitting[-1]}"


def bucket_bounds(probe: Probe) -> list[int]:
    """Lower bounds of the buckets of a linear or exponential histogram; empty when they are not known."""
    spacing, low, high, count = probe.spacing or probe.kind, probe.low, probe.high, probe.buckets
    if low is None or high is None or count is None or not 3 <= count <= _MOST_BUCKETS or not 0 < low < high:
        return []
    if spacing == "linear":
        step = (high - low) / (count - 2)
        return [0, *(int(low + step * i + 0.5) for i in range(count - 1))]
    if spacing != "exponential":
        return []
    bounds = [0, low]
    for left in range(count - 2, 0, -1):
        ratio = (math.log(high) - math.log(bounds[-1])) / left
        bounds.append(max(bounds[-1] + 1, int(math.exp(math.log(bounds[-1]) + ratio) + 0.5)))
    return bounds


def _wrong(message: str, hint: str = "") -> BadRequest:
    return BadRequest("probe_threshold", message, hint)
