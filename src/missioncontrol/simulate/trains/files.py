"""A train with one candidate's story as import files, and the truth about it beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from missioncontrol.simulate.trains.export import Written, write_train
from missioncontrol.simulate.trains.history import Story, Version, tell, use
from missioncontrol.simulate.trains.scenarios import SCENARIOS
from missioncontrol.simulate.trains.world import DIMENSIONS, LIFE_DAYS, STRATA
from missioncontrol.verdict.tables import Activity, Channel, Release, Strata

# A Tuesday: by day of the week a world knows nothing else.
START = datetime(2025, 1, 7, 14, tzinfo=UTC)
APPLICATION, CHANNEL, MEASURE = "Firefox", "release", "main_crashes"


class Truth(msgspec.Struct, frozen=True):
    """What a verdict should find out.

    factor: of the crashes of users `where` (everyone when empty), from `from_hours` of age on; ratio: crashes to be
    expected of the candidate in its 14 days over those of a harmless one; harmless: `worse` would be wrong; crashes and
    expected_crashes: drawn, and to be expected with all that is wrong; common, lost, began_hours, lasts_hours: what
    befell all versions; bad_predecessor: factor of the crashes of one of the predecessors.
    """

    scenario: str
    seed: int
    clients: int
    weight: int
    releases: int
    version: str
    published_at: str
    harmless: bool
    factor: float
    where: dict[str, str]
    from_hours: float
    ratio: float
    crashes: int
    expected_crashes: float
    usage_hours: float
    common: float
    lost: float
    began_hours: float | None
    lasts_hours: float
    rollout: str
    bad_predecessor: float


def write_story(
    folder: Path, scenario: str, seed: int, clients: int, weight: int, releases: int
) -> tuple[Written, Truth]:
    """Write a train of `releases` whose last one is the candidate of `scenario` (a name of `SCENARIOS`)."""
    told = tell(use(seed, clients, releases), weight)
    story = told.story(releases - 1, SCENARIOS[scenario], releases - 1)
    versions = [*story.predecessors, story.candidate]
    written = write_train(
        folder,
        [_released(version) for version in versions],
        Channel(0, story.pings),
        Strata(DIMENSIONS, STRATA),
        START,
        APPLICATION,
        CHANNEL,
        MEASURE,
    )
    truth = _truth(story, seed, clients, weight, releases)
    (folder / "truth.json").write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=1) + b"\n")
    return written, truth


def _released(version: Version) -> Release:
    tables = (version.hours, version.counts, version.activity_hours, version.activity_starts)
    hours, counts, active, starts = (table.astype(np.float64) for table in tables)
    return Release(version.name, version.published, hours, counts, Activity(active, starts))


def _truth(story: Story, seed: int, clients: int, weight: int, releases: int) -> Truth:
    scenario, candidate = story.scenario, story.candidate
    harmless = float(candidate.expected.sum(dtype=np.float64))
    expected = float((candidate.expected * story.factor).sum(dtype=np.float64))
    published = START + timedelta(days=LIFE_DAYS * candidate.place)
    return Truth(
        scenario=scenario.name,
        seed=seed,
        clients=clients,
        weight=weight,
        releases=releases,
        version=candidate.name,
        published_at=published.isoformat().replace("+00:00", "Z"),
        harmless=scenario.harmless,
        factor=scenario.factor,
        where=scenario.where,
        from_hours=scenario.from_hours,
        ratio=round(expected / harmless, 4),
        crashes=int(candidate.counts.sum(dtype=np.float64)),
        expected_crashes=round(expected, 1),
        usage_hours=round(float(candidate.hours.sum(dtype=np.float64)), 1),
        common=scenario.common,
        lost=scenario.lost,
        began_hours=story.began_hours,
        lasts_hours=scenario.lasts_hours,
        rollout=scenario.rollout,
        bad_predecessor=scenario.bad_predecessor,
    )
