"""The `streamgauge` command: every group of commands put together, and every expected error as one line.

Exit codes: 0 done, 1 something was found (a difference, an invalid line), 2 a mistake in the arguments or settings,
3 a dependency or a promise failed.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli import alerts, database, demo, files, metrics, plan, rejected, replay, report, roles, simulate
from pipeline.errors import StreamgaugeError, UserError

app = typer.Typer(
    name="streamgauge",
    help="Exact live counting of user events, from Kafka to ClickHouse.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (demo, roles, report, files, simulate, replay, database):
    app.add_typer(commands.app)
app.add_typer(plan.app, name="plan")
app.add_typer(rejected.app, name="rejected")
app.add_typer(metrics.app, name="metrics")
app.add_typer(alerts.app, name="alerts")


def main() -> None:
    """Run the command; every expected error is one line on standard error."""
    try:
        app()
    except UserError as exc:
        _fail(str(exc), 2)
    except StreamgaugeError as exc:
        _fail(f"{type(exc).__name__}: {exc}", 3)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as exc:
        said = _of_a_client(exc)
        if said is None:
            raise
        _fail(said, 3)


def _of_a_client(exc: Exception) -> str | None:
    """What an error of a client of ClickHouse or Kafka means to a person; None if it is another error.

    Who raised it has been loaded: a command that asks nobody doesn't load the clients.
    """
    if "clickhouse_connect" in sys.modules:
        from clickhouse_connect.driver.exceptions import ClickHouseError

        from pipeline.clickhouse.client import error_code
        from pipeline.clickhouse.codes import NO_SCHEMA

        if isinstance(exc, ClickHouseError):
            hint = "; run `streamgauge migrate`?" if error_code(exc) in NO_SCHEMA else ""
            return f"ClickHouse: {str(exc).strip().splitlines()[0][:300]}{hint}"
    if "aiohttp" in sys.modules or "aiokafka" in sys.modules:
        import aiohttp
        from aiokafka.errors import KafkaError

        if isinstance(exc, (KafkaError, aiohttp.ClientError)):
            return f"{type(exc).__name__}: {exc}: are Kafka and ClickHouse there, and the settings right?"
    return None


def _fail(message: str, code: int) -> None:
    print(f"streamgauge: {message}", file=sys.stderr)
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"streamgauge {__version__}")
        raise typer.Exit
