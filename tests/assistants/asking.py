"""An assistant: the library's own client, and the server as a process that it has started."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters, stdio_client
from metrics.world import World

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.users import READER

ROOT = Path(__file__).parents[2]


def variables(world: World, server: EmbeddedClickHouse, **more: str) -> dict[str, str]:
    """The settings of an installation whose assistants ask as the user that only reads. No password that may write."""
    return {
        "PIPELINE_CLICKHOUSE_URL": world.settings.clickhouse_url,
        "PIPELINE_CLICKHOUSE_DATABASE": world.settings.clickhouse_database,
        "PIPELINE_DASHBOARD_CLICKHOUSE_USER": READER,
        "PIPELINE_DASHBOARD_CLICKHOUSE_PASSWORD": server.users[READER],
        "PIPELINE_PLAN": "shop", "PYTHONPATH": str(ROOT), **more,
    }  # fmt: skip


class Assistant:
    """Calls tools, and reads their answers."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The answer of a tool that has one."""
        result = await self.client.call_tool(tool, arguments)
        found: dict[str, Any] = json.loads(result.content[0].text)  # type: ignore[union-attr]
        assert not result.is_error, found
        return found

    async def refused(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """The line with which a tool refuses."""
        result = await self.client.call_tool(tool, dict(arguments))
        assert result.is_error, result.content
        found = json.loads(result.content[0].text)  # type: ignore[union-attr]
        assert list(found) == ["error"]
        line: str = found["error"]
        assert "\n" not in line
        return line


@asynccontextmanager
async def assistant(environment: Mapping[str, str], *arguments: str) -> AsyncIterator[Assistant]:
    """One that has started the command; what the command logs must be nothing."""
    command = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "pipeline.cli", "mcp", *arguments], env=dict(environment)
    )
    with tempfile.TemporaryFile("w+", encoding="utf-8") as logged:
        async with Client(stdio_client(command, errlog=logged)) as client:
            yield Assistant(client)
        logged.seek(0)
        assert logged.read() == ""
