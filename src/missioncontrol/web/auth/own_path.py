"""Where to go after signing in: a page of this server, whatever the address says."""

from __future__ import annotations

import re

_OWN = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,2000}", re.ASCII)
_ENDLESS = ("/login", "/logout")


def own_path(text: str) -> str:
    """The path (with query and fragment) if it is surely one of this server, else `/`."""
    if not _OWN.fullmatch(text) or text.split("?")[0].startswith(_ENDLESS):
        return "/"
    return text
