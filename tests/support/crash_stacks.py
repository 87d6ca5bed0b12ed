"""Small builders of raw crashes and of the stackwalker's JSON, all made up."""

from __future__ import annotations

from typing import Any

CRASH_ID = "2f6c1d8e-0b3a-4c57-9d11-7ab0c0261120"


def frame(function: str | None = None, **other: Any) -> dict[str, Any]:
    """A frame; a `file` that is not given is one of C++ where there is a function."""
    made = {"function": function, "module": "otter", "trust": "cfi", "offset": "0x7f0000001000", **other}
    if function and "file" not in other:
        made |= {"file": "src/den.cpp", "line": 7}
    return made


def frames(*functions: str) -> list[dict[str, Any]]:
    """Frames of functions, the top one first."""
    return [{**frame(function), "frame": index} for index, function in enumerate(functions)]


def state(
    *threads: list[dict[str, Any]],
    crashing_thread: int | None = 0,
    reason: str = "SIGSEGV / SEGV_MAPERR",
    os: str = "Linux",
    **other: Any,
) -> dict[str, Any]:
    """The stackwalker's JSON for a dump with these stacks."""
    return {
        "status": "OK",
        "crash_info": {"type": reason, "address": "0x0000000000000010", "crashing_thread": crashing_thread},
        "system_info": {
            "os": os,
            "os_ver": "6.1.0",
            "cpu_arch": "amd64",
            "cpu_info": "family 6 model 142 stepping 10",
            "cpu_count": 8,
        },
        "thread_count": len(threads),
        "threads": [
            {"thread_name": f"thread {i}", "thread_id": 100 + i, "frame_count": len(t), "frames": t}
            for i, t in enumerate(threads)
        ],
        "main_module": 0,
        "modules": [
            {
                "filename": "otter",
                "debug_id": "A1B2",
                "debug_file": "otter.pdb",
                "code_id": "c0de",
                "version": "1.2",
            }
        ],
        **other,
    }


def document(*functions: str, **other: Any) -> dict[str, Any]:
    """A processed crash with one stack, as far as a signature needs it."""
    dump = {key: other.pop(key) for key in ("reason", "os") if key in other}
    return {"uuid": CRASH_ID, "crashing_thread": 0, "json_dump": state(frames(*functions), **dump), **other}


def raw(product: str = "Otter", **annotations: Any) -> dict[str, Any]:
    """A raw crash as the collector stores it."""
    return {
        "uuid": CRASH_ID,
        "submitted_timestamp": "2026-11-20T10:00:00.250000+00:00",
        "version": 2,
        "ProductName": product,
        "Version": "3.4.1",
        "BuildID": "20261118093000",
        "ReleaseChannel": "release",
        "metadata": {
            "payload": "multipart",
            "payload_compressed": "0",
            "payload_size": 4096,
            "collector_notes": [],
            "dump_checksums": {"upload_file_minidump": "ab" * 32},
            "user_agent": "otter/3",
            "throttle_rule": "accept_everything",
            "throttle_rate": 100,
        },
        **annotations,
    }
