"""Annotation values to typed ones.

Clients send text, and JSON reports may hold anything. A value that is not what was declared gives None and a problem
to note; the problem never holds the value itself, since notes are public.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

TEXT_LIMIT = 100_000
"""Characters of a text that a processed crash keeps; the raw crash keeps all of it."""
JSON_LIMIT = 2_000_000
"""Characters of a JSON text that are read at all."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def convert_value(value: Any, kind: str) -> tuple[Any, str]:
    """The value as `kind` (or None), and what was wrong (or an empty text)."""
    if kind == "integer":
        return _integer(value)
    if kind == "number":
        return _number(value)
    if kind == "bool":
        return _bool(value)
    if kind == "object":
        return _json(value, dict, "object")
    if kind == "list":
        return _json(value, list, "list")
    return _text(value)


def _text(value: Any) -> tuple[str | None, str]:
    if isinstance(value, bool):
        value = "1" if value else "0"
    elif isinstance(value, dict | list):
        try:
            value = msgspec.json.encode(value).decode()
        except (TypeError, ValueError, OverflowError, RecursionError):
            return None, "no text"
    elif not isinstance(value, str):
        value = str(value)
    if len(value) > TEXT_LIMIT:
        return value[:TEXT_LIMIT], f"cut at {TEXT_LIMIT} characters"
    return value.rstrip(), ""


def _integer(value: Any) -> tuple[int | None, str]:
    if isinstance(value, str):
        text = value[:64].strip()
        value = int(text) if _INTEGER.fullmatch(text) and len(value) <= 64 else _float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        return None, "no integer"
    return value, ""


def _number(value: Any) -> tuple[float | int | None, str]:
    if isinstance(value, str):
        value = _float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "no number"
    if isinstance(value, int):
        return (value, "") if -(2**63) <= value < 2**63 else (None, "no number")
    return (value, "") if math.isfinite(value) else (None, "no number")


def _float(text: str) -> float | None:
    if len(text) > 64 or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _bool(value: Any) -> tuple[bool | None, str]:
    text = value.strip().lower() if isinstance(value, str) and len(value) <= 64 else value
    if isinstance(text, bool):
        return text, ""
    if isinstance(text, int | float) and text in (0, 1):
        return bool(text), ""
    if isinstance(text, str) and text in _TRUE | _FALSE:
        return text in _TRUE, ""
    return None, "neither true nor false"


def _json(value: Any, kind: type[dict[str, Any]] | type[list[Any]], name: str) -> tuple[Any, str]:
    if isinstance(value, str):
        if len(value) > JSON_LIMIT:
            return None, f"JSON of more than {JSON_LIMIT} characters"
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None, "no JSON"
    return (value, "") if isinstance(value, kind) else (None, f"no JSON {name}")
