"""Sessions: a user signed in on one device. A refresh token works once and is replaced by the next one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update

from ..storage.database import Database, touch
from ..storage.schema import now, sessions, users
from .users import ACCESS, ADMIN, AUTHOR, Row

_REMEMBERED = 10_000


@dataclass(frozen=True)
class Caller:
    """Who makes a request. Without a user_id it is the platform itself."""

    user_id: str
    username: str
    roles: frozenset[str]
    session: str = ""

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles

    @property
    def is_author(self) -> bool:
        return bool(self.roles & {ADMIN, AUTHOR})


PLATFORM = Caller("", "platform", frozenset({ADMIN}))


def begin(connection: Connection, user_id: str, seconds: float) -> tuple[str, str]:
    """A new session; its id and its refresh token. Sessions that have ended are removed on the way."""
    moment = now()
    connection.execute(delete(sessions).where(sessions.c.expires_at < moment))
    session, secret = secrets.token_urlsafe(18), secrets.token_urlsafe(32)
    row = {
        "id": session,
        "user_id": user_id,
        "refresh_hash": _digest(secret),
        "created_at": moment,
        "expires_at": moment + timedelta(seconds=seconds),
    }
    connection.execute(insert(sessions), row)
    return session, f"{session}.{secret}"


def renew(connection: Connection, refresh_token: str, seconds: float) -> tuple[Row, str, str] | None:
    """The user, the session and the next refresh token; None if the token is not good.

    A token that was used before ends the session: either its owner or a thief holds the newer one.
    """
    session, _, secret = refresh_token.partition(".")
    query = select(sessions, users).join(users).where(sessions.c.id == session).with_for_update(of=sessions)
    found = connection.execute(query).first()
    if found is None or found._mapping[sessions.c.expires_at] < now():
        return None
    if not hmac.compare_digest(found._mapping[sessions.c.refresh_hash], _digest(secret)):
        end(connection, session)
        return None
    secret = secrets.token_urlsafe(32)
    values = {"refresh_hash": _digest(secret), "expires_at": now() + timedelta(seconds=seconds)}
    connection.execute(update(sessions).where(sessions.c.id == session).values(values))
    user = {column.name: found._mapping[column] for column in users.c}
    return user, session, f"{session}.{secret}"


def end(connection: Connection, session: str) -> None:
    connection.execute(delete(sessions).where(sessions.c.id == session))
    touch(connection, ACCESS)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Callers:
    """Who a session belongs to, remembered until somebody's rights change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, Caller | None] = OrderedDict()
        self._revision = -1
        self._lock = threading.Lock()

    def find(self, session: str, revision: int) -> Caller | None:
        """The caller of a session at `revision` of who may do what; None if it has ended."""
        with self._lock:
            if self._revision != revision:
                self._known.clear()
                self._revision = revision
            elif session in self._known:
                return self._known[session]
        caller = self._ask(session)
        with self._lock:
            if self._revision == revision:
                self._known[session] = caller
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return caller

    def _ask(self, session: str) -> Caller | None:
        query = select(users.c.id, users.c.username, users.c.roles, sessions.c.expires_at).join(sessions)
        with self._database.read() as connection:
            row = connection.execute(query.where(sessions.c.id == session)).first()
        if row is None or row.expires_at < now():
            return None
        return Caller(row.id, row.username, frozenset(row.roles), session)
