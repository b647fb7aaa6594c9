"""Charts in a real browser: what they draw is what the table says, and people can work in them, with keys alone too."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from dashboard.browser import NARROW, Browser
from dashboard.conftest import Running

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_chromium", "plain")]

TREND = "/explore?kind=trend&m1=people&e1=app_open&by=platform"


def brought(browser: Browser) -> dict[str, Any]:
    """What the first chart of the page is told to draw."""
    found: dict[str, Any] = browser.js(
        "return JSON.parse(document.querySelector('figure[data-drawn] script').textContent)"
    )
    return found


def axis(browser: Browser) -> list[str]:
    """The words under the first chart."""
    found: list[str] = browser.js(
        "return [...document.querySelectorAll('figure[data-drawn] .role-axis-label text')].map(e => e.textContent).sort()"
    )
    return found


def lines_drawn(browser: Browser) -> int:
    """Lines of the first chart that are there to be seen."""
    found: int = browser.js(
        "return [...document.querySelectorAll('figure[data-drawn] .mark-line path')].filter(e => e.getAttribute('d')).length"
    )
    return found


def until_drawn(browser: Browser, check: Any, what: str) -> None:
    browser.until(lambda: check() or None, what)


def test_what_is_drawn_is_what_the_table_says(running: Running, browser: Browser) -> None:
    ((first, last),) = running.rows(
        "SELECT toString(max(toDate(ts, 'Asia/Shanghai')) - 7), toString(max(toDate(ts, 'Asia/Shanghai')) - 1) FROM events"
    )
    browser.open(f"{TREND}&from={first}&to={last}")
    chart = brought(browser)
    assert len(chart["names"]) > 1
    listed = browser.js(
        "return [...document.querySelectorAll('main tbody tr')].map(r => [...r.cells].map(c => c.innerText.trim()))"
    )
    drawn: dict[str, list[str]] = {}
    for row in chart["spec"]["data"]["values"]:
        drawn.setdefault(chart["names"][int(row["s"][1:]) - 1], []).append(row["said"])
    for name, words in drawn.items():
        assert words == [row[-1] for row in listed if name in row[1:]]
    assert lines_drawn(browser) == len(chart["names"])
    assert browser.complaints() == []


def test_people_work_in_a_chart_with_the_pointer(browser: Browser) -> None:
    browser.open(TREND)
    chart, whole = brought(browser), axis(browser)
    place = browser.driver.find_element("css selector", "figure[data-drawn] .drawing")
    browser.js("arguments[0].scrollIntoView({block: 'center'})", place)
    ActionChains(browser.driver).move_to_element(place).perform()
    until_drawn(browser, lambda: browser.text("#tip"), "the values under the pointer")
    assert all(name in browser.text("#tip") for name in chart["names"])
    ActionChains(browser.driver).move_to_element(place).click_and_hold().move_by_offset(200, 0).release().perform()
    until_drawn(browser, lambda: axis(browser) != whole, "zoomed")
    browser.driver.find_element("css selector", "figure[data-drawn] .whole").click()
    until_drawn(browser, lambda: axis(browser) == whole, "the whole period again")
    button = browser.driver.find_element("css selector", "figure[data-drawn] .legend button")
    before = lines_drawn(browser)
    button.click()
    until_drawn(browser, lambda: lines_drawn(browser) == before - 1, "one line less")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    until_drawn(browser, lambda: lines_drawn(browser) == before, "all lines again")
    assert browser.complaints() == []


def test_people_work_in_a_chart_with_keys(browser: Browser) -> None:
    browser.open(TREND)
    chart, whole = brought(browser), axis(browser)
    places = next(p["value"] for p in chart["spec"]["params"] if p["name"] == "places")
    first = [row["said"] for row in chart["spec"]["data"]["values"] if row["x"] == 0]
    place = browser.driver.find_element("css selector", "figure[data-drawn] .drawing")
    place.send_keys(Keys.ARROW_RIGHT)
    heard = ", ".join([places[0], *(f"{name}: {said}" for name, said in zip(chart["names"], first, strict=True))])
    until_drawn(browser, lambda: browser.js("return document.getElementById('said').textContent") == heard, heard)
    place.send_keys(Keys.END)
    until_drawn(browser, lambda: browser.js("return said.textContent").startswith(places[-1]), "the last place")
    place.send_keys("+")
    until_drawn(browser, lambda: axis(browser) != whole, "zoomed")
    place.send_keys("0")
    until_drawn(browser, lambda: axis(browser) == whole, "the whole period again")
    assert browser.complaints() == []


def test_its_colours_follow_the_page_and_it_fits_a_phone(browser: Browser) -> None:
    stroke = "return getComputedStyle(document.querySelector('figure[data-drawn] .mark-line path')).stroke"
    browser.open(TREND)
    light = browser.js(stroke)
    browser.shoot("chart-light")
    browser.cookie("theme", "dark")
    browser.width(NARROW)
    browser.open(TREND)
    assert (light, browser.js(stroke)) == ("rgb(0, 114, 178)", "rgb(86, 180, 233)")
    assert browser.js("return document.documentElement.scrollWidth") <= NARROW
    assert browser.js("return document.querySelector('figure[data-drawn] .drawing svg').clientWidth") < NARROW
    browser.shoot("chart-dark-phone")


def test_without_the_library_the_table_is_there(browser: Browser) -> None:
    browser.driver.execute_cdp_cmd("Network.enable", {})
    browser.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/static/vega.js*"]})
    try:
        browser.open(TREND)
        assert browser.text("figure.undrawn .drawing") == "The chart could not be drawn; the table has its numbers."
        assert browser.js("return document.querySelectorAll('main td').length") > 10
        browser.complaints()  # that it could not be loaded
    finally:
        browser.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
