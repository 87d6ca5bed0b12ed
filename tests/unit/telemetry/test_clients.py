"""Who is counted in client_aggregates: clients of counted pings by the hour, and those with at least one of a measure."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.lake import merged, rows
from tests.support.pings import BUILD_ID, baseline_ping, crash_ping, main_ping
from tests.unit.telemetry.test_stream import entry, installation, streamed_tables

from missioncontrol.lake.sketches import estimate


def counts(entries: list[Any]) -> dict[str, dict[str, float]]:
    """Hour and application -> column -> distinct ids."""
    with installation(4) as (config, log, writer):
        streamed_tables(config, log, writer, entries)
        found: dict[str, dict[str, float]] = {}
        for row in rows(config.lake_path, "client_aggregates"):
            assert row["build_id"] == BUILD_ID
        for key, sketches in merged(config.lake_path, "client_aggregates").items():
            values = dict(key)
            place = f"{values['window_start']:%H} {values['application']}"
            found[place] = {name: estimate([s]).value for name, s in sketches.items()}
        return found


def client(number: int) -> dict[str, str]:
    return {"clientId": f"00000000-0000-4000-8000-{number:012d}"}


def test_clients_and_sessions_are_counted_by_the_hour() -> None:
    pings = [
        entry(main_ping(**client(n % 3), payload__info__sessionId=f"s{n}"), n, after_s=1200 * n)
        for n in range(6)
    ]
    found = counts(pings)
    assert {k: (v["clients"], v["sessions"]) for k, v in found.items()} == {
        "12 Firefox": (3, 3),
        "13 Firefox": (3, 3),
    }


def test_affected_are_those_with_at_least_one() -> None:
    pings = [
        entry(main_ping(**client(1)), 1),
        entry(main_ping(**client(2), payload__keyedHistograms={}), 2),
        *(entry(crash_ping("main", **client(2), payload__sessionId="s"), n, "crash") for n in range(3, 6)),
        entry(crash_ping("content", **client(3)), 6, "crash"),
    ]
    [found] = counts(pings).values()
    assert found["clients"] == 3
    assert found["main_crashes_clients"] == 1
    assert found["main_crashes_sessions"] == 1
    assert found["content_crashes_clients"] == 1
    assert found["plugin_crashes_clients"] == 1
    assert "content_shutdown_crashes_clients" not in found


@pytest.mark.parametrize("odd", [None, "", 5, [], "c0ffeec0-ffee-c0ff-eec0-ffeec0ffeec0", "é" * 8, "x" * 300])
def test_a_ping_without_a_usable_client_is_counted_but_its_client_is_not(odd: Any) -> None:
    with installation() as (config, log, writer):
        streamed_tables(config, log, writer, [entry(main_ping(clientId=odd), 1)])
        assert rows(config.lake_path, "client_aggregates") == []
        assert sum(s["count"] for s in merged(config.lake_path, "error_aggregates").values()) == 1


def test_glean_clients_are_counted_too() -> None:
    ids = {"client_info__client_id": "a-client", "client_info__session_id": "a-session"}
    [found] = counts([entry(baseline_ping(60, **ids), n, "baseline") for n in range(2)]).values()
    assert (found["clients"], found["sessions"]) == (1, 1)


def test_of_discarded_pings_nobody_is_counted() -> None:
    assert counts([entry(main_ping(1.5, **client(1)), 1)]) == {}
