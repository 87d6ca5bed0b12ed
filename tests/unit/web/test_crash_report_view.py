"""The view of one crash: facts, modules with what they lack, annotations with their access."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.crash_stacks import CRASH_ID, document, frame, raw, state

from missioncontrol.crashes.fields import load_fields
from missioncontrol.web.crashes.report import ReportView, build_report, waiting_facts
from missioncontrol.web.crashes.store import File, Standing, StoredCrash

FIELDS = load_fields()


def view(processed: dict[str, Any], sent: dict[str, Any] | None = None, protected: bool = True) -> ReportView:
    crash = StoredCrash(
        CRASH_ID, raw() if sent is None else sent, processed, [File("upload_file_minidump", 7, "ab")],
        Standing("processed"), protected,
    )  # fmt: skip
    return build_report(crash, FIELDS, {})


def module(name: str = "otter", **other: Any) -> dict[str, Any]:
    plain = {"filename": name, "debug_file": name, "debug_id": "C0FFEE0", "version": "1.2"}
    return {**plain, "loaded_symbols": False, "missing_symbols": False, "corrupt_symbols": False, **other}


def modules(*found: dict[str, Any], system: str = "Linux") -> list[tuple[str, str, str]]:
    crash = {"crashing_thread": 0, "json_dump": state([frame("f")], os=system, modules=list(found))}
    crash["json_dump"]["crashing_thread"] = {"frames": [frame("f")]}
    seen = view(crash)
    assert all(m.on_stack for m in seen.modules)
    return [(m.name, m.state, m.command) for m in (*seen.modules, *seen.other_modules)]


def test_modules_say_what_they_lack_and_what_mends_it() -> None:
    found = modules(
        module("otter", loaded_symbols=True),
        module("idle.so"),
        module("den.so", missing_symbols=True),
        module("cut file.so", corrupt_symbols=True),
    )
    assert found == [
        ("otter", "loaded", ""),
        ("cut file.so", "unusable", "missioncontrol symbols upload 'cut file.so'"),
        ("den.so", "missing", "missioncontrol symbols upload den.so"),
        ("idle.so", "not asked", ""),
    ]


def test_where_debug_information_is_kept_apart_that_file_is_asked_for() -> None:
    pdb = module("otter.exe", debug_file="C:\\build\\otter.pdb", missing_symbols=True)
    assert modules(pdb, system="Windows")[0][2].endswith(" otter.pdb")
    assert modules(module("Otter", missing_symbols=True), system="Mac OS X")[0][2].endswith(" Otter.dSYM")


def test_modules_of_the_crashing_stack_come_in_its_order_and_the_own_ones_first() -> None:
    names = ("libc.so.6", "den.so", "otter")
    stack = [frame(module=name) for name in names]
    dump = state(stack, modules=[module(name, missing_symbols=True) for name in ("otter", *names[:2])])
    seen = view({"json_dump": {**dump, "crashing_thread": {"frames": stack}}, "crashing_thread": 0})
    assert [m.name for m in seen.modules] == ["den.so", "otter", "libc.so.6"]


@pytest.mark.parametrize(
    ("status", "state_", "word"),
    [
        ("loaded", "loaded", "Found"),
        ("names_only", "names only", "Found, names only"),
        ("too_large", "unusable", "Too large"),
        ("lying", "unusable", "Of another build"),
        ("unidentified", "missing", "Missing"),
        ("nonsense", "not asked", "Not needed"),
    ],
)
def test_the_walkers_word_for_a_module_is_shown(status: str, state_: str, word: str) -> None:
    [found] = view({"json_dump": state(modules=[module(symbol_status=status)])}).other_modules
    assert (found.state, found.word) == (state_, word)
    assert bool(found.says) == (state_ not in ("loaded", "not asked"))


def test_a_module_without_debug_id_says_so() -> None:
    crash = {"json_dump": state(modules=[module(missing_symbols=True, debug_id="000000000")])}
    assert "built without one" in view(crash).other_modules[0].says


def test_annotations_have_their_meaning_and_their_access() -> None:
    seen = view(document("f"), raw(Comments="why", Zebra={"a": [1]}))
    found = {a.name: a for a in seen.annotations}
    assert not {"uuid", "metadata", "submitted_timestamp", "version"} & set(found)
    assert (found["ProductName"].protected, found["ProductName"].declared) == (False, True)
    assert found["Comments"].protected
    assert found["Comments"].description
    assert (found["Zebra"].protected, found["Zebra"].declared, found["Zebra"].value) == (
        True,
        False,
        '{"a":[1]}',
    )
    assert seen.annotations[-1].name == "Zebra"


def test_a_long_annotation_is_cut_and_says_how_long_it_is() -> None:
    [long] = [a for a in view(document("f"), raw(Big="x" * 50_000)).annotations if a.name == "Big"]
    assert long.value.endswith("(50,000 characters)")
    assert long.long


def test_facts_are_those_that_are_known() -> None:
    seen = view(
        {"product": "Otter", "version": "1", "uptime": 3700, "install_age": 90_061, "throttle_rate": 0.1,
         "throttle_rule": "sampled", "startup_crash": True, "url": "https://a/", "cpu_count": 1}
    )  # fmt: skip
    facts = {f.label: f.value for f in seen.facts}
    assert (facts["Uptime"], facts["Installed before"]) == ("1 h 1 min", "1 day 1 h")
    assert facts["Kept by rule"] == "sampled, which keeps 10% of such reports: it stands for 10"
    assert (facts["While starting"], facts["Processor"]) == ("yes", "1 core")
    assert "Reason" not in facts
    assert [f.label for f in seen.facts if f.protected] == ["URL"]


def test_an_electron_application_is_told_by_its_framework_and_both_names_of_its_process() -> None:
    electron = {"handler_product": "Electron", "platform_version": "33.2.0", "product": "Notes"}
    system = {
        "os_name": "Linux",
        "os_pretty_version": "Otter Linux 12",
        "os_version": "6.1.0-18 #1 SMP PREEMPT",
    }
    facts = {f.label: f.value for f in view({**electron, **system, "process_type": "content"}).facts}
    assert (facts["Framework"], facts["Process"]) == ("Electron 33.2.0", "content (renderer)")
    assert facts["System"] == "Otter Linux 12 6.1.0-18"
    assert "Framework" not in {f.label for f in view({"handler_product": "Pad", "product": "Pad"}).facts}


def test_electrons_annotations_are_declared() -> None:
    names = [
        "_productName",
        "_version",
        "_companyName",
        "prod",
        "product",
        "ver",
        "platform",
        "osarch",
        "lsb-release",
        "process_type",
        "guid",
    ]
    seen = view({}, dict.fromkeys(names, "x"))
    assert {a.name for a in seen.annotations if a.declared} == set(names)
    assert [a.name for a in seen.annotations if a.protected] == ["guid"]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (None, "has no dump"),
        ("EmptyMinidump", "is empty"),
        ("MissingThreadList", "no list of threads"),
        ("Odd", "Odd"),
    ],
)
def test_a_report_without_a_stack_says_why(status: str | None, says: str) -> None:
    assert says in view({"mdsw_status_string": status}).problem


def test_a_stack_needs_no_excuse() -> None:
    assert view(document("f")).problem == ""


@pytest.mark.parametrize("value", [None, 7, [], {"frames": 3}, "text", True, -1])
def test_a_report_of_anything_has_a_view(value: Any) -> None:
    names = ("signature", "product", "json_dump", "uptime", "collector_notes", "processor_notes", "throttle_rate",
             "crashing_thread", "date_processed", "cpu_count", "oom_allocation_size", "java_stack_trace")  # fmt: skip
    assert view(dict.fromkeys(names, value)).crash_id == CRASH_ID


def test_before_it_is_processed_the_annotations_tell_what_it_is() -> None:
    facts = waiting_facts(raw(), datetime(2026, 11, 20, 10, 5, 1, tzinfo=UTC))
    assert {f.label: f.value for f in facts}["Product"] == "Otter"
    assert [f.note for f in facts if f.label == "Received"] == ["5 min ago"]
