"""Only an image that the owner of the key has signed is accepted, and no image of another digest."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _image_signature
from ansible_collections.sortie.platform.plugins.module_utils._image_registry import Registry
from ansible_collections.sortie.platform.plugins.module_utils._image_run import ImageError
from ansible_collections.sortie.platform.plugins.module_utils._image_signature import (
    ANNOTATION,
    PAYLOAD_TYPE,
    Signature,
    SigningKey,
    make_key,
    read_key,
    read_public_key,
    sign,
    split_reference,
    tag_of,
    verify,
    write_signatures,
)
from ansible_collections.sortie.platform.plugins.module_utils._oci import blob_path, read_manifest

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
REGISTRY = Registry("registry.test/team")
REPOSITORY = "registry.test/team/sortie"


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    make_key(tmp_path / "cosign.key")
    return read_key(tmp_path / "cosign.key")


@pytest.fixture
def stranger(tmp_path: Path) -> SigningKey:
    make_key(tmp_path / "stranger.key")
    return read_key(tmp_path / "stranger.key")


class Content:
    """What a registry has in a repository, by path."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[str, bytes] = {}
        monkeypatch.setattr(Registry, "read", lambda registry, name, path: self.at.get(path))

    def put(self, place: Path, *signatures: Signature, tag: str = tag_of(DIGEST, "sig")) -> None:
        write_signatures(place, list(signatures))
        manifest = read_manifest(place, "image")
        self.at[f"manifests/{tag}"] = json.dumps(manifest).encode()
        for layer in manifest["layers"]:
            self.at[f"blobs/{layer['digest']}"] = blob_path(place, layer).read_bytes()


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> Content:
    return Content(monkeypatch)


def test_a_signed_image_is_accepted(content: Content, key: SigningKey, tmp_path: Path) -> None:
    content.put(tmp_path / "layout", sign(REPOSITORY, DIGEST, key))
    assert verify(REGISTRY, "sortie", DIGEST, key.public) == ""


def test_a_signature_among_those_of_others_is_found(
    content: Content, key: SigningKey, stranger: SigningKey, tmp_path: Path
) -> None:
    content.put(tmp_path / "layout", sign(REPOSITORY, DIGEST, stranger), sign(REPOSITORY, DIGEST, key))
    assert verify(REGISTRY, "sortie", DIGEST, key.public) == ""


def test_an_image_without_a_signature_is_refused(content: Content, key: SigningKey) -> None:
    assert "has no signature" in verify(REGISTRY, "sortie", DIGEST, key.public)


def test_the_signature_of_a_stranger_is_refused(
    content: Content, key: SigningKey, stranger: SigningKey, tmp_path: Path
) -> None:
    content.put(tmp_path / "layout", sign(REPOSITORY, DIGEST, stranger))
    assert "not by this key (1 other)" in verify(REGISTRY, "sortie", DIGEST, key.public)


def test_the_signature_of_another_image_is_refused(content: Content, key: SigningKey, tmp_path: Path) -> None:
    """Moved to this image's tag: the signature is good, but not one of this digest."""
    content.put(tmp_path / "layout", sign(REPOSITORY, OTHER, key))
    assert "not by this key" in verify(REGISTRY, "sortie", DIGEST, key.public)


def test_a_payload_that_was_changed_is_refused(content: Content, key: SigningKey, tmp_path: Path) -> None:
    signed = sign(REPOSITORY, OTHER, key)
    content.put(tmp_path / "layout", replace(signed, payload=signed.payload.replace(b"b" * 64, b"a" * 64)))
    assert "not by this key" in verify(REGISTRY, "sortie", DIGEST, key.public)


def test_a_blob_that_is_not_what_its_digest_says_is_refused(
    content: Content, key: SigningKey, tmp_path: Path
) -> None:
    content.put(tmp_path / "layout", sign(REPOSITORY, DIGEST, key))
    (blob,) = [path for path in content.at if path.startswith("blobs/")]
    content.at[blob] += b" "
    assert "has no signature" in verify(REGISTRY, "sortie", DIGEST, key.public)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b'{"critical":null}', b'{"critical":{"image":{"docker-manifest-digest":"x"}}}'],
)
def test_a_signed_text_that_is_no_payload_is_refused(
    payload: bytes, content: Content, key: SigningKey, tmp_path: Path
) -> None:
    content.put(tmp_path / "layout", Signature(payload, key.sign(payload)))
    assert "not by this key" in verify(REGISTRY, "sortie", DIGEST, key.public)


def test_a_payload_of_another_kind_is_refused(content: Content, key: SigningKey, tmp_path: Path) -> None:
    """A key that signs other things too must not have signed an image by accident."""
    payload = sign(REPOSITORY, DIGEST, key).payload.replace(b"cosign container image signature", b"promise")
    content.put(tmp_path / "layout", Signature(payload, key.sign(payload)))
    assert "not by this key" in verify(REGISTRY, "sortie", DIGEST, key.public)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"layers":[{}]}',
        b'{"layers":7}',
        json.dumps({"layers": [{"mediaType": PAYLOAD_TYPE, "digest": DIGEST, "annotations": None}]}).encode(),
        json.dumps(
            {"layers": [{"mediaType": PAYLOAD_TYPE, "digest": DIGEST, "annotations": {ANNOTATION: "x"}}]}
        ).encode(),
    ],
)
def test_a_manifest_that_holds_no_signatures_is_refused(
    manifest: bytes, content: Content, key: SigningKey
) -> None:
    content.at[f"manifests/{tag_of(DIGEST, 'sig')}"] = manifest
    assert "has no signature" in verify(REGISTRY, "sortie", DIGEST, key.public)


