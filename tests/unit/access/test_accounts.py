"""Users, tokens and sessions in a real state database."""

from __future__ import annotations

import hmac
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from missioncontrol.access import secret_texts
from missioncontrol.access.accounts import Accounts
from missioncontrol.access.anonymous import Approach
from missioncontrol.access.passwords import Passwords
from missioncontrol.config import Config, State
from missioncontrol.errors import BadRequest, Forbidden, MissionControlError, NotFound, Unauthorized
from missioncontrol.services import Services

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"
HOME = Approach(direct=True, host="127.0.0.1:8000", foreign_page=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def accounts(folder: Path, state_setting: str) -> Accounts:
    return Services(Config(data=folder, state=State(url=state_setting))).accounts


def code(call: Any, *arguments: Any) -> str:
    with pytest.raises(MissionControlError) as error:
        call(*arguments)
    return error.value.code


def test_a_user_signs_in_with_the_password_and_with_nothing_else(accounts: Accounts) -> None:
    accounts.add_user("ada", PASSWORD, ("read",), NOW)
    assert accounts.sign_in("ada", PASSWORD).name == "ada"
    for name, password in (
        ("ada", PASSWORD + " "),
        ("ada", ""),
        ("Ada", PASSWORD),
        ("bob", PASSWORD),
        ("ada", "x" * 9999),
    ):
        with pytest.raises(Unauthorized, match="user name or the password is wrong"):
            accounts.sign_in(name, password)
    accounts.users.set_disabled("ada", True)
    assert code(accounts.sign_in, "ada", PASSWORD) == "wrong_password"


def test_only_hashes_are_stored(folder: Path) -> None:
    accounts = Services(Config(data=folder)).accounts
    user = accounts.add_user("ada", PASSWORD, ("admin",), NOW)
    token = accounts.make_token("ci", ("read",), NOW)
    session, _ = accounts.start_session(user, None, NOW)
    stored = (folder / "state.sqlite").read_bytes()
    for secret in (PASSWORD, token.token, token.token.rpartition("_")[2], session):
        assert secret.encode() not in stored
    (hashed,) = sqlite3.connect(folder / "state.sqlite").execute("SELECT password_hash FROM users").fetchone()
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in repr(user)


def test_an_unknown_user_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords()
    verified: list[str] = []
    verify = type(passwords._hasher).verify
    monkeypatch.setattr(
        type(passwords._hasher), "verify", lambda s, h, p: verified.append(h) or verify(s, h, p)
    )
    stored = passwords.hash(PASSWORD)
    assert not passwords.verify(stored, "wrong")
    assert not passwords.verify(None, "wrong")
    assert [h.split("$")[:4] for h in verified] == [stored.split("$")[:4]] * 2


def test_a_password_of_no_use_is_refused(accounts: Accounts) -> None:
    assert code(accounts.add_user, "ada", "short", ("read",), NOW) == "password_short"
    assert code(accounts.add_user, "ada", "x" * 1025, ("read",), NOW) == "password_long"
    for name in ("", "a b", "../x", "<b>", "x" * 101, "a\n"):
        assert code(accounts.add_user, name, PASSWORD, ("read",), NOW) == "user_name"
    accounts.add_user("ada", PASSWORD, ("read",), NOW)
    assert code(accounts.add_user, "ada", PASSWORD, ("read",), NOW) == "user_exists"


def test_a_hash_of_weaker_parameters_is_renewed_at_sign_in(accounts: Accounts) -> None:
    from argon2 import PasswordHasher

    accounts.users.add("ada", ("read",), NOW, PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD))
    session, _ = accounts.start_session(accounts.sign_in("ada", PASSWORD), None, NOW)
    renewed = accounts.users.password_hash("ada")
    assert renewed and "m=65536" in renewed
    assert accounts.of_session(session, NOW), "it is the same password: nobody is signed out"


def test_a_token_works_until_it_is_over_or_revoked(accounts: Accounts) -> None:
    made = accounts.make_token("ci", ("read", "symbols"), NOW, NOW + timedelta(days=90))
    assert made.token.startswith(f"mc_{made.id}_") and len(made.token) > 50
    reader = accounts.of_token(made.token, NOW)
    assert (reader.name, reader.kind, reader.scopes, reader.token_id) == (
        "ci",
        "token",
        {"read", "symbols"},
        made.id,
    )
    for text in (
        "",
        "mc_",
        made.token[:-1],
        made.token + "x",
        made.token.replace("mc_", "MC_"),
        made.id,
        "\udcff",
    ):
        assert code(accounts.of_token, text, NOW) == "unknown_token"
    other = accounts.make_token("x", ("admin",), NOW)
    mixed = f"mc_{made.id}_{other.token.split('_', 2)[2]}"
    assert code(accounts.of_token, mixed, NOW) == "unknown_token", "the secret of another token"
    assert code(accounts.of_token, made.token, NOW + timedelta(days=90)) == "token_expired"
    accounts.tokens.revoke(made.id, NOW)
    assert code(accounts.of_token, made.token, NOW) == "token_revoked"
    accounts.tokens.revoke(made.id, NOW + timedelta(days=1))
    assert accounts.tokens.list()[-1].revoked_at in (NOW, None)
    with pytest.raises(NotFound) as error:
        accounts.tokens.revoke(other.token, NOW)
    assert other.token.split("_", 2)[2] not in error.value.message, "who mistakes the token for its id"


