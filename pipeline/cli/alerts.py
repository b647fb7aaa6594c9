"""`streamgauge alerts`: the plan's alerts as files, over history, and the bridge to robots."""

from __future__ import annotations

import logging
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.errors import UserError
from pipeline.kept.current import plan_with_kept
from pipeline.settings import load_settings
from pipeline.terminal import print_json, say
from schemas.duration import MINUTE, parse_duration

app = typer.Typer(help="The plan's alerts, for Prometheus and Alertmanager.", no_args_is_help=True)


@app.command()
def render(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder to write the two files into.")],
    plan: PlanOption = None,
    bridge: Annotated[str, typer.Option(help="Where Alertmanager reaches the bridge.")] = "http://127.0.0.1:9096",
    interval: Annotated[str, typer.Option(help="How often Prometheus evaluates the rules.")] = "15s",
    config: Config = None,
) -> None:
    """Write Prometheus rules and an Alertmanager configuration."""
    from pipeline.alerts.check import render as write

    try:
        every = parse_duration(interval)
    except ValueError as exc:
        raise UserError("{place}: {why}", place="--interval", why=exc) from None
    if not 1_000 <= every <= MINUTE:
        raise UserError("--interval: from 1s to 1m")
    for path in write(plan_with_kept(load_settings(config, plan=plan)), folder, bridge, every):
        say(path)


@app.command()
def check(plan: PlanOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Let promtool and amtool judge what the plan's alerts become; exit 1 if they refuse it."""
    from pipeline.alerts.check import check as judge
    from pipeline.alerts.texts import describe

    t = speak()
    found = plan_with_kept(load_settings(config, plan=plan))
    verdicts = list(judge(found))
    if as_json:
        print_json({"alerts": list(found.alerting.alerts), "verdicts": [v._asdict() for v in verdicts]})
    else:
        for name, alert in found.alerting.alerts.items():
            told = t(", ").join(found.alerting.told(alert)) or t("nobody")
            metric, condition = alert.metric.replace("_", " "), describe(alert, t)
            say(t("{name}: {metric} {condition} ({severity}, tells {told})", name=name, metric=metric,
                  condition=condition, severity=alert.severity, told=told))  # fmt: skip
        for verdict in verdicts:
            says = t("fine, says {tool}", tool=verdict.tool) if verdict.ok else t.said(verdict.says)
            say(t.of("said", "{place}: {why}", place=verdict.file, why=says))
    raise typer.Exit(1 if any(verdict.ok is False for verdict in verdicts) else 0)


@app.command()
def bridge(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 9096,
    plan: PlanOption = None,
    config: Config = None,
) -> None:
    """Pass Alertmanager's messages on to Feishu and DingTalk robots, with the segment that explains them."""
    from pipeline.alerts.bridge import run_bridge

    settings = load_settings(config, plan=plan)
    run(run_bridge(settings, plan_with_kept(settings), host, port))


@app.command()
def test(
    since: Annotated[str, typer.Option("--from", help="2026-11-20T08:00, or how long ago: 7d, 12h.")] = "1d",
    until: Annotated[str | None, typer.Option("--to", help="The same; now if not given.")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Replay history from ClickHouse and say when each alert would have fired."""
    from pipeline.alerts.check import require
    from pipeline.alerts.history import moment, replay, without_history
    from pipeline.progress import ProgressLog

    t = speak()
    settings = load_settings(config, plan=plan)
    found = plan_with_kept(settings)
    now = int(time.time() * 1000)
    end = _time(until, now, found.zone, "--to") if until else now // MINUTE * MINUTE
    start = _time(since, now, found.zone, "--from")
    if start >= end:
        raise UserError("--from must be before --to")
    require("promtool")
    first, last = moment(start), moment(end)
    counting = t("counting the events of {first} to {last}, and as far back as the alerts look", first=first, last=last)
    say(counting, file=sys.stderr, flush=True)
    fired = run(replay(settings, found, start, end, ProgressLog(t("counted"), t=t)), logging.WARNING)
    if as_json:
        print_json({"from": start, "to": end, "fired": [f._asdict() for f in fired]})
        return
    quiet = [n for n in found.alerting.alerts if n not in {f.alert for f in fired} | set(without_history(found))]
    for one in fired:
        over = moment(one.end) if one.end is not None else t("the end, still firing")
        name = f"{one.alert} ({one.segment})" if one.segment else one.alert
        line = t("{alert} from {start} to {end}", alert=name, start=moment(one.start), end=over)
        if one.lowest is not None:
            line += t(": {lowest} to {highest}", lowest=f"{one.lowest:.4g}", highest=f"{one.highest:.4g}")
        say(line)
    if quiet:
        say(t("would not have fired: {names}", names=t(", ").join(quiet)))
    if without_history(found):
        say(t("have no history: {names}", names=t(", ").join(without_history(found))))


def _time(text: str, now: int, zone: ZoneInfo, option: str) -> int:
    """A time in ms, whole minutes: of the plan's zone if it names none."""
    try:
        return (now - parse_duration(text)) // MINUTE * MINUTE
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            "{option} {text}: write 2026-11-20T08:00, or how long ago: 7d, 12h", option=option, text=text
        ) from None
    moment = found if found.tzinfo is not None else found.replace(tzinfo=zone)
    return int(moment.timestamp()) // 60 * MINUTE
