"""An OpenID provider: where it sends users to sign in, and who it says came back.

Talks HTTP to the provider and to nobody else. Never decides what a user may; it reads scopes from the settings.
Authorization code with PKCE; the id token's signature, issuer, audience, age and nonce are all checked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog

from missioncontrol.access.anonymous import is_loopback
from missioncontrol.access.scopes import parse_scopes
from missioncontrol.config import Oidc
from missioncontrol.errors import BadRequest, ConfigError, MissionControlError, Unauthorized

_WELL_KNOWN = "/.well-known/openid-configuration"
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that only the provider can make: nothing that a shared secret, or nobody, signs."""
_TIMEOUT_S = 10.0
_KEPT_S = 600.0
_LEEWAY_S = 60
_logger = structlog.get_logger()


class ProviderTrouble(MissionControlError):
    """The provider does not answer as it should."""

    status = 502


class Identity(msgspec.Struct, frozen=True):
    """Whom the provider vouches for."""

    subject: str
    """Unique among all providers: the issuer and its own name for the user."""
    name: str
    scopes: tuple[str, ...]


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""


class Provider:
    """The provider of the settings. Thread-safe; blocks."""

    def __init__(self, settings: Oidc) -> None:
        """Raises `ConfigError` (`oidc_invalid`) for settings that cannot work."""
        self.title = settings.title
        self._settings = settings
        self._secret = _secret(settings)
        self._check()
        self._lock = threading.Lock()
        self._known: tuple[float, _Metadata, Any] | None = None

    def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to sign in; raises `ProviderTrouble`."""
        metadata, _ = self._metadata()
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url)

    def identity(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Identity:
        """Who came back with the code; raises `Unauthorized` (`sign_in_refused`) and `ProviderTrouble`."""
        from authlib.integrations.httpx_client import OAuthError

        metadata, keys = self._metadata()
        try:
            with self._client(redirect_uri) as client:
                answer = client.fetch_token(metadata.token_endpoint, code=code, code_verifier=verifier)
                claims = self._checked(str(answer.get("id_token", "")), keys, nonce)
                if metadata.userinfo_endpoint and _at(claims, self._settings.groups_claim) is None:
                    more = client.get(metadata.userinfo_endpoint).raise_for_status().json()
                    claims = {**more, **claims} if more.get("sub") == claims["sub"] else claims
        except OAuthError as error:
            raise _refused(f"it says {str(error.error)[:100]}") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise _trouble(error) from None
        return self._identity(claims)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = f"{self._settings.issuer}#{claims['sub']}"
        verified = claims.get("email") if claims.get("email_verified", True) else None
        name = str(claims.get("preferred_username") or verified or claims["sub"])
        return Identity(subject, name, self._scopes(claims))

    def _scopes(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        found = _at(claims, self._settings.groups_claim)
        groups = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        given = list(self._settings.everyone)
        for group in groups:
            given += self._settings.scopes.get(str(group), [])
        return parse_scopes(given) if given else ()

    def _checked(self, text: str, keys: Any, nonce: str) -> dict[str, Any]:
        """The claims of an id token that is right in everything."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        wanted = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            token = jwt.decode(text, keys, algorithms=_ALGORITHMS)
            wanted.validate(token.claims)
        except (JoseError, ValueError) as error:
            _logger.warning("id_token_refused", error=type(error).__name__, reason=str(error)[:200])
            self._forget()  # the provider may have new keys
            raise _refused("its answer does not hold") from None
        claims: dict[str, Any] = token.claims
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise _refused("its answer is for another application")
        return claims

    def _metadata(self) -> tuple[_Metadata, Any]:
        """What the provider says of itself, and its keys; kept for ten minutes."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > _KEPT_S:
                self._known = (time.monotonic(), *self._fetch())
            return self._known[1], self._known[2]

    def _fetch(self) -> tuple[_Metadata, Any]:
        from joserfc.jwk import KeySet

        issuer = self._settings.issuer
        try:
            with httpx2.Client(timeout=_TIMEOUT_S) as client:
                text = client.get(issuer.rstrip("/") + _WELL_KNOWN).raise_for_status().content
                metadata = msgspec.json.decode(text, type=_Metadata)
                if metadata.issuer != issuer:
                    raise ValueError(f"it calls itself {metadata.issuer[:200]!r}, not {issuer!r}")
                return metadata, KeySet.import_key_set(
                    client.get(metadata.jwks_uri).raise_for_status().json()
                )
        except (httpx2.HTTPError, msgspec.MsgspecError, ValueError, KeyError) as error:
            raise _trouble(error) from None

    def _forget(self) -> None:
        with self._lock:
            self._known = None

    def _client(self, redirect_uri: str) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        return OAuth2Client(
            client_id=self._settings.client_id,
            client_secret=self._secret or None,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            scope="openid profile email",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
            leeway=0,  # the token is used at once; by itself the library does not use one of a minute
        )

    def _check(self) -> None:
        settings = self._settings
        parts = urlsplit(settings.issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise _wrong(f"issuer: {settings.issuer[:200]!r} is no https address.")
        if not settings.client_id:
            raise _wrong("client_id is missing.")
        try:
            for names in (settings.everyone, *settings.scopes.values()):
                _ = parse_scopes(names) if names else ()
        except BadRequest as error:
            raise _wrong(error.message) from None


def _secret(settings: Oidc) -> str:
    if not settings.client_secret_file:
        return ""
    try:
        return Path(settings.client_secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise _wrong(f"client_secret_file: {settings.client_secret_file} cannot be read.") from None


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of that name, or inside of others where the name has dots."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _wrong(what: str) -> ConfigError:
    return ConfigError("oidc_invalid", f"access.oidc.{what}", "See docs/how-to/users-and-tokens.md.")


def _refused(why: str) -> Unauthorized:
    return Unauthorized(
        "sign_in_refused", f"The provider did not sign you in: {why}.", "Try again at /login."
    )


def _trouble(error: Exception) -> ProviderTrouble:
    _logger.warning("provider_trouble", error=type(error).__name__, reason=str(error)[:300])
    hint = "Try again; the server's log says what went wrong."
    return ProviderTrouble("provider_trouble", "The sign-in provider does not answer as it should.", hint)
