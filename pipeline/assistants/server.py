"""The server: Model Context Protocol over standard input and output, as assistants start it.

Nothing but the protocol is ever written to standard output: the transport takes it away from the rest of the process,
and what is logged goes to standard error.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from pipeline import __version__
from pipeline.assistants import tools
from pipeline.assistants.sources import AnswerSources, no_answer
from pipeline.assistants.told import as_text
from pipeline.clickhouse.questions import Store, StoreError
from pipeline.errors import UserError
from pipeline.settings import Settings
from pipeline.terminal import plain
from schemas.plan import Plan

#: Characters of an error: what was given may be as long as it likes.
_MAX_ERROR = 1_000


async def run_server(settings: Settings, plan: Plan) -> None:
    """Serve until standard input ends. It keeps nothing: a signal may end it at once, whatever it waits for."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    store = Store(settings)
    try:
        server = make_server(AnswerSources(plan, settings, store, lambda: time.time_ns() // 1_000_000))
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
    finally:
        await store.close()


def make_server(sources: AnswerSources) -> Server[Any]:
    """The server of an installation."""

    async def list_tools(_: Any, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(one) for one in tools.tools_of(sources)])

    async def call_tool(_: Any, call: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            found = await tools.answer(sources, call.name, call.arguments)
        except UserError as exc:
            return _refused(str(exc))
        except StoreError as exc:
            return _refused(no_answer(exc, sources.settings.clickhouse_url))
        text = as_text(found)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    return Server(
        "streamgauge", version=__version__, title=f"Streamgauge: {sources.plan.product}",
        instructions=tools.INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool,
    )  # fmt: skip


def _tool(one: tools.ToolSpec) -> types.Tool:
    return types.Tool(
        name=one.name, title=one.title, description=one.description, input_schema=one.takes.model_json_schema(),
        annotations=types.ToolAnnotations(
            title=one.title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )  # fmt: skip


def _refused(line: str) -> types.CallToolResult:
    text = as_text({"error": plain(line)[:_MAX_ERROR]})
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
