# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Looks up what is in an image in a database of known vulnerabilities, and judges what was found.

osv-scanner does the looking up, in databases of osv.dev that lie in a directory (`osv-scanner/ECOSYSTEM/all.zip`). An ecosystem
without a database is told as not checked.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

# The least score of CVSS that each word stands for. What has no score counts only where everything does.
SEVERITIES = {"low": 0.0, "medium": 4.0, "high": 7.0, "critical": 9.0}
DISTRIBUTIONS = {"debian": "Debian", "ubuntu": "Ubuntu"}
ECOSYSTEMS = {"pypi": "PyPI", "golang": "Go"}
# The scanner reads packages that it did not find itself from a file of this name.
INPUT = "osv-scanner-custom.json"
NOTHING_FOUND, SOMETHING_FOUND = 0, 1
LAST_LINES = 12


class ScanError(Exception):
    """The image could not be scanned, or the list of what is allowed is no good."""


@dataclass(frozen=True)
class Package:
    """A package as osv.dev names it: of Debian the source package, with its release (`Debian:12`)."""

    ecosystem: str
    name: str
    version: str

    @property
    def database(self) -> str:
        return self.ecosystem.partition(":")[0]


@dataclass(frozen=True)
class Vulnerability:
    """One that is known of a package. `score` is CVSS's, None if nobody has scored it."""

    id: str
    aliases: tuple[str, ...]
    package: Package
    score: float | None

    def reaches(self, threshold: str) -> bool:
        return (self.score or 0.0) >= SEVERITIES[threshold]

    def __str__(self) -> str:
        names = ", ".join((self.id, *self.aliases))
        score = "no score" if self.score is None else f"{self.score:g}"
        return f"{self.package.name} {self.package.version}: {names} ({score})"


@dataclass(frozen=True)
class Allowance:
    """A vulnerability that is allowed for a while, and why."""

    id: str
    reason: str
    until: datetime.date


@dataclass
class Verdict:
    """What was checked, and what came of it."""

    checked: int = 0
    databases: dict[str, str] = field(default_factory=dict)
    not_checked: dict[str, int] = field(default_factory=dict)
    found: list[Vulnerability] = field(default_factory=list)
    below: list[Vulnerability] = field(default_factory=list)
    allowed: list[tuple[Vulnerability, Allowance]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """What is kept of it, as JSON has it."""
        return {
            "state": self.state,
            "checked": self.checked,
            "databases": self.databases,
            "not_checked": self.not_checked,
            "found": [str(one) for one in self.found],
            "below": [str(one) for one in self.below],
            "allowed": [f"{one}: until {why.until}, {why.reason}" for one, why in self.allowed],
            "unused": self.unused,
        }

    @property
    def state(self) -> str:
        if not self.not_checked:
            return "checked"
        return "partly checked" if self.checked else "no database"

    def summary(self, threshold: str) -> str:
        """One line for those who read the output of a run."""
        missing = ", ".join(f"{name} (packages: {count})" for name, count in self.not_checked.items())
        if not self.checked:
            return f"no database: nothing was checked; missing are {missing}"
        told = (
            f"{self.checked} packages checked; vulnerabilities of severity {threshold} or above: {len(self.found)}, "
            f"below: {len(self.below)}, allowed: {len(self.allowed)}"
        )
        ages = ", ".join(f"{name} of {day}" for name, day in self.databases.items())
        return f"{told} (databases: {ages})" + (f"; no database, not checked: {missing}" if missing else "")


def read_packages(bill: Mapping[str, Any]) -> list[Package]:
    """The packages of a bill of materials that osv.dev knows the ecosystem of, each once."""
    purls = [component["purl"] for component in bill["components"] if "purl" in component]
    return sorted(
        {package for purl in purls if (package := _package(purl))},
        key=lambda package: (package.ecosystem, package.name, package.version),
    )


def _package(purl: str) -> Package | None:
    match = re.fullmatch(r"pkg:([^/]+)/(.+)@([^?]+)(?:\?(.*))?", purl)
    if match is None:
        return None
    kind, name, version = match[1], unquote(match[2]), unquote(match[3])
    if kind in ECOSYSTEMS:
        return Package(ECOSYSTEMS[kind], name, version.removeprefix("v") if kind == "golang" else version)
    qualifiers = {key: values[0] for key, values in parse_qs(match[4] or "").items()}
    distribution, _, release = qualifiers.get("distro", "").partition("-")
    if kind != "deb" or distribution not in DISTRIBUTIONS:
        return None
    source, _, source_version = qualifiers.get("upstream", "").partition("@")
    ecosystem = f"{DISTRIBUTIONS[distribution]}:{release}"
    return Package(ecosystem, source or name.rpartition("/")[2], source_version or version)


def read_allowances(given: Sequence[Mapping[str, Any]], today: datetime.date) -> list[Allowance]:
    """What is allowed. Raises ScanError with every entry that is none, or whose time is over."""
    found, mistakes = [], []
    for number, entry in enumerate(given, start=1):
        try:
            found.append(_allowance(entry, today))
        except ValueError as error:
            mistakes.append(f"entry {number} ({entry.get('id', 'without id')}): {error}")
    if mistakes:
        raise ScanError("\n".join(mistakes))
    return found


def _allowance(entry: Mapping[str, Any], today: datetime.date) -> Allowance:
    if unknown := set(entry) - {"id", "reason", "until"}:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}; expected are id, reason and until")
    for name in ("id", "reason", "until"):
        if not str(entry.get(name) or "").strip():
            raise ValueError(f"it has no {name}")
    try:
        until = datetime.date.fromisoformat(str(entry["until"]))
    except ValueError as error:
        raise ValueError(f"until is {entry['until']!r}, expected is a day like 2030-01-31") from error
    if until < today:
        raise ValueError(f"it was allowed until {until}, which is over: look at it again")
    return Allowance(str(entry["id"]), str(entry["reason"]), until)


