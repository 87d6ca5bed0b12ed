"""Why a crash is called what it is called: what became of each frame, by which line, and what the rules made of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siggen.generator import SignatureGenerator
from tests.support.crash_stacks import document, frames, state

from missioncontrol.crashes.signature import Explanation, Signatures
from missioncontrol.crashes.signature.lists import load_lists

SIGNATURES = Signatures()
SIGGEN = SignatureGenerator()


def decisions(explanation: Explanation) -> list[tuple[str, str]]:
    return [(step.name, step.decision) for step in explanation.frames]


def test_each_frame_says_what_was_decided_and_by_which_line() -> None:
    stack = document("raise", "memcpy", "memcpy", "Den::dig(int)", "main", oom_allocation_size=1_000_000)
    explanation = SIGNATURES.explain(stack)
    assert decisions(explanation) == [
        ("raise", "skipped"),
        ("memcpy", "added, went on"),
        ("memcpy", "repeated"),
        ("Den::dig", "added, stopped"),
        ("main:7", "not reached"),
    ]
    first, second = explanation.frames[:2]
    assert first.list == "irrelevant" and first.where.startswith("general/irrelevant.txt:")
    assert second.list == "prefix" and second.pattern in load_lists("general").prefix.names
    assert [(r.rule, r.after) for r in explanation.rules] == [
        ("StackSignature", "memcpy | Den::dig"),
        ("OOMSignature", "OOM | large | memcpy | Den::dig"),
    ]
    assert explanation.signature == SIGNATURES.generate(stack)
    assert explanation.steps == [*explanation.frames, *explanation.rules]


def test_a_sentinel_says_that_it_is_one() -> None:
    explanation = SIGNATURES.explain(document("odd", "core::panicking::panic", "Den::dig"))
    above = explanation.frames[0]
    assert (above.decision, above.list, above.pattern) == (
        "above the sentinel",
        "sentinels",
        "core::panicking::panic",
    )


def test_a_shutdown_hang_explains_the_thread_that_hung() -> None:
    dump = state(frames("Den::hang"), frames("RunWatchdog"), crashing_thread=1)
    explanation = SIGNATURES.explain({"json_dump": dump}, "firefox")
    assert decisions(explanation) == [("Den::hang", "added, stopped")]
    assert "WatchDog" in [rule.rule for rule in explanation.rules]


def test_a_java_trace_is_explained_frame_by_frame() -> None:
    trace = "a.B\n\tat java.util.X.y(X.java:1)\n\tat org.otter.Den.dig(Den.kt:2)\n\tat org.otter.Main.go(Main.kt:1)"
    assert decisions(SIGNATURES.explain({"java_stack_trace": trace})) == [
        ("java.util.X.y(X.java)", "skipped"),
        ("org.otter.Den.dig(Den.kt)", "added, stopped"),
        ("org.otter.Main.go(Main.kt)", "not reached"),
    ]


@pytest.mark.parametrize(
    "stack", [{}, {"java_stack_trace_raw": "x"}, {"java_exception": {}}, {"json_dump": state([])}]
)
def test_nothing_to_explain_is_no_failure(stack: dict[str, Any]) -> None:
    explanation = SIGNATURES.explain(stack)
    assert explanation.frames == () and explanation.signature.signature.startswith("EMPTY")


NAMES = st.sampled_from(
    [
        "raise", "abort", "memcpy", "std::move", "Den::dig", "main", "", "<name omitted>", "core::panicking::panic",
        "__assert_fail", "libx.so", "XUL", "mozalloc_abort", "free", "RunWatchdog", "core::result::unwrap_failed",
        "@0x1", "alloc::alloc::handle_alloc_error",
    ]
)  # fmt: skip


@given(st.lists(NAMES, max_size=12), st.sampled_from(["general", "firefox"]))
def test_the_explanation_agrees_with_siggens_walk(names: list[str], profile: str) -> None:
    walker = SIGNATURES.engine(profile).walker
    signature, _ = walker.name_native(names, 0)
    added = [step.name for step in walker.trace_native(names) if step.decision.startswith("added")]
    assert (" | ".join(added) or "EMPTY: no frame data available") == (
        signature or "EMPTY: no frame data available"
    )


@given(
    st.lists(NAMES, max_size=12),
    st.fixed_dictionaries(
        {},
        optional={
            "abort_message": st.sampled_from(["fell in", "###!!! ABORT: x: file y.cpp"]),
            "oom_allocation_size": st.sampled_from([1, 300_000]),
            "ipc_channel_error": st.just("ShutDownKill"),
            "reason": st.sampled_from(["SIGSEGV", "EXCEPTION_STACK_OVERFLOW", "STATUS_NO_MEMORY"]),
            "async_shutdown_timeout": st.just('{"phase": "x"}'),
        },
    ),
)
def test_the_firefox_profile_names_as_siggen_itself_does(names: list[str], other: dict[str, Any]) -> None:
    """Where siggen gives a name at all: a top frame without one makes it give none."""
    job = {
        "crashing_thread": 0,
        "threads": [{"frames": [{"function": name} for name in names if name]}],
        **other,
    }
    ours = SIGNATURES.from_crash_data({"jobs": [job]})["results"][0]["signature"]
    assert ours == SIGGEN.generate(job).signature
