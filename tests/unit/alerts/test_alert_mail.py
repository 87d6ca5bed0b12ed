"""Alerts by e-mail, through a mail server that really answers."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, cast

import pytest
from conftest import Installation
from tests.support.certificates import Authority
from tests.support.receivers import SmtpReceiver, smtp_receiver
from tests.support.verdict_changes import SENTENCE

from missioncontrol.config import Alerts as AlertSettings
from missioncontrol.errors import BadRequest
from missioncontrol.health.model import Subject


def settings(
    mail: SmtpReceiver, security: Literal["starttls", "tls", "none"] = "none", **more: str
) -> AlertSettings:
    return AlertSettings(
        "localhost", mail.port, security, mail_from="Mission Control <mc@example.com>", **more
    )  # type: ignore[arg-type]


def read(mail: bytes) -> EmailMessage:
    return cast(EmailMessage, email.message_from_bytes(mail, policy=email.policy.default))


def told(installation: Installation) -> tuple[str, str]:
    (delivery,) = installation.log.deliveries(10)
    return delivery.status, delivery.answer


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of localhost, trusted by this process."""
    authority = Authority("tests")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "authority.pem")))
    return authority.issue(tmp_path / "localhost.pem", "localhost")


def test_an_email_says_it_as_text_and_as_html_under_one_id(installation: Installation) -> None:
    with smtp_receiver({"END": "451 Later"}) as mail:
        installation.settings = settings(mail)
        installation.channel("team", "ada@example.com; grace@example.com", "email")
        installation.judge("too-early", "worse")
        installation.turn()
        assert told(installation) == ("waiting", "451 Later")
        mail.answers.clear()
        installation.pass_time(minutes=1)
        installation.turn()
        assert told(installation)[0] == "sent"
    first, second = map(read, mail.mails)
    assert first["Message-ID"] == second["Message-ID"] and "@example.com>" in first["Message-ID"]
    assert first.as_bytes() == second.as_bytes()
    assert first["Subject"] == "[Mission Control] Worse: Firefox 61.0 on release, Main crashes"
    assert first["To"] == "ada@example.com, grace@example.com" and first["Auto-Submitted"] == "auto-generated"
    plain, html = first.get_body(("plain",)), first.get_body(("html",))
    assert plain is not None and html is not None
    for text in (plain.get_content(), html.get_content()):
        assert SENTENCE in text and "Ratio 1.80 (1.40 to 2.30); 1,234 seen where 686 were expected" in text
        assert "https://mc.example.com/verdict/Firefox/release/61.0/main_crashes" in text
        assert "mozalloc_abort: 400 for 31.5" in text
    assert sum(c.upper().startswith("RCPT") for c in mail.commands) == 4


def test_names_from_clients_mean_nothing_in_a_mail(installation: Installation) -> None:
    with smtp_receiver() as mail:
        installation.settings = settings(mail)
        installation.channel("team", "ada@example.com", "email")
        installation.judge("too-early", "worse", Subject("a\r\nBcc: x@example.com", "<b>", "\n.\n", "m"))
        installation.turn()
    (got,) = map(read, mail.mails)
    assert got["Bcc"] is None and "\n" not in got["Subject"]
    html = got.get_body(("html",))
    assert html is not None and "<b>" not in html.get_content() and "&lt;b&gt;" in html.get_content()


