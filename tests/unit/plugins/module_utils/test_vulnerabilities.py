"""What was not checked is never told as checked, and what is allowed is allowed for a while and with a reason."""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._vulnerabilities import (
    Allowance,
    Package,
    ScanError,
    read_allowances,
    read_packages,
    scan,
)
from ansible_collections.sortie.platform.plugins.modules.image_scan import refusal

TODAY = datetime.date(2030, 1, 15)
OPENSSL = Package("Debian:12", "openssl", "3.0.11-1~deb12u2")
WAITRESS = Package("PyPI", "waitress", "2.0.0")
GO = Package("Go", "stdlib", "1.19.8")
PURLS = {
    "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl": OPENSSL,
    "pkg:deb/debian/libacl1@2.3.1-3%2Bb1?arch=amd64&distro=debian-12&upstream=acl%402.3.1-3": Package(
        "Debian:12", "acl", "2.3.1-3"
    ),
    "pkg:deb/debian/dpkg@1.21.23?arch=amd64&distro=debian-12": Package("Debian:12", "dpkg", "1.21.23"),
    "pkg:pypi/waitress@2.0.0": WAITRESS,
    "pkg:golang/stdlib@1.19.8": GO,
    "pkg:golang/golang.org/x/sys@v0.30.0": Package("Go", "golang.org/x/sys", "0.30.0"),
}
# Stands in for osv-scanner: knows what is listed here, and answers in its form.
SCANNER = """#!{python}
import json, sys
known = json.load(open({known!r}))
(lockfile,) = [a.partition("=")[2] for a in sys.argv if a.startswith("--lockfile=")]
asked = [entry["package"] for entry in json.load(open(lockfile))["results"][0]["packages"]]
found = [{{"package": one, "groups": known[one["name"]]}} for one in asked if one["name"] in known]
print(json.dumps({{"results": [{{"packages": found}}] if found else []}}))
sys.exit(bool(found))
"""
HIGH = {"ids": ["DEBIAN-CVE-1", "DSA-1"], "aliases": ["CVE-1", "DSA-1"], "max_severity": "7.5"}
MEDIUM = {"ids": ["GHSA-a"], "aliases": ["CVE-2"], "max_severity": "5.3"}
UNSCORED = {"ids": ["GO-1"], "aliases": None, "max_severity": ""}


def scanner(tmp_path: Path, **known: list[dict[str, Any]]) -> Path:
    (tmp_path / "known.json").write_text(json.dumps(known))
    program = tmp_path / "osv-scanner"
    program.write_text(SCANNER.format(python=sys.executable, known=str(tmp_path / "known.json")))
    program.chmod(0o755)
    return program


def database(tmp_path: Path, *ecosystems: str) -> Path:
    """Databases of 2 January 2030."""
    for name in ecosystems:
        file = tmp_path / "db" / "osv-scanner" / name / "all.zip"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (1893542400, 1893542400))
    return tmp_path / "db"


def words(one: object) -> str:
    return str(one)


@pytest.mark.parametrize(("purl", "package"), PURLS.items())
def test_packages_are_named_as_their_database_names_them(purl: str, package: Package) -> None:
    assert read_packages({"components": [{"purl": purl}, {"purl": purl}]}) == [package]


def test_what_no_database_is_about_is_left_out() -> None:
    components = [{"name": "debian"}, {"purl": "pkg:generic/x@1"}, {"purl": "pkg:deb/debian/x@1?arch=amd64"}]
    assert read_packages({"components": components}) == []


def test_what_is_found_is_told_apart_by_severity_and_by_what_is_allowed(tmp_path: Path) -> None:
    program = scanner(tmp_path, openssl=[HIGH], waitress=[MEDIUM], stdlib=[UNSCORED])
    verdict = scan(
        program,
        [OPENSSL, WAITRESS, GO],
        database(tmp_path, "Debian", "PyPI", "Go"),
        "high",
        [Allowance("CVE-2", "not reached", TODAY), Allowance("CVE-9", "gone", TODAY)],
    )
    assert [words(one) for one in verdict.found] == [
        "openssl 3.0.11-1~deb12u2: DEBIAN-CVE-1, CVE-1, DSA-1 (7.5)"
    ]
    assert verdict.as_record()["allowed"] == [
        "waitress 2.0.0: GHSA-a, CVE-2 (5.3): until 2030-01-15, not reached"
    ]
    assert [words(one) for one in verdict.below] == ["stdlib 1.19.8: GO-1 (no score)"]
    assert verdict.unused == ["CVE-9"]
    assert verdict.as_record()["state"] == "checked"
    assert verdict.summary("high") == (
        "3 packages checked; vulnerabilities of severity high or above: 1, below: 1, allowed: 1 "
        "(databases: Debian of 2030-01-02, Go of 2030-01-02, PyPI of 2030-01-02)"
    )


