"""The edge alone on one port: `edge_server.py DATA PORT LOG`.

LOG: `sqlite`, the log in a file; `kafka`, that of the settings; `none`, one that forgets. All are the same server, the
same edge and the same answers; only what happens between body and answer differs.
"""

from __future__ import annotations

import sys
from functools import cached_property

import uvicorn

from missioncontrol.config import load_config
from missioncontrol.ingest.http_protocol import make_server_config
from missioncontrol.log.protocol import Appended, Entry
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.services import Services
from missioncontrol.web.server import Root


class NoLog(SqliteLog):
    """Says that everything is stored and stores nothing."""

    async def append(self, entry: Entry) -> Appended:
        return Appended(0, False)


class ServicesWithoutLog(Services):
    """Services whose log forgets."""

    @cached_property
    def log(self) -> SqliteLog:
        return NoLog(self.config.log_path, self.config.log.dedup_days, self.config.log.max_bytes)


def main() -> None:
    data, port, log = sys.argv[1:]
    config = load_config(data, overrides={"server": {"port": int(port)}})
    services = ServicesWithoutLog(config) if log == "none" else Services(config)
    root = Root(services, with_edge=True, with_web=False)
    uvicorn.Server(make_server_config(root, config, root.refused)).run()
    services.close()


if __name__ == "__main__":
    main()
