"""Everyday questions, each answered from the first page in at most five clicks; counted again by SQL."""

from __future__ import annotations

import re
import time
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboard.browser import Browser, click, fetched, people_there, press, table
from dashboard.conftest import Running
from pipeline.render.language import Language

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_chromium", "plain")]

EN = Language("en")
ZONE = "'Asia/Shanghai'"


def test_question_1_how_many_are_active_against_yesterday_at_this_time(running: Running, browser: Browser) -> None:
    """No click. Of the same minute: the page is drawn, and ClickHouse asked, until both have seen one and the same."""
    until = "toStartOfMinute(now64(3))"
    today = f"toDate({until}, 'Asia/Shanghai')"
    counted = "SELECT uniqExact(person) FROM activity WHERE day = {day} AND ts < {until}"
    sql = (
        f"SELECT ({counted.format(day=today, until=until)}), "
        f"({counted.format(day=today + ' - 1', until=until + ' - INTERVAL 1 DAY')}), "
        f"({counted.format(day=today + ' - 7', until=until + ' - INTERVAL 7 DAY')}), "
        f"(SELECT uniqExact(order_id) FROM payments WHERE day = {today} AND ts < {until}), "
        f"(SELECT toFloat64(sum(amount)) FROM money WHERE day = {today} AND ts < {until})"
    )

    def seen() -> bool:
        ((people, yesterday, week, orders, revenue),) = running.rows(sql)
        browser.open("/")
        shown = [browser.text(f"[data-of={of}] .value").replace(",", "") for of in ("people", "orders", "revenue")]
        against = browser.text("[data-of=people] .against")
        # In the first minutes of a day nobody may have been there by then.
        change = EN.change((people - yesterday) / yesterday if yesterday else None)
        return (
            [int(shown[0]), int(shown[1])] == [people, orders]
            and abs(float(shown[2]) - revenue) < 1
            and bool(re.search(rf"^{re.escape(change)} against yesterday by \d\d:\d\d: "
                               rf"{EN.number(yesterday)}\n.* by \d\d:\d\d: {EN.number(week)}$", against))
        )  # fmt: skip

    browser.until(seen, "the page and ClickHouse agree", 120)
    assert "at this time yesterday" in browser.text("[data-part^='/part/recently']")
    browser.picture("1", "[data-of=people]", "[data-of=orders]", "[data-of=revenue]")


def test_question_2_where_the_checkout_leaks_for_whom_since_when_and_who_they_are(
    running: Running, browser: Browser
) -> None:
    browser.open("/")
    said = browser.until(lambda: browser.text("[data-part^='/part/drops'] .bad"), "what fell")
    assert re.search(r"checkout → pay fell .* on android only .*since", said)
    browser.picture("2-what-fell", "[data-part^='/part/drops'] .bad")
    click(browser, "Funnels")
    click(browser, "Who they are, and who was lost")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(browser.driver.current_url).query).items()}
    assert asked["by"] == "platform"
    browser.shoot("explore-funnel")
    browser.picture("2-for-whom", "main h3:has(+ * tbody)", "main h3 + *:has(tbody)")
    android = next(row for row in table(browser, "By value") if row[0] == "android")
    # platform, view_item, add_to_cart, share, checkout, share, pay, share, ...
    checkout, pay = (int(android[k].replace(",", "")) for k in (4, 6))
    with browser.led_on():
        browser.js(
            "[...document.querySelectorAll('tbody tr')].find(r => r.cells[0].innerText === 'android')"
            ".cells[7].querySelector('a').click()"
        )
    assert people_there(browser) == checkout - pay
    browser.shoot("people")
    browser.picture("2-who", "main h1", "main table")
    began = f"event = 'view_item' AND toDate(ts, {ZONE}) BETWEEN '{asked['from']}' AND '{asked['to']}'"
    steps = "event = 'add_to_cart', event = 'checkout', event = 'pay', event = 'purchase'"
    ((lost,),) = running.rows(
        f"SELECT count() FROM (SELECT person, argMinIf(platform, ts, {began}) AS p, windowFunnel(3600000)("
        f"toUInt64(toUnixTimestamp64Milli(ts)), {began}, {steps}) AS level FROM events "
        f"WHERE toDate(ts, {ZONE}) >= '{asked['from']}' GROUP BY person) WHERE level = 3 AND p = 'android'"
    )
    assert checkout - pay == lost > 20
    assert len(fetched(browser.js("return document.querySelector('.buttons a[href*=people]').href"))) == 1 + lost


