"""What the demo prints for a shell and a web page, pasted: the event is on /live and in ClickHouse, with its source."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from dashboard.browser import chromium
from whole_system import Start, command, rows, until

from pipeline.demo.system import System
from pipeline.demo.where import send_lines
from pipeline.render.language import Language

pytestmark = pytest.mark.integration

PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
#: From the paste until the event is seen, on the dashboard's figures and as a row. Seconds.
SEEN_WITHIN = 30


def line(system: System, begin: str) -> str:
    """What stands behind these words in what `up` and `demo` print."""
    return (
        next(text for text in send_lines(Language("en"), system) if text.startswith(begin)).removeprefix(begin).strip()
    )


async def accepted(system: System) -> int:
    live = await system.live()
    return live["totals"].get("accepted", 0) if live is not None else 0


async def test_the_curl_line_and_the_page_s_snippet_count_and_the_door_comes_back_where_it_was(
    start: Start, needs_curl: None, needs_chromium: None, tmp_path: Path
) -> None:
    system = await start()
    curl = line(system, "Send one")
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", f"{curl} -sS"], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == '{"accepted":1,"rejected":0,"errors":[],"notes":[]}'

    async def counted() -> bool:
        return await accepted(system) == 1

    await until(counted, "the event of the shell on /live", SEEN_WITHIN)
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>shop</title>{line(system, 'In a page')}", "utf-8")

    # As a person's: a browser without a screen says that it is one, and counts as a bot. It stays until the event is
    # counted: one that is ended as soon as it shows the page may not have sent it.
    with ExitStack() as stack:
        begun = chromium(page.as_uri(), f"--user-agent={PERSON}")
        browser = await asyncio.to_thread(stack.enter_context, begun)
        await asyncio.to_thread(browser.driver.get, page.as_uri())
        await until(lambda: _is(system, 2), "the event of the page on /live", SEEN_WITHIN)
    # Another command makes a source; its key is good within a second.
    sources = str(system.settings.collect_sources)
    made = await asyncio.to_thread(command, "sources", "add", "app", "--file", sources)
    key = re.findall(r"[0-9a-f]{32}", made.stdout)[0]
    # The door is killed; it comes back where people and apps look for it.
    url = system.collect.url
    system.collect.kill()
    again = curl.replace(system.key, key).replace('"u1"', '"u2"')

    async def taken() -> bool:
        said = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", f"{again} -sS"], capture_output=True, text=True, check=False, timeout=30
        )
        return '"accepted":1' in said.stdout

    await until(taken, "the door, started again", 60)
    assert system.collect.url == url

    async def stored() -> Any:
        found = await rows(system, "SELECT event, actor, source, bot FROM events ORDER BY actor")
        return found if len(found) == 3 else None

    found = await until(stored, "three rows", SEEN_WITHIN)
    assert found == [
        ("app_open", "d1", "local", ""), ("app_open", "u1", "local", ""), ("app_open", "u2", "app", ""),
    ]  # fmt: skip


#: What the page Events shows: of each record its words, without what is folded.
SHOWN = (
    "return [...document.querySelectorAll('.part tr')].slice(1).map(r => [...r.cells].map(c => c.innerText).join(' '))"
)


async def test_whoever_pastes_the_line_sees_the_event_come_in(
    start: Start, needs_curl: None, needs_chromium: None
) -> None:
    system = await start()
    watched = line(system, "Watch").split()[0]
    curl = line(system, "Send one")

    def paste(user: str) -> None:
        said = subprocess.run(
            ["bash", "-c", f"{curl.replace('u1', user)} -sS"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
        assert '"accepted":1' in said

    def watch() -> None:
        with chromium(system.dashboard.url) as browser:
            browser.open("/events")
            assert watched == browser.driver.current_url
            assert "Nothing came in the last 15 minutes that fits." in browser.text(".part")
            paste("u1")
            (row,) = browser.until(lambda: browser.js(SHOWN) or None, "the event", SEEN_WITHIN)
            assert row.split()[1:] == ["app_open", "u1", "–", "local", "accepted"]
            # While it is open to be read the list waits.
            browser.js("document.querySelector('.part summary').click()")
            paste("u2")
            asked = (
                "return performance.getEntriesByType('resource').filter(e => e.name.includes('/part/events')).length"
            )
            before = browser.js(asked)
            browser.until(lambda: browser.js(asked) > before + 4 or None, "the list asked for again", SEEN_WITHIN)
            assert len(browser.js("return document.querySelectorAll('.part details[open]')")) == 1
            assert len(browser.js(SHOWN)) == 1
            browser.js("document.querySelector('.part summary').click()")
            browser.until(lambda: len(browser.js(SHOWN)) == 2 or None, "the second event", SEEN_WITHIN)
            assert [row.split()[2] for row in browser.js(SHOWN)] == ["u2", "u1"]
            assert browser.complaints() == []

    await asyncio.to_thread(watch)


async def _is(system: System, count: int) -> bool:
    return await accepted(system) == count


async def test_what_an_sdk_tells_of_a_user_and_what_is_refused_is_in_clickhouse(start: Start, tmp_path: Path) -> None:
    system = await start()
    curl = line(system, "Send one").partition(" -d ")[0]
    events = (
        '{"user_id": "ida", "anonymous_id": "d7", "$attributes": {"plan": "pro"}}\n'
        '{"event": "app_open", "anonymous_id": "d7"}\n'
        '{"event": "app_open", "user_id": 7}\n'
        "not JSON\n"
    )
    (tmp_path / "events.jsonl").write_text(events)
    said = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", f"{curl} --data-binary @{tmp_path}/events.jsonl -sS"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert said.stdout.startswith('{"accepted":2,"rejected":2,')

    # An SDK adds to an attribute, loses the answer, and tells it again.
    added = [{"$token": system.key, "$distinct_id": "ida", "$time": 1_790_000_000, "$add": {"orders": 2}}]
    for _ in range(2):
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{system.collect.url}/engage", data={"data": json.dumps(added)}) as answer,
        ):
            assert (answer.status, await answer.text()) == (200, "1")

    async def stored() -> Any:
        found = await rows(system, "SELECT reason, source, value FROM rejected ORDER BY reason")
        return (
            found
            if len(found) == 2
            and await rows(system, "SELECT 1 FROM attribute_changes_raw")
            and await rows(system, "SELECT 1 FROM events")
            else None
        )

    found = await until(stored, "rows", SEEN_WITHIN)
    assert [(reason, source) for reason, source, _ in found] == [("invalid_json", "local"), ("wrong_type", "local")]
    assert found[0][2] == "not JSON"
    assert await rows(system, "SELECT actor, name, value, person FROM user_attributes ORDER BY name") == [
        ("ida", "orders", "2", "ida"), ("ida", "plan", "pro", "ida"),
    ]  # fmt: skip
    assert await rows(system, "SELECT event, actor, person FROM events") == [("app_open", "d7", "ida")]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{system.dashboard.url}/part/quality-producers") as answer,
    ):
        assert ">local</td>" in await answer.text()
