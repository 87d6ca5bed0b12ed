"""Patterns of times of other systems as those of strftime, which DuckDB uses for writing and reading.

Joda's (`yyyyMMddHHmmss`) and PostgreSQL's (`YYYY-MM-DD HH24:MI`). A letter without an equivalent is refused: a wrong
guess would be a wrong date.
"""

from __future__ import annotations

import re

import msgspec

from missioncontrol.errors import BadRequest

_JODA_RUN = re.compile(r"''|'((?:[^']|'')*)'|([A-Za-z])\2*|.", re.DOTALL)
_JODA = {
    "y": ("%Y", "%y", "%Y"), "Y": ("%Y", "%y", "%Y"), "x": ("%G",), "w": ("%V",), "e": ("%u",),
    "M": ("%-m", "%m", "%b", "%B"), "d": ("%-d", "%d"), "D": ("%-j", "%j", "%j"),
    "E": ("%a", "%a", "%a", "%A"), "a": ("%p",), "H": ("%-H", "%H"), "h": ("%-I", "%I"),
    "m": ("%-M", "%M"), "s": ("%-S", "%S"), "S": ("", "", "%g", "", "", "%f"),
    "Z": ("%z", "%z", "%Z"), "z": ("%Z",),
}  # fmt: skip
"""Letter -> what its runs of one, two, three ... mean; longer runs mean the last."""

_POSTGRES = re.compile(
    r'"(?P<quoted>[^"]*)"|(?P<fm>FM)|(?P<code>HH24|HH12|HH|MI|SS|MS|US|YYYY|YY|IYYY|IW|ID|'
    r"MONTH|Month|month|MON|Mon|mon|MM|DDD|DD|DAY|Day|day|DY|Dy|dy|AM|PM|am|pm|Q)|(?P<other>.)",
    re.DOTALL,
)
_POSTGRES_CODES = {
    "HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%M", "SS": "%S", "MS": "%g", "US": "%f", "YYYY": "%Y",
    "YY": "%y", "IYYY": "%G", "IW": "%V", "ID": "%u", "MONTH": "%B", "MON": "%b", "MM": "%m", "DDD": "%j",
    "DD": "%d", "DAY": "%A", "DY": "%a", "AM": "%p", "PM": "%p",
}  # fmt: skip
_UNFILLED = {f"%{c}": f"%-{c}" for c in "HIMSmdj"}
_NAME_WIDTH = 9
_NAMES = ("MONTH", "MON", "DAY", "DY", "AM")


class Piece(msgspec.Struct, frozen=True):
    """A part of a written time."""

    pattern: str
    """Of strftime; empty: the number of the quarter."""
    case: str = ""
    """`upper`, `lower`, or as it comes."""
    width: int = 0
    """Filled up with spaces to so many characters, as PostgreSQL does with names."""


def from_joda(pattern: str) -> str:
    """The strftime pattern; raises `BadRequest` (`sql_refused`) for a letter that has none."""
    out = []
    for run in _JODA_RUN.finditer(pattern):
        whole, quoted, letter = run[0], run[1], run[2]
        if letter:
            out.append(_joda_code(letter, len(whole), pattern))
        else:
            literal = "'" if whole == "''" else whole if quoted is None else quoted.replace("''", "'")
            out.append(literal.replace("%", "%%"))
    return "".join(out)


def _joda_code(letter: str, length: int, pattern: str) -> str:
    codes = _JODA.get(letter, ())
    code = codes[min(length, len(codes)) - 1] if codes else ""
    if letter == "S" and length > len(codes):
        code = ""
    if not code:
        raise _unknown(
            letter * length, pattern, "Known: y M d D E a H h m s SSS Z z x w e; quote text as 'T'."
        )
    return code


def from_postgres(pattern: str) -> list[Piece]:
    """The pieces; raises `BadRequest` (`sql_refused`) for a letter that has no equivalent."""
    pieces: list[Piece] = []
    filled = True
    for match in _POSTGRES.finditer(pattern):
        if code := match["code"]:
            pieces.append(_postgres_piece(code, filled))
            filled = True
        elif match["fm"] is not None:
            filled = False
        else:
            other = match["quoted"] if match["quoted"] is not None else match["other"]
            if match["quoted"] is None and other.isalnum() and other not in "TZ":
                raise _unknown(
                    other, pattern, 'Quote text as "T"; numbers are formatted by round() and a cast.'
                )
            pieces.append(Piece(other.replace("%", "%%")))
    return _joined(pieces)


def _postgres_piece(code: str, filled: bool) -> Piece:
    """`filled`: with leading zeros, or spaces behind a name; FM before the code wants neither."""
    if code == "Q":
        return Piece("")
    pattern = _POSTGRES_CODES[code.upper()]
    if code.upper() in _NAMES + ("PM",):
        plain = (code[0].isupper() and code[1:].islower()) or code in ("AM", "PM")
        case = "" if plain else "upper" if code.isupper() else "lower"
        return Piece(pattern, case, _NAME_WIDTH if filled and code.upper() in ("MONTH", "DAY") else 0)
    return Piece(pattern if filled else _UNFILLED.get(pattern, pattern))


def _joined(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if joined and piece.pattern and joined[-1].pattern and not (_special(piece) or _special(joined[-1])):
            joined[-1] = Piece(joined[-1].pattern + piece.pattern)
        else:
            joined.append(piece)
    return joined


def _special(piece: Piece) -> bool:
    return bool(piece.case or piece.width)


def _unknown(letters: str, pattern: str, hint: str) -> BadRequest:
    message = f"Refused: {letters[:20]!r} in the time format {pattern[:80]!r} has no equivalent."
    return BadRequest("sql_refused", message, hint)
