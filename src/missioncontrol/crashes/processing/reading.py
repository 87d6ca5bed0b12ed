"""Read JSON of which nothing is certain: a part that is not of the type asked for is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def at(value: Any, *keys: str) -> Any:
    """What lies under the keys, or None."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def object_at(value: Any, *keys: str) -> dict[str, Any]:
    """The object under the keys, or an empty one."""
    found = at(value, *keys)
    return found if isinstance(found, dict) else {}


def objects_at(value: Any, *keys: str) -> list[dict[str, Any]]:
    """The list under the keys, an empty object for each item that is none."""
    found = at(value, *keys)
    return [item if isinstance(item, dict) else {} for item in found] if isinstance(found, list) else []


def text_at(value: Any, *keys: str) -> str:
    """The text under the keys, or an empty one."""
    found = at(value, *keys)
    return found if isinstance(found, str) else ""


def integer_at(value: Any, *keys: str) -> int | None:
    """The integer (of 64 bits) under the keys, or None."""
    found = at(value, *keys)
    if isinstance(found, bool) or not isinstance(found, int):
        return None
    return found if -(2**63) <= found < 2**63 else None


def number_at(value: Any, *keys: str) -> float | None:
    """The number under the keys, or None."""
    found = at(value, *keys)
    return found if isinstance(found, float) else integer_at(value, *keys)


def crashing_frames(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Frames of the thread that crashed."""
    threads = objects_at(document, "json_dump", "threads")
    index = integer_at(document, "crashing_thread")
    if index is None or not 0 <= index < len(threads):
        return []
    return objects_at(threads[index], "frames")


def source_frames(frames: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Frames with the inlined functions of each before it, as the stack reads."""
    for frame in frames:
        yield from objects_at(frame, "inlines")
        yield frame
