"""What administrators and authors do on their pages."""

from __future__ import annotations

import json
from pathlib import Path

from app.server import PASSWORD, eventually
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from .conftest import Page


def panel(page: Page, name: str) -> None:
    page.open(f"/admin#{name}")
    page.driver.refresh()
    page.one("#panel h2")
    page.gone("#panel[aria-busy]")


def test_an_application_is_added_changed_and_removed(own: Page) -> None:
    own.sign_in()
    panel(own, "apps")
    own.click(".toolbar .primary")
    own.fill("#field-name", "Calendar")
    own.fill("#field-url", "javascript:alert(1)")
    own.click("#editor [type=submit]")
    assert "url" in own.one("#editor .problem").text
    assert own.one("#field-url").get_attribute("aria-invalid") == "true"
    own.fill("#field-url", "https://calendar.example.org")
    own.fill("#field-category", "Office")
    own.click("#editor [type=submit]")
    own.gone("#editor")
    assert "Calendar" in own.texts("tbody th")
    own.fill(".toolbar input", "calendar")
    eventually(lambda: own.texts("tbody th") == ["Calendar"])
    own.shoot("admin-filter")
    own.click('[aria-label="Change Calendar"]')
    own.fill("#field-name", "Diary")
    own.press(Keys.ENTER)
    own.gone("#editor")
    own.fill(".toolbar input", "")
    own.press(Keys.BACKSPACE)
    eventually(lambda: "Diary" in own.texts("tbody th"))
    own.open("/")
    assert "Diary" in own.texts('[data-group="Office"] .name')
    panel(own, "apps")
    own.click('[aria-label="Remove Diary"]')
    own.click('#question [data-answer="yes"]')
    eventually(lambda: "Diary" not in own.texts("tbody th"))


def test_what_an_application_has_for_containers_can_be_changed(own: Page) -> None:
    own.sign_in()
    panel(own, "apps")
    own.click('[aria-label="Change Forge"]')
    own.click("#editor .more summary")
    own.fill("#field-container_image", "registry.example.org/forge:1")
    own.fill("#field-container_port", "3000")
    own.fill("#field-container_args", "--quiet\n--colour=no")
    own.fill("#field-resource_limits", '{"cpu": "1"')
    own.click("#editor [type=submit]")
    assert "resource_limits is not JSON" in own.one("#editor .problem").text
    own.fill("#field-resource_limits", '{"cpu": "1"}')
    own.fill("#field-egress_policy", "closed")
    own.click("#editor [type=submit]")
    own.gone("#editor")
    app = own.app.get("/api/apps/git").json
    wanted = {
        "container_image": "registry.example.org/forge:1",
        "container_port": 3000,
        "container_args": ["--quiet", "--colour=no"],
        "resource_limits": {"cpu": "1"},
        "egress_policy": "closed",
        "launch_type": "url",
        "url": "http://127.0.0.1:9/git",
    }
    assert {name: app[name] for name in wanted} == wanted


def test_a_password_is_changed(own: Page) -> None:
    own.app.add_user(own.app.login(), "bo")
    own.sign_in("bo")
    own.click("#account")
    own.click("#to-password")
    own.fill("#password [name=current_password]", "wrong")
    own.fill("#password [name=new_password]", "another good one")
    own.press(Keys.ENTER)
    assert "current password is wrong" in own.one("#password .problem").text
    own.fill("#password [name=current_password]", PASSWORD)
    own.one("#password [name=new_password]").click()
    own.press(Keys.ENTER)
    own.gone("#password")
    assert own.app.login("bo", "another good one")


def test_a_user_is_added_and_sees_what_the_category_allows(own: Page) -> None:
    own.sign_in()
    panel(own, "users")
    own.click(".toolbar .primary")
    own.fill("#field-username", "ann")
    own.fill("#field-password", "correct horse battery")
    own.click('#field-roles [value="app-author"]')
    own.click("#editor [type=submit]")
    own.gone("#editor")
    assert "ann" in own.texts("tbody th")
    own.driver.delete_all_cookies()
    own.sign_in("ann")
    own.open("/admin")
    assert own.texts(".tabs a") == ["Applications"]
    eventually(lambda: "Forge" in own.texts("tbody th"))
    assert "Secrets" not in own.texts("tbody th")


