"""The `streamgauge` command: arguments in, exit codes out. The work is done elsewhere.

Exit codes: 0 done, 1 something was found (a difference, an invalid line), 2 a mistake in the arguments or settings,
3 a dependency or a promise failed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline import __version__
from pipeline.alerts.command import app as alerts_app
from pipeline.errors import StreamgaugeError, UserError
from pipeline.settings import Settings, load_settings
from pipeline.store.client import error_code

app = typer.Typer(
    name="streamgauge",
    help="Exact live counting of user events, from Kafka to ClickHouse.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
plan_app = typer.Typer(help="The tracking plan: show, check, export as JSON Schema.", no_args_is_help=True)
app.add_typer(plan_app, name="plan")
rejected_app = typer.Typer(help="Rejected records: list them, send them again.", no_args_is_help=True)
app.add_typer(rejected_app, name="rejected")
metrics_app = typer.Typer(help="The metric catalogue: list, show, run.", no_args_is_help=True)
app.add_typer(metrics_app, name="metrics")
app.add_typer(alerts_app, name="alerts")

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML); else PIPELINE_* variables.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PlanOption = Annotated[str | None, typer.Option("--plan", help="A plan file, or the name of a ready one (shop).")]
FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fault", help="What goes wrong: 'step=purchase platform=android from=14:00 factor=0.2'. Repeatable."
    ),
]


#: ClickHouse's errors for a missing column, view with parameters, table and database.
_NO_SCHEMA = {16, 46, 60, 81}


def main() -> None:
    """Run the command; every expected error is one line on standard error."""
    try:
        app()
    except UserError as exc:
        _fail(str(exc), 2)
    except StreamgaugeError as exc:
        _fail(f"{type(exc).__name__}: {exc}", 3)
    except ClickHouseError as exc:
        hint = "; run `streamgauge migrate`?" if error_code(exc) in _NO_SCHEMA else ""
        _fail(f"ClickHouse: {str(exc).strip().splitlines()[0][:300]}{hint}", 3)
    except (KafkaError, aiohttp.ClientError) as exc:
        _fail(f"{type(exc).__name__}: {exc}: are Kafka and ClickHouse there, and the settings right?", 3)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str, code: int) -> None:
    print(f"streamgauge: {message}", file=sys.stderr)
    sys.exit(code)


def _settings(config: Path | None, **changes: Any) -> Settings:
    """The settings, with what was given on the command line: checked in the same way."""
    for name, value in changes.items():
        if value is not None:
            os.environ[f"PIPELINE_{name.upper()}"] = str(value)
    return load_settings(config)


def _run(work: Coroutine[Any, Any, Any], level: int = logging.INFO) -> Any:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # These two say at INFO what nobody needs at every fetch and rebalance.
    for name in ("aiokafka", "faust.transport.drivers.aiokafka"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    return asyncio.run(work)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"streamgauge {__version__}")
        raise typer.Exit


@app.command()
def demo(
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Events a second.")] = 500,
    users: Annotated[int, typer.Option(min=1, max=10_000_000, help="Simulated users.")] = 5_000,
    for_: Annotated[str | None, typer.Option("--for", help="Stop after this long (30s, 5m) and verify.")] = None,
    plan: PlanOption = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same users.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Keep ClickHouse's data in this folder.")] = None,
    history: Annotated[int, typer.Option(min=0, max=360, help="Days of the past to make up first.")] = 45,
    fault: FaultOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Run everything on this machine, with simulated users, live in the terminal."""
    from pipeline.demo import Demo
    from schemas.duration import parse_duration

    try:
        seconds = parse_duration(for_) / 1000 if for_ else None
    except ValueError as exc:
        raise UserError(f"--for: {exc}") from None
    work = Demo(
        _settings(config, plan=plan), rate, users, seconds, seed, data, as_json, days=history, faults=fault or ()
    )
    raise typer.Exit(_run(work.run(), logging.WARNING))


