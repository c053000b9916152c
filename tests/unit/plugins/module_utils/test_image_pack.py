"""What a builder made becomes an image that depends on its content alone."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._image_pack import pack
from ansible_collections.sortie.platform.plugins.module_utils._image_run import ImageError
from ansible_collections.sortie.platform.plugins.module_utils._oci import Image, Layer, Layout

Files = Mapping[str, bytes]


def layer(files: Files, mtime: int = 1, owner: str = "root", links: Mapping[str, str] | None = None) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname = len(content), mtime, owner
            archive.addfile(member, io.BytesIO(content))
    return output.getvalue()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "python3").write_text("python")
    layout = Layout(tmp_path / "base")
    layout.add(Image("base", [Layer(files={"usr/bin/python3": tmp_path / "python3"})]), "amd64")
    layout.finish()
    return tmp_path / "base"


def base_id(base: Path) -> str:
    blobs = base / "blobs" / "sha256"
    index = json.loads((base / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
    return str(manifest["layers"][0]["digest"])


def saved(path: Path, layers: Sequence[bytes], ids: Sequence[str], config: Mapping[str, Any]) -> Path:
    """An archive as `docker save` writes it; `ids` are the base's, whose layer files are not looked at."""
    whole = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2031-01-01T00:00:00Z",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [*ids, *(digest(content) for content in layers)]},
    }
    names = [f"layer{number}.tar" for number in range(len(ids) + len(layers))]
    with tarfile.open(path, "w") as archive:
        parts = dict(zip(names, [b"base"] * len(ids) + list(layers), strict=True))
        parts["config.json"] = json.dumps(whole).encode()
        parts["manifest.json"] = json.dumps([{"Config": "config.json", "Layers": names}]).encode()
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def contents(layout: Path) -> tuple[dict[str, Any], list[tarfile.TarInfo]]:
    """The configuration, and the members of the layer above the base."""
    blobs = layout / "blobs" / "sha256"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    with tarfile.open(blobs / manifest["layers"][-1]["digest"].removeprefix("sha256:")) as archive:
        return config, archive.getmembers()


def test_times_order_owners_names_and_the_split_into_layers_make_no_difference(
    tmp_path: Path, base: Path
) -> None:
    ids = [base_id(base)]
    one = saved(
        tmp_path / "one.tar",
        [layer({"./app/b": b"B", "app/a": b"A"}, mtime=5)],
        ids,
        {"Cmd": ["sortie"], "Labels": {"io.buildah.version": "1.28"}, "Hostname": "x"},
    )
    other = saved(
        tmp_path / "other.tar",
        [layer({"app/a": b"old"}, mtime=7), layer({"app/a": b"A", "app/b": b"B"}, mtime=9, owner="me")],
        ids,
        {"Cmd": ["sortie"], "Labels": {}, "Image": "sha256:0"},
    )
    assert pack(one, base, tmp_path / "1") == pack(other, base, tmp_path / "2")


def test_another_content_gives_another_digest(tmp_path: Path, base: Path) -> None:
    ids = [base_id(base)]
    one = saved(tmp_path / "one.tar", [layer({"app/a": b"A"})], ids, {})
    other = saved(tmp_path / "other.tar", [layer({"app/a": b"B"})], ids, {})
    assert pack(one, base, tmp_path / "1") != pack(other, base, tmp_path / "2")


def test_the_layer_is_sorted_with_hard_links_last_and_keeps_modes(tmp_path: Path, base: Path) -> None:
    made = layer({"app/z": b"Z", "app/a": b"A"}, links={"app/0": "app/z"})
    pack(saved(tmp_path / "image.tar", [made], [base_id(base)], {}), base, tmp_path / "image")
    config, members = contents(tmp_path / "image")
    assert [member.name for member in members] == ["app/a", "app/z", "app/0"]
    assert {(member.mtime, member.uname, member.uid) for member in members} == {(1735689600, "", 0)}
    assert config["rootfs"]["diff_ids"][0] == base_id(base)


def test_the_configuration_has_only_what_a_container_needs(tmp_path: Path, base: Path) -> None:
    given = {
        "User": "1000:1000",
        "Cmd": ["sortie"],
        "Labels": {"io.buildah.version": "1", "a": "b"},
        "Hostname": "h",
    }
    pack(saved(tmp_path / "image.tar", [layer({"a": b""})], [base_id(base)], given), base, tmp_path / "image")
    config, _members = contents(tmp_path / "image")
    assert config["config"] == {"User": "1000:1000", "Cmd": ["sortie"], "Labels": {"a": "b"}}


def test_an_image_on_another_base_is_refused(tmp_path: Path, base: Path) -> None:
    archive = saved(tmp_path / "image.tar", [layer({"a": b""})], ["sha256:other"], {})
    with pytest.raises(ImageError, match="does not stand on its base"):
        pack(archive, base, tmp_path / "image")


def test_a_removed_file_is_refused(tmp_path: Path, base: Path) -> None:
    archive = saved(tmp_path / "image.tar", [layer({"app/.wh.gone": b""})], [base_id(base)], {})
    with pytest.raises(ImageError, match=r"removes app/\.wh\.gone"):
        pack(archive, base, tmp_path / "image")
