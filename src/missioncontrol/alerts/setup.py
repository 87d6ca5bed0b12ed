"""What people set up: channels and rules, checked before they are kept."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from missioncontrol.alerts.quiet import checked_quiet
from missioncontrol.alerts.severity import SEVERITIES
from missioncontrol.config import Alerts as AlertSettings
from missioncontrol.errors import BadRequest
from missioncontrol.state.alert_channels import (
    AlertChannel,
    AlertChannels,
    AlertRule,
    Kind,
    QuietHours,
    Severity,
    State,
)

KINDS: dict[Kind, str] = {
    "webhook": "a program: JSON, signed",
    "slack": "Slack, Mattermost and others that take its form",
    "email": "e-mail",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_EMAIL = re.compile(r"[^@\s<>,;:\"()\\\[\]]{1,64}@[A-Za-z0-9.-]{1,255}", re.ASCII)
_LONGEST_URL = 2000
_LONGEST_FILTER = 200
_MOST_ADDRESSES = 20


class Setup:
    """The channels and rules of one installation, as people change them."""

    def __init__(self, channels: AlertChannels, settings: AlertSettings) -> None:
        self.channels, self._settings = channels, settings

    @property
    def mails(self) -> bool:
        """Whether the settings name a mail server."""
        return bool(self._settings.smtp_host and self._settings.mail_from)

    def add(
        self, name: str, kind: str, target: str, owner: str, owner_email: str, quiet: QuietHours | None,
        now: datetime,
    ) -> AlertChannel:  # fmt: skip
        """A new channel; a webhook's `secret` is to be shown now and never again.

        Raises `BadRequest` (`bad_alert_channel`, `no_mail_server`, `alert_channel_exists`, and those of quiet hours).
        """
        if not _NAME.fullmatch(name):
            hint = "Letters, digits and _ . -, at most 60, as in stability-team."
            raise BadRequest("bad_alert_channel", f"{name[:60]!r} is no name of a channel.", hint)
        known = next((k for k in KINDS if k == kind), None)
        if known is None:
            raise BadRequest(
                "bad_alert_channel", f"There is no kind {kind[:40]!r}.", f"Kinds: {', '.join(KINDS)}."
            )
        secret = secrets.token_urlsafe(32) if known == "webhook" else ""
        made = AlertChannel(
            0, name, known, self._target(known, target), secret, owner[:200], _owner_email(owner_email),
            checked_quiet(quiet) if quiet else None, "on", "", now, now,
        )  # fmt: skip
        return self.channels.add(made)

    def change(
        self, name: str, target: str, owner_email: str, quiet: QuietHours | None, now: datetime
    ) -> AlertChannel:
        """Another address (empty: as it is), owner's address or quiet hours; raises as `add`."""
        known = self.channels.get(name)
        changed = msgspec.structs.replace(
            known,
            target=self._target(known.kind, target) if target.strip() else known.target,
            owner_email=_owner_email(owner_email),
            quiet=checked_quiet(quiet) if quiet else None,
            changed_at=now,
        )
        return self.channels.change(changed)

    def renew_secret(self, name: str, now: datetime) -> AlertChannel:
        """Another key of signatures, to be shown now and never again; the old one signs nothing more."""
        known = self.channels.get(name)
        if known.kind != "webhook":
            raise BadRequest("bad_alert_channel", f"{name} is no webhook: only those are signed.")
        changed = msgspec.structs.replace(known, secret=secrets.token_urlsafe(32), changed_at=now)
        return self.channels.change(changed)

    def switch(self, name: str, on: bool, who: str, now: datetime) -> AlertChannel:
        """On, and what still holds of what a broken channel was not told is told; or off, and all that is dropped."""
        state: State = "on" if on else "off"
        known = self.channels.get(name)
        self.channels.switch(known.id, state, "" if on else f"Switched off by {who[:200]}.", now)
        return self.channels.get(name)

    def remove(self, name: str) -> AlertChannel:
        """Forget a channel and its rules; gives what it was."""
        known = self.channels.get(name)
        self.channels.remove(known)
        return known

    def add_rule(
        self, channel: str, application: str, release_channel: str, measure: str, severity: str
    ) -> AlertRule:
        """A rule: which changes go to the channel. An empty text is any. Raises `BadRequest` (`bad_alert_rule`)."""
        known: Severity | None = next((s for s in SEVERITIES if s == severity), None)
        if known is None:
            hint = f"Severities: {', '.join(SEVERITIES)}."
            raise BadRequest("bad_alert_rule", f"There is no severity {severity[:40]!r}.", hint)
        texts = [text.strip() for text in (application, release_channel, measure)]
        wrong = next((t for t in texts if len(t) > _LONGEST_FILTER or not t.isprintable()), None)
        if wrong is not None:
            hint = f"Printable, at most {_LONGEST_FILTER} characters."
            raise BadRequest("bad_alert_rule", f"{wrong[:60]!r} cannot be a name.", hint)
        number = self.channels.get(channel).id
        return self.channels.add_rule(AlertRule(0, number, texts[0], texts[1], texts[2], known))

    def _target(self, kind: Kind, text: str) -> str:
        if kind != "email":
            return _url(text.strip())
        if not self.mails:
            hint = "Name one: alerts.smtp_host and alerts.mail_from in missioncontrol.toml."
            raise BadRequest("no_mail_server", "The settings name no mail server.", hint)
        return ", ".join(_emails(text))


def _url(text: str) -> str:
    hint = "As in https://example.com/hook. Only http and https."
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or len(text) > _LONGEST_URL or not text.isascii() or not text.isprintable() or " " in text:
        # Not quoted back: it may be a secret that was only half pasted.
        raise BadRequest("bad_alert_channel", "That is no address that messages can be sent to.", hint)
    return text


def _emails(text: str) -> list[str]:
    found = [part for part in re.split(r"[\s,;]+", text) if part]
    wrong = next((place for place, part in enumerate(found, 1) if not _EMAIL.fullmatch(part)), None)
    if wrong is not None or not found:
        hint = "As in ada@example.com, several separated by commas."
        which = f"Number {wrong} of {len(found)}" if len(found) > 1 else "That"
        # Not quoted back: it may be the address of a hook, under another kind than was meant.
        raise BadRequest("bad_alert_channel", f"{which} is no e-mail address.", hint)
    if len(found) > _MOST_ADDRESSES:
        raise BadRequest("bad_alert_channel", f"At most {_MOST_ADDRESSES} addresses.", "Use a mailing list.")
    return list(dict.fromkeys(found))


def _owner_email(text: str) -> str:
    text = text.strip()
    return _emails(text)[0] if text else ""
