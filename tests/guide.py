"""The guide's own manifests, and whether objects have every field of them.

As a command it reads objects (a List, as `kubectl get --output json` prints it) from standard input, and
exits 1 with the fields that are missing:

    kubectl get --namespace sortie-demo deployments,services --output json |
      python tests/guide.py --namespace sortie-demo --host demo.localhost --only Deployment Service
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

GUIDE = Path(__file__).parent / "fixtures" / "guide.md"
HOST = "sortie.example.com"
IMAGE = "your-registry/sortie:latest"
ISSUER = "cert-manager.io/cluster-issuer"

Manifest = dict[str, Any]


def _blocks(text: str) -> Iterator[Any]:
    """The YAML blocks of the guide, read; those that only hold comments are None."""
    for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield yaml.safe_load(block)


def _replaced(value: Any, replacements: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return replacements.get(value, value)
    if isinstance(value, dict):
        return {key: _replaced(entry, replacements) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, replacements) for entry in value]
    return value


def guide_manifests(
    *,
    namespace: str = "sortie",
    host: str = HOST,
    image: str = IMAGE,
    branding: Mapping[str, str] | None = None,
    issuer: bool = True,
) -> list[Manifest]:
    """The guide's manifests, with its security context in the Deployment, for a tenant of these values.

    `issuer` is whether cert-manager issues the certificate; where not, its annotation is left out.
    """
    manifests: list[Manifest] = []
    for block in _blocks(GUIDE.read_text(encoding="utf-8")):
        if block and "kind" in block:
            manifests.append(_replaced(block, {HOST: host, IMAGE: image}))
        elif block:
            deployment = next(entry for entry in manifests if entry["kind"] == "Deployment")
            deployment["spec"]["template"]["spec"]["containers"][0].update(block)
    for manifest in manifests:
        if manifest["kind"] == "Namespace":
            manifest["metadata"]["name"] = namespace
        else:
            manifest["metadata"]["namespace"] = namespace
        if manifest["kind"] == "ConfigMap" and branding is not None:
            manifest["data"]["branding.json"] = json.dumps(dict(branding))
        if manifest["kind"] == "Ingress" and not issuer:
            del manifest["metadata"]["annotations"][ISSUER]
    return manifests


def _same_scalar(expected: object, actual: object) -> bool:
    if expected == actual:
        return True
    # JSON in a ConfigMap is compared by what it says.
    try:
        return bool(json.loads(str(expected)) == json.loads(str(actual)))
    except ValueError:
        return False


def missing(expected: Any, actual: Any, path: str = "") -> list[str]:
    """The fields of the expected object that the actual one lacks or has with another value.

    An entry of a list is looked for in the whole list: order and further entries do not matter.
    """
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [f"{path} is {actual!r}"]
        return [
            problem
            for key, value in expected.items()
            for problem in (
                missing(value, actual[key], f"{path}.{key}")
                if key in actual
                else [f"{path}.{key} is missing"]
            )
        ]
    if isinstance(expected, list):
        found = actual if isinstance(actual, list) else []
        return [
            problem
            for position, value in enumerate(expected)
            for problem in _missing_entry(value, found, f"{path}[{position}]")
        ]
    return [] if _same_scalar(expected, actual) else [f"{path} is {actual!r}, not {expected!r}"]


def _missing_entry(expected: Any, entries: Sequence[Any], path: str) -> list[str]:
    candidates = [missing(expected, entry, path) for entry in entries]
    # The entry that comes nearest says best what is missing.
    return min(candidates, key=len, default=[f"{path} is missing"])


def missing_fields(expected: Iterable[Manifest], objects: Iterable[Manifest]) -> list[str]:
    """Every field of the guide's manifests that the objects lack, with the object that it belongs to."""
    there = {(entry["kind"], entry["metadata"]["name"]): entry for entry in objects}
    problems = []
    for manifest in expected:
        identity = manifest["kind"], manifest["metadata"]["name"]
        if identity not in there:
            problems.append(f"{identity[0]} {identity[1]} is missing")
        else:
            problems += missing(manifest, there[identity], " ".join(identity))
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Tells which of the guide's fields objects lack.")
    parser.add_argument("--namespace", default="sortie")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--image", default=IMAGE)
    parser.add_argument("--branding", type=json.loads, help="JSON of the four strings, if not the guide's")
    parser.add_argument("--no-issuer", action="store_true", help="certificates do not come from cert-manager")
    parser.add_argument("--only", nargs="+", metavar="KIND", help="look at these kinds only")
    arguments = parser.parse_args()
    expected = guide_manifests(
        namespace=arguments.namespace,
        host=arguments.host,
        image=arguments.image,
        branding=arguments.branding,
        issuer=not arguments.no_issuer,
    )
    if arguments.only:
        expected = [manifest for manifest in expected if manifest["kind"] in arguments.only]
    problems = missing_fields(expected, json.load(sys.stdin)["items"])
    print("\n".join(problems) or f"every field of {len(expected)} manifests of the guide is there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
