"""Previews: what the newest archived pings hold of a declaration, here and in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.support.pings import RECEIVED_NS, crash_ping, main_ping, submission
from tests.unit.telemetry.test_estimate import TODAY, archive, compositor

from missioncontrol.config import load_config
from missioncontrol.errors import StorageError, TooSlow
from missioncontrol.lake.snapshot import Snapshot
from missioncontrol.registry import Registry
from missioncontrol.registry.load import SourceFile, load_registry, parse_registry, shipped_files
from missioncontrol.telemetry.preview import Example, Preview, Survey, documents_of, preview, survey
from missioncontrol.telemetry.preview_process import Previews

NEW = """
[measure.gc_long]
from = "main"
histogram = "GC_MS"
at_least = 150

[dimension.compositor]
title = "Compositor"
from.main = "environment.system.gfx.features.compositor"

[dimension.length]
title = "A number, which no dimension can be"
from.main = "payload.info.subsessionLength"
"""


def registry_with(*names: str) -> Registry:
    """The shipped registry and these blocks of NEW."""
    whole = parse_registry([*shipped_files(), SourceFile("new", NEW)])
    dimensions = {
        n: d for n, d in whole.dimensions.items() if n not in ("compositor", "length") or n in names
    }
    return msgspec.structs.replace(whole, dimensions=dimensions)


@pytest.fixture
def kept(tmp_path: Path) -> Snapshot:
    """Of four windows: 3 pings of d3d11, 1 of opengl, 2 without a compositor; a crash ping."""
    sent = [compositor(name, n % 4) for n, name in enumerate(("d3d11", "d3d11", "opengl", "d3d11"))]
    sent += [submission(main_ping(payload__histograms={}), received_ns=RECEIVED_NS + n) for n in (1, 2)]
    return archive(tmp_path, [*sent, submission(crash_ping(), document_type="crash")], load_registry())


def looked(snapshot: Snapshot | None, name: str, **options: int) -> Preview:
    return preview(snapshot, registry_with(name), name, today=TODAY, max_inflated_bytes=2**23, **options)


def test_a_measure_that_nobody_declared_yet(kept: Snapshot) -> None:
    found = looked(kept, "gc_long")
    assert (found.pings, found.having, found.distinct) == (6, 4, 1)
    assert found.examples == (Example("3", 4),)
    assert found.first == datetime.fromtimestamp(RECEIVED_NS // 10**9, UTC)
    assert found.last is not None and found.last > found.first
    assert found.estimate is not None
    assert [(c.section, c.name) for c in found.estimate.costs] == [("measure", "gc_long")]


def test_a_dimension_with_its_values_and_what_it_costs_in_rows(kept: Snapshot) -> None:
    found = looked(kept, "compositor")
    assert (found.pings, found.having, found.distinct) == (6, 4, 2)
    assert found.examples == (Example("d3d11", 3), Example(None, 2), Example("opengl", 1))
    assert found.estimate is not None
    assert found.estimate.costs[0].rows_with > found.estimate.costs[0].rows_without


def test_pings_that_would_be_lost_are_named(kept: Snapshot) -> None:
    found = looked(kept, "length")
    assert (found.pings, found.having) == (0, 0)
    assert found.refused == (Example("wrong_type length", 6),)


def test_only_the_newest_pings_are_looked_at(tmp_path: Path) -> None:
    sent = [compositor(f"c{n}", n) for n in range(8)]
    found = looked(archive(tmp_path, sent, load_registry()), "compositor", most=3)
    assert found.pings == 3
    # Two files, of every other ping each; those of the later one are looked at first.
    assert {e.value for e in found.examples} == {"c7", "c5", "c3"}


def test_nothing_is_archived() -> None:
    found = looked(None, "gc_long")
    assert (found.pings, found.examples, found.estimate) == (0, (), None)
    assert survey(None, load_registry(), [], [], today=TODAY, max_inflated_bytes=2**23) is None


def test_the_documents_of_an_entry() -> None:
    registry = registry_with("compositor")
    assert documents_of(registry, "gc_long") == {"main"}
    assert documents_of(registry, "compositor") == {"main"}
    assert {"main", "crash", "core"} <= documents_of(registry, "os_name")


def test_a_survey_has_the_shares_of_all_dimensions(kept: Snapshot) -> None:
    registry = registry_with("compositor")
    found = survey(kept, registry, ["compositor"], ["gc_long"], today=TODAY, max_inflated_bytes=2**23)
    assert found is not None
    assert found.pings == 7
    assert set(found.values["compositor"]) == {Example("d3d11", 3), Example(None, 3), Example("opengl", 1)}
    assert found.distinct["compositor"] == 3
    assert (found.having["gc_long"], found.having["main_crashes"]) == (4, 1)
    assert found.estimate is not None
    assert {c.name for c in found.estimate.costs} == {"compositor", "gc_long"}


@pytest.fixture
def previews(tmp_path: Path, kept: Snapshot) -> Callable[..., Previews]:
    config = load_config(tmp_path, environ={})

    def make(timeout_s: float = 60.0) -> Previews:
        return Previews(config.lake_path, config.cache_path, 2**23, timeout_s)

    return make


def test_a_process_of_its_own_finds_the_same(previews: Callable[..., Previews], kept: Snapshot) -> None:
    found = previews().preview(registry_with("compositor"), "compositor")
    assert found == msgspec.structs.replace(looked(kept, "compositor"), estimate=found.estimate)
    assert isinstance(previews().survey(registry_with(), ["os_name"], []), Survey)


def test_a_preview_that_takes_too_long_is_stopped(previews: Callable[..., Previews]) -> None:
    with pytest.raises(TooSlow) as refused:
        previews(0.05).preview(registry_with(), "gc_long")
    assert refused.value.code == "preview_too_slow"


def test_an_archive_that_cannot_be_read_is_told_by_its_code(
    previews: Callable[..., Previews], kept: Snapshot
) -> None:
    for file in kept.files:
        Path(file.path).write_bytes(b"no parquet")
    with pytest.raises(StorageError) as refused:
        previews().preview(registry_with(), "gc_long")
    assert refused.value.code == "lake_file"
