"""One request: what it asks, who makes it, and what the application knows for it."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from ..catalogue.published import ADMINISTRATOR, ANONYMOUS, Catalogue, View, Viewer
from ..parsers import Network
from ..people.sessions import PLATFORM, Caller
from ..people.tokens import ACCESS, SERVICE, SESSION, BadToken, Claims
from ..problems import Problem, invalid
from ..site import Site
from ..storage.database import Database, Revisions
from ..storage.errors import StorageError
from ..validation import Schema, check, parse_json

SESSION_COOKIE = "sortie_session"
CSRF_COOKIE = "sortie_csrf"
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Call:
    """A request on its way through a handler. Each part is worked out when somebody first asks for it."""

    def __init__(self, site: Site, environ: Mapping[str, Any]) -> None:
        self.site = site
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]

    @property
    def database(self) -> Database:
        return self.site.storage.database

    @functools.cached_property
    def revisions(self) -> Revisions:
        """Read once for each request, so that all of it sees one state, and the newest."""
        return self.database.revisions()

    @property
    def catalogue(self) -> Catalogue:
        return self.site.storage.published.current(self.revisions["catalogue"])

    @property
    def branding(self) -> dict[str, str]:
        try:
            return self.site.branding.current(self.database, self.revisions["settings"])
        except StorageError:
            return self.site.branding.last

    @property
    def view(self) -> View:
        """What this caller sees of the catalogue.

        Callers without credentials see what there was last while the database cannot be asked: a launcher
        that still shows its links is worth more than an error.
        """
        try:
            return self.catalogue.view(self.viewer)
        except StorageError:
            last = self.site.storage.published.last
            if last is None or "HTTP_AUTHORIZATION" in self.environ or self.cookies.get(SESSION_COOKIE):
                raise
            return last.view(ANONYMOUS)

    @property
    def viewer(self) -> Viewer:
        caller = self.caller
        if caller is None:
            return ANONYMOUS
        if caller.is_admin:
            return ADMINISTRATOR
        return Viewer(
            every_approved=caller.is_author, categories=self.catalogue.approved_categories(caller.username)
        )

    @functools.cached_property
    def caller(self) -> Caller | None:
        """Who calls, by the Authorization header or the page's cookie. A bad header is a Problem 401."""
        authorization = self.environ.get("HTTP_AUTHORIZATION")
        if authorization:
            return self._by_header(authorization)
        if "HTTP_COOKIE" in self.environ:
            return self._by_cookie()
        return None

    def _by_header(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("the Authorization header must be `Bearer TOKEN`")
        claims = self._claims(token.strip(), (ACCESS, SERVICE))
        if claims.kind == SERVICE:
            return PLATFORM
        caller = self._of_session(claims.session)
        if caller is None:
            raise unauthorized("the session has ended; sign in again")
        return caller

    def _by_cookie(self) -> Caller | None:
        token = self.cookies.get(SESSION_COOKIE)
        if not token:
            return None
        try:
            claims = self._claims(token, (SESSION,))
        except Problem:
            # A page that was left open shows what everybody sees.
            return None
        caller = self._of_session(claims.session)
        if caller is not None and self.method not in _SAFE:
            self._require_own_page(caller.session)
        return caller

    def _claims(self, token: str, kinds: tuple[str, ...]) -> Claims:
        try:
            claims = self.site.tokens.read(token)
        except BadToken as error:
            raise unauthorized(str(error)) from error
        if claims.kind not in kinds:
            raise unauthorized(f"a token of the kind {claims.kind} is not accepted here")
        return claims

    def _of_session(self, session: str) -> Caller | None:
        return self.site.storage.callers.find(session, self.revisions["access"])

    def _require_own_page(self, session: str) -> None:
        """Refuse a change that another site made the browser send; only our pages can read the cookie."""
        given = self.environ.get("HTTP_X_CSRF_TOKEN", "")
        if not self.site.tokens.signed(_csrf_text(session), given):
            message = f"the header X-CSRF-Token must have the value of the cookie {CSRF_COOKIE}"
            raise Problem(403, "csrf", message)

    @functools.cached_property
    def cookies(self) -> dict[str, str]:
        try:
            parsed = SimpleCookie(self.environ.get("HTTP_COOKIE", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in parsed.items()}

    def require_caller(self) -> Caller:
        caller = self.caller
        if caller is None:
            raise unauthorized("sign in first")
        return caller

    @functools.cached_property
    def query(self) -> dict[str, str]:
        text = self.environ.get("QUERY_STRING", "")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
        except ValueError as error:
            raise invalid(f"the query cannot be read: {error}") from error
        query = dict(pairs)
        if len(query) != len(pairs):
            raise invalid("each parameter may be given once")
        return query

    def flag(self, name: str) -> bool:
        """A parameter that is `true` or `false`, which is the default."""
        value = self.query.get(name, "false").lower()
        if value not in ("true", "false"):
            raise invalid(f"{name} must be true or false, not {value!r}", name)
        return value == "true"

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.query.get(name, str(default))
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and least <= int(value) <= most):
            raise invalid(f"{name} must be a whole number from {least} to {most}, not {value[:40]!r}", name)
        return int(value)

    def body(self, schema: Schema) -> Any:
        """The JSON body, checked."""
        kind = self.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(
                415, "unsupported_media_type", "the body must be JSON: Content-Type: application/json"
            )
        length = int(self.environ.get("CONTENT_LENGTH") or 0)
        return check(parse_json(self.environ["wsgi.input"].read(length)), schema)

    @functools.cached_property
    def proxied(self) -> bool:
        """Whether the request comes from a proxy that is trusted."""
        return _is_in(self.environ.get("REMOTE_ADDR", ""), self.site.settings.trusted_proxies)

    @property
    def is_encrypted(self) -> bool:
        return self.proxied and self.environ.get("HTTP_X_FORWARDED_PROTO", "").lower() == "https"

    @functools.cached_property
    def address(self) -> str:
        """The client's address: the last one that no trusted proxy has."""
        address: str = self.environ.get("REMOTE_ADDR", "")
        if self.proxied:
            for hop in reversed(self.environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
                found = _hop(hop.strip())
                if not found:
                    # Not what a proxy writes, so neither is anything to its left.
                    break
                address = found
                if not _is_in(address, self.site.settings.trusted_proxies):
                    break
        return address

    @property
    def origin(self) -> str:
        """What limits count as one client. Of IPv6 a client has a whole /64, and every address in it."""
        try:
            found = ipaddress.ip_address(self.address)
        except ValueError:
            return self.address
        if isinstance(found, ipaddress.IPv6Address) and not found.ipv4_mapped:
            return str(ipaddress.ip_network((found, 64), strict=False))
        return self.address


def unauthorized(message: str) -> Problem:
    return Problem(401, "unauthorized", message, headers=(("WWW-Authenticate", 'Bearer realm="sortie"'),))


def forbidden(message: str) -> Problem:
    return Problem(403, "forbidden", message)


def csrf_token(site: Site, session: str) -> str:
    """What a page sends with each change; belongs to the session."""
    return site.tokens.sign(_csrf_text(session))


def _csrf_text(session: str) -> str:
    return f"csrf {session}"


def _hop(text: str) -> str:
    """The address of an entry of X-Forwarded-For, which some proxies write with its port; empty if it has none."""
    bare = re.sub(r"^\[(.*)\](:\d+)?$|^([\d.]+):\d+$", r"\1\3", text)
    try:
        return str(ipaddress.ip_address(bare.partition("%")[0]))
    except ValueError:
        return ""


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    if not networks:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)
