"""Messages by e-mail, through the mail server of the settings.

Blocks. What the server says about a recipient for good (RFC 5321: 5yz) is for good; that it does not answer, wants
another password or another sender is not the channel's fault and is tried again.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.utils import parseaddr
from pathlib import Path

from missioncontrol.alerts.message import Message, as_email
from missioncontrol.alerts.outcome import Outcome, later, never, sent
from missioncontrol.config import Alerts as AlertSettings
from missioncontrol.errors import ConfigError

TIMEOUT_S = 15.0
"""For each answer of the server."""


class Mailer:
    """Sends e-mails under the settings."""

    def __init__(self, settings: AlertSettings, timeout_s: float = TIMEOUT_S) -> None:
        self._settings, self._timeout_s = settings, timeout_s

    @property
    def works(self) -> bool:
        """Whether the settings name a mail server."""
        return bool(self._settings.smtp_host and self._settings.mail_from)

    def send(self, message: Message, recipients: Sequence[str]) -> Outcome:
        """Send it; never raises for what the server or the network does."""
        if not self.works:
            return later("The settings name no mail server: alerts.smtp_host and alerts.mail_from.")
        sender = self._settings.mail_from
        domain = parseaddr(sender)[1].rpartition("@")[2] or "missioncontrol.invalid"
        try:
            mail = as_email(message, sender, recipients, domain)
            server = self._connected()
            try:
                refused = server.send_message(mail)
            finally:
                with suppress(smtplib.SMTPException, OSError):  # it was taken or refused before the goodbye
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(error.recipients)
        except smtplib.SMTPDataError as error:
            said = _said(error.smtp_code, error.smtp_error)
            return never(said) if error.smtp_code >= 500 else later(said)
        except smtplib.SMTPResponseException as error:
            return later(f"The mail server: {_said(error.smtp_code, error.smtp_error)}")
        except (smtplib.SMTPException, OSError, UnicodeError, ConfigError) as error:
            return later(f"The mail server: {error or type(error).__name__}")
        if refused:
            return sent(f"Sent, but not to {_listed(refused)}")
        return sent("The mail server took it.")

    def _connected(self) -> smtplib.SMTP:
        s = self._settings
        context = ssl.create_default_context()
        if s.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                s.smtp_host, s.smtp_port, timeout=self._timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(s.smtp_host, s.smtp_port, timeout=self._timeout_s)
        try:
            if s.smtp_security == "starttls":
                server.starttls(context=context)
            if s.smtp_user:
                server.login(s.smtp_user, _password(s.smtp_password_file))
        except BaseException:
            server.close()
            raise
        return server


def _password(file: str) -> str:
    """Read each time, so that another password needs no restart."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            "smtp_password_unreadable", f"alerts.smtp_password_file: {file!r} cannot be read."
        ) from None


def _refused(recipients: Mapping[str, tuple[int, bytes]]) -> Outcome:
    """All were refused: for good only if that holds for each of them."""
    said = f"Refused: {_listed(recipients)}"
    return never(said) if all(code >= 500 for code, _ in recipients.values()) else later(said)


def _listed(recipients: Mapping[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{name} ({_said(*answer)})" for name, answer in recipients.items())


def _said(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"
