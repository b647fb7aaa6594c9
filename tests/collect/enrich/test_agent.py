"""What a user agent says."""

from __future__ import annotations

import pytest
from cost import cpu_seconds
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.enrich.agent import agent

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{IPHONE} Version/18.1 Mobile/15E148 Safari/604.1",
            {"device": "iPhone", "os": "iOS", "browser": "Mobile Safari"},
        ),
        (f"{WINDOWS} Chrome/150.0.0.0 Safari/537.36", {"device": "Desktop", "os": "Windows", "browser": "Chrome"}),
        (
            f"{ANDROID} Chrome/150.0.0.0 Mobile Safari/537.36",
            {"device": "Pixel 8", "os": "Android", "browser": "Chrome Mobile"},
        ),
        (
            f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.50",
            {"device": "iPhone", "os": "iOS", "browser": "WeChat"},
        ),
        (
            f"{ANDROID} Version/4.0 Chrome/116.0 Mobile Safari/537.36 aweme_26.1.0",
            {"device": "Pixel 8", "os": "Android", "browser": "Douyin"},
        ),
        # What apps and servers send with is no browser, and no crawler either.
        ("okhttp/4.12.0", {}),
        ("Shop/4.2 CFNetwork/1568.100.1 Darwin/24.0.0", {"device": "iOS-Device", "os": "iOS"}),
        ("", {}),
        ("   ", {}),
        ("something that nobody knows", {}),
    ],
)
def test_a_persons_device_system_and_browser(text: str, expected: dict[str, str]) -> None:
    assert agent(text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
        ("Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "Baiduspider"),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.1; +https://openai.com/gptbot)",
            "GPTBot",
        ),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "facebookexternalhit"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/150.0 Safari/537.36", "HeadlessChrome"),
    ],
)
def test_a_program_that_crawls_is_named(text: str, name: str) -> None:
    assert agent(text) == {"bot": name}


@pytest.mark.parametrize("text", ["okhttp/4.9", "python-requests/2.34", "Go-http-client/1.1", "axios/1.7", "curl/8.5"])
def test_the_library_that_an_honest_sdk_sends_with_makes_no_crawler(text: str) -> None:
    assert "bot" not in agent(text)


@given(st.text())
def test_anything_has_short_texts_or_none(text: str) -> None:
    assert all(0 < len(value) <= 256 for value in agent(text).values())


@pytest.mark.parametrize("text", ["(" * 100_000, "Mozilla/5.0 " + "a " * 50_000, "/" * 100_000, "bot" * 100_000])
def test_a_long_one_takes_no_long_time(text: str) -> None:
    agent("x")
    assert cpu_seconds(lambda: agent(text)) < 1
