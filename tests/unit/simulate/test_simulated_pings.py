"""Pings: real shapes and sizes, every field that is read, addresses that an edge accepts."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import pytest

from missioncontrol.clock import utc
from missioncontrol.errors import BadRequest
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.submission import Submission

DAY_NS = 86_400 * 10**9
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
LEGACY = re.compile(
    rf"/submit/telemetry/({UUID})/(main|crash)/Firefox/([0-9a.]+)/(release|beta|nightly|esr)/(\d{{14}})\?v=4"
)
GLEAN = re.compile(rf"/submit/org-mozilla-fenix/baseline/1/({UUID})")
APPLICATION = (
    "architecture", "buildId", "channel", "name", "platformVersion", "vendor", "version", "xpcomAbi",
    "displayVersion",
)  # fmt: skip


@pytest.fixture(scope="module")
def full(fleet: Fleet, now_ns: int) -> list[Submission]:
    return list(islice(fleet.history(now_ns - 3 * DAY_NS, now_ns, light=False), 1_500))


@pytest.fixture(scope="module")
def light(fleet: Fleet, now_ns: int) -> list[Submission]:
    return list(fleet.history(now_ns - 8 * DAY_NS, now_ns))


def of_type(submissions: list[Submission], document_type: str) -> list[tuple[Submission, Any]]:
    return [(s, msgspec.json.decode(s.body)) for s in submissions if s.document_type == document_type]


def no_repeated_keys(body: bytes) -> Any:
    import json

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    return json.loads(body, object_pairs_hook=once)


def test_full_main_pings_are_40_to_100_kb_with_hundreds_of_histograms(full: list[Submission]) -> None:
    sizes = [len(s.body) for s in full if s.document_type == "main"]
    assert min(sizes) >= 40_000
    assert max(sizes) <= 100_000
    assert np.percentile(sizes, 90) > 75_000
    for _, ping in of_type(full[:50], "main"):
        content = ping["payload"]["processes"]["content"]["histograms"]
        assert len(ping["payload"]["histograms"]) + len(content) > 150


def test_light_main_pings_are_small(light: list[Submission]) -> None:
    sizes = [len(s.body) for s in light if s.document_type == "main"]
    assert 1_000 < np.mean(sizes) < 2_000
    assert max(sizes) < 2_600


def test_crash_pings_are_3_to_5_kb(light: list[Submission]) -> None:
    sizes = [len(s.body) for s in light if s.document_type == "crash"]
    assert len(sizes) > 30
    assert min(sizes) > 3_000 and max(sizes) < 5_000


def test_no_object_of_a_ping_repeats_a_key(full: list[Submission]) -> None:
    for submission in full[:40]:
        no_repeated_keys(submission.body)


@pytest.mark.parametrize("size", ["full", "light"])
def test_main_pings_hold_all_that_is_read_or_required(size: str, request: pytest.FixtureRequest) -> None:
    pings = of_type(request.getfixturevalue(size)[:1_500], "main")
    assert len(pings) > 1_000
    for submission, ping in pings:
        assert (ping["type"], ping["version"], ping["id"]) == ("main", 4, submission.document_id)
        assert all(ping["application"][name] for name in APPLICATION)
        assert re.fullmatch(UUID, ping["clientId"])
        info = ping["payload"]["info"]
        assert type(info["subsessionLength"]) is int and 0 <= info["subsessionLength"] <= 25 * 3600
        assert info["subsessionCounter"] in (1, 2) and re.fullmatch(UUID, info["sessionId"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00\.0[+-]\d\d:00", info["subsessionStartDate"])
        environment = ping["environment"]
        assert environment["build"]["version"] == submission.version == ping["application"]["version"]
        assert environment["build"]["buildId"] == submission.build_id == ping["application"]["buildId"]
        assert environment["build"]["architecture"] == ping["application"]["architecture"]
        assert environment["system"]["os"]["name"] in ("Windows_NT", "Darwin", "Linux")
        assert environment["system"]["os"]["version"]
        assert type(environment["settings"]["e10sEnabled"]) is bool
        assert environment["profile"]["creationDate"] * DAY_NS < submission.received_ns
        assert environment["addons"]["theme"]["id"] and environment["addons"]["activeAddons"]
        assert ping["payload"]["simpleMeasurements"]["firstPaint"] > 0
        assert "INPUT_EVENT_RESPONSE_COALESCED_MS" in ping["payload"]["processes"]["content"]["histograms"]
        assert "GC_MAX_PAUSE_MS_2" in ping["payload"]["histograms"]


def test_histograms_are_packed_as_firefox_packs_them(full: list[Submission]) -> None:
    for _, ping in of_type(full[:20], "main"):
        for name, histogram in ping["payload"]["histograms"].items():
            assert histogram.keys() == {"range", "bucket_count", "histogram_type", "values", "sum"}, name
            buckets = [int(bucket) for bucket in histogram["values"]]
            assert buckets == sorted(buckets)
            assert len(buckets) <= histogram["bucket_count"]
            assert all(count >= 0 for count in histogram["values"].values())


def test_full_pings_of_different_clients_differ_in_histograms(full: list[Submission]) -> None:
    texts = {msgspec.json.encode(p["payload"]["histograms"]) for _, p in of_type(full[:300], "main")}
    assert len(texts) > 200


def test_crash_pings_hold_all_that_is_read_or_required(light: list[Submission]) -> None:
    kinds: Counter[str] = Counter()
    for submission, ping in of_type(light, "crash"):
        assert all(ping["application"][name] for name in APPLICATION)
        payload = ping["payload"]
        assert payload["crashDate"] <= utc(submission.received_ns).strftime("%Y-%m-%d")
        assert all(isinstance(value, str) for value in payload["metadata"].values())
        process = payload.get("processType", "absent")
        kinds[process] += 1
        if process == "content":
            kinds["killed"] += payload["metadata"].get("ipc_channel_error") == "ShutDownKill"
        else:
            assert payload["metadata"]["StartupCrash"] in ("0", "1")
    assert kinds["main"] and kinds["content"] and 0 < kinds["killed"] < kinds["content"]


def test_main_pings_count_subprocess_crashes_in_a_keyed_histogram(light: list[Submission]) -> None:
    counted: Counter[str] = Counter()
    for _, ping in of_type(light, "main"):
        for key, histogram in (
            ping["payload"]["keyedHistograms"].get("SUBPROCESS_CRASHES_WITH_DUMP", {}).items()
        ):
            assert histogram["values"]["0"] == histogram["sum"] > 0
            counted[key] += histogram["values"]["0"]
    assert counted.keys() <= {"content", "gpu", "plugin", "gmplugin"}
    assert counted["content"] > 10 and counted["gpu"]


def test_content_crashes_in_main_pings_are_those_of_the_crash_pings_of_the_session(now_ns: int) -> None:
    fleet = Fleet(5, 400, now_ns, main_per_1k_hours=10.0)
    sent: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for submission in fleet.history(now_ns - 6 * DAY_NS, now_ns + 5 * DAY_NS):
        ping = msgspec.json.decode(submission.body)
        if submission.document_type == "crash" and ping["payload"].get("processType") == "content":
            sent[ping["payload"]["sessionId"]] += submission.received_ns < now_ns
        elif submission.document_type == "main":
            keyed = ping["payload"]["keyedHistograms"].get("SUBPROCESS_CRASHES_WITH_DUMP", {})
            counted[ping["payload"]["info"]["sessionId"]] += keyed.get("content", {"sum": 0})["sum"]
    whole = [session for session in sent if session in counted and sent[session]]
    assert len(whole) > 15
    same = sum(sent[session] == counted[session] for session in whole)
    assert same >= 0.9 * len(whole)  # the others reach over an end of the period


def test_some_clients_are_in_experiments_of_either_kind(light: list[Submission]) -> None:
    pings = [ping for _, ping in of_type(light, "main")]
    branches = [branch["branch"] for ping in pings for branch in ping["environment"]["experiments"].values()]
    old = [
        p["environment"]["addons"]["activeExperiment"]
        for p in pings
        if "activeExperiment" in p["environment"]["addons"]
    ]
    enrolled = sum(bool(ping["environment"]["experiments"]) for ping in pings) / len(pings)
    assert 0.05 < enrolled < 0.25
    assert len(set(branches)) > 2
    assert len(branches) > sum(bool(ping["environment"]["experiments"]) for ping in pings)
    assert old and all(experiment["id"] and experiment["branch"] for experiment in old)


def test_glean_clients_send_baseline_pings(light: list[Submission]) -> None:
    pings = of_type(light, "baseline")
    assert pings
    for submission, ping in pings:
        info = ping["client_info"]
        for name in (
            "app_build",
            "app_channel",
            "app_display_version",
            "architecture",
            "client_id",
            "os",
            "os_version",
        ):
            assert info[name]
        assert info["build_date"].startswith("20") and info["telemetry_sdk_build"]
        assert (
            ping["ping_info"]["start_time"] <= ping["ping_info"]["end_time"] and ping["ping_info"]["seq"] >= 0
        )
        duration = ping["metrics"]["timespan"]["glean.baseline.duration"]
        assert duration["time_unit"] == "second" and 0 <= duration["value"] < 86_400
        assert submission.namespace == "org-mozilla-fenix"


def test_addresses_have_the_form_that_the_edge_reads(light: list[Submission]) -> None:
    for submission in light:
        form = GLEAN if submission.document_type == "baseline" else LEGACY
        found = form.fullmatch(submission.path)
        assert found, submission.path
        assert found[1] == submission.document_id


def test_build_ids_are_dated_within_the_last_six_months(fleet: Fleet, now_ns: int) -> None:
    for release in fleet.releases:
        assert release.build_time_s * 10**9 < release.published_ns < now_ns
        assert now_ns - release.build_time_s * 10**9 < 180 * DAY_NS
        if release.application == "Firefox":
            assert release.build_id == utc(release.build_time_s * 10**9).strftime("%Y%m%d%H%M%S")


def test_betas_share_a_version_and_differ_in_display_version(fleet: Fleet) -> None:
    betas = [r for r in fleet.releases if (r.application, r.channel) == ("Firefox", "beta")]
    assert [r.display_version for r in betas][-3:] == ["104.0b1", "104.0b2", "104.0b3"]
    assert {r.version for r in betas[-3:]} == {"104.0"}
    assert len({r.build_id for r in fleet.releases}) == len(fleet.releases)


def test_meta_and_log_entry_say_what_the_address_says(light: list[Submission]) -> None:
    main = next(s for s in light if s.document_type == "main")
    meta, entry = main.meta, main.entry
    assert (meta.Timestamp, meta.submissionDate) == (
        main.received_ns,
        utc(main.received_ns).strftime("%Y%m%d"),
    )
    assert (meta.docType, meta.documentId, meta.geoCountry) == ("main", main.document_id, main.country)
    assert b"documentNamespace" not in msgspec.json.encode(meta)
    assert (entry.application, entry.version, entry.build_id) == ("Firefox", main.version, main.build_id)
    baseline = next(s for s in light if s.document_type == "baseline")
    assert (baseline.entry.namespace, baseline.entry.document_version) == ("org-mozilla-fenix", "1")
    assert baseline.entry.application == ""
    assert baseline.meta.documentNamespace == "org-mozilla-fenix"


def test_sizes_that_cannot_be_made_are_refused(now_ns: int) -> None:
    for sizes in ((1_000, 100_000), (40_000, 41_000), (40_000, 900_000)):
        with pytest.raises(BadRequest) as refused:
            Fleet(1, 10, now_ns, sizes=sizes)
        assert refused.value.code == "simulated_size"