def test_question_3_which_channel_brings_people_who_stay(running: Running, browser: Browser) -> None:
    browser.open("/")
    click(browser, "Acquisition")
    heads, rows = browser.js(
        "const t = document.querySelector(\"[data-part^='/part/channels'] table\");"
        "return [[...t.tHead.rows[0].cells].map(c => c.innerText), [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText))]"
    )
    assert heads == [
        "channel",
        "new users",
        "next day rate",
        "retained rate",
        "paid rate",
        "ltv",
        "spend",
        "cac",
        "roi",
    ]
    counted = running.rows(
        f"SELECT channel, count() AS n FROM users WHERE first_day BETWEEN toDate(now(), {ZONE}) - 37 AND toDate(now(), {ZONE}) - 8 "
        f"GROUP BY channel ORDER BY n DESC, channel"
    )
    assert [row[:2] for row in rows] == [[channel, EN.number(n)] for channel, n in counted]
    # What is paid for has a cost and a return; what is not has none.
    known = {row[0]: row[7:] for row in rows}
    assert all("–" not in known[channel] for channel in ("ads", "search"))
    assert known["organic"] == ["–", "–"]
    browser.picture("3", "[data-part^='/part/channels']")


def test_question_4_this_campaign_against_the_one_before(running: Running, browser: Browser) -> None:
    """One click. One that is not over against as many days of the one before it; counted here by Python and plain SQL."""
    browser.open("/")
    press(browser, "nav a[href='/campaigns']")
    browser.shoot("campaigns")
    browser.picture("4", "[data-part^='/part/campaign-pairs']")
    ((day,),) = running.rows(f"SELECT toDate(now64(3), {ZONE})")
    today = date.fromisoformat(day)
    operations = [
        (name, kind, date.fromisoformat(starts), date.fromisoformat(ends))
        for name, kind, starts, ends in running.rows(
            "SELECT name, kind, starts, ends FROM campaigns ORDER BY starts DESC"
        )
    ]
    expected = []
    for name, kind, starts, ends in operations:
        earlier = next((one for one in operations if one[1] == kind and one[3] < starts), None)
        elapsed = (min(ends, today - timedelta(days=1)) - starts).days + 1
        if earlier is None or elapsed < 1:
            continue
        over = ends < today
        until = earlier[3] if over else min(earlier[3], earlier[2] + timedelta(days=elapsed - 1))
        now, before = (
            _campaign(running, name, starts, min(ends, today)),
            _campaign(running, earlier[0], earlier[2], until),
        )
        first = "" if over else f" its first {elapsed} day{'s' if elapsed > 1 else ''}"
        expected.append((name, earlier[0] + first, now, before))
    assert len(expected) >= 2
    rows = browser.js(
        "return [...document.querySelectorAll(\"[data-part^='/part/campaign-pairs'] tbody tr\")].map(r => [...r.cells].map(c => c.innerText.replace('\\n', ' ')))"
    )
    assert [row[:4] for row in rows] == [
        [name, before, f"{EN.number(took)} before: {EN.number(took_before)}",
         f"{EN.percent(bought / took)} before: {EN.percent(bought_before / took_before)}"]
        for name, before, (took, bought), (took_before, bought_before) in expected
    ]  # fmt: skip
    for row, (_, _, (n, k), (m, j)) in zip(rows, expected, strict=True):
        p = (k + j) / (n + m)
        z = (k / n - j / m) / (p * (1 - p) * (1 / n + 1 / m)) ** 0.5
        said = "Bought as before" if abs(z) < 1.9 else "More of them bought" if z > 2.1 else "Fewer" if z < -2.1 else ""
        assert row[-1].startswith(said), (row, z)


