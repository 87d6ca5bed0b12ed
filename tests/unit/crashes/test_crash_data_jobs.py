"""Crash data in siggen's shape, as the API CrashSignature takes it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siggen.generator import SignatureGenerator

from missioncontrol.crashes.signature import Signatures
from missioncontrol.errors import BadRequest

SIGNATURES = Signatures()
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def job(*functions: str, **other: Any) -> dict[str, Any]:
    return {"crashing_thread": 0, "threads": [{"frames": [{"function": f} for f in functions]}], **other}


def test_each_job_has_a_result_in_its_place() -> None:
    answer = SIGNATURES.from_crash_data({"jobs": [job("Den::dig(int)"), job("Fox::dig"), 7]})
    first, second, bad = answer["results"]
    assert first == {
        "signature": "Den::dig",
        "notes": [],
        "extra": {"proto_signature": "Den::dig", "normalized_frames": ["Den::dig"]},
    }
    assert second["signature"] == "Fox::dig"
    assert bad["notes"] and bad["signature"] == ""


def test_jobs_take_siggens_own_keys() -> None:
    jobs = [
        job("NS_ABORT_OOM", "Den::dig", oom_allocation_size=5),
        job(
            "Den::dig", ipc_channel_error="ShutDownKill", additional_minidumps="upload_file_minidump_browser"
        ),
        {"java_stack_trace": "a.B: c\n at d.E.f(E.java:4)"},
        {"mdsw_status_string": "EmptyMinidump"},
        {"threads": [{"frames": [{"function": "first"}]}]},
    ]
    assert [result["signature"] for result in SIGNATURES.from_crash_data({"jobs": jobs})["results"]] == [
        "OOM | small",
        "IPCError-browser | ShutDownKill",
        "a.B: c at d.E.f(E.java)",
        "EMPTY: no frame data available; EmptyMinidump",
        "first",
    ]


@pytest.mark.parametrize("job", [{}, {"threads": []}, {"crashing_thread": None}, {"crashing_thread": 3}])
def test_a_job_without_a_stack_is_named_as_siggen_names_it(job: dict[str, Any]) -> None:
    [result] = SIGNATURES.from_crash_data({"jobs": [job]})["results"]
    assert result["signature"] == SignatureGenerator().generate(job).signature


@pytest.mark.parametrize("body", [None, [], {}, {"jobs": []}, {"jobs": "x"}, {"job": [{}]}])
def test_no_jobs_is_refused(body: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        SIGNATURES.from_crash_data(body)
    assert caught.value.code == "no_jobs"


KEYS = st.sampled_from(
    [
        "threads", "crashing_thread", "reason", "os", "java_stack_trace", "java_exception", "abort_message", "hang",
        "oom_allocation_size", "async_shutdown_timeout", "ipc_channel_error", "ipc_message_name",
        "additional_minidumps", "mdsw_status_string", "js_large_allocation_failure",
    ]
)  # fmt: skip


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=6) | JSON, min_size=1, max_size=3))
def test_any_job_gives_a_result(jobs: list[Any]) -> None:
    results = SIGNATURES.from_crash_data({"jobs": jobs})["results"]
    assert len(results) == len(jobs)
    for result in results:
        assert len(result["signature"]) <= 255 and (result["signature"] or result["notes"])
        assert all(" " <= char <= "~" for char in result["signature"])
