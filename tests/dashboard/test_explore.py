"""Explore in a real browser: questions are built, answered as SQL answers them, and lead to the people behind them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_selenium_python import Axe
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from dashboard.browser import NARROW, WIDE, Browser, click, fetched, people_there, table
from dashboard.conftest import Running
from pipeline.dashboard.pages.explore import KINDS
from pipeline.render.language import Language

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_chromium", "plain")]

EN = Language("en")
ZONE = "'Asia/Shanghai'"


@pytest.fixture(scope="module")
def days(running: Running) -> tuple[str, str]:
    """The last seven days of the past that are over."""
    ((first, last),) = running.rows(
        f"SELECT toString(max(toDate(ts, {ZONE})) - 7), toString(max(toDate(ts, {ZONE})) - 1) FROM events"
    )
    return first, last


def span(days: tuple[str, str]) -> str:
    return f"from={days[0]}&to={days[1]}"


def between(days: tuple[str, str]) -> str:
    return f"toDate(ts, {ZONE}) BETWEEN '{days[0]}' AND '{days[1]}'"


def test_a_trend_is_what_sql_counts(running: Running, browser: Browser, days: tuple[str, str]) -> None:
    browser.open(
        f"/explore?kind=trend&{span(days)}&m1=people&e1=purchase&m2=count&e2=view_item&by=platform&x1=A / B %25"
    )
    counted = running.rows(
        f"SELECT platform, uniqExactIf(person, event = 'purchase') AS a, countIf(event = 'view_item') AS b FROM events "
        f"WHERE event IN ('purchase', 'view_item') AND {between(days)} GROUP BY platform ORDER BY a DESC, platform"
    )
    expected = [[p, EN.number(a), EN.number(b), EN.percent(a / b)] for p, a, b in counted]
    assert table(browser, "All days together") == expected
    by_day = running.rows(
        f"SELECT toString(toDate(ts, {ZONE})) AS day, platform, uniqExactIf(person, event = 'purchase') AS a FROM events "
        f"WHERE event IN ('purchase', 'view_item') AND {between(days)} GROUP BY day, platform"
    )
    shown = [row[:3] for row in table(browser, "By period")]
    assert sorted(shown) == sorted([day, platform, EN.number(a)] for day, platform, a in by_day)
    # The query is there to be taken along, and runs as it is.
    sql = browser.js("return document.getElementById('query0').textContent")
    assert [row[0] for row in running.rows(sql)].count(1) == len(counted)
    lines = fetched(browser.js("return document.querySelector('.buttons a[href*=csv]').href"))
    assert len(lines) == 1 + len(by_day)


def test_a_question_is_built_in_the_form_and_stands_in_the_address(browser: Browser, days: tuple[str, str]) -> None:
    browser.open("/explore")
    form = browser.driver.find_element("css selector", "form.question")
    Select(form.find_element("name", "e1")).select_by_value("view_item")
    Select(form.find_element("name", "m1")).select_by_value("count")
    form.find_element("name", "by").send_keys("channel")
    form.find_element("css selector", ".item summary").click()
    form.find_element("name", "e1f1").send_keys("platform")
    form.find_element("name", "e1v1").send_keys("ios")
    with browser.led_on():
        form.find_element("css selector", "button.primary").click()
    address = parse_qs(urlsplit(browser.driver.current_url).query)
    assert {name: address[name] for name in ("e1", "m1", "by", "e1f1", "e1v1")} == {
        "e1": ["view_item"], "m1": ["count"], "by": ["channel"], "e1f1": ["platform"], "e1v1": ["ios"],
    }  # fmt: skip
    assert len(table(browser, "All days together")) == 5
    # The form is as it was sent, with room for one more series and condition.
    form = browser.driver.find_element("css selector", "form.question")
    assert Select(form.find_element("name", "e1")).first_selected_option.text == "view_item"
    assert form.find_element("name", "e1v1").get_attribute("value") == "ios"
    assert form.find_elements("name", "m2")
    assert form.find_elements("name", "e1f2")
    # What is suggested are the values that there are.
    suggested = browser.until(
        lambda: browser.js("return [...document.querySelectorAll('#values-platform option')].map(o => o.value)"),
        "values",
    )
    assert suggested == ["android", "ios", "web"]
    # Another kind takes days and filters along.
    click(browser, "Funnel")
    assert parse_qs(urlsplit(browser.driver.current_url).query)["from"] == address["from"]


def test_a_number_leads_to_its_people_and_they_are_as_many(
    running: Running, browser: Browser, days: tuple[str, str]
) -> None:
    browser.open(f"/explore?kind=trend&{span(days)}&m1=people&e1=purchase")
    ((total,),) = running.rows(f"SELECT uniqExact(person) FROM events WHERE event = 'purchase' AND {between(days)}")
    click(browser, EN.number(total))
    assert people_there(browser) == total
    assert "purchase: people" in browser.text("main")
    file = browser.js("return document.querySelector('.buttons a[href*=people]').href")
    lines = fetched(file)
    assert lines[0] == "user_id,device,first_seen,last_seen,platform,channel,events,revenue"
    assert len(lines) == 1 + total
    link = browser.js("return document.querySelector('td a').getAttribute('href')")
    assert link.startswith("/person?id=")
    click(browser, "← Back to the question")
    # The chart leads there too: its second place is the second day.
    chart = browser.driver.find_element("css selector", "figure[data-drawn] .drawing")
    with browser.led_on():
        chart.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ENTER)
    ((second,),) = running.rows(
        f"SELECT uniqExact(person) FROM events WHERE event = 'purchase' AND toDate(ts, {ZONE}) = toDate('{days[0]}') + 1"
    )
    assert people_there(browser) == second


def test_by_keyboard_alone_from_a_question_to_its_people(browser: Browser, days: tuple[str, str]) -> None:
    browser.open(f"/explore?kind=distribution&{span(days)}&e1=purchase")
    for _ in range(120):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        if browser.js("return document.activeElement.closest('td') !== null"):
            break
    shown = int(browser.js("return document.activeElement.innerText").replace(",", ""))
    with browser.led_on():
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert people_there(browser) == shown > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_kind_is_there_in_both_languages_and_widths_and_is_accessible(
    browser: Browser, days: tuple[str, str], kind: str, language: str
) -> None:
    browser.cookie("lang", language)
    browser.open(f"/explore?kind={kind}&{span(days)}")
    assert browser.js("return document.querySelector('.problem, .part .bad')?.innerText") is None
    assert browser.js("return document.querySelectorAll('main table tbody tr').length") > 0
    if language == "zh" and kind != "metric":  # what a metric's row is, is said in English only
        words = browser.js(
            "return [...document.querySelectorAll('h1, h2, h3, .tabs a, .bar label span, .line label span, summary, .note')]"
            ".map(e => e.innerText).filter(w => w.trim())"
        )
        assert [word for word in words if not re.search("[一-鿿]", word)] == []
    axe = Axe(browser.driver)
    axe.inject()
    for width, theme in ((WIDE, "light"), (NARROW, "dark")):
        browser.width(width)
        browser.js("document.documentElement.dataset.theme = arguments[0]", theme)
        browser.shoot(f"explore-{kind}-{language}-{theme}-{width}")
        assert browser.js("return document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        found = axe.run(options='{resultTypes: ["violations"]}')["violations"]
        assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found] == []


def test_the_filter_bar_of_a_page_is_obeyed_and_kept(running: Running, browser: Browser, days: tuple[str, str]) -> None:
    browser.open(f"/revenue?{span(days)}")
    form = browser.driver.find_element("css selector", "form.question")
    form.find_element("name", "platform").send_keys("ios")
    with browser.led_on():
        form.find_element("css selector", "button.primary").click()
    assert parse_qs(urlsplit(browser.driver.current_url).query)["platform"] == ["ios"]
    link = browser.js(
        "return [...document.querySelectorAll('.buttons a')].find(a => a.href.includes('metric=revenue&') && "
        "a.href.includes('/explore')).href"
    )
    assert parse_qs(urlsplit(link).query)["platform"] == ["ios"]
    browser.open(link.removeprefix(browser.url))
    sql = browser.text("#query")
    assert "additional_table_filters" in sql
    ((revenue,),) = running.rows(
        f"SELECT toFloat64(sum(value)) FROM events WHERE event IN ('purchase', 'refund') AND platform = 'ios' AND {between(days)}"
    )
    shown = running.rows(sql.replace("SELECT *", "SELECT toFloat64(sum(revenue))"))
    assert shown == [[pytest.approx(revenue)]]


def test_another_segment_to_compare_with(running: Running, browser: Browser, days: tuple[str, str]) -> None:
    browser.open(
        f"/explore?kind=trend&{span(days)}&m1=people&e1=view_item&than=segment&vs=in&g1=did&g1e=purchase&g1n=2"
    )
    ((all_of_them, buyers),) = running.rows(
        f"SELECT uniqExact(person), uniqExactIf(person, person IN (SELECT person FROM events WHERE event = 'purchase' AND "
        f"toDate(ts, {ZONE}) <= '{days[1]}' GROUP BY person HAVING count() >= 2)) FROM events "
        f"WHERE event = 'view_item' AND {between(days)}"
    )
    (row,) = table(browser, "All days together")
    assert row[:2] == [EN.number(all_of_them), EN.number(buyers)]


def test_what_cannot_be_asked_is_said_in_one_line(browser: Browser) -> None:
    browser.open("/explore?kind=trend&m1=count&e1=view_itme&x1=A / B")
    said: Any = browser.text("main .bad")
    assert said == "▲ the plan has no event 'view_itme': did you mean view_item?"
    assert browser.js("return document.querySelector('form.question [name=x1]').value") == "A / B"
