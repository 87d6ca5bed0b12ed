"""The reference pages name what the code knows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from missioncontrol.config import Config
from missioncontrol.ingest.reasons import explanations
from missioncontrol.lake.tables import SHAPES
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.discards import NOTES, REASONS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_every_table_and_every_reason_is_explained() -> None:
    page = (REFERENCE / "tables.md").read_text()
    checks = [c.reason for d in load_registry().documents.values() for c in d.accept]
    for name in (*SHAPES, *REASONS, *NOTES, *checks):
        assert f"`{name}`" in page, name
    assert explanations()


def test_every_setting_is_in_the_reference() -> None:
    page = (REFERENCE / "command-line.md").read_text()
    for section in msgspec.structs.fields(Config):
        for field in (
            msgspec.structs.fields(section.type) if hasattr(section.type, "__struct_fields__") else ()
        ):
            if section.name != "server" or field.name in ("host", "port"):
                assert f"`{section.name}.{field.name}`" in page, f"{section.name}.{field.name}"


def test_the_schema_is_that_of_the_registry() -> None:
    from missioncontrol.lake.schema import schema_page

    assert (REFERENCE / "schema.md").read_text() == schema_page(load_registry())


def test_links_between_pages_lead_somewhere() -> None:
    import re

    root = REFERENCE.parents[1]
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_help_lists_every_target_that_a_reader_may_want() -> None:
    import re

    makefile = (REFERENCE.parents[1] / "Makefile").read_text()
    listed = set(re.findall(r'@echo "make (\S+)', makefile))
    assert {"setup", "demo", "run", "test", "test-all", "lint", "bench", "lock"} <= listed
    assert "export PATH=$PWD/.venv/bin:$PATH" in (REFERENCE.parents[1] / "README.md").read_text()


def test_every_page_of_the_documentation_is_a_page_of_the_server_and_its_links_lead_to_others() -> None:
    import re

    from missioncontrol.web.guide import FOLDERS, guide_page

    for folder in FOLDERS:
        for path in (REFERENCE.parent / folder).glob("*.md"):
            page = guide_page(folder, path.stem)
            assert page.title
            for there, name in re.findall(r'href="/docs/([a-z-]+)/([a-z0-9-]+)(?:#[^"]*)?"', page.body):
                assert guide_page(there, name), f"{path.name}: {there}/{name}"


def test_the_index_of_the_server_lists_every_page_once() -> None:
    from missioncontrol.web.guide import FOLDERS, guide_index

    listed = [page.href for _, pages in guide_index() for page in pages]
    docs = REFERENCE.parent
    expected = {f"/docs/{f}/{path.stem}" for f in FOLDERS for path in (docs / f).glob("*.md")}
    assert len(listed) == len(set(listed)) and set(listed) == expected
    assert listed[0] == "/docs/how-to/electron-crashes"


def test_guide_readme_and_page_show_one_electron_snippet() -> None:
    from missioncontrol.web.rendering import TEMPLATES

    root = REFERENCE.parents[1]
    template = (TEMPLATES / "crash_start.html").read_text().replace("{{ base_url }}", "http://127.0.0.1:8000")
    for page in (root / "docs" / "how-to" / "electron-crashes.md", root / "README.md"):
        (snippet,) = (b for b in page.read_text().split("```") if b.startswith("js\n"))
        assert snippet.removeprefix("js\n").strip() in template
        assert "rateLimit: false" in snippet


@pytest.mark.parametrize("page", ["benchmarks.md", "benchmarks-crashes.md", "benchmarks-scale.md"])
def test_the_figures_in_the_readme_are_those_of_the_report(page: str) -> None:
    readme = (REFERENCE.parents[1] / "README.md").read_text()
    begin, end = f"<!-- figures of {page}: written by make bench -->", "<!-- end of figures -->"
    table = readme.split(begin)[1].split(end)[0].strip()
    assert table.startswith("| | | measured |") and table in (REFERENCE / page).read_text()
