"""What may be declared about crash reports, and what becomes of a report under it."""

from __future__ import annotations

from typing import Any

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.registry.load import SourceFile, parse_registry, shipped_files
from missioncontrol.registry.model import Registry
from missioncontrol.registry.reports import ReportPlan


def declared(text: str) -> Registry:
    return parse_registry([*shipped_files(), SourceFile("own.toml", text)])


def counted(registry: Registry, **values: Any) -> set[str]:
    plan = ReportPlan(registry)
    return {plan.measures[i].name for i in plan.counted(tuple(values.get(path) for path in plan.paths))}


def test_a_measure_of_reports_is_a_sum_of_weights_without_clients() -> None:
    registry = declared("")
    measure = registry.measures["crash_reports"]
    assert (measure.of_reports, measure.column_type, measure.counts_clients) == (True, "float64", False)
    assert "crash_report" not in {d.name for d in registry.pings}


@pytest.mark.parametrize(
    ("values", "measures"),
    [
        ({}, {"crash_reports", "main_crash_reports"}),
        ({"process_type": "parent", "startup_crash": True},
         {"crash_reports", "main_crash_reports", "startup_crash_reports"}),
        ({"process_type": "content", "startup_crash": False}, {"crash_reports", "content_crash_reports"}),
        ({"process_type": "gpu", "oom_allocation_size": 1}, {"crash_reports", "gpu_crash_reports", "oom_crash_reports"}),
        ({"process_type": "rdd", "report_type": "hang"}, {"crash_reports", "hang_reports"}),
    ],
)  # fmt: skip
def test_the_shipped_measures(values: dict[str, Any], measures: set[str]) -> None:
    assert counted(declared(""), **values) == measures


def test_true_and_one_are_not_the_same() -> None:
    registry = declared('[measure.x]\nfrom = "crash_report"\nwhere = [{ path = "safe_mode", equals = true }]')
    plan = ReportPlan(registry)

    def holds(value: Any) -> bool:
        values = tuple(value if path == "safe_mode" else None for path in plan.paths)
        return any(plan.measures[i].name == "x" for i in plan.counted(values))

    assert [holds(v) for v in (True, 1, True, 1)] == [True, False, True, False]


def test_dimensions_are_named_as_those_of_pings() -> None:
    plan = ReportPlan(
        declared(
            '[dimension.safe]\ntitle = "Safe mode"\nnormalise = "boolean"\nfrom.crash_report = "safe_mode"'
        )
    )
    names = [d.name for d in plan.dimensions]

    def key(**values: Any) -> dict[str, str | None]:
        return dict(zip(names, plan.key(tuple(values.get(path) for path in plan.paths)), strict=True))

    mac = key(product="Firefox", os_name="Mac OS X", cpu_arch="arm64", release_channel="beta", safe_mode=True)
    assert (mac["os_name"], mac["architecture"], mac["channel"], mac["safe"]) == (
        "Darwin",
        "aarch64",
        "beta",
        "True",
    )
    other = key(product="Notes", os_name="Mac OS X", version="9" * 300, build="a\0b", release_channel="x")
    assert (other["os_name"], other["channel"], other["architecture"]) == ("Mac", "Other", None)
    assert len(other["version"] or "") == 200
    assert other["build_id"] == "a\ufffdb"
    assert set(key().values()) == {None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[measure.x]\nfrom = ["crash_report", "crash"]', "cannot count pings too"),
        ('[measure.x]\nfrom = "crash_report"\nnumber = "uptime"', "reads no numbers"),
        ('[measure.x]\nfrom = "crash_report"\nabsent = 0', "`absent` is for pings"),
        ('[measure.x]\nfrom = "crash_report"\nclients = true', "names no client"),
        ('[measure.x]\nfrom = "crash_report"\nwhere = [{ path = "proces_type", equals = "gpu" }]', "no public column"),
        ('[measure.x]\nfrom = "crash_report"\nwhere = [{ path = "email", absent = true }]', "no public column"),
        ('[measure.x]\nfrom = "crash_report"\nwhere = [{ path = "fields.", equals = "a" }]', "fields."),
        ('[dimension.x]\ntitle = "X"\nfrom.crash_report = "url"', "no public column"),
        ('[dimension.x]\ntitle = "X"\nnormalise = "profile_age"\nfrom.crash_report = "build"', "needs a ping"),
        ('[document.crash_report]\nrequired = ["product"]', "is for pings"),
        ('[document.main]\nrenames = { os_name = { a = "b" } }', "`renames` is for crash reports"),
    ],
)  # fmt: skip
def test_what_means_nothing_for_reports_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        declared(text)
    assert said in refused.value.message
    assert refused.value.message.startswith("own.toml:")


def test_a_column_that_was_probably_meant_is_named() -> None:
    with pytest.raises(ConfigError) as refused:
        declared('[measure.x]\nfrom = "crash_report"\nwhere = [{ path = "proces_type", equals = "gpu" }]')
    assert "process_type" in refused.value.hint
