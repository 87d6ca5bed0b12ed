"""Slices of declared dimensions: which are told, how finely, and that what was judged without them stays what it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.support import declared_train, judged_train
from tests.support.small_channel import Row, SmallChannel, published, release, rows_of

from missioncontrol.health.asking import courses
from missioncontrol.health.cells import dimensions_of
from missioncontrol.health.model import Course, Subject
from missioncontrol.health.picking import MOST_POOLS, MOST_STRATA, Picked
from missioncontrol.health.records import Records
from missioncontrol.health.sums import read_sums
from missioncontrol.health.turn import Turns
from missioncontrol.verdict.strata import POOLED

BLOCK = """\
[dimension.gpu_vendor]
title = "Graphics vendor"
from.main = "environment.system.gfx.vendor"
"""
VENDORS = ("0x8086", "0x10de")


def declared(folder: Path, *blocks: str) -> SmallChannel:
    """A channel whose registry has blocks of the user's own."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "registry.toml").write_text("\n".join(blocks))
    return SmallChannel(folder)


@pytest.fixture
def gpu(tmp_path: Path) -> Iterator[SmallChannel]:
    made = declared(tmp_path / "gpu", BLOCK)
    yield made
    made.services.close()


def by_vendor(nth: int, ratio: float = 1.0, vendors: Iterable[str] = VENDORS) -> list[Row]:
    """Rows of a version, each vendor with users of every system; the second vendor crashes `ratio` times as often."""
    return [
        row
        for place, vendor in enumerate(vendors)
        for row in rows_of(nth, ratio=ratio if place == 1 else 1.0, seed=50 * place, gpu_vendor=vendor)
    ]


def history(channel: SmallChannel, rows: Iterable[Iterable[Row]], candidate: Iterable[Row]) -> None:
    """Versions 1.0, 2.0, ... of these rows, and 9.0."""
    versions = list(rows)
    channel.take(row for each in versions for row in each)
    channel.take(candidate)
    channel.releases += [*(release(nth) for nth in range(len(versions))), release(8)]


def without(rows: Iterable[Row]) -> list[Row]:
    """Rows as an installation sends them that declares nothing."""
    return [{name: value for name, value in row.items() if name != "gpu_vendor"} for row in rows]


def picked(channel: SmallChannel, version: str = "9.0") -> Picked:
    until = published(9)
    sums = read_sums(channel.services.engine, channel.releases, "Firefox", "release", until)
    return sums.picked(sums.version(version), sums.measures["main_crashes"])


def slices(course: Course) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(part.where.items()) for part in course.account.slices}


def same(one: Course, other: Course) -> bool:
    """Whether all looks and what the last one rests on are the same."""
    return (one.looks, one.account) == (other.looks, other.account)


def test_what_tells_releases_apart_is_no_dimension_of_users(gpu: SmallChannel, channel: SmallChannel) -> None:
    assert dimensions_of(channel.services.registry()) == ("os_name", "os_version", "country", "architecture")
    assert dimensions_of(gpu.services.registry())[4:] == ("gpu_vendor",)


def test_worse_for_one_value_is_said_to_be_that_value(gpu: SmallChannel) -> None:
    history(gpu, [by_vendor(nth) for nth in range(8)], by_vendor(8, ratio=3.0))
    found = gpu.course("9.0")
    assert (found.looks[-1].verdict, found.looks[-1].slice) == ("worse", {"gpu_vendor": "0x10de"})
    assert "worse for gpu_vendor 0x10de: " in found.account.sentence
    assert {(("gpu_vendor", vendor),) for vendor in VENDORS} < slices(found)


def test_worse_for_a_value_on_one_system_names_both(gpu: SmallChannel) -> None:
    bad = [
        {**row, "main_crashes": row["main_crashes"] * 4}
        if (row["os_name"], row["gpu_vendor"]) == ("Linux", "0x10de")
        else row
        for row in by_vendor(8)
    ]
    history(gpu, [by_vendor(nth) for nth in range(8)], bad)
    found = gpu.course("9.0")
    assert found.account.explanations[0].where == {"os_name": "Linux", "gpu_vendor": "0x10de"}
    assert "worse for Linux with gpu_vendor 0x10de" in found.account.sentence


def test_a_dimension_that_no_predecessor_has_changes_nothing(
    gpu: SmallChannel, channel: SmallChannel
) -> None:
    bad, versions = by_vendor(8, ratio=2.0), [rows_of(nth) + rows_of(nth, seed=50) for nth in range(8)]
    history(gpu, versions, bad)
    history(channel, versions, without(bad))
    assert same(gpu.course("9.0"), channel.course("9.0"))


@pytest.mark.parametrize(("knowing", "is_told"), [(2, False), (7, True)])
def test_a_dimension_is_told_when_most_of_the_predecessors_hours_know_it(
    gpu: SmallChannel, knowing: int, is_told: bool
) -> None:
    versions = [
        by_vendor(nth) if nth >= 8 - knowing else rows_of(nth) + rows_of(nth, seed=50) for nth in range(8)
    ]
    history(gpu, versions, by_vendor(8))
    assert ("gpu_vendor" in picked(gpu).strata.dimensions) is is_told
    assert gpu.course("9.0").looks[-1].verdict in ("same", "too-early")


