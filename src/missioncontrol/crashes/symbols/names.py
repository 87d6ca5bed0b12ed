"""What symbols are known by: the name of a debug file and its debug id, in Breakpad's layout.

    <debug file>/<debug id>/<name>.sym        xul.pdb/44E4EC8C2F41492B9369D6B9A059577C2/xul.sym

Pure functions of text. A name that passed here can neither leave its folder nor surprise a file system.
"""

from __future__ import annotations

import re

import msgspec

from missioncontrol.errors import BadRequest

UNUSABLE = ("too_large", "corrupt", "lying", "unreadable")
"""What the walker says of symbols that were there and could not be used."""
ROOT = "symbols"
"""First segment of the keys of uploaded symbols in the store of objects."""
_ID = re.compile(r"([0-9A-Fa-f]{32})([0-9A-Fa-f]{1,8})")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]")
_LONGEST_NAME_BYTES = 200


class SymbolName(msgspec.Struct, frozen=True, order=True):
    """One build of one debug file. Make it with `symbol_name()`."""

    debug_file: str
    debug_id: str
    """Breakpad's form: 32 hexadecimal digits and the age."""

    @property
    def path(self) -> str:
        """Where its symbols lie in a folder of Breakpad's layout."""
        stem, dot, extension = self.debug_file.rpartition(".")
        leaf = stem if dot and extension.lower() == "pdb" else self.debug_file
        return f"{self.debug_file}/{self.debug_id}/{leaf}.sym"

    @property
    def key(self) -> str:
        """Where they lie in the store of objects."""
        return f"{ROOT}/{self.path}"


def symbol_name(debug_file: str, debug_id: str) -> SymbolName:
    """The name, with its id as walkers ask for it; raises `BadRequest` (`symbols_bad_name`, `symbols_bad_id`)."""
    if (
        _UNSAFE.search(debug_file)
        or not debug_file.strip(". ")
        or len(debug_file.encode("utf-8", "replace")) > _LONGEST_NAME_BYTES
        or not _is_text(debug_file)
    ):
        raise BadRequest(
            "symbols_bad_name",
            f"{debug_file[:80]!r} is no name of a debug file.",
            "It is the name of a binary without folders, as in xul.pdb or libxul.so.",
        )
    found = _ID.fullmatch(debug_id)
    if found is None or not debug_id.strip("0"):
        raise BadRequest(
            "symbols_bad_id",
            f"{debug_id[:80]!r} is no debug id.",
            "It is 33 or more hexadecimal digits that are not all 0, as the first line of a .sym file has them.",
        )
    return SymbolName(debug_file, found[1].upper() + found[2].lower())


def name_of_path(path: str) -> SymbolName | None:
    """The name that a path ends with, when it ends as Breakpad's layout does; None for any other path."""
    parts = path.replace("\\", "/").split("/")
    if len(parts) < 3 or not parts[-1].lower().endswith(".sym"):
        return None
    try:
        name = symbol_name(parts[-3], parts[-2])
    except BadRequest:
        return None
    return name if name.path.rpartition("/")[2].lower() == parts[-1].lower() else None


def _is_text(name: str) -> bool:
    """Whether it can be written as UTF-8: the system hands out other names as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
