"""Settings with two bug trackers, of which one takes new bugs."""

from __future__ import annotations

from pathlib import Path

from tests.support import form

BUG = "https://bugs.example.com/show_bug.cgi?id="
SETTINGS = f"""
[crashes.bug_trackers.bugzilla]
url = "{BUG}{{id}}"
new = "https://bugs.example.com/enter_bug.cgi?short_desc={{title}}&comment={{body}}"

[crashes.bug_trackers.github]
url = "https://github.com/example/otter/issues/{{id}}"
"""


def write_settings(data: Path) -> None:
    """Put them into a data folder."""
    form.write_settings(data, SETTINGS)
