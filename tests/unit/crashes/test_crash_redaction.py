"""Without the scope `protected` a reader sees what was declared public, and nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.crash_stacks import frame, raw, state

from missioncontrol.crashes.fields import load_fields

FIELDS = load_fields()
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def walked() -> dict[str, Any]:
    stack = [frame("otter::Den::sleep", registers={"rip": "0x1"})]
    dump = state(stack, handles=[{"object_name": "/home/me"}], mac_boot_args="-v")
    return dump | {"crashing_thread": {"threads_index": 0, "frames": stack}}


def test_of_a_raw_crash_the_declared_public_annotations_and_the_collectors_keys_are_public() -> None:
    report = raw(URL="http://x", Comments="it broke", Unheard="of", guid="1-2", Email="a@b")
    public = FIELDS.raw_public(report)
    assert set(public) == set(raw())
    protected = {"user_agent", "collector_notes"}
    assert public["metadata"] == {k: v for k, v in report["metadata"].items() if k not in protected}
    assert "Unheard" in report


def test_unknown_keys_of_the_metadata_are_protected() -> None:
    report = raw()
    report["metadata"]["client_address"] = "192.0.2.1"
    assert "client_address" not in FIELDS.raw_public(report)["metadata"]


def test_of_a_processed_crash_registers_handles_and_unknown_fields_are_protected() -> None:
    document = {
        "signature": "x",
        "url": "http://x",
        "anything": 1,
        "date_processed": "2026-11-20T10:00:00+00:00",
        "json_dump": walked(),
    }
    public = FIELDS.processed_public(document)
    assert set(public) == {"signature", "date_processed", "json_dump"}
    dump = public["json_dump"]
    assert dump["threads"][0]["frames"][0]["function"] == "otter::Den::sleep"
    assert "registers" not in dump["threads"][0]["frames"][0]
    assert "registers" not in dump["crashing_thread"]["frames"][0]
    assert "handles" not in dump and "mac_boot_args" not in dump
    assert document["json_dump"]["handles"], "the document itself stays whole"


def test_further_dumps_are_reduced_as_the_main_one_is() -> None:
    further = {"json_dump": walked(), "mdsw_status_string": "OK", "mdsw_detail": "x"}
    document = {
        "additional_minidumps": {"upload_file_minidump_gpu": further},
        "upload_file_minidump_gpu": further,
        "upload_file_minidump_text": "not a dump",
    }
    public = FIELDS.processed_public(document)
    assert set(public) == {"additional_minidumps", "upload_file_minidump_gpu"}
    for dump in (
        public["upload_file_minidump_gpu"],
        public["additional_minidumps"]["upload_file_minidump_gpu"],
    ):
        assert dump["mdsw_status_string"] == "OK" and "mdsw_detail" not in dump
        assert "handles" not in dump["json_dump"]
        assert "registers" not in dump["json_dump"]["threads"][0]["frames"][0]


def test_a_value_of_another_type_than_declared_does_not_slip_through() -> None:
    document = {"json_dump": [walked()], "additional_minidumps": [walked()]}
    assert FIELDS.processed_public(document) == {}
    odd = {"json_dump": {"threads": {"frames": [{"registers": 1}]}}}
    assert "registers" not in str(FIELDS.processed_public(odd))


@given(st.dictionaries(st.sampled_from([*[f.name for f in FIELDS], "other"]), JSON, max_size=8))
def test_whatever_is_in_a_document_only_public_fields_come_out(document: dict[str, Any]) -> None:
    public = FIELDS.processed_public(document)
    for name in public:
        assert any(f.access == "public" and f.place.split(".")[0] == name for f in FIELDS), name
    assert FIELDS.raw_public(document).keys() <= document.keys()
