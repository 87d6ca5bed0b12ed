"""What people set up is checked, and secrets are shown once."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import NOW, Installation

from missioncontrol.config import Alerts as AlertSettings
from missioncontrol.errors import BadRequest, MissionControlError, NotFound
from missioncontrol.state.database import Database

MAILS = AlertSettings(smtp_host="127.0.0.1", mail_from="mc@example.com")


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("", "webhook", "https://example.com/"),
        ("a b", "webhook", "https://example.com/"),
        ("../x", "webhook", "https://example.com/"),
        ("x" * 61, "webhook", "https://example.com/"),
        ("x", "pager", "https://example.com/"),
        ("x", "webhook", ""),
        ("x", "webhook", "ftp://example.com/"),
        ("x", "webhook", "file:///etc/passwd"),
        ("x", "webhook", "example.com/hook"),
        ("x", "webhook", "https:///hook"),
        ("x", "webhook", "https://example.com:99999/"),
        ("x", "webhook", "https://[::1/"),
        ("x", "webhook", "https://example.com/a b"),
        ("x", "webhook", "https://example.com/\n"),
        ("x", "slack", "javascript:alert(1)"),
        ("x", "slack", "https://example.com/" + "x" * 2000),
        ("x", "email", ""),
        ("x", "email", "ada"),
        ("x", "email", "https://hooks.example.com/services/T0/B0/s3cr3t"),
        ("x", "email", "ada@example.com, <grace@example.com>"),
        ("x", "email", "ada@exam ple.com"),
        ("x", "email", ",".join(f"a{n}@example.com" for n in range(21))),
    ],
)
def test_what_cannot_work_is_refused(installation: Installation, name: str, kind: str, target: str) -> None:
    installation.settings = MAILS
    if target.endswith("\n"):
        target = target.replace("/\n", "/\nx")
    with pytest.raises(BadRequest) as refused:
        installation.channel(name, target, kind)
    assert refused.value.code == "bad_alert_channel"
    assert not target or target not in refused.value.message, "it may be a secret"
    assert installation.channels.list() == []


def test_a_channel_shows_the_server_of_its_address_and_no_more(installation: Installation) -> None:
    installation.settings = MAILS
    urls = {
        "a": "https://hooks.example.com/services/T0/B0/s3cr3t?token=s3cr3t",
        "b": "https://user:s3cr3t@example.com:8443/s3cr3t",
    }
    for name, url in urls.items():
        installation.channel(name, url, "slack")
    installation.channel("c", "ada@example.com grace@example.com ada@example.com", "email")
    shown = [c.shown_target for c in installation.channels.list()]
    assert shown == [
        "https://hooks.example.com/…",
        "https://example.com:8443/…",
        "ada@example.com, grace@example.com",
    ]


def test_secrets_are_long_and_renewed(installation: Installation) -> None:
    first = installation.channel("ops", "https://example.com/").secret
    second = installation.setup.renew_secret("ops", NOW).secret
    assert first != second and min(len(first), len(second)) >= 43
    installation.channel("chat", "https://example.com/", "slack")
    with pytest.raises(BadRequest):
        installation.setup.renew_secret("chat", NOW)


def test_a_change_keeps_what_is_not_given(installation: Installation) -> None:
    made = installation.channel("ops", "https://example.com/a")
    changed = installation.setup.change("ops", " ", "ada@example.com", None, NOW)
    assert (changed.target, changed.secret, changed.owner_email) == (
        made.target,
        made.secret,
        "ada@example.com",
    )
    assert (
        installation.setup.change("ops", "http://example.com/b", "", None, NOW).target
        == "http://example.com/b"
    )
    with pytest.raises(BadRequest):
        installation.setup.change("ops", "", "nobody", None, NOW)


def test_names_are_taken_once_and_unknown_ones_are_told(installation: Installation) -> None:
    installation.channel("ops", "https://example.com/")
    refusals: list[MissionControlError] = []
    for attempt in (
        lambda: installation.channel("ops", "https://example.com/"),
        lambda: installation.setup.switch("nobody", True, "ada", NOW),
        lambda: installation.setup.add_rule("nobody", "", "", "", "info"),
        lambda: installation.setup.add_rule("ops", "", "", "", "loud"),
        lambda: installation.setup.add_rule("ops", "a\x00", "", "", "info"),
        lambda: installation.channels.remove_rule(2**40),
    ):
        with pytest.raises((BadRequest, NotFound)) as refused:
            attempt()
        refusals.append(refused.value)
    assert [r.code for r in refusals] == [
        "alert_channel_exists", "unknown_alert_channel", "unknown_alert_channel", "bad_alert_rule", "bad_alert_rule",
        "unknown_alert_rule",
    ]  # fmt: skip


def test_a_rule_of_the_same_changes_is_one_rule(installation: Installation) -> None:
    installation.channel("ops", "https://example.com/")
    installation.setup.add_rule("ops", " Firefox ", "", "", "info")
    again = installation.setup.add_rule("ops", "Firefox", "", "", "critical")
    _, rule = installation.channels.rules()
    assert rule == again and (rule.application, rule.severity) == ("Firefox", "critical")
    assert installation.channels.remove_rule(rule.id) == rule
    installation.setup.remove("ops")
    assert installation.channels.rules() == []


def test_the_migration_makes_the_declared_tables_and_goes_back(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    from missioncontrol.state import database

    engine = Database(f"sqlite:///{tmp_path / 'state.sqlite'}").engine()
    names = ("alert_channels", "alert_rules", "alert_events", "alert_tellings", "alert_deliveries")
    for name in names:
        declared = database.metadata.tables[name]
        inspected = sa.inspect(engine)
        made = {column["name"]: column["nullable"] for column in inspected.get_columns(name)}
        assert made == {column.name: column.nullable for column in declared.columns}
        indexes = {index["name"]: index["column_names"] for index in inspected.get_indexes(name)}
        assert indexes == {index.name: [c.name for c in index.columns] for index in declared.indexes}
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0009")
    assert not set(names) & set(sa.inspect(engine).get_table_names())
