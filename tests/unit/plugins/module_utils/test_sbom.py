"""A bill of materials says what is in an image, and nothing else, the same each time, in a form that tools read."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from ansible_collections.sortie.platform.plugins.module_utils._go_build import read_modules
from ansible_collections.sortie.platform.plugins.module_utils._oci import Image, Layer, Layout
from ansible_collections.sortie.platform.plugins.module_utils._sbom import describe

RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
OPENSSL = "Package: libssl3\nSource: openssl\nArchitecture: amd64\nVersion: 3.0.22-1~deb12u2\n"
ACL = "Package: libacl1\nSource: acl (2.3.1-3)\nArchitecture: amd64\nVersion: 1:2.3.1-3+b1\n"
BOTTLE = "Metadata-Version: 2.1\nName: bottle\nVersion: 0.13.4\n\nName: not-a-header\n"
STATUS, SITE = "var/lib/dpkg/status.d", "app/lib/python3.11/site-packages"


def go_program(modules: str, version: str = "go1.25.4") -> bytes:
    """As much of a program as Go's linker leaves for those who ask what is in it."""

    def text(content: bytes) -> bytes:
        length, size = len(content), b""
        while length >= 0x80:
            size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
        return size + bytes([length]) + content

    header = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    framed = b"0" * 16 + modules.encode() + b"1" * 16
    return b"\x7fELF" + bytes(60) + header + text(version.encode()) + text(framed) + b"code"


MODULES = (
    "path\texample.com/tool/cmd\nmod\texample.com/tool\t(devel)\t\n"
    "dep\tgolang.org/x/sys\tv0.30.0\th1:AAAA=\n"
    "dep\texample.com/old\tv1.0.0\n=>\texample.com/fork\tv1.0.1\th1:BBBB=\n"
    "build\t-trimpath=true\n"
)


def layer(path: Path, files: dict[str, str | bytes]) -> Layer:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755 if data.startswith(b"\x7fELF") else 0o644
            archive.addfile(member, io.BytesIO(data))
    return Layer(tar=path)


def bill(directory: Path, *layers: dict[str, str | bytes]) -> dict[str, Any]:
    """The bill of an image with these layers."""
    place = directory / "layout"
    shutil.rmtree(place, ignore_errors=True)
    layout = Layout(place)
    found = [layer(directory / f"{number}.tar", files) for number, files in enumerate(layers)]
    layout.add(Image("image", found), "amd64")
    layout.finish()
    written = describe(place, "image", "sortie")
    assert describe(place, "image", "sortie") == written
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None
    content: dict[str, Any] = json.loads(written)
    return content


def purls(content: dict[str, Any]) -> list[str]:
    return [component["purl"] for component in content["components"] if "purl" in component]


def test_debian_packages_have_their_release_and_the_source_that_advisories_name(tmp_path: Path) -> None:
    found = bill(
        tmp_path,
        {"usr/lib/os-release": RELEASE, f"{STATUS}/libssl3": OPENSSL},
        {f"{STATUS}/libacl1": ACL},
    )
    assert [PackageURL.from_string(purl) for purl in purls(found)] == [
        PackageURL(
            "deb",
            "debian",
            "libacl1",
            "1:2.3.1-3+b1",
            {"arch": "amd64", "distro": "debian-12", "upstream": "acl@2.3.1-3"},
        ),
        PackageURL(
            "deb",
            "debian",
            "libssl3",
            "3.0.22-1~deb12u2",
            {"arch": "amd64", "distro": "debian-12", "upstream": "openssl"},
        ),
    ]
    assert found["components"][0] == {
        "type": "operating-system",
        "bom-ref": "system",
        "name": "debian",
        "version": "12",
    }


def test_python_packages_are_named_as_their_index_names_them(tmp_path: Path) -> None:
    second = "Name: Typing_Extensions\nVersion: 4.16.0\n"
    found = bill(
        tmp_path,
        {
            f"{SITE}/bottle-0.13.4.dist-info/METADATA": BOTTLE,
            f"{SITE}/typing_extensions-4.16.0.dist-info/METADATA": second,
            f"{SITE}/bottle/METADATA": "Name: none\nVersion: 1\n",
        },
    )
    assert purls(found) == ["pkg:pypi/bottle@0.13.4", "pkg:pypi/typing-extensions@4.16.0"]
    assert found["components"][0]["evidence"] == {
        "occurrences": [{"location": f"/{SITE}/bottle-0.13.4.dist-info/METADATA"}]
    }


def test_programs_of_go_have_their_modules_and_its_standard_library(tmp_path: Path) -> None:
    found = bill(tmp_path, {"usr/bin/tool": go_program(MODULES), "usr/bin/other": b"\x7fELF of another kind"})
    assert purls(found) == [
        "pkg:golang/example.com/fork@v1.0.1",
        "pkg:golang/golang.org/x/sys@v0.30.0",
        "pkg:golang/stdlib@1.25.4",
    ]


def test_a_real_program_of_go_is_read() -> None:
    modules = dict(read_modules(Path(sys.executable).with_name("litestream").read_bytes()))
    assert {"stdlib", "modernc.org/sqlite", "github.com/superfly/ltx"} <= set(modules)
    assert all(version[0] in "v123456789" for version in modules.values())


def test_what_a_later_layer_removed_or_replaced_is_not_there(tmp_path: Path) -> None:
    found = bill(
        tmp_path,
        {
            f"{STATUS}/libssl3": OPENSSL,
            f"{STATUS}/libacl1": ACL,
            f"{SITE}/bottle-0.13.4.dist-info/METADATA": BOTTLE,
            "usr/bin/tool": go_program(MODULES),
        },
        {
            f"{STATUS}/libssl3": OPENSSL.replace("u2", "u3"),
            f"{STATUS}/.wh.libacl1": "",
            f"{SITE}/.wh..wh..opq": "",
            "usr/bin/tool": "a script",
        },
    )
    assert [PackageURL.from_string(purl).version for purl in purls(found)] == ["3.0.22-1~deb12u3"]


def test_of_dpkgs_own_list_what_was_removed_is_left_out(tmp_path: Path) -> None:
    gone = "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
    kept = f"{OPENSSL}Status: install ok installed\n"
    found = bill(tmp_path, {"etc/os-release": RELEASE, "var/lib/dpkg/status": f"{gone}\n{kept}"})
    assert [component["name"] for component in found["components"]] == ["debian", "libssl3"]


def test_a_package_in_two_places_is_one_component(tmp_path: Path) -> None:
    path = "dist-info/METADATA"
    found = bill(tmp_path, {f"a/bottle-0.13.4.{path}": BOTTLE, f"b/bottle-0.13.4.{path}": BOTTLE})
    (component,) = found["components"]
    assert len(component["evidence"]["occurrences"]) == 2


def test_the_bill_names_its_image_by_digest(tmp_path: Path) -> None:
    found = bill(tmp_path, {"etc/os-release": RELEASE})
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    about = found["metadata"]["component"]
    assert about["version"] == index["manifests"][0]["digest"]
    assert PackageURL.from_string(about["purl"]) == PackageURL(
        "oci", None, "sortie", index["manifests"][0]["digest"]
    )
    assert found["dependencies"][0]["ref"] == about["bom-ref"]


@pytest.mark.parametrize("program", [b"", b"\x7fELF", b"\xff Go buildinf:" + bytes(20)])
def test_what_go_did_not_make_or_made_long_ago_has_no_modules(program: bytes) -> None:
    assert read_modules(program) == []
