"""Rules on threads and modules of the main dump."""

from __future__ import annotations

from typing import Any

import msgspec

from missioncontrol.crashes.processing.model import SYMBOL_STATUS, Crash
from missioncontrol.crashes.processing.reading import (
    at,
    crashing_frames,
    integer_at,
    number_at,
    object_at,
    objects_at,
    source_frames,
    text_at,
)
from missioncontrol.crashes.symbols.names import UNUSABLE

_SOFT_ERRORS_LIMIT = 4096
_MISSING_LIMIT = 1000


def count_threads(crash: Crash) -> None:
    """`thread_count`."""
    count = integer_at(crash.dump, "thread_count")
    if count is None:
        count = len(objects_at(crash.dump, "threads")) or None
    if count is not None:
        crash.document["thread_count"] = count


def find_topmost_file(crash: Crash) -> None:
    """`topmost_filenames`: the source file of the first frame that has one."""
    for frame in source_frames(crashing_frames(crash.document)):
        if text_at(frame, "file"):
            crash.document["topmost_filenames"] = source_file(text_at(frame, "file"))
            return


def source_file(file: str) -> str:
    """The path in a file of a frame, which may name repository and revision: `vcs:root:path:revision`."""
    parts = file.split(":")
    return parts[2] if len(parts) == 4 else file


def list_modules_in_stack(crash: Crash) -> None:
    """`modules_in_stack`: `file/debug id` of each module on the crashing stack, joined by `;`."""
    ids = {text_at(m, "filename"): text_at(m, "debug_id") for m in objects_at(crash.dump, "modules")}
    on_stack = {text_at(frame, "module") for frame in crashing_frames(crash.document)} - {""}
    if on_stack:
        crash.document["modules_in_stack"] = ";".join(
            f"{name}/{ids.get(name, '')}" for name in sorted(on_stack)
        )


def list_missing_symbols(crash: Crash) -> None:
    """`missing_symbols`: `file/version/debug id[/code id]` of each module that lacked symbols, joined by `;`.

    `unusable_symbols`: the same of those whose symbols were there and could not be used, each after its status and `:`.
    """
    modules = objects_at(crash.dump, "modules")
    unusable = [m for m in modules if text_at(m, SYMBOL_STATUS) in UNUSABLE]
    missing = [m for m in modules if at(m, "missing_symbols") is True and m not in unusable]
    for field, names in (
        ("missing_symbols", {_module(m) for m in missing}),
        ("unusable_symbols", {f"{m[SYMBOL_STATUS]}:{_module(m)}" for m in unusable}),
    ):
        if names:
            crash.document[field] = ";".join(sorted(names)[:_MISSING_LIMIT])


def find_main_module(crash: Crash) -> None:
    """`main_module`: the program's file name."""
    main = objects_at(crash.dump, "modules")[integer_at(crash.dump, "main_module") or 0 :][:1]
    if main and text_at(main[0], "filename"):
        crash.document["main_module"] = text_at(main[0], "filename")


def _module(module: dict[str, Any]) -> str:
    parts = [text_at(module, "filename"), text_at(module, "version") or "None", text_at(module, "debug_id")]
    code_id = text_at(module, "code_id")
    return "/".join([*parts, code_id] if code_id else parts)


def rate_bit_flips(crash: Crash) -> None:
    """`possible_bit_flips_max_confidence`: in percent."""
    flips = objects_at(crash.dump, "crash_info", "possible_bit_flips")
    rated = [confidence for flip in flips if (confidence := number_at(flip, "confidence")) is not None]
    if rated and 0 <= max(rated) <= 1:
        crash.document["possible_bit_flips_max_confidence"] = round(max(rated) * 100)


def find_inconsistencies(crash: Crash) -> None:
    """`crash_inconsistencies`: what does not fit together in the exception."""
    found = at(crash.dump, "crash_info", "crash_inconsistencies")
    if isinstance(found, list):
        crash.document["crash_inconsistencies"] = [text for text in found if isinstance(text, str)]


def find_guard_page_access(crash: Crash) -> None:
    """`has_guard_page_access`: whether an access fell on a page that is there to catch it."""
    accesses = objects_at(crash.dump, "crash_info", "memory_accesses")
    if any(access.get("is_likely_guard_page") is True for access in accesses):
        crash.document["has_guard_page_access"] = True


def keep_soft_errors(crash: Crash) -> None:
    """`soft_errors`: what was wrong in the dump, at most 4 KB of it."""
    errors = crash.dump.get("soft_errors")
    if not errors:
        return
    if len(msgspec.json.encode(errors)) > _SOFT_ERRORS_LIMIT:
        crash.note(f"soft_errors: more than {_SOFT_ERRORS_LIMIT} bytes")
        return
    crash.document["soft_errors"] = errors


def take_mac_facts(crash: Crash) -> None:
    """`mac_boot_args` and `mac_crash_info`, where macOS left any."""
    if text_at(crash.dump, "mac_boot_args"):
        crash.document["mac_boot_args"] = text_at(crash.dump, "mac_boot_args")
    info = object_at(crash.dump, "mac_crash_info")
    if info.get("num_records") or info.get("records"):
        crash.document["mac_crash_info"] = info
