"""Times of a crash: by the client's clock, else by when the report was received."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.crash_stacks import frames, raw, state

from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.processing import Processed, Settings, Walked, process
from missioncontrol.crashes.signature import Signatures

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
SETTINGS = Settings(load_fields(), Signatures())
RECEIVED_S = 1_795_168_800


def run(**annotations: Any) -> Processed:
    return process(raw(**annotations), {}, SETTINGS, processed_at=NOW)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param(
            {"CrashTime": "1000000", "StartupTime": "999000", "InstallTime": "900000", "SecondsSinceLastCrash": "77"},
            {"crash_time": 1_000_000, "client_crash_date": "1970-01-12T13:46:40+00:00", "uptime": 1000,
             "install_age": 100_000, "last_crash": 77},
            id="all there",
        ),
        pytest.param({}, {"crash_time": RECEIVED_S, "client_crash_date": "2026-11-20T10:00:00+00:00"}, id="none there"),
        pytest.param({"CrashTime": "1000", "StartupTime": "2000"}, {"uptime": 0}, id="started after the crash"),
        pytest.param({"CrashTime": "1000", "InstallTime": "2000"}, {"install_age": -1000}, id="clock set back"),
        pytest.param({"UptimeTS": "12.75"}, {"uptime": 12}, id="uptime by the other clock"),
        pytest.param({"CrashTime": "1763632000123"}, {"crash_time": 1_763_632_000}, id="milliseconds"),
    ],
)  # fmt: skip
def test_times(annotations: dict[str, str], expected: dict[str, Any]) -> None:
    processed = run(**annotations)
    assert {key: processed.document.get(key) for key in expected} == expected
    assert processed.notes == ("StackSignature: no crashing thread identified",)


@pytest.mark.parametrize("value", ["-5", "999999999999999999", "soon", "", "1e400"])
def test_a_crash_time_that_is_none_is_noted_and_the_receipt_counts(value: str) -> None:
    processed = run(CrashTime=value)
    assert processed.document["crash_time"] == RECEIVED_S
    assert "rash" in processed.notes[0] and (not value or value not in processed.document["processor_notes"])


@pytest.mark.parametrize("value", ["", "yesterday", "2026-13-01", 5])
def test_without_a_time_of_receipt_the_time_of_processing_counts(value: Any) -> None:
    processed = run(submitted_timestamp=value)
    assert processed.document["date_processed"] == NOW.isoformat()
    assert "submitted_timestamp: no time" in processed.notes


@pytest.mark.parametrize(
    "value", ["2026-11-20T12:00:00+02:00", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00"]
)
def test_times_of_receipt_are_utc(value: str) -> None:
    assert run(submitted_timestamp=value).document["date_processed"] == "2026-11-20T10:00:00+00:00"


def test_the_dump_tells_the_uptime_where_no_annotation_does() -> None:
    walked = {"upload_file_minidump": Walked(state(frames("a"), process_uptime=42))}
    assert process(raw(), walked, SETTINGS, processed_at=NOW).document["uptime"] == 42
