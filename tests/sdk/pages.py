"""The real SDKs of web pages against the front door itself, which is killed, or is without Kafka, while a page is open.

Run by `make sdk`. What a library does by itself while the page stays open, or when the visitor comes to the next page,
is all that is done.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from collect.doors import Door, door_for_sdks
from sdk.doors import until_refused, until_waiting
from sdk.front import Front
from sdk.sdks import BROWSERS, BUILT, PLAN, Brief, brief, browser, chrome, events_of
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.collect.model import Incoming

__all__ = ["browser", "chrome"]
pytestmark = pytest.mark.usefixtures("needs_embedded", "needs_chromium")

#: Seconds that a library has to send again by itself, and that all of it may take.
ALONE, PATIENCE = 20, 60
LEAVING = ("$pageleave", "$WebStay")
#: 神策's keeps what it couldn't send only if it is told so.
LASTING = {"sensors": "#batch"}
#: Mixpanel's gives up what it sent over a connection that broke, unless the browser says that it is offline.
LOSING = ("mixpanel",)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A door that answers 503 after half a second without Kafka."""
    with door_for_sdks(tmp_path, PLAN, collect_timeout_s=0.5) as made:
        yield made


def said(one: Brief) -> str:
    """What an event says, whoever is known by the time at which it is sent again."""
    return repr((one[0], one[3]))


def counted(door: Door) -> Counter[str]:
    """The events that count."""
    return Counter(said(brief(Incoming(fields))) for fields in door.accepted())


def right(script: str, visits: int) -> Counter[str]:
    """What so many visits of a page say. That one left it says a browser or doesn't; that one signs up is said once."""
    events = [one for one in events_of(BROWSERS[script]) if one[0] not in LEAVING]
    return Counter({said(one): 1 if one[0] == "$SignUp" else visits for one in events})


def until_counted(door: Door, expected: Counter[str], seconds: float) -> Counter[str]:
    """What counts, once that is all that is expected or the time is over."""
    deadline = time.monotonic() + seconds
    while not expected <= (found := counted(door)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return Counter({one: n for one, n in found.items() if not any(repr(name) in one for name in LEAVING)})


def visit(browser: webdriver.Chrome, pages: Front, script: str) -> None:
    """Open the page anew, as on a way to another and back."""
    browser.get("about:blank")
    browser.get(f"{pages.url}/{script}.html{LASTING.get(script, '')}")
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script("return window.done === true"))


def goes_on(door: Door, browser: webdriver.Chrome, pages: Front, script: str) -> None:
    """What was kept comes by itself, or with the next visit; each event once a visit."""
    until_counted(door, right(script, 1), ALONE)
    visit(browser, pages, script)
    browser.get("about:blank")
    assert until_counted(door, right(script, 2), PATIENCE) == right(script, 2)


@pytest.mark.parametrize("script", [script for script in BROWSERS if script not in LOSING])
def test_a_page_s_events_count_once_where_the_door_was_killed(
    door: Door, browser: webdriver.Chrome, script: str
) -> None:
    with Front(BUILT / "browser", collect=f"http://127.0.0.1:{door.port}") as pages:
        door.freeze()
        browser.get(f"{pages.url}/{script}.html{LASTING.get(script, '')}")
        until_waiting(door)
        door.end(signal.SIGKILL)
        door.thaw()
        door.start()
        goes_on(door, browser, pages, script)


@pytest.mark.parametrize("script", BROWSERS)
def test_a_page_s_events_count_once_where_kafka_was_away(door: Door, browser: webdriver.Chrome, script: str) -> None:
    with Front(BUILT / "browser", collect=f"http://127.0.0.1:{door.port}") as pages:
        door.freeze()
        browser.get(f"{pages.url}/{script}.html{LASTING.get(script, '')}")
        until_refused(door)
        door.thaw()
        goes_on(door, browser, pages, script)
