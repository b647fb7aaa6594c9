"""A real browser for the tests: chromium without a window, with everything it said and asked for."""

from __future__ import annotations

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

#: Where screenshots go, to be looked at.
SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
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
        if not os.environ.get("STREAMGAUGE_SCREENSHOTS"):
            return
        SHOTS.mkdir(parents=True, exist_ok=True)
        made = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
        import base64

        (SHOTS / f"{name}.png").write_bytes(base64.b64decode(made["data"]))

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
