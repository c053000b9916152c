"""WCAG 2.2 AA, by axe-core, on every page, in both themes and with difficult colours."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from .conftest import Page


def set_theme(page: Page, theme: str) -> None:
    page.driver.execute_script("localStorage.setItem('sortie.theme', JSON.stringify(arguments[0]))", theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_launcher(page: Page, theme: str) -> None:
    set_theme(page, theme)
    page.open()
    page.click('[data-group] [data-id="chat"] .star')
    assert page.violations() == []
    page.chord(Keys.CONTROL, "k")
    page.one("#palette")
    assert page.violations() == []
    page.press(Keys.ESCAPE)
    page.gone("#palette")
    page.click("#account")
    page.one("#sign-in")
    assert page.violations() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_administration(page: Page, theme: str) -> None:
    page.sign_in()
    page.driver.execute_script("return fetch('/api/preferences')")
    set_theme(page, theme)
    for panel in ("apps", "categories", "users", "branding", "launches", "audit", "transfer"):
        page.open(f"/admin#{panel}")
        page.driver.refresh()
        page.one("#panel h2")
        page.gone("#panel[aria-busy]")
        assert page.violations() == [], panel
        page.shoot(f"admin-{panel}-{theme}")
    page.open("/admin#apps")
    page.click(".toolbar .primary")
    page.one("#editor")
    page.click("#editor .more summary")
    assert page.violations() == []


def test_the_documentation(page: Page) -> None:
    page.open("/docs")
    page.click("details summary")
    assert page.violations() == []


@pytest.mark.parametrize(
    ("primary", "secondary"),
    [("#000000", "#FFFFFF"), ("#FFFFFF", "#FFFF00"), ("#777777", "#808080"), ("#FF0000", "#0000FF")],
)
def test_any_colours_stay_readable(own: Page, primary: str, secondary: str) -> None:
    colours = {"primary_color": primary, "secondary_color": secondary}
    assert own.app.call("PUT", "/api/admin/branding", colours, own.app.login()).status == 200
    for theme in ("light", "dark"):
        set_theme(own, theme)
        own.open()
        assert own.violations() == []