def test_starttls_with_a_password(installation: Installation, certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    more = {"smtp_user": "mc", "smtp_password_file": str(tmp_path / "password")}
    with smtp_receiver(certificate=certificate) as mail:
        installation.settings = settings(mail, "starttls", **more)
        installation.channel("team", "ada@example.com", "email")
        installation.judge("too-early", "worse")
        installation.turn()
    assert told(installation) == ("sent", "The mail server took it.")
    assert mail.commands.index("STARTTLS") < next(
        n for n, c in enumerate(mail.commands) if c.startswith("AUTH")
    )


def test_tls_from_the_start(installation: Installation, certificate: Path) -> None:
    with smtp_receiver(certificate=certificate, tls=True) as mail:
        installation.settings = settings(mail, "tls")
        installation.channel("team", "ada@example.com", "email")
        installation.judge("too-early", "worse")
        installation.turn()
    assert len(mail.mails) == 1


def test_a_server_without_tls_or_with_a_strange_certificate_gets_nothing(
    installation: Installation, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with smtp_receiver() as bare, smtp_receiver(certificate=certificate) as strange:
        for mail in (bare, strange):
            installation.settings = settings(mail, "starttls", smtp_user="mc", smtp_password_file="/nowhere")
            if mail is bare:
                installation.channel("team", "ada@example.com", "email")
                installation.judge("too-early", "worse")
            installation.turn()
            assert told(installation)[0] == "waiting"
            installation.pass_time(hours=1)
            assert mail.mails == [] and not any(c.startswith("AUTH") for c in mail.commands)
    assert "certificate" in told(installation)[1].lower()


@pytest.mark.parametrize(
    ("answers", "status", "says"),
    [
        ({"RCPT": "550 No such user"}, "refused", "550 No such user"),
        ({"RCPT ada@example.com": "550 No such user"}, "sent", "not to ada@example.com (550 No such user)"),
        ({"RCPT": "450 Busy"}, "waiting", "450 Busy"),
        ({"RCPT": "450 Busy", "RCPT ada@example.com": "550 Gone"}, "waiting", "550 Gone"),
        ({"END": "554 Spam"}, "refused", "554 Spam"),
        ({"MAIL": "550 Who are you"}, "waiting", "550 Who are you"),
        ({"DATA": "close"}, "waiting", "The mail server"),
        ({"EHLO": "close"}, "waiting", "The mail server"),
    ],
)
def test_what_the_server_says_decides(
    installation: Installation, answers: dict[str, str], status: str, says: str
) -> None:
    with smtp_receiver(answers) as mail:
        installation.settings = settings(mail)
        installation.channel("team", "ada@example.com, grace@example.com", "email")
        installation.judge("too-early", "worse")
        installation.turn()
    assert told(installation)[0] == status and says in told(installation)[1]
    assert installation.states() == ["broken" if status == "refused" else "on"]


def test_a_wrong_password_is_the_operators_trouble_and_breaks_no_channel(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("wrong")
    with smtp_receiver({"AUTH": "535 No"}) as mail:
        more = {"smtp_user": "mc", "smtp_password_file": str(tmp_path / "password")}
        installation.settings = settings(mail, **more)
        installation.channel("team", "ada@example.com", "email")
        installation.judge("too-early", "worse")
        installation.turn()
        assert told(installation) == ("waiting", "The mail server: 535 No")
        installation.settings = settings(mail, smtp_user="mc", smtp_password_file=str(tmp_path / "gone"))
        installation.pass_time(hours=1)
        installation.turn()
        assert "alerts.smtp_password_file" in told(installation)[1]
    assert installation.states() == ["on"]


def test_without_a_mail_server_there_is_no_such_channel(installation: Installation) -> None:
    with pytest.raises(BadRequest) as refused:
        installation.channel("team", "ada@example.com", "email")
    assert refused.value.code == "no_mail_server"
    with smtp_receiver() as mail:
        installation.settings = settings(mail)
        installation.channel("team", "ada@example.com", "email")
        installation.judge("too-early", "worse")
        installation.settings = AlertSettings()
        installation.turn()
    assert told(installation)[0] == "waiting" and "alerts.smtp_host" in told(installation)[1]


@pytest.mark.parametrize("goodbye", ["421 Gone", "close"])
def test_a_mail_that_was_taken_is_sent_once_however_the_server_says_goodbye(
    installation: Installation, goodbye: str
) -> None:
    with smtp_receiver({"QUIT": goodbye}) as mail:
        installation.settings = settings(mail)
        installation.channel("team", "ada@example.com", "email")
        installation.judge("too-early", "worse")
        installation.turn()
    assert told(installation) == ("sent", "The mail server took it.") and len(mail.mails) == 1


def test_a_mail_that_was_refused_for_good_is_so_however_the_server_says_goodbye(
    installation: Installation,
) -> None:
    with smtp_receiver({"END": "554 Never", "QUIT": "421 Gone"}) as mail:
        installation.settings = settings(mail)
        installation.channel("team", "ada@example.com", "email")
        installation.judge("too-early", "worse")
        installation.turn()
    assert told(installation) == ("refused", "554 Never")
