"""Part 5: 48 hours at 5 minutes out of a month, against Spark. `python bench/query_48h.py [--quick]`."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aggregate_lake
from figures import Part, figure, publish, quantile, ratio
from missioncontrol.config import load_config
from missioncontrol.query.aggregates import parse_aggregate_query
from missioncontrol.services import Services
from processes import free_port, server
from workspace import SEED, Sizes, product, scratch, sizes_from, spark

Question = dict[str, str]
Answer = tuple[int, int, float]
"""Rows, crashes and hours in all."""
SPARK_WARM_UP = 3


def questions(sizes: Sizes) -> list[Question]:
    """Two days somewhere in the month, of one channel and operating system; the largest most often."""
    rng = random.Random(SEED)
    first_day = aggregate_lake.LAST_DAY - timedelta(days=sizes.aggregate_days - 1)
    begin = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
    asked = []
    for _ in range(sizes.queries):
        first = begin + timedelta(seconds=300 * rng.randrange((sizes.aggregate_days - 2) * 288))
        last = first + timedelta(hours=48) - timedelta(seconds=300)
        asked.append(
            {
                "channel": rng.choice(["release", "release", "beta", "nightly"]),
                "os_name": rng.choice(["Windows_NT", "Windows_NT", "Darwin"]),
                "first": f"{first:%Y-%m-%d %H:%M:%S}",
                "last": f"{last:%Y-%m-%d %H:%M:%S}",
                "first_day": f"{first:%Y-%m-%d}",
                "last_day": f"{last:%Y-%m-%d}",
            }
        )
    return asked


def pairs(question: Question) -> list[tuple[str, str]]:
    """The question as parameters of /api/aggregates/."""
    times = [question[end].replace(" ", "T") + "Z" for end in ("first", "last")]
    return [
        *(("measurements", m) for m in ("main_crashes", "usage_hours")),
        ("dimensions", "version"),
        ("channel", question["channel"]),
        ("os_name", question["os_name"]),
        *(("window_start", t) for t in times),
    ]


def timed(asked: list[Question], ask: Callable[[Question], Answer]) -> tuple[list[float], list[Answer]]:
    """Milliseconds and answers; the first question is asked twice, and counts the second time."""
    ask(asked[0])
    milliseconds, answers = [], []
    for question in asked:
        started = time.perf_counter()
        answers.append(ask(question))
        milliseconds.append((time.perf_counter() - started) * 1000)
    return milliseconds, answers


def over_http(data: Path, asked: list[Question]) -> tuple[list[float], list[Answer]]:
    port = free_port()
    with server(product(data, "serve", "--port", str(port), "--only", "web"), port, "/"):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        texts: list[bytes] = []

        def ask(question: Question) -> Answer:
            connection.request("GET", "/api/aggregates/?" + urlencode(pairs(question)))
            texts.append(connection.getresponse().read())
            return (0, 0, 0.0)

        milliseconds, _ = timed(asked, ask)
    rows = [json.loads(text)["results"] for text in texts[1:]]
    return milliseconds, [
        (len(r), sum(x["main_crashes"] or 0 for x in r), sum(x["usage_hours"] for x in r)) for r in rows
    ]


def by_engine(data: Path, asked: list[Question]) -> tuple[list[float], list[Answer]]:
    services = Services(load_config(data, environ={}))

    def ask(question: Question) -> Answer:
        query = parse_aggregate_query(
            pairs(question), services.registry(), services.config.query, "predecessor"
        )
        count, crashes, hours = 0, 0, 0.0
        with services.engine.aggregate(query) as rows:
            names = [column.name for column in rows.columns]
            main, usage = names.index("main_crashes"), names.index("usage_hours")
            for batch in rows.batches():
                count += len(batch)
                crashes += sum(row[main] or 0 for row in batch)
                hours += sum(row[usage] for row in batch)
        return count, crashes, hours

    found = timed(asked, ask)
    services.close()
    return found


def measure(sizes: Sizes) -> Part:
    data = aggregate_lake.make(sizes)
    asked = questions(sizes)
    table = str(data / "lake" / "error_aggregates")
    http_ms: list[float] = []
    engine_ms: list[float] = []
    plain_ms: list[float] = []
    spark_ms: list[float] = []
    with scratch() as folder:
        # The same files without rollups, through links: nothing else is different.
        bare = folder / "bare"
        bare.mkdir()
        (bare / "lake").symlink_to(data / "lake")
        few = asked[: max(6, len(asked) // 4)]
        for _ in range(sizes.rounds):
            answer = spark("spark_query.py", {"table": table, "questions": [*few[:SPARK_WARM_UP], *few]})
            spark_ms += [s * 1000 for s in answer["seconds"][SPARK_WARM_UP:]]
            expected = answer["sums"][SPARK_WARM_UP:]
            for milliseconds, ask, where in (
                (http_ms, over_http, data),
                (engine_ms, by_engine, data),
                (plain_ms, by_engine, bare),
            ):
                took, answers = ask(where, asked)
                milliseconds += took
                require_equal(answers, expected)
            shutil.rmtree(bare / "cache", ignore_errors=True)
    return Part(
        "query_48h",
        "48 hours out of a month",
        f"{sizes.aggregate_rows:,} rows of error aggregates, {sizes.aggregate_days} days, one Parquet file a day; "
        "crashes and hours of one channel and operating system over 48 hours, by 5-minute window and version. "
        f"{len(asked)} questions with varying days, channels and systems, {sizes.rounds} times. Over HTTP: from the "
        "request to the last byte of the JSON. Spark `local[2]`: the same files, partition filter given, session warm. "
        "With rollups is how the product runs; without them it reads the very files that Spark reads.",
        [
            ratio(
                "over HTTP, with rollups, over Spark", median_of(spark_ms), median_of(http_ms), at_least=20
            ),
            ratio("engine, without rollups, over Spark", median_of(spark_ms), median_of(plain_ms)),
            figure("p95 over HTTP", [quantile(http_ms, 0.95)], "ms", at_most=50),
        ],
        [
            figure("over HTTP", http_ms, "ms"),
            figure("engine, with rollups", engine_ms, "ms"),
            figure("engine, without rollups", plain_ms, "ms"),
            figure("p95 engine, with rollups", [quantile(engine_ms, 0.95)], "ms"),
            figure("p95 engine, without rollups", [quantile(plain_ms, 0.95)], "ms"),
            figure("Spark", spark_ms, "ms"),
        ],
        "Rows, crashes and hours of each answer were the same on all sides.",
    )


def median_of(milliseconds: list[float]) -> list[float]:
    """The middle half of the runs: single slow answers say nothing of the ratio."""
    return [quantile(milliseconds, share) for share in (0.25, 0.5, 0.75)]


def require_equal(ours: list[Answer], theirs: list[list[Any]]) -> None:
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if tuple(one[:2]) != tuple(other[:2]) or abs(one[2] - other[2]) > 1e-6 * max(1.0, other[2]):
            raise SystemExit(f"Question {number}: {one} here, {other} on Spark.")


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
