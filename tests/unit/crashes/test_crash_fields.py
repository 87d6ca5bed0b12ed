"""Fields are declared in TOML; every refusal says where; what came protected does not become public unsaid."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from missioncontrol.crashes.fields import Fields, FieldsWatcher, load_fields
from missioncontrol.crashes.fields.load import parse_fields, shipped_file
from missioncontrol.crashes.fields.page import fields_page
from missioncontrol.crashes.fields.values import JSON_LIMIT, TEXT_LIMIT, convert_value
from missioncontrol.errors import ConfigError
from missioncontrol.registry.load import SourceFile

OWN = """
[field.den_depth]
description = "How deep the den was."
annotation = "DenDepth"
type = "integer"
access = "public"
search = "number"
facet = true
"""


def parse(text: str) -> Fields:
    return parse_fields([shipped_file(), SourceFile("own.toml", text)])


def test_the_shipped_fields_are_described_and_each_says_who_may_see_it() -> None:
    fields = load_fields()
    assert len(fields) > 100
    for field in fields:
        assert field.description.endswith("."), field.name
        assert f'[field.{field.name}]\ndescription = "{field.description}"' in shipped_file().text
    for name in ("signature", "reason", "address", "os_name", "product", "version", "process_type"):
        assert fields[name].access == "public" and fields[name].search == "keyword"
    for name in (
        "url",
        "user_comments",
        "email",
        "breadcrumbs",
        "remote_type",
        "client_guid",
        "java_stack_trace_raw",
    ):
        assert fields[name].access == "protected"


def test_a_field_is_one_block_and_protected_unless_it_says_otherwise() -> None:
    fields = parse(OWN + '[field.den_name]\ndescription = "Its name."\nannotation = "DenName"\n')
    assert fields["den_depth"].facet and fields["den_depth"].annotation == ("DenDepth",)
    assert fields["den_name"].access == "protected"
    assert fields.copy({"DenDepth": "12", "DenName": "x"})[0] == {"den_depth": 12, "den_name": "x"}
    assert fields.raw_public({"DenDepth": "12", "DenName": "x"}) == {"DenDepth": "12"}
    assert fields.revision != load_fields().revision


def test_a_later_file_changes_the_keys_it_gives() -> None:
    field = parse('[field.build]\nfacet = false\naccess = "protected"\n')["build"]
    assert (field.facet, field.access, field.annotation) == (False, "protected", ("BuildID",))


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (OWN.replace("annotation", "anotation"), 4, "unknown key `anotation`", "`annotation`"),
        (OWN.replace('"integer"', '"int"'), 5, "Invalid enum value 'int'", ""),
        (OWN.replace('"number"', '"date"'), 7, "does not fit", "keyword"),
        (OWN.replace('search = "number"', ""), 8, "`facet` needs a `search`", ""),
        (OWN.replace("den_depth", "Den-Depth"), 2, "lower-case letters", ""),
        (OWN.replace("[field.", "[feld."), 2, "unknown block [feld]", "Did you mean `field`?"),
        (OWN.replace("description", "#"), 2, "needs a `description`", ""),
        (OWN + 'path = "a.b"\n', 9, "exclude each other", ""),
        (OWN.replace('annotation = "DenDepth"', 'path = "a..b"'), 4, "is no path", ""),
        (OWN.replace('annotation = "DenDepth"', 'path = "reason"'), 4, "same place as `reason`", ""),
        (OWN + "facet = ", 9, "no TOML", ""),
        ('[field]\nden = "x"\n', 1, "must be a table", ""),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_line(text: str, line: int, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    error = caught.value
    assert error.code == "fields_invalid"
    assert message in error.message and hint in error.hint
    assert error.message.startswith("own.toml:") and (
        f":{line}:" in error.message or f"line {line}" in error.message
    )


@pytest.mark.parametrize(
    "text",
    [
        '[field.url]\naccess = "public"\n',
        '[field.page]\ndescription = "x"\nannotation = "URL"\naccess = "public"\n',
        '[field.page]\ndescription = "x"\nannotation = ["Page", "URL"]\naccess = "public"\n',
        '[field.product]\nannotation = "Comments"\n',
        '[field.open]\ndescription = "x"\npath = "json_dump.handles[].name"\naccess = "public"\n',
        '[field.other]\ndescription = "x"\npath = "additional_minidumps.upload_file_minidump_x"\naccess = "public"\n',
    ],
)
def test_protection_is_loosened_only_by_saying_so(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert "public" in caught.value.message and "override = true" in caught.value.hint
    assert parse(text + "override = true\n")


def test_another_name_does_not_make_the_annotation_public_in_the_raw_crash() -> None:
    text = '[field.page]\ndescription = "x"\nannotation = "URL"\naccess = "public"\noverride = true\n'
    assert parse(text).raw_public({"URL": "http://x"}) == {}


def test_files_are_read_again_when_they_change_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "crash_fields.toml"
    watcher = FieldsWatcher([path])
    assert "den_depth" not in watcher()
    path.write_text(OWN)
    assert "den_depth" in watcher()
    path.write_text("[field.x\n")
    assert "den_depth" in watcher() and watcher.error is not None
    time.sleep(0.01)
    path.write_text(OWN.replace("den_depth", "den_width"))
    assert "den_width" in watcher() and watcher.error is None


@pytest.mark.parametrize(
    ("value", "kind", "expected", "problem"),
    [
        ("x \n", "text", "x", False),
        (5, "text", "5", False),
        (True, "text", "1", False),
        ({"a": 1}, "text", '{"a":1}', False),
        ("y" * (TEXT_LIMIT + 1), "text", "y" * TEXT_LIMIT, True),
        ("12", "integer", 12, False),
        (" -3 ", "integer", -3, False),
        ("1e3", "integer", 1000, False),
        (7.0, "integer", 7, False),
        ("7.5", "integer", None, True),
        ("9" * 40, "integer", None, True),
        ("9" * 20_000_000, "integer", None, True),
        ("1_0", "integer", None, True),
        (True, "integer", None, True),
        ("NaN", "number", None, True),
        ("inf", "number", None, True),
        ("2.5", "number", 2.5, False),
        (10**30, "number", None, True),
        ("true", "bool", True, False),
        ("0", "bool", False, False),
        (1, "bool", True, False),
        ("maybe", "bool", None, True),
        ('{"a": 1}', "object", {"a": 1}, False),
        ({"a": 1}, "object", {"a": 1}, False),
        ("[1]", "object", None, True),
        ("{", "object", None, True),
        ("[" * 100_000, "list", None, True),
        ('"' + "x" * JSON_LIMIT + '"', "object", None, True),
        ("[1]", "list", [1], False),
    ],
)
def test_values_become_what_was_declared_or_a_problem(
    value: Any, kind: str, expected: Any, problem: bool
) -> None:
    converted, note = convert_value(value, kind)
    assert converted == expected and bool(note) == problem


def test_notes_name_the_annotation_and_never_its_value() -> None:
    values, notes = load_fields().copy({"InstallTime": "secret words", "OOMAllocationSize": "17"})
    assert values == {"oom_allocation_size": 17}
    assert notes == ["InstallTime: no integer"]


def test_of_several_annotations_the_first_present_counts() -> None:
    fields = load_fields()
    assert fields.copy({"ptype": "gpu-process", "process_type": "renderer"})[0]["process_type"] == "renderer"
    assert fields.copy({"ptype": "gpu-process"})[0]["process_type"] == "gpu-process"


def test_the_reference_page_is_that_of_the_declarations() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "crash-fields.md"
    assert page.read_text() == fields_page(load_fields())
