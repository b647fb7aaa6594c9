"""A dashboard of a plan whose names mean something to addresses and to HTML: pages stand, and links mean the names."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import aiohttp
import yaml

from pipeline.dashboard.pages import PAGES, PARTS
from pipeline.dashboard.server import Dashboard
from pipeline.settings import Settings
from schemas.plan_io import parse_plan

NAMES = [
    "$pageview", "支付成功", "Sign Up (Google)", "it's", 'say "hi"', "{x:String}", "{{ .Value }}", "%s 100%", "?", "#", "a&b=c",
    "a/b", "<script>alert(1)</script>", "a,b", "a+b", "🛒", "[x]",
]  # fmt: skip
PLAN = parse_plan(
    yaml.safe_dump(
        {
            "product": "Names",
            "registration": NAMES[0],
            "events": {name: {"properties": {name: "string"}} for name in [*NAMES, "last"]},
            "dimensions": ["event", *(f"properties.{name}" for name in NAMES)],
            "funnels": {name: {"steps": [name, "last"], "breakdown": [f"properties.{name}"]} for name in NAMES},
            "meanings": {"activation": NAMES},
        },
        allow_unicode=True,
        sort_keys=False,
    )
)


async def test_pages_and_their_links() -> None:
    settings = Settings(dashboard_port=0, dashboard_workers="http://127.0.0.1:9", clickhouse_url="http://127.0.0.1:9")
    dashboard = Dashboard(settings, PLAN)
    await dashboard.start()
    url = f"http://127.0.0.1:{dashboard.port}"
    try:
        async with aiohttp.ClientSession() as web:
            linked = set()
            for path in [*(page.path for page in PAGES), *(f"/part/{part}" for part in PARTS)]:
                async with web.get(url + path) as answer:
                    assert answer.status == 200, path
                    text = await answer.text()
                assert "<script>alert" not in text, path
                for link in map(unescape, re.findall(r'href="([^"]*)"', text)):
                    linked |= set(parse_qs(urlsplit(link).query).get("funnel", []))
            assert linked == set(NAMES)
            for name in NAMES:
                async with web.get(f"{url}/funnels", params={"funnel": name}) as answer:
                    text = unescape(await answer.text())
                assert answer.status == 200
                assert f'<option value="{name}" selected' in text, name
            async with web.get(f"{url}/explore", params={"metric": "funnel"}) as answer:
                page = unescape(await answer.text())
            assert 'name="steps" value="$pageview, last"' in page
    finally:
        await dashboard.stop()
