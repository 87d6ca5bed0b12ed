"""What a ping is taken to say, and why it is not counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pings import DROP, baseline_ping, change, core_ping, crash_ping, main_ping, submission

from missioncontrol.registry.load import SourceFile, load_registry, parse_registry, shipped_files
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fact import Fact

REGISTRY = load_registry()
EXTRACTOR = Extractor(REGISTRY)
NAMES = list(REGISTRY.measures)


def extract(ping: dict[str, Any] | bytes, document_type: str = "main", **changes: Any) -> Fact | Discard:
    sent = submission(ping, document_type, **changes)
    return EXTRACTOR.extract(sent, sent.body)


def fact(*args: Any, **changes: Any) -> Fact:
    found = extract(*args, **changes)
    assert isinstance(found, Fact), found
    return found


def reason(*args: Any, **changes: Any) -> str:
    found = extract(*args, **changes)
    assert isinstance(found, Discard), found
    return found.reason


def values(found: Fact) -> dict[str, float]:
    return {NAMES[index]: value for index, value in found.values}


def key(found: Fact) -> dict[str, str | None]:
    return dict(zip([d.name for d in REGISTRY.keys], found.key, strict=True))


def test_a_main_ping_gives_all_dimensions_of_the_streaming_aggregates() -> None:
    assert key(fact(main_ping())) == {
        "channel": "release",
        "application": "Firefox",
        "version": "133.0",
        "display_version": "133.0",
        "build_id": "20261101093000",
        "os_name": "Windows_NT",
        "os_version": "10.0.19045",
        "architecture": "x86-64",
        "country": "DE",
    }


def test_a_main_ping_gives_usage_hours_histograms_keyed_histograms_and_thresholds() -> None:
    found = values(fact(main_ping()))
    assert found["usage_hours"] == 1.0
    assert found["count"] == 1
    assert found["slow_script_notice_count"] == 2
    assert found["gpu_crashes"] == 1
    assert found["plugin_crashes"] == 3
    assert "gmplugin_crashes" not in found
    assert "main_crashes" not in found
    assert found["gc_max_pause_ms_2_main_above_150"] == 4
    assert found["gc_max_pause_ms_2_main_above_250"] == 2
    assert found["gc_max_pause_ms_2_main_above_2500"] == 1
    assert found["ghost_windows_content_above_1"] == 4
    assert found["ghost_windows_main_above_1"] == 0
    assert found["first_paint"] == 1200


def test_first_paint_counts_only_in_first_subsessions() -> None:
    found = values(fact(main_ping(payload__info__subsessionCounter=2)))
    assert "first_paint" not in found
    assert found["first_subsession_count"] == 0
    assert found["subsession_count"] == 1


@pytest.mark.parametrize(
    ("length", "hours"),
    [(0, 0.0), (-5, 0.0), (90_000, 25.0), (10**30, 25.0), (int("9" * 400), 25.0), (1800, 0.5)],
)
def test_main_usage_is_clamped_to_0_and_25_hours(length: int, hours: float) -> None:
    assert values(fact(main_ping(length)))["usage_hours"] == hours


@pytest.mark.parametrize("length", [3600.0, 1e3, "3600", None, True, [1], {"a": 1}, DROP])
def test_a_main_ping_without_integer_length_is_discarded(length: Any) -> None:
    assert reason(main_ping(payload__info__subsessionLength=length)) == "subsession_length"


@pytest.mark.parametrize(
    ("process", "metadata", "measures"),
    [
        (None, {}, {"main_crashes": 1}),
        ("main", {}, {"main_crashes": 1}),
        ("main", {"StartupCrash": "1"}, {"main_crashes": 1, "startup_crashes": 1}),
        ("main", {"StartupCrash": "0"}, {"main_crashes": 1}),
        ("main", {"ipc_channel_error": "ShutDownKill"}, {"main_crashes": 1}),
        ("content", {}, {"content_crashes": 1}),
        ("content", {"StartupCrash": "1"}, {"content_crashes": 1}),
        ("content", {"ipc_channel_error": "ShutDownKill"}, {"content_shutdown_crashes": 1}),
        ("content", {"ipc_channel_error": "ShutDownKill "}, {"content_crashes": 1}),
    ],
)
def test_a_crash_ping_counts_by_process_and_metadata(
    process: str | None, metadata: dict[str, str], measures: dict[str, int]
) -> None:
    found = values(fact(crash_ping(process, payload__metadata=metadata), "crash"))
    assert found == {"count": 1, **measures}


@pytest.mark.parametrize("process", ["gpu", "plugin", "rdd", "Main", "Content", ""])
def test_a_crash_of_another_process_is_discarded(process: str) -> None:
    assert reason(crash_ping(process), "crash") == "crash_process_type"


def test_a_core_ping_takes_its_dimensions_from_the_address_and_its_own_names() -> None:
    found = fact(core_ping(), "core", application="Fennec", version="68.1.1")
    assert key(found) | {"build_id": ""} == {
        "channel": "release", "application": "Fennec", "version": "68.1.1", "display_version": "68.1",
        "build_id": "", "os_name": "Android", "os_version": "28", "architecture": "arm64-v8a", "country": "DE",
    }  # fmt: skip
    assert values(found) == {"usage_hours": 0.5, "count": 1}


def test_a_core_ping_is_not_clamped_and_may_lack_its_duration() -> None:
    assert values(fact(core_ping(durations=360_000), "core", application="Fennec"))["usage_hours"] == 100.0
    assert values(fact(core_ping(durations=DROP), "core", application="Fennec")) == {"count": 1}


def test_a_core_ping_without_display_version_shows_the_version_of_the_address() -> None:
    found = fact(core_ping(displayVersion=DROP), "core", application="Fennec", version="68.1.1")
    assert key(found)["display_version"] == "68.1.1"


@pytest.mark.parametrize("system", ["iOS", "android", DROP])
def test_a_core_ping_of_another_system_is_discarded(system: Any) -> None:
    assert reason(core_ping(os=system), "core", application="Fennec") == "core_os"


def test_a_fennec_crash_on_linux_is_android() -> None:
    found = fact(crash_ping(environment__system__os__name="Linux"), "crash", application="Fennec")
    assert key(found)["os_name"] == "Android"


def test_linux_of_fennec_stays_linux_in_a_main_ping() -> None:
    ping = main_ping(environment__system__os__name="Linux")
    assert key(fact(ping, application="Fennec"))["os_name"] == "Linux"


def test_a_glean_baseline_ping_gives_usage_hours_under_its_namespace() -> None:
    found = fact(baseline_ping(1800), "baseline", namespace="firefox-desktop")
    assert key(found) == {
        "channel": "release", "application": "firefox-desktop", "version": "133.0", "display_version": "133.0",
        "build_id": "20261101093000", "os_name": "Linux", "os_version": "6.1", "architecture": "x86_64",
        "country": "DE",
    }  # fmt: skip
    assert values(found) == {"usage_hours": 0.5, "count": 1}
    assert found.experiments == (("exp-g", "on"),)


@pytest.mark.parametrize(
    ("value", "unit", "hours"),
    [
        (90, "minute", 1.5),
        (2, "hour", 2.0),
        (1_800_000, "millisecond", 0.5),
        (3_600_000_000_000, "nanosecond", 1.0),
    ],
)
def test_a_glean_timespan_is_taken_in_its_own_unit(value: int, unit: str, hours: float) -> None:
    ping = baseline_ping()
    ping["metrics"]["timespan"]["glean.baseline.duration"] = {"value": value, "time_unit": unit}
    assert values(fact(ping, "baseline", namespace="org-example-app"))["usage_hours"] == hours


def test_a_glean_crash_ping_counts_main_and_startup_crashes() -> None:
    ping = baseline_ping()
    ping["metrics"] = {"string": {"crash.process_type": "main"}, "boolean": {"crash.startup": True}}
    found = values(fact(ping, "crash", namespace="org-example-app"))
    assert found == {"count": 1, "main_crashes": 1, "startup_crashes": 1}


def _ping_of_the_crash_reporter(**changes: Any) -> dict[str, Any]:
    """What the crash reporter of Firefox 153 sends when the main process crashed, without what is not counted."""
    ping = baseline_ping(
        ping_info={"seq": 0, "start_time": "2026-11-22T11:53:49.963+00:00", "reason": "crash"},
        client_info__app_channel=DROP,
        client_info__app_display_version="1.0.0",
        client_info__build_date="1970-01-01T00:00:00+00:00",
    )
    application = {"app_channel": "esr", "app_display_version": "153.7.0", "app_build": "20261103151912"}
    strings = {"process_type": "main", "product_name": "Firefox", "os": "Linux", **application}
    ping["metrics"] = {
        "string": {f"crash.{name}": value for name, value in strings.items()},
        "boolean": {"crash.startup": False},
    }
    return change(ping, changes)


def test_a_glean_crash_belongs_to_the_application_that_crashed_not_to_its_crash_reporter() -> None:
    found = fact(_ping_of_the_crash_reporter(), "crash", namespace="firefox-crashreporter")
    assert values(found) == {"count": 1, "main_crashes": 1}
    assert {name: key(found)[name] for name in ("application", "channel", "version", "build_id")} == {
        "application": "firefox-desktop",
        "channel": "esr",
        "version": "153.7.0",
        "build_id": "20261103151912",
    }


def test_a_main_crash_that_is_reported_again_at_the_next_start_is_counted_once() -> None:
    again = _ping_of_the_crash_reporter(ping_info__reason="event_found")
    assert values(fact(again, "crash", namespace="firefox-crashreporter")) == {"count": 1}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("release", "release"), ("esr", "esr"), ("nightly-cck-foo", "nightly"), ("beta-cck", "beta"),
        ("betatest", "beta"), ("aurora", "aurora"), ("", ""),
    ],
)  # fmt: skip
def test_channels_are_normalised(sent: str, kept: str) -> None:
    assert key(fact(main_ping(), channel=sent))["channel"] == kept


@pytest.mark.parametrize("sent", ["Release", "esr52", "default", "Other", "xnightly"])
def test_other_channels_of_firefox_are_dropped(sent: str) -> None:
    assert reason(main_ping(), channel=sent) == "channel_dropped"


def test_an_undeclared_application_is_taken_under_its_own_name_with_the_general_rules() -> None:
    found = key(fact(main_ping(), application="Waterbear", channel="stable"))
    assert (found["application"], found["channel"], found["os_name"]) == ("Waterbear", "Other", "Windows")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("10.0", "10.0"),
        ("6.1.7601.65536", "6.1.7601"),
        ("5", "5"),
        ("10.0-generic", "10.0"),
        ("Wheezy", None),
    ],
)
def test_os_versions_keep_their_leading_numbers(sent: str, kept: str | None) -> None:
    assert key(fact(main_ping(environment__system__os__version=sent)))["os_version"] == kept


@pytest.mark.parametrize(("sent", "kept"), [("de", "DE"), ("??", "??"), ("Germany", "Other"), ("", "Other")])
def test_countries_are_two_upper_case_letters(sent: str, kept: str) -> None:
    assert key(fact(main_ping(), country=sent))["country"] == kept


@pytest.mark.parametrize(
    ("build_id", "submitted", "counted"),
    [
        ("20260522000000", "20261122", True),  # exactly six months
        ("20260423000000", "20261122", True),  # six months and 30 days
        ("20260422000000", "20261122", False),  # seven full months
        ("20261221000000", "20261122", True),  # less than one full month ahead
        ("20261222000000", "20261122", False),
        ("2026110109300", "20261122", True),  # 13 digits: only the first eight count
        ("20261101", "20261122", True),
        ("20261301000000", "20261122", False),
        ("2026110", "20261122", False),
        ("abcdefghijklmn", "20261122", False),
        ("", "20261122", False),
        ("²²²²²²²²", "20261122", False),
    ],
)
def test_the_build_id_holds_a_date_within_six_months_of_submission(
    build_id: str, submitted: str, counted: bool
) -> None:
    found = extract(main_ping(environment__build__buildId=build_id), submission_date=submitted)
    assert isinstance(found, Fact) is counted
    if isinstance(found, Discard):
        assert found.reason == "build_age"


def test_build_age_is_counted_to_the_submission_date_not_to_the_day_of_receipt() -> None:
    ping = main_ping(environment__build__buildId="20260101000000")
    assert reason(ping) == "build_age"
    assert isinstance(extract(ping, submission_date="20260301"), Fact)


def test_only_the_first_eight_characters_of_a_build_id_are_a_date() -> None:
    assert reason(main_ping(environment__build__buildId="2026-11-01")) == "build_age"
    assert isinstance(extract(main_ping(environment__build__buildId="20261101-rc")), Fact)


@pytest.mark.parametrize("build_date", ["1970-01-01T00:00:00+00:00", "1970-01-01+00:00", DROP, None])
@pytest.mark.parametrize(
    ("app_build", "counted"),
    [("20261103151912", True), ("20260401000000", False), ("2016012345", True), ("42", True), ("", True)],
)
def test_a_glean_build_without_a_date_is_as_old_as_its_build_id_if_that_holds_a_date(
    build_date: Any, app_build: str, counted: bool
) -> None:
    ping = baseline_ping(client_info__build_date=build_date, client_info__app_build=app_build)
    found = extract(ping, "baseline", namespace="firefox-desktop")
    assert isinstance(found, Fact) is counted
    if isinstance(found, Discard):
        assert found.reason == "build_age"


def test_a_glean_build_with_a_date_is_as_old_as_that_whatever_its_build_id_says() -> None:
    old = baseline_ping(client_info__build_date="2026-04-01T00:00:00+00:00")
    assert reason(old, "baseline", namespace="org-example-app") == "build_age"
    assert fact(
        baseline_ping(client_info__app_build="20100101000000"), "baseline", namespace="org-example-app"
    )


@pytest.mark.parametrize("submitted", [None, "", "2026-11-22", "20261332", "tomorrow"])
def test_a_ping_without_usable_submission_date_is_discarded(submitted: str | None) -> None:
    assert reason(main_ping(), submission_date=submitted) in ("missing_field", "submission_date")


def test_a_ping_without_environment_has_no_build_id_and_is_discarded() -> None:
    assert reason(main_ping(environment=DROP)) == "build_id_missing"


@pytest.mark.parametrize(
    "field",
    ["architecture", "buildId", "channel", "name", "platformVersion", "vendor", "version", "xpcomAbi"],
)
@pytest.mark.parametrize("value", [DROP, None])
def test_each_required_application_field_is_required(field: str, value: Any) -> None:
    assert reason(main_ping(**{f"application__{field}": value})) == "missing_field"
    assert reason(crash_ping(**{f"application__{field}": value}), "crash") == "missing_field"


@pytest.mark.parametrize("path", ["payload__crashDate", "payload__metadata"])
def test_a_crash_ping_needs_date_and_metadata(path: str) -> None:
    assert reason(crash_ping(**{path: DROP}), "crash") == "missing_field"


def test_a_document_type_that_nobody_declared_is_named() -> None:
    assert reason(main_ping(), "modules") == "document_type"
    assert reason(main_ping(), "main", namespace="org-example") == "document_type"


def test_automated_tests_are_not_counted() -> None:
    assert reason(main_ping(), headers=(("x-source-tags", "automation, perf"),)) == "automation"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b'{"a":1',
        b'{"a":NaN}',
        b"\xff\xfe",
        b"{} trailing",
        b"\x00" * 50,
    ],
)
def test_what_is_no_json_object_is_named_so(body: bytes) -> None:
    assert reason(body) == "not_json"


def test_json_cut_anywhere_is_named_so() -> None:
    body = json.dumps(main_ping()).encode()
    for end in range(0, len(body), 7):
        assert reason(body[:end]) == "not_json"


@pytest.mark.parametrize("bracket", [(b"[", b"]"), (b'{"a":', b"}")])
def test_ten_thousand_levels_of_nesting_are_named_so(bracket: tuple[bytes, bytes]) -> None:
    deep = bracket[0] * 10_000 + b"1" + bracket[1] * 10_000
    assert reason(b'{"type":"main","x":' + deep + b"}") == "nested_too_deeply"


def test_duplicate_keys_take_the_last_value_and_nothing_breaks() -> None:
    body = (
        json.dumps(main_ping(60))
        .encode()
        .replace(b'"subsessionLength": 60', b'"subsessionLength": 60, "subsessionLength": 7200')
    )
    assert values(fact(body))["usage_hours"] == 2.0


WRONG_TYPES = [5, -1, 1.5, True, "x", [], [1], {}, {"a": {"b": 1}}, None, "\ud800", "a\x00b", 10**400, 1e308]


def _declared_paths() -> list[tuple[str, ...]]:
    from missioncontrol.registry.compile import compile_document

    plan = compile_document(REGISTRY, REGISTRY.documents["main"])
    return list(plan.decoder._index)


@pytest.mark.parametrize("path", _declared_paths(), ids=".".join)
def test_a_wrong_type_at_a_declared_path_never_raises_and_loses_no_neighbour(path: tuple[str, ...]) -> None:
    for wrong in WRONG_TYPES:
        for depth in range(1, len(path) + 1):
            found = extract(main_ping(**{"__".join(path[:depth]): wrong}))
            assert isinstance(found, Fact | Discard)
            if isinstance(found, Fact):
                json.dumps([found.key, found.values]).encode()
                assert all(abs(v) <= 2**53 for _, v in found.values)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [1, 2],
        "x",
        7,
        {"values": []},
        {"values": {"0": -1}},
        {"values": {"0": 10**30}},
        {"values": {"0": "2"}},
    ],
)
def test_a_broken_histogram_costs_only_itself(wrong: Any) -> None:
    found = fact(main_ping(payload__histograms__SLOW_SCRIPT_NOTICE_COUNT=wrong))
    assert "slow_script_notice_count" not in values(found)
    assert values(found)["gpu_crashes"] == 1
    assert found.notes == ("value_not_counted",)


@pytest.mark.parametrize("count", [-1, 10**30, "2", None, True, 2.0])
def test_a_bucket_without_a_count_costs_the_sums_over_it_but_no_other_bucket(count: Any) -> None:
    broken = {"values": {"0": 7, "1": count}}
    found = fact(
        main_ping(
            payload__histograms__SLOW_SCRIPT_NOTICE_COUNT=broken,
            payload__histograms__GHOST_WINDOWS=broken,
            payload__keyedHistograms__SUBPROCESS_CRASHES_WITH_DUMP__gpu={"values": {"0": count, "1": 7}},
        )
    )
    assert values(found)["slow_script_notice_count"] == 7
    assert "ghost_windows_main_above_1" not in values(found)
    assert "gpu_crashes" not in values(found)
    assert found.notes == ("value_not_counted",)


@pytest.mark.parametrize("count", [-1, "2", None, True, 9])
def test_a_bucket_that_is_no_integer_is_passed_over_whatever_it_holds(count: Any) -> None:
    found = fact(main_ping(payload__histograms__GC_MAX_PAUSE_MS_2={"values": {"150": 2, "many": count}}))
    assert values(found)["gc_max_pause_ms_2_main_above_150"] == 2
    assert found.notes == ()


def test_buckets_that_are_no_integers_are_passed_over() -> None:
    found = fact(
        main_ping(payload__histograms__GC_MAX_PAUSE_MS_2={"values": {"150": 2, "many": 9, "1.5": 9}})
    )
    assert values(found)["gc_max_pause_ms_2_main_above_150"] == 2


def test_nul_and_lone_surrogates_become_replacement_characters() -> None:
    found = fact(main_ping(environment__system__os__name="Win\x00\ud800"))
    assert key(found)["os_name"] == "Win\ufffd\ufffd"


@pytest.mark.parametrize("wrong", [5, True, [], {"a": 1}])
def test_a_dimension_of_another_type_discards_the_ping(wrong: Any) -> None:
    assert reason(main_ping(environment__system__os__name=wrong)) == "wrong_type"


def test_a_dimension_of_300_characters_discards_the_ping() -> None:
    assert reason(main_ping(environment__build__version="9" * 300)) == "value_too_long"


def test_experiments_are_the_distinct_union_of_both_styles() -> None:
    ping = main_ping(environment__addons={"activeExperiment": {"id": "old", "branch": "x"}})
    assert set(fact(ping).experiments) == {("exp-a", "control"), ("old", "x")}
    ping = main_ping(environment__addons={"activeExperiment": {"id": "exp-a", "branch": "control"}})
    assert fact(ping).experiments == (("exp-a", "control"),)


def test_dimensions_that_are_off_cost_nothing_and_can_be_switched_on() -> None:
    own = SourceFile(
        "own.toml",
        "[dimension.profile_age_days]\nenabled = true\n[dimension.quantum_ready]\nenabled = true\n"
        "[dimension.e10s_enabled]\nenabled = true\n",
    )
    registry = parse_registry([*shipped_files(), own])
    ping = main_ping(
        environment__profile={"creationDate": 20779 - 43},
        environment__settings={"e10sEnabled": True},
        environment__addons={
            "activeAddons": {"a": {"isSystem": True}, "b": {"isWebExtension": True}},
            "theme": {"id": "default-theme@mozilla.org"},
        },
    )
    sent = submission(ping, received_ns=20779 * 86_400_000_000_000)
    found = Extractor(registry).extract(sent, sent.body)
    assert isinstance(found, Fact)
    assert found.key[-3:] == ("True", "49", "True")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_discard(body: bytes) -> None:
    assert isinstance(extract(body), Discard)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(_declared_paths()), _JSON)
def test_any_json_at_any_declared_path_gives_a_fact_or_a_discard(path: tuple[str, ...], value: Any) -> None:
    assert isinstance(extract(main_ping(**{"__".join(path): value})), Fact | Discard)
