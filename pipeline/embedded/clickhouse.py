"""The embedded ClickHouse: chDB behind ClickHouse's HTTP interface, in a process of its own.

`EmbeddedClickHouse` starts and stops it; ``python -m pipeline.embedded.clickhouse --path DIR --port N`` is the
process, which wants `environment_of` its folder. The data stay in the folder; acknowledged inserts survive ``kill -9``.
Time zone of the server: UTC. Its users' passwords are in the file ``DIR.users`` (see `users`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from pipeline.embedded.child import Child, free_port
from pipeline.embedded.confine import confine
from pipeline.embedded.server import ChildServer
from pipeline.embedded.users import WRITER, private_folder, read_users, users_file
from pipeline.errors import UserError
from pipeline.process import address
from pipeline.serve.guard import Runner, is_loopback
from schemas.translatable import Foreign, Sentence

_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
# The server lets running requests end for so long, then cancels them; less than that.
_FINISH_SECONDS = 15.0
# A whole result is sent after its handler has ended, to clients that may work while they read.
_IDLE_SECONDS = 300.0
_MAX_LINE_BYTES = 1 << 20
_MISSING = Sentence("the embedded ClickHouse needs chDB and aiohttp: pip install 'streamgauge[embedded]'")


class EmbeddedClickHouse(ChildServer):
    """A ClickHouse server on a loopback port, with its data in ``data_dir/clickhouse``.

    `port` is taken if it is free, else another one (`port_was_taken`); None: any. Started again it listens where it
    did, or where it was `kept`. `memory_limit` is in bytes, `held` are locks. With `sync` rows are on the disk before
    an insert is acknowledged, for a power cut. `start` raises `UserError` if the packages are missing, the folder is in
    use, or it does not come up.
    """

    stop_seconds = _STOP_SECONDS

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        memory_limit: int = 4 << 30,
        kept: int | None = None,
        held: Sequence[int] = (),
        sync: bool = False,
    ) -> None:
        self._data_dir = data_dir
        #: Where its data are.
        self.folder = data_dir / "clickhouse"
        self._memory_limit, self._sync = memory_limit, sync
        self._preferred, self._kept, self._held = port, kept, held
        self.host = _HOST
        self.port = port or 0
        self.port_was_taken = False
        self.users_file = users_file(data_dir / "clickhouse")
        #: Password by user, once started: `default` reads and writes, `reader` only reads.
        self.users: Mapping[str, str] = {}

    @property
    def access(self) -> dict[str, Any]:
        """The settings of a role that uses it, once started."""
        password = SecretStr(self.users[WRITER])
        return {"clickhouse_url": self.url, "clickhouse_user": WRITER, "clickhouse_password": password}

    @property
    def environment(self) -> dict[str, str]:
        """The same as variables, for a child process."""
        return {
            "PIPELINE_CLICKHOUSE_URL": self.url,
            "PIPELINE_CLICKHOUSE_USER": WRITER,
            "PIPELINE_CLICKHOUSE_PASSWORD": self.users[WRITER],
        }

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, once started."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        if self._child is not None:
            raise RuntimeError("the embedded ClickHouse runs already")
        self.port, self.port_was_taken = free_port(self._preferred, self._kept)
        private_folder(self._data_dir)
        self.users = read_users(self.users_file)
        command = [sys.executable, "-P", "-m", "pipeline.embedded.clickhouse"]
        command += ["--path", str(self.folder), "--memory-limit", str(self._memory_limit)]
        command += ["--host", self.host, "--port", str(self.port)]
        command += ["--sync"] if self._sync else []
        child = Child(
            Sentence("the embedded ClickHouse"),
            command,
            self._data_dir / "clickhouse.log",
            death_signal=signal.SIGTERM,
            env={**os.environ, **environment_of(self.folder)},
            held=self._held,
        )
        child.start()
        await child.wait_ready(self.answers, _START_SECONDS)
        self._child, self._kept = child, self.port

    async def answers(self) -> bool:
        """Whether it gives a sign of life."""
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        try:
            writer.write(f"GET /ping HTTP/1.0\r\nHost: {self.host}\r\n\r\n".encode())
            return b"Ok." in await asyncio.wait_for(reader.read(), 10.0)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()


def environment_of(folder: Path) -> dict[str, str]:
    """The variables that the process needs, which chDB reads when it is loaded.

    A place for temporary files that it may write to; and, as in ClickHouse's container image, UTC: days and hours of a
    query without a time zone don't depend on where the laptop is.
    """
    return {"TMPDIR": str(_scratch(folder.absolute())), "TZ": "UTC"}


def _scratch(folder: Path) -> Path:
    return folder / "tmp"


async def serve(path: Path, host: str, port: int, memory_limit: int, sync: bool = False) -> None:
    """Serve the folder until SIGTERM or SIGINT; with `sync`, what is stored is on the disk.

    Raises `UserError` for what the user can mend.
    """
    if not is_loopback(host):
        raise UserError("the embedded ClickHouse speaks without TLS: choose a loopback address, not {host}", host=host)
    missing = sorted(environment_of(path).items() - os.environ.items())
    if missing:
        raise UserError(
            "it is to be started with {names}", names=" ".join((f"{name}={value}" for name, value in missing))
        )
    try:
        from aiohttp import web

        from pipeline.embedded.clickhouse_http import ClickHouseHttp
        from pipeline.embedded.engine import Engine
    except ImportError as error:
        raise UserError("{missing} ({why})", missing=_MISSING, why=error) from error
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    passwords = users_file(path)
    users = read_users(passwords)
    _scratch(path).mkdir(parents=True, exist_ok=True)
    # Before the engine's threads are there; modules may still be loaded later.
    confine(path, map(Path, {sys.prefix, sys.base_prefix, *filter(None, sys.path)}))
    engine = Engine(path, memory_limit, sync)
    http = ClickHouseHttp(engine, users, passwords)
    runner = Runner(
        http.application(),
        idle_seconds=_IDLE_SECONDS,
        auto_decompress=False,
        handler_cancellation=True,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
        shutdown_timeout=_FINISH_SECONDS,
    )
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, reuse_address=True).start()
        except OSError as error:
            raise UserError(
                "can't listen on {address}, choose another: {why}",
                address=address(host, port),
                why=Foreign(error.strerror),
            ) from error
        print(f"ClickHouse {engine.version} (embedded) on http://{address(host, port)}, data in {path}", flush=True)
        await stopping.wait()
    finally:
        await runner.cleanup()
        await http.cancel_all()
        http.close()
        engine.close()


def main() -> int:
    """The process. Exit codes: 0 stopped, 2 the user has something to mend."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.embedded.clickhouse", description="ClickHouse's HTTP interface over chDB."
    )
    parser.add_argument("--path", type=Path, required=True, help="folder of the data")
    parser.add_argument("--host", default=_HOST, help="a loopback address (%(default)s)")
    parser.add_argument("--port", type=int, default=8123, help="%(default)s")
    parser.add_argument("--memory-limit", type=int, default=4 << 30, help="bytes (%(default)s)")
    parser.add_argument("--sync", action="store_true", help="force to the disk what is stored, before it is said")
    args = parser.parse_args()
    try:
        asyncio.run(serve(args.path.absolute(), args.host, args.port, args.memory_limit, args.sync))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
