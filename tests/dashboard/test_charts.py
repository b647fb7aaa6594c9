"""Charts in a real browser: what they draw is what the table says, and people can work in them, with keys alone too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from dashboard.browser import NARROW, Browser, click
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


LIVE = "[data-part^='/part/hour'] figure"


def drawn_anew(browser: Browser) -> None:
    """Wait until the live chart has been drawn once more."""
    stage = f'document.querySelector("{LIVE} .drawing > div")'
    browser.js(f"window.stage = {stage}")
    until_drawn(browser, lambda: browser.js(f"return {stage} && {stage} !== window.stage"), "a newer drawing")


def test_a_live_chart_is_drawn_anew_where_people_have_left_it(
    running: Running, browser: Browser, tmp_path: Path
) -> None:
    now = int(time.time() * 1000)
    running.send(tmp_path, [{"event": "app_open", "user_id": f"l{k}", "ts": now} for k in range(20)])
    browser.open("/")
    browser.until(lambda: browser.js(f'return document.querySelector("{LIVE}[data-drawn]")'), "the live chart", 30)
    place = browser.driver.find_element("css selector", f"{LIVE} .drawing")
    browser.js("arguments[0].scrollIntoView({block: 'center'})", place)

    def seen() -> tuple[str, bool, str]:
        """What is zoomed into, whether the chart has the focus, and what the tip says."""
        title = browser.driver.find_element("css selector", f"{LIVE} .whole").get_attribute("title")
        focus = browser.js("return document.activeElement === arguments[0]", place)
        return str(title), bool(focus), browser.text("#tip").split("\n")[0]

    place.send_keys(Keys.END, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT, "+")
    until_drawn(browser, lambda: seen()[0], "zoomed")
    left = seen()
    first, last = left[0].split(" – ")
    assert left[1] is True
    assert first < left[2] < last
    for _ in range(2):
        drawn_anew(browser)
        assert seen() == left
        labels = f'return [...document.querySelectorAll("{LIVE} .role-axis-label text")].map(e => e.textContent)'
        names = [text for text in browser.js(labels) if ":" in text]
        assert names
        assert all(first <= name <= last for name in names), (names, left)
    # A period that is being drawn over outlives a newer drawing, too.
    browser.driver.find_element("css selector", f"{LIVE} .whole").click()
    until_drawn(browser, lambda: not seen()[0], "the whole period")
    ActionChains(browser.driver).move_to_element_with_offset(place, -150, 0).click_and_hold().move_by_offset(
        60, 0
    ).perform()
    drawn_anew(browser)
    assert browser.js(f'return document.querySelectorAll("{LIVE} .brush").length') == 1
    ActionChains(browser.driver).move_by_offset(60, 0).release().perform()
    until_drawn(browser, lambda: seen()[0], "zoomed by the pointer")
    assert browser.complaints() == []


def test_a_line_that_was_hidden_stays_hidden_in_newer_values(browser: Browser) -> None:
    browser.open(TREND)
    button = browser.driver.find_element("css selector", "figure[data-drawn] .legend button")
    before = lines_drawn(browser)
    button.click()
    until_drawn(browser, lambda: lines_drawn(browser) == before - 1, "one line less")
    # As when newer values come: the same part with what the server answers.
    browser.js(
        "window.stage = document.querySelector('figure .drawing > div');"
        "const part = document.querySelector('figure').closest('[data-part]'); renew(part, part.shown);"
    )
    until_drawn(
        browser, lambda: browser.js("return document.querySelector('figure .drawing > div') !== window.stage"), "anew"
    )
    assert lines_drawn(browser) == before - 1
    pressed = "return document.querySelector('figure .legend button').getAttribute('aria-pressed')"
    assert browser.js(pressed) == "false"
    browser.driver.find_element("css selector", "figure[data-drawn] .legend button").click()
    until_drawn(browser, lambda: lines_drawn(browser) == before, "all lines again")
    assert browser.complaints() == []


def test_an_axis_can_be_logarithmic_and_the_address_says_so(running: Running, browser: Browser) -> None:
    ((first, last),) = running.rows(
        "SELECT toString(max(toDate(ts, 'Asia/Shanghai')) - 7), toString(max(toDate(ts, 'Asia/Shanghai')) - 1) FROM events"
    )
    # A day has far more than a thousand looks at products, some three a person; and never none, which has no place there.
    asked = f"/explore?kind=trend&m1=count&e1=view_item&m2=per_person&e2=view_item&from={first}&to={last}"
    browser.open(asked)
    high = "return JSON.parse(document.querySelector('figure[data-drawn] script').textContent).spec.layer[0].encoding.y.scale"
    assert browser.js(high)["type"] == "linear"
    click(browser, "Logarithmic axis")
    assert "scale=log" in browser.driver.current_url
    scale = browser.js(high)
    assert scale["type"] == "log"
    # Each tick is ten times the one before.
    low, top = scale["domain"]
    assert top / low in (100, 1_000, 10_000, 100_000, 1_000_000)
    click(browser, "Show")  # it stays when the question changes
    assert browser.js(high)["type"] == "log"
    click(browser, "Linear axis")
    assert "scale=log" not in browser.driver.current_url
    assert browser.js(high)["type"] == "linear"
    # Where a value has no place on it there is no choice, whatever the address says.
    browser.open("/explore?kind=trend&m1=people&e1=app_open&scale=log")
    assert browser.js(high)["type"] == "linear"
    assert "Logarithmic axis" not in browser.text("main")
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
