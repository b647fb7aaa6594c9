"""Boards in a real browser: one is made, found again after a restart, and taken to a second machine."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from axe_selenium_python import Axe
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from dashboard.browser import NARROW, WIDE, Browser, chromium
from dashboard.conftest import Running
from pipeline.dashboard.auth import set_password
from pipeline.kept.store import Edit, KeptStore
from pipeline.kept.things import KINDS, make

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_chromium", "needs_prometheus")]

PASSWORD = "correct horse battery"
TITLES = ["Orders", "Buyers by platform", "Checkout", "Who comes back", "Income"]


@dataclass
class Person:
    """Somebody in front of a browser."""

    browser: Browser

    def log_in(self) -> None:
        """With name and password."""
        self.browser.driver.get(self.browser.url + "/login")
        self.type("name", "ann")
        self.type("password", PASSWORD)
        self.find("form.login button").click()
        self.browser.until(lambda: "/login" not in self.browser.driver.current_url, "logged in")

    def find(self, selector: str) -> Any:
        """An element."""
        found = self.browser.driver.find_elements("css selector", selector)
        assert found, f"there is no {selector} at {self.browser.driver.current_url}: {self.browser.text('main')[:600]}"
        return found[0]

    def type(self, name: str, text: str, inside: str = "main") -> None:
        """Into a field."""
        field = self.find(f"{inside} [name='{name}']")
        if field.get_attribute("type") == "datetime-local":
            self.browser.js("arguments[0].value = arguments[1]", field, text)
            return
        field.clear()
        field.send_keys(text)

    def choose(self, name: str, shown: str, inside: str = "main") -> None:
        """From a list."""
        Select(self.find(f"{inside} select[name='{name}']")).select_by_visible_text(shown)

    def press(self, label: str, inside: str = "body") -> None:
        """A button or link, and wait until what it leads to is filled."""
        element = self.browser.js(
            "return [...document.querySelectorAll(arguments[0] + ' :is(a, button, summary)')].find(e => "
            "e.innerText.trim() === arguments[1] && e.offsetParent !== null)",
            inside, label,
        )  # fmt: skip
        assert element is not None, f"there is no {label}: {self.browser.text('main')[:600]}"
        self.browser.js("arguments[0].scrollIntoView({block: 'center'})", element)
        leaves = element.tag_name == "a" or (element.tag_name == "button" and element.get_attribute("type") == "submit")
        with self.browser.led_on() if leaves else nullcontext():
            element.click()

    def keep(self, address: dict[str, str], title: str, board: str, *, new: bool = False) -> None:
        """Explore something, and put it onto a board."""
        self.browser.open(f"/explore?{urlencode(address)}")
        self.press("Keep")
        self.type("title", title, "form[action='/kept/chart-add']")
        if new:
            self.choose("board", "a new board")
            self.type("new", board)
        else:
            self.choose("board", board)
        self.press("Keep", "form[action='/kept/chart-add']")


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("login") / "passwords"
    set_password(path, "ann", PASSWORD)
    return path


@pytest.fixture(scope="module")
def settings(running: Running, login: Path) -> dict[str, str]:
    """Of a dashboard with a login, on what this `up` keeps and has evaluated."""
    given = tomllib.loads((running.folder / "settings.toml").read_text("utf-8"))
    return {"kept": given["kept"], "prometheus_url": given["prometheus_url"], "dashboard_password_file": str(login)}


@pytest.fixture(scope="module")
def person(running: Running) -> Iterator[Person]:
    with chromium(running.dashboard) as browser:
        browser.width(WIDE)
        yield Person(browser)


@pytest.fixture(scope="module")
def ready(
    person: Person,
    start_dashboard: Callable[..., str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Person:
    """Somebody who has logged in where a board and all else are kept already."""
    path = tmp_path_factory.mktemp("kept") / "kept.sqlite"
    addresses = [{"kind": "trend", "e1": "purchase", "m1": "count"}, {"kind": "metric", "metric": "revenue"}]
    charts = [
        {"key": f"c{k}", "title": TITLES[k], "address": address, **({} if k else {"days": 30})}
        for k, address in enumerate(addresses)
    ]
    store = KeptStore(path)
    for kind, id_, data in (
        ("board", "weekly", {"title": "Weekly", "charts": charts}),
        ("segment", "anns-buyers", {"title": "Ann's buyers", "address": {"g": "every", "g1": "did", "g1e": "purchase"}}),
        ("annotation", "app", {"at": time.strftime("%Y-%m-%dT12:00", time.gmtime(time.time() - 4 * 86_400)), "text": "App 2.4 is out"}),
        ("alert", "FewOrders", {"metric": "events", "event": "purchase", "below": 1}),
    ):  # fmt: skip
        store.write([Edit(kind, id_, 0, make(kind, data))], "ann", int(time.time() * 1000))  # type: ignore[arg-type]
    store.close()
    person.browser.url = start_dashboard(**{**settings, "kept": str(path)})
    person.log_in()
    person.browser.complaints()
    return person


def charts(browser: Browser) -> list[str]:
    """The titles of the panels that have a drawn chart, or the steps of a funnel, in their order."""
    found: list[str] = browser.js(
        "return [...document.querySelectorAll('section.panel')].filter(p => p.querySelector('figure[data-drawn] svg, .steps'))"
        ".map(p => p.querySelector('h2').innerText)"
    )
    return found


def scrolled(browser: Browser) -> bool:
    """See every part once, from above to below."""
    for k in range(browser.js("return document.querySelectorAll('[data-part]').length")):
        browser.js("document.querySelectorAll('[data-part]')[arguments[0]]?.scrollIntoView({block: 'center'})", k)
        browser.until(browser.filled, "a part", 60)
    return True


def looks_right(person: Person, board: str) -> None:
    """The board of the test: five charts, the segment in the bar, what happened in the first one."""
    browser = person.browser
    browser.open("/boards")
    person.press(board)
    browser.until(lambda: scrolled(browser) and len(charts(browser)) == 5, "five charts", 90)
    assert charts(browser) == TITLES
    chosen = Select(person.find("select[name=seg]")).first_selected_option.text
    assert chosen == "Ann's buyers"
    first = browser.text("section.panel .happened")
    assert "App 2.4 is out" in first
    assert "Singles' Day <b>" in first


def test_a_board_is_made_found_after_a_restart_and_taken_to_a_second_machine(
    running: Running, person: Person, start_dashboard: Callable[..., str], settings: dict[str, str], tmp_path: Path
) -> None:
    browser = person.browser
    browser.url = start_dashboard(**settings)
    person.log_in()
    board = "Weekly review"
    person.keep({"kind": "trend", "e1": "purchase", "m1": "count"}, TITLES[0], board, new=True)
    person.keep({"kind": "trend", "e1": "purchase", "m1": "people", "by": "platform"}, TITLES[1], board)
    person.keep({"kind": "funnel", "e1": "view_item", "e2": "add_to_cart", "e3": "purchase"}, TITLES[2], board)
    person.keep({"kind": "retention", "e1": "view_item", "e2": "view_item", "first": "every"}, TITLES[3], board)
    person.keep({"kind": "metric", "metric": "revenue"}, TITLES[4], board)

    # A segment, made in the bar.
    browser.open("/explore?kind=trend&m1=people")
    person.press("Make a segment")
    person.choose("g1", "did")
    person.choose("g1e", "purchase")
    person.choose("seg", "those made below")
    person.press("Show", "form.question")
    person.press("Keep this segment under a name")
    person.type("title", "Ann's buyers", "form[action='/kept/segment-save']")
    person.press("Keep the segment")
    browser.open("/boards")
    person.press(board)
    person.choose("seg", "Ann's buyers")
    person.press("Show", "form.question")
    person.press("Keep this filter with the board")

    # Two annotations.
    days = [time.strftime("%Y-%m-%dT12:00", time.gmtime(time.time() - back * 86_400)) for back in (4, 6)]
    for at, text, kind in zip(days, ("App 2.4 is out", "Singles' Day <b>"), ("release", "campaign"), strict=True):
        browser.open("/kept")
        person.type("at", at)
        person.type("text", text)
        person.choose("kind", kind, "form[action='/kept/annotation-save']")
        person.press("Note it")

    # An alert of the first chart, evaluated by the Prometheus of `up` soon after.
    browser.open("/explore?kind=trend&e1=purchase&m1=count")
    person.press("Keep")
    form = "form[action='/kept/alert-save']"
    assert Select(person.find(f"{form} select[name=what]")).first_selected_option.text == "purchase: events"
    person.type("name", "NoOrders", form)
    person.type("value", "1", form)
    person.choose("for", "15 minutes")
    person.press("Make the alert")
    assert "NoOrders:\n      title: " in browser.text("#alert-NoOrders")
    assert "metric: events\n      event: purchase\n      below: 1.0\n      for: 15m" in browser.text("#alert-NoOrders")

    def evaluated() -> bool:
        browser.open("/kept?alert=NoOrders")
        return "evaluated, and quiet" in browser.text("#alerts summary")

    browser.until(evaluated, "Prometheus evaluates it", 60)
    looks_right(person, board)
    browser.shoot("board-wide")

    # After a restart of the dashboard it is what it was. What another host is asked for is told of one address at a time.
    assert browser.foreign_requests() == []
    browser.url = start_dashboard(**settings)
    person.log_in()
    looks_right(person, board)

    # Exported, and imported on a second machine with nothing of it.
    file, second = tmp_path / "kept.yaml", tmp_path / "second.sqlite"
    running.command("kept", "export", str(file), "--data", str(running.folder))
    running.env["PIPELINE_KEPT"] = str(second)
    try:
        assert "5 changed" in running.command("kept", "import", str(file))
    finally:
        del running.env["PIPELINE_KEPT"]
    assert browser.foreign_requests() == []
    browser.url = start_dashboard(**{**settings, "kept": str(second)})
    person.log_in()
    looks_right(person, board)
    owners = {entry.owner for things in kinds(KeptStore(Path(settings["kept"]))) for entry in things.values()}
    assert owners == {"ann"}
    assert browser.complaints() == []
    assert browser.foreign_requests() == []


def kinds(store: KeptStore) -> list[Any]:
    """All things of a file by kind."""
    kept = store.read()
    return [kept.of(kind) for kind in KINDS]


def test_with_keys_alone_charts_change_places(ready: Person) -> None:
    browser = ready.browser
    browser.open("/board?id=weekly")
    before = headings(browser)
    summary = ready.find(f"summary[aria-label='Edit {before[1]}']")
    browser.js("arguments[0].focus()", summary)
    summary.send_keys(Keys.ENTER)
    # The title, Rename, Move up.
    for _ in range(3):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.driver.switch_to.active_element.text == "Move up"
    with browser.led_on():
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert headings(browser)[:2] == [before[1], before[0]]


def headings(browser: Browser) -> list[str]:
    """The titles of all panels."""
    found: list[str] = browser.js("return [...document.querySelectorAll('section.panel h2')].map(h => h.innerText)")
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pages_can_be_used_by_everybody(ready: Person, language: str, theme: str) -> None:
    browser = ready.browser
    browser.cookie("lang", language)
    browser.cookie("theme", theme)
    pages = {
        "boards": "/boards",
        "board": "/board?id=weekly",
        "kept": "/kept?alert=FewOrders&g=every&g1=did&g1e=purchase",
        "history": "/history?kind=board&id=weekly",
        "keep": "/keep?kind=trend&m1=count&e1=purchase",
    }
    for width in (WIDE, NARROW):
        browser.width(width)
        for name, page in pages.items():
            browser.open(page)
            browser.js("document.querySelectorAll('main details').forEach(d => { d.open = true })")
            axe = Axe(browser.driver)
            axe.inject()
            found = axe.run(options='{resultTypes: ["violations"]}')["violations"]
            assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == [], page
            assert browser.js("return document.documentElement.scrollWidth") <= width, page
            browser.shoot(f"{name}-{language}-{theme}-{width}")
    browser.width(WIDE)
    browser.cookie("lang", "en")
    browser.cookie("theme", "light")
    assert browser.complaints() == []


def test_two_windows_at_once_and_the_second_is_told(ready: Person) -> None:
    browser = ready.browser
    form = "main > section.panel form[action='/kept/board-edit']"
    browser.open("/board?id=weekly")
    other = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.width(WIDE)
    browser.open("/board?id=weekly")
    ready.type("title", "First", form)
    ready.press("Rename the board")
    browser.driver.switch_to.window(other)
    ready.type("title", "Second", form)
    ready.press("Rename the board")
    assert "changed it at" in browser.text("main")
    assert "title: Second" in browser.text("main")
    ready.press("Do it all the same")
    assert "Second" in browser.text(".board-title")
    assert [line for line in browser.complaints() if "409" not in line] == []
