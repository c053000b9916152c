"""The launcher as its users use it."""

from __future__ import annotations

import pytest
from app.server import eventually
from selenium.webdriver.common.keys import Keys

from .conftest import Page, requested

SHOWN = ".group[data-group] .app .name"


def test_it_shows_the_tenant_and_what_everybody_sees_by_category(page: Page) -> None:
    assert page.driver.title == "Acme"
    assert page.texts(SHOWN) == ["Chat", "Builds", "Forge", "Handbook", "Alerts", "Dashboards"]
    assert page.texts(".group[data-group] h2") == ["Communication", "Development", "Knowledge", "Operations"]
    page.shoot("launcher-light")


def test_nothing_is_asked_of_third_parties_and_the_console_is_quiet(page: Page) -> None:
    page.sign_in()
    for path in ("/", "/docs", "/admin"):
        page.open(path)
    assert requested(page.driver) == {f"127.0.0.1:{page.app.port}"}
    assert page.console() == []


def test_search_shows_what_matches_and_says_when_nothing_does(page: Page) -> None:
    page.fill("#search", "operations dash")
    assert page.texts(SHOWN) == ["Dashboards"]
    page.fill("#search", "zzz")
    assert page.texts(SHOWN) == []
    assert "zzz" in page.one("#no-match").text
    page.press(Keys.ESCAPE)
    assert len(page.texts(SHOWN)) == 6


def test_a_category_can_be_chosen(page: Page) -> None:
    page.click('[data-category="Development"]')
    assert page.texts(SHOWN) == ["Builds", "Forge"]
    assert page.one('[data-category="Development"]').get_attribute("aria-pressed") == "true"
    page.click('[data-category="*"]')
    assert len(page.texts(SHOWN)) == 6


def test_opening_an_application_counts_and_puts_it_first_next_time(page: Page) -> None:
    admin = page.app.login()
    before = page.app.get("/api/analytics/stats", admin).json["total_launches"]
    window = page.driver.current_window_handle
    page.click('[data-group="Knowledge"] [data-id="wiki"] .open')
    eventually(lambda: page.app.get("/api/analytics/stats", admin).json["total_launches"] == before + 1)
    eventually(lambda: len(page.driver.window_handles) == 2)
    for handle in page.driver.window_handles:
        if handle != window:
            page.driver.switch_to.window(handle)
            page.driver.close()
    page.driver.switch_to.window(window)
    page.open()
    assert page.texts("#recents .name") == ["Handbook"]


def test_favourites_stay_in_the_browser_and_with_the_user(page: Page) -> None:
    page.click('[data-group] [data-id="chat"] .star')
    assert page.texts("#favourites .name") == ["Chat"]
    page.open()
    assert page.texts("#favourites .name") == ["Chat"]
    page.sign_in()
    token = page.app.login()
    eventually(lambda: page.app.get("/api/preferences", token).json["favourites"] == ["chat"])
    page.driver.execute_script("localStorage.clear()")
    page.open()
    eventually(lambda: page.texts("#favourites .name") == ["Chat"])
    page.click("#favourites .star")
    assert page.texts("#favourites .name") == []
    eventually(lambda: page.app.get("/api/preferences", token).json["favourites"] == [])


def test_the_theme_stays(page: Page) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = page.driver.execute_script(background)
    page.click("#theme")
    page.click("#theme")
    dark = page.driver.execute_script(background)
    assert dark != light
    page.open()
    assert page.driver.execute_script(background) == dark
    page.shoot("launcher-dark")


def test_the_palette_works_by_keys_alone(page: Page) -> None:
    page.chord(Keys.CONTROL, "k")
    page.one("#palette")
    page.press("dash")
    assert page.texts("#palette-list [aria-selected=true] span") == ["Dashboards"]
    page.shoot("palette")
    page.press(Keys.ESCAPE)
    page.gone("#palette")
    page.chord(Keys.CONTROL, "k")
    page.press("theme", Keys.ENTER)
    eventually(lambda: page.driver.execute_script("return document.documentElement.dataset.theme") == "light")


def test_everything_can_be_reached_by_keys(page: Page) -> None:
    page.press(Keys.TAB)
    assert page.focused() == "Skip to the content"
    page.press("/")
    assert page.focused() == "Search applications"
    page.press(Keys.ARROW_DOWN)
    assert page.focused().startswith("Chat")
    page.press(Keys.ARROW_RIGHT)
    assert page.focused().startswith("Builds")
    page.press(Keys.ARROW_DOWN)
    assert page.focused().startswith("Dashboards")
    page.press(Keys.ARROW_UP)
    page.press(Keys.ARROW_RIGHT)
    assert page.focused().startswith("Forge")
    page.press(Keys.TAB)
    assert page.focused() == "Favourite: Forge"
    page.press(Keys.ENTER)
    assert page.texts("#favourites .name") == ["Forge"]


def test_signing_in_shows_more_and_signing_out_less(page: Page) -> None:
    page.click("#account")
    page.fill("#sign-in [name=username]", "admin")
    page.fill("#sign-in [name=password]", "wrong")
    page.press(Keys.ENTER)
    assert "wrong" in page.one("#sign-in .problem").text
    page.shoot("sign-in")
    page.sign_in()
    assert "Secrets" in page.texts(SHOWN)
    page.click("#account")
    page.click("#sign-out")
    eventually(lambda: page.texts("#account") == ["Sign in"])
    page.loaded()
    assert "Secrets" not in page.texts(SHOWN)


def test_an_icon_that_cannot_be_loaded_becomes_a_letter(own: Page) -> None:
    token = own.app.login()
    for name in ("git", "ci", "chat"):
        own.app.call("PATCH", f"/api/apps/{name}", {"icon": f"http://127.0.0.1:9/{name}.png"}, token)
    own.open()
    eventually(lambda: sorted(own.texts(".letter")) == ["A", "B", "C", "F", "H"])


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_the_screen(page: Page, width: int) -> None:
    page.sign_in()
    # Chromium's windows are 500 wide at least, so the page's size is set and not the window's.
    metrics = {"width": width, "height": 780, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for path in ("/", "/admin#apps", "/admin#branding", "/docs"):
            page.open(path)
            page.one("main h1, main h2")
            wide = page.driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, path
            page.shoot(f"width-{width}-{path.strip('/').replace('#', '-') or 'launcher'}")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
