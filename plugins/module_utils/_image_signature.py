# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Signs images and verifies signatures, in the form that cosign reads and writes.

A signature lies beside its image, in the same repository, under the tag `sha256-DIGEST.sig`: an artifact whose layers
are payloads that name the image's digest (the format is called simple signing), each with a signature in an
annotation. Everyone who signs adds a layer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.sortie.platform.plugins.module_utils._image_pack import NAME
from ansible_collections.sortie.platform.plugins.module_utils._image_registry import Registry
from ansible_collections.sortie.platform.plugins.module_utils._image_run import ImageError
from ansible_collections.sortie.platform.plugins.module_utils._oci import (
    CONFIG_TYPE,
    Blob,
    write_artifact,
)

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
KIND = "cosign container image signature"
ALGORITHM = ec.ECDSA(hashes.SHA256())


def tag_of(digest: str, kind: str) -> str:
    """The tag of what lies beside an image: its signatures (`sig`) or its bill of materials (`sbom`)."""
    return f"{digest.replace(':', '-')}.{kind}"


@dataclass(frozen=True)
class PublicKey:
    """A public key (ECDSA P-256) in PEM form."""

    pem: str

    @cached_property
    def _key(self) -> ec.EllipticCurvePublicKey:
        try:
            key = serialization.load_pem_public_key(self.pem.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"no public key in PEM form ({_first_words(error)})") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("a key of another kind than ECDSA P-256")
        return key

    def check(self) -> None:
        """Raises ValueError, which says what was given, if it is no key that signatures can be verified with."""
        _ = self._key

    def accepts(self, payload: bytes, signature: str) -> bool:
        try:
            self._key.verify(base64.b64decode(signature, validate=True), payload, ALGORITHM)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key (ECDSA P-256)."""

    key: ec.EllipticCurvePrivateKey

    @property
    def public(self) -> PublicKey:
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return PublicKey(pem.decode())

    def sign(self, payload: bytes) -> str:
        return base64.b64encode(self.key.sign(payload, ALGORITHM)).decode()


def read_key(path: Path, password: str | None = None) -> SigningKey:
    """The private key of a file. Raises ImageError if there is none that can be used."""
    todo = f"make one with: openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -out {path} (image_signing_key)"
    try:
        content = path.read_bytes()
        key = serialization.load_pem_private_key(content, password.encode() if password else None)
    except OSError as error:
        raise ImageError(f"The signing key {path} cannot be read: {error.strerror}", todo) from error
    except TypeError as error:
        raise ImageError(
            f"The signing key {path} and its password do not fit: {_first_words(error)}",
            "set image_signing_key_password, or leave it empty for a key that has none",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ImageError(
            f"The signing key {path} is no private key in PEM form, or its password is another "
            "(cosign's own encrypted keys are not read)",
            todo,
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ImageError(f"The signing key {path} is of another kind than ECDSA P-256", todo)
    return SigningKey(key)


def make_key(path: Path) -> None:
    """Writes a new private key, for its owner alone, and its public key beside it (`.pub`)."""
    key = SigningKey(ec.generate_private_key(ec.SECP256R1()))
    private = key.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # The private key comes last: without it there is none, so a run that is cut off begins anew.
    for target, content, mode in (
        (path.with_suffix(".pub"), key.public.pem.encode(), 0o644),
        (path, private, 0o600),
    ):
        part = target.with_name(f".{target.name}.partial")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        part.replace(target)


def read_public_key(given: str) -> PublicKey:
    """A public key by its PEM text or the path of its file. Raises ValueError, which says what is wrong."""
    if given.lstrip().startswith("-----BEGIN"):
        key, what = PublicKey(given), "the public key"
    else:
        what = f"the public key {given}"
        try:
            key = PublicKey(Path(given).expanduser().read_text())
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ValueError(f"{what} cannot be read: {reason}") from error
    try:
        key.check()
    except ValueError as error:
        raise ValueError(f"{what} is {error}; expected is one of ECDSA P-256 in PEM form") from error
    return key


def split_reference(image: str) -> tuple[str, str, str, str]:
    """Host, path, name and digest of an image. Raises ValueError where it lacks its host or its digest."""
    named, _, digest = image.partition("@")
    host, _, rest = named.partition("/")
    path, _, name = rest.rpartition("/")
    name = name.partition(":")[0]
    if not digest or not name or not (set(host) & set(".:") or host == "localhost"):
        raise ValueError("expected is registry/name@sha256:..., since a signature is one of a digest")
    return host, path, name, digest


@dataclass(frozen=True)
class Signature:
    """A payload and its signature."""

    payload: bytes
    signature: str

    def is_of(self, digest: str, key: PublicKey) -> bool:
        """Whether it says that the owner of a key stands for an image."""
        return key.accepts(self.payload, self.signature) and _signed_digest(self.payload) == digest


def _signed_digest(payload: bytes) -> str:
    try:
        critical = json.loads(payload)["critical"]
        return str(critical["image"]["docker-manifest-digest"]) if critical["type"] == KIND else ""
    except (ValueError, KeyError, TypeError):
        return ""


def sign(repository: str, digest: str, key: SigningKey) -> Signature:
    content = {
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": digest},
            "type": KIND,
        },
        "optional": None,
    }
    payload = json.dumps(content, separators=(",", ":")).encode()
    return Signature(payload, key.sign(payload))


def write_signatures(place: Path, signatures: list[Signature]) -> str:
    """Writes the artifact with signatures as a layout and returns its digest."""
    blobs = [Blob(PAYLOAD_TYPE, each.payload, {ANNOTATION: each.signature}) for each in signatures]
    # What reads artifacts of this kind wants the configuration of an image.
    config = {
        "architecture": "",
        "os": "",
        "created": "0001-01-01T00:00:00Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [blob.descriptor()["digest"] for blob in blobs]},
        "history": [{"created": "0001-01-01T00:00:00Z"} for _ in blobs],
    }
    return write_artifact(place, NAME, Blob(CONFIG_TYPE, json.dumps(config).encode()), blobs, {})


def find_signatures(registry: Registry, name: str, digest: str) -> list[Signature]:
    """The signatures that a registry has of an image. Raises ImageError if it does not answer."""
    content = registry.read(name, f"manifests/{tag_of(digest, 'sig')}")
    return list(_signatures(registry, name, content)) if content else []


def _signatures(registry: Registry, name: str, content: bytes) -> Iterator[Signature]:
    """Those of an artifact's manifest. A payload that is not what its digest says is left out, as is what is no signature."""
    try:
        layers = json.loads(content)["layers"]
        found = [
            (str(layer["digest"]), str(layer["annotations"][ANNOTATION]))
            for layer in layers
            if layer["mediaType"] == PAYLOAD_TYPE
        ]
    except (ValueError, KeyError, TypeError):
        return
    for digest, signature in found:
        payload = registry.read(name, f"blobs/{digest}") or b""
        if digest == f"sha256:{hashlib.sha256(payload).hexdigest()}":
            yield Signature(payload, signature)


def verify(registry: Registry, name: str, digest: str, key: PublicKey) -> str:
    """Why an image is not to be trusted; empty if the owner of the key has signed it."""
    try:
        there = find_signatures(registry, name, digest)
    except ImageError as error:
        return f"its signature cannot be read: {error.wrong}"
    if any(signature.is_of(digest, key) for signature in there):
        return ""
    if there:
        return f"it is signed, but not by this key ({len(there)} other{'s' * (len(there) > 1)})"
    return "it has no signature, or none that this user may see"


def _first_words(error: Exception) -> str:
    return str(error).partition(".")[0].partition("(")[0].strip()
