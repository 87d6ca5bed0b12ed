"""The page on the crash API names what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

from missioncontrol.query.supersearch.parse import _PLAIN, _PREFIXES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "crash-api.md").read_text()
SOURCES = [
    *(ROOT / "src/missioncontrol/query/supersearch").glob("*.py"),
    *(ROOT / "src/missioncontrol/web").glob("crash_*api.py"),
    ROOT / "src/missioncontrol/web/crashes/route.py",
]


def test_every_parameter_is_explained() -> None:
    for name in (*_PLAIN, *_PREFIXES):
        assert f"`{name}" in PAGE, name


def test_every_code_is_explained() -> None:
    for path in SOURCES:
        for code in re.findall(r'(?:BadRequest|NotFound|Forbidden)\(\s*"(\w+)"', path.read_text()):
            assert f"`{code}`" in PAGE, f"{path.name}: {code}"
