# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Asks a registry for an image, and pushes one to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.sortie.platform.plugins.module_utils._image_pack import NAME
from ansible_collections.sortie.platform.plugins.module_utils._image_run import (
    CommandError,
    ImageError,
    progress,
    require_tool,
    run,
)

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
TIMEOUT_SECONDS = 15
# Registries take no larger manifest; what else is read here is smaller still.
MOST_BYTES = 4 << 20
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
NOT_PUSHED = "The image is built and kept; nothing was pushed."


@dataclass(frozen=True)
class Registry:
    """A registry by its address (`host[:port][/path]`), and how to speak to it.

    Without `tls_verify` any certificate is accepted, and plain HTTP where the registry speaks no TLS.
    """

    address: str
    auth_file: Path | None = None
    tls_verify: bool = True

    @property
    def host(self) -> str:
        return self.address.partition("/")[0]

    def repository(self, name: str) -> str:
        """An image's name as the registry's API has it."""
        path = self.address.partition("/")[2]
        return f"{path}/{name}" if path else name

    def skopeo_options(self, side: str) -> list[str]:
        """skopeo's options for this registry as `side`, src or dest. The password stays in its file."""
        options = [] if self.tls_verify else [f"--{side}-tls-verify=false"]
        return [*options, f"--authfile={self.auth_file}"] if self.auth_file else options

    def digest_of(self, name: str, tag: str) -> str | None:
        """The digest of a tag; None if the registry has none or does not let this user see it.

        One request where it asks for no token. Raises ImageError if there is no usable answer.
        """
        answer = self._request("HEAD", name, f"manifests/{tag}")
        return answer.headers.get("Docker-Content-Digest") if answer else None

    def read(self, name: str, path: str) -> bytes | None:
        """A manifest (`manifests/TAG`) or a small blob (`blobs/DIGEST`) of an image's repository; None as above."""
        answer = self._request("GET", name, path)
        return answer.body if answer else None

    def _request(self, method: str, name: str, path: str) -> Answer | None:
        path = f"/v2/{self.repository(name)}/{path}"
        credentials = self._credentials(name)
        answer = self._ask(method, path, f"Basic {credentials}" if credentials else "")
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status == 401 and challenge.lower().startswith("bearer"):
            if not (token := self._token(challenge, credentials)):
                return None
            answer = self._ask(method, path, f"Bearer {token}")
        if answer.status in (401, 403, 404):
            return None
        if answer.status != 200:
            raise self.refusal(f"it answered {answer.status} when asked for {path}", answer.status)
        return answer

    def push(self, layout: Path, name: str, tag: str) -> None:
        """Copies the layout's image to the registry, without changing its digest."""
        require_tool("skopeo", "pushes images")
        target = f"{self.address}/{name}:{tag}"
        progress(f"pushing {target}")
        options = ["--quiet", "--preserve-digests", *self.skopeo_options("dest")]
        try:
            run(["skopeo", "copy", *options, f"oci:{layout}:{NAME}", f"docker://{target}"])
        except CommandError as error:
            raise self.refusal(str(error), _status_in(str(error))) from error

    def refusal(self, said: str, status: int = 0) -> ImageError:
        """The error for an answer that is no success; `status` is HTTP's, 0 if it told none."""
        login = f"podman login --authfile {self.auth_file or '.local/registry/auth.json'} {self.host}"
        if status == 401:
            wrong, todo = (
                "does not accept the credentials",
                f"{login} (image_auth_file is where they are read from)",
            )
        elif status == 403:
            wrong, todo = (
                "does not let this user push",
                f"ask its owner for the right to push to {self.address}, or set image_registry to another",
            )
        elif status:
            wrong, todo = "refuses the image", "mend what it says, then run this again"
        else:
            scheme = "https" if self.tls_verify else "http"
            wrong, todo = (
                "cannot be used",
                f"check that it runs and is the right one: curl -i {scheme}://{self.host}/v2/ "
                "(image_registry, image_registry_tls_verify); to build without pushing: -e image_push=false",
            )
        return ImageError(f"The registry {self.address} {wrong}: {said}", todo, NOT_PUSHED)

    def _credentials(self, name: str) -> str:
        """The entry for the image, its path or its host, the most exact first; empty if no file has one."""
        parts = f"{self.address}/{name}".split("/")
        for file in [self.auth_file] if self.auth_file else default_auth_files():
            entries = self._read_auth(file)
            for length in range(len(parts), 0, -1):
                if auth := entries.get("/".join(parts[:length]), {}).get("auth"):
                    return str(auth)
        return ""

    def _read_auth(self, file: Path) -> dict[str, dict[str, str]]:
        try:
            entries = json.loads(file.read_text()).get("auths", {})
        except (OSError, ValueError, AttributeError) as error:
            raise ImageError(
                f"The registry's credentials cannot be read from {file}: {_words(error)}",
                f"podman login --authfile {file} {self.host}",
                NOT_PUSHED,
            ) from error
        return entries if isinstance(entries, dict) else {}

    def _token(self, challenge: str, credentials: str) -> str:
        """A token from where the registry's challenge sends us; empty if it is refused."""
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = urllib.parse.urlencode(
            {name: fields[name] for name in ("service", "scope") if name in fields}
        )
        url = f"{fields.get('realm', '')}?{query}"
        answer = self._open("GET", url, f"Basic {credentials}" if credentials else "")
        if answer.status in (401, 403):
            return ""
        try:
            content = json.loads(answer.body)
            return str(content.get("token") or content["access_token"])
        except (ValueError, KeyError, AttributeError) as error:
            raise self.refusal(
                f"{fields.get('realm')} gave no token ({answer.status})", answer.status
            ) from error

    def _ask(self, method: str, path: str, authorization: str) -> Answer:
        """Asks for a path; where certificates are not verified, also a registry without TLS."""
        try:
            return self._open(method, f"https://{self.host}{path}", authorization)
        except (ssl.SSLError, ConnectionResetError) as error:
            if self.tls_verify:
                raise self.refusal(_words(error)) from error
            return self._open(method, f"http://{self.host}{path}", authorization)

    def _open(self, method: str, url: str, authorization: str) -> Answer:
        """One request. SSLError and ConnectionResetError come as they are, other failures as ImageError."""
        if not url.startswith(("https://", "http://")):
            raise self.refusal(f"it names {url!r} as the place to get a token from")
        headers = {"Accept": MANIFEST_TYPE}
        request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 (HTTP, see above)
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        try:
            with self._opener().open(request, timeout=TIMEOUT_SECONDS) as response:
                return Answer(response.status, response.headers, response.read(MOST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, (ssl.SSLError, ConnectionResetError)):
                raise reason from error
            raise self.refusal(_words(reason)) from error

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context()
        if not self.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
        if is_local(self.host):
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)


