"""What several commands have in common: their options, and how their work is run."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.terminal import PlainFormatter

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML); else PIPELINE_* variables.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PlanOption = Annotated[str | None, typer.Option("--plan", help="A plan file, or the name of a ready one (shop).")]
FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fault", help="What goes wrong: 'step=purchase platform=android from=14:00 factor=0.2'. Repeatable."
    ),
]


def run(work: Coroutine[Any, Any, Any], level: int = logging.INFO) -> Any:
    """Run the work of a command, with what it logs on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # These two say at INFO what nobody needs at every fetch and rebalance.
    for name in ("aiokafka", "faust.transport.drivers.aiokafka"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    return asyncio.run(work)
