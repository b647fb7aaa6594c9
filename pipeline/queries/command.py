"""What `streamgauge verify` prints."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console

from pipeline.queries.verify import Verification


def print_verification(result: Verification, as_json: bool) -> int:
    """Print what `verify` found; the exit code."""
    if as_json:
        print(json.dumps(asdict(result), default=str))
        return 0 if result.ok else 1
    console = Console()
    for difference in result.differences[:50]:
        console.print(f"[red]{difference}[/red]")
    more = len(result.differences) - 50
    if more > 0:
        console.print(f"[red]… and {more} more[/red]")
    for sentence in result.in_one_plan:
        console.print(f"not compared: {sentence}", markup=False, soft_wrap=True)
    console.print(result.summary(), soft_wrap=True)
    return 0 if result.ok else 1
