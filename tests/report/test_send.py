"""Telling receivers of the plan that a report is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.errors import DependencyError, UserError
from pipeline.report.send import receiver_of, send
from schemas.plan import Plan

LINES = ["Shop: Saturday", "1,000 users.", "▼ checkout → pay fell."]


@pytest.fixture
async def taken() -> AsyncIterator[tuple[str, list[Any]]]:
    """A server as a receiver runs one: its address and what was posted to it; /refuse answers 500."""
    posted: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.json_response({"code": 0, "errcode": 0}, status=500 if request.path == "/refuse" else 200)

    app = web.Application()
    app.router.add_post("/{name}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", posted
    await runner.cleanup()


def plan(**receivers: Any) -> Plan:
    return Plan.model_validate({"product": "Shop", "events": {"a": None}, "alerting": {"receivers": receivers}})


async def test_each_kind_is_told_in_its_own_form(taken: tuple[str, list[Any]], tmp_path: Path) -> None:
    url, posted = taken
    for name in ("slack", "feishu"):
        (tmp_path / name).write_text(f"{url}/{name}\n", "utf-8")
    found = plan(
        hook={"webhook": {"url": f"{url}/hook"}},
        slack={"slack": {"url_file": str(tmp_path / "slack"), "channel": "#ops"}},
        robot={"feishu": {"url_file": str(tmp_path / "feishu")}},
    )
    await send(found, ["hook", "slack", "robot"], LINES, Path("r.pdf"), "en")
    assert posted == [
        {"title": "Shop: Saturday", "lines": LINES[1:], "file": "r.pdf", "product": "Shop"},
        {"channel": "#ops", "text": "*Shop: Saturday*\n1,000 users.\n▼ checkout → pay fell."},
        {"msg_type": "post", "content": {"post": {"en_us": {"title": "Shop: Saturday", "content": [
            [{"tag": "text", "text": "1,000 users."}], [{"tag": "text", "text": "▼ checkout → pay fell."}]]}}}},
    ]  # fmt: skip


async def test_who_was_not_told_is_named_and_the_others_are(taken: tuple[str, list[Any]]) -> None:
    url, posted = taken
    found = plan(
        bad={"webhook": {"url": f"{url}/refuse"}},
        away={"webhook": {"url": "http://127.0.0.1:9/x"}},
        good={"webhook": {"url": f"{url}/good"}},
    )
    with pytest.raises(DependencyError, match=r"bad \(answers 500\), away \(ClientConnectorError\)"):
        await send(found, ["bad", "away", "good"], LINES, Path("r.html"), "en")
    assert len(posted) == 2


def test_a_receiver_that_takes_no_reports_is_refused_before_anything_is_made() -> None:
    found = plan(app={"wecom": {"corp_id": "c", "agent_id": "1", "secret_file": "s"}})
    with pytest.raises(UserError, match="reports can't be sent to wecom"):
        receiver_of(found, "app")
    with pytest.raises(UserError, match="has no such receiver"):
        receiver_of(found, "ops")
