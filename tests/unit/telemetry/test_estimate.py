"""What a declaration costs, estimated from the archive: equal to what the rows become, or near it from a sample."""

from __future__ import annotations

import gzip
import random
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.pings import RECEIVED_NS, main_ping, submission

from missioncontrol.config import load_config
from missioncontrol.lake.seal import seal
from missioncontrol.lake.snapshot import LakeReader, Snapshot
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry import Registry
from missioncontrol.registry.load import SourceFile, load_registry, parse_registry, shipped_files
from missioncontrol.telemetry.batch import Batch
from missioncontrol.telemetry.estimate import Cost, Estimate, estimate
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.submission import Submission

WINDOW_NS = 300_000_000_000
TODAY = date(2026, 11, 23)
OWN = """
[dimension.gfx_compositor]
enabled = true

[dimension.session]
title = "Session length"
from.main = "payload.info.subsessionLength"
enabled = false

[measure.gc_long]
from = "main"
histogram = "GC_MS"
at_least = 150
"""
REGISTRY = parse_registry([*shipped_files(), SourceFile("own", OWN)])


def compositor(name: str, window: int, **changes: Any) -> Submission:
    """A ping of a client with this compositor in a window of the day (window 0: that of the tests)."""
    ping = main_ping(environment__system__gfx={"features": {"compositor": name}}, **changes)
    return submission(ping, received_ns=RECEIVED_NS + window * WINDOW_NS)


def archive(folder: Path, sent: list[Submission], registry: Registry = REGISTRY) -> Snapshot:
    """A lake into which these were counted, in two commits."""
    config = load_config(folder, environ={})
    writer = LakeWriter(config.lake_path)
    writer.ensure(registry)
    for version, half in enumerate((sent[::2], sent[1::2]), 1):
        batch = Batch(Extractor(registry), config)
        for one in half:
            batch.add(one)
        for table, rows in batch.tables().items():
            writer.append(table, rows, "test", version)
    snapshot = LakeReader(config.lake_path, config.cache_path).snapshot("pings")
    assert snapshot is not None
    return snapshot


def made(
    snapshot: Snapshot | None, dimensions: list[str], measures: list[str] | None = None, **changes: Any
) -> Estimate | None:
    options = {"today": TODAY, "max_inflated_bytes": 2**23, **changes}
    return estimate(snapshot, REGISTRY, dimensions, measures or [], **options)


def cost(found: Estimate | None, name: str) -> Cost:
    assert found is not None
    return next(c for c in found.costs if c.name == name)


