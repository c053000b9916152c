"""When the image is built, pushed and recorded, and when not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import (
    _image,
    _image_base,
    _image_build,
    _image_wheels,
)
from ansible_collections.sortie.platform.plugins.module_utils._image import (
    KEPT_ENTRIES,
    Request,
    ensure,
    read_record,
    read_version,
)
from ansible_collections.sortie.platform.plugins.module_utils._image_registry import Registry
from ansible_collections.sortie.platform.plugins.module_utils._image_run import ImageError
from ansible_collections.sortie.platform.plugins.module_utils._image_signature import (
    find_signatures,
    make_key,
    read_key,
    read_public_key,
    tag_of,
    verify,
)
from ansible_collections.sortie.platform.plugins.module_utils._oci import (
    Image,
    Layer,
    Layout,
    blob_path,
    manifests_of,
    read_manifest,
)

EVERYTHING = ["built", "pushed", "described", "signed", "recorded"]


def write_layout(place: Path, name: str, content: str) -> None:
    """A layout with one image, whose digest follows from `content`."""
    layout = Layout(place)
    layout.add(Image(name, [Layer(links={"content": content})]), "amd64")
    layout.finish()


class Steps:
    """Stands in for the slow steps, and counts them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.packages = "one"
        self.pushed: dict[str, str] = {}
        self.content: dict[str, bytes] = {}
        self.reachable = True

    def make_debian(self, place: Path, scratch: Path, prepare: Path) -> None:
        self.done.append("base")
        write_layout(place, "base", self.packages)

    def download(self, python: str, target: str, lock: Path, place: Path) -> None:
        self.done.append(f"wheels of {lock.name}")
        (place / "thing-1.0-py3-none-any.whl").write_text(lock.read_text())

    def build(self, builder: str, context: Path, base: _image_base.Base, version: str, place: Path) -> None:
        self.done.append(f"build with {builder}")
        content = (context / "source" / "src" / "sortie" / "version.py").read_text()
        write_layout(place, "image", f"{content} {base.digest}")

    def digest_of(self, registry: Registry, name: str, tag: str) -> str | None:
        if not self.reachable:
            raise registry.refusal("Connection refused")
        return self.pushed.get(tag)

    def read(self, registry: Registry, path: str) -> bytes | None:
        if not self.reachable:
            raise registry.refusal("Connection refused")
        return self.content.get(path)

    def push(self, layout: Path, tag: str) -> None:
        self.done.append(f"push {tag.rpartition('.')[2]}" if tag.startswith("sha256-") else "push")
        self.pushed[tag] = str(manifests_of(layout)["image"]["digest"])
        manifest = read_manifest(layout, "image")
        self.content[f"manifests/{tag}"] = json.dumps(manifest).encode()
        for layer in manifest["layers"]:
            self.content[f"blobs/{layer['digest']}"] = blob_path(layout, layer).read_bytes()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    found = Steps()
    monkeypatch.setattr(_image_base, "make_debian", found.make_debian)
    monkeypatch.setattr(_image_wheels, "download", found.download)
    monkeypatch.setattr(_image_build, "build", found.build)
    monkeypatch.setattr(_image, "require_tool", lambda tool, purpose: None)

    def digest_of(registry: Registry, name: str, tag: str) -> str | None:
        return found.digest_of(registry, name, tag)

    def push(registry: Registry, layout: Path, name: str, tag: str) -> None:
        found.push(layout, tag)

    monkeypatch.setattr(Registry, "digest_of", digest_of)
    monkeypatch.setattr(Registry, "read", lambda registry, name, path: found.read(registry, path))
    monkeypatch.setattr(Registry, "push", push)
    return found


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    source = tmp_path / "app"
    (source / "src" / "sortie").mkdir(parents=True)
    (source / "Containerfile").write_text("FROM scratch\n")
    (source / "requirements.lock").write_text("thing==1.0\n")
    (source / "pyproject.toml").write_text('[project]\nname = "sortie"\nversion = "1.2.0"\n')
    (source / "src" / "sortie" / "version.py").write_text("A = 1\n")
    (tmp_path / "prepare.py").write_text("pass\n")
    (tmp_path / "tools.lock").write_text("pip==1\n")
    return Request(
        name="sortie",
        source=source,
        prepare=tmp_path / "prepare.py",
        tools=tmp_path / "tools.lock",
        registry=Registry("registry.test/team"),
        cache=tmp_path / "cache",
        record=tmp_path / "local" / "image.json",
        python="python3",
        signing_key=tmp_path / "local" / "cosign.key",
        make_signing_key=True,
    )


