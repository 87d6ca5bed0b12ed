"""Throttle rules: the shipped list, and lists of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.ingest.crash.throttle import Throttle, load_throttle

NOW = datetime(2026, 11, 26, tzinfo=UTC)
RELEASE = {
    "ProductName": "Firefox",
    "ReleaseChannel": "release",
    "BuildID": "20261101000000",
    "Version": "152.0",
}


def rule(throttle: Throttle, identity: int = 1, **annotations: str) -> tuple[str, str]:
    named = {k: v for k, v in {**RELEASE, **annotations}.items() if v}
    decision = throttle.decide(named, identity.to_bytes(16, "big"), NOW)
    return decision.rule, decision.result


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"BuildID": "20240101000000"}, ("has_old_buildid", "reject")),
        ({"BuildID": "20269901000000", "ReleaseChannel": "beta"}, ("is_alpha_beta_esr", "accept")),
        ({"HangID": "x"}, ("has_hangid_and_browser", "reject")),
        ({"HangID": "x", "ProcessType": "plugin"}, ("is_background", "accept")),
        ({"SubmittedFromInfobar": "true", "Version": "57.0", "BuildID": "20171001000000"}, ("has_old_buildid", "reject")),
        ({"ProductName": "B2G"}, ("b2g", "fake_accept")),
        ({"ProductName": "Mine"}, ("unsupported_product", "reject")),
        ({"ProductName": ""}, ("unsupported_product", "reject")),
        ({"Android_PackageName": "com.example"}, ("unsupported_packagename", "reject")),
        ({"Throttleable": "0"}, ("throttleable_0", "accept")),
        ({"Comments": "help"}, ("has_comments", "accept")),
        ({"PHCKind": "FreedPage"}, ("has_phc", "accept")),
        ({"ProcessType": "gpu"}, ("is_background", "accept")),
        ({"ReleaseChannel": "nightly"}, ("is_nightly", "accept")),
        ({"ReleaseChannel": "nightly-try"}, ("is_nightly", "accept")),
        ({"ProductName": "Fenix"}, ("accept_everything", "accept")),
    ],
)  # fmt: skip
def test_mozillas_rules(annotations: dict[str, str], expected: tuple[str, str]) -> None:
    assert rule(load_throttle("mozilla"), **annotations) == expected


def test_shares_are_drawn_by_identity_and_multiply() -> None:
    throttle = load_throttle("mozilla")
    kill = {**RELEASE, "ipc_channel_error": "ShutDownKill"}
    found = [throttle.decide(kill, n.to_bytes(16, "big"), NOW) for n in range(20_000)]
    assert found == [throttle.decide(kill, n.to_bytes(16, "big"), NOW) for n in range(20_000)]
    kept = [d for d in found if d.result == "accept"]
    assert 130 < len(kept) < 280, "a tenth of a tenth"
    assert {round(d.percent, 6) for d in kept} == {1.0}
    beta = {**kill, "ReleaseChannel": "beta"}
    assert {
        d.percent
        for d in (throttle.decide(beta, n.to_bytes(16, "big"), NOW) for n in range(200))
        if d.result == "accept"
    } == {10.0}


def test_old_windows_of_esr() -> None:
    throttle = load_throttle("mozilla")
    for build, rules in (
        (9600, {"is_firefox_esr_unsupported_windows", "is_alpha_beta_esr"}),
        (19045, {"is_alpha_beta_esr"}),
    ):
        environment = f'{{"system":{{"os":{{"windowsBuildNumber":{build},"x":1}}}}}}'
        found = {
            rule(throttle, n, ReleaseChannel="esr", TelemetryEnvironment=environment)[0] for n in range(200)
        }
        assert found == rules


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "throttle.toml"
    file.write_text(
        'no_match = "accept"\n[[rule]]\nname = "old"\nresult = "reject"\nwhen = [{ field = "Version", matches = "^1\\\\." }]\n'
    )
    throttle = load_throttle(str(file))
    assert rule(throttle, Version="1.5") == ("old", "reject")
    assert rule(throttle, Version="11.5") == ("no_match", "accept")
    assert rule(load_throttle("accept_all"), ProductName="") == ("accept_all", "accept")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]", "throttle_invalid"),
        ('[[rule]]\nname = "a"\nresult = "maybe"', "maybe"),
        ('[[rule]]\nname = "A b"\nresult = "accept"', "A b"),
        ('[[rule]]\nname = "a"\nresult = "accept"\npercent = 120', "percent"),
        (
            '[[rule]]\nname = "a"\nresult = "accept"\nwhen = [{ field = "x", matches = "(" }]',
            "throttle_invalid",
        ),
        ('[[rule]]\nname = "a"\nresult = "accept"\nwhen = [{ feld = "x" }]', "feld"),
    ],
)
def test_a_wrong_list_is_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "throttle.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as wrong:
        load_throttle(str(file))
    assert said in wrong.value.message or said == wrong.value.code
    with pytest.raises(ConfigError, match="accept_al"):
        load_throttle("accept_al")
