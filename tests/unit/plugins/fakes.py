"""A cluster's API in memory, as the modules' code sees it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError, Manifest

GROUPS = ("apps", "autoscaling", "batch", "networking.k8s.io", "policy")


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


class FakeApi:
    """Keeps objects by path. Lists understand label existence, label equality and `metadata.name`."""

    def __init__(self, groups: tuple[str, ...] = GROUPS) -> None:
        self.objects: dict[str, Manifest] = {}
        self.requests: list[tuple[str, str]] = []
        self.logs: dict[str, str] = {}
        self.groups = groups
        self.refusals: dict[str, ClusterError] = {}

    def put(self, path: str, manifest: Manifest) -> None:
        self.objects[path] = manifest

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, metadata_only: bool = False
    ) -> Manifest | None:
        self._note("GET", path)
        if path == "/version":
            return {"gitVersion": "v1.34.3"}
        if path == "/apis":
            return {"groups": [{"name": name} for name in self.groups]}
        if path in self.objects:
            return self.objects[path]
        if query and "limit" in query:
            return {"metadata": {}, "items": self._listed(path, query)}
        return None

    def send(
        self,
        method: str,
        path: str,
        body: Manifest,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        self._note(method, path)
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise ClusterError("it exists already", 409)
        if query and query.get("dryRun"):
            return body
        if content_type == "application/merge-patch+json":
            if path not in self.objects:
                raise ClusterError("it is not there", 404)
            there = self.objects[path]
            body = _merged(there, body)
        self.objects[path] = body
        return body

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        if path not in self.logs:
            raise ClusterError("no log", 404)
        return self.logs[path]

    def _note(self, method: str, path: str) -> None:
        self.requests.append((method, path))
        if path in self.refusals:
            raise self.refusals[path]

    def _listed(self, path: str, query: Mapping[str, str]) -> list[Manifest]:
        """The objects of a kind: in one namespace if the path names one, else in all."""
        space, _slash, plural = path.rpartition("/")
        root = space.partition("/namespaces/")[0]
        found = []
        for place, manifest in self.objects.items():
            kind = place.rpartition("/")[0]
            same_kind = kind.startswith(f"{root}/") and kind.endswith(f"/{plural}")
            if same_kind and (kind == path or "/namespaces/" not in path):
                found.append(manifest)
        return [manifest for manifest in found if _selected(manifest, query)]


def _merged(there: Manifest, patch: Manifest) -> Manifest:
    """As RFC 7386 says: what is null goes, objects are merged, all else is replaced."""
    merged = {name: value for name, value in there.items() if patch.get(name, value) is not None}
    for name, value in patch.items():
        if isinstance(value, dict):
            merged[name] = _merged(merged.get(name) or {}, value)
        elif value is not None:
            merged[name] = value
    return merged


def _selected(manifest: Manifest, query: Mapping[str, str]) -> bool:
    metadata: dict[str, Any] = manifest["metadata"]
    labels = metadata.get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, equals, value = term.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        name, _equals, value = term.partition("=")
        if name == "metadata.name" and metadata["name"] != value:
            return False
        if name == "involvedObject.name" and manifest["involvedObject"]["name"] != value:
            return False
    return True