@pytest.mark.parametrize("signature", ["", "no base64!", base64.b64encode(b"short").decode()])
def test_a_signature_that_is_none_is_refused(
    signature: str, content: Content, key: SigningKey, tmp_path: Path
) -> None:
    content.put(tmp_path / "layout", Signature(sign(REPOSITORY, DIGEST, key).payload, signature))
    assert verify(REGISTRY, "sortie", DIGEST, key.public) != ""


def test_a_registry_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, key: SigningKey) -> None:
    def fail(*arguments: object) -> None:
        raise REGISTRY.refusal("Connection refused")

    monkeypatch.setattr(Registry, "read", fail)
    told = verify(REGISTRY, "sortie", DIGEST, key.public)
    assert (
        told
        == "its signature cannot be read: The registry registry.test/team cannot be used: Connection refused"
    )


def test_the_artifact_is_what_cosign_writes(key: SigningKey, tmp_path: Path) -> None:
    signed = sign(REPOSITORY, DIGEST, key)
    write_signatures(tmp_path / "layout", [signed])
    manifest: dict[str, Any] = read_manifest(tmp_path / "layout", "image")
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    assert layer["annotations"] == {"dev.cosignproject.cosign/signature": signed.signature}
    assert json.loads(blob_path(tmp_path / "layout", layer).read_bytes()) == {
        "critical": {
            "identity": {"docker-reference": REPOSITORY},
            "image": {"docker-manifest-digest": DIGEST},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    assert layer["digest"] == f"sha256:{hashlib.sha256(signed.payload).hexdigest()}"
    assert tag_of(DIGEST, "sig") == f"sha256-{'a' * 64}.sig"


def test_openssl_accepts_the_signature(key: SigningKey, tmp_path: Path) -> None:
    signed = sign(REPOSITORY, DIGEST, key)
    for name, data in (
        ("payload", signed.payload),
        ("signature", base64.b64decode(signed.signature)),
        ("key.pub", key.public.pem.encode()),
    ):
        (tmp_path / name).write_bytes(data)
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pub", "-signature", "signature", "payload"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "payload").write_bytes(signed.payload + b" ")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_a_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "signing" / "cosign.key"
    make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.with_suffix(".pub").read_text() == read_key(path).public.pem
    assert sorted(file.name for file in path.parent.iterdir()) == ["cosign.key", "cosign.pub"]


def openssl(path: Path, *arguments: str) -> Path:
    subprocess.run(["openssl", *arguments, "-out", str(path)], capture_output=True, check=True)
    return path


def test_a_key_of_openssl_with_a_password_is_read(tmp_path: Path) -> None:
    plain = openssl(tmp_path / "plain", "ecparam", "-name", "prime256v1", "-genkey", "-noout")
    locked = openssl(
        tmp_path / "locked", "pkcs8", "-topk8", "-in", str(plain), "-passout", "pass:correct horse"
    )
    assert read_key(locked, "correct horse").public == read_key(plain).public
    with pytest.raises(ImageError, match=r"its password is another.*Nothing was changed"):
        read_key(locked, "wrong horse")
    with pytest.raises(ImageError, match=r"do not fit.*Next: set image_signing_key_password"):
        read_key(locked)
    with pytest.raises(ImageError, match=r"do not fit.*or leave it empty"):
        read_key(plain, "correct horse")


def test_keys_that_cannot_sign_are_told_with_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    other = openssl(tmp_path / "other", "ecparam", "-name", "secp384r1", "-genkey", "-noout")
    for path, words in (
        (tmp_path / "none", "cannot be read: No such file"),
        (tmp_path / "text", r"cosign's own encrypted keys are not read"),
        (other, "of another kind than ECDSA P-256"),
    ):
        with pytest.raises(ImageError, match=rf"{words}.*Next: make one with: openssl ecparam"):
            read_key(path)


def test_a_public_key_is_given_as_text_or_as_a_file(key: SigningKey, tmp_path: Path) -> None:
    assert read_public_key(str(tmp_path / "cosign.pub")) == read_public_key(key.public.pem) == key.public


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "the public key is no public key in PEM form",
        ),
        ("/no/such/file", "the public key /no/such/file cannot be read: No such file"),
    ],
)
def test_what_is_no_public_key_is_told(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_public_key(text)


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        (f"localhost:5000/sortie@{DIGEST}", ("localhost:5000", "", "sortie", DIGEST)),
        (f"registry.test/team/sortie:1.2@{DIGEST}", ("registry.test", "team", "sortie", DIGEST)),
        (f"localhost/a/b/sortie@{DIGEST}", ("localhost", "a/b", "sortie", DIGEST)),
    ],
)
def test_an_image_is_taken_apart(image: str, parts: tuple[str, ...]) -> None:
    assert split_reference(image) == parts


@pytest.mark.parametrize("image", ["registry.test/sortie:1", f"sortie@{DIGEST}", f"team/sortie@{DIGEST}"])
def test_an_image_without_registry_or_digest_is_told(image: str) -> None:
    with pytest.raises(ValueError, match=r"expected is registry/name@sha256"):
        split_reference(image)


def test_a_registry_is_asked_for_the_tag_that_cosign_uses(
    monkeypatch: pytest.MonkeyPatch, key: SigningKey
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Registry, "read", lambda registry, name, path: asked.append(path))
    _image_signature.verify(REGISTRY, "sortie", DIGEST, key.public)
    assert asked == [f"manifests/sha256-{'a' * 64}.sig"]