def test_a_catalogue_is_tried_and_imported(own: Page, tmp_path: Path) -> None:
    own.sign_in()
    panel(own, "transfer")
    file = tmp_path / "catalogue.json"
    entry = {"id": "new", "name": "Newcomer", "url": "https://new.example.org", "category": "New"}
    file.write_text(json.dumps([entry]))
    own.one("#import-file").send_keys(str(file))
    own.click("#panel .row .plain")
    eventually(lambda: "1 created: new" in own.one("#panel [role=status]").text)
    assert own.app.get("/api/apps/new").status == 404
    own.click("#panel .row .primary")
    eventually(lambda: own.app.get("/api/apps/new").status == 200)
    file.write_text("[{}]")
    own.one("#import-file").send_keys(str(file))
    own.click("#panel .row .primary")
    eventually(
        lambda: (
            "applications" in own.one("#panel .problem").text or "missing" in own.one("#panel .problem").text
        )
    )


def test_the_branding_is_changed_and_seen_at_once(own: Page) -> None:
    own.sign_in()
    panel(own, "branding")
    own.fill("#field-tenant_name", "Globex")
    own.driver.execute_script(
        "const field = document.querySelector('#field-primary_color'); field.value = '#ffe066';"
    )
    own.click("#panel [type=submit]")
    eventually(lambda: own.driver.title.endswith("Globex"))
    own.open("/")
    assert own.driver.title == "Globex"
    bar = own.one(".bar")
    assert bar.value_of_css_property("background-color") == "rgba(255, 224, 102, 1)"
    assert bar.value_of_css_property("color") == "rgba(0, 0, 0, 1)"


def test_the_audit_log_can_be_filtered(own: Page) -> None:
    own.sign_in()
    panel(own, "audit")
    eventually(lambda: len(own.all("tbody tr")) >= 3)
    own.one(".toolbar label:nth-of-type(2) select").send_keys("IMPORT_CATALOG")
    eventually(lambda: len(own.all("tbody tr")) == 1)
    script = (
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change', {bubbles: true}))"
    )
    to = own.one(".toolbar label:nth-of-type(4) input")
    own.driver.execute_script(script, to, "2001-01-01")
    eventually(lambda: own.texts("#panel [role=status]") == ["No entries"])
    own.driver.execute_script(script, to, "")
    own.driver.execute_script(script, own.one(".toolbar label:nth-of-type(3) input"), "2001-01-01")
    eventually(lambda: len(own.all("tbody tr")) == 1)


DELAY = """
const real = window.fetch;
window.fetch = async (path, options) => {
  const answer = await real(path, options);
  if (String(path).includes(arguments[0])) await new Promise((done) => { window.release = done; });
  return answer;
};
"""


def test_an_answer_that_comes_late_does_not_replace_a_later_one(own: Page) -> None:
    """Of a panel that was left meanwhile, and of a filter that was changed meanwhile."""
    own.sign_in()
    panel(own, "users")
    own.driver.execute_script(DELAY, "/api/categories")
    own.click('.tabs [href="#categories"]')
    eventually(lambda: own.driver.execute_script("return Boolean(window.release)"))
    own.click('.tabs [href="#audit"]')
    eventually(lambda: own.texts("#panel h2") == ["Audit log"])
    late(own)
    assert own.texts("#panel h2") == ["Audit log"]

    own.driver.execute_script("window.release = null")
    own.driver.execute_script(DELAY, "action=LOGIN")
    choose(own, "LOGIN")
    eventually(lambda: own.driver.execute_script("return Boolean(window.release)"))
    choose(own, "IMPORT_CATALOG")
    eventually(lambda: set(own.texts("tbody td:nth-of-type(3)")) == {"IMPORT_CATALOG"})
    late(own)
    assert set(own.texts("tbody td:nth-of-type(3)")) == {"IMPORT_CATALOG"}


def choose(page: Page, action: str) -> None:
    """Like a user with a mouse: one change, where typing makes one for each letter."""
    Select(page.one(".toolbar label:nth-of-type(2) select")).select_by_value(action)


def late(page: Page) -> None:
    """Lets the delayed answer come, and the page deal with it."""
    page.driver.execute_async_script("window.release(); setTimeout(arguments[0], 100);")


def test_those_who_may_not_are_sent_to_sign_in(page: Page) -> None:
    page.open("/admin")
    eventually(lambda: page.all("#sign-in"))
    assert page.driver.current_url.endswith("/#sign-in")
