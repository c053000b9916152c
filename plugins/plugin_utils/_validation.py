# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Finds every mistake in the variables of all tenants before anything is changed.

Types and choices come from the role's argument_specs; what they cannot say stands in the tables below. A
check never stops at the first mistake, and never shows the value of a variable that the specs call secret.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.sortie.platform.plugins.plugin_utils import _cron

PREFIX = "sortie_"
SHOWN_CHARACTERS = 60

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
LOGO = re.compile(r"https?://[^\s/]+\S*|data:image/[\w.+-]+[;,]\S+")
WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*")
IMAGE = re.compile(
    r"[a-z0-9]+([.:_/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII
)
ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
SECRET_NAME = re.compile(r".*(_SECRET|_PASSWORD|_TOKEN|_DSN|_KEY)")
NETWORK_FILE_SYSTEM = re.compile(
    r"(nfs|efs|smb|cifs|samba|azure-?file|filestore|cephfs|gluster|lustre)", re.IGNORECASE
)
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REPLICA_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
DURATION = re.compile(r"(\d+(\.\d+)?(ms|s|m|h))+")
DURATION_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
PROMETHEUS_DURATION = re.compile(r"(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
PROMETHEUS_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
OWN_LABELS = {"alertname", "namespace", "severity", "tenant"}
CPU = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>m?)")
BYTES = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[kKMGTPE]?i?)")
UNITS = {"": 1.0, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)
}

# What the manifests set themselves; a second entry of the same name would be lost or would break the pod.
OWN_ENVIRONMENT = {
    "SORTIE_ADMIN_PASSWORD",
    "SORTIE_ADMIN_USERNAME",
    "SORTIE_CONFIG",
    "SORTIE_DB",
    "SORTIE_DB_DSN",
    "SORTIE_DB_TYPE",
    "SORTIE_HEARTBEAT",
    "SORTIE_JWT_SECRET",
    "SORTIE_JWT_SECRET_PREVIOUS",
    "SORTIE_PORT",
    "SORTIE_READ_ONLY",
    "SORTIE_STATUS_DIR",
    "SORTIE_STOP_DELAY",
    "SORTIE_TLS_CERTIFICATE",
    "SORTIE_TRUSTED_PROXIES",
}
APP_FIELDS = {
    "category",
    "container_args",
    "container_image",
    "container_port",
    "description",
    "egress_policy",
    "icon",
    "id",
    "launch_type",
    "name",
    "os_type",
    "resource_limits",
    "tenant_id",
    "url",
    "visibility",
}
CATEGORY_FIELDS = {"approved_users", "description", "id", "name", "tenant_id"}
VISIBILITIES = ("public", "approved", "admin_only")
LAUNCH_TYPES = ("url", "container", "web_proxy")

Variables = Mapping[str, Any]
Check = Callable[[Any], bool]


@dataclass(frozen=True, order=True)
class Mistake:
    """One value that cannot be used, and what could stand there."""

    tenant: str
    variable: str
    value: str
    expected: str


def quantity(value: object, pattern: re.Pattern[str]) -> float | None:
    """A Kubernetes quantity as a number, or None if it is none."""
    match = pattern.fullmatch(str(value))
    if match is None or match["unit"] not in UNITS:
        return None
    return float(match["number"]) * UNITS[match["unit"]]


def is_host_name(value: object) -> bool:
    text = str(value)
    if not 0 < len(text) <= 253 or is_address(text):
        return False
    return all(DNS_LABEL.fullmatch(label) for label in text.split("."))


def is_address(value: object) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def is_namespace(value: object) -> bool:
    text = str(value)
    return bool(DNS_LABEL.fullmatch(text)) and not text.startswith("kube-") and text != "default"


def seconds(value: object) -> float:
    """Seconds of a duration as Litestream has them, 0 if it is none."""
    if not DURATION.fullmatch(str(value)):
        return 0
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(value))
    return sum(float(number) * DURATION_SECONDS[unit] for number, unit in parts)


def is_duration(value: object) -> bool:
    return seconds(value) > 0


def is_port(value: object) -> bool:
    return 1 <= int(str(value)) <= 65535


def is_network(value: object) -> bool:
    try:
        ipaddress.ip_network(str(value))
    except ValueError:
        return False
    return True


def is_percentage(value: object) -> bool:
    return 1 <= int(str(value)) <= 100


