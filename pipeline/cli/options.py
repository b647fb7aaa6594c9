"""What several commands have in common: their options, and how their work is run."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline.settings import Settings
from pipeline.terminal import JsonFormatter, PlainFormatter

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML); else PIPELINE_* variables.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PlanOption = Annotated[str | None, typer.Option("--plan", help="A plan file, or the name of a ready one (shop).")]
LogFormat = Annotated[
    Literal["text", "json"] | None, typer.Option("--log-format", help="json: what is logged, one object a line.")
]
FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fault", help="What goes wrong: 'step=purchase platform=android from=14:00 factor=0.2'. Repeatable."
    ),
]


def run(work: Coroutine[Any, Any, Any], level: int = logging.INFO, settings: Settings | None = None) -> Any:
    """Run the work of a command, with what it logs on standard error: what `settings` say of that comes first."""
    handler = logging.StreamHandler(sys.stderr)
    if settings is not None and settings.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    if settings is not None and settings.log_level is not None:
        level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=level, handlers=[handler])
    # These two say at INFO what nobody needs at every fetch and rebalance.
    for name in ("aiokafka", "faust.transport.drivers.aiokafka"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    return asyncio.run(work)


def logs_json() -> bool:
    """Whether what is logged is JSON by now."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)
