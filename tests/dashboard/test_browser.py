"""The dashboard in a real browser: every page, in both languages and widths, with the numbers of ClickHouse."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_selenium_python import Axe

from dashboard.browser import NARROW, WIDE, Browser, chromium, press
from dashboard.conftest import Running
from dashboard.phone import wrong_on_a_phone
from pipeline.dashboard.pages import PAGES
from pipeline.render.language import Language

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_chromium", "plain")]

EN = Language("en")
PATHS = [page.path for page in PAGES]


def events_of(count: int, prefix: str, **fields: Any) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    return [
        {"event_id": f"{prefix}{k}", "event": "view_item", "user_id": f"{prefix}{k}", "ts": now, "platform": "ios",
         "properties": {"item_id": "i1"}, **fields}
        for k in range(count)
    ]  # fmt: skip


def looks() -> list[dict[str, Any]]:
    """Forty users look at something."""
    return events_of(40, "a")


def carts() -> list[dict[str, Any]]:
    """Ten of them put it into the cart."""
    return [e | {"event": "add_to_cart", "event_id": "c" + e["event_id"]} for e in events_of(10, "a")]


@pytest.fixture
def sent(running: Running, tmp_path: Path) -> None:
    """Those forty and ten are counted: an earlier test has sent them, or they are sent now."""
    if not running.live()["totals"].get("accepted"):
        running.send(tmp_path, looks() + carts())


def test_without_events_it_says_what_to_do(browser: Browser) -> None:
    browser.open("/")
    text = browser.until(lambda: browser.text(".pipeline"), "a word about the pipeline")
    assert "Ready, but no events yet" in text
    assert "streamgauge send FILE --kafka" in text
    browser.until(lambda: browser.text("[data-live=active-now]") == "0", "nobody is active")


def test_new_events_are_seen_within_three_seconds_without_a_reload(
    running: Running, browser: Browser, tmp_path: Path
) -> None:
    browser.open("/")
    browser.until(lambda: browser.js("return document.body.dataset.updates > 0 || null"), "the stream")
    browser.js("window.still = document.querySelector('[data-live=active-now]'); window.here = 1")
    running.send(tmp_path, looks())
    began = time.monotonic()
    browser.until(lambda: browser.text("[data-live=active-now]") == "40", "40 active users", 20)
    assert time.monotonic() - began < 3.0
    assert browser.js("return window.here === 1 && window.still === document.querySelector('[data-live=active-now]')")
    # What was there goes on, so that nothing flickers: only what is inside has changed.
    running.send(tmp_path, carts())
    browser.until(lambda: "10 " in browser.text("[data-live=funnel-0]").replace("\n", " "), "10 in the cart", 20)


def test_live_numbers_are_those_of_clickhouse(running: Running, sent: None, browser: Browser) -> None:
    browser.open("/quality")
    stream = running.env["PIPELINE_STREAM"]
    browser.until(lambda: browser.text("[data-live=rec-accepted]") == "50", "50 accepted")
    sql = f"SELECT uniqExact(person), count() FROM events WHERE stream = '{stream}'"
    stored = browser.until(lambda: running.rows(sql) if running.rows(sql) == [[40, 50]] else None, "all stored")
    assert int(browser.text("[data-live=rec-accepted]")) == stored[0][1]


def test_from_a_list_to_a_person_and_by_keyboard_to_another(running: Running, browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    ((person, device, events, orders),) = running.rows(
        "SELECT p.person, p.devices[1], p.events, m.orders FROM persons AS p INNER JOIN (SELECT person, "
        "uniqExact(order_id) AS orders FROM payments GROUP BY person) AS m ON m.person = p.person "
        "WHERE notEmpty(p.devices) AND p.last_seen < now64(3) - 86400 ORDER BY p.events DESC LIMIT 1"
    )
    browser.open("/explore?metric=buyers")
    press(browser, "td a.person")
    assert browser.text("main .who code") == browser.js("return new URL(location.href).searchParams.get('id')")
    axe = Axe(browser.driver)
    for language in ("en", "zh"):
        browser.cookie("lang", language)
        browser.open("/")
        browser.driver.find_element("css selector", "nav input[name=id]").send_keys(device, Keys.ENTER)
        browser.until(lambda: browser.text("main .who code") == person, "the person", 30)
        browser.until(browser.filled, "the page filled", 60)
        facts = browser.js(
            "return [...document.querySelectorAll('table.plain tr')].map(r => [...r.cells].map(c => c.innerText))"
        )
        shown = {row[0]: row[1] for row in facts}
        names = ("Events", "Orders") if language == "en" else ("事件数", "订单数")
        assert [shown[name] for name in names] == [EN.number(events), EN.number(orders)]
        assert browser.js("return document.querySelectorAll('.session .did li').length") == min(events, 200)
        axe.inject()
        for width, theme in ((WIDE, "light"), (NARROW, "dark")):
            browser.width(width)
            browser.js("document.documentElement.dataset.theme = arguments[0]", theme)
            browser.shoot(f"someone-{language}-{theme}-{width}")
            assert browser.js("return document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
            assert width == WIDE or wrong_on_a_phone(browser) == []
            found = axe.run(options='{resultTypes: ["violations"]}')["violations"]
            assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found] == []
        browser.width(WIDE)


def test_a_funnel_of_the_past_is_what_windowfunnel_counts(running: Running, browser: Browser) -> None:
    # Days that are over: of the running one more may come between two looks.
    ((first, last, following),) = running.rows(
        "SELECT toString(min(toDate(ts, 'Asia/Shanghai'))), toString(max(toDate(ts, 'Asia/Shanghai')) - 1), "
        "toString(max(toDate(ts, 'Asia/Shanghai'))) FROM events WHERE stream = 'history'"
    )
    browser.open(f"/funnels?funnel=checkout&from={first}&to={last}&by=platform&than=none")
    steps = ("view_item", "add_to_cart", "checkout", "pay", "purchase")
    began = f"toDate(ts, 'Asia/Shanghai') < '{following}'"
    conditions = ", ".join(f"event = '{step}'" + (f" AND {began}" if step == steps[0] else "") for step in steps)
    names = ", ".join(f"'{step}'" for step in steps)
    counted = running.rows(
        f"SELECT countIf(l >= 1), countIf(l >= 2), countIf(l >= 3), countIf(l >= 4), countIf(l >= 5) FROM (SELECT person, "
        f"windowFunnel(3600000)(toUInt64(toUnixTimestamp64Milli(ts)), {conditions}) AS l "
        f"FROM events WHERE event IN ({names}) AND NOT late GROUP BY person)"
    )[0]
    shown = browser.js(
        "return [...document.querySelectorAll(\"[data-part^='/part/funnel?'] .steps .n\")].map(e => e.innerText)"
    )
    assert shown == [EN.number(n) for n in counted]
    assert min(counted) > 50
    assert browser.text("[data-part^='/part/funnel?'] .leak") == "▼ most are lost here"
    total = browser.js(
        "return [...document.querySelectorAll(\"[data-part^='/part/funnel-by'] tbody td:nth-child(2)\")].map(e => e.innerText)"
    )
    assert sum(int(n.replace(",", "")) for n in total) == counted[0]


def test_the_step_that_broke_is_named_when_two_periods_are_compared(browser: Browser) -> None:
    today = time.time()
    days = [time.strftime("%Y-%m-%d", time.gmtime(today - k * 86_400)) for k in (3, 1)]
    browser.open(f"/funnels?funnel=checkout&from={days[0]}&to={days[1]}&by=platform&than=week")
    assert "checkout → pay fell from" in browser.text("[data-part^='/part/funnel?'] .bad")
    cells = browser.js(
        "return [...document.querySelectorAll(\"[data-part^='/part/funnel-by'] tbody tr\")].map(r => r.innerText)"
    )
    android = next(row for row in cells if row.startswith("android"))
    assert "▼" in android


def test_the_first_page_says_what_fell_and_for_whom(browser: Browser) -> None:
    browser.open("/")
    said = browser.until(lambda: browser.text("[data-part^='/part/drops'] .bad"), "what fell")
    assert re.search(
        r"checkout → pay fell from \S+ % to \S+ % on android only \(funnel checkout\), since \w+, \w+ \d+", said
    )


def test_a_metric_is_shown_as_clickhouse_has_it_and_can_be_taken_along(running: Running, browser: Browser) -> None:
    browser.open("/explore?metric=active_users_daily")
    sql = browser.text("#query")
    assert sql.startswith("SELECT * FROM active_users_daily(from = '")
    stored = running.rows(sql)
    shown = browser.js(
        "return [...document.querySelectorAll('.part tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    assert [[row[0], row[1].replace(",", "")] for row in shown] == [[day, str(users)] for day, users, *_ in stored]
    address = browser.js(
        "return [...document.querySelectorAll('.buttons a')].find(a => a.innerText === 'Download CSV').href"
    )
    import urllib.request

    with urllib.request.urlopen(address, timeout=30) as answer:
        lines = answer.read().decode("utf-8-sig").splitlines()
    assert lines[0] == "day,users,events,events_per_user"
    assert len(lines) == len(stored) + 1
    browser.js("document.querySelector('[data-copy=query]').click()")
    browser.until(lambda: browser.text("[data-copy=query]") == "Copied", "copied")


def test_a_wrong_parameter_is_explained_not_run(browser: Browser) -> None:
    browser.open("/explore?metric=retention&period=fortnight")
    assert "period is one of day, week, month" in browser.text(".part .bad")


def test_a_chart_becomes_a_picture(browser: Browser) -> None:
    browser.open("/explore?metric=active_users_daily")
    browser.js("HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href]; }")
    browser.js("document.querySelector('[data-png]').click()")
    name, address = browser.until(lambda: browser.js("return window.saved"), "a picture")
    assert name == "active_users_daily.png"
    assert address.startswith("blob:")


def test_every_number_has_its_definition_one_hover_or_one_key_away(browser: Browser) -> None:
    browser.open("/")
    labels = browser.js(
        "return [...document.querySelectorAll('.tile .label')].map(l => l.querySelector('.term')?.dataset.def ?? '')"
    )
    assert len(labels) == 6
    assert all(len(label) > 40 for label in labels)
    browser.js("document.querySelector('[data-live=active-now]').closest('.tile').querySelector('.term').focus()")
    assert "in this minute or the one before" in browser.text("#tip")
    assert browser.js("return document.activeElement.getAttribute('aria-describedby')") == "tip"
    browser.js("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))")
    assert browser.js("return document.getElementById('tip').hidden")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_opens_in_both_languages_and_widths_and_is_accessible(
    browser: Browser, path: str, language: str
) -> None:
    """Wide and light, then narrow and dark: asking ClickHouse once is enough for both."""
    browser.width(WIDE)
    browser.cookie("lang", language)
    browser.cookie("theme", "light")
    browser.open(path)
    browser.until(lambda: browser.js("return document.body.dataset.updates > 0 || null"), "the stream")
    page = next(page for page in PAGES if page.path == path)
    assert browser.text("h1") == page.title(Language("zh" if language == "zh" else "en"))
    assert browser.js("return document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[language]
    assert browser.js("return document.querySelector('.problem, .part > .bad button')?.innerText") is None
    if language == "zh":
        words = browser.js("return [...document.querySelectorAll('h1, h2, nav a, .tile .label')].map(e => e.innerText)")
        assert [word for word in words if not re.search("[一-鿿]|^[A-Z /]+$", word)] == []
    axe = Axe(browser.driver)
    axe.inject()
    for width, theme in ((WIDE, "light"), (NARROW, "dark")):
        browser.width(width)
        # As the server writes it by the cookie.
        browser.js("document.documentElement.dataset.theme = arguments[0]", theme)
        browser.shoot(f"{path.strip('/') or 'overview'}-{language}-{theme}-{width}")
        assert browser.js("return document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        if width == NARROW:
            assert wrong_on_a_phone(browser) == []
        # Of what is right only its number is asked for: to describe all of it takes longer than to find out.
        found = axe.run(options='{resultTypes: ["violations"]}')["violations"]
        assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found] == []


#: Which cells of the last column stand in part outside of the window.
HIDDEN = """return [...document.querySelectorAll('table.cards td:last-child')].filter(e => {
    const box = e.getBoundingClientRect(); return box.left < 0 || box.right > window.innerWidth + 0.5 || e.scrollWidth > e.clientWidth + 1;
}).map(e => e.innerText)"""


@pytest.mark.parametrize("path", ["/experiments", "/campaigns"])
def test_on_a_phone_the_verdict_is_read_without_scrolling_sideways(browser: Browser, path: str) -> None:
    browser.width(NARROW)
    browser.open(path)
    assert browser.js("return document.querySelectorAll('table.cards .verdict-cell').length") >= 2
    assert browser.js(HIDDEN) == []
    # The form is folded: the first verdict is on the first screen.
    first = "return document.querySelector('table.cards .verdict-cell').getBoundingClientRect().bottom + scrollY"
    assert browser.js(first) < 900


#: What no page has without being asked for it, and the widest of what people ask.
ASKED = [
    "/explore?kind=trend&m1=people&e1=app_open&by=platform&by2=channel&than=before",
    "/explore?kind=funnel&funnel=checkout&by=platform",
    "/explore?kind=paths",
    "/explore?metric=segments",
    "/explore?metric=active_users_daily",
    "/people?kind=trend&m1=people&e1=purchase",
]


def test_on_a_phone_answers_are_cards_and_matrices_keep_their_names(browser: Browser) -> None:
    browser.width(NARROW)
    axe = Axe(browser.driver)
    for k, path in enumerate(ASKED):
        browser.cookie("lang", "zh" if k % 2 else "en")
        browser.open(path)
        assert browser.js("return document.querySelector('details.fold')?.open") in (None, False), (
            "the answer comes first"
        )
        browser.shoot(f"asked-{k}")
        assert wrong_on_a_phone(browser) == [], path
        axe.inject()
        found = axe.run(options='{resultTypes: ["violations"]}')["violations"]
        assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found] == []
    browser.open("/explore?kind=retention&grain=day")
    assert wrong_on_a_phone(browser) == []
    scrolled = """const box = document.querySelector('.scroll:has(table.matrix)'); box.scrollLeft = 200;
        const left = (e) => Math.round(e.getBoundingClientRect().left - box.getBoundingClientRect().left);
        return [box.scrollLeft, left(box.querySelector('tbody td')), left(box.querySelector('th')), left(box.querySelector('td + td')) < 0]"""
    assert browser.js(scrolled) == [200, 0, 0, True]
    browser.open("/explore?metric=retention")
    drawn = """const box = document.querySelector('.drawing'); box.scrollLeft = 150;
        return [box.scrollLeft, Math.round(box.querySelector('.names').getBoundingClientRect().left - box.getBoundingClientRect().left)]"""
    assert browser.js(drawn) == [150, 0]


@pytest.fixture(scope="module")
def report(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of last week, as a page."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    running.command("report", "--week", "last", "-o", str(file))
    return file


@pytest.mark.parametrize(("width", "media"), [(NARROW, ""), (690, "print")])
def test_no_sentence_of_the_report_is_cut(browser: Browser, report: Path, width: int, media: str) -> None:
    """Neither on a phone nor on paper, where nothing can be scrolled."""
    browser.width(width)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
    try:
        browser.driver.get(report.as_uri())
        browser.shoot(f"report-{media or 'screen'}-{width}")
        assert browser.js("return document.querySelectorAll('table.cards').length") >= 2
        assert browser.js(HIDDEN) == []
        if media:
            cut = (
                "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
            )
            assert browser.js(cut) == 0
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        assert browser.foreign_requests() == [report.as_uri()]


def test_what_is_out_of_sight_is_not_asked_for(browser: Browser) -> None:
    left = "return [...document.querySelectorAll('[data-part]')].filter(part => !part.hidden && !part.asked).length"
    browser.driver.get(browser.url + "/acquisition")
    browser.until(
        lambda: browser.js("return document.querySelector('.part table, .part svg, .part .empty')"), "the first part"
    )
    assert browser.js(left) > 0
    browser.until(browser.filled, "all parts, once they were seen", 60)
    assert browser.js(left) == 0


def test_the_language_is_the_browsers_until_another_is_chosen(running: Running) -> None:
    with chromium(running.dashboard, language="zh-CN") as chinese:
        chinese.open("/")
        assert chinese.text("h1") == "总览"
        chinese.js("document.querySelector('button[name=lang]').click()")
        chinese.until(lambda: chinese.text("h1") == "Overview", "English")
        assert chinese.complaints() == []


def test_all_of_it_is_reached_by_keyboard(browser: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.open("/")
    reached = []
    for _ in range(60):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()  # to whatever has the focus, seen or not
        reached.append(
            browser.js("const at = document.activeElement; return at.href || at.dataset.def || at.name || ''")
        )
    assert reached[0].endswith("#content")
    for path in [page.path for page in PAGES if page.listed]:
        assert any(r == running_url(browser, path) for r in reached), path
    assert any(r.startswith("Different users") for r in reached)


def running_url(browser: Browser, path: str) -> str:
    return browser.url + path


@pytest.fixture
def other(another: Browser) -> Iterator[Browser]:
    """A browser that knows nothing of the dashboard of the test before."""
    yield another
    another.driver.delete_all_cookies()
    another.complaints()


def test_without_clickhouse_the_live_part_goes_on(
    sent: None, start_dashboard: Callable[..., str], other: Browser
) -> None:
    other.url = start_dashboard(clickhouse_url="http://127.0.0.1:9")
    other.open("/")
    other.until(lambda: "view_item" in other.text("[data-live=funnel-0]"), "live numbers")
    other.until(lambda: "ClickHouse does not answer" in other.text(".pipeline"), "a word about ClickHouse")
    other.open("/funnels?funnel=checkout")
    assert "ClickHouse does not answer at http://127.0.0.1:9." in other.text(".problem")
    assert "this part comes back by itself" in other.text(".problem")
    other.until(lambda: "view_item" in other.text("[data-live=funnel]"), "the live funnel")
    assert other.complaints() == []


def test_without_a_worker_it_says_so_and_history_is_there(start_dashboard: Callable[..., str], other: Browser) -> None:
    other.url = start_dashboard(dashboard_workers="http://127.0.0.1:9")
    other.open("/")
    other.until(lambda: "No worker answers (http://127.0.0.1:9)" in other.text(".pipeline"), "a word about the worker")
    other.open("/explore?metric=active_users_daily")
    assert other.js("return document.querySelectorAll('.part tbody tr').length") == 30


def test_a_password_keeps_others_out(
    sent: None, start_dashboard: Callable[..., str], other: Browser, tmp_path: Path
) -> None:
    from pipeline.dashboard.auth import set_password

    set_password(tmp_path / "passwords", "ann", "correct horse")
    other.url = start_dashboard(dashboard_password_file=str(tmp_path / "passwords"))
    other.driver.get(other.url + "/funnels")
    assert other.driver.current_url == other.url + "/login"

    def enter(password: str) -> None:
        form = other.driver.find_element("css selector", "form.login")
        form.find_element("name", "name").send_keys("ann")
        form.find_element("name", "password").send_keys(password)
        form.find_element("css selector", "button").click()

    enter("wrong horse!")
    assert "wrong" in other.until(lambda: other.text("[role=alert]"), "an error")
    enter("correct horse")
    other.until(lambda: other.text("h1") == "Overview", "the first page")
    other.until(lambda: "view_item" in other.text("[data-live=funnel-0]"), "live numbers")
    other.js("[...document.querySelectorAll('form[action=\"/logout\"] button')][0].click()")
    other.until(lambda: other.driver.current_url == other.url + "/login", "logged out")
    other.driver.get(other.url + "/quality")
    assert other.driver.current_url == other.url + "/login"
