"""Formats of times as Java writes them (Joda, `yyyy-MM-dd'T'HH:mm:ss`) in the letters that DuckDB knows.

Source of the letters: Joda-Time's DateTimeFormat.
"""

from __future__ import annotations

import re
from itertools import groupby

from missioncontrol.errors import BadRequest

_LETTERS = {
    "y": {2: "%y", 0: "%Y"},
    "Y": {2: "%y", 0: "%Y"},
    "M": {1: "%-m", 2: "%m", 3: "%b", 0: "%B"},
    "d": {1: "%-d", 0: "%d"},
    "D": {0: "%j"},
    "H": {1: "%-H", 0: "%H"},
    "h": {1: "%-I", 0: "%I"},
    "m": {1: "%-M", 0: "%M"},
    "s": {1: "%-S", 0: "%S"},
    "S": {3: "%g", 0: "%f"},
    "a": {0: "%p"},
    "E": {4: "%A", 0: "%a"},
    "Z": {0: "%z"},
    "z": {0: "%Z"},
}
"""Letter -> how often it stands -> DuckDB's; 0: any other number."""
_PARTS = re.compile(r"(?:''|'((?:[^']|'')+)')|([A-Za-z]+)|([^A-Za-z']+)")


def joda_format(text: str) -> str:
    """The same format for strptime() and strftime(). Raises `BadRequest` (`bad_time_format`)."""
    found = []
    for quoted, letters, rest in _PARTS.findall(text):
        if letters:
            found += [_letter(letter, len(list(run)), text) for letter, run in groupby(letters)]
        else:
            found.append((quoted.replace("''", "'") or rest or "'").replace("%", "%%"))
    return "".join(found)


def _letter(letter: str, times: int, text: str) -> str:
    known = _LETTERS.get(letter)
    if known is None:
        hint = f"Known letters: {' '.join(_LETTERS)}; other text stands in '...'."
        raise BadRequest(
            "bad_time_format", f"The letter {letter!r} of the format {text[:60]!r} is not known.", hint
        )
    return known.get(times, known[0])
