"""A real browser for the tests: chromium without a window, with everything it said and asked for."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from needs import HEADLESS_SHELL
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
#: Where screenshots go, to be looked at, and the pictures of the documentation.
SHOTS, PICTURES = ROOT / "build" / "screenshots", ROOT / "docs" / "images" / "questions"
#: What a picture of some elements takes in: a little around them, and no more than a screen's height.
AROUND = """
    const all = arguments[0].map(s => [...document.querySelectorAll(s)]).flat().map(e => e.getBoundingClientRect());
    const x = Math.min(...all.map(r => r.left)) - 8, y = Math.min(...all.map(r => r.top)) - 8;
    return {x: x + scrollX, y: y + scrollY, scale: 1, width: Math.max(...all.map(r => r.right)) + 8 - x,
        height: Math.min(Math.max(...all.map(r => r.bottom)) + 8 - y, 760)}"""
WIDE, NARROW = 1280, 390
#: Whether what was left is gone. Between two pages there is a document that is complete and empty.
ANOTHER_PAGE = "return (window.left === undefined && document.readyState === 'complete' && !!document.getElementById('content')) || null"


class Browser:
    """One chromium."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, path: str) -> None:
        """Go to a page and wait until what is loaded later is there too."""
        self.driver.get(self.url + path)
        self.until(self.filled, f"{path} filled")
        self.js("window.scrollTo(0, 0)")

    def filled(self) -> bool:
        """Whether all parts are there. They are asked for when they are seen: the next one is scrolled into view."""
        return bool(self.js(
            "const next = document.querySelector('.waiting'); next?.parentElement.scrollIntoView({block: 'center'});"
            "return !next && !document.querySelector('figure[data-chart]:not([data-drawn]):not(.undrawn)')"
        ))  # fmt: skip

    def js(self, script: str, *arguments: Any) -> Any:
        """The result of a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """The text of the first element."""
        found: str = self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return found

    def until(self, check: Callable[[], T | None], what: str, seconds: float = 20) -> T:
        """Wait until `check` gives something."""
        deadline = time.monotonic() + seconds
        while True:
            found = check()
            if found:
                return found
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            time.sleep(0.05)

    @contextmanager
    def led_on(self) -> Iterator[None]:
        """What is done inside leads to another page: wait until that one is there and filled.

        A click returns before the browser leaves, and then the page that it leaves would be taken for the next one.
        """
        self.js("window.left = true")
        yield
        self.until(lambda: self.js(ANOTHER_PAGE), "another page", 60)
        self.until(self.filled, "the next page filled", 60)

    def cookie(self, name: str, value: str) -> None:
        """Set a cookie of the dashboard."""
        if not self.driver.current_url.startswith(self.url):
            self.driver.get(self.url + "/health")
        self.driver.add_cookie({"name": name, "value": value, "path": "/"})

    def width(self, pixels: int) -> None:
        """Make the page that wide, as a phone or a screen would."""
        metrics = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def shoot(self, name: str) -> None:
        """A picture of the whole page, for whoever asked for them."""
        if os.environ.get("STREAMGAUGE_SCREENSHOTS"):
            self._capture(SHOTS / f"{name}.png")

    def picture(self, name: str, *selectors: str) -> None:
        """A picture for the documentation of what these select, in both languages, for whoever makes them anew."""
        if not os.environ.get("STREAMGAUGE_PICTURES"):
            return
        self.driver.execute_cdp_cmd(
            "Emulation.setScrollbarsHidden", {"hidden": True}
        )  # else it is drawn wider than it is
        there = "return arguments[0].every(s => document.querySelector(s))"
        for language, suffix in (("zh", "-zh"), ("en", "")):
            self.cookie("lang", language)
            self.driver.refresh()
            self.until(self.filled, "the page again", 60)
            self.until(lambda: self.js(there, selectors), f"{selectors} of {name}", 60)
            self.js("document.querySelectorAll('main tbody details').forEach(d => d.open = true)")
            self._capture(PICTURES / f"{name}{suffix}.png", clip=self.js(AROUND, selectors))

    def _capture(self, path: Path, **more: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        asked = {"captureBeyondViewport": True, "format": "png", **more}
        path.write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]))

    def complaints(self) -> list[str]:
        """What the console said since the last time: warnings and errors."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def foreign_requests(self) -> list[str]:
        """What was asked of any other host since the last time."""
        own = urlsplit(self.url).netloc
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != own:
                    found.append(url)
        return found


@contextmanager
def chromium(url: str, *more: str, language: str = "en-US") -> Iterator[Browser]:
    """A browser of a person who reads that language; `more` are options of the program."""
    options = webdriver.ChromeOptions()
    options.binary_location = HEADLESS_SHELL
    for argument in (
        "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900",
        f"--lang={language}", f"--accept-lang={language}", "--disable-background-networking",
        "--disable-component-update", "--no-first-run", *more,
    ):  # fmt: skip
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.set_page_load_timeout(30)
        yield Browser(driver, url.rstrip("/"))
    finally:
        driver.quit()


def press(browser: Browser, selector: str) -> None:
    """One click of a person that leads to another page."""
    with browser.led_on():
        browser.js("arguments[0].click()", browser.driver.find_element("css selector", selector))


def click(browser: Browser, label: str) -> None:
    """Click on the first link (or button) with that text, which leads to another page."""
    element = browser.js(
        "return [...document.querySelectorAll('a, button')].find(e => e.innerText.trim() === arguments[0] && "
        "e.offsetParent !== null)",
        label,
    )
    assert element is not None, f"there is no {label}"
    with browser.led_on():
        element.click()


def table(browser: Browser, title: str) -> list[list[str]]:
    """The rows of the table under a heading of the answer."""
    heading = "return [...document.querySelectorAll('h3')].some(e => e.innerText === arguments[0])"
    browser.until(lambda: browser.js(heading, title), f"the heading {title}")
    found: list[list[str]] = browser.js(
        "const head = [...document.querySelectorAll('h3')].find(e => e.innerText === arguments[0]);"
        "return [...head.nextElementSibling.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.innerText))",
        title,
    )
    return found


def people_there(browser: Browser) -> int:
    """How many people the page says are behind a number."""
    said = re.match(r"([\d,]+) people", browser.text(".count"))
    assert said is not None, browser.text("main")
    return int(said[1].replace(",", ""))


def fetched(address: str) -> list[str]:
    with urllib.request.urlopen(address, timeout=30) as answer:
        lines: list[str] = answer.read().decode("utf-8-sig").splitlines()
    return lines