def test_the_first_run_builds_pushes_and_records(steps: Steps, request_: Request) -> None:
    outcome = ensure(request_)
    assert steps.done == [
        "base",
        "wheels of requirements.lock",
        "wheels of tools.lock",
        "build with buildah",
        "push",
        "push sbom",
        "push sig",
    ]
    assert outcome.done == EVERYTHING
    digest = outcome.image["digest"]
    assert outcome.image["reference"] == f"registry.test/team/sortie@{digest}"
    assert outcome.image["tag"].startswith("registry.test/team/sortie:1.2.0-")
    assert len(outcome.image["tag"].rpartition("-")[2]) == 12
    assert json.loads(request_.record.read_text()) == outcome.image


def test_an_unchanged_run_does_nothing(steps: Steps, request_: Request) -> None:
    first = ensure(request_)
    steps.done.clear()
    second = ensure(request_)
    assert (steps.done, second.done, second.image) == ([], [], first.image)


def test_a_changed_source_is_built_and_pushed_again(steps: Steps, request_: Request) -> None:
    first = ensure(request_)
    steps.done.clear()
    (request_.source / "src" / "sortie" / "version.py").write_text("A = 2\n")
    second = ensure(request_)
    assert steps.done == ["build with buildah", "push", "push sbom", "push sig"]
    assert second.image["digest"] != first.image["digest"]


def test_what_python_and_editors_leave_changes_nothing(steps: Steps, request_: Request) -> None:
    ensure(request_)
    steps.done.clear()
    for name in ("__pycache__/a.pyc", ".idea/b", "sortie.egg-info/c", "build/d", "e.pyc"):
        path = request_.source / "src" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert ensure(request_).done == []


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"{}")])
def test_a_damaged_entry_is_noticed_and_built_again(damage: object, steps: Steps, request_: Request) -> None:
    first = ensure(request_)
    steps.done.clear()
    assert callable(damage)
    damage(next(request_.cache.glob("image/sortie-*/index.json")))
    second = ensure(request_)
    assert (steps.done, second.done, second.image) == (["build with buildah"], ["built"], first.image)


def test_an_entry_that_was_only_copied_stays(steps: Steps, request_: Request) -> None:
    ensure(request_)
    steps.done.clear()
    shutil.copytree(request_.cache, request_.cache.with_name("copy"))
    shutil.rmtree(request_.cache)
    shutil.copytree(request_.cache.with_name("copy"), request_.cache, copy_function=shutil.copyfile)
    assert ensure(request_).done == []


def test_a_registry_that_lost_the_image_gets_it_again(steps: Steps, request_: Request) -> None:
    ensure(request_)
    steps.done.clear()
    steps.pushed.clear()
    steps.content.clear()
    assert ensure(request_).done == ["pushed", "described", "signed"]
    assert steps.done == ["push", "push sbom", "push sig"]


def test_a_tag_that_names_another_image_is_put_right(steps: Steps, request_: Request) -> None:
    outcome = ensure(request_)
    tag = outcome.image["tag"].rpartition(":")[2]
    steps.pushed[tag] = "sha256:other"
    assert ensure(request_).done == ["pushed"]
    assert steps.pushed[tag] == outcome.image["digest"]


def test_without_push_no_registry_is_asked(steps: Steps, request_: Request) -> None:
    steps.reachable = False
    assert ensure(replace(request_, push=False)).done == ["built", "described", "recorded"]
    assert "public_key" not in read_record(request_.record)


