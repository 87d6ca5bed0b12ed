"""What a turn of judging costs: 200 pairs of release and measure with 20 slices each, at 5-minute looks.

    python bench/verdict_turn.py [--channels 10] [--measures 20] [--turns 12]

Makes a lake of simulated trains (10 channels, 20 measures each), judges them up to 24 hours of age, then takes turns of
5 minutes. Prints seconds of a processor for each part, over the bar of one second a turn; the first turn, which reads
the history and learns the baselines, is printed apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from missioncontrol.config import load_config
from missioncontrol.health import turn as turn_module
from missioncontrol.health.following import Following
from missioncontrol.health.sums import measured
from missioncontrol.health.turn import Turns
from missioncontrol.services import Services
from missioncontrol.simulate.trains.crashes import draw_crashes, draw_level
from missioncontrol.simulate.trains.usage import SEEN_TICKS, Train, draw_rollout
from missioncontrol.simulate.trains.world import DIMENSIONS, LIFE_TICKS, STRATA, draw_world
from missioncontrol.state.releases import Release

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
RELEASES = 9
AGE_TICKS = 24 * 12
BAR_S = 1.0


def main() -> None:
    """Make the lake, take the turns, print what they cost."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--channels", type=int, default=10)
    arguments.add_argument("--measures", type=int, default=20)
    arguments.add_argument("--turns", type=int, default=12)
    arguments.add_argument(
        "--clients", type=int, default=12_000, help="of 600,000; few come in lumps, as gaps do"
    )
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="verdict-turn-") as folder:
        services = Services(load_config(Path(folder), environ={}))
        measures = [measure.name for measure in measured(services.registry())][: asked.measures]
        services.writer.ensure(services.registry())
        rows = sum(
            make_channel(services, f"channel{number}", number, asked.clients, measures)
            for number in range(asked.channels)
        )
        print(f"{rows:,} rows, {asked.channels} channels, {len(measures)} measures, {len(STRATA)} strata")
        measure_turns(services, asked.turns)
        services.close()


def measure_turns(services: Services, turns: int) -> None:
    """Take turns and print what they cost."""
    spent = {"read": 0.0, "judge": 0.0}
    timed(turn_module, "read_news", "read", spent)
    timed(Following, "go_on", "read", spent)
    timed(Following, "judge", "judge", spent)
    taking = Turns(
        services.config.lake_path,
        services.engine,
        services.writer,
        services.releases,
        lambda changes, now: None,
    )
    born = START + timedelta(minutes=5 * (RELEASES - 1) * LIFE_TICKS)
    first = taking.run(born + timedelta(minutes=5 * AGE_TICKS), START)
    print(f"first turn: {first.looks} looks, {first.cpu_s:.1f} s of a processor, {len(first.failed)} failed")
    costs = []
    for number in range(1, turns + 1):
        spent.update(read=0.0, judge=0.0)
        turn = taking.run(born + timedelta(minutes=5 * (AGE_TICKS + number)), START)
        costs.append((turn.looks, spent["read"], spent["judge"], turn.cpu_s))
    looks, read, judge, all_of_it = np.array(costs).T
    pairs = [pair for channel in taking._channels.values() for pair in channel.following._pairs.values()]
    cases = [stretch.case for pair in pairs for stretch in pair.stretches]
    slices = {len(case.baseline.slices) for case in cases if case.baseline}
    print(f"{turns} turns of {int(np.median(looks))} looks with {min(slices)} to {max(slices)} slices each")
    for name, values in (("reading", read), ("judging", judge), ("a whole turn", all_of_it)):
        middle, most = float(np.median(values)), float(values.max())
        print(
            f"{name:>14}: {middle:.2f} s of a processor (most {most:.2f}); bar over it: {BAR_S / middle:.1f}x"
        )
    print(f"largest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def timed(owner: object, function: str, name: str, spent: dict[str, float]) -> None:
    """Add up the processor's time of a function of a module or class."""
    real = getattr(owner, function)

    def wrapped(*arguments: object) -> object:
        began = time.process_time()
        try:
            return real(*arguments)
        finally:
            spent[name] += time.process_time() - began

    setattr(owner, function, wrapped)


def make_channel(services: Services, channel: str, seed: int, clients: int, measures: list[str]) -> int:
    """A train of releases two weeks apart in one channel; how many rows it has."""
    rng = np.random.default_rng(seed)
    world = draw_world(rng, clients)
    train = Train(world, rng)
    usages = []
    for _ in range(RELEASES):
        old, new = train.interval(draw_rollout(rng))
        if usages:
            for name in ("hours", "expected", "pings"):
                getattr(usages[-1], name)[LIFE_TICKS:] += getattr(old, name)[:LIFE_TICKS]
        usages.append(new)
    weight, total, published = 600_000 // clients, 0, []
    rates = np.linspace(0.2, 2.0, len(measures))
    for place, usage in enumerate(usages):
        known = SEEN_TICKS if place + 1 < RELEASES else 3 * 288
        start = place * LIFE_TICKS
        expected = usage.expected[:known] * weight * draw_level(rng, world.settings).by_stratum
        counts = [draw_crashes(rng, expected * rate) for rate in rates]
        here = (usage.hours[:known] > 0) | np.any([each > 0 for each in counts], axis=0)
        tick, code = np.nonzero(here)
        total += len(tick)
        moment = START + timedelta(minutes=5 * start)
        published.append(Release("Firefox", channel, f"{place + 100}.0", f"{moment:%Y%m%d%H%M%S}", moment))
        windows = pa.array((int(START.timestamp()) + (tick + start) * 300) * 1_000_000)
        rows = {
            "application": pa.repeat("Firefox", len(tick)),
            "channel": pa.repeat(channel, len(tick)),
            "version": pa.repeat(f"{place + 100}.0", len(tick)),
            "build_id": pa.repeat(published[-1].build_id, len(tick)),
            "window_start": windows.cast(pa.timestamp("us", "UTC")),
            "usage_hours": pa.array(usage.hours[tick, code].astype(np.float64) * weight),
            "count": pa.array(np.full(len(tick), weight)),
        }  # fmt: skip
        for i, dimension in enumerate(DIMENSIONS):
            names = pa.array([values[i] for values in STRATA])
            rows[dimension] = pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), names).cast(
                pa.string()
            )
        for name, each in zip(measures, counts, strict=True):
            rows[name] = pa.array(each[tick, code].astype(np.int64))
        table = pa.table(rows)
        table = table.append_column("submission_date", table["window_start"].cast(pa.date32()))
        services.writer.append("error_aggregates", table, f"{channel}-{place}", 1)
    services.releases.put(published)
    return total


if __name__ == "__main__":
    main()
