"""Sends .sym files to another installation: each is one request, streamed, and answered with what became of it."""

from __future__ import annotations

from typing import BinaryIO
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from missioncontrol.crashes.symbols.names import SymbolName
from missioncontrol.crashes.symbols.store import Received, same_build
from missioncontrol.crashes.symbols.sym_file import SymReader
from missioncontrol.errors import BadRequest, Forbidden, MissionControlError, StorageError, Unauthorized

_CONNECT_S, _ANSWER_S = 20.0, 600.0
_ANY_SIZE = 1 << 62
"""How large a file may be is the server's to say."""


class _Refusal(msgspec.Struct):
    code: str = "upload_refused"
    message: str = ""
    hint: str = ""


class RemoteStore:
    """The symbols of an installation elsewhere, as somewhere to put more. Close it when done."""

    def __init__(self, url: str, token: str) -> None:
        """`token` has the scope `symbols`; empty: none. Raises `BadRequest` (`bad_url`)."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadRequest(
                "bad_url", f"{url[:200]!r} is no address of a server.", "As in http://127.0.0.1:8000"
            )
        self._url = url.rstrip("/")
        headers = {"auth-token": token} if token else {}
        timeout = httpx2.Timeout(_ANSWER_S, connect=_CONNECT_S)
        self._client = httpx2.Client(headers=headers, timeout=timeout)

    def add(self, file: BinaryIO, called: str, expected: SymbolName | None = None) -> Received:
        """Send a .sym file. Raises `BadRequest` when it is refused, and `Unauthorized`, `Forbidden` and `StorageError`
        (`server_unreachable`, ...) when any other would be too.
        """
        reader = SymReader(file, _ANY_SIZE)
        name = expected if expected and not same_build(expected, reader.head.name) else reader.head.name
        address = f"{self._url}/symbols/{quote(name.path)}"
        try:
            answer = self._client.put(address, content=iter(reader))
        except httpx2.HTTPError as error:
            hint = "Does the server run, and may it be reached from here?"
            raise StorageError("server_unreachable", f"{self._url}: {error}.", hint) from None
        if answer.status_code >= 300:
            raise _refusal(answer)
        try:
            received = msgspec.json.decode(answer.content, type=Received)
        except msgspec.MsgspecError:
            raise StorageError(
                "not_this_server", f"{self._url} does not answer as Mission Control does."
            ) from None
        return msgspec.structs.replace(received, file=called)

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def _refusal(answer: httpx2.Response) -> MissionControlError:
    try:
        said = msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.MsgspecError:
        said = _Refusal(message=f"The server answered {answer.status_code}.")
    kinds = {401: Unauthorized, 403: Forbidden, 400: BadRequest, 413: BadRequest}
    return kinds.get(answer.status_code, StorageError)(said.code, said.message, said.hint)
