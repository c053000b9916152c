# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes files of a tenant's manifests, as a GitOps repository holds them. No secret value is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import (
    Manifest,
    Tenant,
    plain,
    secret_keys,
)

# YAML reads these as ends of lines, and as other ones than were written.
OTHER_LINE_BREAKS = "\r\x85\u2028\u2029"
# Half of a character above U+FFFF, as JSON escapes it.
_HALF = re.compile(r"\\ud[89ab][0-9a-f]{2}")


class _Dumper(yaml.SafeDumper):
    """Writes lists indented under their key and texts of several lines as such."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = "\n" in text and not any(mark in text for mark in OTHER_LINE_BREAKS)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if plain else None)


_Dumper.add_representer(str, _represent_text)


class _Joining(yaml.SafeLoader):
    """Reads two halves of a character as one. YAML knows no halves, and the faster loader refuses them."""


def _construct_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node)).encode("utf-16", "surrogatepass").decode("utf-16")


_Joining.add_constructor("tag:yaml.org,2002:str", _construct_text)


def manifest_objects(text: str) -> list[Manifest]:
    """The objects in a rendered template, whose values stand there as JSON."""
    loader = _Joining if _HALF.search(text) else yaml.CSafeLoader
    return [entry for entry in yaml.load_all(str(text), Loader=loader) if entry]


def to_yaml(value: Any) -> str:
    return yaml.dump(plain(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def file_name(manifest: Manifest) -> str:
    return f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"


def needed_secrets(tenant: Tenant) -> dict[str, set[str]]:
    """The Secrets that the manifests refer to, with their keys."""
    needed = {} if tenant["external_secret_store"] else {"sortie-secrets": set(secret_keys(tenant))}
    if tenant["tls"] in ("provided", "self_signed"):
        needed[tenant["ingress_tls_secret"]] = {"tls.crt", "tls.key"}
    for name in tenant["image_pull_secrets"]:
        needed[name] = {".dockerconfigjson"}
    for value in tenant["env"].values():
        if isinstance(value, Mapping):
            needed.setdefault(value["secret"], set()).add(value["key"])
    return needed


README = """
The manifests of tenant {tenant}: `kubectl apply --server-side --kustomize .`

They refer to these Secrets in namespace {namespace}, whose values are not here. Bring them with whatever
keeps your secrets (External Secrets, Sealed Secrets, SOPS), or by hand:

| Secret | keys |
|---|---|
{rows}
"""


def _readme(tenant: Tenant) -> str:
    rows = [
        f"| {name} | {', '.join(sorted(keys))} |" for name, keys in sorted(needed_secrets(tenant).items())
    ]
    return README.format(tenant=tenant["tenant"], namespace=tenant["namespace"], rows="\n".join(rows))


def tenant_files(tenants: Sequence[Tenant]) -> dict[str, dict[str, str]]:
    """The files of each tenant: one for each object, kustomization.yaml and README.md."""
    rendered = {}
    for tenant in tenants:
        files = {file_name(manifest): to_yaml(manifest) for manifest in tenant["manifests"]}
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": list(files),
        }
        rendered[tenant["tenant"]] = {
            **files,
            "kustomization.yaml": to_yaml(kustomization),
            "README.md": _readme(tenant),
        }
    return rendered


def render_summary(result: Mapping[str, Mapping[str, Sequence[str]]], path: str) -> str:
    """What became of the files of each tenant."""
    lines = []
    for tenant, files in sorted(result.items()):
        parts = [f"{len(files[kind])} files {kind}" for kind in ("written", "removed") if files[kind]]
        lines.append(f"{path}/{tenant}: " + (", ".join(parts) or "nothing to change"))
    return "\n".join(lines) + "\n"