def test_secrets_are_compared_in_constant_time(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    made = accounts.make_token("ci", ("read",), NOW)
    compared: list[int] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(secret_texts.hmac, "compare_digest", lambda a, b: compared.append(1) or compare(a, b))
    accounts.of_token(made.token, NOW)
    code(accounts.of_token, made.token[:-1] + ("a" if made.token[-1] != "a" else "b"), NOW)
    assert len(compared) == 2


def test_a_token_can_do_no_more_than_its_owner(accounts: Accounts) -> None:
    accounts.add_user("ada", PASSWORD, ("read", "protected"), NOW)
    for beyond in ("admin", "symbols"):
        with pytest.raises(BadRequest) as refused:
            accounts.make_token("t", ("read", beyond), NOW, owner="ada")
        assert refused.value.code == "scope_beyond"
    token = accounts.make_token("t", ("read", "protected"), NOW, owner="ada").token
    assert accounts.of_token(token, NOW).scopes == {"read", "protected"}
    accounts.users.set_scopes("ada", ("read",))
    assert accounts.of_token(token, NOW).scopes == {"read"}
    accounts.users.set_disabled("ada", True)
    assert code(accounts.of_token, token, NOW) == "token_owner_disabled"
    accounts.users.set_disabled("ada", False)
    accounts.users.remove("ada", NOW)
    accounts.add_user("ada", PASSWORD, ("admin",), NOW)
    assert code(accounts.of_token, token, NOW) == "token_revoked", "a later user of the name inherits nothing"
    with pytest.raises(BadRequest, match="no user"):
        accounts.make_token("t", ("read",), NOW, owner="nobody")


def test_the_last_use_of_a_token_is_noted_coarsely(accounts: Accounts) -> None:
    token = accounts.make_token("t", ("read",), NOW).token
    for minutes in (0, 5, 11):
        accounts.of_token(token, NOW + timedelta(minutes=minutes))
    assert accounts.tokens.list()[0].used_at == NOW + timedelta(minutes=11)
    accounts.of_token(token, NOW + timedelta(minutes=12))
    assert accounts.tokens.list()[0].used_at == NOW + timedelta(minutes=11)


def test_a_session_lasts_its_time_and_is_renewed_at_sign_in(accounts: Accounts) -> None:
    user = accounts.add_user("ada", PASSWORD, ("admin",), NOW)
    old, lasts = accounts.start_session(user, "planted-by-somebody", NOW)
    assert old != "planted-by-somebody" and lasts == timedelta(days=7)
    assert accounts.of_session("planted-by-somebody", NOW) is None
    new, _ = accounts.start_session(user, old, NOW)
    assert accounts.of_session(old, NOW) is None
    reader = accounts.of_session(new, NOW + timedelta(days=6))
    assert reader is not None and (reader.name, reader.kind, reader.may("symbols")) == (
        "ada",
        "session",
        True,
    )
    assert accounts.of_session(new, NOW + timedelta(days=7)) is None
    accounts.end_session(new)
    assert accounts.of_session(new, NOW) is None


@pytest.mark.parametrize("change", ["password", "disable", "remove"])
def test_a_change_of_the_user_ends_its_sessions(accounts: Accounts, change: str) -> None:
    user = accounts.add_user("ada", PASSWORD, ("admin",), NOW)
    session, _ = accounts.start_session(user, None, NOW)
    if change == "password":
        accounts.users.set_password("ada", accounts.passwords.hash("another password"))
    elif change == "disable":
        accounts.users.set_disabled("ada", True)
        accounts.users.set_disabled("ada", False)
    else:
        accounts.users.remove("ada", NOW)
    assert accounts.of_session(session, NOW) is None


def test_any_account_ends_the_single_user_installation_also_a_revoked_one(accounts: Accounts) -> None:
    assert accounts.anonymous(HOME).kind == "local"
    made = accounts.make_token("t", ("read",), NOW)
    accounts.tokens.revoke(made.id, NOW)
    assert accounts.anonymous(HOME).scopes == {"read"}


def test_the_last_user_who_is_removed_makes_it_one_again(accounts: Accounts) -> None:
    accounts.add_user("ada", PASSWORD, ("admin",), NOW)
    accounts.users.set_disabled("ada", True)
    assert accounts.anonymous(HOME).kind == "anonymous"
    accounts.users.remove("ada", NOW)
    assert accounts.anonymous(HOME).kind == "local"


def test_a_user_of_a_provider_is_known_by_subject_and_takes_nobodys_name(accounts: Accounts) -> None:
    accounts.add_user("ada", PASSWORD, ("admin",), NOW)
    with pytest.raises(Forbidden, match="another user ada"):
        accounts.of_provider("https://id.example#1", "ada", ("read",), NOW)
    grace = accounts.of_provider("https://id.example#2", "grace", ("read",), NOW)
    again = accounts.of_provider("https://id.example#2", "renamed", ("read", "protected"), NOW)
    assert (grace.name, again.name, again.scopes) == ("grace", "grace", ("read", "protected"))
    assert code(accounts.sign_in, "grace", "") == "wrong_password"
    assert code(accounts.of_provider, "https://id.example#3", "eve", (), NOW) == "no_scopes"
    accounts.users.set_disabled("grace", True)
    assert code(accounts.of_provider, "https://id.example#2", "grace", ("read",), NOW) == "user_disabled"


def test_what_another_process_changes_holds_at_the_next_question(
    accounts: Accounts, folder: Path, state_setting: str
) -> None:
    other = Services(Config(data=folder, state=State(url=state_setting))).accounts
    made = other.make_token("t", ("read",), NOW)
    assert accounts.of_token(made.token, NOW).name == "t"
    other.tokens.revoke(made.id, NOW)
    assert code(accounts.of_token, made.token, NOW) == "token_revoked"
