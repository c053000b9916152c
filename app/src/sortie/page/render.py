"""Makes the pages from their templates."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bottle import SimpleTemplate

from ..catalogue.published import Prepared, View
from .assets import assets

HTML = "text/html; charset=utf-8"
_DIRECTORY = Path(__file__).parent / "templates"


@functools.cache
def _template(name: str) -> Any:
    return SimpleTemplate(name=f"{name}.tpl", lookup=[str(_DIRECTORY)])


def page(name: str, branding: Mapping[str, str], **values: Any) -> Prepared:
    """The page `name` with the tenant's name and logo. Templates escape what they show."""
    text: str = _template(name).render(static=assets().base, branding=branding, **values)
    return Prepared(text.encode(), HTML)


def launcher(view: View, branding: Mapping[str, str], *, may_register: bool, has_provider: bool) -> Prepared:
    """The page with the applications of a view, by category."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for app in view.apps:
        groups.setdefault(app["category"], []).append(app)
    return page(
        "launcher",
        branding,
        groups=list(groups.items()),
        may_register=may_register,
        has_provider=has_provider,
    )
