"""The real SDKs, unmodified, from their registries: every call is told once, of the right person, with its properties.

Run by `make sdk`, which installs them into build/sdk. Python's, Node's, and those of browsers in a real Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collect.doors import Door, door_for_sdks
from sdk.front import Front
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.collect.model import Incoming, Refused
from pipeline.collect.protocols.fields import is_uuid

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / "build" / "sdk"
#: Of a browser that a person would use: libraries keep quiet in one that says it has no head.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
#: Properties that are an event's own in the calls that are made here; SDKs add many.
OWN = ("amount", "item_id", "price", "name", "category", "action", "value", "to", "items")
GROUP = "properties of a group alone are not kept: send them of a user of the group"

Brief = tuple[Any, ...]


def brief(item: Incoming | Refused, device: str = "") -> Brief:
    """What a call said: event, user, device, own properties, attributes, changes. An id of a library is `random`."""
    if isinstance(item, Refused):
        return ("refused", item.detail)
    fields = item.fields
    properties = fields.get("properties") or {}
    one = fields.get("anonymous_id")
    said: Brief = (fields["event"], fields.get("user_id"), "random" if is_uuid(one) or (one and one == device) else one)
    said += ({name: properties[name] for name in OWN if name in properties},)
    for extra in (item.attributes, item.first_attributes):
        own = {key: value for key, value in extra.items() if key in ATTRIBUTES or key.startswith("group")}
        said += (own,) if own else ()
    return (*said, *item.changes)


ATTRIBUTES = ("plan", "vip", "first", "born", "company", "$email")


def distinct(front: Front) -> list[Incoming | Refused]:
    """What was told, an event that was sent again once."""
    seen: set[str] = set()
    found = []
    for key, item in front.told:
        assert key == "wk"
        event_id = item.fields.get("event_id") if isinstance(item, Incoming) else None
        if event_id is None or event_id not in seen:
            found.append(item)
        if event_id is not None:
            seen.add(event_id)
    return found


def run(url: str, language: str, script: str, *arguments: str) -> None:
    """Let a server's library make its calls."""
    if language == "python":
        command = [str(BUILT / "python/bin/python"), "-P", f"{script}.py"]
        folder = HERE / "python"
    else:
        command, folder = ["node", f"{script}.mjs"], BUILT / "node"
    subprocess.run([*command, url, "wk", *arguments], cwd=folder, check=True, timeout=120)


def send(front: Front, *call: str) -> list[Brief]:
    run(front.url, *call)
    return [brief(item) for item in distinct(front)]


