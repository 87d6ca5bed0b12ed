"""What a benchmark says: figures with their spread, and the bar that each must reach."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A median with the lowest and highest of its runs. `at_least` or `at_most` is the bar, if there is one."""

    name: str
    median: float
    low: float
    high: float
    unit: str = "x"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the median reaches the bar."""
        return (self.at_least is None or self.median >= self.at_least) and (
            self.at_most is None or self.median <= self.at_most
        )

    @property
    def bar(self) -> str:
        """The bar as text."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return f"at most {self.at_most:g}" if self.at_most is not None else ""


class Unmeasured(msgspec.Struct, frozen=True):
    """A bar that could not be tried here, and what it needs."""

    name: str
    bar: str
    needs: str


class Part(msgspec.Struct, frozen=True):
    """The report of one benchmark."""

    name: str
    title: str
    compared: str
    """What was compared with what, in a few sentences."""
    ratios: list[Figure]
    """What travels from machine to machine, and absolute promises."""
    absolute: list[Figure] = []
    """What does not."""
    checked: str = ""
    """What was found to be identical on both sides."""
    unmeasured: list[Unmeasured] = []
    """What this machine lacked something for."""
    load: float | None = None
    """Of the machine in the minute before."""


def figure(
    name: str,
    runs: Sequence[float],
    unit: str = "x",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """The figure of several runs."""
    return Figure(name, statistics.median(runs), min(runs), max(runs), unit, at_least, at_most)


def ratio(
    name: str,
    over: Sequence[float],
    under: Sequence[float],
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """Median over median; low and high from the worst and best pairing of the runs."""
    value = statistics.median(over) / statistics.median(under)
    return Figure(name, value, min(over) / max(under), max(over) / min(under), "x", at_least, at_most)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def publish(part: Part) -> None:
    """Hand the report to whoever started this benchmark: the last line on stdout."""
    print(msgspec.json.encode(part).decode())