@app.command()
def up(
    kafka: Annotated[str | None, typer.Option(help="Use this Kafka (host:port) instead of the embedded one.")] = None,
    clickhouse: Annotated[
        str | None, typer.Option(help="Use this ClickHouse (http://host:8123) instead of the embedded one.")
    ] = None,
    plan: PlanOption = None,
    data: Annotated[Path, typer.Option(help="Folder for data and logs.")] = Path("data"),
    config: Config = None,
) -> None:
    """Run everything on this machine, for events of your own."""
    from pipeline.demo import up as run_up

    settings = _settings(config, plan=plan, kafka_bootstrap=kafka, clickhouse_url=clickhouse)
    _run(run_up(settings, data, kafka is None, clickhouse is None), logging.WARNING)


@app.command()
def worker(config: Config = None) -> None:
    """The worker: folds the events topic into live counters. Any number of them."""
    from pipeline.roles import run_worker

    _run(run_worker(load_settings(config)))


@app.command()
def archiver(config: Config = None) -> None:
    """The archiver: stores every event in ClickHouse. Any number of them."""
    from pipeline.roles import run_archiver

    _run(run_archiver(load_settings(config)))


@app.command()
def dashboard(
    set_password: Annotated[
        str | None,
        typer.Option(
            "--set-password", metavar="NAME", help="Ask for a password of NAME, write it to the file, and end."
        ),
    ] = None,
    plan: PlanOption = None,
    config: Config = None,
) -> None:
    """The dashboard in the browser: live figures, funnels, every metric, data quality."""
    from pipeline.dashboard.auth import set_password as write_password
    from pipeline.dashboard.role import run_dashboard
    from pipeline.roles import plan_of

    settings = _settings(config, plan=plan)
    if set_password is not None:
        if settings.dashboard_password_file is None:
            raise UserError("name the file in PIPELINE_DASHBOARD_PASSWORD_FILE first")
        password = typer.prompt(f"Password of {set_password}", hide_input=True, confirmation_prompt=True)
        write_password(settings.dashboard_password_file, set_password, password)
        return
    _run(run_dashboard(settings, plan_of(settings)), logging.WARNING)


