"""What `streamgauge verify` prints, and a demo that ends."""

from __future__ import annotations

from dataclasses import asdict

from pipeline.queries.comparison import Verification
from pipeline.render.language import Language
from pipeline.render.verification import summary
from pipeline.terminal import cell, console, print_json, say


def print_verification(t: Language, result: Verification, as_json: bool) -> int:
    """Print what `verify` found; the exit code."""
    if as_json:
        print_json(asdict(result))
        return 0 if result.ok else 1
    out = console()
    for one in result.differences[:50]:
        out.print(cell(t.said(one.said), "red"))
    more = len(result.differences) - 50
    if more > 0:
        out.print(cell(t("… and {more} more", more=more), "red"))
    for sentence in result.in_one_plan:
        say(t("not compared: {why}", why=t.said(sentence)))
    say(summary(t, result))
    return 0 if result.ok else 1
