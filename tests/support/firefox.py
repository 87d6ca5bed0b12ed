"""Debian's Firefox, unmodified and without a window, that sends its telemetry to a server on this machine.

    firefox = Firefox(tmp_path, server.port)
    with firefox.session() as session:
        session.enrol("experiment", "branch")

A session is a run of the program from start to a clean exit, in which Firefox sends its main ping. Of its Glean
pings those of the exit are sent in the next session. Instead of a session it can crash: `firefox.crash(url)`. What
it wants from other hosts goes to a proxy that does not exist, so that nothing leaves the machine.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import signal
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
CRASH_TIMEOUT_S = 120.0
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""

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
_CRASH_REPORTS: dict[str, Any] = {
    # What the crash reporter could not send, the browser sends when it is started again, without a question.
    "browser.crashReports.unsubmittedCheck.enabled": True,
    "browser.crashReports.unsubmittedCheck.autoSubmit2": True,
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

    def send_crash_reports(self) -> None:
        """Have it look for reports that were not sent yet, as it does by itself ten minutes after its start."""
        self._marionette.run(
            """
            const { UnsubmittedCrashHandler } = ChromeUtils.importESModule(
                "resource:///modules/ContentCrashHandlers.sys.mjs");
            return UnsubmittedCrashHandler.checkForUnsubmittedCrashReports().then(() => true);
            """
        )


class Firefox:
    """An installed Firefox with a profile of its own."""

    def __init__(self, folder: Path, server_port: int, crash_url: str = "") -> None:
        """With `crash_url` it writes minidumps and sends them there."""
        self._program = self.program()
        self._folder = folder
        self._profile = folder / "profile"
        self._profile.mkdir()
        server = {
            "toolkit.telemetry.server": f"http://127.0.0.1:{server_port}",
            "telemetry.fog.test.localhost_port": server_port,
        }
        settings = {**_TELEMETRY, **_NO_OTHER_HOSTS, **_CRASH_REPORTS, **_DRIVEN, **server}
        self._crash_url = crash_url
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in settings.items())
        (self._profile / "user.js").write_text("".join(lines))

    @staticmethod
    def program() -> Path:
        """The installed program, beside which its libraries lie."""
        return Path(shutil.which("firefox-esr") or "").resolve()

    @property
    def build(self) -> Build:
        """The installed version and build id."""
        ini = configparser.ConfigParser()
        ini.read(self._program.with_name("application.ini"))
        return Build(ini["App"]["Version"], ini["App"]["BuildID"])

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Start; at the end quit as a user does, and wait until it is gone."""
        with self._running(self._crash_url) as (process, marionette):
            yield Session(marionette)
            marionette.call("Marionette:Quit", flags=["eAttemptQuit"])
            marionette.close()
            assert process.wait(QUIT_TIMEOUT_S) == 0

    def crash(self, url: str) -> None:
        """Start, end as a wrong access to memory does, and wait until the crash reporter has sent it or given up.

        The reporter sends it to `url`.
        """
        with self._running(url) as (process, marionette):
            process.send_signal(signal.SIGSEGV)
            assert process.wait(QUIT_TIMEOUT_S) == -signal.SIGSEGV
            marionette.close()
            _wait_for(self._profile / "crashes" / "events", "*-submission")

    def pending_reports(self) -> list[Path]:
        """The minidumps that are still to be sent."""
        return list((self._reports / "pending").glob("*.dmp"))

    def submitted_report(self) -> Path:
        """The file in which it wrote down the one report that it has sent, once it is there."""
        return _wait_for(self._reports / "submitted", "bp-*.txt")

    @property
    def _reports(self) -> Path:
        return self._folder / ".config" / "mozilla" / "firefox" / "Crash Reports"

    @contextmanager
    def _running(self, crash_url: str) -> Iterator[tuple[subprocess.Popen[bytes], Marionette]]:
        port_file = self._profile / "MarionetteActivePort"
        port_file.unlink(missing_ok=True)
        with (self._folder / "firefox.log").open("ab") as talk:
            process = subprocess.Popen(
                [self._program, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access",
                 "--profile", self._profile, "about:blank"],
                env=self._environment(crash_url), cwd=self._folder, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk,
            )  # fmt: skip
        try:
            yield process, Marionette(self._port(process, port_file))
        finally:
            process.kill()
            process.wait()

    def _environment(self, crash_url: str) -> dict[str, str]:
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("MOZ_", "XDG_")) and not k.lower().endswith("_proxy")
        }
        # The second makes released versions heed the setting of another remote settings server.
        own = {"HOME": str(self._folder), "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"}
        if not crash_url:
            return {**kept, **own, "MOZ_CRASHREPORTER_DISABLE": "1"}
        # The reporter is a program of its own, to which the settings of the profile mean nothing.
        reporter = {
            "MOZ_CRASHREPORTER": "1",
            "MOZ_CRASHREPORTER_AUTO_SUBMIT": "1",
            "MOZ_CRASHREPORTER_URL": crash_url,
            "MOZ_HEADLESS": "1",
            "http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "127.0.0.1",
        }  # fmt: skip
        return {**kept, **own, **reporter}

    def _port(self, process: subprocess.Popen[bytes], port_file: Path) -> int:
        ends = time.monotonic() + START_TIMEOUT_S
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None, (self._folder / "firefox.log").read_text(errors="replace")
            assert time.monotonic() < ends, "Firefox did not start"
            time.sleep(0.1)
        return int(port_file.read_text())


def _wait_for(folder: Path, pattern: str) -> Path:
    """The one file that fits, once it is there."""
    ends = time.monotonic() + CRASH_TIMEOUT_S
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < ends, f"{folder} has no {pattern}"
        time.sleep(0.1)
    (one,) = found
    return one
