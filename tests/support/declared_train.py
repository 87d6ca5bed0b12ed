"""A small train whose users also differ in a dimension that somebody declared: the vendor of their graphics chip."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
from tests.support import judged_train
from tests.support.release_trains import Story, tell

from missioncontrol.simulate.trains.export import Written, write_train
from missioncontrol.verdict.tables import Release, Strata

BLOCK = """\
[dimension.gpu_vendor]
title = "Graphics vendor"
from.main = "environment.system.gfx.vendor"
from.crash = "environment.system.gfx.vendor"
"""
VENDORS = {"0x8086": 0.6, "0x10de": 0.25, "0x1002": 0.15}
"""Vendor and its share of the usage."""
BAD_VENDOR = "0x10de"
_DIMENSIONS = ("os_name", "gpu_vendor")
_STRATA = Strata(
    _DIMENSIONS, tuple((system, vendor) for system in judged_train.SYSTEMS for vendor in VENDORS)
)


@cache
def story(factor: float = 1.0) -> Story:
    """Eight predecessors and a candidate that crashes `factor` times as often for the users of `BAD_VENDOR`."""
    told = tell(seed=11, clients=12_000, weight=15, releases=9)
    told = replace(
        told,
        predecessors=[judged_train.by_system(each) for each in told.predecessors],
        candidate=judged_train.by_system(told.candidate),
    )
    rng = np.random.default_rng(3)
    predecessors = [_by_vendor(each, rng, 1.0) for each in told.predecessors]
    return replace(told, predecessors=predecessors, candidate=_by_vendor(told.candidate, rng, factor))


def published(told: Story) -> datetime:
    """When the candidate was published."""
    return judged_train.published(told)


def write(told: Story, folder: Path, ticks: int) -> Written:
    """The files of what is known when the candidate is `ticks` old, as `import` takes them."""
    releases, channel = judged_train.at_age(told, ticks)
    return write_train(folder, releases, channel, _STRATA, judged_train.START)


def _by_vendor(release: Release, rng: np.random.Generator, factor: float) -> Release:
    shares = np.array(list(VENDORS.values()))
    counts = rng.multinomial(release.counts.astype(np.int64), shares)
    more = counts * np.where(np.array(list(VENDORS)) == BAD_VENDOR, factor - 1.0, 0.0)
    ticks = len(release.hours)
    return replace(
        release,
        hours=(release.hours[:, :, None] * shares).reshape(ticks, -1),
        counts=(counts + rng.poisson(more)).reshape(ticks, -1).astype(float),
    )
