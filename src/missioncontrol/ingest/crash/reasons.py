"""Every reason for which a crash report is refused, with the words that clients know.

An answer's body is `Discarded=<word>`, as crash reporters read it; the reason is counted as `edge_crash_<word>`.
"""

from __future__ import annotations

import msgspec

from missioncontrol.errors import MissionControlError
from missioncontrol.ingest.reasons import CONTENT_LENGTH_INVALID, TRANSFER_ENCODING_UNKNOWN


class CrashReason(msgspec.Struct, frozen=True):
    """Why a report is refused."""

    status: int
    word: str
    message: str
    sampled: bool = True
    """Whether a few such reports are kept for inspection: not where nothing is wrong with them."""

    @property
    def code(self) -> str:
        """The name under which it is counted."""
        return f"crash_{self.word}"


class CrashRefused(MissionControlError):
    """The report is refused for `reason`."""

    def __init__(self, reason: CrashReason, detail: str = "") -> None:
        super().__init__(reason.code, f"{reason.message} {detail}".strip())
        self.reason = reason
        self.status = reason.status


def _malformed(word: str, message: str) -> CrashReason:
    return CrashReason(400, f"malformed_{word}", message)


NO_CONTENT_TYPE = _malformed("no_content_type", "A crash report has a Content-Type of multipart/form-data.")
WRONG_CONTENT_TYPE = _malformed("wrong_content_type", "A crash report is multipart/form-data.")
NO_BOUNDARY = _malformed("no_boundary", "The Content-Type names no usable boundary.")
NO_CONTENT_LENGTH = _malformed(
    "no_content_length", "The report is empty, or says neither its length nor chunked."
)
BAD_GZIP = _malformed("bad_gzip", "The body is said to be gzip and is not, or ends too early.")
UNKNOWN_ENCODING = _malformed("unknown_encoding", "The body has a Content-Encoding other than gzip.")
TOO_LARGE_INFLATED = CrashReason(413, "too_large_inflated", "The report is too large once it is unpacked.")
INVALID_STRUCTURE = _malformed("invalid_payload_structure", "The body is no complete multipart message.")
INVALID_JSON = _malformed("invalid_json", "The part `extra` is no JSON.")
INVALID_JSON_VALUE = _malformed("invalid_json_value", "The part `extra` is JSON but no object.")
INVALID_DUMP_NAME = _malformed("invalid_dump_name", "A file has a name that the store keeps for itself.")
INVALID_UUID = _malformed("invalid_uuid", "The annotation `uuid` is no crash id.")
UUID_TAKEN = CrashReason(409, "uuid_taken", "Another report has the crash id that this one brings.")
NO_ANNOTATIONS = _malformed("no_annotations", "The report has no annotations.")
TOO_MANY_FILES = _malformed("too_many_files", "The report has more files than a crash can have.")
TOO_LARGE = CrashReason(413, "too_large", "The report is larger than the server takes.")
INCOMPLETE = _malformed("incomplete", "The body is shorter or longer than its Content-Length.")
TIMEOUT = CrashReason(408, "timeout", "The body took too long to arrive.")
CLIENT_GONE = CrashReason(400, "client_gone", "The client left before its report was complete.")
"""Counted, never sent: there is nobody left to read it."""
UNAUTHORIZED_UUID = CrashReason(
    401, "unauthorized_uuid", "Only a client with an ingest token may choose a crash id."
)
UNAUTHORIZED_KEY = CrashReason(401, "unauthorized_key", "The product asks for a key that was not given.")
RATE_LIMITED = CrashReason(429, "rate_limited", "The product sends more reports than it may.", False)
BACKLOG_FULL = CrashReason(
    503, "backlog_full", "More reports wait to be processed than may wait. Send it again later.", False
)
NO_ROOM = CrashReason(507, "no_room", "The disk is nearly full. Send the report again later.", False)
NOT_STORED = CrashReason(507, "not_stored", "The report could not be stored. Send it again later.", False)
STORE_AWAY = CrashReason(
    503, "store_away", "The store of crash reports cannot be reached. Send the report again later.", False
)
DELETED = CrashReason(
    200,
    "deleted",
    "The report is a copy of one that is here no more: it is answered as that one, and not kept.",
    False,
)
"""Counted; its client is told the id that it was told before."""
METHOD_NOT_ALLOWED = CrashReason(405, "method_not_allowed", "Crash reports are sent with POST.")


def explanations() -> dict[str, str]:
    """What each reason means, by its name in the table `discards`."""
    own = {f"edge_{r.code}": r.message for r in globals().values() if isinstance(r, CrashReason)}
    framing = (CONTENT_LENGTH_INVALID, TRANSFER_ENCODING_UNKNOWN)
    return own | {f"edge_crash_malformed_{r.code}": f"{r.message} {r.hint}".strip() for r in framing}
