# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""A restic repository of one tenant.

The password reaches restic as the name of a file and other credentials as environment variables, so that neither
stands on a command line. What restic says is translated into what happened and what to do.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._retention import (
    Snapshot,
    newest_first,
)

LATEST = "latest"
_MARK = "sortie.platform"
_VERIFIED = "verified"
_SAFETY = "safety"
_CHUNK = 1 << 20
_LOCK_PAUSE_SECONDS = 3.0
_RETRIES = re.compile(r"^\S+\(<.*?>.*?\) returned error, retrying after \S+: ")
# What a repository goes on saying however often it is asked; restic asks for most of a minute.
_HOPELESS = re.compile(
    r"read-only file system|permission denied|response \(40[13]\)|response unexpected: 40[13]", re.IGNORECASE
)
_TELLING = re.compile(r"error|denied|failed|unable|no space|cannot", re.IGNORECASE)

# What restic prints, the kind of trouble, and what helps; the first that matches counts.
_TROUBLES: tuple[tuple[str, str, str], ...] = (
    (
        r"wrong password or no key found",
        "password",
        "put the right key at {password_file}, or set backup_password_file; "
        "without its key a repository cannot be read",
    ),
    (
        r"already locked",
        "locked",
        "wait for the other run. If no other run is alive anywhere: "
        "RESTIC_PASSWORD_FILE={password_file} {binary} -r {repository} unlock --remove-all",
    ),
    (
        r"no space left|quota exceeded|not enough space",
        "full",
        "free space where {repository} lies, or lower backup_keep_daily, _weekly and _monthly, then run it again",
    ),
    (
        r"ciphertext verification failed|Pack ID does not match|contains errors|invalid data returned"
        r"|id .* not found|unexpected EOF|hash does not match|unable to load|tree .* not found",
        "damaged",
        "find out what is damaged: "
        "RESTIC_PASSWORD_FILE={password_file} {binary} -r {repository} check --read-data; "
        "docs/backup.md, 'A damaged repository', says how to mend it",
    ),
    (
        r"connection refused|no such host|i/o timeout|deadline exceeded|network is unreachable"
        r"|connection reset|EOF$|no route to host|response unexpected: 5",
        "unreachable",
        "see that {repository} can be reached from here, then run it again",
    ),
    (
        r"permission denied|read-only file system|access ?denied|forbidden|unauthorized"
        r"|request signature we calculated|access key id you provided"
        r"|operation not permitted|HTTP response \(40[13]\)|response unexpected: 40[13]",
        "refused",
        "make {repository} writable for this user, or correct the credentials in backup_environment",
    ),
    (
        r"Is there a repository at the following location|repository does not exist",
        "missing",
        "bring {repository} back (is its disk mounted?), or correct backup_repository",
    ),
)


class ResticError(BackupError):
    """Something that restic could not do; `kind` is one of the kinds above or 'other'."""

    def __init__(self, kind: str, happened: str, next_step: str) -> None:
        super().__init__(
            happened,
            state="the tenant was not touched, and snapshots made earlier are as they were",
            next_step=next_step,
        )
        self.kind = kind


