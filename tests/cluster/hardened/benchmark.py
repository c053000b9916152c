"""The rules of the CIS Kubernetes Benchmark 1.10 that configuration decides, and a look at each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

MANIFESTS = "/etc/kubernetes/manifests"
PKI = "/etc/kubernetes/pki"
STRONG = ",".join(
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
)
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")


@dataclass
class Node:
    """A control plane's machine; `run` gives what a command prints there."""

    run: Callable[[str], str]

    def _flags(self, program: str) -> dict[str, str]:
        manifest = yaml.safe_load(self.run(f"cat {MANIFESTS}/{program}.yaml"))
        command = manifest["spec"]["containers"][0]["command"][1:]
        return dict(part.removeprefix("--").partition("=")[::2] for part in command)

    @cached_property
    def flags(self) -> dict[str, dict[str, str]]:
        return {program: self._flags(program) for program in PROGRAMS}

    @cached_property
    def kubelet(self) -> dict[str, Any]:
        """Its settings, those of the node over those of the cluster."""
        common: dict[str, Any] = yaml.safe_load(self.run("cat /var/lib/kubelet/config.yaml"))
        own: dict[str, Any] = yaml.safe_load(self.run("cat /etc/sortie/kubelet.d/10-node.conf"))
        return common | own

    def private(self, *paths: str, most: int = 0o600) -> bool:
        """Whether files are root's, with no more than these rights."""
        lines = self.run(f"stat --format '%a %u %g' {' '.join(paths)}").splitlines()
        assert lines
        return all(
            int(mode, 8) & ~most == 0 and (user, group) == ("0", "0")
            for mode, user, group in map(str.split, lines)
        )


@dataclass(frozen=True)
class Rule:
    """A rule by the benchmark's number, what it asks for, and whether it holds; if it cannot, why."""

    number: str
    says: str
    holds: Callable[[Node], bool] = field(compare=False)
    why: str = ""


def flag(program: str, name: str, value: str | None = None) -> Callable[[Node], bool]:
    """Whether a program is started with a flag, of this value if one is given."""
    return lambda node: name in node.flags[program] and value in (None, node.flags[program][name])


def has(program: str, name: str, *values: str) -> Callable[[Node], bool]:
    """Whether all the values are among those of a flag."""
    return lambda node: (
        {part for value in values for part in value.split(",")}
        <= set(node.flags[program].get(name, "").split(","))
    )


def no_flag(program: str, name: str) -> Callable[[Node], bool]:
    return lambda node: name not in node.flags[program]


def kubelet(name: str, value: object) -> Callable[[Node], bool]:
    return lambda node: node.kubelet.get(name) == value


def private(*paths: str, most: int = 0o600) -> Callable[[Node], bool]:
    return lambda node: node.private(*paths, most=most)


def both(one: Callable[[Node], bool], other: Callable[[Node], bool]) -> Callable[[Node], bool]:
    return lambda node: one(node) and other(node)


def _kubelet_anonymous(node: Node) -> bool:
    return not node.kubelet["authentication"]["anonymous"]["enabled"]


def _kubelet_ciphers(node: Node) -> bool:
    return set(node.kubelet["tlsCipherSuites"]) == set(STRONG.split(","))


def _no_anonymous(node: Node) -> bool:
    path = node.flags["kube-apiserver"]["authentication-config"]
    conditions = yaml.safe_load(node.run(f"cat {path}"))["anonymous"]["conditions"]
    harmless = ("/livez", "/readyz", "/healthz", "/api/v1/namespaces/kube-public/configmaps/cluster-info")
    return {one["path"] for one in conditions} <= set(harmless)


def _encryption(node: Node) -> bool:
    path = node.flags["kube-apiserver"]["encryption-provider-config"]
    providers = yaml.safe_load(node.run(f"cat {path}"))["resources"][0]["providers"]
    return node.private(path) and "secretbox" in providers[0]


def _webhook(node: Node) -> bool:
    return bool(
        node.kubelet["authorization"]["mode"] == "Webhook"
        and node.kubelet["authentication"]["webhook"]["enabled"]
    )


