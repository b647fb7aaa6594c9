"""What docs/assistants.md says, done: each configuration is started as an assistant would, the example is run."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from metrics.world import World

from assistants.asking import ROOT, Assistant
from assistants.test_ten_questions import RECORD
from pipeline.assistants.tools import TOOLS
from pipeline.demo.folder import write_down
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.users import READER

pytestmark = pytest.mark.integration

PAGES = [ROOT / "docs/assistants.md", ROOT / "docs/zh/assistants.md"]
COMMAND = Path(sys.executable).with_name("streamgauge")
WEEK = {"from": "2026-11-15", "to": "2026-11-21"}
#: Where the documents have Streamgauge.
HOME = "/home/ann/streamgauge"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def configurations() -> list[Any]:
    """Of both pages: the one server that each names."""
    found = []
    for page in PAGES:
        for text in blocks(page, "json"):
            document = json.loads(text)
            servers = document.get("mcpServers") or document.get("servers")
            if servers:
                ((name, server),) = servers.items()
                found.append(pytest.param(server, id=f"{page.parent.name}-{name}-{len(found)}"))
    assert len(found) == 6
    return found


@pytest.fixture
def folder(world: World, server: EmbeddedClickHouse, tmp_path: Path) -> Path:
    """What `up` leaves in its folder, and a plan beside it."""
    reader = {"dashboard_clickhouse_user": READER, "dashboard_clickhouse_password": server.users[READER]}
    (tmp_path / "data").mkdir()
    write_down(tmp_path / "data", world.settings.model_copy(update={**reader, "plan": "shop"}), {})
    (tmp_path / "app.yaml").write_text((ROOT / "schemas/plans/shop.yaml").read_text("utf-8"), "utf-8")
    return tmp_path


def here(text: str, folder: Path) -> str:
    return text.replace(f"{HOME}/.venv/bin/streamgauge", str(COMMAND)).replace(HOME, str(folder))


@pytest.mark.parametrize("shown", configurations())
async def test_each_configuration_starts_it(
    shown: dict[str, Any], folder: Path, world: World, server: EmbeddedClickHouse
) -> None:
    assert shown.get("type", "stdio") == "stdio"
    environment = {"PYTHONPATH": str(ROOT), **shown.get("env", {})}
    if "env" in shown:
        # The reader's own ClickHouse is that of the tests here.
        environment |= {
            "PIPELINE_CLICKHOUSE_URL": world.settings.clickhouse_url,
            "PIPELINE_CLICKHOUSE_DATABASE": world.settings.clickhouse_database,
            "PIPELINE_DASHBOARD_CLICKHOUSE_USER": READER,
            "PIPELINE_DASHBOARD_CLICKHOUSE_PASSWORD": server.users[READER],
        }
    command = StdioServerParameters(
        command=here(shown["command"], folder), args=[here(word, folder) for word in shown["args"]], env=environment,
        cwd="/",
    )  # fmt: skip
    async with Client(stdio_client(command)) as client:
        found = await Assistant(client).ask("run_metric", name="active_users_daily", parameters=WEEK)
        assert found["rows"][-1] == {"day": "2026-11-21", "users": 83, "events": 664, "events_per_user": 8.0}


async def test_the_example_prints_what_the_page_shows(folder: Path) -> None:
    (program,), (printed,) = blocks(PAGES[0], "python"), blocks(PAGES[0], "text")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", here(program, folder), stdout=PIPE, stderr=PIPE, cwd="/"
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (out.decode(), err.decode()) == (printed, "")


def test_the_answer_that_is_shown_is_the_recorded_one() -> None:
    (shown,) = [found for text in blocks(PAGES[0], "json") if "metric" in (found := json.loads(text))]
    answer = json.loads(RECORD.read_text("utf-8"))[0]["answer"]
    assert {name: answer[name] for name in shown} == shown
    assert {"title", "grain", "mistakes", "columns", "rows", "notes"} <= answer.keys() - shown.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_table_names_every_tool(page: Path) -> None:
    assert re.findall(r"^\| `(\w+)` \|", page.read_text("utf-8"), re.MULTILINE) == [tool.name for tool in TOOLS]
