"""`meta` is found wherever it stands in a line, and is never taken from anywhere else."""

from __future__ import annotations

import json

import pytest

from missioncontrol.telemetry.import_lines import read_line

META = {"Timestamp": 1_500_000_000_000_000_000, "docType": "main", "documentId": "d1", "appName": "Firefox"}
NESTED = {"Timestamp": 1_600_000_000_000_000_000, "docType": "crash", "documentId": "wrong"}
NOW_NS = 42


def read(text: str) -> tuple[str, str, int]:
    submission, refused = read_line(text.encode(), NOW_NS)
    assert refused is None
    return submission.document_type, submission.document_id, submission.received_ns


EXPECTED = ("main", "d1", META["Timestamp"])


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\t", " : ")])
def test_meta_may_be_first_last_or_between(separators: tuple[str, str]) -> None:
    for ping in (
        {"meta": META, "payload": {}},
        {"payload": {}, "meta": META},
        {"a": 1, "meta": META, "payload": {}},
        {"meta": META},
    ):
        assert read(json.dumps(ping, separators=separators)) == EXPECTED


@pytest.mark.parametrize(
    "ping",
    [
        {"meta": META, "payload": {"a": 1, "meta": NESTED}},
        {"meta": META, "payload": {"a": [{"b": 1, "meta": NESTED}]}},
        {"meta": META, "text": "a," + json.dumps({"x": 1, "meta": NESTED})},
        {"meta": META, 'a,"meta': NESTED},
        {"a": 1, "payload": {"b": 2, "meta": NESTED}, "meta": META},
    ],
)
def test_only_the_lines_own_meta_counts(ping: dict[str, object]) -> None:
    assert read(json.dumps(ping)) == EXPECTED


def test_the_pings_own_type_and_id_stand_in_for_those_that_meta_lacks() -> None:
    ping = {"type": "main", "id": "own", "meta": {"Timestamp": META["Timestamp"]}}
    assert read(json.dumps(ping)) == ("main", "own", META["Timestamp"])


def test_white_space_after_the_line_changes_nothing() -> None:
    assert read(json.dumps({"a": 1, "meta": META}) + " \r") == EXPECTED


@pytest.mark.parametrize("ping", [{"meta": META, "os": "\ud800"}, {"os": "\udfff", "meta": META, "a": 1}])
def test_a_lone_surrogate_elsewhere_does_not_hide_meta(ping: dict[str, object]) -> None:
    assert read(json.dumps(ping)) == EXPECTED


def test_a_lone_surrogate_in_meta_is_refused() -> None:
    line = json.dumps({"meta": {**META, "appName": "\ud800"}, "a": 1}).encode()
    refused = read_line(line, NOW_NS)[1]
    assert refused is not None and refused.reason == "not_json"


def test_a_line_without_usable_meta_is_refused_as_received_now() -> None:
    for text, reason in (
        ('{"a":1,"meta":{"Timestamp":"yesterday","docType":"main","documentId":"d"}}', "no_meta"),
        ('{"a":1,"meta":{"Timestamp":1500000000,"docType":"main","documentId":"d"}}', "no_meta"),
        ('{"a":1,"meta":{"Timestamp":-1,"docType":"main","documentId":"d"}}', "no_meta"),
        ('{"a":1,"meta":{"docType":7,"documentId":"d"}}', "no_meta"),
        ('{"a":1}', "no_meta"),
        ('{"a":', "not_json"),
    ):
        submission, refused = read_line(text.encode(), NOW_NS)
        assert refused is not None
        assert (refused.reason, submission.received_ns) == (reason, NOW_NS)
