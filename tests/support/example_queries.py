"""The published example queries, as the page prints them: by heading, each text with the engines that answer it."""

from __future__ import annotations

import re

from tests.support.snippets import DOCS

PAGE = DOCS / "reference" / "example-queries.md"
DIALECTS = ("duckdb", "presto", "postgres")
ENGINES = (*DIALECTS, "Trino", "Spark")
_PIECE = re.compile(r"^```sql\n(.*?)\n```$|^(\S[^\n]*:)$", re.MULTILINE | re.DOTALL)


def examples() -> dict[str, list[tuple[str, str]]]:
    """Heading -> (engine, query) for each engine that a text is for."""
    found: dict[str, list[tuple[str, str]]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        engines: list[str] = []
        texts = found.setdefault(title, [])
        for piece in _PIECE.finditer(rest):
            query, said = piece.groups()
            if query:
                assert engines, f"{title}: a query that nobody is said to answer"
                texts += [(engine, query) for engine in engines]
            else:
                engines = [engine for engine in ENGINES if re.search(rf"(^|[^\w]){engine}\b", said)]
        assert texts, title
    return found
