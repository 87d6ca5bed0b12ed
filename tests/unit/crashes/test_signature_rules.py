"""What reason, annotations and length make of a signature."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.crash_stacks import document, frames, state

from missioncontrol.crashes.signature import Signatures

SIGNATURES = Signatures()


def named(profile: str = "general", *functions: str, **other: Any) -> str:
    return SIGNATURES.generate(document(*(functions or ("Den::dig",)), **other), profile).signature


@pytest.mark.parametrize("profile", ["general", "firefox"])
@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"oom_allocation_size": 262_144}, "OOM | small"),
        ({"oom_allocation_size": 262_145}, "OOM | large | Den::dig"),
        ({"reason": "STATUS_NO_MEMORY"}, "OOM | unknown | Den::dig"),
        ({"js_large_allocation_failure": "Reporting"}, "OOM | large | Den::dig"),
        ({"reason": "EXCEPTION_STACK_OVERFLOW"}, "stackoverflow | Den::dig"),
        ({"reason": "EXCEPTION_IN_PAGE_ERROR_READ / STATUS_DEVICE_DATA_ERROR"}, "bad hardware | Den::dig"),
        ({"abort_message": "the den fell in"}, "Abort | the den fell in | Den::dig"),
        ({"abort_message": "x ###!!! ABORT: no room: file den.cpp:7"}, "Abort | no room | Den::dig"),
        ({"abort_message": "a" * 200}, f"Abort | {'a' * 77}... | Den::dig"),
        ({"hang": "ui"}, "hang: ui | Den::dig"),
        ({"mdsw_status_string": "OK"}, "Den::dig"),
    ],
)
def test_reasons_and_annotations(profile: str, other: dict[str, Any], expected: str) -> None:
    assert named(profile, **other) == expected


@pytest.mark.parametrize(
    ("function", "profile"),
    [
        ("NS_ABORT_OOM", "firefox"),
        ("alloc::alloc::handle_alloc_error", "general"),
        ("node::OOMErrorHandler", "general"),
        ("base::internal::OnNoMemoryInternal", "general"),
    ],
)
def test_functions_that_mean_out_of_memory(function: str, profile: str) -> None:
    assert named(profile, function, "Den::dig").startswith("OOM | unknown | ")


def test_out_of_memory_by_the_last_error_of_the_thread() -> None:
    stack = document("Den::dig")
    stack["json_dump"]["threads"][0]["last_error_value"] = "ERROR_NOT_ENOUGH_MEMORY"
    assert SIGNATURES.generate(stack).signature == "OOM | unknown | Den::dig"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"phase": "profile-before-change", "conditions": [{"name": "b"}, {"name": "a"}]},
            "AsyncShutdownTimeout | profile-before-change | a,b",
        ),
        ({"phase": "x", "conditions": ["one"]}, "AsyncShutdownTimeout | x | one"),
        ({"phase": "x"}, "AsyncShutdownTimeout | x | (none)"),
        ({"phase": "x", "conditions": 5}, "AsyncShutdownTimeout | x | (none)"),
        ({"phase": 1}, "AsyncShutdownTimeout | (unknown) | (none)"),
    ],
)
def test_shutdown_timeout(value: Any, expected: str) -> None:
    assert named("firefox", async_shutdown_timeout=json.dumps(value)) == expected


def test_shutdown_timeout_that_is_no_json() -> None:
    assert named("firefox", async_shutdown_timeout="{") == "AsyncShutdownTimeout | UNKNOWN"
    assert named("firefox", async_shutdown_timeout="[1]") == "AsyncShutdownTimeout | UNKNOWN"


def test_the_shutdown_watchdog_names_thread_0() -> None:
    watchdog = ["mozilla::(anonymous namespace)::RunWatchdog(void*)"]
    dump = state(frames("Den::hang"), frames(*watchdog), crashing_thread=1)
    stack = {"json_dump": dump, "crashing_thread": 1}
    assert SIGNATURES.generate(stack, "firefox").signature == "shutdownhang | Den::hang"
    assert (
        SIGNATURES.generate(stack | {"crashing_thread": 0}, "firefox").signature == "shutdownhang | Den::hang"
    )
    assert "shutdownhang" not in SIGNATURES.generate(stack, "general").signature


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"ipc_channel_error": "ShutDownKill"}, "IPCError-content | ShutDownKill"),
        (
            {
                "ipc_channel_error": "ShutDownKill",
                "additional_minidumps": {"upload_file_minidump_browser": {}},
            },
            "IPCError-browser | ShutDownKill",
        ),
        ({"ipc_message_name": "PDen::Dig"}, "Den::dig | IPC_Message_Name=PDen::Dig"),
    ],
)
def test_errors_between_processes(other: dict[str, Any], expected: str) -> None:
    assert named("firefox", **other) == expected
    assert named("general", **other) == "Den::dig"


def test_signatures_end_at_255_characters() -> None:
    signature = named("general", "Den::" + "d" * 400)
    assert len(signature) == 255 and signature.endswith("...")


@pytest.mark.parametrize("profile", ["general", "firefox"])
def test_only_printable_ascii_stays(profile: str) -> None:
    assert named(profile, "Den::h\u00f6hle\u0007\tdig") == "Den::hhle dig"
    assert named(profile, "\u6d1e\u7a74") == "EMPTY: no printable characters"
    assert named(profile, "Den::dig", abort_message="caf\u00e9\nclosed") == "Abort | cafclosed | Den::dig"


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ({}, "EMPTY: no crashing thread identified"),
        (
            {"mdsw_status_string": "MissingThreadList"},
            "EMPTY: no crashing thread identified; MissingThreadList",
        ),
        (
            {"mdsw_status_string": "EmptyMinidump", "json_dump": {}},
            "EMPTY: no crashing thread identified; EmptyMinidump",
        ),
        ({"json_dump": state(crashing_thread=None)}, "EMPTY: no crashing thread identified"),
        ({"json_dump": state([], crashing_thread=0)}, "EMPTY: no frame data available"),
        ({"json_dump": state(frames("a"), crashing_thread=5)}, "EMPTY: no frame data available"),
    ],
)
@pytest.mark.parametrize("profile", ["general", "firefox"])
def test_crashes_without_a_stack_say_why(profile: str, stack: dict[str, Any], expected: str) -> None:
    assert SIGNATURES.generate(stack, profile).signature == expected
