"""A raw crash and the stackwalker's JSON become a document with Socorro's field names."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.support.crash_stacks import CRASH_ID, frame, frames, raw, state

from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.processing import Processed, Settings, Walked, process, regenerate
from missioncontrol.crashes.signature import Signatures

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
SETTINGS = Settings(load_fields(), Signatures())
MAIN = "upload_file_minidump"


def run(report: dict[str, Any] | None = None, *dumps: dict[str, Any], **other: Any) -> Processed:
    names = [MAIN, *(f"{MAIN}_{i}" for i in range(1, len(dumps)))]
    walked = {name: Walked(dump) for name, dump in zip(names, dumps, strict=False)}
    return process(report or raw(), walked, SETTINGS, processed_at=NOW, **other)


def test_a_crash_with_a_dump() -> None:
    dump = state(frames("idle"), frames("abort", "Den::dig", "main"), crashing_thread=1)
    processed = run(raw(URL="http://x", Comments="broke", CrashTime="1763632000"), dump)
    document = processed.document
    assert processed.signature == document["signature"] == "Den::dig"
    assert processed.notes == ()
    expected = {
        "uuid": CRASH_ID,
        "crash_id": CRASH_ID,
        "product": "Otter",
        "version": "3.4.1",
        "major_version": 3,
        "build": "20261118093000",
        "release_channel": "release",
        "date_processed": "2026-11-20T10:00:00.250000+00:00",
        "completed_datetime": "2026-11-20T10:05:00+00:00",
        "proto_signature": "abort | Den::dig | main:7",
        "reason": "SIGSEGV / SEGV_MAPERR",
        "address": "0x0000000000000010",
        "crashing_thread": 1,
        "crashing_thread_name": "thread 1",
        "process_type": "parent",
        "report_type": "crash",
        "os_name": "Linux",
        "os_version": "6.1.0",
        "cpu_arch": "amd64",
        "cpu_info": "family 6 model 142 stepping 10",
        "cpu_count": 8,
        "thread_count": 2,
        "topmost_filenames": "src/den.cpp",
        "modules_in_stack": "otter/A1B2",
        "main_module": "otter",
        "mdsw_status_string": "OK",
        "minidump_sha256_hash": "ab" * 32,
        "throttle_rate": 100,
        "url": "http://x",
        "user_comments": "broke",
        "json_dump": dump,
        "processor_notes": "",
        "processor_history": [],
        "success": True,
    }
    assert {key: document.get(key) for key in expected} == expected
    assert document["crash_report_keys"] == sorted(
        ["BuildID", "Comments", "CrashTime", "ProductName", "ReleaseChannel", "URL", "Version", MAIN]
    )


def test_all_files_of_a_report_are_among_its_names() -> None:
    sums = {MAIN: "ab" * 32, "memory_report": "cd" * 32, "upload_file_minidump_content": "ef" * 32}
    report = raw(metadata={"dump_checksums": sums})
    assert set(sums) < set(run(report, state(frames("a"))).document["crash_report_keys"])
    assert "memory_report" not in run(raw(), state(frames("a"))).document["crash_report_keys"]


def test_the_same_input_gives_the_same_and_stays_as_it_was() -> None:
    report, dump = raw(Hang="ui"), state([frame(f"f{i}") for i in range(600)])
    dump["modules"][0]["symbol_url"] = "https://symbols.example.org/a.sym?key=1"
    before = copy.deepcopy((report, dump))
    first = run(report, dump)
    assert run(report, dump) == first
    assert (report, dump) == before
    assert first.document["report_type"] == "hang"


def test_every_field_of_a_document_is_declared() -> None:
    declared = {field.place.split(".")[0] for field in SETTINGS.fields}
    assert set(run(raw(), state(frames("a"))).document) <= declared


@pytest.mark.parametrize("error", ["MissingThreadList", "EmptyMinidump", "Timeout"])
def test_a_dump_that_could_not_be_read_ends_with_a_signature_that_says_so(error: str) -> None:
    walked = {MAIN: Walked(None, error, "bytes at 0x20: /home/me/secret")}
    processed = process(raw(), walked, SETTINGS, processed_at=NOW)
    assert processed.signature == f"EMPTY: no crashing thread identified; {error}"
    assert processed.document["mdsw_status_string"] == error
    assert processed.document["json_dump"] == {}
    assert processed.document["success"] is True
    assert "secret" not in processed.document["processor_notes"]
    assert "mdsw_detail" not in SETTINGS.fields.processed_public(processed.document)


def test_a_report_without_a_dump_is_processed_too() -> None:
    processed = run()
    assert processed.signature == "EMPTY: no crashing thread identified"
    assert "json_dump" not in processed.document and "mdsw_status_string" not in processed.document


def test_further_dumps_have_an_object_each() -> None:
    main, gpu = state(frames("Den::dig")), state(frames("Gpu::draw"))
    walked = {
        f"{MAIN}_gpu": Walked(gpu),
        MAIN: Walked(main),
        f"{MAIN}_broken": Walked(None, "MissingSystemInfo"),
        "odd": Walked(gpu),
    }
    document = process(raw(), walked, SETTINGS, processed_at=NOW).document
    assert document["json_dump"] == main
    assert list(document["additional_minidumps"]) == ["odd", f"{MAIN}_broken", f"{MAIN}_gpu"]
    assert document["additional_minidumps"][f"{MAIN}_gpu"] == {"json_dump": gpu, "mdsw_status_string": "OK"}
    assert document[f"{MAIN}_gpu"]["json_dump"] == gpu
    assert document[f"{MAIN}_broken"]["mdsw_status_string"] == "MissingSystemInfo"
    assert "odd" not in document, "only names of dumps stand beside the fields"


def test_without_a_main_dump_another_stands_in() -> None:
    processed = process(raw(), {"minidump": Walked(state(frames("Den::dig")))}, SETTINGS, processed_at=NOW)
    assert processed.signature == "Den::dig"
    assert "stands in" in processed.notes[0]


def test_long_stacks_are_cut_in_the_middle() -> None:
    stack = [frame(f"f{i}") for i in range(2000)]
    processed = run(None, state(stack, frames("short")))
    cut = processed.document["json_dump"]["threads"][0]["frames"]
    assert len(cut) == 500
    assert (cut[0], cut[249], cut[251], cut[-1]) == (stack[0], stack[249], stack[-249], stack[-1])
    assert cut[250]["truncated"]["frames"] == 2000 - 499
    assert processed.document["json_dump"]["threads"][1]["frames"] == frames("short")
    assert "500 frames" in processed.document["processor_notes"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@symbols.example.org/a/b.sym?key=1#x", "https://symbols.example.org/a/b.sym"),
        ("http://localhost:8000/a.sym", None),
        ("http://127.0.0.1/a.sym", None),
        ("file:///var/symbols/a.sym", None),
        ("http://[bad/a.sym", None),
    ],
)
def test_addresses_of_symbols_show_nothing_of_this_installation(url: str, shown: str | None) -> None:
    dump = state(frames("a"))
    dump["modules"] = [{"filename": "otter", "symbol_url": url}, {"filename": "other"}, 5]
    modules = run(None, dump).document["json_dump"]["modules"]
    assert modules == [{"filename": "otter", "symbol_url": shown}, {"filename": "other"}, 5]


@pytest.mark.parametrize(
    ("info", "address"),
    [
        ({"address": "0x10"}, "0x10"),
        ({"address": "0x10", "adjusted_address": {"kind": "null-pointer", "offset": "0x8"}}, "0x8"),
        ({"address": "0x10", "adjusted_address": {"kind": "non-canonical", "address": "0xffff0"}}, "0xffff0"),
        ({"address": "0x10", "adjusted_address": {"kind": "other"}}, "0x10"),
        ({"address": 16}, None),
    ],
)
def test_the_address_is_the_one_that_the_crash_is_about(info: dict[str, Any], address: str | None) -> None:
    assert run(None, {**state(frames("a")), "crash_info": info}).document.get("address") == address


def test_what_else_the_stackwalker_found() -> None:
    dump = state(
        frames("a"), soft_errors=[{"type": "x"}], mac_boot_args="-v", mac_crash_info={"num_records": 1}
    )
    dump["crash_info"] |= {
        "possible_bit_flips": [{"confidence": 0.25}, {"confidence": 0.5}, {}],
        "crash_inconsistencies": ["int_div_by_zero_not_possible"],
        "memory_accesses": [{"address": "0x1"}, {"is_likely_guard_page": True}],
        "assertion": "depth > 0",
    }
    dump["threads"][0]["last_error_value"] = "ERROR_FILE_NOT_FOUND"
    dump["modules"].append(
        {"filename": "lib.so", "debug_id": "D1", "missing_symbols": True, "version": None, "code_id": "c1"}
    )
    document = run(None, dump).document
    expected = {
        "possible_bit_flips_max_confidence": 50,
        "crash_inconsistencies": ["int_div_by_zero_not_possible"],
        "has_guard_page_access": True,
        "assertion": "depth > 0",
        "last_error_value": "ERROR_FILE_NOT_FOUND",
        "missing_symbols": "lib.so/None/D1/c1",
        "soft_errors": [{"type": "x"}],
        "mac_boot_args": "-v",
        "mac_crash_info": {"num_records": 1},
    }
    assert {key: document.get(key) for key in expected} == expected


def test_symbols_that_were_there_and_could_not_be_used_are_told_from_missing_ones() -> None:
    lost = {"version": None, "missing_symbols": True, "debug_id": "D1"}
    dump = state(frames("a"))
    dump["modules"] = [
        {**lost, "filename": "gone.so"},
        {**lost, "filename": "large.so", "debug_id": "D2", "code_id": "c2"},
        {**lost, "filename": "cut.so", "debug_id": "D3", "missing_symbols": False},
        {"filename": "idle.so", "debug_id": "D4"},
    ]
    symbols = {("gone.so", "D1"): "missing", ("large.so", "D2"): "too_large", ("cut.so", "D3"): "corrupt"}
    walked = {MAIN: Walked(dump, symbols=symbols)}
    document = process(raw(), walked, SETTINGS, processed_at=NOW).document
    assert document["missing_symbols"] == "gone.so/None/D1"
    assert document["unusable_symbols"] == "corrupt:cut.so/None/D3;too_large:large.so/None/D2/c2"
    statuses = [m.get("symbol_status") for m in document["json_dump"]["modules"]]
    assert statuses == ["missing", "too_large", "corrupt", None]
    assert "symbol_status" not in dump["modules"][0]


def test_very_many_soft_errors_are_left_out() -> None:
    processed = run(None, state(frames("a"), soft_errors=["x" * 100] * 100))
    assert "soft_errors" not in processed.document and "soft_errors" in processed.notes[0]


def test_the_file_of_the_top_frame_is_without_repository_and_revision() -> None:
    inlined = frame(
        "a", file=None, inlines=[{"function": "b", "file": "hg:example.org/den:src/a.cpp:12ab", "line": 1}]
    )
    assert run(None, state([inlined])).document["topmost_filenames"] == "src/a.cpp"


def test_earlier_notes_become_history() -> None:
    first = run(raw(InstallTime="never"), state(frames("a")))
    second = run(None, state(frames("a")), earlier=first.document)
    assert first.notes == ("InstallTime: no integer",)
    assert second.document["processor_history"] == ["InstallTime: no integer"]
    third = run(None, state(frames("a")), earlier=second.document)
    assert third.document["processor_history"] == ["InstallTime: no integer"]


def test_a_signature_is_made_anew_without_the_rest() -> None:
    first = run(raw("Firefox"), state(frames("Den::hang"), frames("RunWatchdog"), crashing_thread=1))
    assert first.signature == "shutdownhang | Den::hang" and first.document["crashing_thread"] == 0
    old = first.document | {"signature": "of other lists"}
    again = regenerate(old, SETTINGS, processed_at=NOW)
    assert again.signature == "shutdownhang | Den::hang"
    assert again.document | {"processor_notes": "", "processor_history": []} == first.document | {
        "processor_notes": "",
        "processor_history": [],
    }
    assert old["signature"] == "of other lists"


def test_products_choose_their_profile() -> None:
    settings = msgspec.structs.replace(SETTINGS, profiles={"Otter": "firefox", "default": "general"})
    report = raw(ipc_channel_error="ShutDownKill")
    walked = {MAIN: Walked(state(frames("Den::dig")))}
    assert process(report, walked, settings, processed_at=NOW).signature == "IPCError-content | ShutDownKill"
    assert process(report, walked, SETTINGS, processed_at=NOW).signature == "Den::dig"


def test_java_keeps_its_messages_for_those_with_the_scope() -> None:
    trace = "a.Oops: my secret\n\tat the secret place\n\tat org.otter.Den.dig(Den.kt:4)\nCaused by: a.B: secret\n\t... 3 more"
    processed = run(raw(JavaStackTrace=trace))
    assert processed.signature == "a.Oops: at org.otter.Den.dig(Den.kt)"
    public = SETTINGS.fields.processed_public(processed.document)
    assert (
        public["java_stack_trace"] == "a.Oops\n\tat org.otter.Den.dig(Den.kt:4)\nCaused by: a.B\n\t... 3 more"
    )
    assert "secret" not in str(public)
    assert processed.document["java_stack_trace_raw"] == trace


def test_java_exceptions_keep_their_messages_for_those_with_the_scope() -> None:
    value = {
        "type": "Oops",
        "module": "org.otter",
        "value": "my secret",
        "stacktrace": {
            "frames": [
                {"module": "org.otter.Den", "function": "dig", "filename": "Den.kt", "lineno": 4, "x": 1}
            ]
        },
    }
    report = raw(JavaException=msgspec.json.encode({"exception": {"values": [value]}}).decode())
    processed = run(report)
    assert processed.signature == "org.otter.Oops: at org.otter.Den.dig(Den.kt)"
    public = SETTINGS.fields.processed_public(processed.document)
    assert "secret" not in str(public)
    frames_ = public["java_exception"]["exception"]["values"][0]["stacktrace"]["frames"]
    assert frames_ == [{"module": "org.otter.Den", "function": "dig", "filename": "Den.kt", "lineno": 4}]


@pytest.mark.parametrize("crumbs", ['[{"a": 1}]', '{"values": [{"a": 1}]}', [{"a": 1}]])
def test_breadcrumbs(crumbs: Any) -> None:
    assert run(raw(Breadcrumbs=crumbs)).document["breadcrumbs"] == [{"a": 1}]


@pytest.mark.parametrize("crumbs", ["[1]", "{", "7", "null", '{"values": 3}', 5])
def test_breadcrumbs_that_are_none(crumbs: Any) -> None:
    processed = run(raw(Breadcrumbs=crumbs))
    assert "breadcrumbs" not in processed.document and processed.notes[0].startswith("Breadcrumbs")


@pytest.mark.parametrize(
    ("version", "sent", "channel"),
    [
        ("2.4.0-beta.1", None, "beta"),
        ("2.4.0-RC1", "", "rc"),
        ("v1.2-alpha", None, "alpha"),
        ("2.4.0-nightly.20261126+abc", None, "nightly"),
        ("2.4.0-beta.1", "insiders", "insiders"),
        ("2.4.0", None, None),
        ("2.4.0-betamax", None, None),
        ("2.4.0-3", None, None),
    ],
)
def test_a_pre_release_tells_the_channel_where_the_client_does_not(
    version: str, sent: str | None, channel: str | None
) -> None:
    assert run(raw(Version=version, ReleaseChannel=sent)).document.get("release_channel") == channel


def test_of_an_electron_application_the_platform_is_electron() -> None:
    electron = {
        "_productName": "Notes",
        "_version": "2.3.1",
        "_companyName": "ACME",
        "prod": "Electron",
        "ver": "33.2.0",
    }
    sent = raw(ProductName=None, Version=None, Vendor=None, **electron)
    document = run(sent).document
    found = {k: document.get(k) for k in ("product", "version", "vendor", "platform_version")}
    assert found == {"product": "Notes", "version": "2.3.1", "vendor": "ACME", "platform_version": "33.2.0"}
    assert "platform_version" not in run(raw(prod="Pad", ver="9")).document
    assert run(raw(PlatformVersion="1", **electron)).document["platform_version"] == "1"