def are_labels(value: object) -> bool:
    """Labels as Prometheus has them, and none of those that the alerts set themselves."""
    return isinstance(value, Mapping) and all(
        PROMETHEUS_LABEL.fullmatch(str(name)) and name not in OWN_LABELS and isinstance(text, str)
        for name, text in value.items()
    )


def matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: bool(pattern.fullmatch(str(value)))


def at_least(least: int) -> Check:
    return lambda value: int(str(value)) >= least


def all_are(check: Check) -> Check:
    return lambda values: all(check(value) for value in values)


def empty_or(check: Check) -> Check:
    return lambda value: value == "" or check(value)


DURATION_EXPECTED = "a duration above zero such as 1s, 15m or 24h"
OBJECT_NAME = "a name of lower-case letters, digits, '-' and '.'"
SIZE_EXPECTED = "a quantity greater than zero, for example 1Gi"
COLOUR_EXPECTED = "a colour as #RRGGBB, for example '#398D9B'"

# What a value of the right type must also be, by variable.
CHECKS: dict[str, tuple[Check, str]] = {
    "sortie_namespace": (
        is_namespace,
        "a namespace of its own: at most 63 lower-case letters, digits and '-', not default or kube-*",
    ),
    "sortie_branding_logo_url": (matches(LOGO), "an address http(s)://... or data:image/..."),
    "sortie_branding_primary_color": (matches(COLOUR), COLOUR_EXPECTED),
    "sortie_branding_secondary_color": (matches(COLOUR), COLOUR_EXPECTED),
    "sortie_branding_tenant_name": (lambda value: 0 < len(str(value).strip()) <= 200, "1 to 200 characters"),
    "sortie_image": (matches(IMAGE), "an image, [registry/]name[:tag][@sha256:digest]"),
    "sortie_image_pull_secrets": (all_are(is_host_name), f"a list; each {OBJECT_NAME}"),
    "sortie_replicas": (at_least(1), "1 or more"),
    "sortie_read_replicas": (at_least(0), "0 or more"),
    "sortie_read_heartbeat": (
        lambda value: 1 <= seconds(value) <= 60,
        "a duration from 1s to 60s",
    ),
    "sortie_rollout_timeout": (lambda value: 1 <= int(str(value)) <= 3600, "1 to 3600 seconds"),
    "sortie_storage_size": (lambda value: bool(quantity(value, BYTES)), SIZE_EXPECTED),
    "sortie_storage_class": (is_host_name, OBJECT_NAME),
    "sortie_postgresql_instances": (at_least(1), "1 or more"),
    "sortie_postgresql_image": (empty_or(matches(IMAGE)), "an image, [registry/]name:tag, or nothing"),
    "sortie_postgresql_operator_namespace": (matches(DNS_LABEL), "a namespace"),
    "sortie_backup_schedule": (lambda value: value == "" or _cron.is_cron(value), _cron.EXPECTED),
    "sortie_litestream_image": (matches(IMAGE), "an image, [registry/]name[:tag][@sha256:digest]"),
    "sortie_litestream_bucket": (
        empty_or(matches(BUCKET)),
        "the name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.'",
    ),
    "sortie_litestream_endpoint": (empty_or(matches(WEB_ADDRESS)), "an address http(s)://..., or nothing"),
    "sortie_litestream_storage_class": (empty_or(is_host_name), f"{OBJECT_NAME}, or nothing"),
    "sortie_litestream_path": (
        matches(REPLICA_PATH),
        "a path of letters, digits, '.', '_' and '-', without '/' at its ends and without '..'",
    ),
    "sortie_litestream_sync_interval": (is_duration, DURATION_EXPECTED),
    "sortie_litestream_snapshot_interval": (is_duration, DURATION_EXPECTED),
    "sortie_litestream_retention": (is_duration, DURATION_EXPECTED),
    "sortie_ingress_host": (
        is_host_name,
        "a host name of lower-case letters, digits, '-' and '.', no address and no wildcard",
    ),
    "sortie_ingress_class": (is_host_name, OBJECT_NAME),
    "sortie_ingress_port": (is_port, "a port, 1 to 65535"),
    "sortie_ingress_address": (
        lambda value: value == "" or is_address(value) or is_host_name(value),
        "an address, a host name, or nothing",
    ),
    "sortie_ingress_tls_secret": (is_host_name, OBJECT_NAME),
    "sortie_ingress_cluster_issuer": (is_host_name, OBJECT_NAME),
    "sortie_trusted_proxies": (all_are(is_network), "a list of networks, for example 10.0.0.0/8"),
    "sortie_external_secret_store": (empty_or(is_host_name), f"{OBJECT_NAME}, or nothing"),
    "sortie_external_secret_key": (
        lambda value: bool(str(value).strip()),
        "the name of an entry of the store",
    ),
    "sortie_external_secret_refresh": (is_duration, DURATION_EXPECTED),
    "sortie_network_policy_namespaces": (all_are(matches(DNS_LABEL)), "a list of namespaces"),
    "sortie_autoscaling_min": (at_least(1), "1 or more"),
    "sortie_autoscaling_max": (at_least(1), "1 or more"),
    "sortie_autoscaling_cpu": (at_least(1), "a share in percent, 1 or more"),
    "sortie_monitor_labels": (
        lambda value: all(LABEL_VALUE.fullmatch(str(text)) for text in value.values()),
        "labels, whose values are at most 63 letters, digits, '-', '_' and '.'",
    ),
    "sortie_alert_for": (matches(PROMETHEUS_DURATION), "a duration such as 0s, 5m or 1h30m"),
    "sortie_alert_error_percent": (is_percentage, "a share in percent, 1 to 100"),
    "sortie_alert_latency_ms": (
        lambda value: 1 <= int(str(value)) <= 10_000,
        "1 to 10000 milliseconds, which is as far as the histogram goes",
    ),
    "sortie_alert_volume_percent": (is_percentage, "a share in percent, 1 to 100"),
    "sortie_alert_volume_hours": (at_least(1), "1 or more"),
    "sortie_alert_replica_seconds": (at_least(1), "1 or more"),
    "sortie_alert_backup_hours": (at_least(0), "0 or more"),
    "sortie_alert_drill_days": (at_least(0), "0 or more"),
    "sortie_alert_certificate_days": (at_least(1), "1 or more"),
    "sortie_alert_labels": (
        are_labels,
        "labels of letters, digits and '_' with strings as values; not alertname, namespace, severity or tenant",
    ),
}


