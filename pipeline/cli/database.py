"""`streamgauge migrate` and `verify`: the schema, and whether live figures and SQL agree."""

from __future__ import annotations

import logging

import typer

from pipeline.cli.language import Lang, speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.settings import load_settings, plan_of
from pipeline.terminal import print_json, say

app = typer.Typer()


@app.command()
def migrate(plan: PlanOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Bring ClickHouse to the current schema and metrics. Safe to run twice, and by two at once."""
    from pipeline.clickhouse.migrate import migrate as run_migrate
    from pipeline.metrics import install

    t = speak()
    settings = load_settings(config, plan=plan)
    chosen = plan_of(settings)

    async def bring() -> tuple[list[str], list[str]]:
        return await run_migrate(settings), await install(settings, chosen)

    applied, views = run(bring(), logging.WARNING)
    if as_json:
        print_json({"applied": applied, "views": views})
    elif applied or views:
        names = ", ".join(applied) or t("none")
        say(t("{n} migrations applied: {names}; {views} views of the catalogue", n=len(applied), names=names,
              views=len(views)))  # fmt: skip
    else:
        say(t("nothing to do"))


@app.command()
def verify(lang: Lang = None, plan: PlanOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Compare the live windows with what ClickHouse computes from the raw events; exit 1 if they differ."""
    from pipeline.demo.verified import print_verification
    from pipeline.queries.verify import verify as run_verify

    t = speak(lang)
    settings = load_settings(config, plan=plan)
    result = run(run_verify(settings, plan_of(settings)), logging.WARNING)
    raise typer.Exit(print_verification(t, result, as_json))
