"""The command as an assistant starts it: what it writes where, how it ends, and what it needs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from metrics.world import World
from typer.testing import CliRunner

from assistants.asking import ROOT, assistant, variables
from pipeline.cli.main import app
from pipeline.demo.folder import write_down
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.users import READER
from pipeline.errors import UserError

pytestmark = pytest.mark.integration

HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
WEEK = {"from": "2026-11-15", "to": "2026-11-21"}


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


@asynccontextmanager
async def started(
    environment: dict[str, str], *arguments: str, logged: IO[bytes] | None = None
) -> AsyncIterator[Process]:
    """The bare process; `logged` is where it logs to, for a pipe that nobody reads would hold it up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "pipeline.cli", "mcp", *arguments, stdin=PIPE, stdout=PIPE, stderr=logged or PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def say(process: Process, *messages: dict[str, Any] | bytes) -> None:
    assert process.stdin is not None
    for message in messages:
        process.stdin.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
    await process.stdin.drain()


async def hear(process: Process) -> dict[str, Any]:
    """The next message on standard output: a line that is something else would be no JSON."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    return found


async def test_standard_output_has_nothing_but_the_protocol_and_the_end_of_input_ends_it(
    world: World, server: EmbeddedClickHouse, tmp_path: Path
) -> None:
    garbage = [b"\n", b"{\n", b"\xff\xfe\n", b'"' + b"x" * 100_000 + b'"\n', b"[" * 5_000 + b"\n"]
    told = tmp_path / "log"
    with told.open("wb") as logged:
        await _talk(variables(world, server, PIPELINE_LOG_LEVEL="debug"), garbage, logged)
    assert "Traceback" not in told.read_text("utf-8", "replace")


async def _talk(environment: dict[str, str], garbage: list[bytes], logged: IO[bytes]) -> None:
    async with started(environment, logged=logged) as process:
        await say(process, *garbage, HELLO)
        answer = await hear(process)
        assert answer["result"]["serverInfo"]["name"] == "streamgauge"
        assert "Find it with list_metrics" in answer["result"]["instructions"]
        await say(process, READY, *garbage, call(2, "run_metric", name="active_users_daily", parameters=WEEK))
        answer = await hear(process)
        assert (answer["id"], answer["result"]["isError"]) == (2, False)
        await say(process, call(3, "run_metric", name="nothing"))
        assert (await hear(process))["result"]["isError"] is True
        out, _ = await asyncio.wait_for(process.communicate(b""), 10)
        assert (out, process.returncode) == (b"", 0)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_at_once(world: World, server: EmbeddedClickHouse, how: signal.Signals) -> None:
    async with started(variables(world, server)) as process:
        await say(process, HELLO)
        await hear(process)
        process.send_signal(how)
        assert await asyncio.wait_for(process.wait(), 10) == -how


async def test_while_clickhouse_is_away_the_catalogue_can_be_read() -> None:
    away = {"PIPELINE_CLICKHOUSE_URL": "http://127.0.0.1:9", "PIPELINE_PLAN": "shop", "PYTHONPATH": str(ROOT)}
    async with assistant(away) as asking:
        assert len((await asking.ask("list_metrics"))["metrics"]) > 50
        found = await asking.ask("describe_metric", name="retention")
        assert found["title"]["zh"] == "同期群留存（经典 / 滚动）"
        assert [parameter["name"] for parameter in found["parameters"]] == ["from", "to", "period"]
        assert await asking.refused("run_metric", {"name": "retention"}) == (
            "ClickHouse does not answer at http://127.0.0.1:9: is it running, and is PIPELINE_CLICKHOUSE_URL right?"
        )


async def test_the_plan_is_told_with_the_product_s_own_words() -> None:
    async with assistant({"PIPELINE_PLAN": "shop", "PYTHONPATH": str(ROOT)}) as asking:
        plan = await asking.ask("describe_plan")
        assert (plan["product"], plan["time_zone"], plan["registration"]) == ("Demo shop", "Asia/Shanghai", "sign_up")
        assert plan["events"]["purchase"]["description"] == "An order was paid."
        assert plan["events"]["refund"]["properties"]["amount"]["description"] == "Negative."
        assert plan["funnels"]["checkout"]["window"] == "1h"
        assert [step["event"] for step in plan["funnels"]["purchase"]["steps"]] == [
            "add_to_cart",
            "checkout",
            "purchase",
        ]
        assert plan["meanings"]["payment"][0]["event"] == "purchase"
        assert plan["meanings"]["thresholds"]["session_gap"] == "30m"
        assert "alerting" not in plan
        only = await asking.ask("describe_plan", part="segments")
        assert "segments" in only
        assert "events" not in only


async def test_another_plan_than_that_of_the_figures_is_a_mistake_that_is_said(
    world: World, server: EmbeddedClickHouse
) -> None:
    async with assistant(variables(world, server, PIPELINE_PLAN="ecom")) as asking:
        line = await asking.refused("run_metric", {"name": "active_users_daily", "parameters": WEEK})
        assert line.startswith(f"the metrics in {world.settings.clickhouse_database} at ")
        assert "are those of the plan 'Demo shop', not of " in line
        assert await asking.refused("ask_question", {"kind": "trend"}) == line


async def test_settings_of_an_up_are_found_by_its_folder_and_it_asks_as_the_reader(
    world: World, server: EmbeddedClickHouse, tmp_path: Path
) -> None:
    reader = {"dashboard_clickhouse_user": READER, "dashboard_clickhouse_password": server.users[READER]}
    write_down(tmp_path, world.settings.model_copy(update={**reader, "plan": "shop"}), {})
    async with assistant({"PYTHONPATH": str(ROOT)}, "--data", str(tmp_path)) as asking:
        found = await asking.ask("run_metric", name="active_users_daily", parameters=WEEK)
        assert len(found["rows"]) == 7
    # The writing user's password was there, and wasn't used: with a wrong one of the reader nothing is answered.
    write_down(
        tmp_path, world.settings.model_copy(update={**reader, "dashboard_clickhouse_password": "x", "plan": "shop"}), {}
    )
    async with assistant({"PYTHONPATH": str(ROOT)}, "--data", str(tmp_path)) as asking:
        line = await asking.refused("run_metric", {"name": "active_users_daily", "parameters": WEEK})
        assert line.startswith("ClickHouse refuses it: are PIPELINE_DASHBOARD_CLICKHOUSE_USER and _PASSWORD right")


@pytest.mark.parametrize(
    ("environment", "arguments", "line"),
    [
        ({}, ["--data", "/nonexistent"], "streamgauge: /nonexistent has no settings.toml: it is written when"),
        (
            {"PIPELINE_PLAN": "nowhere.yaml"},
            [],
            "streamgauge: there is no plan nowhere.yaml: give a YAML file, or one of",
        ),
        (
            {"PIPELINE_CLICKHOUSE_URL": "x"},
            [],
            "streamgauge: PIPELINE_CLICKHOUSE_URL: write it like http://127.0.0.1:8123",
        ),
        ({"PIPELINE_PEOPLE": "0"}, [], "streamgauge: PIPELINE_PEOPLE is not a setting"),
    ],
)
async def test_a_mistake_in_the_settings_is_one_line_on_standard_error(
    environment: dict[str, str], arguments: list[str], line: str
) -> None:
    async with started(environment, *arguments) as process:
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert (out, process.returncode) == (b"", 2)
        assert err.decode().startswith(line)
        assert err.count(b"\n") == 1


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.cli.assistants.find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["mcp"])
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == "the extra mcp is not installed: pip install 'streamgauge[mcp]'"
