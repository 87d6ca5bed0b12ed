"""The commands of users and tokens, without a server: what they print, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.server import RunningServer
from tests.support.signing_in import PASSWORD, add_user


@pytest.fixture
def installation(tmp_path: Path) -> RunningServer:
    """A data folder; nothing runs."""
    return RunningServer(tmp_path, {})


def test_the_first_user_is_admin_and_later_ones_read(installation: RunningServer) -> None:
    for name in ("ada", "grace"):
        add_user(installation, name)
    add_user(installation, "eve", "protected,read", "symbols")
    users = json.loads(installation.run("user", "list", "--json").stdout)
    scopes = {u["name"]: u["scopes"] for u in users}
    assert scopes == {"ada": ["admin"], "grace": ["read"], "eve": ["read", "protected", "symbols"]}
    assert set(users[0]) == {"name", "scopes", "created_at", "disabled", "subject"}
    assert "argon2" not in installation.run("user", "list").stdout


@pytest.mark.parametrize(
    "arguments, stdin, exit_code, message",
    [
        (("user", "add", "x"), "", 2, "--password-stdin"),
        (("user", "add", "x", "--password-stdin"), "short\n", 2, "at least 6 characters"),
        (("user", "add", "x", "--password-stdin"), "", 2, "at least 6 characters"),
        (("user", "add", "a b", "--password-stdin"), f"{PASSWORD}\n", 2, "no name of a user"),
        (
            ("user", "add", "x", "--scope", "raed", "--password-stdin"),
            f"{PASSWORD}\n",
            2,
            "Did you mean read?",
        ),
        (("user", "remove", "nobody"), "", 1, "There is no user nobody"),
        (("user", "disable", "nobody"), "", 1, "There is no user nobody"),
        (("user", "password", "nobody", "--password-stdin"), f"{PASSWORD}\n", 1, "There is no user nobody"),
        (("token", "create", "--name", "x"), "", 2, "--scope"),
        (("token", "create", "--name", " ", "--scope", "read"), "", 2, "1 to 100 characters"),
        (("token", "create", "--name", "x", "--scope", "read", "--expires", "soon"), "", 2, "90d"),
        (("token", "create", "--name", "x", "--scope", "read", "--owner", "nobody"), "", 2, "no user nobody"),
        (("token", "revoke", "nothing"), "", 1, "no token of the id"),
    ],
)
def test_a_mistake_is_told_in_one_message(
    installation: RunningServer, arguments: tuple[str, ...], stdin: str, exit_code: int, message: str
) -> None:
    done = installation.run(*arguments, stdin=stdin, check=False)
    assert done.returncode == exit_code and message in done.stderr, done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr and PASSWORD not in done.stderr


@pytest.mark.parametrize(
    "command",
    ["user add", "user list", "user remove", "user password", "user disable", "user enable", "user scopes", "user seen",
     "token create", "token list", "token revoke"],
)  # fmt: skip
def test_help_shows_examples(installation: RunningServer, command: str) -> None:
    text = installation.run(*command.split(), "--help").stdout
    assert "Example" in text and f"missioncontrol {command}" in text


def test_whoever_removes_the_last_account_is_told_what_it_means(installation: RunningServer) -> None:
    add_user(installation, "ada")
    assert "may do everything again" in installation.run("user", "remove", "ada").stderr
    made = json.loads(installation.run("token", "create", "--name", "x", "--scope", "read", "--json").stdout)
    assert list(made) == ["id", "token", "scopes"]
    installation.run("token", "revoke", made["id"])
    assert "revoked" in installation.run("token", "list").stdout
    add_user(installation, "ada")
    assert "may do everything" not in installation.run("user", "remove", "ada").stderr
