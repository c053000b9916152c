# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes the local authority, issues the tenants' certificates, and tells when one is due for renewal."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Browsers refuse server certificates that are valid for more than 398 days.
VALID_FOR = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=30)
AUTHORITY_VALID_FOR = timedelta(days=3650)


@dataclass(frozen=True)
class Authority:
    """The certificate authority in a directory: `ca.crt` and `ca.key`."""

    directory: Path

    @property
    def exists(self) -> bool:
        return (self.directory / "ca.crt").is_file() and (self.directory / "ca.key").is_file()

    @cached_property
    def pem(self) -> bytes:
        return (self.directory / "ca.crt").read_bytes()

    @cached_property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.pem)

    @cached_property
    def key(self) -> CertificateIssuerPrivateKeyTypes:
        key = serialization.load_pem_private_key((self.directory / "ca.key").read_bytes(), password=None)
        return cast("CertificateIssuerPrivateKeyTypes", key)

    def create(self, now: datetime | None = None) -> None:
        """Makes the authority; its key is readable by its owner alone."""
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        # Browsers tell authorities apart by their name, and one machine may have several.
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sortie.platform"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Local authority {secrets.token_hex(4)}"),
            ]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + AUTHORITY_VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        # The certificate comes last: without it there is no authority, so a run that is cut off begins anew.
        _write(self.directory / "ca.key", _private_pem(key), 0o600)
        _write(self.directory / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def has_signed(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, TypeError, ValueError):
            return False
        return True


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Writes a file whole or not at all, never readable by more than its mode says."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    part.replace(path)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issue(authority: Authority, host: str, now: datetime | None = None) -> tuple[bytes, bytes]:
    """A certificate for a host and its private key, both in PEM form."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    certificate = (
        x509.CertificateBuilder()
        # A common name holds 64 characters at most; clients look at the alternative name only.
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks differ a little.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(min(now + VALID_FOR, issuer.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                cast("ec.EllipticCurvePublicKey", issuer.public_key())
            ),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key)


def describe(
    pem: bytes, authority: Authority | None, host: str, now: datetime | None = None
) -> dict[str, Any]:
    """What of a certificate decides whether it can stay."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return {"not_after": "", "due": True}
    due = certificate.not_valid_after_utc - (now or datetime.now(UTC)) < RENEWED_BEFORE
    return {
        "not_after": certificate.not_valid_after_utc.isoformat(),
        # Only certificates of the local authority are renewed here, so the rest matters only with one.
        "due": due
        or host not in _names(certificate)
        or not (authority and authority.exists and authority.has_signed(certificate)),
    }


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)
