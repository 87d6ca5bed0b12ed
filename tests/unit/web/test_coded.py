"""Text between backticks is shown as code, and nothing in it is HTML."""

from __future__ import annotations

import pytest

from missioncontrol.web.rendering import coded


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain", "plain"),
        ("The `lake.archive` is <off>.", "The <code>lake.archive</code> is &lt;off&gt;."),
        ("`<b>` and `a`", "<code>&lt;b&gt;</code> and <code>a</code>"),
        ("a ` b", "a ` b"),
        ("``", "``"),
    ],
)
def test_backticks_become_code(text: str, shown: str) -> None:
    assert coded(text) == shown