@app.command()
def report(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file: .html, .pdf (needs chromium) or .md.")],
    day: Annotated[str | None, typer.Option(help="The report of a day: 2026-11-21, or yesterday.")] = None,
    week: Annotated[
        str | None, typer.Option(help="The report of the week, Monday to Sunday, of a day; or last.")
    ] = None,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    send_to: Annotated[
        list[str] | None, typer.Option("--send", help="Tell a receiver of the plan's alerting. Can be given again.")
    ] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """The report of a day or a week as one file: what changed, which segment explains it, what to do."""
    from pipeline.report.command import report as run_report
    from pipeline.report.dates import asked_period, language_of
    from pipeline.roles import plan_of

    settings = _settings(config, plan=plan)
    found = plan_of(settings)
    period = asked_period(found, day, week)
    work = run_report(settings, found, period, language_of(lang), output, send_to or ())
    lines = _run(work, logging.WARNING)
    print(json.dumps({"file": str(output), "headline": lines}, ensure_ascii=False) if as_json else "\n".join(lines))


@app.command()
def send(
    file: Annotated[str, typer.Argument(help="JSON lines or CSV, .gz too; - for standard input.")],
    mapping: Annotated[
        str | None, typer.Option("--map", help="Which columns are which: user_id=uid,event=name,ts=time,...")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Leave out the columns that --map does not name.")] = False,
    tz: Annotated[str, typer.Option(help="Zone of times that have none, like Europe/Berlin.")] = "UTC",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that are no events, and go on; else the first ends it.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, help="At most this many events a second.")] = None,
    kafka: Annotated[str | None, typer.Option(help="Kafka to send to (host:port).")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Produce the events of a file to Kafka, keyed by actor. The plan says which columns of a CSV are numbers."""
    from pipeline.produce.command import send_file

    settings = _settings(config, plan=plan, kafka_bootstrap=kafka)
    work = send_file(settings, file, mapping, tz, rate, as_json, drop=drop, skip_bad=skip_bad)
    raise typer.Exit(_run(work, logging.WARNING))


@app.command()
def simulate(
    days: Annotated[float, typer.Option(min=0.01, max=3650, help="How many days, up to the end.")] = 30,
    events: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="About so many events.")] = 1_000_000,
    users: Annotated[int | None, typer.Option(min=1, help="Users at a time; else one for 60 events.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = 1,
    end: Annotated[
        str | None, typer.Option(help="When it ends, in the plan's zone (2026-11-22T14:00); else now.")
    ] = None,
    fault: FaultOption = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="File of JSON lines, .gz too; - to print.")
    ] = None,
    insert: Annotated[
        bool, typer.Option("--insert", help="Store them in ClickHouse, without Kafka, and the side tables too.")
    ] = False,
    sides: Annotated[Path | None, typer.Option(help="Folder for spend.csv, campaigns.csv, content.csv.")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make events of the past, of a simulated shop or content app: as a file, or straight into ClickHouse."""
    from pipeline.roles import plan_of
    from pipeline.simulate import command

    settings = _settings(config, plan=plan)
    found = plan_of(settings)
    if insert == (output is not None):
        raise UserError("say where the events go: -o FILE, or --insert into ClickHouse")
    history = command.history_of(found, days=days, events=events, users=users, seed=seed, end=end, faults=fault or ())
    if output is not None:
        command.write(history, output, as_json)
        if sides is not None:
            command.write_sides(history, found, sides)
    else:
        _run(command.insert(history, settings, found, as_json), logging.WARNING)


@app.command("import")
def import_(
    table: Annotated[str, typer.Argument(help="spend, campaigns, content or users.")],
    file: Annotated[str, typer.Argument(help="CSV or JSON lines, .gz too; - for standard input.")],
    mapping: Annotated[str | None, typer.Option("--map", help="Which columns are which: day=date,amount=cost")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Leave out columns that the table doesn't have.")] = False,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse to import into (http://host:8123).")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Import what metrics need besides events. A row that is there already is replaced; exit 1 if one is wrong."""
    from pipeline.produce.sides import import_file

    settings = _settings(config, clickhouse_url=clickhouse)
    raise typer.Exit(_run(import_file(settings, table, file, mapping, as_json, drop=drop), logging.WARNING))


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="JSON lines, .gz too; - for standard input.")],
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Validate JSON lines against the plan, without a broker; says per line what is wrong."""
    from pipeline.produce.command import check_file
    from pipeline.roles import plan_of

    raise typer.Exit(check_file(plan_of(_settings(config, plan=plan)), file, as_json))


@app.command()
def replay(
    file: Annotated[str, typer.Argument(help="JSON lines or CSV, .gz too; - for standard input.")],
    plan: PlanOption = None,
    with_sql: Annotated[
        bool, typer.Option("--sql", help="Compute the measures by ClickHouse, in this process, from the raw events.")
    ] = False,
    mapping: Annotated[
        str | None, typer.Option("--map", help="Which columns are which: user_id=uid,event=name,ts=time,...")
    ] = None,
    tz: Annotated[str | None, typer.Option(help="Zone of times that have none.")] = None,
    as_logged: Annotated[
        bool,
        typer.Option(
            "--as-logged", help="Take the lines in the file's order, as if they arrived so: some may be late."
        ),
    ] = False,
    grain: Annotated[
        list[str] | None, typer.Option(help="Windows shown: minute, hour, day, day_utc. Can be given again.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Measure a file of events without a broker: every live measure of the plan, by the worker's own fold.

    The lines may stand in any order: they are counted by event time, so none is late. JSON lines are judged as the
    worker would judge them; CSV, or any file with --map or --tz, is prepared as `send` does it.
    """
    from pipeline.replay.command import replay_file
    from pipeline.roles import plan_of

    replay_file(
        plan_of(_settings(config, plan=plan)),
        file,
        mapping=mapping,
        tz=tz,
        with_sql=with_sql,
        as_logged=as_logged,
        grains=grain or (),
        as_json=as_json,
    )


@app.command()
def migrate(plan: PlanOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Bring ClickHouse to the current schema and metrics. Safe to run twice, and by two at once."""
    from pipeline.catalogue import install
    from pipeline.roles import plan_of
    from pipeline.store.migrate import migrate as run_migrate

    settings = _settings(config, plan=plan)
    chosen = plan_of(settings)

    async def bring() -> tuple[list[str], list[str]]:
        return await run_migrate(settings), await install(settings, chosen)

    applied, views = _run(bring(), logging.WARNING)
    if as_json:
        print(json.dumps({"applied": applied, "views": views}))
    elif applied or views:
        print(f"{len(applied)} migrations applied: {', '.join(applied) or 'none'}; {len(views)} views of the catalogue")
    else:
        print("nothing to do")


@app.command()
def verify(plan: PlanOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Compare the live windows with what ClickHouse computes from the raw events; exit 1 if they differ."""
    from pipeline.demo import print_verification
    from pipeline.roles import plan_of
    from pipeline.store.verify import verify as run_verify

    settings = _settings(config, plan=plan)
    result = _run(run_verify(settings, plan_of(settings)), logging.WARNING)
    raise typer.Exit(print_verification(result, as_json))


@rejected_app.command("list")
def rejected_list(
    samples: Annotated[int, typer.Option(min=0, max=100, help="Records to show of each reason.")] = 2,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Why records were rejected, how many, and some of them."""
    from pipeline.store.rejected import rejected_reasons

    reasons = _run(rejected_reasons(load_settings(config), samples), logging.WARNING)
    if as_json:
        print(json.dumps([vars(reason) for reason in reasons]))
        return
    for found in reasons:
        print(f"{found.count:>8,}  {found.reason}  ({found.first} to {found.last}), such as: {found.detail}")
        for sample in found.samples:
            print(f"{'':10}{sample!r}")
    if not reasons:
        print("no record was rejected")


@rejected_app.command("redrive")
def rejected_redrive(
    reason: Annotated[str | None, typer.Option(help="Only records rejected for this reason.")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send rejected records again that the current plan accepts; each once."""
    from pipeline.roles import plan_of
    from pipeline.store.rejected import redrive

    settings = _settings(config, plan=plan)

    done = _run(redrive(settings, plan_of(settings), reason), logging.WARNING)
    if as_json:
        print(json.dumps(vars(done)))
    else:
        print(f"{done.sent:,} sent again, {done.still_rejected:,} are still not events of the plan")


@metrics_app.command("list")
def metrics_list(as_json: AsJson = False) -> None:
    """The metrics by group."""
    from pipeline.catalogue.command import list_metrics

    list_metrics(as_json)


@metrics_app.command("show")
def metrics_show(name: str, config: Config = None, as_json: AsJson = False) -> None:
    """A metric's definition, parameters and SQL."""
    from pipeline.catalogue.command import show_metric

    show_metric(name, load_settings(config).clickhouse_database, as_json)


@metrics_app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def metrics_run(
    ctx: typer.Context,
    name: str,
    fmt: Annotated[str, typer.Option("--format", help="table, csv, json, parquet or png (a chart).")] = "table",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=10_000_000, help="At most this many rows.")] = 10_000,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse to ask (http://host:8123).")] = None,
    plan: PlanOption = None,
    config: Config = None,
) -> None:
    """Run a metric. Its parameters are options: --from 2026-11-01 --to 2026-11-30 --period day."""
    from pipeline.catalogue.command import options, run_metric
    from pipeline.roles import plan_of

    settings = _settings(config, plan=plan, clickhouse_url=clickhouse)
    work = run_metric(settings, plan_of(settings), name, options(ctx.args), fmt, out, rows)
    raise typer.Exit(_run(work, logging.WARNING))


@plan_app.command("show")
def plan_show(plan: PlanOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """The plan, readable."""
    from pipeline.plans import show
    from pipeline.roles import plan_of

    show(plan_of(_settings(config, plan=plan)), as_json)


@plan_app.command("check")
def plan_check(
    file: Annotated[str, typer.Argument(help="A plan file, or the name of a ready one.")], as_json: AsJson = False
) -> None:
    """Every mistake in a plan, with its line; exit 1 if there is one."""
    from pipeline.plans import check as run_check

    raise typer.Exit(run_check(file, as_json))


@plan_app.command("export")
def plan_export(plan: PlanOption = None, config: Config = None) -> None:
    """The plan's events as JSON Schema, for producers in any language."""
    from pipeline.plans import export
    from pipeline.roles import plan_of

    export(plan_of(_settings(config, plan=plan)))


if __name__ == "__main__":
    main()