def test_most_users_may_have_no_value(gpu: SmallChannel) -> None:
    """A branch of an experiment that a tenth is in."""

    def rows(nth: int, ratio: float = 1.0) -> list[Row]:
        rest = rows_of(nth, seed=9, usage_hours=900.0)
        return [
            *({**row, "main_crashes": 9 * row["main_crashes"]} for row in rest),
            *by_vendor(nth, ratio)[216:],
        ]

    history(gpu, [rows(nth) for nth in range(8)], rows(8, 4.0))
    found = gpu.course("9.0")
    assert found.looks[-1].slice == {"gpu_vendor": "0x10de"}


def test_a_dimension_whose_values_are_new_with_each_version_tells_of_no_users(gpu: SmallChannel) -> None:
    history(gpu, [by_vendor(nth, vendors=(f"r{nth}",)) for nth in range(8)], by_vendor(8, vendors=("r8",)))
    assert "gpu_vendor" not in picked(gpu).strata.dimensions


def test_a_value_that_is_new_with_the_release_counts_among_the_others(gpu: SmallChannel) -> None:
    versions = [[{**row, "country": "DE"} for row in by_vendor(nth)] for nth in range(8)]
    candidate = [{**row, "country": "DE"} for row in by_vendor(8, vendors=("0x8086", "0xnew"))]
    history(gpu, versions, candidate)
    found = gpu.course("9.0")
    assert found.looks[-1].verdict in ("same", "too-early")
    assert found.looks[-1].reasons == []
    assert found.looks[-1].observed == sum(
        row["main_crashes"] for row in candidate if row["window_start"] < found.looks[-1].as_of
    )
    assert not any("0xnew" in dict(where).values() for where in slices(found))


def test_ten_thousand_values_leave_the_strata_few_and_the_other_slices_whole(tmp_path: Path) -> None:
    plain, many = SmallChannel(tmp_path / "plain"), declared(tmp_path / "many", BLOCK)
    rng = np.random.default_rng(4)

    def rows(nth: int) -> list[Row]:
        return [
            {
                **row,
                "country": country,
                "gpu_vendor": "" if rng.random() < 0.3 else f"0x{rng.integers(10_000):04x}",
            }
            for country in ("DE", "FR", "US")
            for copy in range(20)
            for row in rows_of(nth, seed=copy)
        ]

    versions, candidate = [rows(nth) for nth in range(7)], rows(8)
    history(many, versions, candidate)
    history(plain, map(without, versions), without(candidate))
    assert len(picked(many).strata.values) <= MOST_STRATA + 2 * MOST_POOLS + 4
    found, before = many.course("9.0"), plain.course("9.0")
    assert slices(found) == slices(before)
    assert found.looks == before.looks


def test_what_is_too_small_for_a_stratum_still_counts_for_its_value(gpu: SmallChannel) -> None:
    def rows(nth: int) -> list[Row]:
        return [
            {**row, "country": f"C{n % 170:03}", "usage_hours": 500.0 if n % 170 < 60 else 10.0}
            for n, row in enumerate(by_vendor(nth) * 5)
        ]

    history(gpu, [rows(nth) for nth in range(8)], rows(8))
    chosen = picked(gpu).strata
    assert chosen.dimensions[-1] == "gpu_vendor"
    assert {value[-1] for value in chosen.values if POOLED in value[:-1]} == {*VENDORS, POOLED}
    found = gpu.course("9.0")
    shares = {part.where.get("gpu_vendor"): part.usage_share for part in found.account.slices if part.where}
    assert shares["0x8086"] + shares["0x10de"] == pytest.approx(1.0, abs=1e-3)


def test_looks_that_are_gone_on_with_say_what_the_replay_says(tmp_path: Path) -> None:
    train = declared_train.story(6.0)
    channel = declared(tmp_path, declared_train.BLOCK)
    services, born = channel.services, declared_train.published(train)
    written = declared_train.write(train, tmp_path / "train", 300)
    judged_train.put(services, written, "train")
    releases = judged_train.put_releases(services, written)
    turns = Turns(
        services.config.lake_path, services.engine, services.writer, services.releases, lambda *_: None
    )
    for ticks in (60, 61, 200, 299, 300):
        until = born + timedelta(minutes=5 * ticks)
        assert turns.run(until, until).failed == []
    subject = Subject("Firefox", "release", "108.0", "main_crashes")
    kept = Records(services.engine).history(subject)
    (found,) = courses(services.engine, releases, *msgspec.structs.astuple(subject), None)
    replayed = {look.as_of: look for look in found.looks}
    assert [replayed[look.as_of] for look in kept] == kept
    assert (len(kept), kept[-1].slice) == (5, {"gpu_vendor": declared_train.BAD_VENDOR})


def test_signs_that_a_terminal_obeys_are_not_told(gpu: SmallChannel) -> None:
    odd = "\x1b[31m" + "x" * 150
    history(
        gpu,
        [by_vendor(nth, vendors=("0x8086", odd)) for nth in range(8)],
        by_vendor(8, ratio=3.0, vendors=("0x8086", odd)),
    )
    found = gpu.course("9.0")
    assert found.looks[-1].slice == {"gpu_vendor": odd}
    assert "\x1b" not in found.account.sentence
    assert len(found.account.sentence) < 400
