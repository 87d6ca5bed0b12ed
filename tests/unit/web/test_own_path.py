"""After signing in one lands on this server, whatever the address says."""

from __future__ import annotations

import pytest

from missioncontrol.web.auth.own_path import own_path


@pytest.mark.parametrize(
    "text", ["/", "/pipeline", "/measure/Firefox/release/main_crashes?range=48h&zoom=1~2#x", "/a/b%2Fc"]
)
def test_own_paths_are_kept(text: str) -> None:
    assert own_path(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "//evil.example", "/\\evil.example", "https://evil.example", "evil.example", "javascript:alert(1)", "/\t/evil.example",
     "/a\nLocation: x", "\\\\evil.example", " /a", "/login?next=/login", "/logout", "/a\\b", "/" + "x" * 3000, "///x"],
)  # fmt: skip
def test_everything_else_leads_to_the_first_page(text: str) -> None:
    assert own_path(text) == "/"
