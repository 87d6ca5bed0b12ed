"""Whatever a client sends ends in a document: what was wrong becomes a note, without its value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.crash_stacks import frames, raw, state

from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.processing import Processed, Settings, Walked, process, runner
from missioncontrol.crashes.processing.model import Crash
from missioncontrol.crashes.signature import Signatures

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
SETTINGS = Settings(load_fields(), Signatures())
ANNOTATIONS = sorted({name for field in SETTINGS.fields for name in field.annotation})


def run(report: dict[str, Any], *walked: Walked) -> Processed:
    names = ("upload_file_minidump", "upload_file_minidump_other")
    processed = process(report, dict(zip(names, walked, strict=False)), SETTINGS, processed_at=NOW)
    assert 1 <= len(processed.signature) <= 255
    assert all(" " <= char <= "~" for char in processed.signature)
    assert not any("failed" in note for note in processed.notes), processed.notes
    profile = SETTINGS.profile(processed.document.get("product"))
    assert SETTINGS.signatures.explain(processed.document, profile).signature.signature == processed.signature
    SETTINGS.fields.processed_public(processed.document)
    return processed


def test_bytes_that_are_no_text_are_taken_out() -> None:
    processed = run(raw(Comments="a\0b", **{"No\0tes": "x\ud800y", "Gone": None}))
    assert processed.document["user_comments"] == "ab"
    assert processed.document["app_notes"] == "x\ufffdy"
    assert "2 annotations" in processed.notes[0]
    assert "Gone" not in processed.document["crash_report_keys"]
    msgspec.json.encode(processed.document)


def test_ten_thousand_annotations() -> None:
    processed = run(raw(**{f"Own{i}": "x" for i in range(10_000)}))
    assert len(processed.document["crash_report_keys"]) == 1000
    assert processed.notes[0].startswith("10005 annotations")


@pytest.mark.parametrize(
    "name", ["Comments", "InstallTime", "TelemetryEnvironment", "AbortMessage", "JavaStackTrace", "Unheard"]
)
def test_values_of_20_megabytes(name: str) -> None:
    processed = run(raw(**{name: "7" * 20_000_000}), Walked(state(frames("Den::dig"))))
    assert len(msgspec.json.encode(processed.document)) < 1_000_000
    assert bool(processed.notes) == (name != "Unheard")


@pytest.mark.parametrize("name", ["Add-ons", "UtilityActorsName", "Accessibility", "DistributionID"])
def test_values_of_20_megabytes_that_rules_take_apart(name: str) -> None:
    processed = run(raw("Firefox", **{name: "a," * 10_000_000}))
    assert len(processed.document.get("addons", [])) <= 1000
    assert len(msgspec.json.encode(processed.document)) < 3_000_000


@pytest.mark.parametrize("name", ANNOTATIONS)
@pytest.mark.parametrize("product", ["Otter", "Firefox"])
def test_any_annotation_may_be_nonsense(name: str, product: str) -> None:
    for value in (
        "",
        "\0",
        "{",
        "[[[[",
        "-1",
        "NaN",
        "9" * 30,
        "\u2603",
        5,
        1.5,
        True,
        [],
        {},
        [{}],
        {"a": [None]},
    ):
        processed = run(raw(product) | {name: value}, Walked(state(frames("Den::dig"))))
        assert "snow" not in processed.document["processor_notes"]


def test_a_rule_that_fails_is_noted_by_class_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_rule(crash: Crash) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(runner, "GENERAL_RULES", (broken_rule, *runner.GENERAL_RULES))
    walked = {"upload_file_minidump": Walked(state(frames("Den::dig")))}
    processed = process(raw(), walked, SETTINGS, processed_at=NOW)
    assert processed.notes == ("broken_rule: failed: KeyError",)
    assert processed.signature == "Den::dig" and processed.document["success"] is True


def test_a_lookup_that_fails_does_not_stop_the_processing() -> None:
    def look_up(product: str, channel: str, build: str) -> str | None:
        raise OSError("no server")

    asking = msgspec.structs.replace(SETTINGS, release_version=look_up)
    processed = process(raw("Firefox", ReleaseChannel="beta"), {}, asking, processed_at=NOW)
    assert processed.notes[0] == "rewrite_beta_version: failed: OSError"
    assert processed.document["product"] == "Firefox"


def test_very_many_notes_are_cut() -> None:
    crash = Crash(raw(), {}, SETTINGS, NOW)
    for number in range(300):
        crash.note(str(number))
    assert len(crash.notes) == 101 and crash.notes[-1] == "and 200 notes more"


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["OK", "Linux", "Windows NT", "0x10", "a.B: c\n\tat d.E.f(E.kt:1)", "RunWatchdog", "null-pointer"]
    )
)
KEYS = (
    st.sampled_from(
        [
            "status", "crash_info", "type", "address", "adjusted_address", "kind", "crashing_thread", "threads_index",
            "system_info", "os", "os_ver", "cpu_count", "threads", "thread_name", "last_error_value", "frames", "frame",
            "module", "function", "file", "line", "inlines", "unloaded_modules", "modules", "filename", "debug_id",
            "missing_symbols", "symbol_url", "main_module", "soft_errors", "mac_crash_info", "possible_bit_flips",
            "confidence", "memory_accesses", "crash_inconsistencies", "process_uptime", "lsb_release", "thread_count",
        ]
    )
    | st.text(max_size=5)
)  # fmt: skip
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
RAW_KEYS = st.sampled_from(
    [*ANNOTATIONS, "uuid", "submitted_timestamp", "metadata", "Add-ons", "Breadcrumbs"]
) | st.text(max_size=5)
check: Callable[..., Any] = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@check
@given(
    st.dictionaries(RAW_KEYS, JSON, max_size=8),
    st.dictionaries(KEYS, JSON, max_size=8),
    st.sampled_from(["Otter", "Firefox", "Fenix"]),
)
def test_any_json_as_raw_crash_and_state(report: dict[str, Any], dump: dict[str, Any], product: str) -> None:
    walked = Walked(dump)
    run(report | {"ProductName": product}, walked, walked)
    run(report, walked)


@check
@given(JSON, st.text(max_size=30), st.text(max_size=30))
def test_any_result_of_the_stackwalker(dump: Any, error: str, detail: str) -> None:
    run(raw(), Walked(dump if isinstance(dump, dict) else None, error, detail))
