# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""A cluster's API, as little of it as the modules need.

Requests go to paths, so nothing is discovered first: one request for one answer. A kubeconfig with certificates or a
token in it is read here; any other by the official client, with all its ways to sign in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from ansible_collections.sortie.platform.plugins.module_utils._direct import Answer, Direct, open_direct

Manifest = dict[str, Any]

CONNECT_SECONDS = 5

FIELD_MANAGER = "sortie.platform"
TENANT_LABEL = "sortie.platform/tenant"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "sortie.platform"

AUTH_ARGUMENTS: dict[str, Any] = {
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str"},
}


@dataclass(frozen=True)
class Kind:
    """Where the objects of a kind stand in the API."""

    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def root(self) -> str:
        return f"/api/{self.api_version}" if self.api_version == "v1" else f"/apis/{self.api_version}"

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        place = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{self.root}{place}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


KINDS = {
    "Cluster": Kind("postgresql.cnpg.io/v1", "clusters"),
    "ConfigMap": Kind("v1", "configmaps"),
    "CronJob": Kind("batch/v1", "cronjobs"),
    "DaemonSet": Kind("apps/v1", "daemonsets"),
    "Deployment": Kind("apps/v1", "deployments"),
    "Event": Kind("v1", "events"),
    "ExternalSecret": Kind("external-secrets.io/v1", "externalsecrets"),
    "HorizontalPodAutoscaler": Kind("autoscaling/v2", "horizontalpodautoscalers"),
    "Ingress": Kind("networking.k8s.io/v1", "ingresses"),
    "Job": Kind("batch/v1", "jobs"),
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "Pod": Kind("v1", "pods"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "PrometheusRule": Kind("monitoring.coreos.com/v1", "prometheusrules"),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Secret": Kind("v1", "secrets"),
    "Service": Kind("v1", "services"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "ServiceMonitor": Kind("monitoring.coreos.com/v1", "servicemonitors"),
    "StorageClass": Kind("storage.k8s.io/v1", "storageclasses", namespaced=False),
    "VolumeSnapshot": Kind("snapshot.storage.k8s.io/v1", "volumesnapshots"),
    "VolumeSnapshotClass": Kind("snapshot.storage.k8s.io/v1", "volumesnapshotclasses", namespaced=False),
}


class ClusterError(Exception):
    """The cluster refused something, or does not answer. `status` is HTTP's, 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api(Protocol):
    """What the modules' code asks of a cluster; tests bring their own."""

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, metadata_only: bool = False
    ) -> Manifest | None: ...

    def send(
        self,
        method: str,
        path: str,
        body: Manifest,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> Manifest: ...

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str: ...


def items(
    api: Api, path: str, query: Mapping[str, str] | None = None, *, metadata_only: bool = False
) -> Iterator[Manifest]:
    """The objects of a list; none where the cluster does not know the kind."""
    asked = {"limit": "500", **(query or {})}
    while True:
        page = api.get(path, asked, metadata_only=metadata_only)
        if page is None:
            return
        yield from page.get("items") or []
        if not (token := page["metadata"].get("continue")):
            return
        asked["continue"] = token


def apply(api: Api, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
    """Applies an object on the server's side, as `kubernetes.core.k8s` does with the same field manager."""
    metadata = manifest["metadata"]
    path = KINDS[manifest["kind"]].path(metadata.get("namespace"), metadata["name"])
    query = {"fieldManager": FIELD_MANAGER, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
    return api.send("PATCH", path, manifest, "application/apply-patch+yaml", query)


class _Official:
    """The official client, with all its ways to sign in. Loading it takes half a second."""

    def __init__(self, kubeconfig: str, context: str | None, timeout: tuple[float, float]) -> None:
        from kubernetes import config  # noqa: PLC0415 (slow, and not always needed)
        from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415

        try:
            self.client = config.new_client_from_config(kubeconfig, context or None)
        except (ConfigException, OSError, ValueError) as error:
            raise ClusterError(f"the kubeconfig {kubeconfig} cannot be used: {error}") from error
        # A cluster that does not answer is told at once; whoever wants to wait, waits around the call.
        self.client.configuration.retries = 1
        self.server: str = self.client.configuration.host
        self._timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Manifest | None,
    ) -> Answer:
        """As `Direct.request`."""
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 (slow, and not always needed)

        try:
            answer = self.client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params=dict(headers),
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=self._timeout,
            )
        except ApiException as error:
            return Answer(error.status or 0, error.reason or "", error.body or b"")
        return Answer(answer.status, answer.reason or "", answer.data)


class Cluster:
    """The API of a real cluster."""

    def __init__(self, kubeconfig: str, context: str | None = None, *, timeout: float = 30) -> None:
        if not Path(kubeconfig).is_file():
            raise ClusterError(f"there is no kubeconfig {kubeconfig}")
        self._place = kubeconfig, context, (CONNECT_SECONDS, timeout)
        direct = open_direct(Path(kubeconfig), context, (CONNECT_SECONDS, timeout))
        self._connection: Direct | _Official = direct or _Official(*self._place)

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, metadata_only: bool = False
    ) -> Manifest | None:
        kind = ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" if metadata_only else ""
        try:
            return self._json("GET", path, query, {"Accept": f"application/json{kind}"})
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def send(
        self,
        method: str,
        path: str,
        body: Manifest,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        return self._json(
            method, path, query, {"Accept": "application/json", "Content-Type": content_type}, body
        )

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        return self._request("GET", path, query, {"Accept": "*/*"}).decode(errors="replace")

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> None:
        """Deletes an object; one that is not there is as good as deleted."""
        try:
            self._request("DELETE", path, query, {"Accept": "application/json"})
        except ClusterError as error:
            if error.status != 404:
                raise

    def open_stream(self, path: str, query: Sequence[tuple[str, str]]) -> Any:
        """A WebSocket to a path of the API that carries the streams of a process (channel protocol v4)."""
        from kubernetes.stream import ws_client  # noqa: PLC0415
        from websocket import WebSocketBadStatusException, WebSocketException  # noqa: PLC0415

        there = self._connection
        client = (there if isinstance(there, _Official) else _Official(*self._place)).client
        configuration, headers = client.configuration, dict(client.default_headers)
        client.update_params_for_auth(headers, [], ["BearerToken"])
        address = ws_client.get_websocket_url(f"{configuration.host}{path}", list(query))
        try:
            return ws_client.create_websocket(configuration, address, headers)
        except WebSocketBadStatusException as error:
            raise ClusterError(_message(error.resp_body, str(error)), error.status_code) from error
        except (OSError, WebSocketException) as error:
            raise ClusterError(f"{configuration.host} does not answer ({_root(error)})") from error

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: dict[str, str],
        body: Manifest | None = None,
    ) -> Manifest:
        answer: Manifest = json.loads(self._request(method, path, query, headers, body))
        return answer

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: dict[str, str],
        body: Manifest | None = None,
    ) -> bytes:
        try:
            answer = self._connection.request(method, path, query or {}, headers, body)
        except HTTPError as error:
            raise ClusterError(f"{self._connection.server} does not answer ({_root(error)})") from error
        if not 200 <= answer.status < 300:
            raise ClusterError(_message(answer.body, f"{answer.status} {answer.reason}"), answer.status)
        return answer.body


def _message(body: Any, fallback: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return fallback


def _root(error: BaseException) -> str:
    """What really happened, below the layers of the HTTP library."""
    reason = getattr(error, "reason", None)
    return (
        _root(reason)
        if isinstance(reason, BaseException)
        else str(error).rpartition(": ")[2] or type(error).__name__
    )