def _campaign(running: Running, name: str, first: date, last: date) -> tuple[int, int]:
    """Who took part in those days, and who of them paid in them; nothing of today, which is not over."""
    days = f"day BETWEEN '{first}' AND '{last}' AND day < toDate(now64(3), {ZONE})"
    ((took, bought),) = running.rows(
        f"SELECT uniqExact(person), uniqExactIf(person, person IN (SELECT person FROM payments WHERE {days})) "
        f"FROM participations WHERE participated = '{name}' AND {days}"
    )
    return took, bought


def test_question_5_did_b_win_and_may_i_believe_it(running: Running, browser: Browser) -> None:
    """One click. The second computation is made here, of the events alone."""
    browser.open("/")
    press(browser, "nav a[href='/experiments']")
    rows = browser.js(
        "return [...document.querySelectorAll(\"[data-part^='/part/experiments'] tbody tr\")].map(r => [...r.cells].map(c => c.innerText))"
    )
    first = "toDate(now64(3), 'Asia/Shanghai') - 29"
    counted = running.rows(
        "SELECT experiment, variant, count(), countIf(bought) FROM (SELECT experiment, person, any(variant) AS variant, "
        "any(paid >= at) AS bought FROM (SELECT person, experiment, variant, min(ts) AS at FROM exposures "
        f"WHERE day >= {first} GROUP BY person, experiment, variant) AS e LEFT JOIN (SELECT person, max(ts) AS paid FROM "
        f"payments WHERE day >= {first} GROUP BY person) AS p USING person GROUP BY experiment, person HAVING count() = 1) "
        "GROUP BY experiment, variant ORDER BY experiment, variant"
    )
    assert len(counted) >= 4
    by_name = {(experiment, variant): (users, bought) for experiment, variant, users, bought in counted}
    for (experiment, variant), (users, bought) in by_name.items():
        row = next(row for row in rows if row[:2] == [experiment, variant])
        assert row[2:4] == [EN.number(users), EN.percent(bought / users)]
        if variant == "control":
            continue
        others, of_them = by_name[experiment, "control"]
        p, q = bought / users, of_them / others
        z = (p - q) / (p * (1 - p) / users + q * (1 - q) / others) ** 0.5
        said = "No difference shown" if abs(z) < 1.9 else "Better: " if z > 2.1 else "Worse: " if z < -2.1 else ""
        assert row[-1].startswith(said), (row, z)
    browser.picture("5", "[data-part^='/part/experiments']")


def test_question_6_whom_to_recall_as_a_file_for_the_push_team(running: Running, browser: Browser) -> None:
    browser.open("/")
    click(browser, "Explore")
    click(browser, "Lifecycle")
    away = browser.driver.find_element("name", "away")
    away.clear()
    away.send_keys("7")
    click(browser, "Show")
    *_, (day, _, _, _, dormant) = [row for row in table(browser, "By period") if row[4] != "0"]
    with browser.led_on():
        browser.js(
            "[...document.querySelectorAll('tbody tr')].filter(r => r.cells[4].innerText !== '0').at(-1).cells[4].querySelector('a').click()"
        )
    assert f"dormant · {EN.day(date.fromisoformat(day), year=True)}" in browser.text("main")
    browser.picture("6", "main h1", "main .buttons", "main table")
    lines = fetched(browser.js("return document.querySelector('.buttons a[href*=people]').href"))
    found = sorted(line.split(",")[0] or f"$device:{line.split(',')[1]}" for line in lines[1:])
    counted = running.rows(
        f"SELECT person FROM events WHERE toDate(ts, {ZONE}) <= '{day}' GROUP BY person "
        f"HAVING max(toDate(ts, {ZONE})) = toDate('{day}') - 7 ORDER BY person"
    )
    assert found == [row[0] for row in counted]
    assert len(found) == int(dormant) > 0


