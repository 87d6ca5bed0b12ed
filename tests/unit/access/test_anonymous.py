"""What somebody may who shows neither session nor token, case by case."""

from __future__ import annotations

import pytest

from missioncontrol.access.anonymous import Approach, anonymous_reader, anonymous_scopes, is_loopback
from missioncontrol.access.reader import Reader
from missioncontrol.access.scopes import ALL, implied, parse_scopes
from missioncontrol.errors import BadRequest, ConfigError, Forbidden, Unauthorized

HOME = Approach(direct=True, host="127.0.0.1:8000", foreign_page=False)


def test_whoever_sits_at_a_single_user_installation_may_do_everything() -> None:
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1", "127.1.2.3:8000", "[::1]:8000", "[::1]"):
        reader = anonymous_reader("127.0.0.1", False, ["read"], Approach(True, host, False))
        assert reader == Reader("local", ALL, "local"), host


@pytest.mark.parametrize(
    "listens_on, has_accounts, approach",
    [
        ("127.0.0.1", True, HOME),
        ("0.0.0.0", False, HOME),
        ("::", False, HOME),
        ("mc.example", False, HOME),
        ("192.168.1.2", True, HOME),
        ("127.0.0.1", False, Approach(False, "127.0.0.1", False)),
        ("127.0.0.1", False, Approach(True, "evil.example", False)),
        ("127.0.0.1", False, Approach(True, "127.0.0.1.evil.example", False)),
        ("127.0.0.1", False, Approach(True, "", False)),
        ("127.0.0.1", False, Approach(True, "[::1].evil.example", False)),
        ("127.0.0.1", False, Approach(True, "127.0.0.1", True)),
    ],
)
def test_everybody_else_may_do_what_the_settings_say(
    listens_on: str, has_accounts: bool, approach: Approach
) -> None:
    reader = anonymous_reader(listens_on, has_accounts, ["read"], approach)
    assert (reader.kind, reader.scopes) == ("anonymous", {"read"})
    assert anonymous_reader(listens_on, has_accounts, [], approach).scopes == set()


def test_without_accounts_nobody_from_elsewhere_gets_what_is_protected_whatever_the_settings_say() -> None:
    allowed = ["read", "protected", "reprocess", "symbols"]
    assert anonymous_reader("0.0.0.0", False, allowed, HOME).scopes == {"read", "symbols"}
    assert anonymous_reader("0.0.0.0", True, allowed, HOME).scopes == set(allowed)


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(Unauthorized, match="no users yet") as first:
        anonymous_reader("0.0.0.0", False, ["read"], HOME).demand("protected")
    assert (first.value.code, "missioncontrol user add" in first.value.hint) == ("no_users", True)
    with pytest.raises(Unauthorized) as second:
        anonymous_reader("0.0.0.0", True, ["read"], HOME).demand("protected")
    assert (second.value.code, "/login" in second.value.hint) == ("sign_in", True)
    with pytest.raises(Forbidden, match="`protected`") as third:
        Reader("grace", frozenset({"read"}), "session").demand("protected")
    assert third.value.code == "missing_scope"
    Reader("grace", frozenset({"read"}), "session").demand("read")


def test_the_setting_is_checked_and_nobody_unknown_is_admin() -> None:
    assert anonymous_scopes([]) == ()
    assert anonymous_scopes(["protected", "read"]) == ("read", "protected")
    for wrong in (["raed"], ["admin"]):
        with pytest.raises(ConfigError, match=r"access\.anonymous"):
            anonymous_scopes(wrong)


def test_only_surely_local_addresses_are_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")))
    assert not any(
        map(is_loopback, ("0.0.0.0", "::", "", "10.0.0.1", "localhost.evil.example", "2130706433"))
    )


def test_scopes_are_named_right_and_admin_is_all() -> None:
    assert parse_scopes(["protected,read", "read"]) == ("read", "protected")
    assert implied(["admin"]) == ALL and implied(["read", "gone"]) == {"read"}
    with pytest.raises(BadRequest, match="raed") as error:
        parse_scopes(["raed"])
    assert error.value.hint == "Did you mean read?"
    with pytest.raises(BadRequest, match="at least one"):
        parse_scopes([" "])
