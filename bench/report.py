"""Results of the parts, kept between runs, and the page that is made of them. Names no machine and no folder."""

from __future__ import annotations

import platform
import sqlite3
import time
from collections.abc import Iterator
from importlib.metadata import version

import msgspec

from figures import Figure, Part
from workspace import ROOT, SPARK_VERSION, WORK, BenchError, java

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
ORDER = (
    "whole_job", "backfill", "extraction", "durable_post", "freshness", "query_48h", "memory", "idle", "archive",
    "stackwalk", "crash_search", "crash_collector", "crash_line",
)  # fmt: skip
LIBRARIES = ("msgspec", "pyarrow", "deltalake", "duckdb", "uvicorn", "uvloop", "isal")

HEAD = """# Benchmarks

Made by `make bench`; do not edit. Each number is the median of its runs, with the lowest and the highest behind it.
Ratios and promises come first, since they hold elsewhere too. Absolute numbers do not travel: they are from one machine
with {cores} cores, and only say what the ratios were made of. Both sides of a comparison ran in turns on that machine.

{versions}. Measured {day}.
"""


class Results(msgspec.Struct, frozen=True):
    """The last result of each part, all of one size."""

    sizes: str
    parts: list[Part] = []

    def plus(self, part: Part) -> Results:
        """With a new result of one part."""
        return Results(self.sizes, [p for p in self.parts if p.name != part.name] + [part])


def read_results(sizes: str) -> Results:
    """What was measured before with these sizes."""
    try:
        found = msgspec.json.decode((WORK / "results.json").read_bytes(), type=Results)
    except (OSError, msgspec.DecodeError):
        return Results(sizes)
    return found if found.sizes == sizes else Results(sizes)


def write_results(results: Results) -> None:
    """Keep them."""
    (WORK / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))


def write_page(results: Results) -> None:
    """Write docs/reference/benchmarks.md, and its first table into the README."""
    import os

    text = HEAD.format(
        cores=os.cpu_count(), versions=versions(), day=time.strftime("%Y-%m-%d", time.gmtime())
    )
    parts = {part.name: part for part in results.parts}
    lines = [text, *summary(parts)]
    for name in ORDER:
        if name in parts:
            lines += section(parts[name])
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    table = "\n".join(list(summary(parts))[2:])
    README.write_text(f"{before}{BEGIN}\n{table}{END}{rest.split(END)[1]}", encoding="utf-8")


def versions() -> str:
    """What took part."""
    try:
        spark = f"PySpark {SPARK_VERSION} on Java {java()}"
    except BenchError:
        spark = "no Java"
    own = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"Python {platform.python_version()}, {own}, SQLite {sqlite3.sqlite_version}; {spark}"


def summary(parts: dict[str, Part]) -> Iterator[str]:
    yield from ("## What is promised, and what was measured", "")
    yield from ("| | | measured | promised | |", "|---|---|---|---|---|")
    for name in ORDER:
        title = parts[name].title if name in parts else ""
        for figure in parts[name].ratios if name in parts else ():
            if figure.bar:
                kept = "kept" if figure.ok else "**missed**"
                measured = amount(figure.median, figure.unit)
                yield f"| {title} | {figure.name} | {measured} | {figure.bar} | {kept} |"
                title = ""
        for lack in parts[name].unmeasured if name in parts else ():
            yield f"| {title} | {lack.name} | not measured | {lack.bar} | |"
            title = ""
    yield ""


def section(part: Part) -> Iterator[str]:
    yield from (f"## {part.title}", "", part.compared, "")
    if part.checked:
        yield from (part.checked, "")
    for lack in part.unmeasured:
        yield from (f"Not measured: {lack.name}. {lack.needs}", "")
    if part.ratios:
        yield from ("| | median | low to high |", "|---|---|---|", *map(row, part.ratios), "")
    if part.absolute:
        yield from ("On that machine:", "", "| | median | low to high |", "|---|---|---|")
        yield from (*map(row, part.absolute), "")


def row(figure: Figure) -> str:
    spread = (
        f"{number(figure.low)} to {amount(figure.high, figure.unit)}" if figure.low != figure.high else ""
    )
    return f"| {figure.name} | {amount(figure.median, figure.unit)} | {spread} |"


def amount(value: float, unit: str) -> str:
    return f"{number(value)}{'' if unit == 'x' else ' '}{unit}"


def number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
