"""A ping as it is sent and received: address, body, and what the server knows about it.

`path` is what a client posts to; `meta` is what the server notes beside an archived ping; `entry` is the
record of the log. Nothing here renders or sends a ping.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.simulate.stamps import NS, compact_day

LEGACY = "telemetry"


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """The server's own part of an archived ping, by the names that batch jobs read."""

    Timestamp: int
    submissionDate: str  # noqa: N815
    geoCountry: str  # noqa: N815
    normalizedChannel: str  # noqa: N815
    appName: str  # noqa: N815
    appVersion: str  # noqa: N815
    appBuildId: str  # noqa: N815
    docType: str  # noqa: N815
    documentId: str  # noqa: N815
    docVersion: str = ""  # noqa: N815
    """Glean only, as is `documentNamespace`."""
    documentNamespace: str = ""  # noqa: N815


class Submission(msgspec.Struct, frozen=True, gc=False):
    """One ping. `received_ns` is nanoseconds since the epoch, `body` plain JSON."""

    received_ns: int
    namespace: str
    document_type: str
    document_version: str
    document_id: str
    application: str
    version: str
    channel: str
    build_id: str
    country: str
    body: bytes

    @property
    def path(self) -> str:
        """Where the client posts it, with the query."""
        if self.namespace != LEGACY:
            parts = (self.namespace, self.document_type, self.document_version, self.document_id)
            return "/submit/" + "/".join(quote(part, safe="") for part in parts)
        parts4 = (
            self.document_id,
            self.document_type,
            self.application,
            self.version,
            self.channel,
            self.build_id,
        )
        return "/submit/telemetry/" + "/".join(quote(part, safe="") for part in parts4) + "?v=4"

    @property
    def meta(self) -> Meta:
        """What the server notes: receive time, day, place and the parts of the address."""
        legacy = self.namespace == LEGACY
        return Meta(
            Timestamp=self.received_ns,
            submissionDate=compact_day(self.received_ns // NS),
            geoCountry=self.country,
            normalizedChannel=self.channel,
            appName=self.application,
            appVersion=self.version,
            appBuildId=self.build_id,
            docType=self.document_type,
            documentId=self.document_id,
            docVersion="" if legacy else self.document_version,
            documentNamespace="" if legacy else self.namespace,
        )

    @property
    def entry(self) -> Entry:
        """The record that the edge would have put into the log."""
        legacy = self.namespace == LEGACY
        return Entry(
            kind=Kind.PING,
            received_ns=self.received_ns,
            namespace=self.namespace,
            document_type=self.document_type,
            document_version=self.document_version,
            document_id=self.document_id,
            application=self.application if legacy else "",
            version=self.version if legacy else "",
            channel=self.channel if legacy else "",
            build_id=self.build_id if legacy else "",
            country=self.country,
            body=self.body,
        )
