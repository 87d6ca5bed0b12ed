"""One Trino server, coordinator and worker in one, whose catalog `lake` reads Delta tables of the S3 server.

What tables there are Trino keeps in files of its own folder: it is told by `missioncontrol lake views --dialect trino`.
"""

from __future__ import annotations

import json
import shlex
import urllib.request
from pathlib import Path

from .fetch import java, trino_client, trino_folder, trino_java
from .process import Server, listening
from .s3 import REGION, S3Server

CATALOG = "lake"
_SERVER = """\
node.environment=local
node.id=one
node.bind-ip=127.0.0.1
node.internal-address=127.0.0.1
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
discovery.uri=http://127.0.0.1:{port}
catalog.config-dir={folder}/catalog
plugin.dir={plugins}
"""
_LAKE = """\
connector.name=delta_lake
delta.register-table-procedure.enabled=true
hive.metastore=file
hive.metastore.catalog.dir=local:///metastore
fs.native-local.enabled=true
local.location={folder}
fs.native-s3.enabled=true
s3.endpoint={endpoint}
s3.region={region}
s3.path-style-access=true
s3.aws-access-key=${{ENV:AWS_ACCESS_KEY_ID}}
s3.aws-secret-key=${{ENV:AWS_SECRET_ACCESS_KEY}}
"""


class TrinoServer(Server):
    """The server; `url` is its address."""

    name = "Trino"
    start_s = 300.0

    def __init__(self, folder: Path, port: int, s3: S3Server, heap_mb: int = 1536) -> None:
        super().__init__(folder, port)
        self._s3 = s3
        self._heap_mb = heap_mb

    @property
    def url(self) -> str:
        """Where clients ask."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def program(self) -> Path:
        """Its command line, which knows the address; `--execute`, `--file` and others may follow."""
        return self.folder / "ask"

    def create(self) -> None:
        """Write its settings, and the program that asks it. Raises `SetupError`."""
        (self.folder / "catalog").mkdir(parents=True, exist_ok=True)
        (self.folder / "metastore").mkdir(exist_ok=True)
        plugins = trino_folder() / "plugin"
        settings = _SERVER.format(folder=self.folder, port=self.port, plugins=plugins)
        (self.folder / "config.properties").write_text(settings)
        lake = _LAKE.format(folder=self.folder, endpoint=self._s3.endpoint, region=REGION)
        (self.folder / "catalog" / f"{CATALOG}.properties").write_text(lake)
        (self.folder / "log.properties").write_text("io.trino=WARN\n")
        client = [
            java(),
            "-jar",
            str(trino_client()),
            "--server",
            self.url,
            "--catalog",
            CATALOG,
            "--schema",
            "views",
        ]
        self.program.write_text(f'#!/bin/sh\nexec {shlex.join(client)} "$@"\n')
        self.program.chmod(0o755)

    def command(self) -> list[str]:
        """The server, with a bound on its memory."""
        return [
            # The quick compiler alone: what is asked here is over before the other one would have been of use.
            str(trino_java()), f"-Xmx{self._heap_mb}m", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError", "-Djdk.attach.allowAttachSelf=true", "-XX:+EnableDynamicAgentLoading",
            f"-Dconfig={self.folder / 'config.properties'}", f"-Dlog.levels-file={self.folder / 'log.properties'}",
            "-cp", f"{trino_folder() / 'lib'}/*", "io.trino.server.TrinoServer",
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """The keys of the S3 server, which its settings do not hold."""
        return {"AWS_ACCESS_KEY_ID": self._s3.access_key, "AWS_SECRET_ACCESS_KEY": self._s3.secret_key}

    def answers(self) -> bool:
        """Whether it takes queries."""
        if not listening(self.port):
            return False
        try:
            with urllib.request.urlopen(f"{self.url}/v1/info", timeout=5) as answer:
                return json.load(answer).get("starting") is False
        except (OSError, ValueError):
            return False
