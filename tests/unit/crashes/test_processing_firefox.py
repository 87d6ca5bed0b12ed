"""Rules for Mozilla's products, which other products are spared."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.support.crash_stacks import frames, raw, state

from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.processing import Settings, Walked, process
from missioncontrol.crashes.signature import Signatures

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
SETTINGS = Settings(load_fields(), Signatures())
ENVIRONMENT = {
    "partner": {"distributionId": "canonical"},
    "addons": {"theme": {"id": "dark@x", "name": "Dark"}},
}


def run(product: str = "Firefox", settings: Settings = SETTINGS, **annotations: Any) -> dict[str, Any]:
    walked = {"upload_file_minidump": Walked(state(frames("Den::dig")))}
    return process(raw(product, **annotations), walked, settings, processed_at=NOW).document


@pytest.mark.parametrize(
    ("annotations", "field", "expected"),
    [
        ({"Version": "Nightly 201231 06:01"}, "version", "0.0a1"),
        ({"Version": "140.5.0", "ReleaseChannel": "esr"}, "version", "140.5.0esr"),
        ({"Version": "140.5.0esr", "ReleaseChannel": "esr"}, "version", "140.5.0esr"),
        ({"Version": "140.5.0"}, "version", "140.5.0"),
        ({"Version": "140.5.0"}, "major_version", 140),
        ({"SubmittedFrom": "Client"}, "submitted_from", "Client"),
        ({"SubmittedFromInfobar": "true"}, "submitted_from", "Infobar"),
        ({}, "submitted_from", "Unknown"),
        ({"Accessibility": "Active"}, "accessibility", "Active"),
        ({"Add-ons": "a%40b:1.0,c%3Ad,%E2%9C%93:2"}, "addons", ["a@b:1.0", "c:d", "\u2713:2"]),
        ({"Add-ons": "nameless"}, "addons", ["nameless:NO_VERSION"]),
        ({"TelemetryEnvironment": json.dumps(ENVIRONMENT)}, "theme", "Dark"),
        ({"TelemetryEnvironment": json.dumps(ENVIRONMENT)}, "distribution_id", "canonical"),
        ({"TelemetryEnvironment": '{"partner": {"distributionId": null}}'}, "distribution_id", "mozilla"),
        ({"TelemetryEnvironment": "no json"}, "distribution_id", "unknown"),
        ({"DistributionID": "mint"}, "distribution_id", "mint"),
        (
            {"UtilityActorsName": "audio-decoder, js-oracle"},
            "utility_actors_name",
            ["audio-decoder", "js-oracle"],
        ),
        ({"MozCrashReason": "MOZ_RELEASE_ASSERT(x)"}, "moz_crash_reason", "MOZ_RELEASE_ASSERT(x)"),
        (
            {"MozCrashReason": "byte index 7 is not a char boundary of `secret`"},
            "moz_crash_reason",
            "byte index (the rest is protected)",
        ),
        ({"ipc_channel_error": "ShutDownKill"}, "report_type", "hang"),
        ({"AsyncShutdownTimeout": '{"phase": "x"}'}, "report_type", "hang"),
        ({}, "report_type", "crash"),
    ],
)
def test_rules(annotations: dict[str, str], field: str, expected: Any) -> None:
    assert run(**annotations)[field] == expected


def test_the_shutdown_watchdog_makes_a_hang_of_thread_0() -> None:
    dump = state(frames("Den::hang"), frames("RunWatchdog"), crashing_thread=1)
    document = process(
        raw("Firefox"), {"upload_file_minidump": Walked(dump)}, SETTINGS, processed_at=NOW
    ).document
    assert document["report_type"] == "hang" and document["signature"] == "shutdownhang | Den::hang"
    assert (document["crashing_thread"], document["crashing_thread_name"]) == (0, "thread 0")


@pytest.mark.parametrize(
    ("published", "version"),
    [({("Firefox", "beta", "20261118093000"): "146.0b3"}, "146.0b3"), ({}, "146.0b0")],
)
def test_betas_are_told_apart_by_their_build(
    published: dict[tuple[str, str, str], str], version: str
) -> None:
    def look_up(product: str, channel: str, build: str) -> str | None:
        return published.get((product, channel, build))

    settings = msgspec.structs.replace(SETTINGS, release_version=look_up)
    assert run(settings=settings, Version="146.0", ReleaseChannel="beta")["version"] == version
    assert run(settings=settings, Version="146.0", ReleaseChannel="release")["version"] == "146.0"
    assert run(settings=settings, Version="146.0b9", ReleaseChannel="beta")["version"] == "146.0b9"
    assert run(Version="146.0", ReleaseChannel="beta")["version"] == "146.0"
    focus = process(
        raw("Focus", Version="146.0", ReleaseChannel="beta"), {}, settings, processed_at=NOW
    ).document
    assert focus["version"] == "146.0"


def test_other_products_keep_what_they_send() -> None:
    document = run(
        "Otter", Version="140.5.0", ReleaseChannel="esr", MozCrashReason="x", ipc_channel_error="y"
    )
    assert document["version"] == "140.5.0" and document["report_type"] == "crash"
    assert "submitted_from" not in document and "distribution_id" not in document


def memory_report(**other: Any) -> bytes:
    def one(path: str, amount: int, kind: int = 0, process: str = "Main Process (pid 77)") -> dict[str, Any]:
        return {"process": process, "path": path, "kind": kind, "units": 0, "amount": amount}

    reports = [
        one("explicit/images/a", 10, kind=1),
        one("explicit/heap-overhead/b", 5),
        one("heap-allocated", 100, kind=2),
        one("resident", 300, kind=2),
        one("resident", 999, kind=2, process="web (pid 777)"),
        one("ghost-windows", 2, kind=2),
    ]
    return gzip.compress(json.dumps({"version": 1, "reports": reports, **other}).encode(), mtime=0)


def with_memory(report: bytes, pid: int | None = 77, product: str = "Firefox") -> dict[str, Any]:
    walked = {"upload_file_minidump": Walked(state(frames("Den::dig"), pid=pid))}
    return process(raw(product), walked, SETTINGS, processed_at=NOW, memory_report=report).document


def test_a_memory_report_is_measured_for_the_process_that_crashed() -> None:
    assert with_memory(memory_report())["memory_measures"] == {
        "explicit": 105,
        "heap_allocated": 100,
        "heap_overhead": 5,
        "heap_unclassified": 90,
        "images": 10,
        "ghost_windows": 2,
        "resident": 300,
    }
    assert "memory_measures" not in with_memory(memory_report(), product="Otter")


@pytest.mark.parametrize(
    ("report", "pid", "problem"),
    [
        (b"", 77, "cut"),
        (b"nonsense", 77, "no gzipped JSON"),
        (memory_report()[:-20], 77, "cut"),
        (gzip.compress(b"[1", mtime=0), 77, "no gzipped JSON"),
        (gzip.compress(b" " * 30_000_000, mtime=0), 77, "too large"),
        (memory_report(reports=[5, {}]), 77, "not in it"),
        (memory_report(reports=7), 77, "no reports"),
        (memory_report(), 78, "not in it"),
        (memory_report(), None, "names no process"),
    ],
)
def test_a_memory_report_that_is_none_is_noted(report: bytes, pid: int | None, problem: str) -> None:
    document = with_memory(report, pid)
    assert "memory_measures" not in document
    assert (
        document["processor_notes"].startswith("memory_report: ") and problem in document["processor_notes"]
    )
