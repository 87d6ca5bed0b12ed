"""How an entry lies in a row of the SQLite log: metadata packed in one BLOB; the body, as it came, lies elsewhere.

Pure functions of bytes; this module never touches a database. Packing happens in the caller of `append()`, so
that an entry that cannot be stored fails alone and not the group it would have been committed with.
"""

from __future__ import annotations

import hashlib

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.log.protocol import Entry, Kind

_Meta = tuple[
    int, str, str, str, str, str, str, str, str, str, tuple[tuple[str, str], ...], str, str, int
]  # in the order of `pack()`; a field added later goes to the end, behind a new schema version
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Meta).decode

IDENTITY_BYTES = 16
_DASHES = (8, 13, 18, 23)


class Row(msgspec.Struct, frozen=True):
    """An entry ready to be inserted. `identity` is empty when the entry can never be a duplicate."""

    kind: int
    identity: bytes
    meta: bytes
    body: bytes

    @property
    def size_bytes(self) -> int:
        """About what the row and its body take on the disk."""
        return len(self.meta) + len(self.body)


def pack(entry: Entry) -> Row:
    """The row of an entry; raises `BadRequest` for text that is no UTF-8 and numbers over 64 bits."""
    meta = (
        entry.received_ns,
        entry.namespace,
        entry.document_type,
        entry.document_version,
        entry.document_id,
        entry.application,
        entry.version,
        entry.channel,
        entry.build_id,
        entry.country,
        entry.headers,
        entry.encoding,
        entry.detail,
        entry.count,
    )
    recognised = entry.kind is Kind.PING and entry.document_id
    try:
        return Row(
            kind=int(entry.kind),
            identity=identity(entry.document_id) if recognised else b"",
            meta=_encode(meta),
            body=entry.body,
        )
    except (UnicodeEncodeError, OverflowError) as error:
        raise BadRequest(
            "entry_invalid", f"The log cannot keep this entry: {error}.", "Texts are UTF-8, numbers 64 bits."
        ) from None


def unpack(kind: int, meta: bytes, body: bytes) -> Entry:
    """The entry of a row; raises `msgspec.DecodeError` for metadata that `pack()` never wrote."""
    received_ns, *texts, headers, encoding, detail, count = _decode(meta)
    (
        namespace,
        document_type,
        document_version,
        document_id,
        application,
        version,
        channel,
        build_id,
        country,
    ) = texts
    return Entry(
        kind=Kind(kind),
        received_ns=received_ns,
        namespace=namespace,
        document_type=document_type,
        document_version=document_version,
        document_id=document_id,
        application=application,
        version=version,
        channel=channel,
        build_id=build_id,
        country=country,
        headers=headers,
        encoding=encoding,
        body=body,
        detail=detail,
        count=count,
    )


def identity(document_id: str) -> bytes:
    """The 16 bytes by which a document is recognised, whatever its letters' case.

    A UUID in its usual form is its own 16 bytes; any other text is hashed with BLAKE2b.
    """
    if len(document_id) == 36 and all(document_id[at] == "-" for at in _DASHES):
        try:
            own = bytes.fromhex(document_id.replace("-", ""))
        except ValueError:
            own = b""
        if len(own) == IDENTITY_BYTES:
            return own
    return hashlib.blake2b(
        document_id.lower().encode(errors="surrogatepass"), digest_size=IDENTITY_BYTES
    ).digest()
