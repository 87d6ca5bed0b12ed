"""Throttle rules: the shipped list, and lists of one's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.ingest.crash.throttle import Throttle, load_throttle

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
RELEASE = {
    "ProductName": "Firefox",
    "ReleaseChannel": "release",
    "BuildID": "20261101000000",
    "Version": "152.0",
}


ABSENT = "(absent)"
INFOBAR = {
    "SubmittedFromInfobar": "true", "Version": "57.0", "BuildID": "20171", "Throttleable": "0",
}  # fmt: skip


def rule(throttle: Throttle, identity: int = 1, **annotations: str) -> tuple[str, str]:
    named = {k: v for k, v in {**RELEASE, **annotations}.items() if v != ABSENT}
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
        ({"BuildID": "20230101996060", "Throttleable": "0"}, ("has_old_buildid", "reject")),
        ({"BuildID": "20241126235959", "Throttleable": "0"}, ("has_old_buildid", "reject")),
        ({"BuildID": "20241127000000", "Throttleable": "0"}, ("throttleable_0", "accept")),
        ({"HangID": "", "Throttleable": "0"}, ("has_hangid_and_browser", "reject")),
        (INFOBAR, ("infobar_is_true", "reject")),
        ({**INFOBAR, "BuildID": ABSENT}, ("throttleable_0", "accept")),
        ({**INFOBAR, "BuildID": ""}, ("throttleable_0", "accept")),
        ({**INFOBAR, "Version": "60.0"}, ("throttleable_0", "accept")),
        ({"ProductName": "B2g"}, ("b2g", "fake_accept")),
        ({"ProductName": "B2G2"}, ("unsupported_product", "reject")),
        ({"ProductName": ""}, ("unsupported_product", "reject")),
        ({"ProductName": ABSENT}, ("unsupported_product", "reject")),
        ({"Comments": ""}, ("has_comments", "accept")),
        ({"PHCKind": ""}, ("has_phc", "accept")),
        ({"Throttleable": "0"}, ("throttleable_0", "accept")),
        ({"Comments": "help"}, ("has_comments", "accept")),
        ({"PHCKind": "FreedPage"}, ("has_phc", "accept")),
        ({"ProcessType": "gpu"}, ("is_background", "accept")),
        ({"ReleaseChannel": "nightly"}, ("is_nightly", "accept")),
        ({"ReleaseChannel": "nightly-try"}, ("is_nightly", "accept")),
        ({"ProductName": "MozillaVPN"}, ("accept_everything", "accept")),
    ],
)  # fmt: skip
def test_mozillas_rules(annotations: dict[str, str], expected: tuple[str, str]) -> None:
    assert rule(load_throttle("mozilla"), **annotations) == expected


@pytest.mark.parametrize(
    ("product", "package", "kept"),
    [
        ("Fenix", "org.mozilla.fenix", True),
        ("Fenix", "org.mozilla.firefox_beta", True),
        ("Fenix", "org.mozilla.focus", False),
        ("Fenix", "org.mozilla.fenix.debug", False),
        ("Fenix", "org.mozilla.fenix.nightly", False),
        ("Fenix", ABSENT, False),
        ("Fenix", "", False),
        ("Focus", "org.mozilla.klar", True),
        ("Focus", "org.mozilla.fenix", False),
        ("Focus", ABSENT, False),
        ("ReferenceBrowser", "org.mozilla.reference.browser", True),
        ("ReferenceBrowser", ABSENT, False),
        ("Thunderbird", "org.example.fork", True),
        ("Thunderbird", ABSENT, True),
    ],
)
def test_package_names_are_those_of_the_product(product: str, package: str, kept: bool) -> None:
    found = rule(load_throttle("mozilla"), ProductName=product, Android_PackageName=package)
    assert found == (("accept_everything", "accept") if kept else ("unsupported_packagename", "reject"))


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


def environment(os: Any, **system: Any) -> dict[str, Any]:
    return {"build": {"version": "115.0"}, "system": {"memoryMB": 8000, **system, "os": os}}


OLD = environment({"name": "Windows_NT", "version": "6.3", "windowsBuildNumber": 9600})
OLDER = environment({"windowsBuildNumber": 7601, "name": "Windows_NT"})


@pytest.mark.parametrize(
    ("text", "applies"),
    [
        (json.dumps(OLD), True),
        (json.dumps(OLD, indent=1), True),
        (json.dumps(OLDER, separators=(",", " : ")), True),
        (json.dumps(environment({"name": "Windows_NT", "windowsBuildNumber": 9601})), False),
        (json.dumps(environment({"name": "Windows_NT", "windowsBuildNumber": 0})), False),
        (json.dumps(environment({"name": "Windows_NT", "windowsBuildNumber": 9600.5})), False),
        (json.dumps(environment({"name": "Windows_NT"})), False),
        (json.dumps(environment({"name": "Linux", "windowsBuildNumber": 9600})), False),
        (json.dumps(environment({"windowsBuildNumber": 9600})), False),
        (json.dumps(environment({"name": "Windows_NT"}, x={"windowsBuildNumber": 9600})), False),
        (json.dumps(environment(["Windows_NT", 9600])), False),
        ("[]", False),
        ('{"system": {"os": {"name": "Windows_NT", "windowsBuildNumber": 9600', False),
        ("[" * 100_000, False),
        ("", False),
        (ABSENT, False),
    ],
)
def test_of_old_windows_with_esr_a_quarter_is_kept(text: str, applies: bool) -> None:
    throttle = load_throttle("mozilla")
    found = [rule(throttle, n, ReleaseChannel="esr", TelemetryEnvironment=text) for n in range(400)]
    rejected = found.count(("is_firefox_esr_unsupported_windows", "reject"))
    assert rejected + found.count(("is_alpha_beta_esr", "accept")) == 400
    assert 260 < rejected < 340 if applies else rejected == 0


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