def scan(
    program: Path,
    packages: Sequence[Package],
    database: Path,
    threshold: str,
    allowances: Sequence[Allowance],
) -> Verdict:
    """Looks the packages up as far as there are databases."""
    files = {name: database / "osv-scanner" / name / "all.zip" for name in {one.database for one in packages}}
    there = {name: file for name, file in sorted(files.items()) if file.is_file()}
    known = [package for package in packages if package.database in there]
    verdict = Verdict(
        checked=len(known),
        databases={name: _day(file) for name, file in there.items()},
        not_checked={
            name: sum(package.database == name for package in packages)
            for name in sorted(set(files) - set(there))
        },
    )
    by_name = {allowance.id: allowance for allowance in allowances}
    used: set[str] = set()
    for one in _look_up(program, known, database) if known else ():
        names = sorted({one.id, *one.aliases} & set(by_name))
        used.update(names)
        if names:
            verdict.allowed.append((one, by_name[names[0]]))
        else:
            (verdict.found if one.reaches(threshold) else verdict.below).append(one)
    verdict.unused = sorted(set(by_name) - used) if not verdict.not_checked else []
    return verdict


def _day(file: Path) -> str:
    return datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC).date().isoformat()


def _look_up(program: Path, packages: Sequence[Package], database: Path) -> Iterator[Vulnerability]:
    with tempfile.TemporaryDirectory(prefix="sortie-scan-") as scratch:
        given = Path(scratch, INPUT)
        given.write_text(json.dumps(_question(packages)))
        command = [str(program), "scan", "source", "--offline", "--format=json", "--verbosity=error"]
        command += [f"--local-db-path={database}", f"--lockfile={given}"]
        try:
            answer = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ScanError(f"{program} cannot be run: {error.strerror}") from error
    if answer.returncode not in (NOTHING_FOUND, SOMETHING_FOUND) or "could not load db" in answer.stderr:
        told = "\n".join((answer.stderr or answer.stdout).strip().splitlines()[-LAST_LINES:])
        raise ScanError(f"{program.name} failed (exit code {answer.returncode}): {told}")
    try:
        yield from _answers(json.loads(answer.stdout))
    except (ValueError, KeyError, TypeError) as error:
        raise ScanError(f"{program.name} gave an answer that cannot be read: {error!r}") from error


def _question(packages: Sequence[Package]) -> dict[str, Any]:
    asked = [
        {"package": {"name": one.name, "version": one.version, "ecosystem": one.ecosystem}}
        for one in packages
    ]
    return {"results": [{"source": {"path": INPUT, "type": "sbom"}, "packages": asked}]}


def _answers(content: Mapping[str, Any]) -> Iterator[Vulnerability]:
    for source in content["results"]:
        for entry in source["packages"]:
            named = entry["package"]
            package = Package(named["ecosystem"], named["name"], named["version"])
            for group in entry["groups"]:
                first, *others = group["ids"]
                aliases = tuple(sorted({*others, *(group.get("aliases") or ())} - {first}))
                score = group.get("max_severity") or None
                yield Vulnerability(first, aliases, package, float(score) if score else None)
