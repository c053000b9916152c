"""The settings: one table that makes the parser, the error messages and the documentation.

Each field of `Settings` is a row: the environment variable, how it is read, what it is when it is not set,
and what it means. An empty variable counts as not set.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import parsers


class SettingsError(Exception):
    """Every wrong setting, one to a line; `problems` has the lines."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _row(
    name: str,
    parse: Callable[[str], Any],
    default: Any,
    meaning: str,
    *,
    shown: str = "",
    secret: bool = False,
) -> Any:
    """One row. `shown` is the default as the documentation writes it; a `secret` value is never printed."""
    metadata = {"name": name, "parse": parse, "meaning": meaning, "shown": shown, "secret": secret}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """What the application was told. Durations are seconds, sizes are bytes."""

    host: str = _row("SORTIE_HOST", parsers.text, "*", "Address to listen on; `*` is all, IPv4 and IPv6")
    port: int = _row("SORTIE_PORT", parsers.port, 8080, "Port to listen on")
    threads: int = _row("SORTIE_THREADS", parsers.threads, 16, "Requests that are worked on at the same time")
    max_body: int = _row("SORTIE_MAX_BODY", parsers.size, 10 << 20, "Largest body of a request", shown="10Mi")
    stop_delay: float = _row(
        "SORTIE_STOP_DELAY",
        parsers.duration,
        0.0,
        "How long requests are still taken after SIGTERM while `/readyz` is 503, for load balancers to notice; "
        "useful with several replicas",
        shown="0",
    )
    trusted_proxies: tuple[parsers.Network, ...] = _row(
        "SORTIE_TRUSTED_PROXIES",
        parsers.networks,
        (),
        "Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, separated by commas",
    )
    log_level: str = _row(
        "SORTIE_LOG_LEVEL",
        parsers.OneOf("debug", "info", "warning", "error", also={"warn": "warning"}),
        "info",
        "Least important log entry that is written: `debug`, `info`, `warning`, `error`",
    )
    access_log: str = _row(
        "SORTIE_ACCESS_LOG",
        parsers.OneOf("changes", "all", "none"),
        "changes",
        "Requests that are logged: `changes` (and failures), `all`, `none`",
    )

    db: str = _row("SORTIE_DB", parsers.text, "/data/sortie.db", "The SQLite database")
    db_type: str = _row(
        "SORTIE_DB_TYPE",
        parsers.OneOf("sqlite", "postgres", also={"postgresql": "postgres"}),
        "sqlite",
        "`sqlite` or `postgres`",
    )
    db_dsn: str = _row(
        "SORTIE_DB_DSN",
        parsers.text,
        "",
        "PostgreSQL's connection string, instead of the six below",
        secret=True,
    )
    db_host: str = _row("SORTIE_DB_HOST", parsers.text, "", "PostgreSQL's host")
    db_port: int = _row("SORTIE_DB_PORT", parsers.port, 5432, "PostgreSQL's port")
    db_name: str = _row("SORTIE_DB_NAME", parsers.text, "sortie", "Name of the PostgreSQL database")
    db_user: str = _row("SORTIE_DB_USER", parsers.text, "sortie", "PostgreSQL's user")
    db_password: str = _row("SORTIE_DB_PASSWORD", parsers.text, "", "Its password", secret=True)
    db_sslmode: str = _row(
        "SORTIE_DB_SSLMODE",
        parsers.OneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "prefer",
        "PostgreSQL's TLS mode: `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`",
    )

    read_only: bool = _row(
        "SORTIE_READ_ONLY",
        parsers.boolean,
        False,
        "Serve reads only, of a SQLite database that another process keeps up to date (`litestream restore -f`)",
    )
    heartbeat: float = _row(
        "SORTIE_HEARTBEAT",
        parsers.duration,
        0.0,
        "How often the time is written into the database, by which read replicas know how far they are behind; "
        "0 is never",
        shown="0",
    )

    seed: str = _row("SORTIE_SEED", parsers.text, "", "Catalogue that fills an empty one at the first start")
    config: str = _row(
        "SORTIE_CONFIG",
        parsers.text,
        "",
        "branding.json; read again whenever it changes, and wins over the four below",
    )
    logo_url: str | None = _row("SORTIE_LOGO_URL", parsers.image_address, None, "Logo of the page")
    primary_color: str | None = _row(
        "SORTIE_PRIMARY_COLOR", parsers.colour, None, "First colour", shown="#1F2A3C"
    )
    secondary_color: str | None = _row(
        "SORTIE_SECONDARY_COLOR", parsers.colour, None, "Second colour", shown="#2B3445"
    )
    tenant_name: str | None = _row(
        "SORTIE_TENANT_NAME", parsers.text, None, "Name on the page", shown="Sortie"
    )

    jwt_secret: str = _row(
        "SORTIE_JWT_SECRET",
        parsers.secret,
        "",
        "Key that signs tokens, 32 characters at least; without it each start makes a new one, "
        "and everybody has to sign in again",
        secret=True,
    )
    jwt_secret_previous: str = _row(
        "SORTIE_JWT_SECRET_PREVIOUS",
        parsers.secret,
        "",
        "The key before that one: what it signed is still accepted, so that a new key signs nobody out",
        secret=True,
    )
    access_expiry: float = _row(
        "SORTIE_JWT_ACCESS_EXPIRY", parsers.lifetime, 900.0, "Life of an access token", shown="15m"
    )
    refresh_expiry: float = _row(
        "SORTIE_JWT_REFRESH_EXPIRY",
        parsers.lifetime,
        86400.0,
        "Life of a refresh token and of a page's session",
        shown="24h",
    )
    admin_username: str = _row(
        "SORTIE_ADMIN_USERNAME", parsers.text, "admin", "User name of the first administrator"
    )
    admin_password: str = _row(
        "SORTIE_ADMIN_PASSWORD",
        parsers.text,
        "",
        "Password of the first administrator, who is made when there are no users; without it none is made",
        secret=True,
    )
    allow_registration: bool = _row(
        "SORTIE_ALLOW_REGISTRATION", parsers.boolean, False, "Whether visitors may make themselves an account"
    )
    oidc_issuer: str = _row(
        "SORTIE_OIDC_ISSUER", parsers.web_address, "", "Address of an OpenID Connect provider; switches it on"
    )
    oidc_client_id: str = _row("SORTIE_OIDC_CLIENT_ID", parsers.text, "", "Our id at the provider")
    oidc_client_secret: str = _row(
        "SORTIE_OIDC_CLIENT_SECRET",
        parsers.text,
        "",
        "Our secret at the provider; a public client has none",
        secret=True,
    )
    oidc_redirect_url: str = _row(
        "SORTIE_OIDC_REDIRECT_URL",
        parsers.web_address,
        "",
        "Where the provider sends browsers back to: `https://HOST/api/auth/oidc/callback`",
    )
    oidc_scopes: str = _row(
        "SORTIE_OIDC_SCOPES", parsers.scopes, "openid profile email", "What we ask the provider for"
    )
    login_attempts: int = _row(
        "SORTIE_LOGIN_ATTEMPTS",
        parsers.count,
        10,
        "Wrong passwords that one address (of IPv6 one /64) may try for one user in five minutes, five times as many for all users; "
        "0 is no limit",
    )
    max_apps: int = _row("SORTIE_MAX_APPS", parsers.count, 0, "Most applications; 0 is no limit")
    max_users: int = _row("SORTIE_MAX_USERS", parsers.count, 0, "Most users; 0 is no limit")
    audit_retention: float = _row(
        "SORTIE_AUDIT_RETENTION",
        parsers.duration,
        31_536_000.0,
        "How long the audit log is kept; 0 is for ever",
        shown="365d",
    )
    launch_retention: float = _row(
        "SORTIE_LAUNCH_RETENTION",
        parsers.duration,
        0.0,
        "How long launches are kept; 0 is for ever",
        shown="0",
    )
    status_dir: str = _row(
        "SORTIE_STATUS_DIR",
        parsers.text,
        "",
        "Directory with backup.json and drill.json of the backup playbooks, which stand in /metrics",
    )
    tls_certificate: str = _row(
        "SORTIE_TLS_CERTIFICATE",
        parsers.text,
        "",
        "File with the certificate that stands before the application; its end stands in /metrics",
    )


