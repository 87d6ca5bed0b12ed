"""Searches with three facets over a million crashes. `python bench/crash_search.py [--quick]`."""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import crash_lake
from crash_lake import BOOLS, CHANNELS, LAST_DAY, LOCALES, PRODUCTS, SYSTEMS, WORDS
from figures import Part, figure, publish, quantile
from processes import free_port, server
from workspace import SEED, Sizes, product, sizes_from

SEARCHES = 40
FACETS = (
    "signature", "version", "os_name", "product", "release_channel", "process_type", "reason", "cpu_arch", "build",
    "useragent_locale", "adapter_vendor_id", "moz_crash_reason", "startup_crash", "os_pretty_version", "cpu_info",
    "topmost_filenames", "address", "major_version", "theme", "uptime",
)  # fmt: skip
"""What is counted, in turn; `address` has a million values, `uptime` twenty thousand."""
WITHIN = (
    "_aggs.product=version",
    "_histogram.date=product",
    "_facets=_cardinality.install_time",
    "_facets=addons",
)
"""Every fourth search counts one of these in place of its third facet."""


class Question(NamedTuple):
    """A search, and its condition as SQL that was written by hand."""

    pairs: list[tuple[str, str]]
    where: str


def questions() -> list[Question]:
    """All days or some, of everything or of some product, channel, version, signature, ..."""
    rng = random.Random(SEED)
    return [question(rng, number) for number in range(SEARCHES)]


def question(rng: random.Random, number: int) -> Question:
    days = rng.choice((1, 3, 7, 7, 10))
    last = LAST_DAY - timedelta(days=rng.randrange(11 - days))
    first = last - timedelta(days=days - 1)
    after = last + timedelta(days=1)
    pairs = [("date", f">={first}"), ("date", f"<{after}")]
    where = [f"date >= TIMESTAMPTZ '{first} 00:00:00+00' AND date < TIMESTAMPTZ '{after} 00:00:00+00'"]
    name = rng.choice(WORDS)
    for pair, condition in rng.sample(
        [
            (("product", value := rng.choice(list(PRODUCTS))), f"product = '{value}'"),
            (("product", f"!{value}"), f"product IS DISTINCT FROM '{value}'"),
            (("release_channel", channel := rng.choice(list(CHANNELS))), f"release_channel = '{channel}'"),
            (("os_name", system := rng.choice(list(SYSTEMS))), f"os_name = '{system}'"),
            (("signature", f"~{name}::"), f"signature LIKE '%{name}::%'"),
            (("signature", f"!^{name}"), f"signature NOT LIKE '{name}%'"),
            (("signature", f"@.*{name}<T>::Do[0-9]+"), f"regexp_full_match(signature, '.*{name}<T>::Do[0-9]+')"),
            (("proto_signature", f"~{name}::js"), f"proto_signature LIKE '%{name}::js%'"),
            (("version", "145.0b"), "version LIKE '145.0b%'"),
            (("version", f"14{rng.randrange(2, 6)}.0.1"), ""),
            (("uptime", "<60"), "uptime < 60"),
            (("startup_crash", "__true__"), "startup_crash"),
            (("moz_crash_reason", "!__null__"), "moz_crash_reason IS NOT NULL"),
            (("oom_allocation_size", ">1000000"), "oom_allocation_size > 1000000"),
            (("useragent_locale", locale := rng.choice(LOCALES)), f"useragent_locale = '{locale}'"),
            (("addons", addon := addon_of(rng)), f"addons LIKE '%\"{addon}\"%'"),
            (("app_notes", f"app_notes {rng.randrange(20)}"), ""),
            ((rng.choice(BOOLS), "true"), ""),
        ],
        rng.choice((0, 1, 1, 2, 2, 3)),
    ):  # fmt: skip
        pairs.append(pair)
        where.append(condition or written(pair))
    facets = [("_facets", facet) for facet in rng.sample(FACETS, 3)]
    if number % 4 == 0:
        name, _, value = WITHIN[number // 4 % len(WITHIN)].partition("=")
        facets[2] = (name, value)
    return Question([*pairs, *facets], " AND ".join(where))


def addon_of(rng: random.Random) -> str:
    number = rng.randrange(300)
    return f"addon{number}@example.org:1.{number % 7}"


def written(pair: tuple[str, str]) -> str:
    name, value = pair
    if name == "version":
        return f"version = '{value}'"
    if name == "app_notes":
        number = value.rpartition(" ")[2]
        return f"regexp_matches(app_notes, '\\b{number}\\b')"
    return name


def measure(sizes: Sizes) -> Part:
    data = crash_lake.make(sizes, sizes.crashes)
    asked = questions()
    totals = by_hand(data, asked)
    once, again = [], []
    for _ in range(sizes.rounds):
        once += over_http(data, asked, totals)
        again += over_http(crash_lake.make_revised(sizes, sizes.crashes), asked, totals)
    return Part(
        "crash_search",
        "Searches of crashes",
        f"{sizes.crashes:,} processed crashes of {crash_lake.DAYS} days, the last one in {crash_lake.SMALL_COMMITS} "
        f"small files. {SEARCHES} different searches, {sizes.rounds} times: 0 to 3 conditions (equal, negated, "
        "contains, regular expression, range, word, list) over 1 to 10 days, each with three facets (of 2 to a million "
        "values; in a fourth an aggregation, histogram, cardinality or list) and the newest 100 crashes. Over HTTP, "
        "from the request to the last byte. Processed again: 1 % of the crashes of every day.",
        [figure("p95 over HTTP", [quantile(once, 0.95)], "ms", at_most=300)],
        [
            figure("over HTTP", once, "ms"),
            figure("p95 with crashes processed again", [quantile(again, 0.95)], "ms"),
            figure("with crashes processed again", again, "ms"),
        ],
        "The total of each search was that of a condition in SQL over the files, written by hand.",
    )


def over_http(data: Path, asked: list[Question], totals: list[int]) -> list[float]:
    """Milliseconds of each search; all are asked once before, which reads the files' footers."""
    port = free_port()
    milliseconds = []
    with server(product(data, "serve", "--port", str(port), "--only", "web"), port, "/"):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for counts in (False, True):
            for question, total in zip(asked, totals, strict=True):
                started = time.perf_counter()
                connection.request("GET", "/api/SuperSearch/?" + urlencode(question.pairs))
                response = connection.getresponse()
                body = response.read()
                took = (time.perf_counter() - started) * 1000
                answer = json.loads(body)
                if response.status != 200 or answer["total"] != total or len(answer["facets"]) < 3:
                    raise SystemExit(f"{question.pairs}: {total} by hand, {body[:300]!r}")
                if counts:
                    milliseconds.append(took)
                if counts and "--each" in sys.argv:
                    print(f"{took:6.0f} ms {total:9,} {question.pairs[2:]}", file=sys.stderr)
    return milliseconds


def by_hand(data: Path, asked: list[Question]) -> list[int]:
    import duckdb

    files = [str(path) for path in (data / "lake" / "crashes").glob("submission_date=*/*.parquet")]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    rows = connection.from_parquet(files)
    return [int(rows.filter(q.where).aggregate("count(*)").fetchall()[0][0]) for q in asked]


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
