"""What `streamgauge verify` prints."""

from __future__ import annotations

from dataclasses import asdict

from pipeline.queries.comparison import Verification
from pipeline.terminal import cell, console, print_json, say


def print_verification(result: Verification, as_json: bool) -> int:
    """Print what `verify` found; the exit code."""
    if as_json:
        print_json(asdict(result))
        return 0 if result.ok else 1
    out = console()
    for difference in result.differences[:50]:
        out.print(cell(difference, "red"))
    more = len(result.differences) - 50
    if more > 0:
        out.print(cell(f"… and {more} more", "red"))
    for sentence in result.in_one_plan:
        say(f"not compared: {sentence}")
    say(result.summary())
    return 0 if result.ok else 1
