"""The evaluation of verdicts on simulated release trains: `python bench/verdicts.py [--quick] [--processes N]`.

Writes docs/reference/verdict-evaluation.md (a quick run prints it). Every train has a seed of its own; results are kept
in bench/.work, a line for each case, so that a run that was stopped goes on where it was. They are named by a hash of
the method and the simulator: what was measured with another method is not taken for this one's.
Seeds below 2000 are for choosing (`--seeds 1-4`), those from 2000 on for reporting.
"""

from __future__ import annotations

import os

# One process does one train; numpy's own threads would only be in the others' way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import hashlib
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from missioncontrol.simulate.trains.history import tell, use
from missioncontrol.simulate.trains.scenarios import SCENARIOS
from verdict_cases import PREDECESSORS, Case, run
from verdict_report import PAGE, page, quick_text
from workspace import ROOT, WORK

REPORT_SEEDS = range(2000, 2020)
WEIGHTS = (1, 10)
# Of the clean candidates so many also go through the other stories, the naive rules, and other activity tables.
OTHERS, NAIVE, ACTIVITY = 2, 4, 1
ACTIVITY_SCENARIOS = ("clean", "x1.5", "x2")


class Plan(msgspec.Struct, frozen=True):
    """How much of everything: distinct clients of a world, candidates of a train, and of those the few that do more."""

    clients: int
    candidates: int
    others: int
    naive: int
    activity: int
    scenarios: tuple[str, ...]


FULL = Plan(200_000, 25, OTHERS, NAIVE, ACTIVITY, tuple(SCENARIOS))
QUICK = Plan(40_000, 3, 1, 1, 1, ("clean", "x1.5", "x2", "shock", "linux_x2"))


class Job(msgspec.Struct, frozen=True):
    """One train."""

    seed: int
    plan: Plan
    file: Path


def main() -> int:
    parser = argparse.ArgumentParser(description="How well verdicts judge simulated release trains.")
    parser.add_argument("--quick", action="store_true", help="a few small trains, printed; no page")
    parser.add_argument("--processes", type=int, default=1, help="trains at once")
    parser.add_argument("--seeds", type=_seeds, help="for example 1-4 [the report's]; prints, writes no page")
    parser.add_argument("--scenarios", help="only these, with commas")
    parser.add_argument("--each", type=int, help="candidates of a train that go through every story")
    parser.add_argument("--candidates", type=int, help="candidates of a train")
    parser.add_argument("--report", action="store_true", help="only write the page from what is there")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    if given.scenarios:
        plan = msgspec.structs.replace(plan, scenarios=tuple(given.scenarios.split(",")))
    if given.candidates:
        plan = msgspec.structs.replace(plan, candidates=given.candidates)
    if given.each is not None:
        activity = plan.activity if given.each else 0
        plan = msgspec.structs.replace(plan, others=given.each, activity=activity)
    seeds = given.seeds or (range(1, 3) if given.quick else REPORT_SEEDS)
    folder = WORK / "verdicts" / f"{plan.clients}-{method_hash()}"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [Job(seed, plan, folder / f"{seed}.jsonl") for seed in seeds]
    if not given.report:
        with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
            for seed in pool.imap_unordered(measure, jobs):
                print(f"train {seed}: done", file=sys.stderr)
    cases = [case for job in jobs for case in stored(job.file)]
    if given.quick or given.seeds:
        print(quick_text(cases))
    else:
        (ROOT / PAGE).write_text(page(cases, plan.clients, REPORT_SEEDS), encoding="utf-8")
    return 0


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def method_hash() -> str:
    """Of all that a result depends on."""
    sources = ROOT / "src" / "missioncontrol"
    files = [
        *sources.glob("verdict/*.py"),
        *sources.glob("simulate/trains/*.py"),
        ROOT / "bench/verdict_cases.py",
    ]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def stored(file: Path) -> list[Case]:
    """The cases of a train so far, each once; a line that was cut off is none."""
    found = {}
    if file.exists():
        for line in file.read_bytes().splitlines():
            try:
                case = msgspec.json.decode(line, type=Case)
            except msgspec.DecodeError:
                continue
            found[case.place, case.weight, case.scenario, case.activity] = case
    return list(found.values())


def measure(job: Job) -> int:
    """All cases of a train that are not stored yet."""
    done = {(each.place, each.weight, each.scenario, each.activity) for each in stored(job.file)}
    wanted = [(PREDECESSORS + number, number) for number in range(job.plan.candidates)]
    open_cases = [
        (place, weight, todo)
        for weight in WEIGHTS
        for place, number in wanted
        if (todo := [each for each in _stories(job.plan, number) if (place, weight, *each) not in done])
    ]
    if not open_cases:
        return job.seed
    used = use(job.seed, job.plan.clients, PREDECESSORS + job.plan.candidates)
    told, told_weight = None, 0
    with job.file.open("ab") as out:
        for place, weight, todo in open_cases:
            if told is None or weight != told_weight:
                told, told_weight = tell(used, weight), weight
            known = None
            for name, activity in todo:
                with_naive = activity == "fine" and place - PREDECESSORS < job.plan.naive
                scenario = SCENARIOS[name]
                alone = scenario.bad_predecessor != 1.0 or activity != "fine"
                case, baseline = run(told, place, name, None if alone else known, activity, with_naive)
                known = known if alone else baseline
                out.write(msgspec.json.encode(case) + b"\n")
            out.flush()
    return job.seed


def _stories(plan: Plan, number: int) -> Iterator[tuple[str, str]]:
    """What candidate `number` of a train goes through: (scenario, activity tables)."""
    for name in plan.scenarios:
        if name == "clean" or number < plan.others:
            yield name, "fine"
    if number < plan.activity:
        for activity in ("hourly", "none"):
            for name in ACTIVITY_SCENARIOS:
                yield name, activity


if __name__ == "__main__":
    sys.exit(main())
