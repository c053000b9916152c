"""The local authority's certificates are what browsers accept, and are renewed in time."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.sortie.platform.plugins.module_utils._certificates import (
    RENEWED_BEFORE,
    VALID_FOR,
    Authority,
    describe,
    issue,
)

NOW = datetime.now(UTC).replace(microsecond=0)
HOST = "acme.localhost"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "ca")
    made.create(NOW)
    return made


def test_an_authority_is_made_whose_key_is_private(authority: Authority) -> None:
    assert authority.exists
    assert (authority.directory / "ca.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in authority.directory.iterdir()) == ["ca.crt", "ca.key"]
    assert authority.has_signed(authority.certificate)


def test_an_authority_whose_making_was_cut_off_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "ca.key").write_text("half")
    assert not Authority(tmp_path).exists
    Authority(tmp_path).create(NOW)
    assert Authority(tmp_path).exists


def test_openssl_accepts_the_chain(authority: Authority, tmp_path: Path) -> None:
    leaf, trusted = tmp_path / "leaf.pem", authority.directory / "ca.crt"
    leaf.write_bytes(issue(authority, HOST)[0])
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(trusted), str(leaf)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_certificate_is_for_the_host_and_signed_by_the_authority(authority: Authority) -> None:
    certificate = x509.load_pem_x509_certificate(issue(authority, HOST, NOW)[0])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    assert authority.has_signed(certificate)


def test_a_certificate_is_not_valid_for_longer_than_browsers_accept(authority: Authority) -> None:
    certificate = x509.load_pem_x509_certificate(issue(authority, HOST, NOW)[0])
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=398)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def test_a_fresh_certificate_is_not_due(authority: Authority) -> None:
    pem, _key = issue(authority, HOST, NOW)
    assert describe(pem, authority, HOST, NOW) == {
        "not_after": (NOW + VALID_FOR).isoformat(),
        "due": False,
    }


def test_a_certificate_is_due_before_it_ends(authority: Authority) -> None:
    pem, _key = issue(authority, HOST, NOW)
    later = NOW + VALID_FOR - RENEWED_BEFORE
    assert describe(pem, authority, HOST, later - timedelta(hours=1))["due"] is False
    assert describe(pem, authority, HOST, later + timedelta(hours=1))["due"] is True


def test_a_certificate_for_another_host_is_due(authority: Authority) -> None:
    pem, _key = issue(authority, HOST, NOW)
    assert describe(pem, authority, "globex.localhost", NOW)["due"] is True


def test_a_certificate_of_another_authority_is_due(authority: Authority, tmp_path: Path) -> None:
    pem, _key = issue(authority, HOST, NOW)
    other = Authority(tmp_path / "new")
    other.create(NOW)
    assert describe(pem, other, HOST, NOW)["due"] is True


def test_what_is_no_certificate_is_due(authority: Authority) -> None:
    assert describe(b"nothing", authority, HOST, NOW) == {"not_after": "", "due": True}


def test_a_host_name_longer_than_a_common_name_is_accepted(authority: Authority) -> None:
    host = ".".join(["a" * 40] * 4)
    pem, _key = issue(authority, host, NOW)
    assert describe(pem, authority, host, NOW)["due"] is False
