"""Forms of the registry page: the TOML that they become, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from missioncontrol.errors import BadRequest, ConfigError
from missioncontrol.registry.load import load_registry
from missioncontrol.web.registry.forms import Candidate, read_candidate

PAUSES = {
    "name": "gc_long",
    "from": "main",
    "kind": "histogram",
    "of": "GC_MS",
    "at_least": "150",
    "process": "parent",
}
CPU = {"name": "cpu", "from": "main", "path": "environment.system.cpu.vendor"}


def read(how: str, tmp_path: Path, **fields: str) -> Candidate:
    own = tmp_path / "registry.toml"
    return read_candidate(how, fields, [own], tmp_path / "probes.json", load_registry([own]))


def block(candidate: Candidate) -> dict[str, object]:
    [section] = tomllib.loads(candidate.file.text).values()
    return section[candidate.names[0]]


def test_a_measure(tmp_path: Path) -> None:
    found = read("measure", tmp_path, **PAUSES, title="Pauses", per="usage_hours", unit="", worse="up")
    assert block(found) == {
        "title": "Pauses", "from": "main", "histogram": "GC_MS", "process": "parent", "at_least": 150,
        "per": "usage_hours", "worse": "up",
    }  # fmt: skip
    assert found.registry.measures["gc_long"].sources[0].kind == "threshold"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "number", "of": "payload.info.subsessionLength"}, {"number": "payload.info.subsessionLength"}),
        ({"kind": "predicate", "of": "ignored"}, {}),
        (
            {"kind": "scalar", "of": "page.loads", "from": "metrics", "metric_type": "labeled_counter", "key": "slow"},
            {"scalar": "page.loads", "metric_type": "labeled_counter", "key": "slow"},
        ),
        (
            {"kind": "predicate", "where_path": "environment.system.os.name", "where_equals": "Linux"},
            {"where": [{"path": "environment.system.os.name", "equals": "Linux"}]},
        ),
        ({"kind": "predicate", "where_path": "a.b", "where_equals": "true"}, {"where": [{"path": "a.b", "equals": True}]}),
        ({"kind": "predicate", "where_path": "a.b", "where_equals": "-3"}, {"where": [{"path": "a.b", "equals": -3}]}),
    ],
)  # fmt: skip
def test_kinds_of_measures(tmp_path: Path, fields: dict[str, str], expected: dict[str, object]) -> None:
    found = block(read("measure", tmp_path, **{"name": "new_one", "from": "main", **fields}))
    document = fields.get("from", "main")
    assert found == {"title": "new one", "from": document, **expected}


def test_a_dimension(tmp_path: Path) -> None:
    found = read("dimension", tmp_path, **CPU, normalise="text", ordered="1")
    assert block(found) == {
        "title": "cpu", "from": {"main": "environment.system.cpu.vendor"}, "normalise": "text", "ordered": True,
    }  # fmt: skip
    assert found.registry.dimensions["cpu"].enabled


def test_a_dimension_of_two_kinds_of_pings(tmp_path: Path) -> None:
    found = block(read("dimension", tmp_path, **CPU, also="crash"))
    assert found["from"] == dict.fromkeys(("main", "crash"), "environment.system.cpu.vendor")
    found = block(read("dimension", tmp_path, **CPU, also="glean", also_path="client_info.cpu"))
    assert found["from"] == {"main": "environment.system.cpu.vendor", "glean": "client_info.cpu"}


def test_a_probe_is_what_the_command_makes_of_it(tmp_path: Path) -> None:
    found = read("probe", tmp_path, probe="GC_MS", at_least="150", per="usage_hours", worse="up")
    assert found.names == ("gc_ms_main_above_150",)
    assert "No probe dictionary is imported" in found.notes[0]


def test_toml_with_several_blocks_and_text_of_a_browser(tmp_path: Path) -> None:
    text = '[measure.one]\r\nfrom = "main"\r\n[dimension.two]\r\ntitle = "2"\r\nfrom.main = "a"\r\n'
    found = read("toml", tmp_path, text=text)
    assert found.names == ("one", "two")
    assert "\r" not in found.file.text


def test_a_shipped_dimension_can_be_switched_on_and_not_be_changed_else(tmp_path: Path) -> None:
    on = read("toml", tmp_path, text="[dimension.gfx_compositor]\nenabled = true\n")
    assert on.registry.dimensions["gfx_compositor"].enabled
    with pytest.raises(BadRequest) as refused:
        read("toml", tmp_path, text='[dimension.gfx_compositor]\nenabled = true\ntitle = "Mine"\n')
    assert refused.value.code == "registry_declared"


@pytest.mark.parametrize(
    ("how", "fields", "code"),
    [
        ("magic", {}, "bad_parameter"),
        ("measure", {**PAUSES, "kind": "sum"}, "bad_parameter"),
        ("measure", {**PAUSES, "name": "main_crashes"}, "registry_declared"),
        ("measure", {**PAUSES, "name": "os_name"}, "registry_declared"),
        ("measure", {**PAUSES, "name": "Über"}, "registry_name"),
        ("measure", {**PAUSES, "name": ""}, "registry_name"),
        ("measure", {**PAUSES, "name": "x]\n[measure.y"}, "registry_name"),
        ("measure", {**PAUSES, "at_least": "a lot"}, "bad_number"),
        ("measure", {**PAUSES, "from": "mian"}, "registry_invalid"),
        ("measure", {**PAUSES, "per": "nothing"}, "registry_invalid"),
        ("measure", {**PAUSES, "kind": "number", "of": "a..b"}, "registry_invalid"),
        ("dimension", {**CPU, "path": "a..b"}, "registry_invalid"),
        ("dimension", {**CPU, "path": ""}, "registry_invalid"),
        ("dimension", {**CPU, "path": "@planet"}, "registry_invalid"),
        ("dimension", {**CPU, "normalise": "loudly"}, "registry_invalid"),
        ("dimension", {**CPU, "from": ""}, "registry_invalid"),
        ("probe", {}, "probe_missing"),
        ("probe", {"probe": "page.load"}, "probe_unknown"),
        ("probe", {"probe": "GC_MS", "bucket": "x"}, "bad_number"),
        ("toml", {"text": ""}, "registry_empty"),
        ("toml", {"text": "[measure"}, "registry_invalid"),
        ("toml", {"text": "[measur.x]\n"}, "registry_invalid"),
        ("toml", {"text": '[application.X]\ntitle = "X"\n'}, "registry_section"),
        ("toml", {"text": "[measure.x]\nfrom = 3\n"}, "registry_invalid"),
    ],
)
def test_what_is_refused(tmp_path: Path, how: str, fields: dict[str, str], code: str) -> None:
    with pytest.raises((BadRequest, ConfigError)) as refused:
        read(how, tmp_path, **fields)
    assert refused.value.code == code
    assert not (tmp_path / "registry.toml").exists()


def test_values_that_look_like_toml_stay_values(tmp_path: Path) -> None:
    hostile = 'x"\n[measure.evil]\nfrom = "main'
    found = read("measure", tmp_path, **PAUSES, title=hostile, description='"""\\')
    assert found.names == ("gc_long",)
    assert found.registry.measures["gc_long"].title == hostile
    assert found.registry.measures["gc_long"].description == '"""\\'