class Restic:
    """Calls restic on one repository for one tenant."""

    def __init__(
        self,
        repository: str,
        password_file: Path,
        tenant: str,
        *,
        cache: Path,
        binary: str = "restic",
        environment: Mapping[str, str] | None = None,
        lock_seconds: float = 120,
    ) -> None:
        self.repository = repository
        self.password_file = password_file
        self.tenant = tenant
        self._binary = binary
        self._lock_seconds = lock_seconds
        self._environment = {
            **os.environ,
            **(environment or {}),
            "RESTIC_REPOSITORY": repository,
            "RESTIC_PASSWORD_FILE": str(password_file),
            "RESTIC_CACHE_DIR": str(cache),
            "RESTIC_PROGRESS_FPS": "0.01",
            # The index of a large repository is most of restic's memory; collecting garbage more often halves it.
            "GOGC": "20",
        }

    def identity(self) -> str | None:
        """The repository's own id, or None where there is no repository."""
        try:
            return str(json.loads(self._run("cat", "config"))["id"])
        except ResticError as error:
            if error.kind == "missing":
                return None
            raise

    def create(self) -> str:
        """Make the repository; its id."""
        self._run("init")
        identity = self.identity()
        if identity is None:
            raise self._error("restic init ended well, but there is no repository")
        return identity

    def snapshots(self) -> list[Snapshot]:
        """The tenant's snapshots that this collection made; ResticError if another tenant's are here as well.

        Where nothing may be removed (append-only) a snapshot that was marked verified stands there twice; only the
        marked one is listed.
        """
        listed = json.loads(self._run("snapshots", "--json", "--tag", _MARK)) or []
        others = sorted({str(entry["hostname"]) for entry in listed} - {self.tenant})
        if others:
            happened = f"the repository {self.shown} holds snapshots of {', '.join(others)}"
            raise ResticError("shared", happened, f"give {self.tenant} a backup_repository of its own")
        replaced = {entry.get("original") for entry in listed}
        return [_snapshot(entry) for entry in listed if entry["id"] not in replaced]

    @property
    def shown(self) -> str:
        """The repository's address without a password in it."""
        return _without_password(self.repository)

    def backup(
        self, directory: Path, names: Sequence[str], sequence: int, sha256: str, *, safety: bool = False
    ) -> str:
        """Store the files `names` of `directory`; the snapshot's id. `safety`: made before a restore."""
        tags = (_MARK, f"sequence:{sequence}", f"sha256:{sha256}", *([_SAFETY] if safety else []))
        options = [option for tag in tags for option in ("--tag", tag)]
        # Relative names, so that the files stand at the snapshot's root wherever this host keeps its work.
        command = ("backup", "--json", "--host", self.tenant, "--force", *options, *names)
        printed = self._run(*command, directory=directory)
        for line in printed.splitlines():
            record = json.loads(line)
            if record.get("message_type") == "summary":
                return str(record["snapshot_id"])
        raise self._error("restic backup ended well, but named no snapshot")

    def dump(self, snapshot: str, name: str, target: BinaryIO) -> str:
        """Read one file of a snapshot back into `target`; the sha256 of its bytes."""
        with self._given_back(snapshot, f"/{name}") as stream:
            return _hash(stream, target)

    def read_back(self, snapshot: str) -> dict[str, str]:
        """Read all files of a snapshot; the sha256 of each."""
        with (
            self._given_back("--archive", "tar", snapshot, "/") as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            return {
                Path(member.name).name: _hash(cast(BinaryIO, archive.extractfile(member)))
                for member in archive
                if member.isfile()
            }

    @contextlib.contextmanager
    def _given_back(self, *arguments: str) -> Iterator[BinaryIO]:
        """What `restic dump` writes; ResticError if it ended in an error, whatever was made of what came."""
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                [self._binary, "dump", *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
            ) as process,
        ):
            stream, cut = cast(BinaryIO, process.stdout), ""
            try:
                yield stream
            except tarfile.TarError as error:
                cut = f"unexpected EOF: {error}"
            while stream.read(_CHUNK):
                pass
            if process.wait():
                said.seek(0)
                raise self._error(said.read().decode(errors="replace"))
            if cut:
                raise self._error(cut)

    def read(self, snapshot: str, name: str) -> bytes:
        """A small file of a snapshot."""
        target = io.BytesIO()
        self.dump(snapshot, name, target)
        return target.getvalue()

    def find(self, wanted: str) -> Snapshot:
        """The snapshot of this id, or the beginning of it; `latest` is the newest good one.

        Those made before a restore are found by their id alone: otherwise a restore that is run again after it was
        interrupted would bring back what it is to replace.
        """
        there = self.snapshots()
        good = newest_first(entry for entry in there if entry.verified and not entry.safety)
        if wanted == LATEST:
            if good:
                return good[0]
            raise self._not_found(
                f"the repository {self.shown} holds no good snapshot of {self.tenant}", there
            )
        found = [entry for entry in there if _named(entry, wanted)] if wanted else []
        if len(found) == 1:
            return found[0]
        what = "several snapshots that start with" if found else "no snapshot"
        raise self._not_found(f"the repository {self.shown} holds {what} {wanted!r} of {self.tenant}", there)

    def _not_found(self, happened: str, there: Sequence[Snapshot]) -> ResticError:
        newest = [f"{entry.id[:8]} ({entry.time:%Y-%m-%d %H:%M} UTC)" for entry in newest_first(there)[:5]]
        listed = ", ".join(newest) or "none"
        return ResticError("not found", happened, f"name one that is there; the newest are: {listed}")

    def mark_verified(self, snapshot: str) -> None:
        """Note in the repository that the snapshot was read back and found good; this gives it a new id."""
        try:
            self._run("tag", "--add", _VERIFIED, snapshot)
        except ResticError:
            # An append-only repository takes the marked one and refuses to remove the one without the mark.
            if not any(entry.verified and entry.original == snapshot for entry in self.snapshots()):
                raise

    def check(self, subset: str) -> None:
        """Check the structure of the repository, and read one part of all its data ("3/7")."""
        self._run("check", f"--read-data-subset={subset}")

    def forget(self, snapshots: Sequence[str], *, prune: bool) -> None:
        """Remove snapshots; `prune` also frees the space of what no other snapshot uses."""
        self._run("forget", *(["--prune"] if prune else []), *snapshots)

    def _run(self, *arguments: str, directory: Path | None = None) -> str:
        """Run restic; waits for a lock of another run, and removes locks of runs that are dead."""
        deadline = time.monotonic() + self._lock_seconds
        while True:
            result = self._call(*arguments, directory=directory)
            if result.returncode == 0:
                return result.stdout
            error = self._error(result.stderr)
            if error.kind != "locked" or time.monotonic() > deadline:
                raise error
            self._call("unlock")
            time.sleep(_LOCK_PAUSE_SECONDS)

    def _call(self, *arguments: str, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [self._binary, *arguments]
        try:
            with (
                tempfile.TemporaryFile() as printed,
                subprocess.Popen(
                    command,
                    env=self._environment,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                ) as process,
            ):
                said = _heard(process)
                printed.seek(0)
                output = printed.read().decode(errors="replace")
                return subprocess.CompletedProcess(command, process.wait(), output, said)
        except FileNotFoundError as error:
            happened = f"there is no program {self._binary}"
            raise ResticError("missing program", happened, "apt-get install restic") from error

    def _error(self, said: str) -> ResticError:
        happened = f"the repository {_without_password(self.repository)}: {_without_password(_gist(said))}"
        for pattern, kind, help_text in _TROUBLES:
            if re.search(pattern, said, re.IGNORECASE | re.MULTILINE):
                return ResticError(kind, happened, self._fill(help_text))
        return ResticError("other", happened, self._fill("see what restic says, then run it again"))

    def _fill(self, text: str) -> str:
        names = {"password_file": self.password_file, "binary": self._binary}
        return text.format(repository=_without_password(self.repository), **names)


def _heard(process: subprocess.Popen[str]) -> str:
    """What restic says until it ends; it is interrupted, and so removes its lock, when it retries what cannot succeed.

    Not where it may not remove something: it goes on without that where a repository is append-only.
    """
    said = []
    for line in process.stderr or ():
        said.append(line)
        if _RETRIES.search(line) and _HOPELESS.search(line) and not line.startswith("Remove("):
            process.send_signal(signal.SIGINT)
    return "".join(said)


def _snapshot(entry: dict[str, Any]) -> Snapshot:
    tags = dict(tag.partition(":")[::2] for tag in entry.get("tags") or [])
    return Snapshot(
        id=entry["id"],
        sequence=int(tags.get("sequence") or 0),
        time=parse_time(entry["time"]),
        verified=_VERIFIED in tags,
        sha256=tags.get("sha256", ""),
        original=entry.get("original") or "",
        safety=_SAFETY in tags,
    )


def _named(snapshot: Snapshot, wanted: str) -> bool:
    return snapshot.id.startswith(wanted) or bool(snapshot.original and snapshot.original.startswith(wanted))


def parse_time(text: str) -> datetime:
    """A time as restic prints it: RFC 3339 with nanoseconds."""
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")
    return datetime.fromisoformat(cut).astimezone(UTC)


def _hash(stream: BinaryIO, target: BinaryIO | None = None) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest()


def _gist(said: str) -> str:
    """The one line of restic's output that says what is wrong."""
    # Go's stack traces stand indented, below lines that name a package.
    lines = [
        line for line in said.splitlines() if line.strip() and not line.startswith(("\t", "github.com/"))
    ]
    fatal = [line for line in lines if line.startswith("Fatal:")]
    telling = [line for line in lines if _TELLING.search(line)]
    gist = (fatal or telling or lines or ["restic said nothing"])[0].strip()
    return _RETRIES.sub("", gist.removeprefix("Fatal: "))[:500]


def _without_password(repository: str) -> str:
    return re.sub(r"(://[^/:@]*):[^/@]+@", r"\1:***@", repository)
