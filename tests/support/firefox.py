"""Debian's Firefox, unmodified and without a window, that sends its telemetry to a server on this machine.

    firefox = Firefox(tmp_path, server.port)
    with firefox.session() as session:
        session.enrol("experiment", "branch")

A session is a run of the program from start to a clean exit, in which Firefox sends its main ping. Of its Glean
pings those of the exit are sent in the next session. What it wants from other hosts goes to a proxy that does not
exist, so that nothing leaves the machine.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

START_TIMEOUT_S = 60.0
QUIT_TIMEOUT_S = 60.0

_TELEMETRY: dict[str, Any] = {
    "toolkit.telemetry.send.overrideOfficialCheck": True,
    "datareporting.healthreport.uploadEnabled": True,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    # Soon, and from the first session on.
    "toolkit.telemetry.initDelay": 1,
    "toolkit.telemetry.newProfilePing.delay": 1000,
    "toolkit.telemetry.shutdownPingSender.enabled": True,
    "toolkit.telemetry.shutdownPingSender.enabledFirstSession": True,
    "toolkit.telemetry.testing.disableFuzzingDelay": True,
    # Else Glean sends how long it was used only after 20 idle minutes, never at exit.
    "telemetry.glean.internal.finalInactive": True,
}
_NO_OTHER_HOSTS: dict[str, Any] = {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.failover_direct": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.trr.mode": 5,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "app.normandy.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.region.network.url": "",
    "browser.search.update": False,
    "browser.newtabpage.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.startup.page": 0,
    "dom.push.connection.enabled": False,
    "extensions.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "media.gmp-manager.updateEnabled": False,
}
_DRIVEN: dict[str, Any] = {
    "marionette.port": 0,
    # Those of automated tests would switch telemetry off.
    "remote.prefs.recommended": False,
}


class Build(msgspec.Struct, frozen=True):
    """The installed Firefox, as its own application.ini says."""

    version: str
    build_id: str


class Marionette:
    """Firefox's own remote control, in the context of the browser itself."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), START_TIMEOUT_S)
        self._calls = 0
        self._read()
        self.call("WebDriver:NewSession", capabilities={})
        self.call("Marionette:SetContext", value="chrome")

    def call(self, command: str, **parameters: Any) -> Any:
        """The result of a command; fails when Firefox says that it failed."""
        self._calls += 1
        message = json.dumps([0, self._calls, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, number, error, result = self._read()
        assert number == self._calls and error is None, error
        return result

    def run(self, script: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self.call("WebDriver:ExecuteScript", script=script, args=list(arguments))["value"]

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> Any:
        length = b""
        while (byte := self._receive(1)) != b":":
            length += byte
        return json.loads(self._receive(int(length)))

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            assert piece, "Firefox ended the conversation"
            data += piece
        return data


class Session:
    """A running Firefox."""

    def __init__(self, marionette: Marionette) -> None:
        self._marionette = marionette

    def enrol(self, experiment: str, branch: str) -> None:
        """Take part in an experiment, as far as legacy telemetry and Glean know, until the session ends."""
        self._marionette.run(
            """
            const { TelemetryEnvironment } = ChromeUtils.importESModule(
                "resource://gre/modules/TelemetryEnvironment.sys.mjs");
            TelemetryEnvironment.setExperimentActive(arguments[0], arguments[1]);
            Services.fog.setExperimentActive(arguments[0], arguments[1], {});
            """,
            experiment,
            branch,
        )

    def withdraw_consent(self) -> None:
        """Switch telemetry off as the settings page does: Firefox asks for deletion of what it sent."""
        self._marionette.run('Services.prefs.setBoolPref("datareporting.healthreport.uploadEnabled", false);')


class Firefox:
    """An installed Firefox with a profile of its own."""

    def __init__(self, folder: Path, server_port: int) -> None:
        self._program = Path(shutil.which("firefox-esr") or "").resolve()
        self._folder = folder
        self._profile = folder / "profile"
        self._profile.mkdir()
        server = {
            "toolkit.telemetry.server": f"http://127.0.0.1:{server_port}",
            "telemetry.fog.test.localhost_port": server_port,
        }
        settings = {**_TELEMETRY, **_NO_OTHER_HOSTS, **_DRIVEN, **server}
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in settings.items())
        (self._profile / "user.js").write_text("".join(lines))

    @property
    def build(self) -> Build:
        """The installed version and build id."""
        ini = configparser.ConfigParser()
        ini.read(self._program.with_name("application.ini"))
        return Build(ini["App"]["Version"], ini["App"]["BuildID"])

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Start; at the end quit as a user does, and wait until it is gone."""
        port_file = self._profile / "MarionetteActivePort"
        port_file.unlink(missing_ok=True)
        with (self._folder / "firefox.log").open("ab") as talk:
            process = subprocess.Popen(
                [self._program, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access",
                 "--profile", self._profile, "about:blank"],
                env=self._environment(), cwd=self._folder, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk,
            )  # fmt: skip
        try:
            marionette = Marionette(self._port(process, port_file))
            yield Session(marionette)
            marionette.call("Marionette:Quit", flags=["eAttemptQuit"])
            marionette.close()
            assert process.wait(QUIT_TIMEOUT_S) == 0
        finally:
            process.kill()
            process.wait()

    def _environment(self) -> dict[str, str]:
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("MOZ_") and not k.lower().endswith("_proxy")
        }
        # The second makes released versions heed the setting of another remote settings server.
        own = {
            "HOME": str(self._folder),
            "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1",
            "MOZ_CRASHREPORTER_DISABLE": "1",
        }
        return {**kept, **own}

    def _port(self, process: subprocess.Popen[bytes], port_file: Path) -> int:
        ends = time.monotonic() + START_TIMEOUT_S
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None, (self._folder / "firefox.log").read_text(errors="replace")
            assert time.monotonic() < ends, "Firefox did not start"
            time.sleep(0.1)
        return int(port_file.read_text())
