"""The bridge between Alertmanager and robots, with robots that answer like the real ones."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web

from pipeline.alerts.bridge import Bridge
from pipeline.alerts.robots import dingtalk_sign, feishu_sign
from pipeline.settings import Settings
from schemas.plan_io import parse_plan

NOW = 1_790_000_000.0
PLAN = """
product: Shop
events: {pay: }
alerting:
  language: zh
  receivers:
    fei: {feishu: {url_file: FOLDER/fei, secret_file: FOLDER/key}}
    ding: {dingtalk: {url_file: FOLDER/ding, secret_file: FOLDER/key}}
    paper: {print: true}
    away: {feishu: {url_file: FOLDER/nowhere}}
    hook: {webhook: {url: "http://127.0.0.1:1"}}
"""
FIRING = {
    "status": "firing",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "x", "severity": "warning"},
         "annotations": {"title": "没有订单", "summary": "10m 内没有"}, "startsAt": "2026-11-22T06:00:30Z"}
    ],
}  # fmt: skip


class Robots:
    """Answers as Feishu and DingTalk do: 200 with a code, after a look at the signature."""

    def __init__(self) -> None:
        self.took: list[dict[str, Any]] = []

    async def feishu(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("sign") != feishu_sign(body["timestamp"], "a key") or body["timestamp"] != str(int(NOW)):
            return web.json_response({"code": 19021, "msg": "sign match fail or timestamp is not within one hour"})
        self.took.append(body)
        return web.json_response({"code": 0, "msg": "success", "data": {}})

    async def dingtalk(self, request: web.Request) -> web.Response:
        query = parse_qs(request.query_string)
        assert query["access_token"] == ["t"]
        if query["sign"] != [dingtalk_sign(query["timestamp"][0], "a key")]:
            return web.json_response({"errcode": 310000, "errmsg": "sign not match"})
        self.took.append(await request.json())
        return web.json_response({"errcode": 0, "errmsg": "ok"})


@asynccontextmanager
async def bridged(folder: Path) -> AsyncIterator[tuple[Robots, str]]:
    robots = Robots()
    app = web.Application()
    app.router.add_post("/open-apis/bot/v2/hook/x", robots.feishu)
    app.router.add_post("/robot/send", robots.dingtalk)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (folder / "fei").write_text(f"{url}/open-apis/bot/v2/hook/x\n")
    (folder / "ding").write_text(f"{url}/robot/send?access_token=t\n")
    (folder / "key").write_text("a key\n")
    bridge = Bridge(Settings(), parse_plan(PLAN.replace("FOLDER", str(folder))), "127.0.0.1", 0, lambda: NOW)
    await bridge.start()
    try:
        yield robots, f"http://127.0.0.1:{bridge.port}"
    finally:
        await bridge.stop()
        await runner.cleanup()


async def post(url: str, data: Any) -> tuple[int, str]:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=io.BytesIO(body), headers=headers) as response,
    ):
        return response.status, await response.text()


async def test_robots_take_signed_messages(tmp_path: Path) -> None:
    async with bridged(tmp_path) as (robots, url):
        assert await post(f"{url}/fei", FIRING) == (200, '{"told": "fei"}')
        assert await post(f"{url}/ding", FIRING) == (200, '{"told": "ding"}')
    feishu, dingtalk = robots.took
    assert feishu["content"]["post"]["zh_cn"] == {
        "title": "告警（警告）：没有订单",
        "content": [
            [{"tag": "text", "text": "10m 内没有"}], [{"tag": "text", "text": "开始于 2026-11-22 06:00:30 UTC"}]
        ],
    }  # fmt: skip
    assert dingtalk["markdown"]["text"] == "#### 告警（警告）：没有订单\n\n10m 内没有\n\n开始于 2026-11-22 06:00:30 UTC"


async def test_what_a_robot_refuses_is_tried_again_by_alertmanager(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridged(tmp_path) as (robots, url):
        (tmp_path / "key").write_text("another key\n")
        status, text = await post(f"{url}/fei", FIRING)
        assert (status, text.split(":")[0]) == (502, "the robot of fei refuses")
        # Secrets are read anew: mending the file is enough.
        (tmp_path / "key").write_text("a key")
        assert (await post(f"{url}/fei", FIRING))[0] == 200
        (tmp_path / "ding").write_text("http://127.0.0.1:1/robot/send?access_token=a-secret")
        status, text = await post(f"{url}/ding", FIRING)
        assert (status, text) == (502, "the robot of ding can't be reached (ClientConnectorError)\n")
        status, text = await post(f"{url}/away", FIRING)
        assert status == 502
        assert text == f"alerting.receivers.away: {tmp_path}/nowhere can't be read (No such file or directory)\n"
    assert len(robots.took) == 1
    assert "a-secret" not in caplog.text


async def test_what_is_not_from_alertmanager_is_refused(tmp_path: Path) -> None:
    async with bridged(tmp_path) as (robots, url):
        for name in ("nobody", "hook"):  # the second is served by Alertmanager itself
            assert (await post(f"{url}/{name}", FIRING))[0] == 404
        for body in (b"", b"{}", b"[]", b'{"status": "firing", "alerts": []}', b"\xff"):
            assert (await post(f"{url}/fei", body))[0] == 400
        assert (await post(f"{url}/fei", b" " * (1 << 20) + b"{}"))[0] == 413
    assert robots.took == []


async def test_messages_can_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with bridged(tmp_path) as (_, url):
        assert (await post(f"{url}/paper", FIRING))[0] == 200
    assert capsys.readouterr().out == "告警（警告）：没有订单\n10m 内没有\n开始于 2026-11-22 06:00:30 UTC\n\n"


async def test_a_page_in_a_browser_tells_nobody_anything(tmp_path: Path) -> None:
    async with bridged(tmp_path) as (robots, url), aiohttp.ClientSession() as session:
        for headers, status in (
            ({"Content-Type": "text/plain"}, 415),
            ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
            ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
            ({"Content-Type": "application/json", "Origin": "http://evil.example"}, 403),
            ({"Content-Type": "application/json", "Sec-Fetch-Site": "same-site"}, 403),
            ({"Content-Type": "application/json", "Host": "evil.example"}, 403),
            ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ):
            async with session.post(f"{url}/fei", data=json.dumps(FIRING).encode(), headers=headers) as answer:
                assert answer.status == status, headers
    assert len(robots.took) == 1
