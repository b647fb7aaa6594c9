"""`streamgauge rejected`: what was no event of the plan."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.settings import load_settings, plan_of
from pipeline.terminal import print_json, say

app = typer.Typer(help="Rejected records: list them, send them again.", no_args_is_help=True)


@app.command("list")
def rejected_list(
    samples: Annotated[int, typer.Option(min=0, max=100, help="Records to show of each reason.")] = 2,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Why records were rejected, how many, and some of them."""
    from pipeline.archiver.rejected import rejected_reasons

    reasons = run(rejected_reasons(load_settings(config), samples), logging.WARNING)
    if as_json:
        print_json([vars(reason) for reason in reasons])
        return
    t = speak()
    for found in reasons:
        said = t("({first} to {last}), such as: {what}", first=found.first, last=found.last, what=t.read(found.detail))
        say(f"{found.count:>8,}  {found.reason}  {said}")
        for sample in found.samples:
            say(f"{'':10}{sample!r}")
    if not reasons:
        say(t("no record was rejected"))


@app.command("redrive")
def rejected_redrive(
    reason: Annotated[str | None, typer.Option(help="Only records rejected for this reason.")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send rejected records again that the current plan accepts; each once."""
    from pipeline.archiver.rejected import redrive

    settings = load_settings(config, plan=plan)
    t = speak()
    done = run(redrive(settings, plan_of(settings), reason, t), logging.WARNING)
    if as_json:
        print_json(vars(done))
    else:
        n, left = f"{done.sent:,}", f"{done.still_rejected:,}"
        say(t("{n} sent again, {left} are still not events of the plan", n=n, left=left))
