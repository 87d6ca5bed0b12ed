"""The plan past these machines: what was measured, what is assumed, and what follows.

    python bench/plan.py    from the benchmarks' pages: docs/reference/beyond-one-machine.md; `make bench` does it too

Prose is in `plan.md` beside this file, by hand. Numbers are not: measured ones are read from the pages that
`make bench` writes, and each formula that the page shows is the one that is computed. Runs nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

PROSE = Path(__file__).resolve().with_suffix(".md")
PAGES = PROSE.parents[1] / "docs" / "reference"
PAGE = "beyond-one-machine.md"
TIMES = (1, 10, 100, 1000)
"""Multiples of the reference load."""


class Given(msgspec.Struct, frozen=True):
    """An assumption: `name` is what formulas call it."""

    name: str
    value: float
    says: str


class Measured(msgspec.Struct, frozen=True):
    """A figure of a benchmark, by the words that stand before it on its page; `scale` makes it bytes, seconds, ..."""

    name: str
    page: str
    row: str
    says: str
    scale: float = 1


class Line(msgspec.Struct, frozen=True):
    """Something that follows; later formulas may use its name."""

    name: str
    says: str
    formula: str
    unit: str = ""


class Limit(msgspec.Struct, frozen=True):
    """Something of which there is one: it bends where `need` of a load reaches `most`."""

    says: str
    need: str
    most: str


GIVEN = (
    Given("pings_day", 1e9, "pings a day at 1x"),
    Given("crashes_day", 2.5e6, "crash reports a day at 1x"),
    Given("peak", 2, "the busiest hour over the mean"),
    Given("use", 0.6, "share of a core's time that is planned with"),
    Given("replicas", 3, "copies of a message in Kafka"),
    Given("topic_days", 3, "retention of the topic: how long the stream may stand still"),
    Given("dedup_days", 7, "`log.dedup_days` as it comes"),
    Given(
        "keys",
        300_000,
        "combinations of dimensions that arrive in a window; the k-th is met in proportion to 1/k",
    ),
    Given("trigger_s", 10, "`spark.trigger_s` as it comes"),
    Given("stretch_bytes", 64 * 2**20, "`stream.batch_bytes` as it comes: what a task sums at a time"),
    Given("file_bytes", 128 * 2**20, "`lake.target_file_bytes` as it comes"),
    Given("archive_days", 30, "`retention.pings`"),
    Given("tables", 7, "tables of the lake that the stream commits to"),
    Given("report", 150e3, "bytes of a crash report, as in the benchmark"),
    Given("memory", 64e9, "bytes of memory of PostgreSQL's machine"),
    Given("answer_s", 1, "what a question may take"),
    Given("folder", 20 * 2**30, "`lake.cache_bytes` as it comes: what a web server has at hand"),
    Given("puts_prefix", 3500, "puts a second that Amazon's S3 documents for a prefix"),
)
PINGS, CRASHES, SCALE = "benchmarks.md", "benchmarks-crashes.md", "benchmarks-scale.md"
MEASURED = (
    Measured("body", SCALE, "topic, a million pings", "bytes of a ping in the topic"),
    Measured("edge_s", SCALE, "CPU of the edge for a POST to Kafka", "seconds of CPU of the edge for a ping", 1e-6),
    Measured("broker_s", SCALE, "CPU of the broker for a POST", "seconds of CPU of a broker for a ping", 1e-6),
    Measured("stream_s", SCALE, "CPU of the stream for a ping, one core", "seconds of CPU of Spark for a ping", 1e-6),
    Measured("id_rate", SCALE, "identities, new", "new ids a second of one PostgreSQL"),
    Measured("id_bytes", SCALE, "identities, a million pings", "bytes of an id in PostgreSQL"),
    Measured("archived", SCALE, "archive before sealing, a million pings", "bytes of a ping in the archive of today"),
    Measured("sealed", PINGS, "sealed table / gzip bodies as sent (zlib level 6)", "of these in the sealed archive"),
    Measured("seal", PINGS, "pings sealed a second of one core", "pings a second that a core seals"),
    Measured("row", PINGS, "bytes a row of error_aggregates, 20,000,000 rows", "bytes of a compacted row of sums"),
    Measured("question_s", PINGS, "p95 over HTTP", "p95 of 48 hours out of a month of 20 million rows", 1e-3),
    Measured("merge", SCALE, "rows of sums merged a second of one core", "rows a second that a core compacts"),
    Measured("task_files", SCALE, "files of a task", "files that a task stages"),
    Measured("file_log", SCALE, "bytes of a commit in the log, 1,000 files", "bytes of the Delta log for a file", 1e-3),
    Measured("file_s", SCALE, "a commit, 1,000 files", "of a commit for a file that it names", 1e-6),
    Measured("place_s", SCALE, "a commit, 1,000 partitions after somebody else's", "of a commit for a partition", 1e-6),
    Measured("commit_s", SCALE, "a commit, 2 partitions", "seconds of a small commit", 1e-3),
    Measured("walk_s", CRASHES, "CPU for a crash, all processes of the server", "seconds of CPU for a crash", 1e-3),
    Measured("accepted", CRASHES, "ours", "reports a second that a collector accepts"),
)  # fmt: skip
LINES = (
    Line("mean", "pings a second, mean", "pings_day * times / 86400"),
    Line("top", "pings a second, peak", "mean * peak"),
    Line("inflow", "bytes a second into the edges, peak", "top * body", "B"),
    Line("edges", "cores for edges", "top * edge_s / use"),
    Line("brokers", "cores for brokers", "top * broker_s * replicas / use"),
    Line("streams", "cores for Spark's executors", "top * stream_s / use"),
    Line("partitions", "partitions of the topic", "max(2, ceil(streams))"),
    Line("topic", "bytes of the topic on all brokers", "pings_day * times * body * topic_days * replicas", "B"),
    Line("stretch", "pings that a task sums at once", "min(20000, stretch_bytes / body, top * trigger_s / partitions)"),
    Line("files", "new files of a micro-batch", "top * trigger_s / stretch * task_files"),
    Line("puts", "puts to S3 a second", "(files + 2 * tables) / trigger_s"),
    Line("requests", "writing requests to S3 a day", "86400 * puts"),
    Line("commits", "commits a second, of one driver", "tables / trigger_s"),
    Line("driver_s", "seconds of commits of a batch", "tables * (commit_s + partitions * place_s) + files * file_s"),
    Line("delta_log", "bytes of the Delta log a day", "86400 / trigger_s * files * file_log", "B"),
    Line("fresh", "rows of sums a day before compaction", "pings_day * times / stretch * distinct(stretch, keys)"),
    Line("passes", "times that compaction, by eights, writes a row", "log(86400 / trigger_s * partitions, 8)"),
    Line("mergers", "cores to compact them", "fresh * passes / 86400 / merge"),
    Line("rows", "rows of sums a day, compacted", "288 * distinct(pings_day * times / 288, keys)"),
    Line("sums", "bytes of sums a day, compacted", "rows * row", "B"),
    Line("archive", "bytes of the archive a day, until sealed", "pings_day * times * archived", "B"),
    Line("packed", "bytes of the archive a day, sealed", "archive * sealed", "B"),
    Line("sealers", "cores to seal a day within a day", "mean / seal"),
    Line("archive_files", "files of the archive's table", "archive_days * packed / file_bytes"),
    Line("ids", "ids that are known", "pings_day * times * dedup_days"),
    Line("ids_held", "bytes of ids in PostgreSQL", "ids * id_bytes", "B"),
    Line("ids_day", "bytes of the ids of a day", "pings_day * times * id_bytes", "B"),
    Line("stores", "stores of ids of that speed", "ceil(top / id_rate)"),
    Line("crashes", "crash reports a second, peak", "crashes_day * times / 86400 * peak"),
    Line("dumps", "bytes of crash reports a day", "crashes_day * times * report", "B"),
    Line("walkers", "cores for crash workers", "crashes * walk_s / use"),
)  # fmt: skip
LIMITS = (
    Limit("sealing of the archive, which is one process", "mean", "seal"),
    Limit("compaction of sums, by one core of the one machine that does it", "mergers", "1"),
    Limit("ids that PostgreSQL takes, a table that is in memory", "top", "id_rate"),
    Limit("ids whose table is in PostgreSQL's memory", "ids_held", "memory"),
    Limit("questions of 48 hours by one web server", "rows * 30 / 20e6 * question_s", "answer_s"),
    Limit("sums of a month in a web server's folder", "sums * 30", "folder"),
    Limit("commits of a micro-batch by the driver, in half of a trigger", "driver_s", "trigger_s / 2"),
    Limit("puts to the prefix of one table", "puts / 2", "puts_prefix"),
    Limit("files that one table names", "archive_files", "1e6"),
    Limit("crash reports by one collector", "crashes", "accepted"),
)  # fmt: skip


@lru_cache
def distinct(pings: float, keys: float) -> float:
    """How many of `keys` keys so many pings meet, in the mean, when the k-th is met in proportion to 1/k.

    The sum over k of 1 - exp(-n p_k), arrivals taken as Poisson's. Terms are taken singly up to 1000, then in
    stretches that grow by a thousandth.
    """
    if math.isnan(pings):
        return math.nan
    total = math.log(keys) + 0.5772156649 + 1 / (2 * keys)
    found, k = 0.0, 1.0
    while k <= keys:
        width = min(max(1, k // 1000), keys - k + 1)
        found += width * -math.expm1(-pings / ((k + (width - 1) / 2) * total))
        k += width
    return found


def whole(value: float) -> float:
    """Rounded up; NaN stays."""
    return value if math.isnan(value) else math.ceil(value)


def largest(*values: float) -> float:
    """NaN where one is."""
    return math.nan if any(map(math.isnan, values)) else max(values)


def least(*values: float) -> float:
    """NaN where one is."""
    return math.nan if any(map(math.isnan, values)) else min(values)


FUNCTIONS: dict[str, Any] = {
    "min": least,
    "max": largest,
    "ceil": whole,
    "log": math.log,
    "distinct": distinct,
}


LACKS = "not measured"
CAUTION = (
    "**For now** the [figures of the scaled form](benchmarks-scale.md) are of a short run beside other work: what "
    "follows from them shows the arithmetic, and too many of everything."
)


def figures_of(text: str) -> dict[str, float]:
    """The medians of a page of benchmarks by the words before them; the first where words come twice."""
    found: dict[str, float] = {}
    for name, value in re.findall(r"^\| ([^|]+) \| ([\d.,e+-]+)[^|]*\| [^|]*\|$", text, re.MULTILINE):
        found.setdefault(name, float(value.replace(",", "")))
    return found


def measured(pages: Path = PAGES) -> dict[str, float]:
    """The figures that formulas use, by their names; NaN for what no page has yet."""
    texts = {page: pages / page for page in sorted({one.page for one in MEASURED})}
    found = {page: figures_of(path.read_text()) if path.exists() else {} for page, path in texts.items()}
    values = {}
    for one in MEASURED:
        values[one.name] = found[one.page].get(one.row, math.nan) * one.scale
    return values


def computed(values: Mapping[str, float], times: float) -> dict[str, float]:
    """All that follows at so many times the reference load, with what it follows from."""
    known = {**{one.name: one.value for one in GIVEN}, **values, "times": times}
    for line in LINES:
        known[line.name] = evaluate(line.formula, known)
    return known


def evaluate(formula: str, known: Mapping[str, float]) -> float:
    return float(eval(formula, {"__builtins__": {}, **FUNCTIONS}, dict(known)))


def bends_at(limit: Limit, values: Mapping[str, float]) -> float:
    """The multiple of the reference load at which there is no more of it; infinite when not below 100,000.

    NaN when something was not measured.
    """

    def share(times: float) -> float:
        known = computed(values, times)
        return evaluate(limit.need, known) / evaluate(limit.most, known)

    if math.isnan(share(1)):
        return math.nan

    def over(times: float) -> bool:
        return share(times) > 1

    low, high = 1e-4, 1e5
    if not over(high):
        return math.inf
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if over(middle) else (middle, high)
    return high


def tables(values: Mapping[str, float]) -> dict[str, Callable[[], Iterator[str]]]:
    """What stands for `{{name}}` on a line of its own."""
    return {
        "given": given,
        "measured": lambda: inputs(values),
        "loads": lambda: loads(values),
        "limits": lambda: limits(values),
    }


def given() -> Iterator[str]:
    yield from ("| | assumed | |", "|---|---|---|")
    for one in GIVEN:
        yield f"| `{one.name}` | {short(one.value)} | {one.says} |"


def inputs(values: Mapping[str, float]) -> Iterator[str]:
    yield from ("| | measured | | where |", "|---|---|---|---|")
    for one in MEASURED:
        yield f"| `{one.name}` | {short(values[one.name])} | {one.says} | [{one.row}]({one.page}) |"


def loads(values: Mapping[str, float]) -> Iterator[str]:
    yield f"| | | formula | {' | '.join(f'{times:,}x' for times in TIMES)} |"
    yield f"|---|---|---|{'---|' * len(TIMES)}"
    columns = [computed(values, times) for times in TIMES]
    for line in LINES:
        cells = " | ".join(short(column[line.name], line.unit) for column in columns)
        yield f"| {line.says} | `{line.name}` | `{line.formula}` | {cells} |"


def limits(values: Mapping[str, float]) -> Iterator[str]:
    yield from ("| bends at | what | when | reaches |", "|---|---|---|---|")
    ends = {limit: bends_at(limit, values) for limit in LIMITS}
    for limit in sorted(LIMITS, key=lambda limit: (math.isnan(ends[limit]), ends[limit])):
        yield f"| {times_of(ends[limit])} | {limit.says} | `{limit.need}` | `{limit.most}` |"


def times_of(value: float) -> str:
    return "not below 100,000x" if math.isinf(value) else LACKS if math.isnan(value) else f"{short(value)}x"


def short(value: float, unit: str = "") -> str:
    """With two digits, and thousands by their letters."""
    if math.isnan(value):
        return LACKS
    for size, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size * 0.995:
            size, letter = (1e3, "k") if letter == "k" else (size, letter)
            return f"{_digits(value / size)} {letter}{unit}"
    return f"{_digits(value)}{' ' + unit if unit else ''}"


def _digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value >= 1e-3 or value == 0 else f"{value:.1e}"


def page_of(prose: str, pages: Path = PAGES) -> str:
    """The page: prose with its tables, and with `{{name:times}}` as what follows there."""
    values = measured(pages)
    made = {name: "\n".join(make()) for name, make in tables(values).items()}
    made["caution"] = CAUTION if "(`--short`)" in (pages / SCALE).read_text(encoding="utf-8") else ""
    units = {line.name: line.unit for line in LINES}

    def value_of(match: re.Match[str]) -> str:
        if match[1] in made:
            return made[match[1]]
        return short(computed(values, float(match[2] or 1))[match[1]], units.get(match[1], ""))

    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\{\{(\w+)(?::(\d+))?\}\}", value_of, prose))


def write_page() -> None:
    """Write the page."""
    (PAGES / PAGE).write_text(page_of(PROSE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_page()
