"""Results of the parts, kept between runs, and the pages that are made of them. Names no machine and no folder."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
import tomllib
from collections.abc import Iterator
from importlib.metadata import version

import msgspec

import plan
from figures import Figure, Part
from scale_servers import postgres_version
from workspace import ROOT, SPARK_VERSION, WORK, BenchError, java

PAGES = ROOT / "docs" / "reference"
README = ROOT / "README.md"
END = "<!-- end of figures -->"


class Page(msgspec.Struct, frozen=True):
    """A page and the parts on it, in order. It is written when all of them were measured, and else stays as it is."""

    name: str
    """What `--only` calls all of its parts."""
    file: str
    title: str
    parts: tuple[str, ...]

    @property
    def begin(self) -> str:
        """Before its table in the README."""
        return f"<!-- figures of {self.file}: written by make bench -->"


PINGS = Page(
    "pings",
    "benchmarks.md",
    "Benchmarks: pings",
    (
        "whole_job", "backfill", "extraction", "durable_post", "freshness", "query_48h", "memory", "idle", "archive",
    ),
)  # fmt: skip
CRASHES = Page(
    "crashes",
    "benchmarks-crashes.md",
    "Benchmarks: crash reports",
    ("crash_collector", "crash_line", "stackwalk", "crash_search"),
)
DASHBOARD = Page("pages", "benchmarks-pages.md", "Benchmarks: pages", ("pages",))
SCALE = Page(
    "scale",
    "benchmarks-scale.md",
    "Benchmarks: the scaled form",
    ("scale_spark", "scale_latency", "scale_edge", "scale_cores", "scale_sizes"),
)
VERDICTS = Page("verdicts", "benchmarks-verdicts.md", "Benchmarks: verdicts", ("verdict_cost",))
ALL = (PINGS, CRASHES, DASHBOARD, VERDICTS, SCALE)
LIBRARIES = ("msgspec", "pyarrow", "deltalake", "duckdb", "uvicorn", "uvloop", "isal")
CLIENTS = ("pyspark", "confluent-kafka", "obstore", "psycopg")

HEAD = """# {title}

Made by `make bench`; do not edit. Each number is the median of its runs, with the lowest and the highest behind it.
Ratios and promises come first, since they hold elsewhere too. Absolute numbers do not travel: they are from one machine
with {cores} cores, and only say what the ratios were made of. Both sides of a comparison ran in turns on that machine.

{versions}. Measured {day}.
"""

SHORT = """**A short run** (`--short`): less data and fewer rounds than are meant, beside other work (see the loads).
It says that all of this works, and little of how fast. A run without `--short` takes its place."""


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


def write_pages(results: Results) -> list[str]:
    """Write the pages whose parts were all measured, and their tables into the README; which parts others lack.

    A page that there is not yet is written with what there is, and names what it lacks.
    """
    parts = {part.name: part for part in results.parts}
    lacking = []
    for page in ALL:
        missing = [name for name in page.parts if name not in parts]
        lacking += missing
        found = [parts[name] for name in page.parts if name in parts]
        if not missing or (found and not (PAGES / page.file).exists()):
            _write(page, found, results.sizes, missing)
    plan.write_page()
    return lacking


def _write(page: Page, parts: list[Part], sizes: str, missing: list[str]) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        HEAD.format(title=page.title, cores=os.cpu_count(), versions=versions(page), day=day),
        *([f"Not measured yet: {', '.join(missing)}.", ""] if missing else []),
        *summary(parts, sizes),
    ]
    for part in parts:
        lines += section(part)
    (PAGES / page.file).write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    before, rest = README.read_text(encoding="utf-8").split(page.begin)
    table = "\n".join(list(summary(parts, sizes))[2:])
    after = rest.split(END, 1)[1]
    README.write_text(f"{before}{page.begin}\n{table}{END}{after}", encoding="utf-8")


def versions(page: Page) -> str:
    """What took part."""
    own = f"Python {platform.python_version()}, {_versions(LIBRARIES)}, SQLite {sqlite3.sqlite_version}"
    if page is SCALE:
        servers = tomllib.loads((ROOT / "deploy" / "local" / "versions.toml").read_text())
        return (
            f"{own}; {_versions(CLIENTS)} on Java {java()}; Kafka {servers['kafka']}, versitygw "
            f"{servers['versitygw'].lstrip('v')}, PostgreSQL {postgres_version()}"
        )
    try:
        spark = f"PySpark {SPARK_VERSION} on Java {java()}"
    except BenchError:
        spark = "no Java"
    return f"{own}; {spark}"


def _versions(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {version(name)}" for name in names)


def summary(parts: list[Part], sizes: str) -> Iterator[str]:
    yield from ("## What is promised, and what was measured", "")
    yield from ("| | | measured | promised | |", "|---|---|---|---|---|")
    for part in parts:
        title = part.title
        for figure in part.ratios:
            if figure.bar:
                kept = "kept" if figure.ok else "**missed**"
                measured = amount(figure.median, figure.unit)
                yield f"| {title} | {figure.name} | {measured} | {figure.bar} | {kept} |"
                title = ""
        for lack in part.unmeasured:
            yield f"| {title} | {lack.name} | not measured | {lack.bar} | |"
            title = ""
    yield ""
    if sizes == "short":
        yield from (SHORT, "")


def section(part: Part) -> Iterator[str]:
    yield from (f"## {part.title}", "", part.compared, "")
    if part.checked:
        yield from (part.checked, "")
    if part.load is not None:
        yield from (f"Load of the machine when it began: {part.load:.2f}.", "")
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