def test_question_7_what_to_report_on_monday(running: Running, browser: Browser) -> None:
    """One click: what changed, why, how sure; the figures of the week, which are those of the events."""
    browser.open("/")
    press(browser, "nav a[href='/report']")
    said = browser.text("[data-together]")
    # Each part has been found by itself; together they are in the order of the report that is sent.
    sent = fetched(browser.js("return document.querySelector('a[href*=\"report.md\"]').href"))
    told = re.findall(r"\*\*[▼▲] (.*)\*\*", "\n".join(sent))
    assert re.findall("[▼▲] (.*)", said) == [one.replace("\\", "") for one in told]
    assert ("Nothing changed" in said) == (not told)
    assert "Records begin on " in said  # beside the list: since when there is anything to compare with
    monday = "toMonday(toDate(now64(3), 'Asia/Shanghai'))"
    ((orders, people),) = running.rows(
        f"SELECT (SELECT uniqExact(order_id) FROM payments WHERE day >= {monday} - 7 AND day < {monday}), "
        f"(SELECT uniqExact(person) FROM activity WHERE day >= {monday} - 7 AND day < {monday} AND NOT late)"
    )
    rows = browser.js(
        "return [...document.querySelectorAll('.report tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    figures = {row[0]: row[1] for row in rows if len(row) > 1}
    assert (figures["Orders"], figures["Active users"]) == (EN.number(orders), EN.number(people))
    assert browser.driver.find_element("css selector", "a[href^='/download/report.html']").is_displayed()
    browser.picture("7", "main h1", "[data-together]", "[data-part*='of=keys'] table")
    # Of a time of which there is nothing to say, that is said, when all have looked.
    browser.open("/report?kind=day&day=2020-01-01")
    browser.until(browser.filled, "the report")
    assert browser.text("[data-together]") == "What changed\n\nThere were no events in these days."


def test_question_8_is_my_new_event_tracked_properly(running: Running, browser: Browser, tmp_path: Path) -> None:
    """Two clicks and a word: the misspelt one with what was meant, each wrong property, and the right one."""
    now = int(time.time() * 1000)
    running.send(tmp_path, [
        {"event_id": "q8a", "event": "add_to_crat", "user_id": "tester", "ts": now, "properties": {"item_id": "i1"}},
        {"event_id": "q8b", "event": "add_to_cart", "user_id": "tester", "ts": now,
         "properties": {"item_id": "i1", "quantity": "2", "price": -1, "colour": "red"}},
    ])  # fmt: skip
    browser.open("/")
    press(browser, "nav a[href='/events']")
    box = browser.driver.find_element("css selector", "main input[name=id]")
    box.send_keys("tester\n")
    listed = "return [...document.querySelectorAll('table.cards > tbody > tr')].map(r => r.textContent)"
    found = browser.until(lambda: rows if len(rows := browser.js(listed) or []) == 2 else None, "both records", 20)
    misspelt, wrong = (next(row for row in found if name in row) for name in ("add_to_crat", "quantity"))
    assert "unknown_event" in misspelt
    assert "Did you mean add_to_cart?" in misspelt
    for words in ("input should be a valid integer", "input should be greater than or equal to 0", "colour"):
        assert words in wrong
    # The app is mended: the same page shows it, within seconds and without a click.
    running.send(tmp_path, [{"event_id": "q8c", "event": "add_to_cart", "user_id": "tester", "ts": now,
                             "properties": {"item_id": "i1", "quantity": 2, "price": 1.5}}])  # fmt: skip
    browser.until(lambda: any("accepted" in row for row in browser.js(listed) or []), "the right one", 20)
    browser.picture("8", "table.cards")
