"""Debian's firefox-esr, pointed at the server by its settings alone, is in the aggregates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.support.firefox import Build, Firefox
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.apt

EXPERIMENT, BRANCH = "a-real-experiment", "treatment"
ARRIVAL_TIMEOUT_S = 60.0


class Sent(msgspec.Struct, frozen=True):
    """A server to which a Firefox has sent all that it had in two sessions."""

    server: RunningServer
    build: Build


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    folder = tmp_path_factory.mktemp("firefox")
    with running_server(folder) as server:
        firefox = Firefox(folder, server.port)
        with firefox.session() as session:
            session.enrol(EXPERIMENT, BRANCH)
            wait_for(server, "telemetry/new-profile", "firefox-desktop/baseline")
        with firefox.session() as session:
            wait_for(server, "telemetry/main", "firefox-desktop/baseline", "firefox-desktop/baseline")
            session.withdraw_consent()
            wait_for(server, "telemetry/deletion-request", "firefox-desktop/deletion-request")
        server.settle()
        yield Sent(server, firefox.build)


def wait_for(server: RunningServer, *kinds: str) -> None:
    """Wait until pings of these kinds (namespace/type), as often as each is named, are in the lake."""

    def arrived() -> bool:
        found = server.sql("SELECT namespace || '/' || document_type AS kind FROM pings")
        there = [row["kind"] for row in found]
        return all(there.count(kind) >= kinds.count(kind) for kind in kinds)

    server.wait_until(arrived, ARRIVAL_TIMEOUT_S, pause_s=0.5)


def total(
    server: RunningServer, application: str, measures: list[str], dimensions: list[str]
) -> dict[str, Any]:
    """What the API says of an application, added up over the windows; its dimensions must not differ."""
    answer = server.get(
        "/api/aggregates/", application=application, measurements=measures, dimensions=dimensions
    )
    assert answer.status_code == 200, answer.text
    rows = answer.json()["results"]
    keys = {tuple(row[d] for d in dimensions) for row in rows}
    assert len(keys) == 1, rows
    sums = {m: sum(row[m] for row in rows if row[m] is not None) for m in measures}
    return dict(zip(dimensions, keys.pop(), strict=True)) | sums


def test_its_main_ping_is_in_the_aggregates_with_its_usage(sent: Sent) -> None:
    row = total(
        sent.server,
        "Firefox",
        ["ping_count", "usage_hours"],
        ["application", "channel", "version", "display_version", "build_id", "os_name"],
    )
    assert row.pop("ping_count") >= 1
    assert 0 < row.pop("usage_hours") < 1
    assert row == {
        "application": "Firefox",
        "channel": "esr",
        "version": sent.build.version,
        "display_version": f"{sent.build.version}esr",
        "build_id": sent.build.build_id,
        "os_name": "Linux",
    }


def test_its_glean_baseline_pings_are_in_the_aggregates_with_their_usage(sent: Sent) -> None:
    row = total(
        sent.server,
        "firefox-desktop",
        ["count", "usage_hours"],
        ["channel", "version", "build_id", "os_name"],
    )
    assert row.pop("count") >= 2
    assert 0 < row.pop("usage_hours") < 1
    # Glean knows only the version that is shown to users.
    assert row == {
        "channel": "esr",
        "version": f"{sent.build.version}esr",
        "build_id": sent.build.build_id,
        "os_name": "Linux",
    }


@pytest.mark.parametrize("application", ["Firefox", "firefox-desktop"])
def test_its_usage_is_counted_for_the_experiment_that_it_takes_part_in(sent: Sent, application: str) -> None:
    rows = sent.server.sql(
        "SELECT experiment_id, experiment_branch, sum(usage_hours) AS usage_hours FROM experiment_aggregates "
        f"WHERE application = '{application}' GROUP BY 1, 2"
    )
    assert [(row["experiment_id"], row["experiment_branch"]) for row in rows] == [(EXPERIMENT, BRANCH)]
    assert rows[0]["usage_hours"] > 0


def test_its_usage_is_placed_in_the_time_of_its_sessions(sent: Sent) -> None:
    usage = "SELECT application, sum(usage_hours) AS usage_hours FROM {} WHERE usage_hours > 0 GROUP BY 1 ORDER BY 1"
    placed = sent.server.sql(usage.format("usage_by_activity"))
    assert placed == sent.server.sql(usage.format("error_aggregates"))
    assert [row["application"] for row in placed] == ["Firefox", "firefox-desktop"]


def test_nothing_that_it_sends_is_refused_and_what_is_not_declared_is_counted_as_such(sent: Sent) -> None:
    kept = sent.server.sql("SELECT discarded, count(*) AS pings FROM pings GROUP BY 1 ORDER BY 1 NULLS FIRST")
    counted, undeclared = kept
    assert (counted["discarded"], undeclared["discarded"]) == (None, "document_type")
    discards = sent.server.sql("SELECT reason, sum(count) AS pings FROM discards GROUP BY 1")
    assert discards == [{"reason": "document_type", "pings": undeclared["pings"]}]
    totals = sent.server.sql("SELECT sum(count) AS pings FROM error_aggregates")
    assert totals == [{"pings": counted["pings"]}]


def test_its_requests_for_deletion_are_kept_for_whoever_has_to_act_on_them(sent: Sent) -> None:
    found = sent.server.sql(
        "SELECT namespace, discarded FROM pings WHERE document_type = 'deletion-request' ORDER BY 1"
    )
    assert found == [
        {"namespace": "firefox-desktop", "discarded": "document_type"},
        {"namespace": "telemetry", "discarded": "document_type"},
    ]


DIALECTS = {
    "duckdb": "SELECT dimensions['channel'] AS channel, sum(usage_hours) AS hours FROM crash_aggregates GROUP BY 1",
    "presto": "SELECT dimensions['channel'] AS channel, sum(stats['usage_hours']) AS hours FROM crash_aggregates"
    " WHERE regexp_like(dimensions['build_id'], '^\\d{14}$')"
    " AND submission_date > date_format(date_add('day', -3, now()), '%Y-%m-%d') GROUP BY dimensions['channel']",
    "postgres": "SELECT dimensions->>'channel' AS channel, sum((stats->>'usage_hours')::float) AS hours FROM crash_aggregates"
    " WHERE submission_date > now() - interval '3 days' GROUP BY 1",
}
"""The same question as people ask it in each dialect."""


@pytest.fixture(scope="module")
def made_again(sent: Sent) -> RunningServer:
    """The server after every day was made again from what Firefox sent."""
    days = ("--min-submission-date", "2020-01-01", "--max-submission-date", "2099-12-31")
    sent.server.run("backfill", "--table", "all", *days)
    return sent.server


def test_its_archived_pings_make_the_same_days_again(sent: Sent, made_again: RunningServer) -> None:
    counted = made_again.sql("SELECT sum(count) AS n FROM error_aggregates")
    assert counted == made_again.sql("SELECT count(*) AS n FROM pings WHERE discarded IS NULL")
    [found] = made_again.sql(
        "SELECT sum(ping_count) AS mains, min(activity_date) = max(activity_date) AS one FROM aggregates"
    )
    assert found["mains"] == made_again.sql("SELECT sum(ping_count) AS n FROM error_aggregates")[0]["n"]
    people = made_again.sql(
        "SELECT distinct_count(clients) AS n FROM client_aggregates WHERE application = 'Firefox'"
    )
    assert people == [{"n": 1.0}]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_its_usage_is_found_in_each_dialect(made_again: RunningServer, dialect: str) -> None:
    answer = made_again.run("sql", "--format", "json", "--dialect", dialect, DIALECTS[dialect])
    [row] = json.loads(answer.stdout)
    assert row["channel"] == "esr"
    [usage] = made_again.sql(
        "SELECT sum(usage_hours) AS hours FROM error_aggregates WHERE application = 'Firefox'"
    )
    assert row["hours"] == pytest.approx(usage["hours"])