def distinct(sent: list[Submission], registry: Registry) -> int:
    """Rows that these pings are in the end, counted apart from the product's sums."""
    extractor = Extractor(registry)
    keys = set()
    for one in sent:
        fact = extractor.extract(one, one.body)
        if hasattr(fact, "key"):
            keys.add((one.received_ns // WINDOW_NS, fact.key))
    return len(keys)


@pytest.fixture
def sent() -> list[Submission]:
    rng = random.Random(4)
    names = ["d3d11", "opengl", "webrender", "basic"]
    return [
        compositor(
            rng.choice(names),
            rng.randrange(100),
            environment__system__os__version=f"10.{rng.randrange(3)}",
        )
        for _ in range(900)
    ]


def test_a_whole_day_is_counted_exactly(tmp_path: Path, sent: list[Submission]) -> None:
    found = made(archive(tmp_path, sent), ["gfx_compositor"], ["gc_long"])
    assert found is not None
    assert (found.day, found.pings, found.pings_of_day) == (date(2026, 11, 22), 900, 900)
    assert found.windows == found.windows_of_day
    off = cost(found, "gfx_compositor")
    assert off.rows_with == distinct(sent, REGISTRY)
    assert off.rows_without == distinct(sent, load_registry())
    assert off.factor == off.rows_with / off.rows_without
    assert 0 < off.bytes_without < off.bytes_with
    measure = cost(found, "gc_long")
    assert measure.rows_with == measure.rows_without == off.rows_with
    assert 0 < measure.bytes_with - measure.bytes_without < off.bytes_with


def test_a_sample_of_whole_windows_is_scaled_up(tmp_path: Path, sent: list[Submission]) -> None:
    found = made(archive(tmp_path, sent), ["gfx_compositor"], max_pings=300)
    assert found is not None
    assert found.pings <= 300
    assert 20 <= found.windows < found.windows_of_day == 100
    assert found.pings_of_day == 900
    assert not found.is_cut
    off = cost(found, "gfx_compositor")
    assert off.rows_with == pytest.approx(distinct(sent, REGISTRY), rel=0.15)
    assert off.rows_without == pytest.approx(distinct(sent, load_registry()), rel=0.15)


def test_a_sealed_day_is_estimated_as_the_same_day_before(tmp_path: Path, sent: list[Submission]) -> None:
    before = archive(tmp_path, [zipped(one) for one in sent])
    config = load_config(tmp_path, environ={})
    assert seal(config.lake_path, config.cache_path, 10**8, full=True)
    after = LakeReader(config.lake_path, config.cache_path).snapshot("pings")
    assert after is not None
    assert after.files != before.files
    for max_pings in (10_000, 300):
        was = made(before, ["gfx_compositor"], ["gc_long"], max_pings=max_pings)
        assert made(after, ["gfx_compositor"], ["gc_long"], max_pings=max_pings) == was
        assert cost(was, "gfx_compositor").rows_with > 0


def zipped(one: Submission) -> Submission:
    return msgspec.structs.replace(one, encoding="gzip", body=gzip.compress(one.body))


def test_a_dimension_that_is_off_is_taken_as_switched_on(tmp_path: Path, sent: list[Submission]) -> None:
    off = parse_registry(
        [*shipped_files(), SourceFile("own", OWN.replace("enabled = true", "enabled = false"))]
    )
    found = estimate(
        archive(tmp_path, sent, off), off, ["gfx_compositor"], [], today=TODAY, max_inflated_bytes=2**23
    )
    assert cost(found, "gfx_compositor").rows_with == distinct(sent, REGISTRY)


def test_several_dimensions_are_told_one_by_one_and_together(tmp_path: Path) -> None:
    sent = [
        compositor(name, 0, environment__profile={"creationDate": 20_770 + age})
        for name in ("a", "b")
        for age in range(3)
    ]
    found = made(archive(tmp_path, sent), ["gfx_compositor", "profile_age_days"])
    assert found is not None
    assert found.together is not None
    assert (found.together.rows_without, found.together.rows_with) == (1, 6)
    for one in found.costs:
        assert one.rows_with == found.together.rows_with


def test_pings_that_a_dimension_would_lose_are_told(tmp_path: Path) -> None:
    """A number is no value of a dimension: each of these pings would be discarded."""
    sent = [compositor("a", n) for n in range(3)]
    found = made(archive(tmp_path, sent), ["gfx_compositor", "session"])
    assert cost(found, "session").pings_lost == 3
    assert cost(found, "gfx_compositor").pings_lost == 0


def test_a_window_too_large_to_read_is_cut_and_said_to_be(tmp_path: Path, sent: list[Submission]) -> None:
    one_window = [compositor(str(n), 0) for n in range(50)]
    found = made(archive(tmp_path, one_window), ["gfx_compositor"], max_pings=20)
    assert found is not None
    assert found.is_cut
    assert (found.pings, found.pings_of_day) == (20, 50)
    assert cost(found, "gfx_compositor").rows_with == 20


def test_bodies_that_cannot_be_read_do_not_harm_the_estimate(tmp_path: Path) -> None:
    good = [compositor(n, 0) for n in ("a", "b")]
    bad = [submission(b) for b in (b"", b"{", b"\x1f\x8bno gzip", b"[]", b'{"a":' * 5000)]
    zipped = [submission(main_ping(), encoding="br"), submission(b"\xff\xfe", "nonsense")]
    found = made(archive(tmp_path, [*good, *bad, *zipped]), ["gfx_compositor"])
    assert cost(found, "gfx_compositor").rows_with == 2


def test_nothing_archived_is_no_estimate(tmp_path: Path) -> None:
    assert made(None, ["gfx_compositor"]) is None
    assert made(archive(tmp_path, [submission(b"{", received_ns=RECEIVED_NS)]), ["gfx_compositor"]) is None


def test_today_is_passed_over_for_a_fuller_yesterday(tmp_path: Path) -> None:
    yesterday = [compositor("a", n) for n in range(4)]
    today = submission(main_ping(), received_ns=RECEIVED_NS + 288 * WINDOW_NS, submission_date="20261123")
    found = made(archive(tmp_path, [*yesterday, today]), ["gfx_compositor"])
    assert found is not None
    assert (found.day, found.pings_of_day) == (date(2026, 11, 22), 4)
    later = made(archive(tmp_path / "b", [*yesterday, today]), ["gfx_compositor"], today=date(2026, 11, 24))
    assert later is not None
    assert later.day == date(2026, 11, 23)
