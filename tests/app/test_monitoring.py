"""What alerts and dashboard ask for is what the application tells."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .server import App, Starter, eventually

ROLE = Path(__file__).resolve().parents[2] / "roles" / "sortie"
ASKED_FOR = ("templates/prometheusrule.yaml.j2", "files/dashboard.json")
METRIC = re.compile(r"\b(?:sortie|process)_[a-z_]+(?={)")
EXPIRY = "sortie_certificate_expiry_timestamp_seconds"


def certificate(end: datetime, issuer: str = "Example CA") -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme.example.com")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("acme.example.com")]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def told(app: App) -> dict[str, float]:
    """The metrics without labels, and of the others their names."""
    lines = [line for line in app.get("/metrics").body.decode().splitlines() if not line.startswith("#")]
    return {re.split(r"[{ ]", line)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


@pytest.fixture
def watched(start_sqlite: Starter, tmp_path: Path) -> App:
    """An application of which there is everything to tell that a primary can tell."""
    for kind, numbers in (
        ("backup", {"bytes": 4096, "seconds": 2.5}),
        ("drill", {"recovery_seconds": 7.5}),
    ):
        record = {"ok": True, "time": "2025-01-31T12:00:00Z", **numbers}
        (tmp_path / f"{kind}.json").write_text(json.dumps(record))
    (tmp_path / "tls.crt").write_bytes(certificate(datetime(2040, 2, 3, 4, 5, 6, tzinfo=UTC)))
    app = start_sqlite(
        SORTIE_STATUS_DIR=str(tmp_path),
        SORTIE_TLS_CERTIFICATE=str(tmp_path / "tls.crt"),
        SORTIE_HEARTBEAT="200ms",
    )
    app.get("/api/apps")
    return app


@pytest.fixture
def replica(watched: App, start_sqlite: Starter, tmp_path: Path) -> App:
    """A read replica of it, as far as a copy of the database makes one."""

    def heard() -> bool:
        with sqlite3.connect(f"file:{watched.environment['SORTIE_DB']}?mode=ro", uri=True) as source:
            return bool(source.execute("SELECT count(*) FROM settings WHERE key = 'heartbeat'").fetchone()[0])

    eventually(heard)
    directory = tmp_path / "replica"
    directory.mkdir()
    with (
        sqlite3.connect(watched.environment["SORTIE_DB"]) as source,
        sqlite3.connect(directory / "1.db") as copy,
    ):
        source.backup(copy)
    (directory / "sortie.db").symlink_to("1.db")
    return start_sqlite({"SORTIE_DB": str(directory / "sortie.db")}, SORTIE_READ_ONLY="true")


def test_every_metric_that_alerts_and_dashboard_name_is_one_of_the_application(
    watched: App, replica: App
) -> None:
    there = told(watched) | told(replica)
    asked = {name for part in ASKED_FOR for name in METRIC.findall((ROLE / part).read_text())}
    assert len(asked) > 20
    assert sorted(asked - set(there)) == []
    assert (told(watched)["sortie_read_only"], told(replica)["sortie_read_only"]) == (0, 1)


def test_the_volume_is_told_as_df_tells_it(watched: App) -> None:
    usage = shutil.disk_usage(Path(watched.environment["SORTIE_DB"]).parent)
    metrics = told(watched)
    assert 0 < metrics["sortie_volume_available_bytes"] < metrics["sortie_volume_size_bytes"] <= usage.total


@pytest.mark.parametrize(
    "end", [datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2051, 6, 7, 8, 9, 10, tzinfo=UTC)]
)
def test_the_end_of_a_certificate_is_read_from_the_file_as_it_is_now(
    watched: App, tmp_path: Path, end: datetime
) -> None:
    assert told(watched)[EXPIRY] == datetime(2040, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp()
    # The first one of a chain is the tenant's; a long name makes lengths of several bytes.
    chain = certificate(end, "x" * 60) + certificate(end - timedelta(days=1))
    (tmp_path / "tls.crt").write_bytes(b"Subject: acme\n" + chain)
    assert told(watched)[EXPIRY] == end.timestamp()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing of the kind",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_file_that_is_no_certificate_is_not_told_of(watched: App, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tls.crt").write_bytes(content)
    assert EXPIRY not in told(watched)
    (tmp_path / "tls.crt").unlink()
    assert EXPIRY not in told(watched)
    assert watched.get("/readyz").status == 200


def test_damage_anywhere_in_a_certificate_is_never_an_error(watched: App, tmp_path: Path) -> None:
    whole = certificate(datetime(2040, 1, 1, tzinfo=UTC))
    for place in range(30, len(whole) - 30, 7):
        (tmp_path / "tls.crt").write_bytes(whole[:place] + b"A" + whole[place + 1 :])
        assert watched.get("/metrics").status == 200
