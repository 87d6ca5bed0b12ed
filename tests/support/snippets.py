"""Fenced blocks of a documentation page, so that what is printed there is what is tested."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> dict[str, list[tuple[str, str]]]:
    """Heading -> (language, text) of its blocks; `page` is relative to docs/."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in re.split(r"^## ", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading.strip()] = _BLOCK.findall(text)
    return found
