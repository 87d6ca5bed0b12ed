"""An S3 server over a folder: versitygw. A bucket is a folder, an object a file, its metadata extended attributes.

Two puts with `If-None-Match: *` or the same `If-Match` never both succeed, which commits of Delta tables rest on.
"""

from __future__ import annotations

import os
from pathlib import Path

from .fetch import SetupError, s3_program
from .process import Server, listening

REGION = "us-east-1"


class S3Server(Server):
    """The server; `endpoint` is its address."""

    name = "S3"

    def __init__(self, folder: Path, port: int, access_key: str, secret_key: str) -> None:
        super().__init__(folder, port)
        self.access_key = access_key
        self.secret_key = secret_key

    @property
    def endpoint(self) -> str:
        """Address for S3 clients, which name the bucket in the path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def create(self) -> None:
        """Make its folder. Raises `SetupError` where the file system keeps no extended attributes."""
        self._data.mkdir(parents=True, exist_ok=True)
        try:
            os.setxattr(self._data, "user.missioncontrol", b"1")
        except OSError as error:
            raise SetupError(
                f"The S3 server needs extended attributes, which {self._data} does not keep ({error.strerror})."
            ) from None

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket unless there is one."""
        (self._data / bucket).mkdir(exist_ok=True)

    def command(self) -> list[str]:
        """The server, for one address."""
        return [
            str(s3_program()), "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--quiet",
            "--keep-alive",
            "posix", str(self._data),
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Its keys, and how much memory it aims at."""
        return {
            "ROOT_ACCESS_KEY": self.access_key,
            "ROOT_SECRET_KEY": self.secret_key,
            "GOMEMLIMIT": "512MiB",
        }

    def answers(self) -> bool:
        """Whether it takes connections; it does so when all is ready."""
        return listening(self.port)

    def client_settings(self) -> dict[str, str]:
        """Settings by the names that obstore and deltalake take (`storage_options`)."""
        return {
            "aws_endpoint": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_region": REGION,
            "aws_allow_http": "true",
            "aws_virtual_hosted_style_request": "false",
            "aws_conditional_put": "etag",
        }