API, MANAGER, SCHEDULER, ETCD = PROGRAMS
HELD = [
    Rule("1.1.1", "manifests of the control plane are root's alone", private(f"{MANIFESTS}/*.yaml")),
    Rule("1.1.9", "so is the configuration of the pods' network", private("/etc/cni/net.d/*")),
    Rule("1.1.11", "etcd's directory is open to its owner alone", private("/var/lib/etcd", most=0o700)),
    Rule("1.1.13", "kubeconfigs of the control plane are root's alone", private("/etc/kubernetes/*.conf")),
    Rule("1.1.20", "so are certificates", private(f"{PKI}/*.crt", f"{PKI}/etcd/*.crt")),
    Rule("1.1.21", "and keys", private(f"{PKI}/*.key", f"{PKI}/etcd/*.key")),
    Rule("1.2.1", "nobody asks without credentials, but for probes and the join's authority", _no_anonymous),
    Rule("1.2.2", "there is no file of tokens", no_flag(API, "token-auth-file")),
    Rule(
        "1.2.3",
        "Services cannot take over addresses",
        has(API, "enable-admission-plugins", "DenyServiceExternalIPs"),
    ),
    Rule("1.2.4", "the API server shows kubelet a certificate", flag(API, "kubelet-client-certificate")),
    Rule("1.2.6", "access is never granted to all", flag(API, "authorization-mode", "Node,RBAC")),
    Rule("1.2.7", "nodes are granted their own objects", has(API, "authorization-mode", "Node")),
    Rule("1.2.8", "roles grant all else", has(API, "authorization-mode", "RBAC")),
    Rule(
        "1.2.14",
        "a node changes its own objects alone",
        has(API, "enable-admission-plugins", "NodeRestriction"),
    ),
    Rule("1.2.15", "the API server is not profiled", flag(API, "profiling", "false")),
    Rule("1.2.16", "requests are written down", flag(API, "audit-log-path")),
    Rule("1.2.17", "for 30 days", flag(API, "audit-log-maxage", "30")),
    Rule("1.2.18", "in 10 files", flag(API, "audit-log-maxbackup", "10")),
    Rule("1.2.19", "of 100 MB", flag(API, "audit-log-maxsize", "100")),
    Rule(
        "1.2.22",
        "service accounts' tokens are checked by a key of their own",
        flag(API, "service-account-key-file"),
    ),
    Rule(
        "1.2.23",
        "etcd is asked with a certificate",
        both(flag(API, "etcd-certfile"), flag(API, "etcd-keyfile")),
    ),
    Rule(
        "1.2.24",
        "the API server speaks TLS",
        both(flag(API, "tls-cert-file"), flag(API, "tls-private-key-file")),
    ),
    Rule("1.2.25", "clients' certificates are checked", flag(API, "client-ca-file")),
    Rule("1.2.26", "etcd's certificate is checked", flag(API, "etcd-cafile")),
    Rule("1.2.27", "Secrets are encrypted before etcd sees them", flag(API, "encryption-provider-config")),
    Rule("1.2.28", "by secretbox, with a key that is root's alone", _encryption),
    Rule("1.2.29", "the API server takes strong ciphers alone", has(API, "tls-cipher-suites", STRONG)),
    Rule("1.3.1", "pods that have ended are removed", flag(MANAGER, "terminated-pod-gc-threshold", "100")),
    Rule("1.3.2", "the controller manager is not profiled", flag(MANAGER, "profiling", "false")),
    Rule(
        "1.3.3",
        "each controller has an account of its own",
        flag(MANAGER, "use-service-account-credentials", "true"),
    ),
    Rule(
        "1.3.4", "tokens are signed by a key of their own", flag(MANAGER, "service-account-private-key-file")
    ),
    Rule("1.3.5", "pods are given the authority", flag(MANAGER, "root-ca-file")),
    Rule(
        "1.3.7",
        "the controller manager listens on the machine alone",
        flag(MANAGER, "bind-address", "127.0.0.1"),
    ),
    Rule("1.4.1", "the scheduler is not profiled", flag(SCHEDULER, "profiling", "false")),
    Rule("1.4.2", "the scheduler listens on the machine alone", flag(SCHEDULER, "bind-address", "127.0.0.1")),
    Rule("2.1", "etcd speaks TLS", both(flag(ETCD, "cert-file"), flag(ETCD, "key-file"))),
    Rule("2.2", "etcd wants a certificate", flag(ETCD, "client-cert-auth", "true")),
    Rule(
        "2.4", "etcd has one for its peers", both(flag(ETCD, "peer-cert-file"), flag(ETCD, "peer-key-file"))
    ),
    Rule("2.5", "and wants theirs", flag(ETCD, "peer-client-cert-auth", "true")),
    Rule("2.7", "etcd has an authority of its own", flag(ETCD, "trusted-ca-file", f"{PKI}/etcd/ca.crt")),
    Rule("3.2.1", "there is an audit policy", flag(API, "audit-policy-file")),
    Rule("4.1.1", "kubelet's unit is root's alone", private("/etc/systemd/system/kubelet.service")),
    Rule("4.1.5", "so is its kubeconfig", private("/etc/kubernetes/kubelet.conf")),
    Rule("4.1.9", "and its settings", private("/var/lib/kubelet/config.yaml", "/etc/sortie/kubelet.d/*")),
    Rule("4.2.1", "nobody asks kubelet without credentials", _kubelet_anonymous),
    Rule("4.2.2", "the API server says who may", _webhook),
    Rule("4.2.4", "kubelet has no open port", kubelet("readOnlyPort", 0)),
    Rule("4.2.10", "kubelet's client certificate is renewed", kubelet("rotateCertificates", True)),
    Rule("4.2.12", "kubelet takes strong ciphers alone", _kubelet_ciphers),
    Rule("4.2.13", "a pod has a bound on its processes", kubelet("podPidsLimit", 4096)),
]
EXCEPTIONS = [
    Rule(
        "1.1.12",
        "etcd's directory belongs to a user etcd",
        lambda node: node.run("stat --format %U /var/lib/etcd").strip() == "etcd",
        "cannot: kubeadm runs etcd as root",
    ),
    Rule(
        "1.2.5",
        "the API server checks kubelet's certificate",
        flag(API, "kubelet-certificate-authority"),
        "cannot: nothing in Kubernetes approves a serving certificate that a kubelet asks for, so it signs its own",
    ),
    Rule(
        "1.2.9",
        "events are limited by rate",
        has(API, "enable-admission-plugins", "EventRateLimit"),
        "not set: the plugin is in alpha",
    ),
    Rule(
        "1.2.11",
        "images are pulled anew for each pod",
        has(API, "enable-admission-plugins", "AlwaysPullImages"),
        "not set: no pod would start while the registry restarts; images are named by digest",
    ),
    Rule(
        "4.2.9",
        "kubelet's serving certificate is of the cluster's authority",
        lambda node: "tlsCertFile" in node.kubelet,
        "cannot: as 1.2.5",
    ),
]
