"""Who is who: tokens, sessions and passwords to readers.

Asks the state database each time, so that what the command line changes holds at the next request. Never sees
a request and never decides what a reader is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.access.anonymous import Approach, anonymous_reader, anonymous_scopes
from missioncontrol.access.passwords import Passwords
from missioncontrol.access.reader import Reader
from missioncontrol.access.scopes import implied
from missioncontrol.access.secret_texts import digest, new_session, new_token, same, token_id
from missioncontrol.errors import BadRequest, Forbidden, Unauthorized
from missioncontrol.state.tokens import Token

if TYPE_CHECKING:
    from missioncontrol.config import Config
    from missioncontrol.state.sessions import Sessions
    from missioncontrol.state.tokens import Tokens
    from missioncontrol.state.users import User, Users

_NAME = re.compile(r"[\w.@+-]{1,100}")
_SHOWN_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


class NewToken(msgspec.Struct, frozen=True):
    """A token as it is shown once."""

    id: str
    token: str
    scopes: tuple[str, ...]
    name: str
    expires_at: datetime | None = None


class Accounts:
    """The users and tokens of one installation. Thread-safe; blocks."""

    def __init__(self, users: Users, tokens: Tokens, sessions: Sessions, config: Config) -> None:
        """Raises `ConfigError` (`anonymous_invalid`)."""
        self.users = users
        self.tokens = tokens
        self.sessions = sessions
        self.passwords = Passwords()
        self._listens_on = config.server.host
        self._has_provider = bool(config.access.oidc.issuer)
        self._anonymous = anonymous_scopes(config.access.anonymous)
        self._session_length = timedelta(days=config.access.session_days)

    def exist(self) -> bool:
        """Whether there is anybody to be: a user, a token (also one that works no more), a provider."""
        return self._has_provider or self.users.any() or self.tokens.any()

    def anonymous(self, approach: Approach) -> Reader:
        """Who a request without token and session is."""
        return anonymous_reader(self._listens_on, self.exist(), self._anonymous, approach)

    def of_token(self, text: str, now: datetime) -> Reader:
        """Whose token it is; raises `Unauthorized` (`unknown_token`, `token_revoked`, `token_expired`)."""
        found = self.tokens.find(token_id(text) or "")
        if found is None or not same(text, found[1]):
            hint = "See `missioncontrol token list`; a token is shown only when it is made."
            raise Unauthorized("unknown_token", "The token is not known here.", hint)
        token = found[0]
        _refuse_dead(token, now)
        scopes = implied(token.scopes)
        if token.owner:
            owner = self.users.get(token.owner)
            if owner is None or owner.disabled:
                hint = f"missioncontrol user enable {token.owner}"
                raise Unauthorized(
                    "token_owner_disabled", f"{token.owner}, whose token it is, is disabled.", hint
                )
            scopes &= implied(owner.scopes)
        self.tokens.used(token, now)
        return Reader(token.name, scopes, "token", token_id=token.id)

    def of_session(self, text: str, now: datetime) -> Reader | None:
        """Who is signed in under the id of a session; None when it is over."""
        user = self.sessions.user(digest(text), now)
        return Reader(user.name, implied(user.scopes), "session") if user else None

    def sign_in(self, name: str, password: str) -> User:
        """The user of that name and password; raises `Unauthorized` (`wrong_password`), whichever is wrong."""
        stored = self.users.password_hash(name)
        right = self.passwords.verify(stored, password)
        user = self.users.get(name)
        if not right or stored is None or user is None or user.disabled:
            raise Unauthorized("wrong_password", "The user name or the password is wrong.")
        if self.passwords.outdated(stored):
            self.users.rehash(name, self.passwords.hash(password))
        return user

    def start_session(self, user: User, replaces: str | None, now: datetime) -> tuple[str, timedelta]:
        """A new session's id, and how long it lasts; the one that it replaces ends."""
        if replaces:
            self.sessions.end(digest(replaces))
        secret = new_session()
        self.sessions.start(secret.sha256, user.name, now, now + self._session_length)
        return secret.text, self._session_length

    def end_session(self, text: str) -> None:
        """Sign out."""
        self.sessions.end(digest(text))

    def add_user(self, name: str, password: str, scopes: Sequence[str], now: datetime) -> User:
        """A new user with a password; raises `BadRequest` (`user_name`, `user_exists`, `password_short`)."""
        if not _NAME.fullmatch(name):
            hint = "Letters, digits and . _ @ + -, at most 100."
            raise BadRequest("user_name", f"{name[:100]!r} is no name of a user.", hint)
        return self.users.add(name, scopes, now, password_hash=self.passwords.hash(password))

    def of_provider(self, subject: str, name: str, scopes: Sequence[str], now: datetime) -> User:
        """The user whom the OpenID provider vouches for, made or brought up to date.

        Raises `Forbidden` (`user_name_taken`, `user_disabled`, `no_scopes`).
        """
        known = self.users.of_subject(subject)
        if known is not None and known.disabled:
            raise Forbidden("user_disabled", f"{known.name} is disabled here.", "Ask an administrator.")
        if not scopes:
            hint = "Ask an administrator to let one of your groups in ([access.oidc] scopes)."
            raise Forbidden("no_scopes", "None of your groups may use this installation.", hint)
        if known is not None:
            self.users.set_scopes(known.name, scopes)
            return msgspec.structs.replace(known, scopes=tuple(scopes))
        if not _NAME.fullmatch(name):
            raise Forbidden("user_name", "The provider gives a name that no user can have.", name[:100])
        try:
            return self.users.add(name, scopes, now, subject=subject)
        except BadRequest:
            hint = "Remove that user (`missioncontrol user remove`), or sign in with its password."
            raise Forbidden("user_name_taken", f"There is another user {name} here.", hint) from None

    def make_token(
        self,
        name: str,
        scopes: Sequence[str],
        now: datetime,
        expires_at: datetime | None = None,
        owner: str = "",
    ) -> NewToken:
        """A new token, of a user or of nobody.

        Raises `BadRequest` (`token_name`, `unknown_user`, `token_over`, and `scope_beyond` for what its owner may not).
        """
        if not _SHOWN_NAME.fullmatch(name) or not name.strip():
            raise BadRequest("token_name", "A token's name has 1 to 100 characters.", "Say what it is for.")
        if owner:
            self._refuse_beyond(owner, scopes)
        if expires_at is not None and expires_at <= now:
            raise BadRequest("token_over", "The token would be over before it begins.")
        secret = new_token()
        self.tokens.add(Token(secret.id, name, owner, tuple(scopes), now, expires_at), secret.sha256)
        return NewToken(secret.id, secret.text, tuple(scopes), name, expires_at)

    def _refuse_beyond(self, owner: str, scopes: Sequence[str]) -> None:
        user = self.users.get(owner)
        if user is None:
            hint = "See `missioncontrol user list`."
            raise BadRequest("unknown_user", f"There is no user {owner[:100]}.", hint)
        beyond = [scope for scope in scopes if scope not in implied(user.scopes)]
        if beyond:
            hint = "A token can do no more than its owner: give the user the scope first, or leave it out."
            raise BadRequest("scope_beyond", f"{owner} does not have the scope {beyond[0]}.", hint)


def _refuse_dead(token: Token, now: datetime) -> None:
    hint = "Make another: missioncontrol token create, or on /profile."
    if token.revoked_at is not None:
        raise Unauthorized("token_revoked", f"The token {token.id} was revoked.", hint)
    if token.expires_at is not None and token.expires_at <= now:
        raise Unauthorized(
            "token_expired", f"The token {token.id} was over on {token.expires_at:%Y-%m-%d}.", hint
        )