def test_an_unreachable_registry_leaves_the_image_built_and_the_record_as_it_was(
    steps: Steps, request_: Request
) -> None:
    steps.reachable = False
    with pytest.raises(ImageError, match="The image is built and kept; nothing was pushed"):
        ensure(request_)
    assert not request_.record.exists()
    steps.reachable = True
    assert ensure(request_).done == ["pushed", "described", "signed", "recorded"]


def test_check_mode_tells_what_it_would_do_and_does_nothing(steps: Steps, request_: Request) -> None:
    outcome = ensure(request_, check=True)
    assert (outcome.done, outcome.image, steps.done) == (EVERYTHING, {}, [])
    assert not request_.cache.exists()
    assert not request_.record.exists()


def test_check_mode_after_a_run_finds_nothing_to_do(steps: Steps, request_: Request) -> None:
    first = ensure(request_)
    outcome = ensure(request_, check=True)
    assert (outcome.done, outcome.image) == ([], first.image)


def test_check_mode_counts_on_a_registry_that_is_not_up_yet(steps: Steps, request_: Request) -> None:
    ensure(replace(request_, push=False))
    steps.reachable = False
    assert ensure(request_, check=True).done == ["pushed", "described", "signed"]


def test_another_registry_changes_names_but_not_the_image(steps: Steps, request_: Request) -> None:
    first = ensure(request_)
    second = ensure(replace(request_, registry=Registry("other.test")))
    assert second.image["digest"] == first.image["digest"]
    assert second.image["reference"].startswith("other.test/sortie@")
    assert second.done == ["recorded"]


def test_the_builder_is_no_reason_to_build_again(steps: Steps, request_: Request) -> None:
    ensure(request_)
    assert ensure(replace(request_, builder="podman")).done == []


def test_a_refresh_with_the_same_packages_builds_nothing(steps: Steps, request_: Request) -> None:
    ensure(request_)
    steps.done.clear()
    assert ensure(replace(request_, refresh_base=True)).done == []
    assert steps.done == ["base"]


def test_a_refresh_with_newer_packages_builds_again_and_stays(steps: Steps, request_: Request) -> None:
    ensure(request_)
    steps.packages = "newer"
    assert ensure(replace(request_, refresh_base=True)).done == EVERYTHING
    assert ensure(request_).done == []


def test_only_the_last_images_are_kept(steps: Steps, request_: Request) -> None:
    for number in range(KEPT_ENTRIES + 2):
        (request_.source / "src" / "sortie" / "version.py").write_text(f"A = {number}\n")
        ensure(request_)
    assert len(list(request_.cache.glob("image/sortie-*"))) == KEPT_ENTRIES
    assert ensure(request_).done == []


def test_what_a_killed_build_left_is_removed(steps: Steps, request_: Request) -> None:
    left = request_.cache / "image" / ".build" / "storage"
    left.mkdir(parents=True)
    ensure(request_)
    assert not left.parent.exists()


def test_a_full_disk_is_told_and_leaves_nothing_half_done(
    steps: Steps, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "/cache/x")

    monkeypatch.setattr(_image_build, "build", full)
    with pytest.raises(ImageError, match=r"There is no space left for /cache/x.*Next: free some space"):
        ensure(request_)
    assert list(request_.cache.glob("image/sortie-*")) == []


def test_a_directory_that_may_not_be_written_is_named(steps: Steps, request_: Request) -> None:
    request_.cache.write_text("a file")
    with pytest.raises(ImageError, match=r"cache/image: Not a directory\. Nothing was changed"):
        ensure(request_)


@pytest.mark.parametrize("file", ["Containerfile", "pyproject.toml", "requirements.lock"])
def test_sources_that_lack_a_file_are_refused(file: str, steps: Steps, request_: Request) -> None:
    (request_.source / file).unlink()
    with pytest.raises(
        ImageError, match=f"is not the application's directory: it has no {file}.*Next: mend image_source_dir"
    ):
        ensure(request_)