SEGMENT: list[Brief] = [
    ("$identify", "u1", "a1", {}, {"plan": "pro"}),
    ("purchase", "u1", None, {"amount": 19.9}),
    ("$identify", "u1", "a0", {}),
    ("$identify", "u1", None, {}, {"group": "org1", "group.n": 2}),
    ("page", "u1", None, {"name": "home", "category": "cat"}),
]
POSTHOG: list[Brief] = [
    ("purchase", "u1", None, {"amount": 19.9}, {"vip": True, "group.company": "org1"}, {"first": "x"}),
    ("$identify", "u1", None, {}, {"plan": "pro"}),
    ("$identify", "u1", None, {}, {"born": "2026"}),
    ("$identify", "u1", "a1", {}),
    ("refused", GROUP),
    ("cron_ran", None, "random", {}),
]
SNOWPLOW: list[Brief] = [
    ("page_view", "u1", "d1", {}),
    ("page_ping", "u1", "d1", {}),
    ("add_to_cart", "u1", "d1", {"category": "shop", "action": "add_to_cart", "value": 2.5}),
    ("purchase", "u1", "d1", {"amount": 19.9}),
]
AMPLITUDE: list[Brief] = [
    ("purchase", "u1", "d1", {"amount": 19.9}),
    ("$identify", "u1", "d1", {}, {"plan": "pro"}, {"first": "x"}, ("add", {"orders": 1})),
    ("$identify", "u1", "d1", {}, {"company": "org1", "group.company": "org1"}),
    ("refused", GROUP),
    ("revenue_amount", "u1", "d1", {}),
]
SERVERS: dict[tuple[str, ...], list[Brief]] = {
    ("python", "segment"): [
        *SEGMENT,
        ("screen", "u1", None, {"name": "cart", "category": "cat"}),
        ("view_item", None, "a2", {"item_id": "i7"}),
    ],
    ("python", "rudderstack"): SEGMENT[:2],
    ("python", "posthog"): POSTHOG,
    ("python", "posthog", "gzip"): POSTHOG,
    ("python", "posthog", "v1"): POSTHOG,
    ("python", "sensors"): [
        ("view_item", None, "a1", {"price": 1.5}),
        ("$SignUp", "u1", "a1", {}),
        ("$identify", "u1", "u1", {}),
        ("$identify", "u1", None, {}, {"vip": True}),
        ("$identify", "u1", None, {}),
        ("$identify", "u1", None, {}, ("add", {"orders": 1})),
        ("$identify", "u1", None, {}, ("append", {"tags": ["a"]})),
        ("$identify", "u1", None, {}, ("unset", {"vip": True})),
        ("$identify", "u2", None, {}, ("clear", {})),
        ("refused", "item_set: things are not kept: import them as content"),
        ("purchase", "u1", None, {"amount": 19.9}),
        ("$BindID", "u1", None, {}),
        ("refused", "track_id_unbind: a link is not taken back"),
        ("share", "u1", "c1", {"to": "x"}),
        ("view_item", None, "a1", {"price": 2}),
    ],
    ("python", "snowplow"): SNOWPLOW,
    ("python", "snowplow", "get"): SNOWPLOW,
    ("python", "amplitude"): AMPLITUDE,
    ("python", "amplitude", "batch"): AMPLITUDE,
    ("python", "mixpanel"): [
        ("$identify", "u1", "a1", {}),
        ("purchase", "u1", None, {"amount": 19.9}),
        ("view_item", None, "d1", {}),
        ("$identify", "u1", None, {}, {"$email": "u1@shop.example", "plan": "pro"}),
        ("$identify", "u1", None, {}, {"first": "x"}),
        ("$identify", "u1", None, {}, ("add", {"orders": 1})),
        ("$identify", "u1", None, {}, ("append", {"tags": "a"})),
        ("$identify", "u1", None, {}, ("unset", {"plan": None})),
        ("$identify", "u2", None, {}, ("clear", {})),
        ("refused", GROUP),
        ("share", "u1", None, {}),
        ("sign_up", "u1", None, {}),
        ("$identify", "u1", "a9", {}),
    ],
    ("node", "segment"): SEGMENT,
    ("node", "rudderstack"): SEGMENT[:3],
    ("node", "posthog"): [
        ("purchase", "u1", None, {"amount": 19.9}, {"group.company": "org1"}),
        ("$identify", "u1", None, {}, {"plan": "pro"}),
        ("$identify", "u1", "a1", {}),
        ("refused", GROUP),
    ],
    ("node", "sensors"): [
        ("purchase", None, "u1", {"amount": 19.9}),
        ("$SignUp", "u1", "a1", {}),
        ("$identify", "u1", "u1", {}),
        ("$identify", None, "u1", {}, {"vip": True}),
        ("refused", "item_set: things are not kept: import them as content"),
    ],
    ("node", "snowplow"): [
        ("purchase", "u1", None, {"amount": 19.9}),
        ("add_to_cart", "u1", None, {"category": "shop", "action": "add_to_cart", "value": 2.5}),
        ("page_view", "u1", None, {}),
    ],
    ("node", "mixpanel"): [
        ("purchase", "u1", None, {"amount": 19.9}),
        ("share", "u1", None, {}),
        ("$identify", "u1", None, {}, {"plan": "pro"}),
        ("$identify", "u1", "a1", {}),
    ],
    ("node", "amplitude"): [
        ("purchase", "u1", "d1", {"amount": 19.9}),
        ("$identify", "u1", "d1", {}, {"plan": "pro"}),
    ],
}


@pytest.mark.parametrize("call", SERVERS, ids=" ".join)
def test_a_servers_library_tells_each_call_once(call: tuple[str, ...]) -> None:
    with Front() as front:
        told = send(front, *call)
    assert sorted(told, key=repr) == sorted(SERVERS[call], key=repr)
    assert front.unknown == []


@pytest.mark.parametrize(
    "call", [("python", "segment"), ("python", "posthog"), ("python", "amplitude"), ("node", "segment")], ids=" ".join
)
def test_what_a_library_sends_again_after_a_503_is_told_once(call: tuple[str, ...]) -> None:
    with Front(failing=1) as front:
        told = send(front, *call)
    assert front.failing == 0
    assert sorted(told, key=repr) == sorted(SERVERS[call], key=repr)


