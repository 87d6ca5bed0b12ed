"""A block made from a probe counts what the probe holds in a real ping; what cannot be right is refused with a hint."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.support.pings import baseline_ping, main_ping, submission
from tests.support.probes import firefox_file, glean_file

from missioncontrol.errors import BadRequest
from missioncontrol.registry.load import SourceFile, load_registry, parse_registry, shipped_files
from missioncontrol.registry.probe_checks import Wanted
from missioncontrol.registry.probe_files import read_probe_file
from missioncontrol.registry.probe_measure import MeasureBlock, measure_block, suggestion
from missioncontrol.registry.probe_pick import pick
from missioncontrol.registry.probes import Probe, ProbeDictionary, save_probes
from missioncontrol.registry.thresholds import bucket_bounds, first_bucket
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fact import Fact


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> ProbeDictionary:
    folder = tmp_path_factory.mktemp("files")
    found = ProbeDictionary()
    for name, content in (("firefox", firefox_file()), ("app", glean_file())):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content))
        found = found.replaced(read_probe_file(path).probes)
    return found


def block(dictionary: ProbeDictionary, probe_name: str, /, **wanted: Any) -> MeasureBlock:
    [probe] = dictionary.named(probe_name)
    return measure_block(probe, Wanted(**wanted), load_registry())


def declared(dictionary: ProbeDictionary, name: str, **wanted: Any) -> dict[str, Any]:
    """The keys of the block."""
    made = block(dictionary, name, **wanted)
    content: dict[str, Any] = tomllib.loads(made.text)["measure"][made.name]
    return content


def counted(made: MeasureBlock, ping: dict[str, Any], document_type: str = "main") -> float | None:
    """What a ping adds to the measure that a block declares."""
    registry = parse_registry([*shipped_files(), SourceFile("block", made.text)])
    namespace = "telemetry" if document_type == "main" else "org-example-app"
    sent = submission(ping, document_type, namespace=namespace)
    fact = Extractor(registry).extract(sent, sent.body)
    assert isinstance(fact, Fact), fact
    assert fact.notes == ()
    names = list(registry.measures)
    return {names[index]: value for index, value in fact.values}.get(made.name)


HISTOGRAM = {"values": {"0": 9, "149": 5, "150": 2, "171": 3, "2000": 1}}
MAIN: dict[str, Any] = {
    "payload__histograms": {
        "GC_MS": HISTOGRAM,
        "SLOW_NOTICES": {"values": {"0": 7, "1": 0}},
        "SAW_BANNER": {"values": {"0": 3, "1": 4, "2": 0}},
        "ONCE": {"values": {"1": 1, "0": 0, "2": 0}},
        "LOAD_REASON": {"values": {"2": 5, "3": 6}},
        "LOAD_STATE": {"values": {"0": 1, "1": 8, "2": 3}},
    },
    "payload__keyedHistograms": {
        "CRASHES_WITH_DUMP": {"gpu": {"values": {"0": 2}}, "odd.key": {"values": {"0": 4}}},
        "PAINT_MS": {"cold": HISTOGRAM},
    },
    "payload__processes": {
        "parent": {
            "scalars": {"browser.engagement.tabs": 12, "browser.is_default": True},
            "keyedScalars": {"browser.by_menu": {"file": 5, "a.b": 6}},
        },
        "content": {
            "histograms": {"GC_MS": {"values": {"180": 11}}},
            "keyedHistograms": {"PAINT_MS": {"warm": HISTOGRAM}},
        },
        "gpu": {"histograms": {"GPU_WAIT_MS": {"values": {"1": 1, "400": 13}}}},
        "rdd": {"histograms": {"CHILD_WAIT_MS": {"values": {"3": 14}}}},
    },
}
FROM_MAIN: tuple[tuple[str, dict[str, Any], str, float], ...] = (
    ("GC_MS", {"at_least": "150"}, "gc_ms_main_above_150", 6),
    ("GC_MS", {"at_least": "150ms", "process": "main"}, "gc_ms_main_above_150", 6),
    ("GC_MS", {"at_least": "2s", "process": "parent"}, "gc_ms_main_above_2000", 1),
    ("GC_MS", {"at_least": "150", "process": "content"}, "gc_ms_content_above_150", 11),
    ("GC_MS", {}, "gc_ms", 20),
    ("GPU_WAIT_MS", {"at_least": "300"}, "gpu_wait_ms_gpu_above_300", 13),
    ("CHILD_WAIT_MS", {"process": "rdd"}, "child_wait_ms_rdd", 14),
    ("SLOW_NOTICES", {}, "slow_notices", 7),
    ("SAW_BANNER", {"bucket": 1}, "saw_banner_bucket_1", 4),
    ("ONCE", {}, "once", 1),
    ("LOAD_REASON", {"bucket": 3}, "load_reason_bucket_3", 6),
    ("LOAD_STATE", {"label": "slow"}, "load_state_slow", 8),
    ("CRASHES_WITH_DUMP", {"key": "gpu"}, "crashes_with_dump_gpu", 2),
    ("CRASHES_WITH_DUMP", {"key": "odd.key"}, "crashes_with_dump_odd_key", 4),
    ("PAINT_MS", {"key": "cold", "at_least": "150"}, "paint_ms_main_cold_above_150", 6),
    ("PAINT_MS", {"key": "warm", "at_least": "150", "process": "content"}, "paint_ms_content_warm_above_150", 6),
    ("browser.engagement.tabs", {}, "browser_engagement_tabs", 12),
    ("browser.by_menu", {"key": "file"}, "browser_by_menu_file", 5),
    ("browser.by_menu", {"key": "a.b"}, "browser_by_menu_a_b", 6),
    ("browser.is_default", {}, "browser_is_default", 1),
)  # fmt: skip


@pytest.mark.parametrize(("probe", "wanted", "name", "value"), FROM_MAIN)
def test_a_block_of_a_firefox_probe_counts_it_in_a_main_ping(
    dictionary: ProbeDictionary, probe: str, wanted: dict[str, Any], name: str, value: float
) -> None:
    made = block(dictionary, probe, **wanted)
    assert made.name == name
    assert counted(made, main_ping(**MAIN)) == value
    assert counted(made, main_ping(payload__histograms={}, payload__processes={})) is None


SECOND = 10**9
TIMES = {"sum": 1, "values": {str(SECOND // 5): 3, str(SECOND): 4, str(2 * SECOND): 2, str(3 * SECOND): 0}}
GLEAN_METRICS = {
    "timing_distribution": {"page.load": TIMES},
    "labeled_timing_distribution": {
        "page.load_by_type": {"cold": TIMES, "warm": {"values": {str(SECOND): 9}}}
    },
    "memory_distribution": {"memory.total": {"values": {str(2**20 - 1): 5, str(2**22 - 1): 6}}},
    "custom_distribution": {"tabs.open": {"values": {"1": 2, "40": 3, "41": 4}}},
    "labeled_counter": {"crash.by_process": {"gpu": 3}, "errors.by_host": {"example.org": 8}},
    "counter": {"page.reloads": 21, "everywhere.count": 4},
    "quantity": {"disk.free": 77},
    "timespan": {"start.duration": {"value": 1500, "time_unit": "millisecond"}},
    "boolean": {"start.was_cold": True},
}
FROM_GLEAN: tuple[tuple[str, dict[str, Any], str, float, str], ...] = (
    ("page.load", {"at_least": "1s"}, "page_load_above_1s", 6, "metrics"),
    ("page.load", {"at_least": "1500ms"}, "page_load_above_1500ms", 2, "metrics"),
    ("page.load", {"at_least": "1.5s"}, "page_load_above_1_5s", 2, "metrics"),
    ("page.load", {}, "page_load", 9, "metrics"),
    ("page.load_by_type", {"key": "cold", "at_least": "1s"}, "page_load_by_type_cold_above_1s", 6, "metrics"),
    ("page.load_by_type", {"key": "warm"}, "page_load_by_type_warm", 9, "metrics"),
    ("memory.total", {"at_least": "4MiB"}, "memory_total_above_4mib", 6, "metrics"),
    ("memory.total", {"at_least": "1048576B"}, "memory_total_above_1048576b", 11, "metrics"),
    ("tabs.open", {"at_least": "41"}, "tabs_open_above_41", 4, "metrics"),
    ("tabs.open", {"bucket": 40}, "tabs_open_bucket_40", 3, "metrics"),
    ("crash.by_process", {"key": "gpu"}, "crash_by_process_gpu", 3, "metrics"),
    ("errors.by_host", {"key": "example.org"}, "errors_by_host_example_org", 8, "metrics"),
    ("page.reloads", {}, "page_reloads", 21, "metrics"),
    ("everywhere.count", {}, "everywhere_count", 4, "metrics"),
    ("disk.free", {}, "disk_free", 77, "metrics"),
    ("start.duration", {}, "start_duration", 1.5, "baseline"),
    ("start.was_cold", {}, "start_was_cold", 1, "metrics"),
)


@pytest.mark.parametrize(("probe", "wanted", "name", "value", "document"), FROM_GLEAN)
def test_a_block_of_a_glean_metric_counts_it_in_its_ping(
    dictionary: ProbeDictionary, probe: str, wanted: dict[str, Any], name: str, value: float, document: str
) -> None:
    made = block(dictionary, probe, **wanted)
    assert made.name == name
    assert tomllib.loads(made.text)["measure"][name]["from"] == document
    assert counted(made, baseline_ping(metrics=GLEAN_METRICS), document) == value
    assert counted(made, baseline_ping(metrics={}), document) is None


def test_a_block_says_what_the_dictionary_and_the_asker_say(dictionary: ProbeDictionary) -> None:
    keys = declared(dictionary, "GC_MS", at_least="150ms", worse="down", per="", title="Pauses")
    assert keys == {
        "title": "Pauses",
        "description": "What is measured here.",
        "unit": "samples",
        "group": "slowness",
        "worse": "down",
        "from": "main",
        "histogram": "GC_MS",
        "process": "parent",
        "at_least": 150,
    }
    assert declared(dictionary, "GC_MS", at_least="150")["title"] == "GC_MS, 150 and more (main)"
    load = declared(dictionary, "page.load", at_least="2s", documents=("baseline", "metrics"))
    assert (load["at_least"], load["from"]) == (2 * SECOND, ["baseline", "metrics"])
    assert load["title"] == "page.load, 2 s and more"


def test_what_is_worth_knowing_is_noted(dictionary: ProbeDictionary) -> None:
    assert block(dictionary, "GC_OLD_MS", at_least="150").notes[-1].endswith("(last in 61).")
    assert "prerelease" in block(dictionary, "GC_NIGHTLY_ONLY").notes[0]
    assert "count twice" in block(dictionary, "page.reloads").notes[0]
    assert "begins at 159.6 ms" in block(dictionary, "page.load", at_least="150ms").notes[0]
    assert block(dictionary, "TAB_COUNT", at_least="50").notes == []


REFUSED: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("browser.engagement.tabs", {"at_least": "3"}, "no buckets", "leave it out"),
    ("page.reloads", {"bucket": 3}, "no buckets", "leave it out"),
    ("GPU_WAIT_MS", {"process": "content"}, "not recorded in the process content", "Recorded in: gpu"),
    ("CHILD_WAIT_MS", {"process": "parent"}, "not recorded in the process parent", "all_children"),
    ("page.load", {"process": "content", "at_least": "1s"}, "not recorded by process", "--process"),
    ("PAINT_MS", {"at_least": "100"}, "recorded by key", "Known: cold, warm"),
    ("PAINT_MS", {"key": "wram"}, "has no key `wram`", "Known: cold, warm"),
    ("CRASHES_WITH_DUMP", {}, "recorded by key", "does not list its keys"),
    ("GC_MS", {"key": "a"}, "has no keys", "Leave --key out"),
    ("crash.by_process", {}, "recorded by label", "Known: gpu, main"),
    ("SAW_BANNER", {"at_least": "1"}, "are no sizes", "--bucket 1 counts true"),
    ("LOAD_REASON", {"at_least": "2"}, "are no sizes", "--bucket"),
    ("LOAD_STATE", {"at_least": "1"}, "are no sizes", "fine, slow, failed"),
    ("LOAD_STATE", {"label": "sloow"}, "no category `sloow`", "fine, slow, failed"),
    ("GC_MS", {"label": "fine"}, "no categories", ""),
    ("LOAD_STATE", {"bucket": 3}, "no bucket 3", "The last one is 2"),
    ("SLOW_NOTICES", {"bucket": 1}, "no bucket 1", "The last one is 0"),
    ("GC_MS", {"at_least": "20000"}, "nothing would be counted", "1 to 10000"),
    ("GC_MS", {"at_least": "0"}, "below the first bucket", "all samples"),
    ("GC_MS", {"at_least": "-5"}, "is no threshold", "150ms"),
    ("GC_MS", {"at_least": "many"}, "is no threshold", "150ms"),
    ("GC_MS", {"at_least": "0.5"}, "no whole number in ms", ""),
    ("GC_MS", {"at_least": "4MiB"}, "MiB is no such unit", "ms"),
    ("GC_MS", {"at_least": "150", "bucket": 1}, "exclude each other", ""),
    ("GC_MS", {"bucket": 151}, "begins at 151", "Buckets near it"),
    ("TAB_COUNT", {"at_least": "5ms"}, "unit of TAB_COUNT is not known", "Leave the unit out"),
    ("page.load", {"at_least": "150"}, "150 needs a unit", "150ms"),
    ("page.load", {"bucket": 3}, "are not fixed", "--at-least"),
    ("memory.total", {"at_least": "2ms"}, "ms is no such unit", "MiB"),
    ("browser.theme_name", {}, "text is no number", "where"),
    ("search.engine", {}, "text is no number", "where"),
    ("page.clicked", {}, "an event is no number", ""),
    ("first.run", {}, "a time is no number", ""),
    ("navigation#search", {}, "an event is no number", ""),
    ("legacy.both", {}, "dual_labeled_counter is no number", ""),
    ("own.ping_only", {}, "no declared document", 'type = "first-session"'),
    ("page.load", {"documents": ("main",), "at_least": "1s"}, "a Glean metric; the document main", ""),
    ("GC_MS", {"documents": ("metrics",)}, "legacy pings; the document metrics", ""),
    ("GC_MS", {"name": "main_crashes"}, "declared already", "another name"),
    ("GC_MS", {"name": "Main-Crashes"}, "cannot be the name", "another name"),
)


@pytest.mark.parametrize(("probe", "wanted", "message", "hint"), REFUSED)
def test_what_cannot_be_right_is_refused_with_a_hint(
    dictionary: ProbeDictionary, probe: str, wanted: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        block(dictionary, probe, **wanted)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_every_suggestion_is_one_that_works(dictionary: ProbeDictionary) -> None:
    flags = {"--process": "process", "--key": "key", "--at-least": "at_least", "--label": "label"}
    for probe in dictionary.probes:
        words = suggestion(probe).split()
        if not words:
            with pytest.raises(BadRequest):
                measure_block(probe, Wanted(), load_registry())
            continue
        options = dict(zip(words[::2], words[1::2], strict=True))
        wanted = {flags[k]: v for k, v in options.items() if k in flags}
        bucket = int(options["--bucket"]) if "--bucket" in options else None
        if probe.name != "own.ping_only":
            assert measure_block(probe, Wanted(bucket=bucket, **wanted), load_registry()).text


def test_a_probe_is_picked_by_name_and_source_or_taken_on_trust(
    tmp_path: Path, dictionary: ProbeDictionary
) -> None:
    path = tmp_path / "probes.json"
    probe, notes = pick(path, "GC_MS", "", "", False)
    assert (probe.family, probe.source) == ("histogram", "firefox")
    assert "nothing was checked" in notes[0]
    with pytest.raises(BadRequest, match="only a probe dictionary can tell"):
        pick(path, "page.load", "", "", False)
    assert pick(path, "page.load", "", "counter", False)[0].kind == "counter"
    save_probes(path, dictionary)
    assert pick(path, "GC_MS", "", "", False) == (dictionary.named("GC_MS")[0], [])
    with pytest.raises(BadRequest, match="knows no GC_MSS") as caught:
        pick(path, "GC_MSS", "", "", False)
    assert "GC_MS" in caught.value.hint
    assert "--as" in caught.value.hint
    trusted = pick(path, "NEW_MS", "", "histogram", True)[0]
    assert (trusted.keyed, trusted.kind) == (True, "histogram")


def test_a_name_of_two_sources_needs_the_source_only_where_they_differ(tmp_path: Path) -> None:
    path = tmp_path / "probes.json"
    metrics = [Probe(name="a.b", source=s, family="glean", kind="counter") for s in ("one", "two")]
    save_probes(path, ProbeDictionary(metrics))
    assert pick(path, "a.b", "", "", False)[0].source == "one"
    scalar = Probe(name="a.b", source="firefox", family="scalar", kind="uint")
    save_probes(path, ProbeDictionary([*metrics, scalar]))
    with pytest.raises(BadRequest, match="Several probes are called"):
        pick(path, "a.b", "", "", False)
    assert pick(path, "a.b", "firefox", "", False)[0] == scalar


def test_buckets_are_those_of_the_clients() -> None:
    def bounds(kind: str, low: int, high: int, count: int) -> list[int]:
        return bucket_bounds(Probe("X", "firefox", "histogram", kind, low=low, high=high, buckets=count))

    assert bounds("linear", 1, 10, 5) == [0, 1, 4, 7, 10]
    assert bounds("exponential", 1, 100, 8) == [0, 1, 2, 4, 9, 20, 45, 100]
    assert bounds("exponential", 1, 3, 10)[:4] == [0, 1, 2, 3]
    assert bounds("exponential", 1, 10_000, 50)[20:30] == [68, 81, 96, 114, 135, 160, 190, 226, 268, 318]
    for count in (3, 50, 1000):
        found = bounds("exponential", 1, 10_000, count)
        assert (len(found), found[-1]) == (count, max(10_000, count - 1))
        assert found == sorted(set(found))
    assert bounds("exponential", 5, 5, 10) == bounds("boolean", 1, 2, 3) == []
    time = Probe("a.b", "app", "glean", "timing_distribution")
    assert [first_bucket(time, n) for n in (1, 3, 1023, 1024, 1025)] == [1, 3, 1023, 1023, 1116]


# As glean-sdk 71 sent them for samples of 1 ms * 2**n and of 1 kB * 2**n.
SENT_TIMES = (961_548, 1_923_096, 15_384_774, 123_078_199, 492_312_796, 1_969_251_187, 252_064_152_055)
SENT_SIZES = (1023, 37_315, 149_263, 298_526, 440_871, 4_194_303, 1_073_741_823, 549_755_813_887)


def test_buckets_of_glean_are_as_a_real_client_sends_them(dictionary: ProbeDictionary) -> None:
    for name, sent in (("page.load", SENT_TIMES), ("memory.total", SENT_SIZES)):
        [probe] = dictionary.named(name)
        for bound in sent:
            assert first_bucket(probe, bound) == bound
            assert (first_bucket(probe, bound + 2) or 0) > bound
    made = block(dictionary, "memory.total", at_least="4MiB")
    assert "at_least = 4194303" in made.text
    assert "Clients say 4,194,303" in made.notes[0]