def _is_str(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _is_int(value: object) -> bool:
    return not isinstance(value, bool) and bool(re.fullmatch(r"-?\d+", str(value)))


def _is_bool(value: object) -> bool:
    try:
        boolean(value)
    except TypeError:
        return False
    return True


# Values from the command line (-e) are strings, so a string that reads as the type will do.
TYPES: dict[str, tuple[Check, str]] = {
    "bool": (_is_bool, "true or false"),
    "dict": (lambda value: isinstance(value, Mapping), "a mapping"),
    "int": (_is_int, "a whole number"),
    "list": (lambda value: isinstance(value, Sequence) and not isinstance(value, str), "a list"),
    "path": (_is_str, "a path"),
    "str": (_is_str, "a string"),
}


def _type_problem(option: Mapping[str, Any], value: object) -> str | None:
    fits, expected = TYPES[option["type"]]
    if not fits(value):
        return expected
    if elements := option.get("elements"):
        fits, _expected = TYPES[elements]
        if not all(fits(element) for element in value):  # type: ignore[attr-defined]
            return f"{expected} of {'mappings' if elements == 'dict' else 'strings'}"
    if (choices := option.get("choices")) and value not in choices:
        return "one of " + ", ".join(choices)
    return None


def check_values(variables: Variables, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Types, choices and single values: (variable, what is expected)."""
    for name, option in options.items():
        value = variables.get(name)
        if problem := _type_problem(option, value):
            yield name, problem
        elif name in CHECKS and not CHECKS[name][0](value):
            yield name, CHECKS[name][1]


def check_tenant_name(variables: Variables) -> Iterator[tuple[str, str]]:
    if not DNS_LABEL.fullmatch(variables["tenant"]):
        yield (
            "inventory_hostname",
            "at most 63 lower-case letters, digits and '-': it names the tenant's objects",
        )


def check_cluster(variables: Variables) -> Iterator[tuple[str, str]]:
    if not variables["sortie_kubeconfig"]:
        yield (
            "sortie_kubeconfig",
            "the kubeconfig of the tenant's cluster, or nodes in group kube_control_plane; "
            "the current context is never used",
        )


def check_resources(variables: Variables) -> Iterator[tuple[str, str]]:
    for variable in ("sortie_resources", "sortie_postgresql_resources", "sortie_litestream_resources"):
        yield from _check_amounts(variable, variables[variable])


def _check_amounts(variable: str, resources: Variables) -> Iterator[tuple[str, str]]:
    sizes: dict[tuple[str, str], float] = {}
    for part, amounts in resources.items():
        if part not in ("requests", "limits") or not isinstance(amounts, Mapping):
            yield variable, "requests and limits, each with cpu and memory"
            continue
        for name, pattern, example in (("cpu", CPU, "100m"), ("memory", BYTES, "128Mi")):
            size = quantity(amounts.get(name, ""), pattern)
            if not size:
                yield (
                    variable,
                    f"{part}.{name} as a quantity greater than zero, for example {example}",
                )
            else:
                sizes[part, name] = size
    for name in ("cpu", "memory"):
        if sizes.get(("limits", name), float("inf")) < sizes.get(("requests", name), 0):
            yield variable, f"limits.{name} not below requests.{name}"


def check_image_keys(variables: Variables) -> Iterator[tuple[str, str]]:
    for variable in ("sortie_image", "sortie_litestream_image"):
        if variables[f"{variable}_public_key"] and "@sha256:" not in str(variables[variable]):
            yield (
                variable,
                f"an image with its digest, name@sha256:..., since {variable}_public_key is set and a tag may become another image",
            )


def check_database(variables: Variables) -> Iterator[tuple[str, str]]:
    if variables["sortie_database"] == "sqlite":
        if int(variables["sortie_replicas"]) > 1:
            yield (
                "sortie_replicas",
                "1 with sortie_database: sqlite, which has one writer; more need postgresql",
            )
        if boolean(variables["sortie_autoscaling"]):
            yield "sortie_autoscaling", "false with sortie_database: sqlite, which has one writer"
        network = NETWORK_FILE_SYSTEM.search(str(variables["sortie_storage_class"]))
        if network and not boolean(variables["sortie_storage_allow_network"]):
            yield (
                "sortie_storage_class",
                f"no network file system ({network[0]}) under SQLite, it corrupts the database; "
                "sortie_storage_allow_network: true if the name misleads",
            )
    elif variables["sortie_postgresql_provider"] == "cloudnativepg":
        if variables["sortie_database_dsn"]:
            yield (
                "sortie_database_dsn",
                "nothing with sortie_postgresql_provider: cloudnativepg, which makes the database",
            )
    elif variables["sortie_secrets"] != "external" and not str(variables["sortie_database_dsn"]).startswith(
        ("postgresql://", "postgres://")
    ):
        yield "sortie_database_dsn", "postgresql://USER:PASSWORD@HOST/NAME, with sortie_database: postgresql"


# One of an extension has the extension's name before it.
PARAMETER_NAME = re.compile(r"[a-z_]\w*(\.[a-z_]\w*)?", re.ASCII | re.IGNORECASE)
# What the operator or the Cluster's other fields set; the operator refuses such a Cluster with less plain words.
OPERATORS_PARAMETERS = re.compile(
    r"archive_mode|archive_command|config_file|data_directory|hba_file|hot_standby|listen_addresses|log_destination|"
    r"log_directory|log_filename|logging_collector|port|primary_conninfo|restore_command|ssl\w*|synchronous_standby_names|"
    r"unix_socket_\w+"
)
# Each pod opens up to this many connections.
CONNECTIONS = 20
MOST_CONNECTIONS = 240


def check_postgresql(variables: Variables) -> Iterator[tuple[str, str]]:
    if (
        variables["sortie_database"] != "postgresql"
        or variables["sortie_postgresql_provider"] != "cloudnativepg"
    ):
        return
    if (
        variables["sortie_postgresql_durability"] == "required"
        and int(variables["sortie_postgresql_instances"]) < 3
    ):
        yield (
            "sortie_postgresql_instances",
            "3 or more with sortie_postgresql_durability: required; with fewer, the loss of one stops all writes",
        )
    parameters = variables["sortie_postgresql_parameters"]
    for name, value in parameters.items():
        if not PARAMETER_NAME.fullmatch(str(name)):
            yield "sortie_postgresql_parameters", f"names of settings as in postgresql.conf, not {name}"
        elif not isinstance(value, str | int | float) or isinstance(value, bool):
            yield "sortie_postgresql_parameters", f"{name} as a string or a number, as in postgresql.conf"
        elif OPERATORS_PARAMETERS.fullmatch(str(name)):
            yield "sortie_postgresql_parameters", f"other settings than {name}, which the operator sets"
    pods = int(
        variables["sortie_autoscaling_max" if boolean(variables["sortie_autoscaling"]) else "sortie_replicas"]
    )
    connections = str(parameters.get("max_connections", MOST_CONNECTIONS))
    # While an update runs, there is one pod more.
    needed = CONNECTIONS * (pods + 1)
    if connections.isdigit() and int(connections) < needed:
        yield (
            "sortie_postgresql_parameters",
            f"max_connections of {needed} or more: up to {pods + 1} pods open {CONNECTIONS} each",
        )
    for name in ("PGSSLMODE", "PGSSLROOTCERT"):
        if name in variables["sortie_env"]:
            yield "sortie_env", f"other names than {name}, which the manifests set"


def check_litestream(variables: Variables) -> Iterator[tuple[str, str]]:
    if not boolean(variables["sortie_litestream"]):
        return
    if variables["sortie_database"] != "sqlite":
        yield "sortie_litestream", "false with sortie_database: postgresql; it copies SQLite databases"
    if bool(variables["sortie_litestream_bucket"]) == bool(variables["sortie_litestream_storage_class"]):
        yield "sortie_litestream_bucket", "this or sortie_litestream_storage_class, and not both"
    keys = ("sortie_litestream_access_key_id", "sortie_litestream_secret_access_key")
    for one, other in (keys, keys[::-1]):
        if variables[other] and not variables[one]:
            yield one, f"a value beside {other}"
    if seconds(variables["sortie_litestream_retention"]) < seconds(
        variables["sortie_litestream_snapshot_interval"]
    ):
        yield (
            "sortie_litestream_retention",
            "at least sortie_litestream_snapshot_interval: a return begins at a whole copy",
        )


def check_other_volumes(variables: Variables) -> Iterator[tuple[str, str]]:
    # By default they are as sortie_storage_size and sortie_storage_class, whose mistakes are told once.
    for name in ("sortie_litestream_storage_size", "sortie_postgresql_storage_size"):
        size = variables[name]
        if size != variables["sortie_storage_size"] and not quantity(size, BYTES):
            yield name, SIZE_EXPECTED
    name = "sortie_postgresql_storage_class"
    if variables[name] != variables["sortie_storage_class"] and not is_host_name(variables[name]):
        yield name, OBJECT_NAME


def check_read_replicas(variables: Variables) -> Iterator[tuple[str, str]]:
    if int(variables["sortie_read_replicas"]) and not boolean(variables["sortie_litestream"]):
        yield "sortie_read_replicas", "0 without sortie_litestream: true, whose replica they follow"


BEHAVIOR_FIELDS = {"policies", "selectPolicy", "stabilizationWindowSeconds", "tolerance"}


def check_autoscaling(variables: Variables) -> Iterator[tuple[str, str]]:
    for direction, rules in variables["sortie_autoscaling_behavior"].items():
        if direction not in ("scaleUp", "scaleDown") or not isinstance(rules, Mapping):
            yield "sortie_autoscaling_behavior", "scaleUp and scaleDown, each a mapping"
        elif unknown := sorted(set(rules) - BEHAVIOR_FIELDS):
            yield (
                "sortie_autoscaling_behavior",
                f"{', '.join(sorted(BEHAVIOR_FIELDS))} in {direction}, not {', '.join(unknown)}",
            )
    if int(variables["sortie_autoscaling_min"]) > int(variables["sortie_autoscaling_max"]):
        yield "sortie_autoscaling_min", "not above sortie_autoscaling_max"


def check_tls(variables: Variables) -> Iterator[tuple[str, str]]:
    if variables["sortie_tls"] != "provided":
        return
    certificate, key = str(variables["sortie_tls_certificate"]), str(variables["sortie_tls_private_key"])
    if (certificate or key) and "-----BEGIN CERTIFICATE-----" not in certificate:
        yield "sortie_tls_certificate", "a certificate chain in PEM form beside sortie_tls_private_key"
    if (certificate or key) and "PRIVATE KEY-----" not in key:
        yield "sortie_tls_private_key", "a private key in PEM form beside sortie_tls_certificate"


def check_secrets(variables: Variables) -> Iterator[tuple[str, str]]:
    if variables["sortie_external_secret_store"] and variables["sortie_secrets"] != "external":
        yield "sortie_secrets", "external, with sortie_external_secret_store"
    if variables["sortie_secrets"] != "vault":
        return
    if len(str(variables["sortie_jwt_secret"])) < 32:
        yield "sortie_jwt_secret", "32 characters or more, with sortie_secrets: vault"
    if len(str(variables["sortie_admin_password"])) < 12:
        yield "sortie_admin_password", "12 characters or more, with sortie_secrets: vault"


def check_annotations(variables: Variables) -> Iterator[tuple[str, str]]:
    for name, value in variables["sortie_ingress_annotations"].items():
        if value is not None and not isinstance(value, str):
            yield "sortie_ingress_annotations", f"a string in quotes (or null) as value of {name}"


def check_environment(variables: Variables) -> Iterator[tuple[str, str]]:
    for name, value in variables["sortie_env"].items():
        if not ENVIRONMENT_NAME.fullmatch(str(name)):
            yield "sortie_env", f"names of capital letters, digits and '_'; not {name}"
        elif name in OWN_ENVIRONMENT:
            yield "sortie_env", f"other names than {name}, which the manifests set"
        elif isinstance(value, Mapping):
            if set(value) != {"secret", "key"}:
                yield "sortie_env", f"{name} as a string or as {{secret: NAME, key: KEY}}"
            elif not (is_host_name(value["secret"]) and SECRET_KEY.fullmatch(str(value["key"]))):
                yield "sortie_env", f"{name} with names of a Secret and of a key in it"
        elif not isinstance(value, str | int | float):
            yield "sortie_env", f"{name} as a string or as {{secret: NAME, key: KEY}}"
        elif SECRET_NAME.fullmatch(str(name)):
            yield "sortie_env", f"{name} as {{secret: NAME, key: KEY}}: its name says that it is secret"


def _nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like this one, in words; nothing if none is."""
    bare = {one.removeprefix(PREFIX): one for one in sorted(known)}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    return f"; the nearest is {bare[near[0]]}" if near else ""


def _check_entries(
    variable: str, entries: Sequence[Variables], key: str, fields: set[str]
) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for position, entry in enumerate(entries, start=1):
        name = str(entry.get(key) or "")
        if not name:
            yield variable, f"entry {position} with its {key}"
        elif name in seen:
            yield variable, f"each {key} once; {name} is there twice"
        seen.add(name)
        for field in sorted(set(entry) - fields):
            yield variable, f"known fields in {name or position}, not {field}{_nearest(field, fields)}"


def check_catalogue(variables: Variables) -> Iterator[tuple[str, str]]:
    apps = variables["sortie_apps"]
    yield from _check_entries("sortie_apps", apps, "id", APP_FIELDS)
    yield from _check_entries("sortie_categories", variables["sortie_categories"], "name", CATEGORY_FIELDS)
    for app in apps:
        label = app.get("id") or "?"
        if not app.get("name"):
            yield "sortie_apps", f"a name in {label}"
        if app.get("launch_type", "url") not in LAUNCH_TYPES:
            yield "sortie_apps", f"launch_type of {label} as one of {', '.join(LAUNCH_TYPES)}"
        elif app.get("launch_type", "url") == "url" and not WEB_ADDRESS.fullmatch(str(app.get("url", ""))):
            yield "sortie_apps", f"url of {label} as http(s)://..."
        if app.get("visibility", "public") not in VISIBILITIES:
            yield "sortie_apps", f"visibility of {label} as one of {', '.join(VISIBILITIES)}"


# These look at variables together; each runs only where the named ones have the right type.
JOINT_CHECKS: tuple[tuple[Callable[[Variables], Iterator[tuple[str, str]]], tuple[str, ...]], ...] = (
    (check_cluster, ("sortie_kubeconfig",)),
    (check_image_keys, ("sortie_image", "sortie_litestream_image")),
    (check_resources, ("sortie_resources", "sortie_postgresql_resources", "sortie_litestream_resources")),
    (
        check_postgresql,
        (
            "sortie_postgresql_provider",
            "sortie_postgresql_instances",
            "sortie_postgresql_parameters",
            "sortie_autoscaling",
            "sortie_autoscaling_max",
            "sortie_replicas",
            "sortie_env",
        ),
    ),
    (
        check_litestream,
        (
            "sortie_litestream",
            "sortie_litestream_bucket",
            "sortie_litestream_storage_class",
            "sortie_litestream_retention",
            "sortie_litestream_snapshot_interval",
        ),
    ),
    (
        check_database,
        ("sortie_database", "sortie_replicas", "sortie_autoscaling", "sortie_storage_allow_network"),
    ),
    (
        check_other_volumes,
        ("sortie_litestream_storage_size", "sortie_postgresql_storage_size", "sortie_storage_size"),
    ),
    (check_read_replicas, ("sortie_read_replicas", "sortie_litestream")),
    (
        check_autoscaling,
        ("sortie_autoscaling_min", "sortie_autoscaling_max", "sortie_autoscaling_behavior"),
    ),
    (check_tls, ("sortie_tls",)),
    (check_secrets, ("sortie_secrets",)),
    (check_annotations, ("sortie_ingress_annotations",)),
    (check_environment, ("sortie_env",)),
    (check_catalogue, ("sortie_apps", "sortie_categories")),
)


def show(value: object) -> str:
    """A value as it fits into a table."""
    text = value if isinstance(value, str) and value else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def _shown(name: str, variables: Variables, options: Mapping[str, Any]) -> str:
    value = variables["tenant"] if name == "inventory_hostname" else variables.get(name)
    if options.get(name, {}).get("no_log"):
        return "(secret)" if value else "(not set)"
    if name == "sortie_env" and isinstance(value, Mapping):
        # What is mistaken may be just that a secret stands here.
        return "variables " + ", ".join(map(str, value))
    return show(value)


def tenant_mistakes(
    variables: Variables, options: Mapping[str, Any], unknown: Iterable[str] = ()
) -> list[Mistake]:
    """The mistakes of one tenant, sorted. `options` are the role's, `unknown` is not among them."""
    found = [*check_tenant_name(variables), *check_values(variables, options)]
    mistyped = {name for name, option in options.items() if _type_problem(option, variables.get(name))}
    for check, needed in JOINT_CHECKS:
        if not mistyped.intersection(needed):
            found.extend(check(variables))
    mistakes = {
        Mistake(variables["tenant"], name, _shown(name, variables, options), expected)
        for name, expected in found
    }
    mistakes |= {
        Mistake(variables["tenant"], name, "", "a known variable" + _nearest(name, options))
        for name in unknown
    }
    return sorted(mistakes)


# What no two tenants of a cluster may have in common, and whether it holds across clusters as well.
UNSHARED = (("namespace", False), ("ingress_host", True))


def clashes(tenants: Sequence[Variables], neighbours: Sequence[Variables] = ()) -> list[Mistake]:
    """Tenants that would overwrite each other, all given by their variables without the prefix.

    A neighbour is outside the limit and only looked at.
    """
    mistakes = []
    for variable, everywhere in UNSHARED:
        taken: dict[tuple[str, ...], str] = {}
        for mine, entry in [*((False, one) for one in neighbours), *((True, one) for one in tenants)]:
            value = str(entry[variable])
            cluster = () if everywhere else (str(entry["kubeconfig"]), str(entry["context"]))
            other = taken.setdefault((*cluster, value), entry["tenant"])
            if mine and other != entry["tenant"]:
                expected = f"one of its own; tenant {other} has this one"
                mistakes.append(Mistake(entry["tenant"], PREFIX + variable, value, expected))
    mistakes += _shared_replicas(tenants, neighbours)
    return mistakes


def _shared_replicas(tenants: Sequence[Variables], neighbours: Sequence[Variables]) -> Iterator[Mistake]:
    """Tenants whose replicas would lie in, or inside, one another's path of a bucket."""
    streaming = [
        entry
        for entry in [*neighbours, *tenants]
        if boolean(entry.get("litestream", False), strict=False) and entry["litestream_bucket"]
    ]
    mine = [entry["tenant"] for entry in tenants]
    for number, entry in enumerate(streaming):
        for other in streaming[:number]:
            store = (entry["litestream_endpoint"], entry["litestream_bucket"])
            if store != (other["litestream_endpoint"], other["litestream_bucket"]):
                continue
            path, theirs = (f"{one['litestream_path']}/" for one in (entry, other))
            if entry["tenant"] in mine and (path.startswith(theirs) or theirs.startswith(path)):
                expected = (
                    "a path of its own in the bucket; "
                    f"tenant {other['tenant']} has {other['litestream_path']} there"
                )
                yield Mistake(entry["tenant"], "sortie_litestream_path", path[:-1], expected)