@dataclass(frozen=True)
class Answer:
    """What a registry answered."""

    status: int
    headers: Message
    body: bytes


def registry_of(host: str, path: str, registries: dict[str, Any]) -> Registry:
    """The registry of an image, up to the image's last part, and how to speak to it."""
    given = registries.get(host, {})
    auth_file, tls_verify = given.get("auth_file"), given.get("tls_verify")
    return Registry(
        f"{host}/{path}".rstrip("/"),
        Path(auth_file).expanduser() if auth_file else None,
        # From the command line (-e) it comes as a string.
        not is_local(host) if tls_verify is None else boolean(tls_verify),
    )


def is_local(host: str) -> bool:
    """Whether a registry's host is this machine itself."""
    return host.rpartition(":")[0].strip("[]") in LOCAL_HOSTS or host in LOCAL_HOSTS


def default_auth_files() -> list[Path]:
    """Where podman and docker keep credentials, as far as these files exist."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    docker = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
    named = os.environ.get("REGISTRY_AUTH_FILE")
    files = (
        [Path(named)] if named else [Path(runtime, "containers", "auth.json"), Path(docker, "config.json")]
    )
    return [file for file in files if file.is_file()]


def _words(error: Exception | str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, socket.gaierror):
        return f"there is no such host ({error.strerror})"
    return str(error) or type(error).__name__


def _status_in(said: str) -> int:
    """The HTTP status that skopeo's words stand for; 0 if they tell none."""
    lowered = said.lower()
    for status, words in ((401, ("unauthorized", "authentication required")), (403, ("denied", "forbidden"))):
        if any(word in lowered for word in words):
            return status
    found = re.search(r"status(?: code)?:? (\d{3})", lowered)
    return int(found[1]) if found else 0
