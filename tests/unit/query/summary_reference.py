"""What the summary must say, row by row in plain Python: slow, and written from the reference page alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]
HOURS = timedelta(hours=1)


def numbers(version: str) -> tuple[list[int], int, int]:
    """61.0a1 < 61.0b2 < 61.0b10 < 61.0 < 61.0.1, for the few shapes that the tests use."""
    found = re.fullmatch(r"([\d.]+)(?:([ab])(\d+))?", version)
    assert found
    dotted = [int(n) for n in found[1].split(".")]
    while dotted[-1] == 0:
        dotted.pop()
    return dotted, {"a": 0, "b": 1}.get(found[2], 2), int(found[3] or 0)


def lines(rows: Sequence[Row], published: dict[str, datetime], channel: str) -> list[dict[str, Any]]:
    """The versions of one measure (main_crashes) of one combination whose rows these are."""
    window = "window_start"
    starts: dict[str, datetime] = {}
    for version in {r["version"] for r in rows}:
        own = [r[window] for r in rows if r["version"] == version]
        starts[version] = published.get(version, min(own))
        if starts[version] > max(own):
            del starts[version]
    ordered = sorted(starts, key=numbers)
    last_day = max(r[window] for r in rows) - 24 * HOURS
    recent = {
        v: sum(r["usage_hours"] or 0 for r in rows if r["version"] == v and r[window] > last_day)
        for v in {r["version"] for r in rows}
    }
    while (
        len(ordered) > 1
        and ordered[-1] not in published
        and recent[ordered[-1]] < sum(recent.values()) / 10_000
    ):
        ordered.pop()
    if not ordered:
        return []
    newest_major = numbers(ordered[-1])[0][0]
    back = 7 if channel == "esr" else 3
    majors: dict[int, list[str]] = {}
    for version in ordered:
        if numbers(version)[0][0] >= newest_major - back:
            majors.setdefault(numbers(version)[0][0], []).append(version)

    def end_of(names: Sequence[str]) -> datetime:
        return max(r[window] for r in rows if r["version"] in names)

    def start_of(names: Sequence[str]) -> datetime:
        return min(starts[name] for name in names)

    def told(groups: list[tuple[str, list[str]]], reference: timedelta | None) -> list[dict[str, Any]]:
        out = []
        for place, (label, names) in enumerate(groups):
            begin = start_of(names)
            end = start_of(groups[place + 1][1]) if place + 1 < len(groups) else end_of(names)
            field = end - begin
            if field < timedelta(0):
                continue
            compared = field if reference is None else reference
            long = compared > 48 * HOURS
            whole = (begin + (24 * HOURS if long and field > 48 * HOURS else 0 * HOURS), end)
            adjusted = (begin + (24 * HOURS if long else 0 * HOURS), begin + compared)
            line: dict[str, Any] = {"version": label, "fieldDuration": int(field.total_seconds())}
            for count, rate, (low, high) in (
                ("count", "rate", whole),
                ("adjustedCount", "adjustedRate", adjusted),
            ):
                inside = [r for r in rows if r["version"] in names and low <= r[window] <= high]
                crashes = sum(r["main_crashes"] or 0 for r in inside)
                hours = sum(r["usage_hours"] or 0 for r in inside)
                line[count] = crashes if inside else None
                line[rate] = round(1000 * crashes / hours, 2) if hours else None
            out.append(line)
        return out[::-1]

    points = [(v, [v]) for v in ordered[-3:] if numbers(v)[0][0] == newest_major]
    grouped = [(str(major), names) for major, names in sorted(majors.items())]
    newest = grouped[-1][1]
    reference = end_of(newest) - start_of(newest)
    return [*(told(points, None) if channel != "nightly" else []), *told(grouped, reference)]