@pytest.mark.parametrize(
    ("threshold", "found"),
    [
        ("low", ["openssl", "waitress", "stdlib"]),
        ("medium", ["openssl", "waitress"]),
        ("high", ["openssl"]),
        ("critical", []),
    ],
)
def test_the_threshold_decides_and_what_nobody_scored_counts_with_low(
    threshold: str, found: list[str], tmp_path: Path
) -> None:
    program = scanner(tmp_path, openssl=[HIGH], waitress=[MEDIUM], stdlib=[UNSCORED])
    place = database(tmp_path, "Debian", "PyPI", "Go")
    verdict = scan(program, [OPENSSL, WAITRESS, GO], place, threshold, [])
    assert [one.package.name for one in verdict.found] == found


def test_without_any_database_nothing_is_checked_and_that_is_told(tmp_path: Path) -> None:
    verdict = scan(Path("/no/such/program"), [OPENSSL, WAITRESS], tmp_path, "high", [])
    assert verdict.as_record()["state"] == "no database"
    assert (
        verdict.summary("high")
        == "no database: nothing was checked; missing are Debian (packages: 1), PyPI (packages: 1)"
    )


def test_a_database_that_is_missing_is_told_beside_what_was_checked(tmp_path: Path) -> None:
    allowed = [Allowance("CVE-1", "not reached", TODAY)]
    verdict = scan(scanner(tmp_path), [OPENSSL, WAITRESS], database(tmp_path, "PyPI"), "high", allowed)
    assert verdict.as_record()["state"] == "partly checked"
    assert verdict.summary("high").endswith("; no database, not checked: Debian (packages: 1)")
    # Whether it is still needed cannot be said.
    assert verdict.unused == []


def test_an_image_that_was_not_checked_is_refused_where_that_is_required(tmp_path: Path) -> None:
    given = {"severity": "high", "database": tmp_path}
    checked = scan(scanner(tmp_path), [OPENSSL], database(tmp_path, "Debian"), "high", [])
    assert refusal(checked, given) == ""
    missing = scan(scanner(tmp_path), [OPENSSL, WAITRESS], tmp_path / "db", "high", [])
    told = refusal(missing, given)
    assert "The image could not be checked" in told
    assert f"Next: bring {tmp_path}/osv-scanner/PyPI/all.zip" in told


def test_an_image_with_something_found_is_refused_with_its_names(tmp_path: Path) -> None:
    place = database(tmp_path, "Debian")
    verdict = scan(scanner(tmp_path, openssl=[HIGH]), [OPENSSL], place, "high", [])
    told = refusal(verdict, {"severity": "high", "database": place})
    assert "severity high or above; it was not pushed:\n  openssl 3.0.11-1~deb12u2: DEBIAN-CVE-1" in told


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("print('{}'); sys.exit(127)", r"osv-scanner failed \(exit code 127\)"),
        ("print('could not load db for PyPI', file=sys.stderr)", "could not load db for PyPI"),
        ("print('no JSON')", "an answer that cannot be read"),
        ("print('{}')", "an answer that cannot be read"),
    ],
)
def test_a_scanner_that_fails_is_no_image_without_vulnerabilities(
    lines: str, words: str, tmp_path: Path
) -> None:
    program = scanner(tmp_path)
    program.write_text(f"#!{sys.executable}\nimport sys\n{lines}\n")
    with pytest.raises(ScanError, match=words):
        scan(program, [WAITRESS], database(tmp_path, "PyPI"), "high", [])


def test_a_scanner_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="/no/such/program cannot be run: No such file"):
        scan(Path("/no/such/program"), [WAITRESS], database(tmp_path, "PyPI"), "high", [])


def test_what_is_allowed_until_today_is_still_allowed() -> None:
    given = {"id": "CVE-1", "reason": "not reached", "until": "2030-01-15"}
    assert read_allowances([given], TODAY) == [Allowance("CVE-1", "not reached", TODAY)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"until": "2030-01-14"}, "it was allowed until 2030-01-14, which is over"),
        ({"until": "soon"}, "until is 'soon', expected is a day like 2030-01-31"),
        ({"until": ""}, "it has no until"),
        ({"reason": " "}, "it has no reason"),
        ({"id": None}, "it has no id"),
        ({"for": "ever"}, "unknown for; expected are id, reason and until"),
    ],
)
def test_an_entry_that_is_over_or_incomplete_is_an_error(change: dict[str, str], words: str) -> None:
    good = {"id": "CVE-1", "reason": "not reached", "until": "2030-01-31"}
    with pytest.raises(ScanError, match=rf"^entry 2 \(.*\): {words}"):
        read_allowances([good, good | change], TODAY)
