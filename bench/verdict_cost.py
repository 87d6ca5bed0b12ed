"""What verdicts cost: `python bench/verdict_cost.py [--quick]`.

A turn of judging: a lake of simulated trains (10 channels, 20 measures each), judged up to 24 hours of age, then turns
of 5 minutes over 200 pairs of release and measure with 20 slices each. The first turn, which reads the history and
learns the baselines, stands apart. And the replay of a whole life as a command, in a channel with all predecessors that
count.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
import numpy as np
import pyarrow as pa

from figures import Part, figure, publish
from missioncontrol.config import load_config
from missioncontrol.health import turn as turn_module
from missioncontrol.health.asking import courses
from missioncontrol.health.following import Following
from missioncontrol.health.model import replay_line
from missioncontrol.health.sums import measured
from missioncontrol.health.turn import Turns
from missioncontrol.services import Services
from missioncontrol.simulate.trains.crashes import draw_crashes, draw_level
from missioncontrol.simulate.trains.history import use
from missioncontrol.simulate.trains.usage import SEEN_TICKS
from missioncontrol.simulate.trains.world import DIMENSIONS, LIFE_TICKS, STRATA
from missioncontrol.state.releases import Release
from workspace import BenchError, Sizes, environment, product, scratch, sizes_from

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
RELEASES = 9
"""Of a channel of the turns."""
PREDECESSORS = 12
"""Of the version that is replayed: as many as the baseline takes."""
AGE_TICKS = 24 * 12
TURN_S, REPLAY_S = 1.0, 2.0
CLIENTS = 12_000
"""Of 600,000: few come in lumps, as gaps do."""


def measure(sizes: Sizes) -> Part:
    """All figures."""
    small = sizes.name == "quick"
    channels, measures, turns, replays = (1, 3, 3, 2) if small else (10, 20, 12, 5)
    with scratch() as folder:
        cost = turns_of(folder / "turns", channels, measures, turns)
        replay = replays_of(folder / "replay", replays)
    return Part(
        "verdict_cost",
        "What verdicts cost",
        f"Simulated trains of releases two weeks apart, {len(STRATA)} strata, in 5-minute windows. A turn: "
        f"{cost.rows:,} rows of {channels} channels with {RELEASES} releases each; {cost.looks} looks (pairs of "
        f"release and measure) with {cost.slices} slices each, 24 h after publication, in {turns} turns of five "
        f"minutes. A replay: {replay.looks} looks of 14 days of one release with {PREDECESSORS} predecessors, out of "
        f"{replay.rows:,} rows, from the first row that is read to the last line; the command is `missioncontrol "
        f"verdict --replay --json`, which starts Python too.",
        [
            figure("a turn, processor", cost.turn, "s", at_most=TURN_S),
            figure("a replay, processor", replay.cpu, "s", at_most=REPLAY_S),
        ],
        [
            figure("of a turn: reading, processor", cost.read, "s"),
            figure("of a turn: judging, processor", cost.judge, "s"),
            figure("the first turn, which learns the baselines, processor", [cost.first], "s"),
            figure("largest resident size of the process that judges", [cost.resident], "MB"),
            figure("a replay as a command, processor", replay.command_cpu, "s"),
            figure("a replay as a command, by the clock", replay.clock, "s"),
        ],
    )


class Cost:
    """Of turns: seconds of a processor for each."""

    def __init__(self) -> None:
        self.rows, self.looks, self.slices = 0, 0, ""
        self.first, self.resident = 0.0, 0.0
        self.turn: list[float] = []
        self.read: list[float] = []
        self.judge: list[float] = []


def turns_of(folder: Path, channels: int, measures: int, turns: int) -> Cost:
    """Make the lake and take the turns."""
    services, names = made(folder, measures)
    cost, spent = Cost(), {"read": 0.0, "judge": 0.0}
    for number in range(channels):
        cost.rows += make_channel(services, f"channel{number}", number, names, RELEASES)
    timed(turn_module, "read_news", "read", spent)
    timed(Following, "go_on", "read", spent)
    timed(Following, "judge", "judge", spent)
    taking = Turns(
        services.config.lake_path, services.engine, services.writer, services.releases, lambda changes, now: None
    )  # fmt: skip
    born = START + timedelta(minutes=5 * (RELEASES - 1) * LIFE_TICKS)
    first = taking.run(born + timedelta(minutes=5 * AGE_TICKS), START)
    if first.failed:
        raise BenchError(f"{len(first.failed)} channels could not be judged: {first.failed}")
    cost.first = first.cpu_s
    for number in range(1, turns + 1):
        spent.update(read=0.0, judge=0.0)
        turn = taking.run(born + timedelta(minutes=5 * (AGE_TICKS + number)), START)
        cost.turn.append(turn.cpu_s)
        cost.read.append(spent["read"])
        cost.judge.append(spent["judge"])
    cost.looks = turn.looks
    pairs = [pair for channel in taking._channels.values() for pair in channel.following._pairs.values()]
    cases = [stretch.case for pair in pairs for stretch in pair.stretches]
    slices = {len(case.baseline.slices) for case in cases if case.baseline}
    cost.slices = f"{min(slices)} to {max(slices)}" if len(slices) > 1 else str(min(slices))
    cost.resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    services.close()
    return cost


class Replay:
    """Of replays: seconds of a processor, and of the command also by the clock."""

    def __init__(self, rows: int) -> None:
        self.rows, self.looks = rows, 0
        self.cpu: list[float] = []
        self.command_cpu: list[float] = []
        self.clock: list[float] = []


def replays_of(folder: Path, replays: int) -> Replay:
    """Make the lake and replay the newest release, in this process and as a command."""
    services, names = made(folder, 1)
    cost = Replay(make_channel(services, "release", 1, names, PREDECESSORS + 1, known=LIFE_TICKS))
    services.close()
    version = f"{PREDECESSORS + 100}.0"
    command = product(
        folder, "verdict", "--replay", "--json", "--application", "Firefox", "--channel", "release",
        "--version", version, "--measure", names[0],
    )  # fmt: skip
    for _ in range(replays):
        services, began = Services(load_config(folder, environ={})), time.process_time()
        known = services.releases.list("Firefox", "release")
        [course] = courses(services.engine, known, "Firefox", "release", version, names[0], None)
        lines = [msgspec.json.encode(replay_line(look)) for look in course.looks]
        cost.cpu.append(time.process_time() - began)
        services.close()
        before, begins = children_s(), time.monotonic()
        done = subprocess.run(command, env=environment(), capture_output=True, check=False)
        cost.clock.append(time.monotonic() - begins)
        cost.command_cpu.append(children_s() - before)
        if done.returncode not in (0, 3):
            raise BenchError(f"{' '.join(command)} failed:\n{done.stderr.decode()[-3000:]}")
        if done.stdout.splitlines() != lines:
            raise BenchError("the command said something else than the function")
    cost.looks = len(lines)
    return cost


def children_s() -> float:
    """Processor time of processes that have ended, in s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def made(folder: Path, measures: int) -> tuple[Services, list[str]]:
    """An empty installation, and the measures that trains have in it."""
    services = Services(load_config(folder, environ={}))
    names = [measure.name for measure in measured(services.registry())][:measures]
    services.writer.ensure(services.registry())
    return services, names


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


def make_channel(
    services: Services, channel: str, seed: int, measures: list[str], releases: int, known: int = 3 * 288
) -> int:
    """A train of releases two weeks apart in one channel, the newest known for so many ticks; how many rows it has."""
    rng = np.random.default_rng(seed)
    used = use(seed, CLIENTS, releases)
    weight, total, published = 600_000 // CLIENTS, 0, []
    rates = np.linspace(0.2, 2.0, len(measures))
    for place in range(releases):
        seen = SEEN_TICKS if place + 1 < releases else known
        hours, crashes = used.hours(place)[:seen], used.expected(place)[:seen]
        start = place * LIFE_TICKS
        expected = crashes * weight * draw_level(rng, used.world.settings).by_stratum
        counts = [draw_crashes(rng, expected * rate) for rate in rates]
        here = (hours > 0) | np.any([each > 0 for each in counts], axis=0)
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
            "usage_hours": pa.array(hours[tick, code].astype(np.float64) * weight),
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
    publish(measure(sizes_from(sys.argv)))
