"""Stacks of C, C++ and Rust: which frames make the signature, and how a frame is written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.crash_stacks import document, frame, state

from missioncontrol.crashes.signature import Signatures

SIGNATURES = Signatures()


def general(*functions: str, **other: Any) -> str:
    return SIGNATURES.generate(document(*functions, **other), "general").signature


def one(made: dict[str, Any], profile: str = "general", os: str = "Linux") -> str:
    stack = {"json_dump": state([made], os=os), "crashing_thread": 0}
    return SIGNATURES.generate(stack, profile).signature


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        pytest.param(
            ["otter::Den::sleep(int)", "main"], "otter::Den::sleep", id="the first that says something"
        ),
        pytest.param(
            ["__pthread_kill_implementation", "raise", "abort", "otter_fail", "main"],
            "otter_fail",
            id="linux abort",
        ),
        pytest.param(
            ["__GI_raise", "__GI_abort", "__assert_fail_base", "__assert_fail", "Den::dig", "main"],
            "__assert_fail | Den::dig",
            id="assertion",
        ),
        pytest.param(
            ["memcpy", "std::vector<int>::push_back(int&&)", "Den::fill(char*)"],
            "memcpy | std::vector<T>::push_back | Den::fill",
            id="prefixes go on",
        ),
        pytest.param(
            ["abort", "demangling_terminate_handler()", "std::terminate()", "__cxa_throw", "Den::open()"],
            "__cxa_throw | Den::open",
            id="uncaught exception",
        ),
        pytest.param(
            ["RtlReportFatalFailure", "RtlpHeapHandleError", "RtlFreeHeap", "_free_base", "Den::drop"],
            "RtlReportFatalFailure",
            id="heap of Windows stops at what is not on a list",
        ),
        pytest.param(
            ["RtlFreeHeap", "_free_base", "Den::drop"], "RtlFreeHeap | _free_base | Den::drop", id="heap"
        ),
        pytest.param(
            ["__pthread_kill", "pthread_kill", "abort", "objc_exception_throw", "-[Den dig:]"],
            "objc_exception_throw | -[Den dig:]",
            id="objective-c",
        ),
        pytest.param(["raise", "abort"], "raise", id="all irrelevant: the first stands"),
        pytest.param(
            ["base::debug::BreakDebugger()", "logging::CheckError::~CheckError()", "content::Shell::Go()"],
            "logging::CheckError::~CheckError | content::Shell::Go",
            id="electron check",
        ),
        pytest.param(["dig", "dig", "dig", "main"], "dig", id="repeated"),
        pytest.param(
            ["free", "free", "free", "Den::drop"], "free | Den::drop", id="repeated prefix counts once"
        ),
    ],
)
def test_frames_that_make_the_signature(functions: list[str], expected: str) -> None:
    assert general(*functions) == expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("static void * Den<Fur<int> >::dig(unsigned __int64)", "Den<T>::dig"),
        ("Den::dig(std::map<int, int> const&) const &", "Den::dig"),
        ("`anonymous namespace'::dig", "(anonymous namespace)::dig"),
        ("Den::dig(int) [clone .cold.12]", "Den::dig"),
        ("std::ostream& operator<< <char>(std::ostream&, char)", "operator<<<T>"),
        ("bool Den::operator<(Den const&) const", "Den::operator<"),
        ("Den::operator<=>(Den const&)", "Den::operator<=>"),
        ("Den::operator->()", "Den::operator->"),
        ("Den::operator()(int)", "Den::operator()"),
    ],
)
def test_a_function_of_cpp_without_types_and_arguments(function: str, expected: str) -> None:
    assert one(frame(function)) == expected


@pytest.mark.parametrize(
    "file", ["src/den.rs", "/build/src/den.rs", "c:\\src\\den.rs", "git:example.org/den:den.rs:1"]
)
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("otter::den::dig::h0123456789abcdef", "otter::den::dig"),
        ("otter::den::Den<T>::dig", "otter::den::Den<T>::dig"),
        ("<otter::Den as otter::Digs>::dig", "<otter::Den as otter::Digs>::dig"),
    ],
)
def test_a_function_of_rust(function: str, expected: str, file: str) -> None:
    assert one(frame(function, file=file, line=3)) == expected


def test_a_hash_of_rust_goes_even_where_the_file_is_not_known() -> None:
    assert one(frame("otter::den::dig::h0123456789abcdef", file=None)) == "otter::den::dig"


def test_a_panic_of_rust_is_named_by_what_panicked() -> None:
    stack = [
        "rust_panic",
        "std::panicking::begin_panic_handler",
        "rust_begin_unwind",
        "core::panicking::panic_fmt",
    ]
    assert general(*stack, "core::result::unwrap_failed", "otter::den::dig", "main") == (
        "core::panicking::panic_fmt | core::result::unwrap_failed | otter::den::dig"
    )


@pytest.mark.parametrize(
    ("made", "os", "expected"),
    [
        ({"file": "/src/den.c", "line": 12, "module": "otter"}, "Linux", "den.c#12"),
        ({"file": "c:\\src\\den.c", "line": 12}, "Windows NT", "den.c#12"),
        ({"module": "Otter.DLL", "module_offset": "0x10", "offset": "0x20"}, "Windows NT", "otter.dll"),
        ({"module": "Otter.DLL"}, "Linux", "Otter.DLL"),
        ({"offset": "0x00000000000a0f"}, "Linux", "@0xa0f"),
        (
            {"unloaded_modules": [{"module": "gone.dll", "offsets": ["0x1"]}]},
            "Windows NT",
            "(unloaded gone.dll)",
        ),
        ({}, "Linux", "EMPTY: no frame data available"),
    ],
)
def test_a_frame_without_a_function(made: dict[str, Any], os: str, expected: str) -> None:
    assert one(made, os=os) == expected


@pytest.mark.parametrize(
    "function", ["core::Engine::run", "alloc::Pool::take", "log::Sink::write", "Ntp::ask", "CoDriver::go"]
)
def test_namespaces_that_applications_use_too_end_a_signature(function: str) -> None:
    assert general(function, "main") == function


def test_code_that_was_unloaded_is_named_with_its_caller() -> None:
    stack = [{"unloaded_modules": [{"module": "gone.dll"}]}, frame("Den::dig")]
    named = SIGNATURES.generate({"json_dump": state(stack, os="Windows NT")}, "general")
    assert named.signature == "(unloaded gone.dll) | Den::dig"


def test_without_symbols_of_the_system_the_own_module_is_named() -> None:
    stack = [
        {"module": "libc.so.6"},
        {"module": "libstdc++.so.6.0.33"},
        {"module": "otter"},
        {"module": "libc.so.6"},
    ]
    named = SIGNATURES.generate({"json_dump": state(stack)}, "general")
    assert named.signature == "libc.so.6 | libstdc++.so.6.0.33 | otter"


def test_inlined_functions_are_frames_of_their_own() -> None:
    inlined = frame("Den::dig", inlines=[{"function": "Den::claw()", "file": "a.h", "line": 2}])
    named = SIGNATURES.generate({"json_dump": state([inlined]), "crashing_thread": 0}, "general")
    assert named.signature == "Den::claw"
    assert named.proto_signature == "Den::claw | Den::dig"


def test_only_the_top_forty_frames_are_looked_at() -> None:
    named = SIGNATURES.generate(document(*[f"std::f{i}" for i in range(100)]), "general")
    assert len(named.normalized_frames) == 40


def test_the_crashing_thread_is_the_one_that_is_named() -> None:
    dump = state([frame("idle")], [frame("Den::dig")], crashing_thread=1)
    assert SIGNATURES.generate({"json_dump": dump, "crashing_thread": 1}).signature == "Den::dig"


def test_a_function_that_siggen_cannot_write_stands_as_it_is() -> None:
    assert general("const") == "const"


def test_a_very_long_function_takes_no_time_to_speak_of() -> None:
    assert len(general("<>" * 1_000_000)) <= 255
    assert len(general("Den::dig" + "<Fur" * 300_000)) <= 255


def test_malformed_frames_do_not_hide_the_others() -> None:
    dump = state([frame("abort"), "no frame", {"function": {"x": 1}}, frame("Den::dig")])  # type: ignore[list-item]
    assert SIGNATURES.generate({"json_dump": dump}).signature == "Den::dig"


def test_the_firefox_profile_walks_by_siggens_own_lists() -> None:
    stack = document("mozalloc_abort", "abort", "style::go")
    assert SIGNATURES.generate(stack, "firefox").signature == "abort | style::go"
    assert SIGNATURES.generate(stack, "general").signature == "mozalloc_abort"
