"""The `streamgauge` command: every group of commands put together, and every expected error as one line.

Exit codes: 0 done, 1 something was found (a difference, an invalid line), 2 a mistake in the arguments or settings,
3 a dependency or a promise failed.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec
from typing import Annotated, NoReturn

import typer

from pipeline import __version__
from pipeline.cli import (
    alerts,
    assistants,
    backup,
    database,
    demo,
    doctor,
    files,
    kept,
    metrics,
    plan,
    rebuild,
    rejected,
    replay,
    report,
    roles,
    simulate,
    sources,
)
from pipeline.cli.help import run_spoken
from pipeline.cli.language import of_arguments, speak
from pipeline.cli.options import logs_json
from pipeline.errors import StreamgaugeError, UserError
from pipeline.render.language import ENGLISH
from pipeline.terminal import make_streams_safe, say_lines
from schemas.translatable import Foreign, Sentence

#: What a disk or a folder may refuse without naming a file.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EPIPE)

app = typer.Typer(
    name="streamgauge",
    help="Exact live counting of user events, from Kafka to ClickHouse.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (demo, roles, report, files, simulate, replay, rebuild, database, doctor, backup, assistants):
    app.add_typer(commands.app)
app.add_typer(plan.app, name="plan")
app.add_typer(rejected.app, name="rejected")
app.add_typer(metrics.app, name="metrics")
app.add_typer(alerts.app, name="alerts")
app.add_typer(kept.app, name="kept")
app.add_typer(sources.app, name="sources")


def main() -> None:
    """Run the command; every expected error is one line on standard error."""
    make_streams_safe()
    try:
        _run()
    except UserError as exc:
        _fail(exc.said, 2)
    except StreamgaugeError as exc:
        _fail(Sentence("{place}: {why}", place=type(exc).__name__, why=exc), 3)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as exc:
        said = _of_a_client(exc)
        if said is not None:
            _fail(said, 3)
        if not isinstance(exc, OSError) or (exc.filename is None and exc.errno not in _OF_THE_MACHINE):
            raise
        why = Foreign(exc.strerror or exc)
        if exc.filename is None:
            _fail(why, 3)
        _fail(Sentence("{path} can't be used: {why}", path=os.fsdecode(exc.filename), why=why), 2)


def _run() -> None:
    try:
        if speak(of_arguments(sys.argv[1:])).code == ENGLISH:
            app()
        else:
            sys.exit(run_spoken(app))
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # Nobody reads it, or its disk is full: Python must not try once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise


def _what_runs() -> str:
    """Whether the funnels' code is what `make compiled` made of it, or Python's."""
    fold = find_spec("pipeline.measure.funnel_fold")
    return "compiled" if fold is not None and isinstance(fold.loader, ExtensionFileLoader) else "Python"


def _of_a_client(exc: Exception) -> Sentence | None:
    """What an error of a client of ClickHouse or Kafka means to a person; None if it is another error.

    Who raised it has been loaded: a command that asks nobody doesn't load the clients.
    """
    if "clickhouse_connect" in sys.modules:
        from clickhouse_connect.driver.exceptions import ClickHouseError

        from pipeline.clickhouse.client import error_code
        from pipeline.clickhouse.codes import NO_SCHEMA

        if isinstance(exc, ClickHouseError):
            why = str(exc).strip().splitlines()[0][:300]
            if error_code(exc) in NO_SCHEMA:
                return Sentence("ClickHouse: {why}; run `streamgauge migrate`?", why=why)
            return Sentence("{place}: {why}", place="ClickHouse", why=why)
    if "aiohttp" in sys.modules or "aiokafka" in sys.modules:
        import aiohttp
        from aiokafka.errors import KafkaError

        if isinstance(exc, (KafkaError, aiohttp.ClientError)):
            return Sentence(
                "{error}: {why}: are Kafka and ClickHouse there, and the settings right?",
                error=type(exc).__name__, why=exc,
            )  # fmt: skip
    return None


def _fail(why: str, code: int) -> NoReturn:
    if logs_json():
        # Whoever reads the log reads the last line, too; a log is in English.
        logging.getLogger("streamgauge").critical(str(why))
        sys.exit(code)
    say_lines(f"streamgauge: {speak().said(why)}".split("\n"), file=sys.stderr)
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"streamgauge {__version__} ({_what_runs()})")
        raise typer.Exit
