"""Where in a query the thing is that DuckDB complains of."""

from __future__ import annotations

import re

_MARKED = re.compile(r"\n\s*(LINE (\d+): )([^\n]*)\n( *)\^")
_CUT = "..."


def place(message: str, query: str) -> tuple[int, int] | None:
    """Line and column, both from 1, of what DuckDB's message marks with a caret; None if it marks nothing.

    DuckDB shows a part of a long line only, with dots where it is cut.
    """
    marked = _MARKED.search(message)
    if marked is None:
        return None
    line, shown = int(marked[2]), marked[3]
    lines = query.split("\n")
    if not 0 < line <= len(lines):
        return None
    within = len(marked[4]) - len(marked[1])
    text = lines[line - 1]
    begins = text.find(shown)
    if begins < 0:
        begins = text.find(shown.removeprefix(_CUT).removesuffix(_CUT))
        within -= len(_CUT) if shown.startswith(_CUT) else 0
    if begins < 0 or within < 0:
        return None
    return line, begins + within + 1
