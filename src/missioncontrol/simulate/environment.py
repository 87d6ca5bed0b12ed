"""The environment of a ping as text: build, machine, settings, add-ons, experiments.

Pieces are rendered once: one for each release and machine, and pools of add-ons and hardware to pick from.
`environment()` only joins them. Full environments are about 5 kB, light ones 500 bytes; both hold all the
paths that are read.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np

from missioncontrol.simulate.population import PLATFORMS, Platform
from missioncontrol.simulate.releases import Release

_POOL = 16
_EXPERIMENTS = (
    ("pref-flip-tls-1-3-release", "control"),
    ("pref-flip-tls-1-3-release", "treatment"),
    ("prefflip-webrender-v1", "disabled"),
    ("prefflip-webrender-v1", "enabled"),
    ("addon-study-shield-cookies", "control"),
    ("addon-study-shield-cookies", "strict"),
)
_OLD_STYLE = 6
"""Number of the clients' group that is in an experiment of the old kind, too."""
_THEMES = (
    "{972ce4c6-7e08-4474-a285-3208198ce6fd}",
    "firefox-compact-dark@mozilla.org",
    "night-sky@example.org",
)
_WORDS = (
    "ad", "blocker", "cookie", "dark", "dictionary", "download", "helper", "mail", "manager", "note",
    "password", "privacy", "reader", "screenshot", "search", "tab", "translate", "video", "weather", "zoom",
)  # fmt: skip


