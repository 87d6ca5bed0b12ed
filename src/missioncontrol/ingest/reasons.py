"""Every reason for which the edge refuses a submission: its status, code, message and hint.

The code is the same in the answer's body, in the table `discards` (as `edge_<code>`), in the metrics and in
the docs. This module never counts and never answers.
"""

from __future__ import annotations

import msgspec

from missioncontrol.errors import MissionControlError


class Reason(msgspec.Struct, frozen=True):
    """Why a submission is refused."""

    status: int
    """HTTP status of the answer."""
    code: str
    message: str
    hint: str = ""


UNKNOWN_ADDRESS = Reason(
    404,
    "unknown_address",
    "This is no address that submissions are taken at.",
    "Use /submit/telemetry/<docId>/<docType>/<app>/<version>/<channel>/<buildId>?v=4 "
    "or /submit/<namespace>/<docType>/<docVersion>/<docId>.",
)
PINGS_NOT_TAKEN = Reason(
    404,
    "pings_not_taken",
    "This server takes crash reports only, at POST /submit.",
    "Pings need the part edge: missioncontrol serve, or with --only: edge.",
)
MISSING_VERSION = Reason(
    400,
    "missing_version",
    "A telemetry address must carry the query ?v=4 exactly once.",
    "Append ?v=4 to the address.",
)
METHOD_NOT_ALLOWED = Reason(
    405, "method_not_allowed", "Submissions are sent with POST or PUT.", "Use POST or PUT at this address."
)
LENGTH_REQUIRED = Reason(
    411,
    "length_required",
    "The request has neither a Content-Length nor a chunked body.",
    "Send Content-Length, or Transfer-Encoding: chunked.",
)
CONTENT_LENGTH_INVALID = Reason(
    400,
    "content_length_invalid",
    "The length of the body is given twice, or is no number.",
    "Send one Content-Length of decimal digits, or Transfer-Encoding: chunked, not both.",
)
TRANSFER_ENCODING_UNKNOWN = Reason(
    400,
    "transfer_encoding_unknown",
    "The only transfer encoding that is understood is `chunked`.",
    "Compress with Content-Encoding: gzip instead.",
)
BODY_INCOMPLETE = Reason(
    400,
    "body_incomplete",
    "The body is not as long as its Content-Length says.",
    "Send as many bytes as announced, and no Upgrade header.",
)
BODY_TOO_LARGE = Reason(
    413, "body_too_large", "The body is larger than this server takes.", "Compress the body or send less."
)
BODY_TIMEOUT = Reason(408, "body_timeout", "The body took too long to arrive.", "Send it again.")
PATH_TOO_LONG = Reason(
    414, "path_too_long", "The address is longer than this server takes.", "Shorten the path."
)
KEPT_HEADER_TOO_LARGE = Reason(
    431,
    "kept_header_too_large",
    "A header that is kept with the submission is too long.",
    "Shorten Date, DNT, User-Agent, Content-Encoding or the X- header.",
)
HEADERS_TOO_LARGE = Reason(
    431,
    "headers_too_large",
    "The header section is larger than this server takes.",
    "Send fewer or shorter headers.",
)
HEADER_TIMEOUT = Reason(
    408, "header_timeout", "The header section took too long to arrive.", "Send it again."
)
MALFORMED_HTTP = Reason(
    400,
    "malformed_http",
    "The request is not well-formed HTTP/1.1.",
    "Percent-encode the address; frame the body once.",
)
UPGRADE_UNSUPPORTED = Reason(
    400,
    "upgrade_unsupported",
    "A request with a body cannot ask for an upgrade.",
    "Leave out the Upgrade header.",
)
LOG_FULL = Reason(507, "log_full", "There is no room left to store the submission.", "Send it again later.")
NOT_STORED = Reason(507, "not_stored", "The submission could not be stored.", "Send it again later.")
SPOOL_FULL = Reason(
    503,
    "spool_full",
    "The log is away, and as many submissions wait for it here as may.",
    "Send it again later, as Retry-After says.",
)
CLIENT_GONE = Reason(400, "client_gone", "The client left before its body was complete.")
"""Counted, never sent: there is nobody left to read it."""


class Refused(MissionControlError):
    """The submission is refused for `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code, reason.message, reason.hint)
        self.reason = reason
        self.status = reason.status


def body_of(reason: Reason) -> bytes:
    """The JSON of an answer that refuses: `{code, message, hint}`."""
    return msgspec.json.encode({"code": reason.code, "message": reason.message, "hint": reason.hint})


def explanations() -> dict[str, str]:
    """What each reason means, by its name in the table `discards`."""
    return {
        f"edge_{r.code}": f"{r.message} {r.hint}".strip() for r in globals().values() if isinstance(r, Reason)
    }
