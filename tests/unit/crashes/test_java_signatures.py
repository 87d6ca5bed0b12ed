"""Stack traces of Java and Kotlin, and exceptions in frames."""

from __future__ import annotations

from typing import Any

import pytest

from missioncontrol.crashes.signature import Signatures
from missioncontrol.crashes.signature.java import normalise_frame

SIGNATURES = Signatures()

ANDROID = """java.lang.RuntimeException
\tat android.app.ActivityThread.performLaunchActivity(ActivityThread.java:3449)
\tat android.os.Handler.dispatchMessage(Handler.java:106)
Caused by: java.lang.IllegalStateException
\tat kotlin.internal.ir.RuntimeExceptionsKt.throwNow(RuntimeExceptions.kt:9)
\tat org.otter.Den.sleep$lambda$3(Den.kt:45)
\t... 2 more"""


def named(profile: str = "general", **crash: Any) -> str:
    return SIGNATURES.generate(crash, profile).signature


def exception(*frames: dict[str, Any], **stack: Any) -> dict[str, Any]:
    return {"exception": {"values": [{"stacktrace": {"frames": list(frames), **stack}}]}}


def test_the_first_frame_that_says_something_names_the_crash_with_its_exception() -> None:
    assert (
        named(java_stack_trace=ANDROID)
        == "java.lang.IllegalStateException: at org.otter.Den.sleep$lambda$(Den.kt)"
    )


def test_where_all_frames_are_the_platforms_the_top_one_stands() -> None:
    top = "\n".join(ANDROID.splitlines()[:3])
    assert named(java_stack_trace=top) == (
        "java.lang.RuntimeException: at android.app.ActivityThread.performLaunchActivity(ActivityThread.java)"
    )


def test_the_firefox_profile_names_as_siggen_does() -> None:
    trace = "java.lang.RuntimeException: Den@0a1b2c3d is full\n\tat org.otter.Den.fill(Den.java:12)"
    assert named("firefox", java_stack_trace=trace) == (
        "java.lang.RuntimeException: Den@<addr> is full at org.otter.Den.fill(Den.java)"
    )


def test_long_messages_are_dropped() -> None:
    trace = f"a.B: {'long ' * 100}\n\tat org.otter.Den.fill(Den.java:12)"
    assert named(java_stack_trace=trace) == "a.B: at org.otter.Den.fill(Den.java)"


def test_a_message_of_several_lines_is_no_frame() -> None:
    trace = "a.B: one\ntwo\nthree\n\tat org.otter.Den.fill(Den.kt:12)"
    assert named(java_stack_trace=trace) == "a.B: one at org.otter.Den.fill(Den.kt)"


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("org.otter.Den.dig(Den.kt:4)", "org.otter.Den.dig(Den.kt)"),
        ("org.otter.Den.dig(Native Method)", "org.otter.Den.dig(Native Method)"),
        ("org.otter.Den.dig(Unknown Source:12)", "org.otter.Den.dig(Unknown Source)"),
        ("org.otter.Den$$ExternalSyntheticLambda7.run(D8$$SyntheticClass:0)",
         "org.otter.Den$$ExternalSyntheticLambda.run(D8$$SyntheticClass)"),
        ("org.otter.Den$$Lambda$12/0x00a1.run(Den.java:1)", "org.otter.Den$$Lambda$.run(Den.java)"),
    ],
)  # fmt: skip
def test_frames_lose_what_changes_from_build_to_build(frame: str, expected: str) -> None:
    assert normalise_frame(frame) == expected


@pytest.mark.parametrize("profile", ["general", "firefox"])
@pytest.mark.parametrize(
    ("crash", "expected"),
    [
        (
            {"java_exception": exception(
                {"module": "org.otter.Den", "function": "dig", "filename": "Den.kt"}, type="Oops", module="org.otter")},
            "org.otter.Oops: at org.otter.Den.dig(Den.kt)",
        ),
        ({"java_exception": exception(type="Oops")}, "Oops"),
        ({"java_exception": {"exception": {"values": [{"type": "Oops", "module": "a", "stacktrace": {"frames": []}}]}}},
         "a.Oops"),
        ({"java_exception": {"x": 1}}, "EMPTY: Java exception not in expected format"),
        ({"java_stack_trace_raw": "nonsense"}, "EMPTY: Java stack trace not in expected format"),
    ],
)  # fmt: skip
def test_exceptions_in_frames(profile: str, crash: dict[str, Any], expected: str) -> None:
    assert named(profile, **crash) == expected
