"""A dimension that users declare is judged like the shipped ones: from its block of TOML to the slice of a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support import declared_train
from tests.support.server import running_server

from missioncontrol.simulate.trains.export import Written

AGE_TICKS = 40 * 12
PATIENCE_S = 120
GUILTY = {"gpu_vendor": declared_train.BAD_VENDOR}


@pytest.fixture
def train(tmp_path: Path) -> Written:
    """Eight ordinary releases, and one that is six times worse for one vendor."""
    return declared_train.write(declared_train.story(6.0), tmp_path / "train", AGE_TICKS)


def test_worse_for_one_value_of_a_declared_dimension(tmp_path: Path, train: Written) -> None:
    block = tmp_path / "gpu.toml"
    block.write_text(declared_train.BLOCK)
    subject = {"application": "Firefox", "channel": "release", "version": "108.0", "measure": "main_crashes"}
    of = [f"--{name}={value}" for name, value in subject.items()]
    with running_server(tmp_path) as server:
        server.run("registry", "add", str(block))
        server.run("import", "aggregates", str(train.aggregates))
        server.run("import", "aggregates", "--table", "usage_by_activity", str(train.activity))
        server.run("import", "releases", str(train.releases))

        told = server.run("verdict", *of, check=False)
        assert told.returncode == 3, told.stderr
        sentence = told.stdout.splitlines()[0]
        assert sentence.startswith("108.0 main crashes: worse for gpu_vendor 0x10de: "), sentence
        look = json.loads(server.run("verdict", *of, "--json", check=False).stdout)
        assert (look["verdict"], look["slice"]) == ("worse", GUILTY)

        def kept() -> list[dict]:
            return [one["look"] for one in server.get("/api/v1/verdicts", **subject).json()["verdicts"]]

        server.wait_until(lambda: [one["verdict"] for one in kept()] == ["worse"], PATIENCE_S, 0.5)
        assert kept()[0]["slice"] == GUILTY
        answer = server.get("/api/v1/verdicts", **subject).json()["verdicts"][0]["account"]
        best = answer["explanations"][0]
        assert best["where"] == GUILTY
        assert best["low"] < 6 < best["high"]
        assert best["rest_low"] < 1 < best["rest_high"]
        others = {part["where"].get("gpu_vendor") for part in answer["slices"]}
        assert others == {None, *declared_train.VENDORS}
        page = server.get("/verdict/Firefox/release/108.0/main_crashes").text
        assert "0x10de (gpu_vendor)" in page
        (row,) = server.sql("SELECT DISTINCT slice FROM verdicts WHERE verdict = 'worse'")
        assert json.loads(row["slice"]) == GUILTY
