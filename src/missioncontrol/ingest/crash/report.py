"""A crash report as it was uploaded, whatever way it came."""

from __future__ import annotations

import hashlib

import msgspec

from missioncontrol.ingest.crash.drafts import ReportDraft


class UploadedFile(msgspec.Struct, frozen=True):
    """A file of a report."""

    name: str
    sha256: str
    draft: ReportDraft


class Report(msgspec.Struct, frozen=True):
    """What an upload holds."""

    annotations: dict[str, str]
    files: tuple[UploadedFile, ...]
    notes: tuple[str, ...]
    """What the collector changed or left out."""
    payload: str
    """`json` when annotations came as the part `extra`, else `multipart`."""
    left_out: str = ""
    """A digest of all that was sent and is not kept, so that two reports are not taken for one for want of it."""

    def identity(self) -> bytes:
        """16 bytes that are the same for the same annotations and files, whatever boundary or encoding they came in."""
        pieces: list[bytes] = []
        parts = [(b"a", name, value) for name, value in self.annotations.items()]
        parts += [(b"f", file.name, file.sha256) for file in self.files]
        parts += [(b"l", "", self.left_out)] if self.left_out else []
        for kind, name, value in sorted(parts):
            for text in (name.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass")):
                pieces += (kind, len(text).to_bytes(8, "big"), text)
        return hashlib.blake2b(b"".join(pieces), digest_size=16).digest()

    def discard(self) -> None:
        """Give up the files."""
        for file in self.files:
            file.draft.discard()