@dataclass(frozen=True)
class Row:
    """A row of the table as the documentation needs it."""

    name: str
    attribute: str
    default: str
    meaning: str
    secret: bool


def rows() -> list[Row]:
    """The table."""
    table = []
    for item in dataclasses.fields(Settings):
        default = item.metadata["shown"] or (
            "" if item.default in (None, "", ()) else str(item.default).lower()
        )
        table.append(
            Row(item.metadata["name"], item.name, default, item.metadata["meaning"], item.metadata["secret"])
        )
    return table


def documentation() -> str:
    """The table in Markdown."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.meaning} |" for row in rows()
    ]
    return "\n".join(lines) + "\n"


def read(environment: Mapping[str, str], given: Mapping[str, str] | None = None) -> Settings:
    """The settings of `environment`, overruled by `given` (options of the command line, by variable name).

    Raises SettingsError with every wrong one.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for item in dataclasses.fields(Settings):
        name = item.metadata["name"]
        raw = (given or {}).get(name) or environment.get(name, "")
        if not raw.strip():
            continue
        try:
            values[item.name] = item.metadata["parse"](raw.strip())
        except ValueError as error:
            shown = "" if item.metadata["secret"] else f" is {raw[:80]!r}, but"
            problems.append(f"{name}{shown} must be {error}")
    settings = Settings(**values)
    problems += _contradictions(settings, set(values))
    if problems:
        raise SettingsError(problems)
    return settings


def _contradictions(settings: Settings, given: set[str]) -> list[str]:
    problems = []
    if settings.db_type == "postgres" and not {"db_dsn", "db_host"} & given:
        problems.append("SORTIE_DB_TYPE is postgres, so SORTIE_DB_DSN or SORTIE_DB_HOST must say where it is")
    if settings.db_type == "postgres" and settings.read_only:
        problems.append("SORTIE_READ_ONLY is for copies of SQLite databases, and SORTIE_DB_TYPE is postgres")
    problems += [
        f"SORTIE_{row.upper()} is needed too, because SORTIE_OIDC_ISSUER is set"
        for row in ("oidc_client_id", "oidc_redirect_url")
        if settings.oidc_issuer and not getattr(settings, row)
    ]
    if settings.admin_password and len(settings.admin_password) < 8:
        problems.append("SORTIE_ADMIN_PASSWORD must have at least 8 characters")
    return problems


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Remarks on variables that look like settings but are none.

    Kubernetes makes some of that kind, so they are no errors.
    """
    known = [row.name for row in rows()]
    remarks = []
    for name in sorted(environment):
        if name.startswith("SORTIE_") and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remarks.append(f"{name} is not a setting" + (f"; {near[0]} is" if near else ""))
    return remarks