class Environments:
    """Renders environments of Firefox clients, from the generator and the arguments alone."""

    def __init__(self, rng: np.random.Generator, releases: tuple[Release, ...]) -> None:
        self._releases = releases
        self._hardware = [_hardware(rng) for _ in range(_POOL)]
        self._settings = [_settings(rng) for _ in range(_POOL)]
        self._addons = [_addons(rng, int(rng.integers(3, 9))) for _ in range(_POOL)]
        self._light_addons = [_addons(rng, 1, brief=True) for _ in range(_POOL)]
        self._head = lru_cache(maxsize=8192)(self._make_head)

    def application(self, release: int, platform: int) -> bytes:
        """The `application` object."""
        return _application(self._releases[release], PLATFORMS[platform])

    def environment(
        self, release: int, platform: int, profile_day: int, experiment: int, pick: int, light: bool
    ) -> bytes:
        """The `environment` object; `pick` chooses hardware and add-ons and should be the client's own."""
        addons = self._light_addons if light else self._addons
        return b"".join(
            (
                self._head(release, platform, pick % _POOL, light),
                b',"profile":{"creationDate":%d,"resetDate":%d},"addons":' % (profile_day, profile_day + 40),
                addons[pick // _POOL % _POOL],
                _OLD_EXPERIMENT if experiment == _OLD_STYLE else b"}",
                _experiments(experiment),
            )
        )

    def _make_head(self, release: int, platform: int, hardware: int, light: bool) -> bytes:
        build = _build(self._releases[release], PLATFORMS[platform], light)
        system = _system(PLATFORMS[platform], b"" if light else self._hardware[hardware])
        settings = b'{"e10sEnabled":true}' if light else self._settings[hardware]
        return b'{"build":' + build + b',"system":' + system + b',"settings":' + settings


def _application(release: Release, platform: Platform) -> bytes:
    return msgspec.json.encode(
        {
            "architecture": platform.architecture,
            "buildId": release.build_id,
            "name": "Firefox",
            "version": release.version,
            "displayVersion": release.display_version,
            "vendor": "Mozilla",
            "platformVersion": release.version,
            "xpcomAbi": platform.abi,
            "channel": release.channel,
        }
    )


def _build(release: Release, platform: Platform, light: bool) -> bytes:
    build: dict[str, object] = {
        "architecture": platform.architecture,
        "buildId": release.build_id,
        "version": release.version,
    }
    if not light:
        build |= {
            "applicationId": "{ec8030f7-c20a-464f-9b0e-13a3a9e97384}",
            "applicationName": "Firefox",
            "vendor": "Mozilla",
            "displayVersion": release.display_version,
            "platformVersion": release.version,
            "xpcomAbi": platform.abi,
            "updaterAvailable": True,
        }
    return msgspec.json.encode(build)


def _system(platform: Platform, hardware: bytes) -> bytes:
    os = {"name": platform.os_name, "version": platform.os_version, "locale": "en-US"}
    if hardware and platform.os_name == "Windows_NT":
        os |= {"servicePackMajor": "0", "servicePackMinor": "0", "windowsBuildNumber": "19041"}
    compositor = "webrender" if platform.os_version.startswith("10") else "opengl"
    gfx = msgspec.json.encode({"features": {"compositor": compositor}})
    return b'{"os":' + msgspec.json.encode(os) + b',"gfx":' + gfx + hardware + b"}"


def _hardware(rng: np.random.Generator) -> bytes:
    cores = int(rng.choice([2, 4, 6, 8]))
    parts = {
        "memoryMB": int(rng.choice([4_096, 8_192, 16_384])),
        "virtualMaxMB": 134_217_728,
        "cpu": {
            "count": cores * 2,
            "cores": cores,
            "vendor": str(rng.choice(["GenuineIntel", "AuthenticAMD"])),
            "family": 6,
            "model": int(rng.integers(40, 170)),
            "stepping": int(rng.integers(0, 12)),
            "l2cacheKB": 256,
            "l3cacheKB": 8_192,
            "speedMHz": int(rng.integers(1_600, 4_200)),
            "extensions": [
                "hasMMX",
                "hasSSE",
                "hasSSE2",
                "hasSSE3",
                "hasSSSE3",
                "hasSSE4_1",
                "hasSSE4_2",
                "hasAVX",
            ],
        },
        "device": None,
        "hdd": {
            name: {"model": f"Disk {rng.integers(100, 999)}", "revision": "1.0"}
            for name in ("profile", "binary")
        },
        "adapters": [
            {
                "description": f"Graphics {rng.integers(400, 6000)}",
                "vendorID": "0x8086",
                "deviceID": f"0x{rng.integers(0, 65_536):04x}",
                "driverVersion": f"26.20.100.{rng.integers(6_000, 8_999)}",
                "driverDate": "8-20-2019",
                "GPUActive": True,
            }
            for _ in range(int(rng.integers(1, 3)))
        ],
        "monitors": [{"screenWidth": 1_920, "screenHeight": 1_080, "refreshRate": 60}],
    }
    return b"," + msgspec.json.encode(parts)[1:-1]


def _settings(rng: np.random.Generator) -> bytes:
    prefs = {f"browser.{word}.{n}": int(rng.integers(0, 50)) for n, word in enumerate(_WORDS)}
    return msgspec.json.encode(
        {
            "blocklistEnabled": True,
            "e10sEnabled": bool(rng.random() < 0.97),
            "e10sMultiProcesses": 8,
            "telemetryEnabled": bool(rng.random() < 0.9),
            "locale": str(rng.choice(["en-US", "de", "fr", "pt-BR", "ru"])),
            "isDefaultBrowser": bool(rng.random() < 0.5),
            "defaultSearchEngine": "google",
            "update": {"channel": "release", "enabled": True, "autoDownload": True},
            "userPrefs": prefs,
        }
    )


def _addons(rng: np.random.Generator, number: int, brief: bool = False) -> bytes:
    """The `addons` object without its closing brace."""
    active = {f"{_words(rng)}-{n}@example.org": _addon(rng, brief) for n in range(number)}
    theme: dict[str, object] = {"id": str(rng.choice(_THEMES))}
    if not brief:
        theme |= {"name": "Default", "version": "1.0", "scope": 4, "installDay": 18_000, "updateDay": 18_100}
    return msgspec.json.encode({"activeAddons": active, "theme": theme})[:-1]


def _addon(rng: np.random.Generator, brief: bool) -> dict[str, object]:
    legacy = bool(rng.random() < 0.03)
    facts: dict[str, object] = {"isSystem": bool(rng.random() < 0.3), "isWebExtension": not legacy}
    if not brief:
        facts |= {
            "blocklisted": False,
            "description": f"A {_words(rng)} extension",
            "name": _words(rng).title(),
            "userDisabled": False,
            "appDisabled": False,
            "version": f"{rng.integers(1, 9)}.{rng.integers(0, 40)}",
            "scope": 1,
            "type": "extension",
            "foreignInstall": False,
            "installDay": int(rng.integers(17_500, 18_500)),
            "updateDay": int(rng.integers(18_500, 18_900)),
            "signedState": 2,
            "multiprocessCompatible": True,
        }
    return facts


def _words(rng: np.random.Generator) -> str:
    return "-".join(str(word) for word in rng.choice(_WORDS, 2, replace=False))


_OLD_EXPERIMENT = b',"activeExperiment":{"id":"tiles-rollout@experiments.example.org","branch":"second"}}'


@lru_cache(maxsize=16)
def _experiments(number: int) -> bytes:
    """The end of the environment: the experiments of a client's group, 0 for none."""
    if number == 0:
        return b',"experiments":{}}'
    name, branch = _EXPERIMENTS[number - 1]
    also = {"prefflip-doh-rollout": {"branch": "enable"}} if number % 3 == 0 else {}
    return b',"experiments":' + msgspec.json.encode({name: {"branch": branch}} | also) + b"}"
