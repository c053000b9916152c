"""Real Chromium from Debian on a real server. Screenshots go to SORTIE_SCREENSHOTS if that is set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app.server import PASSWORD, App, Starter, eventually
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

APPS = [
    ("git", "Forge", "Code and reviews", "Development", "public"),
    ("ci", "Builds", "Pipelines and artefacts", "Development", "public"),
    ("wiki", "Handbook", "How we do things here", "Knowledge", "public"),
    ("chat", "Chat", "Talk to each other", "Communication", "public"),
    ("grafana", "Dashboards", "What the machines do", "Operations", "public"),
    ("alerts", "Alerts", "What the machines should not do", "Operations", "public"),
    ("vault", "Secrets", "For administrators only", "Operations", "admin_only"),
]
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E"
    "%3Ccircle cx='4' cy='4' r='4' fill='%23{}'/%3E%3C/svg%3E"
)
COLOURS = ("398D9B", "d9822b", "", "7157d9", "c23030", "", "0f9960")


def catalogue() -> dict[str, Any]:
    return {
        "applications": [
            {
                "id": name,
                "name": title,
                "description": words,
                "url": f"http://127.0.0.1:9/{name}",
                "icon": ICON.format(colour).replace(" ", "%20") if colour else "",
                "category": category,
                "visibility": visibility,
            }
            for (name, title, words, category, visibility), colour in zip(APPS, COLOURS, strict=True)
        ]
    }


class Page:
    """What tests do in a browser, waited for."""

    def __init__(self, driver: webdriver.Chrome, app: App) -> None:
        self.driver = driver
        self.app = app

    def open(self, path: str = "/") -> None:
        self.driver.get(f"http://127.0.0.1:{self.app.port}{path}")
        self.loaded()

    def loaded(self) -> None:
        eventually(lambda: self.driver.execute_script("return document.readyState") == "complete")

    def gone(self, selector: str) -> None:
        eventually(lambda: not self.all(selector))

    def all(self, selector: str) -> list[WebElement]:
        """The elements that are shown, found at one moment."""
        script = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility())"
        found: list[WebElement] = self.driver.execute_script(script, selector)
        return found

    def one(self, selector: str) -> WebElement:
        element: WebElement = eventually(lambda: self.all(selector))[0]
        return element

    def texts(self, selector: str) -> list[str]:
        """The texts of the elements that are shown, at one moment.

        Not their innerText: it is empty until the next frame in a card that was just made (content-visibility: auto).
        """
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((one) => one.checkVisibility()).map((one) => one.textContent.trim())"
        )
        found: list[str] = self.driver.execute_script(script, selector)
        return found

    def click(self, selector: str) -> None:
        self.one(selector).click()

    def fill(self, selector: str, text: str) -> None:
        element = self.one(selector)
        element.clear()
        element.send_keys(text)

    def press(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def chord(self, modifier: str, key: str) -> None:
        actions = webdriver.ActionChains(self.driver)
        actions.key_down(modifier).send_keys(key).key_up(modifier).perform()

    def focused(self) -> str:
        return str(self.driver.switch_to.active_element.accessible_name)

    def sign_in(self, username: str = "admin") -> None:
        self.open()
        self.click("#account")
        self.fill("#sign-in [name=username]", username)
        self.fill("#sign-in [name=password]", PASSWORD)
        self.press(Keys.ENTER)
        eventually(lambda: self.driver.get_cookie("sortie_csrf"))
        # While the page loads again there is no such button for a moment.
        eventually(lambda: self.texts("#account") not in ([], ["Sign in"]))
        self.loaded()

    def shoot(self, name: str) -> None:
        directory = os.environ.get("SORTIE_SCREENSHOTS")
        if directory:
            self.driver.save_screenshot(str(Path(directory) / f"{name}.png"))

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 A and AA, and targets smaller than 24 by 24 pixels."""
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = Axe().run(self.driver, options={"runOnly": {"type": "tag", "values": tags}})
        axe = [
            f"{violation['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]
        small = [
            f"target-size: {element.accessible_name}"
            for element in self.all("button, a:not(p a, li a), input, select, textarea, summary")
            if min(element.size["width"], element.size["height"]) < 24
            and element.get_attribute("class") != "skip"
        ]
        return axe + small

    def console(self) -> list[str]:
        """What the browser complains about."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]


def make_driver(directory: Path, width: int = 1280, height: int = 900) -> webdriver.Chrome:
    options = Options()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--window-size={width},{height}",
        "--hide-scrollbars",
        "--lang=en-GB",
        f"--user-data-dir={directory}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A server with a catalogue, which tests leave as it is."""
    directory = tmp_path_factory.mktemp("browser")
    branding = directory / "branding.json"
    branding.write_text('{"tenant_name": "Acme", "primary_color": "#398D9B", "secondary_color": "#4AB7C3"}')
    starter = Starter("sqlite", directory, None)
    started = starter(SORTIE_CONFIG=str(branding), SORTIE_LOGIN_ATTEMPTS="0")
    token = started.login()
    assert started.call("POST", "/api/catalog", catalogue(), token).status == 200
    yield started
    starter.stop()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[App]:
    """A server of its own, for tests that change things."""
    starter = Starter("sqlite", tmp_path, None)
    started = starter(SORTIE_LOGIN_ATTEMPTS="0")
    assert started.call("POST", "/api/catalog", catalogue(), started.login()).status == 200
    yield started
    starter.stop()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = make_driver(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


def _clean(driver: webdriver.Chrome, app: App) -> Page:
    driver.set_window_size(1280, 900)
    page = Page(driver, app)
    page.open("/healthz")
    driver.execute_script("localStorage.clear()")
    driver.delete_all_cookies()
    driver.get_log("browser")
    driver.get_log("performance")
    page.open()
    return page


@pytest.fixture
def page(browser: webdriver.Chrome, app: App) -> Page:
    """The launcher, with nobody signed in and nothing remembered."""
    return _clean(browser, app)


@pytest.fixture
def own(browser: webdriver.Chrome, fresh: App) -> Page:
    """The same on a server that the test may change."""
    return _clean(browser, fresh)


def requested(driver: webdriver.Chrome) -> set[str]:
    """The hosts that the browser asked for something since the last question."""
    messages = " ".join(entry["message"] for entry in driver.get_log("performance"))
    return set(re.findall(r'"Network\.requestWillBeSent".*?"url":"https?://([^/"]+)', messages))
