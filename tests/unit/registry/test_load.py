"""The registry is read, merged and validated; every refusal says where and what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.registry import Registry
from missioncontrol.registry.compile import compile_document
from missioncontrol.registry.load import SourceFile, load_registry, parse_registry, shipped_files

GC_PAUSES = """
[measure.gc_long_pauses]
title = "Main-process GC pauses of 150 ms and more"
from = "main"                       # which document type
histogram = "GC_MS"
process = "parent"
at_least = 150                      # count of samples in buckets >= 150
per = "usage_hours"                 # shown per 1,000 usage hours
worse = "up"
"""


def parse(text: str) -> Registry:
    return parse_registry([*shipped_files(), SourceFile("own.toml", text)])


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value


def test_the_shipped_files_declare_every_column_of_the_streaming_predecessor() -> None:
    registry = load_registry()
    assert [d.name for d in registry.keys] == [
        "channel", "application", "version", "display_version", "build_id", "os_name", "os_version", "architecture",
        "country",
    ]  # fmt: skip
    for name in [
        "count",
        "usage_hours",
        "main_crashes",
        "startup_crashes",
        "content_crashes",
        "content_shutdown_crashes",
        "gpu_crashes",
        "plugin_crashes",
        "gmplugin_crashes",
        "browser_shim_usage_blocked",
        "permissions_sql_corrupted",
        "defective_permissions_sql_removed",
        "slow_script_notice_count",
        "slow_script_page_count",
        "subsession_count",
        "first_subsession_count",
        "first_paint",
        "ghost_windows_main_above_1",
        "ghost_windows_content_above_1",
    ]:
        assert name in registry.measures
    for histogram in ("input_event_response_coalesced_ms", "gc_max_pause_ms_2", "cycle_collector_max_pause"):
        for process in ("main", "content"):
            for limit in (150, 250, 2500):
                assert f"{histogram}_{process}_above_{limit}" in registry.measures
    for name in ("e10s_enabled", "e10s_cohort", "gfx_compositor", "profile_age_days", "quantum_ready"):
        assert not registry.dimensions[name].enabled


def test_everything_shipped_has_title_description_and_unit() -> None:
    registry = load_registry()
    for measure in registry.measures.values():
        assert measure.title and measure.description and measure.unit, measure.name
    for dimension in registry.dimensions.values():
        assert dimension.title and dimension.description, dimension.name


def test_every_shipped_document_compiles() -> None:
    registry = load_registry()
    for document in registry.documents.values():
        compile_document(registry, document)


def test_a_measure_is_one_block() -> None:
    registry = parse(GC_PAUSES)
    measure = registry.measures["gc_long_pauses"]
    assert (measure.sources[0].kind, measure.column_type, measure.per, measure.worse) == (
        "threshold", "int64", "usage_hours", "up",
    )  # fmt: skip


def test_a_later_file_changes_the_keys_it_gives_and_the_revision() -> None:
    plain, changed = load_registry(), parse("[dimension.gfx_compositor]\nenabled = true\n")
    assert changed.dimensions["gfx_compositor"].enabled
    assert changed.dimensions["gfx_compositor"].title == plain.dimensions["gfx_compositor"].title
    assert changed.revision != plain.revision


def test_applications_are_declared_with_their_rules() -> None:
    registry = parse(
        '[application.Otter]\nchannels = ["stable", "canary"]\ndrop_channels = ["Other"]\nnamespaces = ["org-otter"]'
    )
    assert registry.applications["Otter"].channels == ["stable", "canary"]


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (GC_PAUSES.replace("histogram", "histgram"), 5, "unknown key `histgram`", "`histogram`"),
        (GC_PAUSES.replace('"main"', '"mian"'), 4, "names no document `mian`", "`main`"),
        (GC_PAUSES.replace("at_least = 150", 'at_least = "many"'), 7, "Expected `int | null`", ""),
        (GC_PAUSES.replace('"usage_hours"', '"usage_hour"'), 8, "names no measure `usage_hour`", "`usage_hours`"),
        (GC_PAUSES.replace("[measure", "[mesure"), 2, "unknown block [mesure]", "`measure`"),
        (GC_PAUSES.replace("gc_long_pauses", "Gc-Long"), 2, "becomes a column", ""),
        (GC_PAUSES.replace("gc_long_pauses", "window_start"), 2, "is taken", ""),
        (GC_PAUSES.replace("gc_long_pauses", "channel"), 2, "dimension of the same name", ""),
        (GC_PAUSES + "bucket = 3\n", 7, "exclude each other", ""),
        (GC_PAUSES + 'number = "payload.x"\n', 10, "exclude each other", ""),
        ('[measure.x]\ntitle = "x"\n', 1, "`from` is missing", "Known:"),
        ('[measure.x]\nfrom = "main"\nnumber = "payload..x"\n', 3, "is no path", ""),
        ('[measure.x]\nfrom = "main"\nnumber = "a"\nclamp = [3, 1]\n', 4, "`clamp`", ""),
        ('[measure.x]\nfrom = "main"\nnumber = "a"\ndivide = 0\n', 4, "`divide`", ""),
        ('[measure.x]\nfrom = "main"\nkeyed_histogram = "A"\n', 3, "needs a `key`", ""),
        ('[measure.x]\nfrom = "baseline"\nscalar = "a.b"\n', 2, "metric_type", ""),
        *(
            (f'[measure.x]\nfrom = "main"\nnumber = "a"\ncomparable_since = "{day}"\n', 4, "is no day", "2026-01-31")
            for day in ("2026-02-30", "soon", "20260131", "2026-W05-6", "2026-1-31", "2026-01-31T00:00:00")
        ),
        ('[measure.x]\nfrom = "main"\nnumber = "a"\ncomparable_since = 2026-01-31\n', 4, "Expected `str`", ""),
        ('[dimension.x]\ntitle = "x"\nfrom.man = "a"\n', 3, "`from.man` names no document", "`main`"),
        ('[dimension.x]\ntitle = "x"\nfrom.main = "@ip"\n', 3, "names no part of a submission", ""),
        ('[dimension.x]\ntitle = "x"\nnormalise = "chanel"\n', 3, "Invalid enum value", ""),
        ('[document.x]\ntitle = "x"\ntype = "x"\naccept = [{ path = "a", equals = 1 }]\n', 4, "`reason`", ""),
        ('[application.x]\nbuild_age = 3\n', 2, "unknown key `build_age`", "`build_age_months`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_line_and_suggestion(
    text: str, line: int, message: str, hint: str
) -> None:
    error = refusal(text)
    assert error.code == "registry_invalid"
    assert error.message.startswith(f"own.toml:{line}: ")
    assert message in error.message
    assert hint in error.hint


def test_what_is_no_toml_is_told_with_its_line() -> None:
    assert "own.toml: no TOML" in refusal("[measure.x\n").message
    assert "line 1" in refusal("[measure.x\n").message


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="utf-8"):
        load_registry([tmp_path / "x.toml"])


def test_a_missing_file_of_the_users_is_fine(tmp_path: Path) -> None:
    assert load_registry([tmp_path / "none.toml"]).measures


def test_the_rule_sets_of_the_daily_batch_have_the_statistics_that_the_table_knows() -> None:
    from missioncontrol.lake.tables import CRASH_STATS
    from missioncontrol.registry.rules import RULE_SETS, rule_registry
    from missioncontrol.telemetry.crash_sums import stat_names

    found = {name: stat_names(rule_registry(name, load_registry())) for name in RULE_SETS}
    assert set(found["default"]) == set(found["cav"]) == set(CRASH_STATS)
    assert set(CRASH_STATS) - set(found["cra"]) == {"gpu_crashes", "gpu_crashes_squared"}
