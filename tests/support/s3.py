"""The S3 server of `make scale-up` for tests: one of their own, in a folder that is deleted afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
from deploy.local.process import free_ports
from deploy.local.s3 import REGION, S3Server
from obstore.store import S3Store

ACCESS_KEY = "tests"
SECRET_KEY = "s3cret-of-the-tests"
BUCKET = "tests"


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """A server with the bucket `BUCKET`, its data below `folder`."""
    server = S3Server(folder, *free_ports(1), ACCESS_KEY, SECRET_KEY)
    try:
        server.create()
        server.start()
        server.create_bucket(BUCKET)
        yield server
    finally:
        server.stop()


def s3_environment(server: S3Server, **other: str) -> dict[str, str]:
    """What our processes are told of the server."""
    return {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        **other,
    }


def keys(server: S3Server, prefix: str) -> list[str]:
    """All keys under a prefix, by another client than ours."""
    store: Any = S3Store(BUCKET, config=server.client_settings())
    return sorted(each["path"] for some in obstore.list(store, prefix) for each in some)


def files_of_server(server: S3Server) -> list[Path]:
    """Every file that the server keeps: objects, and parts of uploads that were not completed."""
    return sorted(path for path in (server.folder / "data").rglob("*") if path.is_file())
