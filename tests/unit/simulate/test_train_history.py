"""A train with its truth: the same whatever was drawn before, and different only where a story says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from missioncontrol.cli import cli
from missioncontrol.simulate.trains.crashes import TRUE_PHI, draw_crashes
from missioncontrol.simulate.trains.history import Story, Told, tell, use
from missioncontrol.simulate.trains.scenarios import SCENARIOS, said
from missioncontrol.simulate.trains.world import LIFE_TICKS, STRATA, TICKS_PER_HOUR

CLIENTS, RELEASES, LAST = 8_000, 4, 3


@pytest.fixture(scope="module")
def told() -> Told:
    return tell(use(2, CLIENTS, RELEASES), 5)


def story(told: Told, name: str) -> Story:
    return told.story(LAST, SCENARIOS[name], LAST)


def test_the_dispersion_that_is_named_is_that_of_what_is_drawn() -> None:
    rng = np.random.default_rng(1)
    totals = [draw_crashes(rng, np.full((600, 2), 0.5)).sum() for _ in range(400)]
    assert np.var(totals) / np.mean(totals) == pytest.approx(TRUE_PHI, rel=0.2)


def test_a_story_is_the_same_whatever_was_told_before(told: Told) -> None:
    first = story(told, "x1.5").candidate.counts
    story(told, "shock")
    again = tell(use(2, CLIENTS, RELEASES), 5)
    assert (story(again, "x1.5").candidate.counts == first).all()


def test_a_regression_is_in_the_candidate_alone_and_only_where_it_says(told: Told) -> None:
    clean, bad = story(told, "clean"), story(told, "linux_x2")
    linux = np.array([stratum[0] == "Linux" for stratum in STRATA])
    assert bad.factor[:, linux].min() == 2
    assert bad.factor[:, ~linux].max() == 1
    assert (bad.candidate.expected == clean.candidate.expected).all()
    for one, other in zip(bad.predecessors, clean.predecessors, strict=True):
        assert (one.counts == other.counts).all()


def test_a_shock_moves_both_versions_while_it_lasts(told: Told) -> None:
    clean, shock = story(told, "clean"), story(told, "shock")
    assert shock.began_hours is not None
    start = int(shock.began_hours * TICKS_PER_HOUR)
    spell = slice(start, start + 48 * TICKS_PER_HOUR)
    ratio = shock.candidate.expected[spell].sum() / clean.candidate.expected[spell].sum()
    assert ratio == pytest.approx(1.5, rel=1e-3)
    leaving = slice(LIFE_TICKS + spell.start, LIFE_TICKS + spell.stop)
    before = [each.predecessors[-1].counts for each in (shock, clean)]
    assert before[0][leaving].sum() > 1.2 * before[1][leaving].sum()
    assert (before[0][:LIFE_TICKS] == before[1][:LIFE_TICKS]).all()
    assert (shock.factor == 1).all()


def test_an_outage_takes_hours_and_pings_and_no_crashes(told: Told) -> None:
    clean, outage = story(told, "clean"), story(told, "outage")
    assert outage.began_hours is not None
    start = int(outage.began_hours * TICKS_PER_HOUR)
    spell = slice(start, start + 3 * TICKS_PER_HOUR)
    assert outage.candidate.hours[spell].sum() == pytest.approx(
        0.3 * clean.candidate.hours[spell].sum(), rel=1e-3
    )
    assert (outage.candidate.expected == clean.candidate.expected).all()
    of_candidate = slice(clean.candidate.published, clean.candidate.published + LIFE_TICKS)
    lost = outage.pings[of_candidate] / np.maximum(clean.pings[of_candidate], 1)
    assert lost[spell].max() == pytest.approx(0.3, rel=1e-3)


def test_another_rollout_changes_the_use_of_both_versions(told: Told) -> None:
    clean, fast = story(told, "clean"), story(told, "fast")
    day = 24 * TICKS_PER_HOUR
    assert fast.candidate.hours[:day].sum() > 2 * clean.candidate.hours[:day].sum()
    left = slice(LIFE_TICKS + day, LIFE_TICKS + 2 * day)
    assert fast.predecessors[-1].hours[left].sum() < 0.7 * clean.predecessors[-1].hours[left].sum()
    assert fast.pings.shape == clean.pings.shape


def test_every_scenario_can_be_told_and_said(told: Told) -> None:
    for name, scenario in SCENARIOS.items():
        one = story(told, name)
        assert one.candidate.counts.shape == one.factor.shape == (LIFE_TICKS, len(STRATA))
        assert len(one.predecessors) == LAST
        assert (said(scenario) == "nothing is wrong") == (name == "clean")


def test_the_command_writes_files_and_the_truth(tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["simulate", "trains", "--clients", "1000", "--weight", "2", "--releases", "3"]
    done = runner.invoke(cli, [*arguments, "--out", str(tmp_path), "--scenario", "x2"])
    assert done.exit_code == 0, done.output
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert truth["ratio"] == 2.0
    assert truth["harmless"] is False
    rows = pq.read_table(tmp_path / "aggregates.parquet")
    of_candidate = np.array(rows["version"].to_pylist()) == truth["version"]
    assert rows["main_crashes"].to_numpy()[of_candidate].sum() == truth["crashes"]
    published = json.loads((tmp_path / "releases.json").read_text())
    assert published[-1]["version"] == truth["version"]
    assert published[-1]["published_at"] == truth["published_at"]
    for file in ("aggregates.parquet", "usage_by_activity.parquet", "releases.json"):
        assert f"import {'releases' if file == 'releases.json' else 'aggregates'}" in done.output
        assert file in done.output


def test_the_command_names_scenarios_and_refuses_others(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(cli, ["simulate", "trains", "--list"])
    assert set(SCENARIOS) <= set(listed.output.split())
    wrong = runner.invoke(cli, ["simulate", "trains", "--out", str(tmp_path / "no"), "--scenario", "worst"])
    assert wrong.exit_code != 0
    assert not (tmp_path / "no").exists()
