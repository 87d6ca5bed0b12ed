"""A user or a program at a running server with accounts."""

from __future__ import annotations

import json

import httpx
from tests.support.server import RunningServer

PASSWORD = "correct horse battery"
PAGE = {"accept": "text/html"}


def add_user(server: RunningServer, name: str, *scopes: str, password: str = PASSWORD) -> None:
    """A user made by the command line; without scopes the command's own choice."""
    options = [option for scope in scopes for option in ("--scope", scope)]
    server.run("user", "add", name, "--password-stdin", *options, stdin=f"{password}\n")


def make_token(server: RunningServer, *scopes: str, more: tuple[str, ...] = ()) -> dict[str, str]:
    """A token made by the command line: id and token."""
    options = [option for scope in scopes for option in ("--scope", scope)]
    made: dict[str, str] = json.loads(
        server.run("token", "create", "--name", "test", "--json", *options, *more).stdout
    )
    return made


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"authorization": f"Bearer {token}"}


def browser(server: RunningServer) -> httpx.Client:
    """A client that keeps cookies, asks for pages and follows nothing."""
    return httpx.Client(base_url=server.url, headers=PAGE, timeout=60)


def sign_in(
    client: httpx.Client, name: str, password: str = PASSWORD, after: str = "/", **headers: str
) -> httpx.Response:
    """Send the form of the page /login."""
    fields = {"username": name, "password": password, "next": after}
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    return client.post("/login", data=fields, headers=names)
