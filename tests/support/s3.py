"""An S3 server for a test session, and the environment by which the product reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.process import free_ports
from deploy.local.s3 import REGION, S3Server

BUCKET = "tests"


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """A server with an empty bucket, in a folder."""
    server = S3Server(folder, *free_ports(1), "tests", "s3cret-of-the-tests")
    try:
        server.create()
        server.start()
        server.create_bucket(BUCKET)
        yield server
    finally:
        server.stop()


def s3_environment(server: S3Server, **other: str) -> dict[str, str]:
    """The usual variables, as whoever runs the product sets them."""
    return {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        **other,
    }