@pytest.mark.parametrize("address", ["https://registry.test", "registry.test/Team", "registry test", ""])
def test_a_registry_that_is_no_address_is_refused(address: str, steps: Steps, request_: Request) -> None:
    with pytest.raises(ImageError, match="is no name of an image"):
        ensure(replace(request_, registry=Registry(address)))
    assert steps.done == []


def test_a_version_becomes_a_tag_that_registries_take(steps: Steps, request_: Request) -> None:
    outcome = ensure(replace(request_, version="1.2+local"))
    assert ":1.2-local-" in outcome.image["tag"]


def test_the_version_may_stand_in_a_module(request_: Request) -> None:
    (request_.source / "pyproject.toml").write_text(
        '[project]\nname = "sortie"\ndynamic = ["version"]\n'
        '[tool.setuptools]\ndynamic.version.attr = "sortie.version.VERSION"\npackages.find.where = ["src"]\n'
    )
    (request_.source / "src" / "sortie" / "version.py").write_text('VERSION: str = "0.4.1"\n')
    assert read_version(request_.source) == "0.4.1"
    (request_.source / "src" / "sortie" / "version.py").write_text("OTHER = 1\n")
    with pytest.raises(ImageError, match=r"has no constant VERSION.*Next: set image_version"):
        read_version(request_.source)


def test_a_version_that_cannot_be_read_is_told(request_: Request) -> None:
    (request_.source / "pyproject.toml").write_text("not TOML")
    with pytest.raises(ImageError, match=r"does not tell the application's version.*Next: set image_version"):
        read_version(request_.source)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_record_that_is_none_counts_as_missing(text: str, tmp_path: Path) -> None:
    (tmp_path / "image.json").write_text(text)
    assert read_record(tmp_path / "image.json") == {}


def test_what_was_pushed_is_signed_by_the_key_that_is_recorded(steps: Steps, request_: Request) -> None:
    image = ensure(request_).image
    key = read_public_key(image["public_key"])
    assert verify(request_.registry, "sortie", image["digest"], key) == ""
    assert key == read_key(request_.record.with_name("cosign.key")).public


def test_the_bill_of_materials_lies_beside_the_record_and_names_the_image(
    steps: Steps, request_: Request
) -> None:
    image = ensure(request_).image
    bill = json.loads(request_.record.with_name("image.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"] == image["digest"]
    manifest = json.loads(steps.content[f"manifests/{tag_of(image['digest'], 'sbom')}"])
    assert manifest["subject"]["digest"] == image["digest"]
    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] == "application/vnd.cyclonedx+json"
    assert json.loads(steps.content[f"blobs/{manifest['layers'][0]['digest']}"]) == bill


def test_a_bill_that_was_lost_is_written_again(steps: Steps, request_: Request) -> None:
    ensure(request_)
    request_.record.with_name("image.cdx.json").unlink()
    assert ensure(request_, check=True).done == ["described"]
    assert ensure(request_).done == ["described"]
    assert ensure(request_).done == []


def test_another_key_signs_again_and_leaves_the_signature_that_is_there(
    steps: Steps, request_: Request, tmp_path: Path
) -> None:
    first = ensure(request_).image
    make_key(tmp_path / "other.key")
    other = replace(request_, signing_key=tmp_path / "other.key", make_signing_key=False)
    second = ensure(other)
    assert second.done == ["signed", "recorded"]
    assert len(find_signatures(request_.registry, "sortie", first["digest"])) == 2
    for image in (first, second.image):
        key = read_public_key(image["public_key"])
        assert verify(request_.registry, "sortie", first["digest"], key) == ""
    assert ensure(other).done == []


def test_a_key_that_is_not_there_is_only_made_where_that_is_asked_for(
    steps: Steps, request_: Request
) -> None:
    with pytest.raises(ImageError, match=r"The signing key .*cosign\.key cannot be read"):
        ensure(replace(request_, make_signing_key=False))
    # Before anything is built.
    assert steps.done == []


def test_without_a_key_nothing_is_signed(steps: Steps, request_: Request) -> None:
    outcome = ensure(replace(request_, signing_key=None))
    assert outcome.done == ["built", "pushed", "described", "recorded"]
    assert "public_key" not in outcome.image
