"""Rules on the dumps: what the stackwalker says of the main one and of further ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from missioncontrol.crashes.fields.model import FURTHER_DUMP
from missioncontrol.crashes.processing.model import MAIN_DUMP, SYMBOL_STATUS, Crash, Walked
from missioncontrol.crashes.processing.reading import integer_at, object_at, objects_at, text_at

FRAMES_LIMIT = 500
_KEPT_TOP, _KEPT_BOTTOM = 250, 249
_DETAIL_LIMIT = 4096
_STATUS = re.compile(r"[^A-Za-z0-9_.:-]+")
_OWN_HOSTS = ("localhost", "127.", "0.0.0.0", "[::1]", "::1")


def take_dumps(crash: Crash) -> None:
    """`json_dump` and `mdsw_status_string` of the main dump, `additional_minidumps` with an object per further one.

    A further dump whose name says that it is one also stands under its own name, where readers of Socorro look.
    """
    if not crash.walked:
        return
    main = MAIN_DUMP if MAIN_DUMP in crash.walked else min(crash.walked)
    if main != MAIN_DUMP:
        crash.note(f"no {MAIN_DUMP}: the first other dump stands in for it")
    crash.document.update(_walked(crash, main, crash.walked[main]))
    further = {
        name: _walked(crash, name, crash.walked[name]) for name in sorted(crash.walked) if name != main
    }
    if further:
        crash.document["additional_minidumps"] = further
    crash.document.update({name: dump for name, dump in further.items() if name.startswith(FURTHER_DUMP)})


def find_crashing_thread(crash: Crash) -> None:
    """The thread that crashed, why, and at which address."""
    dump = crash.dump
    info = object_at(dump, "crash_info")
    threads = objects_at(dump, "threads")
    index = integer_at(info, "crashing_thread")
    if index is None:
        index = integer_at(dump, "crashing_thread", "threads_index")
    if index is not None and not 0 <= index < len(threads):
        crash.note("the crashing thread is none of the threads")
        index = None
    thread = threads[index] if index is not None else {}
    found = {
        "crashing_thread_name": text_at(thread, "thread_name"),
        "last_error_value": text_at(thread, "last_error_value"),
        "reason": text_at(info, "type"),
        "address": _address(info),
        "assertion": text_at(info, "assertion"),
    }
    if dump:
        crash.document["crashing_thread"] = index
    crash.document.update({key: value for key, value in found.items() if value})


def _walked(crash: Crash, name: str, walked: Walked) -> dict[str, Any]:
    state = walked.state if isinstance(walked.state, dict) else {}
    status = walked.error or text_at(state, "status") or ("OK" if state else "NoOutput")
    found: dict[str, Any] = {
        "json_dump": _truncated(crash, name, _with_symbols(_public_urls(state), walked.symbols)),
        "mdsw_status_string": _STATUS.sub("_", status)[:100],
    }
    if walked.detail:
        found["mdsw_detail"] = walked.detail[:_DETAIL_LIMIT]
    if found["mdsw_status_string"] != "OK":
        crash.note(f"{_STATUS.sub('_', name)[:100]}: stackwalker: {found['mdsw_status_string']}")
    return found


def _with_symbols(state: dict[str, Any], symbols: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The state with a `symbol_status` for each module that was met: rust-minidump tells only lost from found."""
    if not symbols or not isinstance(state.get("modules"), list):
        return state
    modules = [
        {**m, SYMBOL_STATUS: status}
        if (status := symbols.get((text_at(m, "filename"), text_at(m, "debug_id"))))
        else m
        for m in state["modules"]
    ]
    return {**state, "modules": modules}


def _truncated(crash: Crash, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """The state with stacks of more than 500 frames cut in the middle; what was given stays as it is."""
    changed: dict[str, Any] = {}
    threads = state.get("threads")
    if isinstance(threads, list):
        long = [index for index, thread in enumerate(threads) if _is_long(thread)]
        if long:
            crash.note(
                f"{_STATUS.sub('_', name)[:100]}: {len(long)} stacks of more than {FRAMES_LIMIT} frames cut"
            )
            changed["threads"] = [_cut(thread) if _is_long(thread) else thread for thread in threads]
    if _is_long(state.get("crashing_thread")):
        changed["crashing_thread"] = _cut(state["crashing_thread"])
    return {**state, **changed} if changed else state


def _is_long(thread: Any) -> bool:
    frames = thread.get("frames") if isinstance(thread, dict) else None
    return isinstance(frames, list) and len(frames) > FRAMES_LIMIT


def _cut(thread: dict[str, Any]) -> dict[str, Any]:
    frames = thread["frames"]
    left_out = len(frames) - _KEPT_TOP - _KEPT_BOTTOM
    marker = {"frame": _KEPT_TOP, "truncated": {"msg": f"{left_out} frames left out", "frames": left_out}}
    return {**thread, "frames": [*frames[:_KEPT_TOP], marker, *frames[-_KEPT_BOTTOM:]]}


def _public_urls(state: dict[str, Any]) -> dict[str, Any]:
    """The state with addresses of symbols that anyone may see: none of this machine's, no query strings."""
    modules = state.get("modules")
    if not isinstance(modules, list) or not any(text_at(module, "symbol_url") for module in modules):
        return state
    shown = [
        {**module, "symbol_url": _public_url(module["symbol_url"])}
        if text_at(module, "symbol_url")
        else module
        for module in modules
    ]
    return {**state, "modules": shown}


def _public_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        own = parts.scheme not in ("http", "https") or (parts.hostname or "").startswith(_OWN_HOSTS)
    except ValueError:
        return None
    return None if own else urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _address(info: dict[str, Any]) -> str:
    """The address that the crash is about, which for some processors is not the one that the exception names."""
    adjusted = object_at(info, "adjusted_address")
    kind = text_at(adjusted, "kind")
    better = {"null-pointer": text_at(adjusted, "offset"), "non-canonical": text_at(adjusted, "address")}
    return better.get(kind) or text_at(info, "address")