BROWSERS: dict[str, list[Brief]] = {
    "segment": [
        ("page", None, "random", {"name": "home"}),
        ("view_item", None, "random", {"item_id": "i7"}),
        ("$identify", "u1", "random", {}, {"plan": "pro"}),
        ("purchase", "u1", "random", {"amount": 19.9}),
        ("$identify", "u1", "random", {}, {"group": "org1", "group.n": 2}),
        # Its alias of u1 to u2 says u1 twice.
        ("$identify", "u1", "random", {}),
    ],
    "rudderstack": [
        ("page", None, "random", {"name": "home"}),
        ("view_item", None, "random", {"item_id": "i7"}),
        ("$identify", "u1", "random", {}, {"plan": "pro"}),
        ("purchase", "u1", "random", {"amount": 19.9}),
        ("$identify", "u1", "random", {}, {"group": "org1", "group.n": 2}),
        ("$identify", "u2", "random", {}),
    ],
    "posthog": [
        ("$pageview", "u1", "random", {}, {"group.company": "org1"}),
        ("$identify", "u1", "random", {}, {"plan": "pro"}, {"first": "x"}),
        ("view_item", None, "random", {"item_id": "i7"}),
        ("purchase", "u1", "random", {"amount": 19.9}),
        ("$identify", "u1", "random", {}, {"group.company": "org1", "group.company.n": 2}),
        ("$identify", "u2", "u1", {}, {"group.company": "org1"}),
        ("$identify", "u1", "random", {}, {"vip": True, "group.company": "org1"}),
        ("$pageleave", "u1", "random", {}, {"group.company": "org1"}),
    ],
    "sensors": [
        ("$pageview", None, "random", {}),
        ("$identify", None, "random", {}),
        ("view_item", None, "random", {"item_id": "i7", "price": 1.5}),
        ("$SignUp", "u1", "random", {}),
        ("purchase", "u1", "random", {"amount": 19.9}),
        ("$identify", "u1", "random", {}, {"vip": True}),
        ("$identify", "u1", "random", {}, ("add", {"orders": 1})),
        ("$identify", "u1", "random", {}, {"first": "x"}),
        ("$WebStay", "u1", "random", {}),
    ],
    "snowplow": [
        ("page_view", None, "random", {}),
        ("view_item", None, "random", {"category": "shop", "action": "view_item", "value": 2.5}),
        ("purchase", "u1", "random", {"amount": 19.9}),
    ],
    # Its events wait to be sent, and then all have the user that is known by then.
    "amplitude": [
        ("view_item", "u1", "random", {"item_id": "i7"}),
        ("$identify", "u1", "random", {}, {"plan": "pro"}),
        ("purchase", "u1", "random", {"amount": 19.9}),
    ],
    "mixpanel": [
        ("view_item", None, "random", {"item_id": "i7"}),
        ("$identify", "u1", "random", {}),
        ("$identify", "u2", "u1", {}),
        ("$identify", "u2", "u1", {}),
        ("purchase", "u1", "random", {"amount": 19.9}),
        ("$identify", "u1", "random", {}),
        ("$identify", "u1", "random", {}, {"plan": "pro"}),
    ],
}


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-blink-features=AutomationControlled",
        f"--user-agent={AGENT}",
    ):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or ""
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver") or ""))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chrome: webdriver.Chrome) -> webdriver.Chrome:
    """A browser that knows nobody: cookies of one port are sent to all others, and libraries find their user there."""
    chrome.execute_cdp_cmd("Network.clearBrowserCookies", {})
    return chrome


@pytest.mark.parametrize("script", BROWSERS)
def test_a_browsers_library_tells_each_call_once(browser: webdriver.Chrome, script: str) -> None:
    with Front(BUILT / "browser") as front:
        browser.get(f"{front.url}/{script}.html")
        WebDriverWait(browser, 30).until(lambda driver: driver.execute_script("return window.done === true"))
        browser.get("about:blank")
        told = distinct(front)
        WebDriverWait(browser, 10).until(lambda _: len(distinct(front)) >= len(BROWSERS[script]))
        told = distinct(front)
    device = next(
        one.fields["anonymous_id"] for one in told if isinstance(one, Incoming) and one.fields.get("anonymous_id")
    )
    assert sorted((brief(item, device) for item in told), key=repr) == sorted(BROWSERS[script], key=repr)
    # PostHog's asks for the scripts of its surveys, although it is told that there are none.
    assert [asked for asked in front.unknown if "surveys.js" not in asked] == []


PLAN = """
product: SDKs
unknown_events: keep
lateness: 3650d
dedupe: 30d
bots: keep
collect: {}
events: {purchase: {value: amount, properties: {amount: number!}}}
"""


@pytest.fixture
def door(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Door]:
    """The real front door, as a process, on a broker."""
    request.getfixturevalue("needs_embedded")
    with door_for_sdks(tmp_path, PLAN) as made:
        yield made


def events_of(told: list[Brief]) -> list[Brief]:
    """Of what was told what is an event, without the attributes."""
    return sorted((one[:4] for one in told if one[0] not in ("$identify", "refused")), key=repr)


@pytest.mark.parametrize("script", BROWSERS)
def test_through_the_real_front_door_each_event_of_a_page_counts_once(
    door: Door, browser: webdriver.Chrome, script: str
) -> None:
    with Front(BUILT / "browser", collect=f"http://127.0.0.1:{door.port}") as pages:
        browser.get(f"{pages.url}/{script}.html")
        WebDriverWait(browser, 30).until(lambda driver: driver.execute_script("return window.done === true"))
        browser.get("about:blank")
        expected = events_of(BROWSERS[script])
        WebDriverWait(browser, 10).until(lambda _: len(door.accepted()) >= len(expected))
    found = door.accepted()
    device = next(fields["anonymous_id"] for fields in found)
    assert sorted((brief(Incoming(fields), device) for fields in found), key=repr) == expected
    assert pages.told == []
