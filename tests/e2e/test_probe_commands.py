"""From a probe's name to a measure and what it costs, with the command as users run it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.e2e.test_import_commands import Shell, line
from tests.support.pings import baseline_ping, main_ping
from tests.support.probes import firefox_file, glean_file


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "all_probes.json").write_text(json.dumps(firefox_file()))
    (tmp_path / "my-app-metrics.json.gz").write_bytes(gzip.compress(json.dumps(glean_file()).encode()))
    return Shell(tmp_path)


def own(shell: Shell) -> str:
    path = shell.folder / "missioncontrol-data" / "registry.toml"
    return path.read_text() if path.exists() else ""


def test_a_probe_is_found_added_counted_and_its_cost_told(shell: Shell) -> None:
    out, said = shell.binary("registry", "import-probes", "all_probes.json", "my-app-metrics.json.gz")
    assert out == b""
    assert "18 probes of firefox" in said
    assert "16 probes of my-app" in said
    assert "6  histogram exponential" in said

    found = json.loads(shell.run("registry", "probes", "gc_*", "--json"))
    assert [p["name"] for p in found] == ["GC_MS", "GC_NIGHTLY_ONLY", "GC_OLD_MS"]
    assert found[0]["add"].startswith("--probe GC_MS --at-least ")
    assert "registry add --probe page.load --at-least 250ms" in shell.run("registry", "probes", "page.load")
    shell.run("registry", *f"add --dry-run {found[0]['add']}".split())
    assert own(shell) == ""

    block, said = shell.binary(
        "registry", "add", "--probe", "GC_MS", "--process", "parent", "--at-least", "150ms"
    )
    assert block.decode() == own(shell)
    assert "/measure/Firefox/release/gc_ms_main_above_150" in said
    assert "registry backfill gc_ms_main_above_150 --since" in said
    shell.run(
        "registry", "add", "slow_loads", "--probe", "page.load", "--at-least", "1s", "--title", "Slow loads"
    )
    shell.run("registry", "add", "--probe", "crash.by_process", "--key", "gpu", "--name", "gpu_trouble")
    assert own(shell).startswith(block.decode())

    glean = baseline_ping(
        metrics={
            "timing_distribution": {"page.load": {"sum": 1, "values": {"999999999": 5, "1000000000": 7}}},
            "labeled_counter": {"crash.by_process": {"gpu": 2, "main": 9}},
        }
    )
    meta = {"docType": "metrics", "documentNamespace": "my-app", "appName": None}
    lines = [line(main_ping()), line(main_ping()), line({**glean, "type": "metrics"}, **meta)]
    (shell.folder / "pings.ndjson").write_text("".join(json.dumps(one) + "\n" for one in lines))
    shell.run("import", "pings", "pings.ndjson")
    [row] = shell.sql(
        "SELECT sum(gc_ms_main_above_150)::INT AS a, sum(slow_loads)::INT AS b, sum(gpu_trouble)::INT AS c"
        " FROM error_aggregates"
    )
    assert row == {"a": 6, "b": 7, "c": 2}


def test_what_cannot_be_right_is_one_message_and_writes_nothing(shell: Shell) -> None:
    assert "none is imported" in shell.refusal("registry", "add", "--probe", "page.load", "--at-least", "1s")
    assert "import-probes" in shell.refusal("registry", "probes", code=1)
    shell.run("registry", "import-probes", "all_probes.json")
    assert "Did you mean GC_MS" in shell.refusal("registry", "add", "--probe", "GC_MSS", "--at-least", "150")
    assert "cold, warm" in shell.refusal("registry", "add", "--probe", "PAINT_MS", "--at-least", "150")
    assert "Recorded in: gpu" in shell.refusal(
        "registry", "add", "--probe", "GPU_WAIT_MS", "--process", "content"
    )
    assert "names no measure" in shell.refusal("registry", "add", "--probe", "GC_MS", "--per", "usage_hour")
    assert "names no document" in shell.refusal("registry", "add", "--probe", "GC_MS", "--from", "mian")
    assert "needs --probe" in shell.refusal("registry", "add", "--at-least", "150")
    assert "--probe PROBE" in shell.refusal("registry", "add", "gc_long_pauses")
    broken = shell.folder / "broken.json"
    broken.write_text('{"histogram/A":\n {"type": }}')
    assert "broken.json:2:" in shell.refusal("registry", "import-probes", "broken.json")
    assert len(json.loads(shell.run("registry", "probes", "--json"))) == len(firefox_file())
    assert own(shell) == ""


def test_comments_of_the_own_file_stay_when_a_probe_is_added(shell: Shell) -> None:
    text = (
        '# Ours.\n[dimension.gfx_compositor]\nenabled = true  # since March\n\n[measure.one]\nfrom = "main"\n'
    )
    (shell.folder / "missioncontrol-data").mkdir(exist_ok=True)
    (shell.folder / "missioncontrol-data" / "registry.toml").write_text(text)
    said = shell.binary("registry", "add", "--probe", "GC_MS")[1]
    assert "nothing was checked" in said
    assert "# Ours." in own(shell)
    assert "enabled = true  # since March" in own(shell)
    assert 'histogram = "GC_MS"' in own(shell)
    shell.run("registry", "check")


def test_check_tells_what_declarations_cost_before_and_after_they_are_added(shell: Shell) -> None:
    nothing = json.loads(shell.run("registry", "check", "--json", "--dimension", "profile_age_days"))
    assert nothing["estimate"] is None
    assert "no pings are archived" in nothing["note"]

    shell.run("simulate", "corpus", "--count", "4000", "--light", "pings.ndjson")
    shell.run("import", "pings", "pings.ndjson")
    (shell.folder / "block.toml").write_text(
        '[measure.gc]\nfrom = "main"\nhistogram = "GC_MS"\n'
        '[dimension.client]\ntitle = "Client"\nfrom.main = "clientId"\nfrom.crash = "clientId"\n'
    )
    shell.run("registry", "add", "--probe", "GC_MS", "--at-least", "150")
    told = json.loads(
        shell.run("registry", "check", "block.toml", "--json", "--dimension", "profile_age_days")
    )
    costs = {c["name"]: c for c in told["estimate"]["costs"]}
    assert set(costs) == {"client", "profile_age_days", "gc", "gc_ms_main_above_150"}
    assert costs["client"]["factor"] > 1
    assert costs["gc"]["factor"] == 1
    assert costs["gc"]["bytes_with"] >= costs["gc"]["bytes_without"]
    [day] = shell.sql(
        "SELECT count(*)::INT AS n FROM (SELECT DISTINCT window_start, channel, application, version,"
        " display_version, build_id, os_name, os_version, architecture, country FROM error_aggregates"
        f" WHERE submission_date = '{told['estimate']['day']}')"
    )
    plain = json.loads(shell.run("registry", "check", "--json"))["estimate"]["costs"]
    assert [(c["name"], c["rows_with"]) for c in plain] == [("gc_ms_main_above_150", day["n"])]

    out, said = shell.binary("registry", "check", "block.toml")
    assert "x the rows" in out.decode()
    assert "pings of" in said
    quick = shell.binary("registry", "check", "--no-estimate")
    assert quick[0] == b""
    assert "Did you mean `gfx_compositor`" in shell.refusal(
        "registry", "check", "--dimension", "gfx_compositr"
    )


def test_a_dimension_that_more_than_doubles_the_rows_is_warned_of(shell: Shell) -> None:
    lines = [line(main_ping(clientId=f"c{n % 9}")) for n in range(30)]
    (shell.folder / "pings.ndjson").write_text("".join(json.dumps(one) + "\n" for one in lines))
    shell.run("import", "pings", "pings.ndjson")
    (shell.folder / "block.toml").write_text('[dimension.client]\ntitle = "Client"\nfrom.main = "clientId"\n')
    out, said = shell.binary("registry", "check", "block.toml")
    assert "9.00 x the rows (1 -> 9)" in out.decode()
    assert "Warning: client multiplies the rows by 9.0" in said
