"""Every role describes every default it has, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (int, float),
    "int": (int,),
    "list": (list,),
    "path": (str,),
    "raw": (object,),
    "str": (str,),
}


class Loader(yaml.SafeLoader):
    """Reads `!vault` and `!unsafe` values as plain text."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_scalar(node))


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=Loader) if path.exists() else None  # noqa: S506 (Loader is a SafeLoader)


def options(role: str) -> dict[str, dict[str, Any]]:
    specs = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}


def defaults(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "defaults" / "main.yml") or {}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_argument_specs(role: str) -> None:
    assert (ROOT / "roles" / role / "meta" / "argument_specs.yml").exists()


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_described_and_every_described_default_exists(role: str) -> None:
    described = {name for name, option in options(role).items() if "default" in option}
    assert described == set(defaults(role))


@pytest.mark.parametrize("role", ROLES)
def test_described_defaults_equal_the_real_ones(role: str) -> None:
    described = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert described == defaults(role)


@pytest.mark.parametrize("role", ROLES)
def test_defaults_have_the_described_type(role: str) -> None:
    wrong = {
        name: (type(default).__name__, options(role)[name]["type"])
        for name, default in defaults(role).items()
        if not (isinstance(default, str) and "{{" in default)
        and not isinstance(default, PYTHON_TYPES[options(role)[name]["type"]])
    }
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_has_a_description_and_a_type(role: str) -> None:
    incomplete = [
        name
        for name, option in options(role).items()
        if not (option.get("description") and option.get("type"))
    ]
    assert incomplete == []
