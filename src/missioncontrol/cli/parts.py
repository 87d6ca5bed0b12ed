"""The parts that `serve` runs: what each does, and which follow from the ones that are named."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click
import msgspec

LISTENING = ("edge", "collector", "web")
BEHIND = ("stream", "crashes", "jobs")
PARTS = {
    "edge": "takes pings and crash reports at /submit",
    "collector": "takes crash reports only; the edge does that too",
    "web": "pages and API",
    "stream": "brings what was taken, and counts of what was refused, into the lake",
    "crashes": "workers that process crash reports",
    "jobs": "the daily batch, days that are to be made again, and alerts",
}
ALL = tuple(part for part in PARTS if part != "collector")


class Chosen(msgspec.Struct, frozen=True):
    """The parts of one `serve`."""

    parts: tuple[str, ...]
    """In the order of `PARTS`."""
    added: tuple[str, ...] = ()
    """Those of them that nobody named."""

    @property
    def listening(self) -> bool:
        """Whether any of them answers requests."""
        return any(part in LISTENING for part in self.parts)

    @property
    def behind(self) -> list[str]:
        """Those that run in a process behind the one that listens."""
        return [part for part in BEHIND if part in self.parts]


def completed(named: Collection[str]) -> Chosen:
    """The named parts, and what they are of no use without.

    Crash workers with pages are a server for crash reports: unless there is an edge it also takes them, and counts of
    those it refuses reach the page /pipeline.
    """
    added: tuple[str, ...] = ()
    if {"crashes", "web"} <= set(named) and "edge" not in named:
        added = tuple(part for part in ("collector", "stream") if part not in named)
    return Chosen(tuple(part for part in PARTS if part in named or part in added), added)


def read_parts(ctx: click.Context, param: click.Parameter, value: str | None) -> Chosen:
    """The parts that an option names, all without one; a callback of click."""
    if value is None:
        return Chosen(ALL)
    named = [part.strip() for part in value.split(",") if part.strip()]
    wrong = next((part for part in named if part not in PARTS), None)
    if wrong is not None:
        raise click.BadParameter(f"there is no part '{wrong}'. The parts:\n{explained()}")
    if not named:
        raise click.BadParameter(f"name at least one part:\n{explained()}")
    return completed(named)


def explained(names: Sequence[str] = tuple(PARTS)) -> str:
    """A line for each part: its name and what it does."""
    width = max(map(len, PARTS)) + 2
    return "\n".join(f"  {name:<{width}}{PARTS[name]}" for name in names)


def told(chosen: Chosen) -> str:
    """What runs and what does not, for whoever starts it."""
    why = (
        f" ({', '.join(chosen.added)} added: without an edge crash reports need them)" if chosen.added else ""
    )
    lines = [f"Runs: {', '.join(chosen.parts)}{why}."]
    left = [part for part in ALL if part not in chosen.parts]
    if left:
        lines.append(f"Does not run:\n{explained(left)}")
    return "\n".join(lines)
