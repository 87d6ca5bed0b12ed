"""The aggregates against an independent reference: random odd pings go in, each row that comes out must be its.

Every column is compared, null is not 0, and what is not in a row must be in `discards` under the rule's own reason.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import oracle
from tests.support.form import installed
from tests.support.odd_pings import OddPings
from tests.support.oracle import Oracle, Row
from tests.support.server import SOURCES, running_server

Rows = dict[tuple[Any, ...], dict[str, Any]]

REASONS = {
    "no JSON": "not_json", "no meta": "no_meta", "duplicate": "duplicate", "document type": "document_type",
    "channel": "channel_dropped", "required": "missing_field", "submission date": "submission_date",
    "core os": "core_os", "no build": "build_id_missing", "build": "build_age", "process": "crash_process_type",
    "length": "subsession_length",
}  # fmt: skip
"""The oracle's names of rules, and the product's."""

DIMENSIONS = (*oracle.DIMENSIONS, "experiment_id", "experiment_branch")
EARLY_KEY = ("window_start", *oracle.DIMENSIONS)
V2_OF_ALL_TIMES = (
    f"SELECT {', '.join((*DIMENSIONS, *(f'sum({m}) AS {m}' for m in oracle.MEASURES)))}"
    f" FROM error_aggregates_v2 GROUP BY {', '.join(DIMENSIONS)}"
)
TABLES = (
    f"SELECT 'v2' AS source, {', '.join((*oracle.KEY, *oracle.MEASURES))} FROM error_aggregates_v2",
    f"SELECT 'early' AS source, {', '.join((*EARLY_KEY, *(f'sum({m}) AS {m}' for m in oracle.EARLY_MEASURES)))}"
    f" FROM error_aggregates WHERE application IN ('Firefox', 'Fennec') GROUP BY {', '.join(EARLY_KEY)}",
    "SELECT 'discards' AS source, reason, sum(count) AS n,"
    " CASE WHEN reason NOT IN ('not_json', 'no_meta') THEN window_start END AS window_start"
    " FROM discards GROUP BY ALL",
    "SELECT 'others' AS source, sum(count) AS n FROM error_aggregates WHERE application NOT IN ('Firefox', 'Fennec')",
)
DISCARDS_OF_ALL_TIMES = "SELECT reason, sum(count) AS n FROM discards GROUP BY reason"


class Product:
    """The installed command on a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
        own = {
            "PYTHONPATH": str(SOURCES),
            "MC_DATA": str(installed(folder / "data")),
            "MC_LAKE__ARCHIVE": "false",
        }
        self._environment = {**kept, **own}

    def run(self, *arguments: str) -> str:
        """What a command says on stdout; it must end with 0."""
        command = [sys.executable, "-m", "missioncontrol", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def take(self, *files: Sequence[bytes]) -> None:
        """Import some files at once."""
        paths = [self._folder / f"{number}.ndjson" for number in range(len(files))]
        for path, lines in zip(paths, files, strict=True):
            path.write_bytes(b"".join(line + b"\n" for line in lines))
        self.run("import", "pings", *map(str, paths))

    def sql(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("sql", "--format", "json", query))
        return found


def by_key(rows: Iterable[dict[str, Any]], key: Sequence[str]) -> Rows:
    """Rows by their key, which no two of them may share."""
    listed = list(rows)
    found = {tuple(row[name] for name in key): row for row in listed}
    assert len(found) == len(listed)
    return found


def assert_equal(found: Rows, expected: dict[tuple[Any, ...], Row]) -> None:
    """The same keys, and each measure null in both or the same number (hours to a billionth)."""
    assert found.keys() == expected.keys(), (
        f"missing {list(expected.keys() - found.keys())[:3]}, too many {list(found.keys() - expected.keys())[:3]}"
    )
    differences = [
        f"{key}: {name} is {found[key][name]}, expected {value}"
        for key, row in expected.items()
        for name, value in row.items()
        if not _is_same(found[key][name], value)
    ]
    assert not differences, "\n".join(differences[:10])


def _is_same(found: Any, expected: Any) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def read(product: Product) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables by name, in one query since starting a command is the slow part."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for row in product.sql(" UNION ALL BY NAME ".join(TABLES) + " ORDER BY ALL"):
        tables.setdefault(row["source"], []).append(row)
    return tables


def assert_agree(tables: dict[str, list[dict[str, Any]]], expected: Oracle) -> None:
    """All tables say what the reference says."""
    assert_equal(by_key(tables["v2"], oracle.KEY), expected.v2)
    early = {(key[0], *key[len(oracle.TIMES) :]): row for key, row in expected.early.items()}
    assert_equal(by_key(tables["early"], EARLY_KEY), early)
    discards = {(row["window_start"], row["reason"]): row["n"] for row in tables["discards"]}
    assert discards == {(window, REASONS[rule]): n for (window, rule), n in expected.discards.items()}
    assert [row["n"] for row in tables["others"]] == [expected.other_applications]


def assert_tells_something(expected: Oracle) -> None:
    """Every rule and every measure was met, and rows of several pings."""
    assert {rule for _, rule in expected.discards} == set(REASONS)
    for rows, names in ((expected.v2, oracle.MEASURES), (expected.early, oracle.EARLY_MEASURES)):
        reported = {name for row in rows.values() for name, value in row.items() if value}
        assert reported == set(names)
    assert max(row["count"] or 0 for row in expected.v2.values()) > 3


@pytest.mark.parametrize(
    ("seed", "day"),
    [
        (1, date(2018, 12, 31)),  # a new year within the windows, shorter months before
        (2, date(2026, 5, 15)),
        (3, date(2018, 2, 27)),  # builds of the 29th to 31st
    ],
)
def test_imported_pings_make_the_rows_of_the_reference(seed: int, day: date, tmp_path: Path) -> None:
    made, product, expected = OddPings(seed, day), Product(tmp_path), Oracle()
    first, second, third = (made.lines(400) for _ in range(3))
    product.take(first, second)
    expected.receive(first + second)
    product.run("lake", "compact")
    product.take(third)
    expected.receive(third)
    found = read(product)
    assert_agree(found, expected)
    product.run("lake", "compact")
    assert read(product) == found
    assert_tells_something(expected)


RAW_CHANNELS = {
    "release": "release", "esr": "esr", "aurora": "aurora", "nightly": "nightly", "beta": "beta", "betatest": "beta",
    "nightly-cck-partner": "nightly", "esr52": "Other", "Release": "Other", "default": "Other",
}  # fmt: skip


def submission(made: OddPings, number: int) -> tuple[str, bytes, bytes]:
    """(path, body, the line of `import pings` that says the same) of a ping, now and then with a broken body."""
    ping = made.ping()
    given = ping.pop("meta")
    channel = made.pick(list(RAW_CHANNELS))
    # The day of receipt is the server's own: a build at a border of the window would hang on the hour of the test.
    day = made.day - timedelta(days=made.pick((3, 40, 40, 400)))
    build_id = made.pick((f"{day:%Y%m%d}093000", f"{day:%Y%m%d}", f"{day:%Y%m%d}", "20180231", "unknown"))
    if given["appName"] == "Thunderbird":
        build_id = f"{made.day - timedelta(days=3):%Y%m%d}"
    if oracle.dig(ping, "environment", "build", "buildId") is not None:
        ping["environment"]["build"]["buildId"] = build_id
    meta = {
        "documentId": given["documentId"], "docType": given["docType"], "appName": given["appName"],
        "appVersion": given.get("appVersion") or "60.0", "appBuildId": build_id, "geoCountry": "??",
        "normalizedChannel": RAW_CHANNELS[channel], "submissionDate": f"{made.day:%Y%m%d}", "Timestamp": number,
    }  # fmt: skip
    parts = (*(meta[name] for name in ("documentId", "docType", "appName", "appVersion")), channel, build_id)
    path = f"/submit/telemetry/{'/'.join(parts)}?v=4"
    if meta["docType"] in ("main", "crash", "core") and made.chance(0.03):
        return path, b"{", b"{"
    return path, json.dumps(ping).encode(), json.dumps({**ping, "meta": meta}).encode()


def submissions(made: OddPings, number: int) -> list[tuple[str, bytes, bytes]]:
    """So many submissions; one in twenty is sent a second time."""
    sent = [submission(made, n) for n in range(number)]
    again = [s for s in sent if s[1] != b"{" and made.chance(0.05)]
    return sent + again


def test_pings_sent_over_http_make_the_rows_of_the_reference_whatever_the_window(tmp_path: Path) -> None:
    sent = submissions(OddPings(6, datetime.now(UTC).date()), 500)
    expected = Oracle()
    expected.receive(line for _, _, line in sent)
    reasons: Counter[str] = Counter()
    for (_, rule), n in expected.discards.items():
        reasons[rule] += n
    with running_server(tmp_path, MC_STREAM__MIN_INTERVAL_S="0.2") as server:
        with httpx.Client(base_url=server.url) as client:
            for path, body, _ in sent:
                assert client.post(path, content=body).status_code == 200
        server.settle()
        for _ in range(2):
            assert_equal(by_key(server.sql(V2_OF_ALL_TIMES), DIMENSIONS), oracle.without_times(expected.v2))
            found = {row["reason"]: row["n"] for row in server.sql(DISCARDS_OF_ALL_TIMES)}
            assert found == {REASONS[rule]: n for rule, n in reasons.items()}
            server.run("lake", "compact")
