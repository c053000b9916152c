"""Images are assembled from files, the same each time, and layers that several have are there once."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._oci import (
    Image,
    Layer,
    Layout,
    manifests_of,
    write_archive,
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    return path


def assemble(directory: Path, program: Path) -> Path:
    base = Layer(files={"usr/bin/program": program}, directories=("tmp",))
    layout = Layout(directory)
    layout.add(Image("registry.test/one:1", [base], {"Entrypoint": ["/usr/bin/program"]}), "amd64")
    layout.add(Image("registry.test/two:1", [base, Layer(links={"usr/bin/other": "program"})]), "amd64")
    layout.finish()
    return directory


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def test_the_same_inputs_give_the_same_digests(tmp_path: Path, program: Path) -> None:
    first, second = assemble(tmp_path / "a", program), assemble(tmp_path / "b", program)
    assert manifests_of(first) == manifests_of(second)
    assert sorted(path.name for path in first.rglob("*")) == sorted(path.name for path in second.rglob("*"))


def test_an_image_has_its_files_links_and_configuration(tmp_path: Path, program: Path) -> None:
    layout = assemble(tmp_path / "layout", program)
    manifest = json.loads(blob(layout, manifests_of(layout)["registry.test/two:1"]["digest"]).read_text())
    members: dict[str, tarfile.TarInfo] = {}
    for layer in manifest["layers"]:
        assert blob(layout, layer["digest"]).stat().st_size == layer["size"]
        with tarfile.open(blob(layout, layer["digest"])) as archive:
            members |= {member.name: member for member in archive}
    assert members["usr/bin/program"].mode == 0o755
    assert members["usr/bin/other"].linkname == "program"
    assert members["tmp"].isdir()
    assert {member.mtime for member in members.values()} == {0}
    config = json.loads(blob(layout, manifest["config"]["digest"]).read_text())
    assert config["architecture"] == "amd64"
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


def test_a_layer_of_two_images_is_there_once(tmp_path: Path, program: Path) -> None:
    layout = assemble(tmp_path / "layout", program)
    # Two manifests, two configurations, the common layer and the one with the link.
    assert len(list((layout / "blobs" / "sha256").iterdir())) == 6


def test_only_the_wanted_parts_of_a_tree_are_taken(tmp_path: Path, program: Path) -> None:
    tree = tmp_path / "tree.tar"
    with tarfile.open(tree, "w") as archive:
        for name in ("./usr/bin/wanted", "./usr/bin/other", "./etc/passwd"):
            archive.add(program, name)
    layout = Layout(tmp_path / "layout")
    layout.add(Image("registry.test/part:1", [Layer(tar=tree, only=("usr/bin/wanted",))]), "amd64")
    layout.finish()
    manifest = json.loads(
        blob(layout.directory, manifests_of(layout.directory)["registry.test/part:1"]["digest"]).read_text()
    )
    with tarfile.open(blob(layout.directory, manifest["layers"][0]["digest"])) as archive:
        assert archive.getnames() == ["usr/bin/wanted"]


def test_an_archive_holds_the_chosen_images_under_the_names_that_containerd_reads(
    tmp_path: Path, program: Path
) -> None:
    layout = assemble(tmp_path / "layout", program)
    write_archive(layout, ["registry.test/one:1"], tmp_path / "archive.tar")
    with tarfile.open(tmp_path / "archive.tar") as archive:
        index = json.load(archive.extractfile("index.json") or program.open())
        names = archive.getnames()
    assert [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]] == [
        "registry.test/one:1"
    ]
    assert len([name for name in names if name.startswith("blobs/")]) == 3
