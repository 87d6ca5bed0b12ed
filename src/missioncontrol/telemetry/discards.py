"""Why a ping is not counted, or not wholly: the reasons, each with its own name.

A `Discard` ends the way of one ping and is counted in the table `discards`. The reasons in NOTES do not: the ping is
counted, something in it was not, and that is counted in the table `notes`. So received = counted + discarded.
The registry's `accept` checks add reasons of their own (see `[document.*]`).
"""

from __future__ import annotations

import msgspec

REASONS = {
    "duplicate": "The document id was accepted before, within the days that identities are kept.",
    "document_type": "No document of this namespace and type is declared.",
    "automation": "Sent by automated tests (X-Source-Tags: automation).",
    "empty_body": "The body has no bytes.",
    "bad_gzip": "The body is said to be gzip and is not.",
    "truncated_gzip": "The gzip stream ends before its end.",
    "too_large_inflated": "The inflated body is larger than the limit.",
    "unsupported_encoding": "The Content-Encoding is neither gzip, deflate nor identity.",
    "not_json": "The body is no JSON object.",
    "nested_too_deeply": "The body nests deeper than any real ping.",
    "no_meta": "An imported line has no usable `meta` (Timestamp in nanoseconds, docType).",
    "channel_dropped": "The application's settings drop this channel.",
    "missing_field": "A required field is absent or null.",
    "wrong_type": "A required field or a dimension has another type than declared.",
    "value_too_long": "A dimension's value is longer than 200 characters.",
    "build_id_missing": "There is no build id to take the age from.",
    "build_age": "The build id holds no date, or one outside the application's allowed age.",
    "submission_date": "The submission date is no date.",
    "log_message_unreadable": "A message in the topic that no edge wrote. Its first bytes are kept.",
    "log_gap": "The topic deleted it before it was in the lake.",
    "extraction_failed": "Mission Control itself failed on this ping. It is kept; the log says where. Please report.",
}
"""Reasons of discards that do not come from the registry, with what they mean."""

NOTES = {
    "value_not_counted": "The ping was counted; a measure in it had a wrong type or an impossible value and is null.",
    "experiments_not_counted": "The ping was counted; its experiments were no object, or past the first 100.",
    "activity_not_placed": "The ping was counted; its usage has no believable start and is not in usage_by_activity.",
}
"""Reasons under which a part of a counted ping was left out."""

UNREADABLE = frozenset(
    (
        "empty_body",
        "bad_gzip",
        "truncated_gzip",
        "too_large_inflated",
        "unsupported_encoding",
        "not_json",
        "nested_too_deeply",
        "no_meta",
        "log_message_unreadable",
    )
)
"""Discards of bodies that cannot be read at all: only their first bytes are archived."""


class Discard(msgspec.Struct, frozen=True):
    """The answer of extraction for a ping that is not counted."""

    reason: str
    detail: str = ""
