"""Probe files as Mozilla publishes them are recognised by content; odd entries are counted, broken files are told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.probes import definition, dictionary_file, firefox_file, glean_file, legacy, metric, pauses

from missioncontrol.errors import BadRequest, ConfigError
from missioncontrol.registry.probe_files import ProbeFile, read_probe_file
from missioncontrol.registry.probes import Probe, ProbeDictionary, load_probes, save_probes


def read(folder: Path, content: Any, name: str = "file.json", source: str = "") -> ProbeFile:
    path = folder / name
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_probe_file(path, source)


def by_name(file: ProbeFile) -> dict[str, Probe]:
    return {p.name: p for p in file.probes}


def test_a_firefox_file_gives_each_probe_as_it_was_last_defined(tmp_path: Path) -> None:
    file = read(tmp_path, firefox_file())
    assert file.source == "firefox"
    assert file.skipped == {}
    gc = by_name(file)["GC_MS"]
    assert (gc.kind, gc.low, gc.high, gc.buckets, gc.keyed) == ("exponential", 1, 10_000, 50, False)
    assert gc.processes == ["parent", "content"]
    assert (gc.first, gc.last, gc.retired, gc.on_release) == ("40", "136", False, True)
    assert by_name(file)["GC_OLD_MS"].retired
    assert not by_name(file)["GC_NIGHTLY_ONLY"].on_release
    assert by_name(file)["PAINT_MS"].keys == ["cold", "warm"]
    assert by_name(file)["LOAD_STATE"].labels == ["fine", "slow", "failed"]
    assert by_name(file)["CHILD_WAIT_MS"].processes == ["all_children"]
    assert file.by_kind["histogram exponential"] == 6
    assert file.by_kind["event"] == 1


def test_descriptions_are_one_line(tmp_path: Path) -> None:
    content = {"histogram/A": legacy("A", release=[pauses(description=" Two\n   lines.\n")])}
    assert by_name(read(tmp_path, content))["A"].description == "Two lines."


def test_a_history_may_be_one_list_for_all_channels(tmp_path: Path) -> None:
    entry = {"type": "histogram", "name": "A", "history": [pauses(), pauses(first="9", last="50")]}
    assert by_name(read(tmp_path, {"histogram/A": entry}))["A"].first == "9"


def test_a_glean_file_is_named_by_its_file_or_by_the_caller(tmp_path: Path) -> None:
    assert read(tmp_path, glean_file(), "firefox-desktop-metrics.json").source == "firefox-desktop"
    assert read(tmp_path, glean_file(), "fenix/metrics").source == "fenix"
    file = read(tmp_path, glean_file(), "metrics.json.gz", source="my-app")
    assert file.source == "my-app"
    load = by_name(file)["page.load"]
    assert (load.family, load.kind, load.pings, load.unit) == (
        "glean", "timing_distribution", ["metrics"], "millisecond",
    )  # fmt: skip
    assert (load.first, load.last) == ("2024-02-03", "2026-09-10")
    assert by_name(file)["crash.by_process"].keys == ["gpu", "main"]
    tabs = by_name(file)["tabs.open"]
    assert (tabs.low, tabs.high, tabs.buckets, tabs.spacing) == (1, 100, 101, "linear")


def test_the_newest_definition_of_a_glean_metric_counts(tmp_path: Path) -> None:
    old = metric("counter", dates={"first": "2020-01-01 00:00:00", "last": "2021-01-01 00:00:00"})["history"]
    entry = {"a.b": {"name": "a.b", "type": "quantity", "history": [*metric("quantity")["history"], *old]}}
    found = by_name(read(tmp_path, entry))["a.b"]
    assert (found.kind, found.first) == ("quantity", "2020-01-01")


def test_an_application_of_the_glean_dictionary_names_itself(tmp_path: Path) -> None:
    file = read(tmp_path, dictionary_file())
    assert file.source == "my_browser"
    assert [(p.name, p.retired) for p in file.probes] == [("page.load", False), ("old.count", True)]
    assert file.skipped == {"no type": 1}


ODD = (
    ("histogram/X", None, "no type"),
    ("histogram/X", [1], "no type"),
    ("histogram/X", {**legacy("X", release=[pauses()]), "type": "sundial"}, "unknown type sundial"),
    ("histogram/X", {**legacy("X", release=[pauses()]), "name": 7}, "no name"),
    ("histogram/X", legacy("X", release=[]), "no history"),
    ("histogram/X", {**legacy("X"), "history": {"release": {"a": 1}}}, "no history"),
    ("histogram/X", legacy("X", release=[{**pauses(), "details": None}]), "no kind"),
)


@pytest.mark.parametrize(("key", "value", "reason"), ODD)
def test_an_odd_entry_is_counted_under_its_reason_and_the_rest_is_taken(
    tmp_path: Path, key: str, value: Any, reason: str
) -> None:
    file = read(tmp_path, {**firefox_file(), key: value})
    assert file.skipped == {reason: 1}
    assert len(file.probes) == len(firefox_file())


def test_numbers_that_are_expressions_of_old_sources_are_unknown_and_texts_of_digits_are_numbers(
    tmp_path: Path,
) -> None:
    entry = definition("exponential", low="1", high="JS::gcreason::NUM_TELEMETRY_REASONS", n_buckets=None)
    found = by_name(read(tmp_path, {"histogram/A": legacy("A", release=[entry])}))["A"]
    assert (found.low, found.high, found.buckets) == (1, None, None)


BROKEN = (
    (b'{"a": {\n "b": 1,, }}', r"file\.json:2:"),
    (b'{"histogram/A": {"type": "histogram", "history": {', r"file\.json:1:51"),
    (b"", r"file\.json:1:1"),
    (b"\x1f\x8b\x08\x00\x00broken", "cannot be read"),
    (b"[1, 2]", "holds no probes"),
    (b"{}", "holds no probes"),
    (b'{"a": 1, "b": {"c": 2}}', "holds no probes"),
    (b'"\xff\xfe"', r"file\.json"),
    (b"[" * 100_000, r"file\.json"),
)


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_a_broken_file_is_refused_with_its_place(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read(tmp_path, data)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no file"):
        read_probe_file(tmp_path / "nothing.json")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "type",
    "name",
    "history",
    "details",
    "versions",
    "labels",
    "kind",
    "keyed",
    "send_in_pings",
    "dates",
    "low",
)


def scrambled(value: Any, draw: Any) -> Any:
    """The same shape with some values replaced by anything."""
    if isinstance(value, dict):
        return {
            k: draw(json_values) if draw(st.integers(0, 7)) == 0 else scrambled(v, draw)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [draw(json_values) if draw(st.integers(0, 7)) == 0 else scrambled(v, draw) for v in value]
    return value


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), is_glean=st.booleans())
def test_whatever_stands_in_an_entry_the_other_entries_are_taken(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, is_glean: bool
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    whole = glean_file() if is_glean else firefox_file()
    names = list(whole)
    spoiled = {names[i]: scrambled(whole[names[i]], data.draw) for i in (0, 1)}
    file = read(folder, {**whole, **spoiled})
    untouched = {whole[n]["name"] for n in names[2:]}
    assert untouched <= {p.name for p in file.probes}
    assert len(file.probes) + sum(file.skipped.values()) <= len(whole)
    path = folder / "probes.json"
    save_probes(path, ProbeDictionary(file.probes))
    assert load_probes(path).probes == ProbeDictionary(file.probes).probes


def test_importing_again_replaces_the_entries_of_the_same_source_only(tmp_path: Path) -> None:
    first = ProbeDictionary().replaced(read(tmp_path, firefox_file()).probes)
    both = first.replaced(read(tmp_path, glean_file(), source="app").probes)
    fewer = read(tmp_path, {"histogram/A": legacy("A", release=[pauses()])})
    again = both.replaced(fewer.probes)
    assert [p.name for p in again.probes if p.source == "firefox"] == ["A"]
    assert len([p for p in again.probes if p.source == "app"]) == len(glean_file())
    assert both.replaced(read(tmp_path, firefox_file()).probes).probes == both.probes


def test_probes_are_found_by_a_part_of_the_name_by_wildcards_and_by_description(tmp_path: Path) -> None:
    dictionary = ProbeDictionary(read(tmp_path, firefox_file()).probes)
    assert [p.name for p in dictionary.search("gc_")] == ["GC_MS", "GC_NIGHTLY_ONLY", "GC_OLD_MS"]
    assert [p.name for p in dictionary.search("GC_*MS")] == ["GC_MS", "GC_OLD_MS"]
    assert [
        p.name for p in dictionary.search("garbage")
    ] == []  # nightly's definition is newer, and says other
    assert dictionary.nearest("GC_MSS")[0] == "GC_MS"


def test_a_dictionary_that_cannot_be_read_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "probes.json"
    assert not load_probes(path)
    for text in ("nonsense", '{"format": 9, "probes": []}'):
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_probes(path)
        assert "import" in caught.value.hint
