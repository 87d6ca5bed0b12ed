"""What `deploy/` gives to operators names commands, settings, prefixes and guides that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from missioncontrol.blobs.crash_keys import BUNDLES
from missioncontrol.blobs.protocol import CHECK
from missioncontrol.blobs.refused_reports import PREFIX
from missioncontrol.cli import cli
from missioncontrol.config import Config, load_config
from missioncontrol.state.database import metadata

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROCESSES = ("crashes", "edge", "jobs", "stream", "web")
NOT_OURS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "PGUSER",
    "PGPASSWORD",
    "SPARK_LOCAL_IP",
    "JAVA_HOME",
}
BLOB_PREFIXES = {"raw_crash", "dump", "processed_crash", "symbols", PREFIX, BUNDLES, CHECK}


def unit(path: Path) -> dict[str, list[str]]:
    """The values of each name in a unit, in order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def environment(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def understood(arguments: list[str]) -> str:
    """The command that the arguments lead to; click refuses what it does not know."""
    group, context = cli, cli.make_context("missioncontrol", list(arguments))
    names = []
    while True:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None and name is not None
        names.append(name)
        context = command.make_context(name, rest, parent=context)
        if not isinstance(command, click.Group):
            return " ".join(names)
        group = command


def test_each_process_has_a_unit_that_runs_a_command_of_ours() -> None:
    commands = {}
    for path in UNITS:
        [line] = unit(path)["ExecStart"]
        program, *arguments = line.split()
        assert program == "/opt/missioncontrol/bin/missioncontrol"
        assert arguments[:2] == ["--config", "/etc/missioncontrol/missioncontrol.toml"]
        commands[path.stem.removeprefix("missioncontrol-").rstrip("@")] = understood(arguments)
    assert tuple(sorted(commands)) == PROCESSES
    assert (commands["stream"], commands["crashes"], commands["web"]) == (
        "spark stream",
        "crash process",
        "serve",
    )


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_are_fenced_and_restart_and_name_their_environment(path: Path) -> None:
    says = unit(path)
    assert says["User"] == ["missioncontrol"] and says["StateDirectory"] == ["missioncontrol"]
    assert says["NoNewPrivileges"] == ["yes"] and says["ProtectSystem"] == ["strict"]
    assert says["CapabilityBoundingSet"] == [""]
    assert says["Restart"] == ["always"] and says["StartLimitIntervalSec"] == ["0"]
    assert says["KillMode"] == ["mixed"] and int(says["TimeoutStopSec"][0]) >= 60
    assert says["WantedBy"] == says["PartOf"] == ["missioncontrol.target"]
    [file] = says["EnvironmentFile"]
    assert (DEPLOY / "systemd" / "env" / Path(file).name).exists()


@pytest.mark.parametrize("process", PROCESSES)
def test_settings_of_the_examples_exist(process: str) -> None:
    given = environment(DEPLOY / "systemd" / "env" / f"{process}.env")
    ours = {name for name in given if name.startswith("MC_")}
    assert given.keys() - ours <= NOT_OURS and given["PGUSER"] == f"missioncontrol_{process}"
    config = load_config(file=DEPLOY / "systemd" / "missioncontrol.toml", environ={n: given[n] for n in ours})
    assert config.lake.url == "s3://missioncontrol/lake" and config.blobs.url == "s3://missioncontrol/blobs"
    assert ("sasl_username" in config.log.kafka) == bool(ours)
    with pytest.raises(Exception, match="There is no setting"):
        load_config(file=DEPLOY / "systemd" / "missioncontrol.toml", environ={"MC_LOG__SPOOL": "1"})


def test_the_image_sets_what_there_is() -> None:
    text = (DEPLOY / "containers" / "Containerfile").read_text()
    given = dict(re.findall(r"(MC_\w+)=(\S*)", text))
    assert load_config(environ=given) == load_config(
        data=given["MC_DATA"], environ={"MC_SERVER__HOST": "0.0.0.0"}, overrides={"spark": {"packages": []}}
    )


@pytest.mark.parametrize("process", PROCESSES)
def test_policies_name_prefixes_that_are_used_and_nothing_else(process: str) -> None:
    policy = json.loads((DEPLOY / "s3" / f"{process}.json").read_text())
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        if statement["Action"] == ["s3:ListBucket"]:
            assert statement["Resource"] == ["arn:aws:s3:::missioncontrol"]
            asked = statement["Condition"]["StringLike"]["s3:prefix"]
            assert {one.split("/")[0] for one in asked} <= {"lake", "blobs"}
            continue
        assert set(statement["Action"]) <= {
            "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
        }  # fmt: skip
        for resource in statement["Resource"]:
            key = re.fullmatch(r"arn:aws:s3:::missioncontrol/(.+)/\*", resource)
            assert key and (key[1] == "lake" or key[1].removeprefix("blobs/") in BLOB_PREFIXES), resource


def test_each_table_of_the_state_is_granted_to_somebody_and_no_other() -> None:
    text = re.sub(r"--.*", "", (DEPLOY / "postgresql" / "grants.sql").read_text())
    granted: dict[str, set[str]] = {}
    for rights, tables, role in re.findall(r"GRANT ([A-Z, ]+) ON\s+([a-z_,\s]+?)\s+TO\s+(\w+)", text):
        for table in re.split(r"[,\s]+", tables):
            granted.setdefault(table, set()).add(f"{role} {rights}")
    assert granted.keys() - {"alembic_version"} == metadata.tables.keys()
    for secret in ("sessions", "sign_ins"):
        assert {one.split()[0] for one in granted[secret]} == {"missioncontrol_web"}


def test_each_alert_has_a_part_of_the_runbook() -> None:
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    named = set(re.findall(r'runbook: "docs/how-to/runbook\.md#([\w-]+)"', alerts))
    assert alerts.count("- alert:") == alerts.count("runbook: ") > 15
    guide = (ROOT / "docs" / "how-to" / "runbook.md").read_text()
    headings = re.findall(r"^## (.+)$", guide, re.MULTILINE)
    assert named <= {heading.lower().replace(" ", "-") for heading in headings}
    told = set(
        re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", " ".join(re.findall(r"^\*Alerts?.*\*", guide, re.MULTILINE)))
    )
    assert told <= set(re.findall(r"- alert: (\w+)", alerts))


def test_limits_in_alerts_are_those_of_the_example_settings() -> None:
    config: Config = load_config(file=DEPLOY / "systemd" / "missioncontrol.toml", environ={})
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    assert f"> {config.log.spool_bytes}\n" in alerts
